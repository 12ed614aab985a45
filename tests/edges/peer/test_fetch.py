"""Files from several peers at once: whatever breaks, lies or waits, the same bytes, and none asked for twice."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sharing import World, source, stream

from concord.edges.peer import fetch as fetching
from concord.edges.peer import tries, units
from concord.edges.peer.content import Shared, find
from concord.edges.peer.fetch import Fetch, How
from concord.edges.peer.plan import Wanted
from concord.edges.peer.source import FolderSource
from concord.edges.peer.whole import fetch_whole
from concord.errors import ConcordError, ForgedError, LaterError, MissingError, StorageError, UnreachableError
from concord.ledger.blobs import Blobs, Hold
from concord.ledger.chunks import Chunks
from concord.shelf import Shelf
from concord.testing import NOW, NodeSource, states
from concord.testing.lines import Dripping, Line, kind
from concord.testing.processes import PATIENCE
from concord.xet.hashes import spell, unspell
from concord.xet.packing import Scheme
from concord.xet.xorb import Header


def flipped(content: bytes, *places: int) -> bytes:
    changed = bytearray(content)
    for place in places:
        changed[place : place + 10] = bytes(10)
    return bytes(changed)


ONE = stream(700_000, "one")
TWO = flipped(ONE, 300_000)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def one(world: World) -> Wanted:
    return world.share(ONE)


@pytest.fixture(scope="module")
def two(world: World, one: Wanted) -> Wanted:
    return world.share(TWO)


@pytest.fixture
def chunks(tmp_path: Path) -> Chunks:
    return Chunks(tmp_path / "chunks")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test waits for long."""
    monkeypatch.setattr(tries, "PAUSE", 0.001)
    monkeypatch.setattr(tries, "STEP", 0.01)
    monkeypatch.setattr(units, "STALL", 60)  # a machine that is busy is no source that is silent
    monkeypatch.setattr(units, "SLOWER", 1e9)


class Late:
    """A source that tells what there is, and asks for patience whenever bytes of it are wanted."""

    ahead = 2

    def __init__(self, line: Line, wait: int = 1000) -> None:
        self.name, self._line, self._wait = line.name, line, wait

    def get(self, path: str, most: int) -> bytes:
        return self._line.get(path, most)

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self.part(path, start, 1 << 40)

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        if kind(path) in ("xorbs", "file"):
            raise LaterError(f"{self.name} asks for patience", self._wait)
        return self._line.part(path, start, stop)


def run(chunks: Chunks, wanted: Wanted, *sources: Line, **how: object) -> Fetch:
    fetch = Fetch(chunks, wanted, sources, lambda: NOW, How(**how))
    fetch.run()
    return fetch


def content(chunks: Chunks, wanted: Wanted) -> bytes:
    entry = chunks.by_digest(wanted.sha256)
    assert entry is not None
    return b"".join(chunks.read(entry.hash))


def test_a_file_crosses_over_and_its_next_version_costs_its_new_chunks(
    world: World, one: Wanted, two: Wanted, chunks: Chunks
) -> None:
    line = source(world)
    run(chunks, one, line)
    assert content(chunks, one) == ONE
    assert line.sent["xorbs"] == world.stored(one)
    again = source(world)
    run(chunks, two, again)
    assert content(chunks, two) == TWO
    assert again.sent["xorbs"] == world.stored(two, one) < 300_000
    assert sum(again.sent.values()) - again.sent["xorbs"] < 1000
    assert not list((chunks.root / "coming").rglob("*"))


