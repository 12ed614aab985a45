"""Changing keys: the new one beside the old, the old one retired, and what goes wrong leaves nothing that is in the way."""

from pathlib import Path

import pytest

from concord.edges.peer.pull import pull
from concord.errors import ConcordError, DamagedError, RefusedError, SettingsError
from concord.home import open_home, pause
from concord.node import Node
from concord.operations import keys
from concord.operations.keys import What
from concord.operations.verify import verify
from concord.pillars.members import Profile
from concord.testing import NodeSource, everything
from concord.testing.processes import copy_home

KINDS: tuple[What, ...] = ("log", "witness", "office", "root")
PROFILE = {"name": "Example", "country": "KE"}


@pytest.fixture
def node(demo: Path) -> Node:
    return open_home(demo)


@pytest.fixture
def origin(node: Node) -> str:
    return node.holdings.hosted()[0]


def speak(node: Node, origin: str) -> int:
    return node.say(everything(origin), Profile, PROFILE).index


def is_whole(home: Path) -> bool:
    return not [finding for finding in verify(open_home(home), deep=True) if finding.wrong]


@pytest.mark.parametrize("what", KINDS)
def test_a_key_is_changed_and_the_member_goes_on(what: What, node: Node, origin: str, demo: Path) -> None:
    before = node.holdings.identity(origin)
    said = keys.rotate(node, demo, origin, what)
    after = node.holdings.identity(origin)
    assert before is not None and after is not None
    assert after.number == before.number + 1
    changed = {name for name in ("log", "witness", "organs", "root", "next") if getattr(before, name) != getattr(after, name)}
    assert changed == {{"office": "organs"}.get(what, what), *(["next"] if what == "root" else [])}
    assert speak(open_home(demo), origin) == said.index + 1
    node.cosign()
    assert is_whole(demo)


def test_a_new_log_key_stands_beside_the_old_until_that_is_retired(node: Node, origin: str, demo: Path) -> None:
    first = node.holdings.log_keys(origin)
    keys.rotate(node, demo, origin, "log")
    identity = node.holdings.identity(origin)
    assert identity is not None and len(identity.log) == 2
    keys.retire(node, demo, origin)
    identity = node.holdings.identity(origin)
    assert identity is not None and len(identity.log) == 1
    assert identity.log_keys()[0] not in first
    speak(node, origin)
    head = node.holdings.tree(origin).head
    assert head is not None
    assert [line.id for line in head.note.signatures if line.name == origin] == [identity.log_keys()[0].id]
    with pytest.raises(RefusedError, match="nothing to retire"):
        keys.retire(node, demo, origin)


def test_whoever_missed_all_of_it_catches_up(node: Node, origin: str, demo: Path, founded: Path) -> None:
    assert node.charter is not None
    keys.rotate(node, demo, origin, "log")
    keys.retire(node, demo, origin)
    keys.rotate(node, demo, origin, "root")
    keys.rotate(node, demo, origin, "log")
    late = open_home(copy_home(founded, demo.with_name("late")))
    speak(node, origin)
    assert not pull(late, NodeSource(node)).wrong
    assert late.holdings.tree(origin).root == node.holdings.tree(origin).root
    assert is_whole(demo)


def test_log_keys_do_not_pile_up(node: Node, origin: str, demo: Path) -> None:
    for _ in range(3):
        keys.rotate(node, demo, origin, "log")
    with pytest.raises(RefusedError, match="retire the old ones first"):
        keys.rotate(node, demo, origin, "log")
    keys.retire(node, demo, origin)
    keys.rotate(node, demo, origin, "log")


def test_root_after_root(node: Node, origin: str, demo: Path) -> None:
    for _ in range(3):
        keys.rotate(node, demo, origin, "root")
    assert is_whole(demo)


@pytest.mark.parametrize("gone", ["root-1", "root-2", "root-3"])
def test_two_of_three_root_keys_suffice_and_one_does_not(gone: str, demo: Path) -> None:
    folder = demo / "keys" / "example-ke"
    (folder / gone).unlink()
    node = open_home(demo)
    origin = node.holdings.hosted()[0]
    keys.rotate(node, demo, origin, "witness")
    for path in folder.glob("root-*"):
        path.unlink()
    node = open_home(demo)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(RefusedError, match="bring them to keys/"):
        keys.rotate(node, demo, origin, "witness")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_the_next_root_needs_all_of_its_keys(demo: Path) -> None:
    (demo / "keys" / "example-ke" / "next-2").unlink()
    node = open_home(demo)
    with pytest.raises(RefusedError, match="not all of them are in keys/"):
        keys.rotate(node, demo, node.holdings.hosted()[0], "root")


def test_keys_of_a_member_elsewhere_are_not_ours_to_change(node: Node, demo: Path) -> None:
    with pytest.raises(ConcordError):
        keys.rotate(node, demo, f"other.concord.alt/{'0' * 32}", "log")


@pytest.mark.parametrize("what", KINDS)
def test_a_change_that_was_refused_can_be_made_later(what: What, node: Node, origin: str, demo: Path) -> None:
    pause(node, "a test")
    with pytest.raises(RefusedError, match="signs nothing now"):
        keys.rotate(node, demo, origin, what)
    pause(node, None)
    keys.rotate(open_home(demo), demo, origin, what)
    assert is_whole(demo)


def test_a_key_that_a_crash_cut_off_stops_nothing(origin: str, demo: Path) -> None:
    (demo / "keys" / "example-ke" / ".log-1.new").touch(0o600)
    node = open_home(demo)
    keys.rotate(node, demo, origin, "log")
    assert speak(open_home(demo), origin)


def test_a_file_that_is_no_key_stands_where_one_goes(node: Node, origin: str, demo: Path) -> None:
    path = demo / "keys" / "example-ke" / "log-1"
    path.touch(0o600)
    with pytest.raises((DamagedError, SettingsError), match="log-1"):
        keys.rotate(node, demo, origin, "log")
