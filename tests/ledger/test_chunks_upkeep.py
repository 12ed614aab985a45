"""The chunk store over time: damage is found and never served, garbage goes and nothing else, and crashes lose nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concord.errors import DamagedError, MissingError
from concord.ledger.chunks import Chunks, Entry, answers
from concord.ledger.chunks.reader import Held, Reader, Room
from concord.testing import NOW
from concord.xet.chunker import cut
from concord.xet.hashes import ZERO, chunk_hash, root_of, spell, unspell
from concord.xet.shard import Shard
from concord.xet.xorb import Table, seal

DAY = 86_400


def stream(size: int, seed: str) -> bytes:
    return b"".join(sha256(b"%s/%d" % (seed.encode(), number)).digest() for number in range(-(-size // 32)))[:size]


A, B = stream(700_000, "a"), stream(700_000, "b")
C = A[:350_000] + B[350_000:]  # shares with both


@pytest.fixture
def chunks(tmp_path: Path) -> Chunks:
    return Chunks(tmp_path / "chunks")


def whole(chunks: Chunks, entry: Entry) -> bytes:
    return b"".join(chunks.read(entry.hash))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("index.db")} - {"lock"}


def xorbs(chunks: Chunks, entry: Entry) -> set[str]:
    plan = chunks.reconstruction(entry.hash)
    assert plan is not None
    return set(plan.fetches)


def everything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


# Damage


@pytest.mark.parametrize("place", [0, 5, 8, 300_000, 699_000, -1, -7, -15, *range(-120, -600, -30)], ids=str)
def test_a_flipped_byte_is_found_and_never_served(chunks: Chunks, tmp_path: Path, place: int) -> None:
    entry = chunks.ingest([A], NOW)
    (name,) = xorbs(chunks, entry)
    path = chunks.open_xorb(name)
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    again = Chunks(tmp_path / "chunks")  # with no table in memory
    with pytest.raises(DamagedError, match=name):
        whole(again, entry)
    assert [(each.kind, each.hash) for each in again.verify(deep=True)] == [("xorb", name)]
    with pytest.raises(DamagedError):
        again.check_xorb(name)


def test_what_is_damaged_is_set_aside_and_comes_again_from_a_peer(chunks: Chunks, tmp_path: Path) -> None:
    peer = Chunks(tmp_path / "peer")
    entry = chunks.ingest([A], NOW)
    peer.ingest([A], NOW)
    (name,) = xorbs(chunks, entry)
    path = chunks.open_xorb(name)
    raw = path.read_bytes()
    path.write_bytes(raw[:1000] + bytes([raw[1000] ^ 1]) + raw[1001:])
    chunks.set_aside(name)
    assert [span.xorb for span in chunks.missing(entry.hash)] == [name]
    assert [each.kind for each in chunks.verify()] == ["shard"]
    with pytest.raises(MissingError):
        whole(chunks, entry)
    with chunks.collect(NOW) as writer:
        for chunk, _ in chunks.wanted(peer.listing(entry.hash)):
            writer.add(chunk, peer.stored(chunk))
    chunks.assemble(entry.hash, peer.listing(entry.hash), NOW)
    assert whole(chunks, entry) == A
    assert chunks.missing(entry.hash) == list(chunks.verify(deep=True)) == []


def test_one_changed_byte_costs_no_file_that_does_not_have_it(chunks: Chunks) -> None:
    one, two = chunks.ingest([A + B], NOW), chunks.ingest([B], NOW)
    (name,) = xorbs(chunks, one)
    raw = bytearray(chunks.open_xorb(name).read_bytes())
    raw[1000] ^= 1
    chunks.open_xorb(name).write_bytes(raw)
    chunks.set_aside(name)
    assert chunks.lost() == [name]
    assert chunks.salvage(NOW) > 5
    assert whole(chunks, two) == B
    with pytest.raises(MissingError):
        whole(chunks, one)
    assert chunks.salvage(NOW) == 0, "what was looked at is not read again"
    chunks.gc({one.hash, two.hash}, (), NOW + 10 * DAY)
    assert whole(chunks, two) == B
    assert [span.xorb for span in chunks.missing(one.hash)] == chunks.lost() == [name]


def test_what_follows_from_the_chunks_is_made_anew_from_them(chunks: Chunks) -> None:
    entry = chunks.ingest([A], NOW)
    (name,) = xorbs(chunks, entry)
    raw = bytearray(chunks.open_xorb(name).read_bytes())
    raw[-200] ^= 1
    chunks.open_xorb(name).write_bytes(raw)
    with pytest.raises(DamagedError):
        chunks.check_xorb(name)  # although its footer is in memory
    chunks.set_aside(name)
    chunks.salvage(NOW)
    assert whole(chunks, entry) == A
    chunks.check_xorb(name)


def test_a_shard_is_written_anew_from_the_index(chunks: Chunks) -> None:
    entry = chunks.ingest([A], NOW)
    path = chunks.root / "shards" / entry.hash[:2] / entry.hash
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    assert chunks.remake(entry.hash, NOW) == entry
    assert path.read_bytes() == before


def test_what_the_disk_cannot_read_is_damaged(tmp_path: Path) -> None:
    """The first page of a process's own memory is a place that gives EIO, as a bad sector does."""
    table = Table.of([(chunk_hash(b"x" * 100), seal(b"x" * 100))])
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        reader = Reader(tmp_path / "xorb", memory.fileno(), Held(table, (1,)))
        for read in (lambda: reader.stored(0), lambda: reader.fill(Room(), 0, 1), lambda: list(reader.checking())):
            with pytest.raises(DamagedError, match="the disk cannot read it"):
                read()


