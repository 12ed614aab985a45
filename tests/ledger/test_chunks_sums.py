"""Sums of stored chunks: they spare work where they agree, and decide nothing where they do not."""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concord.errors import DamagedError
from concord.ledger.chunks import Chunks, Entry, reader, sums
from concord.testing import NOW
from concord.xet import hashes, xorb
from concord.xet.xorb import HEADER_SIZE, seal


def stream(size: int) -> bytes:
    return b"".join(sha256(b"%d" % number).digest() for number in range(-(-size // 32)))[:size]


NOISE = stream(2_500_000)  # of which no chunk can be packed
WORDS = b"".join(b"%d words, " % (number * number) for number in range(150_000))  # of which every chunk is
MIXED = NOISE[:500_000] + WORDS[:500_000] + NOISE[500_000:900_000]
CONTENTS = {"noise": NOISE, "words": WORDS, "mixed": MIXED, "one": b"x"}


@pytest.fixture
def chunks(tmp_path: Path) -> Chunks:
    return Chunks(tmp_path / "chunks")


def the_xorb(chunks: Chunks) -> Path:
    (path,) = (path for path in chunks.root.glob("xorbs/??/*") if len(path.name) == 64)
    return path


def again(chunks: Chunks) -> Chunks:
    """The same store with nothing in memory."""
    return Chunks(chunks.root)


def whole(chunks: Chunks, entry: Entry) -> bytes:
    return b"".join(chunks.read(entry.hash))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The chunks that were hashed in full to be read."""
    seen: list[bytes] = []
    check = reader.verified

    def verified(chunk: bytes, stored: bytes | memoryview) -> bytes:
        seen.append(chunk)
        return check(chunk, stored)

    monkeypatch.setattr(reader, "verified", verified)
    return seen


@pytest.mark.parametrize("name", CONTENTS)
def test_what_agrees_with_its_sums_is_not_hashed_again(chunks: Chunks, name: str, hashed: list[bytes]) -> None:
    entry = chunks.ingest([CONTENTS[name]], NOW)
    assert whole(chunks, entry) == CONTENTS[name]
    assert hashed == []
    assert list(chunks.verify(deep=True)) == []
    assert len(hashed) == len(list(chunks.listing(entry.hash)))


@pytest.mark.parametrize("name", CONTENTS)
def test_a_xorb_without_sums_is_hashed_in_full(chunks: Chunks, name: str, hashed: list[bytes]) -> None:
    entry = chunks.ingest([CONTENTS[name]], NOW)
    path = the_xorb(chunks)
    raw = path.read_bytes()
    path.write_bytes(raw[: -sums.length(raw[-sums.END_SIZE :])])
    old = again(chunks)
    assert whole(old, entry) == CONTENTS[name]
    assert hashed == [hashes.unspell(chunk) for chunk, _ in old.listing(entry.hash)]
    assert list(old.verify(deep=True)) == []


@pytest.mark.parametrize("name", CONTENTS)
def test_a_damaged_sum_costs_time_only_and_is_told(chunks: Chunks, name: str, hashed: list[bytes]) -> None:
    entry = chunks.ingest([CONTENTS[name]], NOW)
    path = the_xorb(chunks)
    raw = bytearray(path.read_bytes())
    raw[-sums.END_SIZE - sums.SIZE - 1] ^= 1
    path.write_bytes(raw)
    other = again(chunks)
    assert whole(other, entry) == CONTENTS[name]
    assert len(hashed) == 1
    assert [each.hash for each in other.verify(deep=True)] == [path.name]


@pytest.mark.parametrize("name", ["noise", "words", "mixed"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_flipped_byte_of_a_chunk_is_ever_served(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chunks = Chunks(tmp_path_factory.getbasetemp() / f"flipped-{name}")
    entry = chunks.by_digest(sha256(CONTENTS[name]).hexdigest()) or chunks.ingest([CONTENTS[name]], NOW)
    path = the_xorb(chunks)
    raw = path.read_bytes()
    place = data.draw(st.integers(0, sum(len(chunks.stored(chunk)) for chunk, _ in chunks.listing(entry.hash)) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    try:
        path.write_bytes(raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :])
        with pytest.raises(DamagedError, match=path.name):
            whole(again(chunks), entry)
    finally:
        path.write_bytes(raw)


def test_a_xorb_that_was_cut_off_while_it_is_open_is_damaged(chunks: Chunks) -> None:
    entry = chunks.ingest([NOISE], NOW)
    assert whole(chunks, entry) == NOISE
    path = the_xorb(chunks)
    raw = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(DamagedError):
        whole(chunks, entry)
    path.write_bytes(raw)
    assert whole(chunks, entry) == NOISE


@pytest.mark.parametrize("name", ["noise", "mixed"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_part_of_a_file_can_be_read(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = CONTENTS[name]
    chunks = Chunks(tmp_path_factory.getbasetemp() / f"part-{name}")
    entry = chunks.by_digest(sha256(content).hexdigest()) or chunks.ingest([content], NOW)
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, len(content)))
    assert b"".join(chunks.read(entry.hash, start, stop)) == content[start:stop]
    assert b"".join(map(bytes, chunks.flow(entry.hash, start, stop))) == content[start:stop]


def test_pieces_that_flow_may_be_one_and_pieces_that_are_read_are_not(chunks: Chunks) -> None:
    entry = chunks.ingest([NOISE], NOW)
    flowing = list(chunks.flow(entry.hash))
    assert len(flowing) >= 3 and len({id(piece) for piece in flowing}) < len(flowing)
    read = list(chunks.read(entry.hash))
    assert b"".join(read) == NOISE
    assert all(0 < len(piece) <= reader.PIECE for piece in read)


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_had_at_once_is_the_next_piece(chunks: Chunks, name: str) -> None:
    entry = chunks.ingest([CONTENTS[name]], NOW)
    stream, found = chunks.flow(entry.hash), b""
    assert stream.at_once() is None  # before anything is open, nothing is
    while piece := stream.at_once() or next(stream, b""):
        found += piece
    assert found == CONTENTS[name]


def test_what_is_packed_is_not_had_at_once(chunks: Chunks) -> None:
    stream = chunks.flow(chunks.ingest([WORDS], NOW).hash)
    assert len(next(stream)) <= reader.PIECE
    assert stream.at_once() is None


@pytest.mark.skipif(not reader.NO_WAIT, reason="this system cannot read without waiting")
def test_what_is_damaged_is_damaged_at_once_too(chunks: Chunks) -> None:
    entry = chunks.ingest([NOISE], NOW)
    path = the_xorb(chunks)
    stream = chunks.flow(entry.hash)
    next(stream)
    with path.open("r+b") as file:
        file.seek(1_500_000)
        file.write(bytes(100))
    with pytest.raises(DamagedError):
        stream.at_once() or next(stream)


def test_very_many_very_small_chunks_are_read_in_runs(chunks: Chunks) -> None:
    contents = [bytes([number % 251]) * (1 + number % 3) for number in range(3000)]
    name = hashes.spell(hashes.root_of((hashes.chunk_hash(content), len(content)) for content in contents))
    chunks.put_xorb(name, [b"".join(map(seal, contents))], NOW)
    listing = [(hashes.spell(hashes.chunk_hash(content)), len(content)) for content in contents]
    file = hashes.spell(hashes.file_hash((hashes.chunk_hash(content), len(content)) for content in contents))
    entry = chunks.assemble(file, listing, NOW)
    assert whole(chunks, entry) == b"".join(contents)
    table = again(chunks).listing(entry.hash)
    assert len(list(table)) == 3000


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_a_trailer_reads_back(numbers: list[int]) -> None:
    raw = b"before" + sums.trailer(numbers, b"a footer")
    size = sums.length(raw[-sums.END_SIZE :])
    assert size == len(raw) - len(b"before")
    assert sums.parse(raw[-size:], b"a footer") == tuple(numbers)
    assert sums.parse(raw[-size:], b"a Footer") is None


@pytest.mark.parametrize("end", [b"", b"XXH3", b"\0\0\0\0XXH4", b"\xff\xff\xff\xffXXH3"])
def test_what_is_no_trailer_has_no_length(end: bytes) -> None:
    assert sums.length(end) == 0


@given(st.binary(min_size=1, max_size=200), st.data())
def test_every_byte_counts_into_the_sum(content: bytes, data: st.DataObject) -> None:
    stored = seal(content)
    place = data.draw(st.integers(0, len(stored) - 1))
    flipped = stored[:place] + bytes([stored[place] ^ data.draw(st.integers(1, 255))]) + stored[place + 1 :]
    assert sums.sum_of(flipped) != sums.sum_of(stored)


def test_runs_are_of_about_one_mebibyte() -> None:
    sizes = [100_000] * 40
    table = xorb.Table(bytes(32 * 40), tuple(100_008 * n for n in range(1, 41)), tuple(100_000 * n for n in range(1, 41)))
    runs = list(reader.Held(table, ()).runs(0, len(sizes)))
    assert [end - start for start, end in runs] == [10, 10, 10, 10]
    assert all(end == start for (_, end), (start, _) in pairwise(runs))
    assert HEADER_SIZE == 8 and reader.Held(table, ()).is_plain(0, 40)


def test_a_xorb_under_the_name_of_another_is_damaged(chunks: Chunks) -> None:
    chunks.ingest([NOISE], NOW)
    path = the_xorb(chunks)
    raw = path.read_bytes()
    other = chunks.root / "xorbs" / "ab" / ("ab" * 32)
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(raw)
    with pytest.raises(DamagedError, match="of another xorb"):
        again(chunks).check_xorb(other.name, deep=False)
    other.unlink()


def test_sums_do_not_make_a_footer_right(chunks: Chunks) -> None:
    chunks.ingest([NOISE], NOW)
    path = the_xorb(chunks)
    raw = path.read_bytes()
    size = sums.length(raw[-sums.END_SIZE :])
    length = int.from_bytes(raw[-size - 4 : -size], "little") + 4
    footer = bytearray(raw[-size - length : -size])
    footer[60] ^= 1  # in the hash of the first chunk, with a sum that fits
    forged = sums.trailer(sums.parse(raw[-size:], raw[-size - length : -size]) or (), bytes(footer))
    path.write_bytes(raw[: -size - length] + bytes(footer) + forged)
    assert [each.kind for each in again(chunks).verify(deep=True)] == ["xorb"]
