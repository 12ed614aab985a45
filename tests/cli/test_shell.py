"""What all commands share: their names, where the home is, how results and errors are printed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
import typer

from concord.cli.app import app
from concord.cli.shell import as_json, one_line, printable
from concord.testing.processes import PATIENCE, command, concord, environment
from concord.testing.terminal import run

ROOT = typer.main.get_command(app)

# What is promised: the names and options that scripts are written with.
PROMISED = {
    "init": "--member --name --country --charter --join",
    "serve": "--host --port",
    "demo": "",
    "log status": "",
    "record list": "",
    "record show": "ORIGIN INDEX",
    "record prove": "ORIGIN INDEX -o",
    "proof verify": "F --policy",
    "peer add": "URL",
    "peer list": "",
    "peer pull": "",
    "bundle want": "F",
    "bundle export": "--want OUT.zip",
    "bundle import": "OUT.zip…",
    "verify": "[DIR|REPO] --deep --policy",
    "publish": "DIR REPO --license --type --private --message --language --include --exclude --title --member",
    "commons search": "WORDS --type --task --language --license --member --sort --limit",
    "commons list": "--member",
    "commons show": "REPO --revision",
    "commons gc": "--dry-run --older-than",
    "member list": "",
    "member show": "ID",
    "person add": "",
    "person list": "",
    "person grant": "",
    "token create": "",
    "token list": "",
    "token revoke": "",
    "export": "--log DIR",
}


def commands(group: Any = ROOT, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command, with its words."""
    inner = getattr(group, "commands", None)
    if inner is None:
        yield path, group
    for name, each in (inner or {}).items():
        yield from commands(each, f"{path} {name}".strip())


ALL = dict(commands())


def words_of(command: Any) -> set[str]:
    """The options of a command, and the names of its arguments."""
    return {word for parameter in command.params for word in (*parameter.opts, parameter.metavar)}


@pytest.mark.parametrize("name", PROMISED)
def test_what_is_promised_is_there(name: str) -> None:
    assert set(PROMISED[name].split()) <= words_of(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_every_command_takes_a_home_and_prints_json_and_says_what_it_does(name: str) -> None:
    assert {"--home", "--json"} <= words_of(ALL[name])
    assert ALL[name].help
    shown = run(*name.split(), "--help")
    assert (shown.status, shown.err) == (0, "")
    assert ALL[name].help.split("\n")[0][:40] in shown.out


def test_groups_stand_in_the_order_of_the_pillars_and_then_of_what_is_below_them() -> None:
    groups = [name for name, each in ROOT.commands.items() if hasattr(each, "commands")]
    assert groups[0] == "member"
    assert groups.index("log") < groups.index("record") < groups.index("proof") < groups.index("peer") < groups.index("token")


def test_a_home_and_json_may_stand_before_the_command_and_behind_it(founded: Path) -> None:
    lines = [
        ["--home", str(founded), "--json", "member", "list"],
        ["member", "list", "--home", str(founded), "--json"],
        ["--json", "member", "list", "--home", str(founded)],
    ]
    answers = [run(*line) for line in lines] + [run("member", "list", "--json", env={"CONCORD_HOME": str(founded)})]
    assert {answer.status for answer in answers} == {0}
    assert len({answer.out for answer in answers}) == 1
    assert len(answers[0].json()) == 6


def test_what_stands_nearer_to_the_command_wins(founded: Path, tmp_path: Path) -> None:
    assert run("member", "list", "--home", founded, home=tmp_path, env={"CONCORD_HOME": str(tmp_path)}).status == 0
    assert run("member", "list", home=founded, env={"CONCORD_HOME": str(tmp_path)}).status == 0


@pytest.mark.parametrize(
    "line",
    [
        ["member", "list"],
        ["log", "status"],
        ["verify", "--deep"],
        ["token", "create"],
        ["record", "show", "ke", "0"],
        ["peer", "pull"],
        ["serve"],
    ],
)
def test_where_there_is_no_node_one_line_says_what_to_do(line: list[str], tmp_path: Path) -> None:
    done = run(*line, home=tmp_path / "none")
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"concord: {tmp_path}/none: no node here yet. Say `concord init` to make one, or `concord demo` to try things out\n"
    )
    assert not (tmp_path / "none").exists()


def test_an_error_is_json_if_json_was_asked_for(tmp_path: Path) -> None:
    done = run("log", "status", "--json", home=tmp_path / "none")
    assert (done.status, done.out) == (1, "")
    told = json.loads(done.err)
    assert set(told) == {"error", "kind", "fault"}
    assert (told["kind"], told["fault"]) == ("SettingsError", "the operator's")


@pytest.mark.parametrize("line", [["member", "show"], ["record", "show", "ke", "-1"], ["serve", "--port", "0"], ["nonsense"]])
def test_what_is_no_command_is_told_by_how_it_would_be_one(line: list[str], founded: Path) -> None:
    done = run(*line, home=founded)
    assert (done.status, done.out) == (2, "")
    assert "Usage: concord" in done.err
    assert "Traceback" not in done.err


def test_no_command_at_all_shows_help() -> None:
    assert "Usage: concord" in run().out + run().err


def test_a_setting_that_cannot_be_is_told_in_one_line(demo: Path) -> None:
    (demo / "concord.toml").write_text("pull_evry = 1")
    done = run("log", "status", home=demo)
    assert (done.status, done.err) == (1, "concord: concord.toml: there is no setting 'pull_evry'; did you mean 'pull_every'?\n")


# Nothing that anybody said steers a terminal

EVIL = "\x1b]0;evil\x07\x1b[2Ja\rb\x9bc\u202ed\u2028e"


def test_nothing_printed_steers_a_terminal() -> None:
    for shown in (printable(EVIL), one_line(f"{EVIL}\n\nmore"), as_json({"says": EVIL}), as_json(EVIL, indent=2)):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", shown)
    assert json.loads(as_json(EVIL)) == EVIL
    assert "\n" not in one_line("a\nb")


@pytest.mark.parametrize("text", ["মানুষ", "می‌خواهم", "שלום \u200f!", "官方", "Кыргызстан", "クローン", "👩‍🔬"])
def test_all_scripts_are_printed_as_they_are(text: str) -> None:
    assert printable(text) == text
    assert json.loads(as_json(text)) == text
    assert text in as_json(text)


def test_what_members_say_is_printed_tamely(demo: Path) -> None:
    fields = json.dumps({"name": "Example", "country": "KE", "about": EVIL})
    said = run("record", "say", "members.profile", fields, "--json", home=demo)
    line = [said.json()["origin"], str(said.json()["index"])] if said.status == 0 else ["example-ke", "1"]
    shown = [
        run("member", "show", "example-ke", home=demo),
        run("record", "show", *line, home=demo),
        run("record", "list", home=demo),
    ]
    for done in (said, *shown):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", done.out + done.err)


def test_what_was_asked_for_is_echoed_tamely(founded: Path) -> None:
    done = run("member", "show", EVIL, home=founded)
    assert done.status == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", done.err)
    assert done.err.count("\n") == 1


# A process of its own


def test_a_terminal_that_knows_no_scripts_stops_nothing(founded: Path) -> None:
    done = concord("record", "show", "example-br", "2", home=founded, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"})
    assert (done.status, done.err) == (0, "")
    assert "Example Institute Brazil" in done.out


def test_a_reader_that_goes_away_is_no_traceback(founded: Path) -> None:
    with Popen([*command(), "charter", "schema"], stdout=PIPE, stderr=PIPE, env=environment()) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(PATIENCE) in (0, 1)
    assert "Traceback" not in said
