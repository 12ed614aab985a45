"""Xorbs and shards: what clients send is read, what is malformed or forged is refused, and nothing swells."""

from collections.abc import Iterator
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.tlog.errors import ForgedError, MalformedError, TooLargeError
from concord.xet import packing, shard, xorb
from concord.xet.chunker import CHUNK_MAX
from concord.xet.hashes import chunk_hash, file_hash, range_hash, spell
from concord.xet.packing import Scheme
from concord.xet.shard import File, Shard, Term, Xorb
from concord.xet.xorb import Header, Table, footer, parse_footer, seal, split, unseal

VECTORS = Path(__file__).parents[1] / "vectors" / "xet"
NAME = "8d8099471de3904bc5a3540dacec8c744e1fb742e93c608883834fd0609ae29d"
HASHES = st.binary(min_size=32, max_size=32)
CHUNKS = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=20)


def vectors(folder: str) -> list[Path]:
    found = sorted((VECTORS / folder).iterdir())
    assert found
    return found


def table_of(raw: bytes, size: int = 1 << 20) -> Table:
    pieces = (raw[start : start + size] for start in range(0, len(raw), size))
    return Table.of((chunk_hash(unseal(stored)), stored) for stored in split(pieces))


# Packing


@pytest.mark.parametrize("content", [b"x", bytes(CHUNK_MAX), bytes(range(251)) * 300, b"\x3f\x80\x01\x7a" * 999 + b"end"])
def test_what_is_sealed_is_unsealed(content: bytes) -> None:
    stored = seal(content)
    assert unseal(stored) == content
    assert len(stored) <= len(content) + xorb.HEADER_SIZE
    assert bytes(Header.parse(stored[:8])) == stored[:8]


@given(st.binary(min_size=1, max_size=3000))
def test_any_content_can_be_sealed(content: bytes) -> None:
    assert unseal(seal(content)) == content


def test_weights_are_grouped() -> None:
    weights = b"".join((1 << 30 | number * 7919 % (1 << 23)).to_bytes(4, "little") for number in range(8000))
    assert Header.parse(seal(weights)[:8]).scheme == Scheme.GROUPED_LZ4
    assert unseal(seal(weights)) == weights


def test_only_a_chunk_can_be_sealed() -> None:
    for content in (b"", bytes(CHUNK_MAX + 1)):
        with pytest.raises(RuntimeError):
            seal(content)


def test_a_frame_that_lies_about_its_size_makes_no_more_than_was_said() -> None:
    bomb = lz4.frame.compress(bytes(1 << 26), store_size=True)
    with pytest.raises(MalformedError):
        packing.unpack(Scheme.LZ4, bomb, 100)


# Xorbs


