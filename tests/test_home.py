"""A home in trouble: a disk that is full or may not be written, a clock that is off, records and peers that are strange."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from concord.edges.peer.pull import pull
from concord.errors import ClockError, SettingsError
from concord.home import moved_since, open_home, settings, stay
from concord.ledger.record import ENCODER
from concord.ledger.view import State
from concord.pillars.members import Profile
from concord.reading import Filter, list_records
from concord.testing import NodeSource, everything, make_charter, make_member
from concord.testing.imposter import Imposter, http
from concord.testing.processes import command, concord, copy_home, environment, mount, serve
from concord.testing.terminal import run

DAY = 86_400
PROFILE = {"name": "Example", "country": "KE", "about": "A demonstration."}


def saying(about: str = "A demonstration.") -> list[str]:
    return ["record", "say", "members.profile", json.dumps(PROFILE | {"about": about})]


def sizes(home: Path) -> dict[str, int]:
    return {log["origin"]: log["size"] for log in run("log", "status", "--json", home=home).json()}


# A small disk


def fill(disk: Path) -> Path:
    """Take all the room that is left on a disk; the file that takes it."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    return ballast


def test_a_full_disk_loses_nothing_that_was_acknowledged(founded: Path, disk: Path) -> None:
    home = copy_home(founded, disk / "home")
    token = run("token", "create", home=home).out.strip()
    with serve(home, pull_every=0) as node:
        kept = [node.say(token, "members.profile", PROFILE).json() for _ in range(3)]
        ballast = fill(disk)
        refused = node.say(token, "members.profile", PROFILE)
        assert refused.status == 507
        assert "the disk is full; nothing acknowledged is lost. Free some space" in refused.json()["error"]
        assert refused.json()["fault"] == "this machine's"
        assert [node.get(path).status for path in ("/", "/peer/heads", "/api/v1/logs")] == [200] * 3
        ballast.unlink()
        kept.append(node.say(token, "members.profile", PROFILE).json())
        node.kill()
    log = open_home(home).holdings.tree(kept[0]["origin"])
    assert [said["index"] for said in kept] == list(range(kept[0]["index"], log.size))
    assert run("verify", "--deep", home=home).status == 0


@pytest.mark.parametrize("line", [saying(), ["token", "create"], ["person", "add", "a", "--name", "A"]])
def test_a_command_on_a_full_disk_says_what_to_do(line: list[str], founded: Path, disk: Path) -> None:
    home = copy_home(founded, disk / "home")
    before = sizes(home)
    fill(disk)
    done = concord(*line, home=home)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "the disk is full; nothing acknowledged is lost. Free some space" in done.err
    (disk / "ballast").unlink()
    assert sizes(home) == before
    assert run("verify", "--deep", home=home).status == 0


def test_a_file_that_may_not_grow_is_told_and_nothing_is_lost(demo: Path) -> None:
    before = sizes(demo)
    done = subprocess.run(
        [
            "sh",
            "-c",
            'ulimit -f 1; exec "$@"',
            "sh",
            *command(),
            "--home",
            demo,
            "record",
            "say",
            "members.profile",
            json.dumps(PROFILE),
        ],
        capture_output=True,
        check=False,
        env=environment(),
    )
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
    assert sizes(demo) == before
    assert run("verify", "--deep", home=demo).status == 0


# A home that may not be written


@pytest.fixture
def frozen(founded: Path, tmp_path: Path) -> Iterator[Path]:
    """A home on a disk that may only be read."""
    home = copy_home(founded, tmp_path / "home")
    if not (mount("--bind", home, home) and mount("-o", "remount,bind,ro", home)):
        pytest.skip("nothing can be mounted here")
    yield home
    subprocess.run(["umount", "-l", home], check=True)


@pytest.mark.parametrize(
    "line", [["serve", "--port", "1"], saying(), ["token", "create"], ["member", "rotate", "log"], ["blob", "put", __file__]]
)
def test_a_home_that_may_not_be_written_is_told_in_one_line(line: list[str], frozen: Path) -> None:
    done = concord(*line, home=frozen)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "may not be written" in done.err
    assert "--home" in done.err


# What is not what was written