def test_what_was_set_aside_can_be_uploaded_again(chunks: Chunks) -> None:
    entry = chunks.ingest([A], NOW)
    (name,) = xorbs(chunks, entry)
    raw = chunks.open_xorb(name).read_bytes()
    chunks.set_aside(name)
    assert chunks.put_xorb(name, [raw], NOW)
    assert whole(chunks, entry) == A


def test_a_damaged_shard_is_told(chunks: Chunks, tmp_path: Path) -> None:
    entry = chunks.ingest([A], NOW)
    path = tmp_path / "chunks" / "shards" / entry.hash[:2] / entry.hash
    path.write_bytes(path.read_bytes()[:-1])
    assert [(each.kind, each.hash) for each in chunks.verify()] == [("shard", entry.hash)]


# The index


def test_the_index_is_computed_from_the_files(chunks: Chunks, tmp_path: Path) -> None:
    entries = [chunks.ingest([content], NOW) for content in (A, B, C, b"")]
    loose = b"".join(map(seal, cut([stream(300_000, "loose")])))
    name = spell(root_of((chunk_hash(part), len(part)) for part in cut([stream(300_000, "loose")])))
    chunks.put_xorb(name, [loose], NOW)
    for path in (tmp_path / "chunks").glob("index.db*"):
        path.unlink()
    again = Chunks(tmp_path / "chunks")
    assert [again.by_digest(entry.sha256) for entry in entries] == entries
    assert again.has_xorb(name)
    again.rebuild()
    assert [whole(again, entry) for entry in entries] == [A, B, C, b""]
    assert list(again.wanted(again.listing(entries[2].hash))) == []


# What may be built on


def marked(content: bytes) -> str:
    """Some chunk of the content."""
    return spell(chunk_hash(next(cut([content]))))


def test_an_answer_has_all_that_the_file_is_made_of(chunks: Chunks) -> None:
    chunks.ingest([A], NOW)
    entry = chunks.ingest([C], NOW)
    raw = chunks.neighbourhood(marked(A), lambda name: name == entry.hash, nothing, NOW, DAY)
    assert raw is not None
    shown = {(chunk, size) for each in Shard.parse(raw).xorbs for chunk, size in each.chunks if chunk != ZERO}
    assert shown == {(unspell(chunk), size) for chunk, size in chunks.listing(entry.hash)}


def test_an_answer_tells_nothing_of_what_the_asker_may_not_see(chunks: Chunks) -> None:
    private = chunks.ingest([A], NOW)
    public = chunks.ingest([C], NOW)
    assert chunks.neighbourhood(marked(A), nothing, everything, NOW, DAY) is None
    assert chunks.neighbourhood(marked(B), everything, everything, NOW, DAY) is None  # nobody has the start of it
    raw = chunks.neighbourhood(marked(A), lambda name: name == public.hash, nothing, NOW, DAY)
    assert raw is not None
    only = {unspell(chunk) for chunk, _ in chunks.listing(private.hash)} - {unspell(c) for c, _ in chunks.listing(public.hash)}
    assert only
    assert not any(chunk in raw for chunk in only)


def test_the_chunks_of_a_cut_upload_can_be_built_on(chunks: Chunks) -> None:
    parts = list(cut([A]))
    name = spell(root_of((chunk_hash(part), len(part)) for part in parts))
    chunks.put_xorb(name, map(seal, parts), NOW)
    assert chunks.neighbourhood(marked(A), everything, nothing, NOW, DAY) is None
    raw = chunks.neighbourhood(marked(A), nothing, lambda each: each == name, NOW, DAY)
    assert raw is not None
    (shown,) = Shard.parse(raw).xorbs
    assert shown.hash == unspell(name)
    assert shown.chunks == tuple((chunk_hash(part), len(part)) for part in parts)


