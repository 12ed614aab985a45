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

The tag and the layout are those of xet-core at commit af1a3ff93e02d60b9e7c3790d9cb143e2e5353a7 (metadata_shard/).
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from concord.tlog.errors import MalformedError, NotCanonicalError, TooLargeError
from concord.xet.hashes import HASH_SIZE, ZERO, unspell
from concord.xet.xorb import CHUNKS_MAX, CONTENT_MAX

TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
VERSION = 2
HEADER_SIZE = 48
FOOTER_SIZE = 200
UNIT = 48
SHARD_MAX = 64 << 20

VERIFIED = 1 << 31
DIGEST = 1 << 30
MARKED = 1 << 31  # of a chunk: clients may ask for it

T = TypeVar("T")

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
    terms: tuple[Term, ...]
    ranges: tuple[bytes, ...] = ()
    digest: bytes | None = None

    @property
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
    chunks: tuple[tuple[bytes, int], ...]
    stored: int = 0


@dataclass(frozen=True)
class Shard:
    """Files and xorbs."""

    files: tuple[File, ...] = ()
    xorbs: tuple[Xorb, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """MalformedError or TooLargeError if it is not a shard. A footer is passed over: all that it says is computed."""
        if len(raw) > SHARD_MAX:
            raise TooLargeError(f"a shard of {len(raw)} bytes; at most {SHARD_MAX} are allowed")
        if not raw.startswith(TAG) or raw[32:40] != VERSION.to_bytes(8, "little"):
            raise MalformedError("not a shard of version 2")
        units = _Units(raw)
        files = tuple(_read(units, _file))
        xorbs = tuple(_read(units, _xorb))
        if raw[40:48] not in (bytes(8), FOOTER_SIZE.to_bytes(8, "little")) or (raw[40:48] == bytes(8) and units.left()):
            raise MalformedError("a shard with something after its last xorb")
        if len({file.hash for file in files}) != len(files) or len({xorb.hash for xorb in xorbs}) != len(xorbs):
            raise MalformedError("a shard that says the same file or xorb twice")
        return cls(files, xorbs)

    def __bytes__(self) -> bytes:
        return _header(0) + b"".join((*map(_file_bytes, self.files), _bookend(), *map(_xorb_bytes, self.xorbs), _bookend()))


def turned(digest: bytes) -> bytes:
    """A SHA-256 as shards have it: each group of eight bytes reversed."""
    return unspell(digest.hex())


def answer(xorbs: Sequence[Xorb], created: int, expires: int) -> bytes:
    """What a client is sent that asks for a chunk: xorbs to build on, with tables and footer. Times in POSIX seconds.

    A chunk whose hash is ZERO stands in no table.
    """
    ordered = sorted(xorbs, key=lambda xorb: _short(xorb.hash))
    files, body = _bookend(), b"".join((*map(_xorb_bytes, ordered), _bookend()))
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


class _Units:
    """The units of a shard after its header, one by one: a hash, and 16 bytes more."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._place = raw, HEADER_SIZE

    def next(self) -> tuple[bytes, bytes]:
        """The next unit. MalformedError if there is none."""
        self.need(1)
        start, self._place = self._place, self._place + UNIT
        return self._raw[start : start + HASH_SIZE], self._raw[start + HASH_SIZE : self._place]

    def bare(self) -> bytes:
        """The hash of the next unit, in which zeros follow."""
        raw, rest = self.next()
        if any(rest):
            raise NotCanonicalError("a shard with something where zeros belong")
        return raw

    def need(self, count: int) -> None:
        """MalformedError unless so many more units are there."""
        if count * UNIT > self.left():
            raise MalformedError("a shard that breaks off")

    def left(self) -> int:
        """How many bytes are left."""
        return len(self._raw) - self._place


def _read(units: _Units, one: Callable[[_Units, bytes, tuple[int, ...]], T]) -> Iterator[T]:
    """What stands before the next bookend."""
    while True:
        raw, rest = units.next()
        if raw == _END:
            return
        yield one(units, raw, struct.unpack("<4I", rest))


def _file(units: _Units, raw: bytes, numbers: tuple[int, ...]) -> File:
    flags, count, *zeros = numbers
    if any(zeros) or flags & ~(VERIFIED | DIGEST):
        raise MalformedError(f"a file with flags {flags:#x}")
    verified, digested = bool(flags & VERIFIED), bool(flags & DIGEST)
    units.need(count * (1 + verified) + digested)
    terms = tuple(_term(*units.next()) for _ in range(count))
    ranges = tuple(units.bare() for _ in range(count * verified))
    return File(raw, terms, ranges, units.bare() if digested else None)


def _term(raw: bytes, rest: bytes) -> Term:
    flags, size, start, stop = struct.unpack("<4I", rest)
    if flags or not start < stop <= CHUNKS_MAX or not 0 < size <= CONTENT_MAX:
        raise MalformedError(f"a term of {size} bytes in chunks {start} to {stop}, with flags {flags:#x}")
    return Term(raw, size, start, stop)


def _xorb(units: _Units, raw: bytes, numbers: tuple[int, ...]) -> Xorb:
    flags, count, size, stored = numbers
    if flags or not 0 < count <= CHUNKS_MAX or size > CONTENT_MAX:
        raise MalformedError(f"a xorb of {size} bytes in {count} chunks, with flags {flags:#x}")
    units.need(count)
    chunks, offset = [], 0
    for _ in range(count):
        chunk, rest = units.next()
        start, length, chunk_flags, zeros = struct.unpack("<4I", rest)
        if start != offset or zeros or chunk_flags & ~MARKED:
            raise MalformedError("a xorb whose chunks do not follow each other")
        chunks.append((chunk, length))
        offset += length
    if offset != size:
        raise MalformedError(f"a xorb of {size} bytes whose chunks have {offset}")
    return Xorb(raw, tuple(chunks), stored)


def _header(footer: int) -> bytes:
    return TAG + struct.pack("<2Q", VERSION, footer)


def _bookend() -> bytes:
    return _END + bytes(16)


def _file_bytes(file: File) -> bytes:
    flags = (VERIFIED if file.ranges else 0) | (DIGEST if file.digest else 0)
    parts = [file.hash + struct.pack("<2I8x", flags, len(file.terms))]
    parts += [term.xorb + struct.pack("<4I", 0, term.size, term.start, term.stop) for term in file.terms]
    parts += [raw + bytes(16) for raw in file.ranges]
    parts += [file.digest + bytes(16)] if file.digest else []
    return b"".join(parts)


def _xorb_bytes(xorb: Xorb) -> bytes:
    size = sum(length for _, length in xorb.chunks)
    parts, offset = [xorb.hash + struct.pack("<4I", 0, len(xorb.chunks), size, xorb.stored)], 0
    for chunk, length in xorb.chunks:
        parts.append(chunk + struct.pack("<4I", offset, length, 0, 0))
        offset += length
    return b"".join(parts)