@pytest.mark.parametrize("path", vectors("xorb/good"), ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_xorb_of_a_client_is_read(path: Path, size: int) -> None:
    assert spell(table_of(path.read_bytes(), size).root) == NAME


@pytest.mark.parametrize("path", vectors("xorb/bad"), ids=lambda path: path.stem)
def test_a_bad_xorb_is_malformed(path: Path) -> None:
    with pytest.raises(MalformedError):
        table_of(path.read_bytes())


@pytest.mark.parametrize("path", vectors("xorb/forged"), ids=lambda path: path.stem)
def test_a_forged_xorb_has_another_name(path: Path) -> None:
    assert spell(table_of(path.read_bytes()).root) != NAME


def test_a_chunk_that_is_another_is_forged() -> None:
    assert xorb.verified(chunk_hash(b"one"), seal(b"one")) == b"one"
    with pytest.raises(ForgedError):
        xorb.verified(chunk_hash(b"one"), seal(b"two"))


def test_at_most_8192_chunks_of_together_64_mib() -> None:
    tiny, large = seal(b"x"), seal(bytes(CHUNK_MAX))
    assert sum(1 for _ in split([tiny * xorb.CHUNKS_MAX])) == xorb.CHUNKS_MAX
    assert sum(1 for _ in split([large * 512])) == 512
    for raw in (tiny * (xorb.CHUNKS_MAX + 1), large * 512 + tiny):
        with pytest.raises(TooLargeError):
            list(split([raw]))


def test_an_endless_footer_is_not_waited_for() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield seal(b"x") + b"XETBLOB"
        while True:
            taken += 1 << 16
            yield bytes(1 << 16)

    with pytest.raises(TooLargeError):
        list(split(endless()))
    assert taken < 2 * xorb.FOOTER_MAX


@given(CHUNKS)
def test_a_table_says_where_everything_is(contents: list[bytes]) -> None:
    stored = [seal(content) for content in contents]
    table = Table.of(zip(map(chunk_hash, contents), stored, strict=True))
    raw, whole = b"".join(stored), b"".join(contents)
    assert parse_footer(footer(table)) == table == table_of(raw + footer(table))
    assert len(footer(table)) == xorb.footer_size(len(table))
    for number, content in enumerate(contents):
        start, stop = table.place(number, number + 1)
        first, last = table.span(number)
        assert unseal(raw[start:stop]) == whole[first:last] == content
        assert table.at(first) == table.at(last - 1) == number
    assert list(table.chunks()) == [(chunk_hash(content), len(content)) for content in contents]


@given(CHUNKS, st.data())
def test_a_footer_with_one_wrong_byte_is_malformed(contents: list[bytes], data: st.DataObject) -> None:
    raw = footer(Table.of((chunk_hash(content), seal(content)) for content in contents))
    place = data.draw(st.integers(0, len(raw) - 1))
    flipped = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
    stops = len(raw) - 32 - 8 * len(contents)
    free = (4 if len(contents) > 1 else 8) * len(contents)  # where a chunk ends as stored does not count into the name,
    if not stops <= place < stops + free:  # and of a single one neither does where it ends unpacked
        with pytest.raises(MalformedError):
            parse_footer(flipped)
    for wrong in (raw[:-1], raw + b"\0", raw[:place], b""):
        with pytest.raises(MalformedError):
            parse_footer(wrong)


# Shards


def test_a_shard_of_a_client_is_read() -> None:
    raw = (VECTORS / "shard/good/three-files.shard").read_bytes()
    found = Shard.parse(raw)
    assert bytes(found) == raw
    xorbs = {each.hash: each for each in found.xorbs}
    assert [spell(each) for each in xorbs] == [NAME]
    for file in found.files:
        parts = [xorbs[term.xorb].chunks[term.start : term.stop] for term in file.terms]
        assert file_hash(chunk for part in parts for chunk in part) == file.hash
        assert tuple(range_hash(b"".join(chunk for chunk, _ in part)) for part in parts) == file.ranges
        assert file.size == sum(size for part in parts for _, size in part)


@pytest.mark.parametrize("path", vectors("shard/bad"), ids=lambda path: path.stem)
def test_a_bad_shard_is_malformed(path: Path) -> None:
    with pytest.raises(MalformedError):
        Shard.parse(path.read_bytes())


def test_a_shard_over_64_mib_is_refused() -> None:
    with pytest.raises(TooLargeError):
        Shard.parse(bytes(shard.SHARD_MAX + 1))


TERMS = st.lists(st.builds(Term, HASHES, st.integers(1, 1 << 20), st.integers(0, 99), st.integers(100, 8192)), max_size=5)


@st.composite
def files(draw: st.DrawFn) -> File:
    terms = tuple(draw(TERMS))
    ranges = tuple(draw(HASHES) for _ in terms) if draw(st.booleans()) else ()
    return File(draw(HASHES.filter(lambda raw: raw != b"\xff" * 32)), terms, ranges, draw(st.none() | HASHES))


XORBS = st.builds(
    Xorb,
    HASHES.filter(lambda raw: raw != b"\xff" * 32),
    st.lists(st.tuples(HASHES, st.integers(1, 1000)), min_size=1, max_size=5).map(tuple),
    st.integers(0, 1 << 26),
)


@given(
    st.lists(files(), max_size=4, unique_by=lambda file: file.hash).map(tuple),
    st.lists(XORBS, max_size=4, unique_by=lambda each: each.hash).map(tuple),
)
def test_shards_read_back(some_files: tuple[File, ...], some_xorbs: tuple[Xorb, ...]) -> None:
    whole = Shard(some_files, some_xorbs)
    assert Shard.parse(bytes(whole)) == whole
    answered = Shard.parse(shard.answer(some_xorbs, 1, 2))
    assert set(answered.xorbs) == set(some_xorbs)


def test_a_hidden_chunk_stands_in_no_table() -> None:
    shown = Xorb(b"x" * 32, ((b"a" * 32, 1), (bytes(32), 2), (b"c" * 32, 3)))
    raw = shard.answer([shown], 5, 9)
    footer_start = len(raw) - shard.FOOTER_SIZE
    chunk_lookup, count = (int.from_bytes(raw[footer_start + at : footer_start + at + 8], "little") for at in (56, 64))
    assert count == 2
    rows = [raw[chunk_lookup + 16 * row : chunk_lookup + 16 * row + 16] for row in range(2)]
    assert [(row[:8], row[8:12], row[12]) for row in rows] == [(b"a" * 8, bytes(4), 0), (b"c" * 8, bytes(4), 2)]
    assert int.from_bytes(raw[-8:], "little") == footer_start


def test_a_digest_is_known_in_both_orders() -> None:
    digest = bytes(range(32))
    for said in (None, digest, shard.turned(digest)):
        assert File(b"f" * 32, (), (), said).has_digest(digest)
    assert not File(b"f" * 32, (), (), bytes(32)).has_digest(digest)