def landed(chunks: Chunks, content: bytes, at: int = NOW) -> bytes:
    """A xorb of an upload that was cut, of one chunk; its name."""
    name = root_of([(chunk_hash(content), len(content))])
    assert chunks.put_xorb(spell(name), [seal(content)], at)
    return name


def told(chunks: Chunks, chunk: bytes, at: int, turn: int | None) -> list[bytes]:
    """The xorbs of an answer to whoever asks for a chunk."""
    raw = chunks.neighbourhood(spell(chunk_hash(chunk)), nothing, everything, at, DAY, turn)
    return [] if raw is None else [xorb.hash for xorb in Shard.parse(raw).xorbs]


def test_whoever_opens_an_upload_is_told_what_landed_for_three_days(chunks: Chunks) -> None:
    first, second = landed(chunks, b"first"), landed(chunks, b"second", NOW + 1)
    assert told(chunks, b"another", NOW + 2, None) == []
    assert set(told(chunks, b"another", NOW + 3 * DAY, 0)) == {first, second}
    assert told(chunks, b"another", NOW + 3 * DAY + 1, 0) == [second]
    assert told(chunks, b"another", NOW + 3 * DAY + 2, 0) == []  # although it was told meanwhile
    assert set(told(chunks, b"first", NOW + 3 * DAY + 2, None)) == {first, second}
    assert chunks.neighbourhood(marked(A), nothing, nothing, NOW, DAY, 0) is None


def test_what_does_not_go_into_one_answer_goes_into_the_next(chunks: Chunks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "NEIGHBOURS_MAX", 2)
    names = [landed(chunks, bytes([number])) for number in range(5)]
    turns = [set(told(chunks, b"another", NOW, turn)) for turn in range(3)]
    assert turns == [{names[3], names[4]}, {names[1], names[2]}, {names[0], names[4]}]
    assert set(told(chunks, bytes([1]), NOW, 0)) == {names[1], names[2]}  # the client goes on from there


# Garbage


def test_garbage_goes_and_nothing_else(chunks: Chunks, tmp_path: Path) -> None:
    a, b, c = (chunks.ingest([content], NOW) for content in (A, B, C))
    (of_a,), (of_b,) = xorbs(chunks, a), xorbs(chunks, b)
    tried = chunks.gc({c.hash, a.hash}, (), NOW + 1, dry_run=True)
    assert (tried.files, tried.xorbs) == ((b.hash,), ())
    assert whole(chunks, b) == B
    gone = chunks.gc({a.hash}, (), NOW + 1)
    assert set(gone.files) == {b.hash, c.hash}
    assert set(gone.xorbs) >= {of_b} and of_a not in gone.xorbs
    assert gone.size > 350_000
    assert whole(chunks, a) == A
    assert chunks.by_hash(b.hash) is chunks.by_hash(c.hash) is None
    assert files(tmp_path) == {of_a, a.hash}
    assert chunks.gc({a.hash}, (), NOW + 1).size == 0
    assert whole(chunks, chunks.ingest([C], NOW)) == C


def test_what_is_young_held_or_offered_stays(chunks: Chunks) -> None:
    a, b = chunks.ingest([A], NOW), chunks.ingest([B], NOW + 10)
    (of_a,) = xorbs(chunks, a)
    assert chunks.gc((), (), NOW).files == ()
    held = chunks.gc((), {of_a}, NOW + 10)
    assert (held.files, held.xorbs) == ((a.hash,), ())
    assert chunks.neighbourhood(marked(A), nothing, everything, NOW + 20, DAY) is not None
    assert chunks.gc((), (), NOW + 15).files == (b.hash,)
    assert chunks.has_xorb(of_a)
    assert set(chunks.gc((), (), NOW + 21).xorbs) == {of_a}


def test_a_removed_file_leaves_what_others_need(chunks: Chunks) -> None:
    a, c = chunks.ingest([A], NOW), chunks.ingest([C], NOW)
    chunks.remove(a.hash)
    assert chunks.by_hash(a.hash) is None
    chunks.gc({c.hash}, (), NOW + 1)
    assert whole(chunks, c) == C
    assert whole(chunks, chunks.ingest([A], NOW)) == A


