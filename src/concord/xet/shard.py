"""Shards: which chunks a file has, and where they are (Xet specification v1.1.0; all numbers little-endian).

    header   TAG (32 bytes) │ version u64 = 2 │ length of the footer u64, or 0
    files    of each: hash │ flags u32 │ count of terms u32 │ 8 zeros
                 of each term: hash of the xorb │ flags u32 = 0 │ bytes u32 │ first chunk u32 │ chunk after the last u32
                 of each term: range hash │ 16 zeros                                        (flag VERIFIED)
                 SHA-256 of the file │ 16 zeros                                             (flag DIGEST)
             32 times 0xff │ 16 zeros
    xorbs    of each: hash │ flags u32 = 0 │ count of chunks u32 │ bytes u32 │ bytes as stored u32
                 of each chunk: hash │ offset in the content u32 │ bytes u32 │ flags u32 │ 4 zeros
             32 times 0xff │ 16 zeros
    footer   left out in what a client sends; needed in what it is sent

Everything between is in units of 48 bytes. The SHA-256 stands in the order of the groups of eight bytes reversed, because it went
through the spelling of hashes on its way; writers that did without are known, so `File.has_digest` takes both.

What a server answers to "do you have this chunk?" is a shard without files, with the xorbs that the client may build on, a
table from the first eight bytes of each chunk hash to its place, and a footer (`answer`). A xorb may have chunks that the asker may
not learn of: their hashes are zeros and stand in no table, and their neighbours keep their places.

>>> term = Term(b"x" * 32, 12, 0, 1)
>>> file = File(b"f" * 32, (term,), (b"r" * 32,), bytes(range(32)))
>>> shard = Shard((file,), (Xorb(b"x" * 32, ((b"c" * 32, 12),)),))
>>> len(bytes(shard)), Shard.parse(bytes(shard)) == shard
(432, True)

A shard of 64 MiB names more than a million chunks, which as Python objects would take four times as much. So what is read is
checked once and kept as the bytes that came, out of which terms, range hashes and chunks are read whenever they are looked at
(`concord.xet.values`).

The tag and the layout are those of xet-core at commit af1a3ff93e02d60b9e7c3790d9cb143e2e5353a7 (metadata_shard/).
"""

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from io import BytesIO
from itertools import accumulate, chain
from typing import Self

from concord.tlog.errors import MalformedError, NotCanonicalError, TooLargeError
from concord.xet.hashes import HASH_SIZE, ZERO, unspell
from concord.xet.values import Values
from concord.xet.xorb import CHUNKS_MAX, CONTENT_MAX, Table

TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
VERSION = 2
HEADER_SIZE = 48
FOOTER_SIZE = 200
UNIT = 48
SHARD_MAX = 64 << 20

VERIFIED = 1 << 31
DIGEST = 1 << 30
MARKED = 1 << 31  # of a chunk: clients may ask for it

_END = b"\xff" * HASH_SIZE


@dataclass(frozen=True, slots=True)
class Term:
    """The chunks [start, stop) of a xorb, `size` bytes of content, as the next part of a file."""

    xorb: bytes
    size: int
    start: int
    stop: int


@dataclass(frozen=True)
class File:
    """A file as its terms, the range hash of each (none: not verified), and perhaps its SHA-256 as the shard spells it."""

    hash: bytes
    terms: Sequence[Term]
    ranges: Sequence[bytes] = ()
    digest: bytes | None = None

    @cached_property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(term.size for term in self.terms)

    def has_digest(self, digest: bytes) -> bool:
        """Whether the file claims this SHA-256, in either order, or none."""
        return self.digest in (None, digest, turned(digest))


@dataclass(frozen=True)
class Xorb:
    """A xorb as (hash, size) of each chunk, and how many bytes it has as stored (0: not said)."""

    hash: bytes
    chunks: Sequence[tuple[bytes, int]]
    stored: int = 0

    def is_of(self, table: Table) -> bool:
        """Whether its chunks are those of a table."""
        sizes = accumulate(size for _, size in self.chunks)
        return tuple(sizes) == table.ends and b"".join(chunk for chunk, _ in self.chunks) == table.hashes


