"""The lines to peers: rates that all keep together, windows, and who is asked first."""

from pathlib import Path

import pytest

from concord.config import Settings
from concord.edges.peer.pull import pull
from concord.edges.peer.source import Counted, FolderSource
from concord.errors import MalformedError, MissingError, UnreachableError
from concord.node import Node
from concord.operations import lines
from concord.operations.lines import Line, Pace, Windowed, in_order
from concord.pillars.members import Profile
from concord.private import peers
from concord.private.peers import Peer
from concord.shelf import Shelf
from concord.testing import NOW, Clock, NodeSource, everything, states

HOUR = 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def other(clock: Clock) -> Node:
    return states.young(clock)


@pytest.fixture
def node(other: Node, clock: Clock) -> Node:
    return states.watching(other, clock)


@pytest.fixture
def folder(tmp_path: Path) -> FolderSource:
    (tmp_path / "file").write_bytes(bytes(1000))
    return FolderSource(tmp_path)


def add(node: Node, url: str, **limits: object) -> None:
    with node.private_writing() as db:
        peers.add(db, url, NOW)
        if limits:
            peers.limit(db, url, limits.get("rate"), limits.get("window"))  # type: ignore[arg-type]


def owner_of(node: Node) -> str:
    return next(origin for origin in node.holdings.hosted() if origin.startswith("ke."))


def test_a_pace_is_kept_by_all_who_share_it(folder: FolderSource, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    now = [100.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lines.time, "sleep", waited.append)
    pace = Pace(1000)
    for _ in range(3):
        assert len(b"".join(Counted(folder, pace.take).part("file", 0, 1000))) == 1000
    assert waited == pytest.approx([0, 1, 2])
    now[0] += 10
    Counted(folder, pace.take).get("file", 5000)
    assert waited[-1] == 0


def test_outside_of_its_window_a_peer_sends_nothing_that_nobody_waits_for(folder: FolderSource) -> None:
    peer = Peer("http://x.example", 0, window="22:00-06:00")
    night = Windowed(folder, peer, lambda: 23 * HOUR)
    assert len(night.get("file", 5000)) == 1000
    hours = iter([23, 7])
    closing = Windowed(folder, peer, lambda: next(hours) * HOUR).part("file", 0, 1000)
    assert len(next(closing)) == 1000  # what came before it closed stays
    with pytest.raises(UnreachableError, match="in its window only"):
        next(closing)
    day = Windowed(folder, peer, lambda: 12 * HOUR)
    for ask in (lambda: day.get("file", 5000), lambda: list(day.stream("file", 0)), lambda: list(day.part("file", 0, 10))):
        with pytest.raises(UnreachableError):
            ask()


def test_who_waits_is_not_bound_by_the_window_and_everybody_by_the_rate(node: Node, other: Node, clock: Clock) -> None:
    add(node, "http://one.example", rate=1000, window="22:00-06:00")
    add(node, "http://two.example")
    repo = Shelf(other).open(everything(owner_of(other)), "model", "words", private=False)
    clock.now = 12 * HOUR
    for waited_for, names in ((True, ["http://one.example", "http://two.example"]), (False, ["http://two.example"])):
        found = Line(node, waited_for=waited_for)(repo, Settings(), 10)
        assert [source.name for source in found] == names
    clock.now = 23 * HOUR
    found = Line(node, waited_for=False)(repo, Settings(), 10)
    assert [type(source) for source in found] == [Counted, Windowed]


def test_the_node_of_the_owner_is_asked_first_then_who_answered_last(node: Node, other: Node) -> None:
    for name in ("a", "b", "c", "home"):
        add(node, f"http://{name}.example")
    with node.private_writing() as db:
        peers.answered(db, "http://a.example", NOW, 0)
        peers.answered(db, "http://b.example", NOW + 5, 0)
        peers.failed(db, "http://c.example", NOW, "no answer")
    owner = owner_of(other)
    said = {"name": "Kenya", "country": "KE", "node": "http://home.example/"}
    other.say(everything(owner), Profile, said)
    pull(node, NodeSource(other))
    order = [peer.url.partition("//")[2].partition(".")[0] for peer in in_order(node, owner)]
    assert order == ["home", "b", "a", "c"]


@pytest.mark.parametrize(
    "window", ["", "22-06", "22:00", "24:00-06:00", "22:00-06:60", "22:00-22:00", "22:00 - 06:00", "２2:00-06:00"]
)
def test_a_window_that_is_none_is_refused(node: Node, window: str) -> None:
    add(node, "http://one.example")
    with node.private_writing() as db, pytest.raises(MalformedError):
        peers.limit(db, "http://one.example", None, window)


def test_no_limit_is_set_for_who_is_no_peer(node: Node) -> None:
    with node.private_writing() as db, pytest.raises(MissingError):
        peers.limit(db, "http://one.example", 5, None)