DAMAGE: dict[str, Callable[[Path], object]] = {
    "node.db": lambda home: (home / "node.db").write_bytes(b"nonsense" * 1000),
    "keys": lambda home: next(home.glob("keys/*/log")).write_text("nonsense"),
    "charter": lambda home: (home / "charter").write_text("nonsense"),
    "charter gone": lambda home: (home / "charter").unlink(),
    "charter of another": lambda home: (home / "charter").write_bytes(ENCODER.encode(make_charter([make_member("ke")]))),
    "settings": lambda home: (home / "concord.toml").write_text("nonsense"),
    "a key that others may read": lambda home: next(home.glob("keys/*/log")).chmod(0o644),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_home_that_is_not_what_it_was_is_told_in_one_line(case: str, demo: Path) -> None:
    for path in demo.glob("node.db-*"):
        path.unlink()
    DAMAGE[case](demo)
    done = concord("member", "list", home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("concord: ")


def test_settings_come_from_the_file_and_the_environment(demo: Path) -> None:
    (demo / "concord.toml").write_text("pull_every = 60\nlink_minutes = 5\n")
    read = settings(demo, {"CONCORD_PULL_EVERY": "7"})
    assert (read.pull_every, read.link_minutes) == (7, 5)
    with pytest.raises(SettingsError, match="pull_every"):
        settings(demo, {"CONCORD_PULL_EVERY": "often"})


# Clocks


def test_a_clock_that_was_two_days_ahead_is_told_when_it_is_right_again(demo: Path) -> None:
    now = open_home(demo).clock()
    node = open_home(demo, lambda: now + 2 * DAY)
    origin = node.holdings.hosted()[0]
    said = node.say(everything(origin), Profile, PROFILE)
    done = run(*saying(), home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "seconds ahead of this machine's clock" in done.err
    assert sizes(demo)[origin] == said.index + 1
    assert run(*saying(), "--member", "example-br", home=demo).status == 0
    assert run("verify", "--deep", home=demo).status == 0
    assert open_home(demo, lambda: now + 2 * DAY).say(everything(origin), Profile, PROFILE).index == said.index + 1


def test_a_clock_that_is_two_days_behind_its_log_says_nothing(demo: Path) -> None:
    now = open_home(demo).clock()
    node = open_home(demo, lambda: now - 2 * DAY)
    with pytest.raises(ClockError, match="If the clock is behind, set it"):
        node.say(everything(node.holdings.hosted()[0]), Profile, PROFILE)


@pytest.mark.parametrize("off", [-2 * DAY, 2 * DAY])
def test_what_a_clock_that_is_off_wrote_is_mirrored_all_the_same(off: int, demo: Path, tmp_path: Path) -> None:
    real = open_home(demo)
    other = open_home(shutil.copytree(demo, tmp_path / "other"), lambda: real.clock() + off)
    origin = real.holdings.hosted()[0]
    real.holdings.log(origin).append([b'{"at":%d,"by":"%s","type":"no.such"}' % (real.clock() + off, origin.encode())])
    assert not pull(other, NodeSource(real)).wrong
    assert other.holdings.tree(origin).size == real.holdings.tree(origin).size


def test_how_far_a_peers_clock_is_off_is_remembered(demo: Path) -> None:
    with Imposter(lambda _: http(b"{}", Date="Thu, 01 Jan 2026 00:00:00 GMT")) as liar:
        run("peer", "add", liar.url, home=demo)
        run("peer", "pull", home=demo)
    (row,) = run("peer", "list", "--json", home=demo).json()
    assert row["error"]


def test_a_home_that_is_given_the_very_place_again_that_it_had_is_another_all_the_same(demo: Path) -> None:
    """What changes then is since when it is there; a change of its rights has the same effect, and leaves it where it is."""
    run("peer", "add", "http://127.0.0.1:9", home=demo)
    node = open_home(demo)
    stay(node, demo)
    assert moved_since(node, demo) is None
    place = (demo / "place").stat().st_ino
    (demo / "place").chmod(0o640)
    assert (demo / "place").stat().st_ino == place
    assert moved_since(node, demo) is not None
    (demo / "place").unlink()
    assert moved_since(node, demo) is not None
    stay(node, demo)
    assert moved_since(node, demo) is None


# Strangers


def test_records_of_a_newer_version_are_carried_and_shown_as_unreadable(demo: Path, tmp_path: Path) -> None:
    node, other = open_home(demo), open_home(shutil.copytree(demo, tmp_path / "other"))
    origin = node.holdings.hosted()[0]
    newer = {"at": node.clock(), "by": origin, "org": node.organisation, "type": "council.newer", "words": "From the future."}
    entry = json.dumps(newer, separators=(",", ":"), sort_keys=True).encode()
    (index,) = node.holdings.log(origin).append([entry])
    assert not pull(other, NodeSource(node)).wrong
    found = next(one for one in list_records(other, Filter()) if one.index == index and one.origin == origin)
    assert (found.type, found.state) == ("council.newer", State.UNREADABLE)
    shown = run("record", "show", origin, str(index), home=tmp_path / "other")
    assert "From the future." in shown.out
    assert run("verify", "--deep", home=tmp_path / "other").status == 0
    assert run(*saying(), home=demo).status == 0


def test_a_peer_that_sends_a_byte_now_and_then_is_given_up(demo: Path) -> None:
    whole = http(b"{" + b" " * 100_000)
    with Imposter(lambda _: liar.slowly(whole, 0.05)) as liar:
        run("peer", "add", liar.url, home=demo)
        hasty = {"CONCORD_PULL_TIMEOUT": "1", "CONCORD_PULL_RATE": "100000"}
        done = run("peer", "pull", "--json", home=demo, env=hasty)
    assert done.status == 1
    assert "less than 100000 bytes a second" in done.json()[0]["wrong"][""]


def test_a_node_that_is_joined_and_lies_leaves_nothing_behind(founded: Path, tmp_path: Path) -> None:
    charter = (founded / "charter").read_bytes()
    heads = {"format": "concord-heads/1", "organisation": "0" * 64, "heads": []}
    for answers in ({"heads": b"nonsense"}, {"heads": json.dumps(heads).encode(), "charter": charter}, {"heads": b"[" * 100_000}):
        with Imposter(lambda path: http(answers.get(path.rpartition("/")[2], b""))) as liar:  # noqa: B023  used at once
            done = run("init", "--member", "tn", "--name", "T", "--country", "TN", "--join", liar.url, home=tmp_path / "home")
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("answer", [b"nonsense", b"[]", b'{"wrong":[]}', b'{"wrong":{"x":1}}', b"[" * 100_000, b""])
def test_an_answer_to_an_application_that_is_none_is_told(answer: bytes, founded: Path, tmp_path: Path) -> None:
    organisation = open_home(founded).organisation
    files = {
        "heads": json.dumps({"format": "concord-heads/1", "organisation": organisation, "heads": []}).encode(),
        "charter": (founded / "charter").read_bytes(),
        "want": b'{"organisation":"%s","sizes":{},"blobs":[]}' % organisation.encode(),
        "bundle": answer,
    }
    with Imposter(lambda path: http(files[path.rpartition("/")[2]])) as liar:
        done = run("init", "--member", "tn", "--name", "T", "--country", "TN", "--join", liar.url, home=tmp_path / "home")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "gives no answer that a node would give" in done.err