def test_what_is_here_already_costs_its_map(world: World, one: Wanted, chunks: Chunks) -> None:
    run(chunks, one, source(world))
    line = source(world)
    run(chunks, one, line)
    assert line.sent.keys() == {"map"}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    breaks=st.lists(st.integers(0, 150_000) | st.integers(0, 50), max_size=8),
    others=st.lists(st.integers(0, 150_000), max_size=4) | st.none(),
)
def test_wherever_lines_break_the_same_bytes_come_and_none_of_them_twice(
    world: World, one: Wanted, tmp_path_factory: pytest.TempPathFactory, breaks: list[int], others: list[int] | None
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    lines = [source(world, breaks=breaks)] + ([source(world, breaks=others, name="another")] if others is not None else [])
    for _ in range(len(breaks) + len(others or []) + 1):
        chunks = Chunks(folder / "chunks")  # as after a start
        try:
            run(chunks, one, *lines)
        except UnreachableError:
            continue
        break
    assert content(chunks, one) == ONE
    assert sum(line.sent["xorbs"] for line in lines) == world.stored(one)


def test_a_process_that_is_killed_in_the_middle_of_a_chunk_loses_nothing(world: World, one: Wanted, chunks: Chunks) -> None:
    """What is left then is what a line leaves that breaks; whoever comes next finds it, and believes only what proves right."""
    line = source(world, breaks=[100_000, *[0] * 20])
    with pytest.raises(UnreachableError):
        run(chunks, one, line)
    runs = sorted((chunks.root / "coming").rglob("*-*"))
    assert sum(path.stat().st_size for path in runs) == line.sent["xorbs"] > 0
    runs[0].write_bytes(flipped(runs[0].read_bytes(), 10))
    again = source(world)
    run(Chunks(chunks.root), one, again)
    assert content(chunks, one) == ONE
    assert again.sent["xorbs"] <= world.stored(one)


def test_two_sources_share_the_work_and_one_that_dies_leaves_it_to_the_other(
    world: World, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "UNIT", 100_000)
    wanted = world.share(stream(2_000_000, "shared"))

    died = Event()

    class Dying(Line):
        def part(self, path: str, start: int, stop: int) -> object:
            self.dead = self.sent["xorbs"] > 300_000
            if self.dead:
                died.set()
            return super().part(path, start, stop)

    class Steady(Line):
        def part(self, path: str, start: int, stop: int) -> object:
            assert kind(path) == "rows" or died.wait(PATIENCE)
            return super().part(path, start, stop)

    steady, dying = Steady(NodeSource(world.node), name="steady"), Dying(NodeSource(world.node), name="dying")
    run(chunks, wanted, steady, dying)
    assert content(chunks, wanted) == stream(2_000_000, "shared")
    assert steady.sent["xorbs"] > 0 and dying.sent["xorbs"] > 300_000
    assert dying.dead


def test_who_is_silent_loses_its_work_to_who_is_not(world: World, chunks: Chunks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "UNIT", 1)
    monkeypatch.setattr(units, "STALL", 0.3)
    silent, quick = source(world, wait=2.0, name="silent"), source(world, name="quick")
    wanted = world.share(stream(600_000, "waiting"))
    fetch = run(chunks, wanted, quick, silent)
    assert content(chunks, wanted) == stream(600_000, "waiting")
    assert fetch.tally.came["quick"] == world.stored(wanted)


def xorbs_only(path: str) -> bool:
    return kind(path) == "xorbs"


@pytest.mark.parametrize("count", [1, 9], ids=["a chunk", "many chunks"])
def test_who_sends_byte_by_byte_holds_nobody_up(world: World, chunks: Chunks, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """A chunk would take it an hour: what it has under way is had from somebody else, from its beginning if need be."""
    monkeypatch.setattr(units, "UNIT", 1)
    monkeypatch.setattr(units, "STALL", 0.2)
    monkeypatch.setattr(units, "SLOWER", 4)
    content_ = stream(60_000 * count, f"dripped {count}")
    wanted = world.share(content_)
    quick = source(world, name="quick", wait=0.1)
    trap = Dripping(NodeSource(world.node), xorbs_only, 0.06)
    fetch = run(chunks, wanted, trap, quick)
    assert content(chunks, wanted) == content_
    assert fetch.tally.came["quick"] == world.stored(wanted)
    assert all(sender.out is None for sender in fetch.senders)


def test_who_sends_rows_slowly_is_asked_for_no_more_of_them(world: World, chunks: Chunks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "TRIAL", 1.0)
    parts = [stream(300_000, seed) for seed in ("row", "rows", "more rows")]
    for part in parts[:2]:
        world.share(part)
    wanted, quick = world.share(b"".join(parts)), source(world, name="quick")
    trap = Dripping(NodeSource(world.node), lambda path: kind(path) == "rows", 0.2)
    fetch = run(chunks, wanted, trap, quick)
    assert content(chunks, wanted) == b"".join(parts)
    assert fetch.senders[0].slow
    assert quick.sent["rows"] >= 44 * len(list(chunks.listing(str(wanted.xet)))), "all rows are those that it sent"


def test_if_all_are_slow_the_quickest_is_taken(world: World, one: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "TRIAL", 0.02)
    monkeypatch.setattr(tries, "BRISK", 1e12)
    kept = world.shelf.keep(world.repo, "slow.txt", os.urandom(400_000))
    lines = [source(world, wait=wait, name=f"after {wait}") for wait in (0.2, 0.03)]
    blobs = Blobs(tmp_path / "blobs")
    fetch_whole(blobs, Wanted(world.repo.root, kept.sha256, kept.size), lines)
    blobs.check(kept.sha256)
    assert lines[1].sent["file"] > lines[0].sent["file"] > 0
    assert sum(line.sent["file"] for line in lines) == kept.size, "what the slow ones sent is not sent again"


def test_who_asks_for_patience_is_asked_when_its_time_is_over(world: World, one: Wanted, chunks: Chunks, tmp_path: Path) -> None:
    line = source(world, later=[0, 1, 0, 1])
    fetch = run(chunks, one, line)
    assert content(chunks, one) == ONE
    assert fetch.senders[0].out is None
    assert line.sent["xorbs"] == world.stored(one)
    kept = world.shelf.keep(world.repo, "patient.txt", os.urandom(5_000))
    line.later[:] = [0, 1]
    fetch_whole(Blobs(tmp_path / "blobs"), Wanted(world.repo.root, kept.sha256, kept.size), [line])
    assert line.sent["file"] == 5_000


def test_others_do_the_work_of_who_asks_for_patience(world: World, one: Wanted, chunks: Chunks, tmp_path: Path) -> None:
    late, quick = Late(source(world, name="patient")), source(world, name="quick")
    fetch = run(chunks, one, late, quick)
    assert content(chunks, one) == ONE
    assert fetch.tally.came == {"patient": 0, "quick": world.stored(one)}
    kept = world.shelf.keep(world.repo, "two.txt", os.urandom(5_000))
    fetch_whole(Blobs(tmp_path / "blobs"), Wanted(world.repo.root, kept.sha256, kept.size), [late, quick])
    assert quick.sent["file"] == 5_000


def test_who_only_ever_asks_for_patience_is_given_up(world: World, one: Wanted, chunks: Chunks) -> None:
    for line in (source(world, later=[2] * 1000), Late(source(world), wait=2)):
        with pytest.raises(UnreachableError, match="patience"):
            run(chunks, one, line, patience=3)


def test_forged_bytes_are_found_at_their_chunk_and_their_sender_is_asked_no_more(
    world: World, one: Wanted, chunks: Chunks, tmp_path: Path
) -> None:
    forger = source(world, forge=lambda path, place: "/xorbs/" in path and ".rows" not in path and place in (-1, 200_000))
    with pytest.raises(ForgedError):
        run(chunks, one, forger)
    assert chunks.by_digest(one.sha256) is None
    fetch = run(chunks, one, forger, source(world, wait=0.01, name="honest"))
    assert content(chunks, one) == ONE
    assert isinstance(fetch.senders[0].out, ForgedError)


@pytest.mark.parametrize("what", [".map", ".rows"])
@pytest.mark.parametrize("place", [40, 60, 100, 200, 400, 470])
def test_a_forged_description_gives_no_file(world: World, one: Wanted, chunks: Chunks, what: str, place: int) -> None:
    forger = source(world, forge=lambda path, at: path.endswith(what) and at in (-1, place))
    try:
        run(chunks, one, forger)
    except ConcordError:
        assert chunks.by_digest(one.sha256) is None
    else:
        assert content(chunks, one) == ONE  # what was flipped says nothing of the content
    run(chunks, one, source(world))
    assert content(chunks, one) == ONE


def test_a_map_of_another_file_is_refused_whoever_sends_it(world: World, one: Wanted, two: Wanted, chunks: Chunks) -> None:
    class Swapped(Line):
        def get(self, path: str, most: int) -> bytes:
            return super().get(path.replace(one.sha256, two.sha256), most)

    for wanted in (one, Wanted(one.root, one.sha256, one.size)):
        with pytest.raises(ForgedError):
            run(chunks, wanted, Swapped(NodeSource(world.node)))
    assert chunks.by_digest(two.sha256) is None


def test_who_reads_meanwhile_gets_the_bytes_in_order(world: World, one: Wanted, chunks: Chunks) -> None:
    fetch = Fetch(chunks, one, [source(world, breaks=[50_000, 60_000], wait=0.01)], lambda: NOW)
    thread = Thread(target=fetch.run)
    thread.start()
    for start, stop in ((0, len(ONE)), (123_456, 400_000), (len(ONE) - 1, len(ONE))):
        assert b"".join(fetch.read(start, stop)) == ONE[start:stop]
    thread.join()
    assert b"".join(fetch.read(5, 10)) == ONE[5:10]


def test_a_span_costs_its_chunks_and_counts_when_all_is_wanted(world: World, one: Wanted, chunks: Chunks) -> None:
    line = source(world)
    fetch = run(chunks, one, line, span=(500_000, 500_100))
    assert b"".join(fetch.read(500_000, 500_100)) == ONE[500_000:500_100]
    assert 0 < line.sent["xorbs"] <= 2 * 131_080
    assert chunks.by_digest(one.sha256) is None
    run(chunks, one, line)
    assert content(chunks, one) == ONE
    assert line.sent["xorbs"] == world.stored(one)


def test_what_landed_first_is_not_cleared_away_before_the_last_has(
    world: World, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may take longer than bytes that no file names are kept: here 50 hours for each xorb."""
    monkeypatch.setattr(fetching, "LANES", 1)
    parts = [stream(300_000, seed) for seed in ("slow", "slower", "slowest")]
    for part in parts[:2]:
        world.share(part)
    wanted, begun, now = world.share(b"".join(parts)), set[str](), NOW

    def pass_time(path: str, _place: int) -> bool:
        nonlocal now
        if "/xorbs/" in path and not path.endswith(".rows") and path not in begun:
            begun.add(path)
            now += 50 * 3600
        return False

    def clock() -> int:
        chunks.gc((), (), now - 72 * 3600)
        return now

    Fetch(chunks, wanted, [source(world, forge=pass_time)], clock).run()
    assert len(begun) == 3
    assert content(chunks, wanted) == b"".join(parts)


def test_nobody_has_it_and_nobody_answers_are_two_things(world: World, one: Wanted, chunks: Chunks) -> None:
    dead = source(world)
    dead.dead = True
    never = Wanted(one.root, "ab" * 32, 5)
    with pytest.raises(MissingError):
        run(chunks, never, source(world))
    with pytest.raises(UnreachableError):
        run(chunks, never, source(world), dead)
    with pytest.raises(MissingError):
        run(chunks, never)


def test_who_packs_otherwise_forged_nothing(world: World, chunks: Chunks) -> None:
    """The hash of a chunk says nothing of how it is packed, so two nodes may have one xorb in different bytes."""
    wanted = world.share(bytes(100_000) + stream(300_000, "packed") + bytes(200_000))
    other = states.watching(world.node)
    run(other.chunks, wanted, source(world))
    for name in other.chunks.xorbs_of(str(wanted.xet)):
        contents = [other.chunks.content(spell(chunk)) for chunk, _ in other.chunks.table(name).chunks()]
        other.chunks.set_aside(name)
        other.chunks.put_xorb(name, [bytes(Header(Scheme.NONE, len(raw), len(raw))) + raw for raw in contents], NOW)
    shelf = Shelf(other)
    shelf.content.give(shelf.find(world.repo.id, None), [wanted.sha256])
    lines = [source(world, wait=0.01), Line(NodeSource(other), wait=0.01, name="otherwise")]
    fetch = run(chunks, wanted, *lines)
    assert content(chunks, wanted) == bytes(100_000) + stream(300_000, "packed") + bytes(200_000)
    assert not any(isinstance(sender.out, ForgedError) for sender in fetch.senders)
    alone = Chunks(chunks.root / "alone")
    run(alone, wanted, Line(NodeSource(other)))
    assert content(alone, wanted) == content(chunks, wanted)


def test_the_same_paths_in_a_folder_are_a_source(world: World, one: Wanted, chunks: Chunks, tmp_path: Path) -> None:
    shared, names = Shared(world.node), [f"{one.sha256}.map"]
    for xorb in world.node.chunks.xorbs_of(str(one.xet)):
        names += [f"xorbs/{xorb}", f"xorbs/{xorb}.rows"]
    for name in names:
        size, read = find(shared, one.root, name)
        path = tmp_path / "stick" / "peer" / "content" / one.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(read(0, size)))
    Fetch(chunks, one, [FolderSource(tmp_path / "stick")], lambda: NOW).run()
    assert content(chunks, one) == ONE


# What never leaves


def test_private_gated_held_and_strange_files_never_leave(world: World, chunks: Chunks) -> None:
    secret = stream(300_000, "secret")
    private = world.shelf.open(world.me, "model", "secret", private=True)
    gated = world.shelf.open(world.me, "model", "gated", private=False)
    world.shelf.configure(world.me, gated, "manual")
    hidden = [world.share(secret, private), world.share(stream(200_000, "gated"), gated)]
    held = world.share(stream(200_000, "held"))
    world.node.blobs.hold(held.sha256, Hold(by="tester", reason="under review", at=NOW))
    others = [Wanted(world.repo.root, each.sha256, each.size, each.xet) for each in hidden]
    for wanted in (*hidden, *others, held, Wanted("ab" * 32, held.sha256, held.size)):
        line = source(world)
        with pytest.raises(MissingError):
            run(chunks, wanted, line)
        with pytest.raises(MissingError):
            fetch_whole(Blobs(chunks.root / "blobs"), wanted, [line])
        assert sum(line.sent.values()) == 0


def test_of_a_xorb_that_a_private_file_has_chunks_of_only_the_others_leave(world: World, chunks: Chunks) -> None:
    secret, shared = stream(400_000, "hidden"), stream(200_000, "beside")
    private = world.shelf.open(world.me, "model", "beside", private=True)
    whole = world.share(secret + shared, private)
    public = world.share(shared + stream(150_000, "more"))
    (xorb,) = set(world.node.chunks.xorbs_of(public.xet)) & set(world.node.chunks.xorbs_of(whole.xet))
    only = {chunk for chunk, _ in world.node.chunks.listing(whole.xet)} - {
        chunk for chunk, _ in world.node.chunks.listing(public.xet)
    }
    assert only
    asked = NodeSource(world.node)
    rows = b"".join(asked.part(f"peer/content/{public.root}/xorbs/{xorb}.rows", 0, 1 << 20))
    assert not any(unspell(chunk) in rows for chunk in only)
    for start, stop in ((0, 10), (0, 600_000), (100_000, 600_000)):
        with pytest.raises(MissingError):
            list(asked.part(f"peer/content/{public.root}/xorbs/{xorb}", start, stop))
    run(chunks, public, source(world))
    assert content(chunks, public) == shared + stream(150_000, "more")
    assert not any(list(chunks.wanted([(chunk, 1)])) == [] for chunk in only)


def test_what_is_not_taken_whole_is_taken_by_its_chunks(world: World, chunks: Chunks) -> None:
    """Most of what a xorb has is here under another name: then the rest comes alone."""
    a, b = stream(500_000, "a"), stream(60_000, "b")
    first = world.share(a)
    other = Chunks(chunks.root / "other")
    other.ingest([a + b], NOW)
    mine = other.by_digest(sha256(a + b).hexdigest())
    chunks.ingest([a[:400_000]], NOW)
    line = source(world)
    run(chunks, first, line)
    assert content(chunks, first) == a
    assert line.sent["xorbs"] < 250_000
    assert mine is not None


def test_a_full_disk_ends_a_fetch_and_what_came_counts_once_there_is_room(world: World, one: Wanted, tmp_path: Path) -> None:
    reserve = [1 << 62]
    chunks = Chunks(tmp_path / "chunks", lambda: reserve[0])
    with pytest.raises(StorageError, match="reserve_bytes"):
        run(chunks, one, source(world))
    assert chunks.by_digest(one.sha256) is None
    assert not list((chunks.root / "xorbs").rglob("*"))
    reserve[0] = 0
    run(chunks, one, source(world))
    assert content(chunks, one) == ONE


def test_who_has_no_room_for_a_file_is_told_before_a_byte_of_it_comes(world: World, one: Wanted, tmp_path: Path) -> None:
    line, full = source(world), Chunks(tmp_path / "chunks", lambda: 1 << 62)
    with pytest.raises(StorageError, match=r"0\.7 MB are to come"):
        run(full, one, line)
    assert line.sent["xorbs"] == 0
    assert not list(full.coming(one.sha256).rglob("*-*"))


@pytest.mark.parametrize("asked", [1, 2, 5, 12])
def test_a_disk_that_is_full_on_the_way_keeps_what_came(world: World, one: Wanted, tmp_path: Path, asked: int) -> None:
    left = [asked]

    def reserve() -> int:
        left[0] -= 1
        return 0 if left[0] >= 0 else 1 << 62

    chunks, line = Chunks(tmp_path / "chunks", reserve), source(world)
    with pytest.raises(StorageError, match="reserve_bytes"):
        run(chunks, one, line)
    assert chunks.entries() == list(chunks.verify(deep=True)) == []
    left[0] = 1 << 30
    run(chunks, one, line)
    assert content(chunks, one) == ONE


def test_a_file_whose_chunks_are_all_here_needs_no_room(world: World, one: Wanted, chunks: Chunks) -> None:
    run(chunks, one, source(world))
    full = Chunks(chunks.root, lambda: 1 << 62)
    full.remove(full.entries()[0].hash)
    run(full, one, source(world))
    assert content(full, one) == ONE