@dataclass(frozen=True)
class Shard:
    """Files and xorbs."""

    files: Sequence[File] = ()
    xorbs: Sequence[Xorb] = ()

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """MalformedError or TooLargeError if it is not a shard. A footer is passed over: all that it says is computed."""
        if len(raw) > SHARD_MAX:
            raise TooLargeError(f"a shard of {len(raw)} bytes; at most {SHARD_MAX} are allowed")
        if not raw.startswith(TAG) or raw[32:40] != VERSION.to_bytes(8, "little"):
            raise MalformedError("not a shard of version 2")
        files, place = _blocks(raw, HEADER_SIZE, _after_file)
        xorbs, place = _blocks(raw, place, _after_xorb)
        if raw[40:48] not in (bytes(8), FOOTER_SIZE.to_bytes(8, "little")) or (raw[40:48] == bytes(8) and place != len(raw)):
            raise MalformedError("a shard with something after its last xorb")
        if _repeat(raw, files) or _repeat(raw, xorbs):
            raise MalformedError("a shard that says the same file or xorb twice")
        return cls(Values(partial(_file, raw), files), Values(partial(_xorb, raw), xorbs))

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, unit by unit."""
        yield _header(0)
        yield from chain.from_iterable(map(_file_pieces, self.files))
        yield _bookend()
        yield from chain.from_iterable(map(_xorb_pieces, self.xorbs))
        yield _bookend()

    def __bytes__(self) -> bytes:
        whole = BytesIO()
        whole.writelines(self.pieces())
        return whole.getvalue()


def turned(digest: bytes) -> bytes:
    """A SHA-256 as shards have it: each group of eight bytes reversed."""
    return unspell(digest.hex())


def answer(xorbs: Sequence[Xorb], created: int, expires: int) -> bytes:
    """What a client is sent that asks for a chunk: xorbs to build on, with tables and footer. Times in POSIX seconds.

    A chunk whose hash is ZERO stands in no table.
    """
    ordered = sorted(xorbs, key=lambda xorb: _short(xorb.hash))
    files, body = _bookend(), b"".join((*chain.from_iterable(map(_xorb_pieces, ordered)), _bookend()))
    xorb_table, chunk_table = _tables(ordered)
    offsets = (HEADER_SIZE, HEADER_SIZE + len(files))
    lookup = offsets[1] + len(body)
    chunk_lookup = lookup + len(xorb_table)
    end = chunk_lookup + len(chunk_table)
    content = sum(size for xorb in ordered for _, size in xorb.chunks)
    numbers = (1, *offsets, lookup, 0, lookup, len(ordered), chunk_lookup, len(chunk_table) // 16)
    footer = struct.pack("<9Q", *numbers) + ZERO + struct.pack("<2Q48x", created, expires)
    footer += struct.pack("<4Q", sum(xorb.stored for xorb in ordered), 0, content, end)
    return _header(FOOTER_SIZE) + files + body + xorb_table + chunk_table + footer


def _tables(xorbs: Sequence[Xorb]) -> tuple[bytes, bytes]:
    """From the first eight bytes of a hash to the unit where it stands: of xorbs, and of chunks (with the number of the chunk)."""
    unit, xorb_rows, chunk_rows = 0, [], []
    for xorb in xorbs:
        xorb_rows.append(struct.pack("<QI", _short(xorb.hash), unit))
        chunk_rows += [(_short(chunk), unit, number) for number, (chunk, _) in enumerate(xorb.chunks) if chunk != ZERO]
        unit += 1 + len(xorb.chunks)
    return b"".join(xorb_rows), b"".join(struct.pack("<QII", *row) for row in sorted(chunk_rows))


def _short(raw: bytes) -> int:
    return int.from_bytes(raw[:8], "little")


# Reading: every unit is checked once, and then read where it stands


def _blocks(raw: bytes, place: int, after: Callable[[bytes, int], int]) -> "tuple[array[int], int]":
    """Where each of the blocks before the next bookend begins, and where that ends; `after` checks a block, and tells its end."""
    places = array("I")
    while raw[place : place + HASH_SIZE] != _END:
        _need(raw, place, 1)
        places.append(place)
        place = after(raw, place)
    _need(raw, place, 1)
    return places, place + UNIT


def _need(raw: bytes, place: int, count: int) -> None:
    if place + count * UNIT > len(raw):
        raise MalformedError("a shard that breaks off")


def _repeat(raw: bytes, places: Sequence[int]) -> bool:
    """Whether two of the blocks have one hash. Their beginnings take half the memory, and are the same only if somebody tries."""
    beginnings = {_short(raw[place : place + 8]) for place in places}
    return len(beginnings) < len(places) and len({raw[place : place + HASH_SIZE] for place in places}) < len(places)


def _numbers(raw: bytes, place: int) -> tuple[int, int, int, int]:
    first, second, third, fourth = struct.unpack_from("<4I", raw, place + HASH_SIZE)
    return first, second, third, fourth


def _section(raw: bytes, place: int, count: int) -> memoryview:
    """So many units, which are there."""
    _need(raw, place, count)
    return memoryview(raw)[place : place + count * UNIT]


def _after_file(raw: bytes, place: int) -> int:
    flags, count, *zeros = _numbers(raw, place)
    if any(zeros) or flags & ~(VERIFIED | DIGEST):
        raise MalformedError(f"a file with flags {flags:#x}")
    for term in struct.iter_unpack("<32x4I", _section(raw, place + UNIT, count)):
        _check_term(*term)
    bare = count * bool(flags & VERIFIED) + bool(flags & DIGEST)
    place += UNIT * (1 + count)
    if any(map(any, struct.iter_unpack("<32x2Q", _section(raw, place, bare)))):
        raise NotCanonicalError("a shard with something where zeros belong")
    return place + UNIT * bare


def _check_term(flags: int, size: int, start: int, stop: int) -> None:
    if flags or not start < stop <= CHUNKS_MAX or not 0 < size <= CONTENT_MAX:
        raise MalformedError(f"a term of {size} bytes in chunks {start} to {stop}, with flags {flags:#x}")


def _after_xorb(raw: bytes, place: int) -> int:
    flags, count, size, _ = _numbers(raw, place)
    if flags or not 0 < count <= CHUNKS_MAX or size > CONTENT_MAX:
        raise MalformedError(f"a xorb of {size} bytes in {count} chunks, with flags {flags:#x}")
    starts, lengths, marks, zeros = zip(*struct.iter_unpack("<32x4I", _section(raw, place + UNIT, count)), strict=True)
    *offsets, end = accumulate(lengths, initial=0)
    if tuple(offsets) != starts or any(zeros) or not {0, MARKED}.issuperset(marks):
        raise MalformedError("a xorb whose chunks do not follow each other")
    if end != size:
        raise MalformedError(f"a xorb of {size} bytes whose chunks have {end}")
    return place + UNIT * (1 + count)


def _file(raw: bytes, place: int) -> File:
    flags, count, *_ = _numbers(raw, place)
    first = place + UNIT
    last = first + UNIT * count
    end = last + UNIT * count * bool(flags & VERIFIED)
    terms, ranges = Values(partial(_term, raw), range(first, last, UNIT)), Values(partial(_hash, raw), range(last, end, UNIT))
    return File(_hash(raw, place), terms, ranges, _hash(raw, end) if flags & DIGEST else None)


def _hash(raw: bytes, place: int) -> bytes:
    return raw[place : place + HASH_SIZE]


def _term(raw: bytes, place: int) -> Term:
    _, size, start, stop = _numbers(raw, place)
    return Term(_hash(raw, place), size, start, stop)


def _xorb(raw: bytes, place: int) -> Xorb:
    _, count, _, stored = _numbers(raw, place)
    first = place + UNIT
    return Xorb(_hash(raw, place), Values(partial(_chunk, raw), range(first, first + UNIT * count, UNIT)), stored)


def _chunk(raw: bytes, place: int) -> tuple[bytes, int]:
    chunk, size = struct.unpack_from("<32s4xI", raw, place)
    return chunk, size


# Writing


def _header(footer: int) -> bytes:
    return TAG + struct.pack("<2Q", VERSION, footer)


def _bookend() -> bytes:
    return _END + bytes(16)


def _file_pieces(file: File) -> Iterator[bytes]:
    flags = (VERIFIED if file.ranges else 0) | (DIGEST if file.digest else 0)
    yield file.hash + struct.pack("<2I8x", flags, len(file.terms))
    yield from (term.xorb + struct.pack("<4I", 0, term.size, term.start, term.stop) for term in file.terms)
    yield from (raw + bytes(16) for raw in file.ranges)
    yield from [file.digest + bytes(16)] if file.digest else []


def _xorb_pieces(xorb: Xorb) -> Iterator[bytes]:
    yield xorb.hash + struct.pack("<4I", 0, len(xorb.chunks), sum(length for _, length in xorb.chunks), xorb.stored)
    offset = 0
    for chunk, length in xorb.chunks:
        yield chunk + struct.pack("<4I", offset, length, 0, 0)
        offset += length