def test_strays_and_what_was_set_aside_go_too(chunks: Chunks, tmp_path: Path) -> None:
    entry = chunks.ingest([A], NOW)
    (name,) = xorbs(chunks, entry)
    stray = tmp_path / "chunks" / "xorbs" / "ab" / ("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"a crash came between the file and the index")
    os.utime(stray, (NOW, NOW))
    chunks.set_aside(name)
    assert chunks.gc((), (), NOW).xorbs == ()
    assert set(chunks.gc((), (), NOW + 1).xorbs) == {"ab" * 32, f"{name}.damaged"}
    assert files(tmp_path) == set()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(range(5)), st.integers(0, 3)), min_size=1, max_size=8))
def test_whatever_comes_and_goes_live_files_are_whole(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    chunks = Chunks(tmp_path_factory.mktemp("laws") / "chunks")
    contents = [A[:200_000], B[:200_000], A[:100_000] + B[:100_000], A[:200_000] * 2, B[50_000:150_000] + A[:150_000]]
    live: dict[str, bytes] = {}
    for time, (which, kept) in enumerate(steps):
        entry = chunks.ingest([contents[which]], NOW + time)
        live[entry.hash] = contents[which]
        if kept < 3:
            live = dict(list(live.items())[-kept:]) if kept else {}
            chunks.gc(set(live), (), NOW + time + 1)
        for name, content in live.items():
            assert b"".join(chunks.read(name)) == content
    chunks.gc((), (), NOW + 100)
    assert (
        list((chunks.root / "xorbs").rglob("*.*")) == [path for path in (chunks.root / "xorbs").rglob("*") if path.is_file()] == []
    )


# Crashes and company


SERVER = """
import os, sys
from pathlib import Path
from concord.ledger.chunks import Chunks
from concord.xet.chunker import cut
from concord.xet.hashes import chunk_hash, spell
from concord.xet.xorb import Table, seal
chunks, content = Chunks(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()
def die():
    yield content[:500_000]
    os.kill(os.getpid(), 9)
if sys.argv[3] == "ingest":
    chunks.ingest(die(), 1)
with chunks.collect(1) as writer:
    for number, part in enumerate(cut([content])):
        writer.add(spell(chunk_hash(part)), seal(part))
        if number == 4:
            writer._new._file.flush()
            os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("way", ["ingest", "collect"])
def test_a_process_that_is_killed_leaves_nothing_half(tmp_path: Path, way: str) -> None:
    (tmp_path / "content").write_bytes(A)
    done = subprocess.run([sys.executable, "-c", SERVER, tmp_path / "chunks", tmp_path / "content", way], check=False)
    assert done.returncode == -signal.SIGKILL
    chunks = Chunks(tmp_path / "chunks")
    assert files(tmp_path / "chunks/incoming") == set()
    assert list(chunks.verify(deep=True)) == []
    listing = [(spell(chunk_hash(part)), len(part)) for part in cut([A])]
    assert list(chunks.wanted(listing)) == (listing if way == "ingest" else listing[5:])
    assert whole(chunks, chunks.ingest([A], NOW)) == A


def test_what_another_process_writes_is_no_leftover(tmp_path: Path) -> None:
    def opened_meanwhile() -> Iterator[bytes]:
        yield A[:400_000]
        Chunks(tmp_path / "chunks")
        yield A[400_000:]

    chunks = Chunks(tmp_path / "chunks")
    assert whole(chunks, chunks.ingest(opened_meanwhile(), NOW)) == A


def test_several_threads_use_one_store(chunks: Chunks) -> None:
    contents = [A, B, C, A[:300_000], C[200_000:], A, B, C]

    def work(number: int) -> None:
        for turn in range(3):
            content = contents[(number + turn) % len(contents)]
            entry = chunks.ingest([content], NOW + 10)
            assert whole(chunks, entry) == content
            chunks.gc((), (), NOW + 10)
            chunks.neighbourhood(marked(content), everything, everything, NOW + 10, DAY)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert list(chunks.verify(deep=True)) == []


def test_a_file_that_is_built_on_is_young_again_even_in_an_index_made_anew(chunks: Chunks) -> None:
    entry, other = chunks.ingest([A], NOW), chunks.ingest([B], NOW)
    chunks.renew([entry.sha256, "ab" * 32], NOW + DAY)
    assert {each.hash: each.at for each in chunks.entries()} == {entry.hash: NOW + DAY, other.hash: NOW}
    chunks.renew([entry.sha256], NOW)
    chunks.rebuild()
    assert {each.hash: each.at for each in chunks.entries()} == {entry.hash: NOW + DAY, other.hash: NOW}
    assert chunks.gc((), (), NOW + DAY).files == (other.hash,)
    assert whole(chunks, entry) == A
