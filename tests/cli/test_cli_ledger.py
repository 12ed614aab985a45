"""log, record, proof: what stands in logs, and receipts that prove it with no home and no network."""

import json
import re
import sys
from pathlib import Path
from subprocess import run as run_process

import pytest

from concord.home import open_home
from concord.testing.processes import Done, environment
from concord.testing.terminal import run
from concord.tlog.proof import PROOF_SIZE_MAX

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")


def records(home: Path, *options: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = run("record", "list", "--json", *options, home=home).json()
    return rows


# log


def test_log_status(founded: Path) -> None:
    rows = run("log", "status", "--json", home=founded).json()
    assert len(rows) == 6
    for row in rows:
        assert {"origin", "size", "root", "cosigners"} <= set(row)
        assert isinstance(row["size"], int)
        assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", row["root"])
        assert len(row["cosigners"]) == 5
        assert row["origin"] not in row["cosigners"]
        assert (row["cosigned"], row["hosted"], row["paused"], row["disputed"]) == (row["size"], True, None, False)
    shown = run("log", "status", home=founded)
    assert (shown.status, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0].split() == ["MEMBER", "SIZE", "COSIGNED", "COSIGNERS", "ROOT", "ORIGIN"]
    assert [line.split()[-1] for line in lines[1:]] == [row["origin"] for row in rows]


def test_log_policy_is_printed_or_written(founded: Path, tmp_path: Path) -> None:
    shown = run("log", "policy", "example-ke", home=founded)
    written = run("log", "policy", "example-ke", "-o", tmp_path / "policy", home=founded)
    assert (shown.status, written.status) == (0, 0)
    assert shown.out == (tmp_path / "policy").read_text()
    assert shown.out.startswith("log ")
    assert run("log", "policy", "example-ke", "--json", home=founded).json() == {"policy": shown.out}


def test_log_resume_says_what_signs_again(demo: Path) -> None:
    done = run("log", "resume", "--json", home=demo)
    assert len(done.json()["resumed"]) == 6


@pytest.mark.parametrize("line", [["log", "policy", "nobody"], ["record", "show", "nobody", "0"], ["member", "show", "nobody"]])
def test_who_is_not_there_is_told(line: list[str], founded: Path) -> None:
    done = run(*line, home=founded)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "nobody" in done.err


# record


def test_record_list(founded: Path) -> None:
    rows = records(founded)
    assert len(rows) == 38
    assert {"at", "member", "index", "type", "says", "state", "origin", "leaf"} == set(rows[0])
    assert all(TIME.fullmatch(str(row["at"])) for row in rows)
    assert rows == sorted(rows, key=lambda row: str(row["at"]), reverse=True)
    shown = run("record", "list", home=founded).out.splitlines()
    assert len(shown) == 39


def test_record_list_takes_what_is_asked_for(founded: Path) -> None:
    assert {row["member"] for row in records(founded, "--member", "example-br")} == {"example-br"}
    profiles = records(founded, "--type", "members.profile")
    assert len(profiles) == 6
    assert {row["type"] for row in profiles} == {"members.profile"}
    assert len(records(founded, "--limit", "3")) == 3
    assert records(founded, "--type", "no.such") == []
    assert run("record", "list", "--type", "no.such", home=founded).out == "No records.\n"


def test_record_show(founded: Path) -> None:
    (row,) = records(founded, "--type", "members.profile", "--member", "example-br")
    done = run("record", "show", "example-br", str(row["index"]), "--json", home=founded)
    told = done.json()
    assert (told["origin"], told["index"], told["leaf"], told["state"]) == (row["origin"], row["index"], row["leaf"], "applied")
    assert json.loads(told["entry"])["name"] == "Example Institute Brazil"
    shown = run("record", "show", str(row["origin"]), str(row["index"]), home=founded).out
    assert str(row["leaf"]) in shown
    assert '"name": "Example Institute Brazil"' in shown


def test_an_entry_that_nobody_can_read_is_shown_as_it_is(demo: Path) -> None:
    log = open_home(demo).holdings.log(str(records(demo)[0]["origin"]))
    entries = [b"[" * 60_000, b"\xff\x00\x1b[2J", b"null", b"{}"]
    for index, entry in zip(log.append(entries), entries, strict=True):
        done = run("record", "show", log.tree.origin, str(index), home=demo)
        assert (done.status, done.err) == (0, "")
        assert "unreadable" in done.out
        assert "\x1b" not in done.out
        told = run("record", "show", log.tree.origin, str(index), "--json", home=demo).json()
        assert told["entry"] == entry.decode(errors="replace")
    assert run("record", "list", "--type", "", home=demo).out.count("that this version cannot read") == 4


def test_record_say(demo: Path) -> None:
    fields = {"name": "Example Institute Kenya", "country": "KE", "about": "A demonstration."}
    done = run("record", "say", "members.profile", json.dumps(fields), "--json", home=demo)
    assert (done.status, done.err) == (0, "")
    told = done.json()
    entry = run("record", "show", told["origin"], str(told["index"]), "--json", home=demo).json()
    assert entry["leaf"] == told["leaf"]
    assert json.loads(entry["entry"])["about"] == "A demonstration."
    other = run("record", "say", "members.profile", json.dumps(fields), "--member", "example-cn", "--json", home=demo)
    assert other.json()["origin"].startswith("example-cn.")


UNSAID = {
    "no JSON": (["members.profile", "{"], "the fields are not JSON"),
    "JSON nested too deeply": (["members.profile", "[" * 100_000], "the fields are not JSON"),
    "no object": (["members.profile", "[]"], "a JSON object"),
    "no such type": (["no.such", "{}"], "no record type 'no.such'"),
    "a field missing": (["members.profile", "{}"], "members.profile"),
    "a field too many": (["members.profile", '{"name": "x", "country": "KE", "colour": "red"}'], "colour"),
    "a float": (["members.leave", '{"effective": 1.5}'], "members.leave"),
    "a number too large": (["members.leave", '{"effective": 9007199254740993}'], "members.leave"),
    "too much": (["members.profile", json.dumps({"name": "x", "country": "KE", "about": "x" * 70_000})], "members.profile"),
    "half a character": (["members.profile", '{"name": "\\ud800", "country": "KE"}'], "half of a surrogate pair"),
    "another speaker": (["members.profile", '{"name": "x", "country": "KE"}', "--member", "nobody"], "nobody"),
    "the node's to say": (["ledger.evidence", "{}"], "ledger.evidence"),
}


@pytest.mark.parametrize("case", UNSAID)
def test_what_cannot_be_said_is_told_and_leaves_the_log_alone(case: str, demo: Path) -> None:
    line, words = UNSAID[case]
    before = run("log", "status", "--json", home=demo).out
    done = run("record", "say", *line, home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert words in done.err
    assert len(done.err) < 1000
    assert run("log", "status", "--json", home=demo).out == before


# proof


@pytest.fixture
def receipt(founded: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A receipt and the policy to check it with."""
    file, policy = tmp_path / "1.tlog-proof", tmp_path / "policy"
    proved = run("record", "prove", "example-ke", "1", "-o", file, "--json", home=founded)
    assert proved.json() == {"file": str(file), "size": 7, "signatures": 6}
    run("log", "policy", "example-ke", "-o", policy, home=founded)
    return file, policy


def verified(file: Path, policy: Path, *options: str | Path) -> Done:
    return run("proof", "verify", file, "--policy", policy, *options)


def test_a_receipt_is_checked_with_no_home(receipt: tuple[Path, Path], tmp_path: Path) -> None:
    done = verified(*receipt)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Good: entry 1 of 7 in the log example-ke.")
    told = verified(*receipt, "--json").json()
    assert (told["ok"], told["index"], told["size"], len(told["cosigners"])) == (True, 1, 7, 5)
    assert json.loads(told["entry"])["type"] == "members.found"


NO_NETWORK = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("a receipt is checked without a network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from concord.cli import main
main()
assert "sqlalchemy" not in sys.modules
"""


def test_a_receipt_is_checked_with_no_network_and_leaves_no_trace(receipt: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file, policy = receipt
    ran = run_process(
        [sys.executable, "-c", NO_NETWORK, "proof", "verify", file, "--policy", policy],
        env=environment(),
        cwd=tmp_path / "empty",
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_receipt_of_another_log_is_not_this_one(receipt: tuple[Path, Path], founded: Path, tmp_path: Path) -> None:
    run("log", "policy", "example-br", "-o", tmp_path / "other", home=founded)
    done = verified(receipt[0], tmp_path / "other")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def _other_entry(raw: bytes) -> bytes:
    return raw.replace(b"extra ", b"extra AAAA", 1)


def _other_index(raw: bytes) -> bytes:
    return raw.replace(b"index 1\n", b"index 2\n", 1)


def _fewer_cosigners(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join(lines[:-4])


def _no_log(raw: bytes) -> bytes:
    return b"".join(line for line in raw.splitlines(keepends=True) if not line.startswith("— example-ke.".encode()))


@pytest.mark.parametrize(
    "spoil",
    [_other_entry, _other_index, _fewer_cosigners, _no_log, lambda _: b"", lambda _: b"\xff" * 100, lambda raw: raw + b"\n"],
    ids=["entry", "index", "cosigners", "log", "empty", "none", "tail"],
)
def test_a_spoiled_receipt_is_refused(spoil: object, receipt: tuple[Path, Path]) -> None:
    file, policy = receipt
    before = file.read_bytes()
    file.write_bytes(spoil(before))  # type: ignore[operator]
    assert file.read_bytes() != before
    done = verified(file, policy)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def test_files_that_cannot_be_read_are_told(receipt: tuple[Path, Path], tmp_path: Path) -> None:
    file, policy = receipt
    (tmp_path / "large").write_bytes(b"x" * (PROOF_SIZE_MAX + 1))
    for line in (
        (tmp_path / "none", policy),
        (file, tmp_path / "none"),
        (tmp_path, policy),
        (tmp_path / "large", policy),
        (file, file),
    ):
        done = verified(*line)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def test_an_entry_may_be_brought_besides(receipt: tuple[Path, Path], founded: Path, tmp_path: Path) -> None:
    told = run("record", "show", "example-ke", "1", "--json", home=founded).json()
    (tmp_path / "entry").write_text(told["entry"])
    assert verified(*receipt, "--entry", tmp_path / "entry").status == 0
    (tmp_path / "entry").write_text(told["entry"] + " ")
    assert verified(*receipt, "--entry", tmp_path / "entry").status == 1


def test_no_receipt_without_an_entry_and_none_where_nothing_can_be_written(founded: Path, tmp_path: Path) -> None:
    done = run("record", "prove", "example-ke", "700", "-o", tmp_path / "f", home=founded)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert not (tmp_path / "f").exists()
    assert run("record", "prove", "example-ke", "1", "-o", tmp_path / "no" / "f", home=founded).status == 1
