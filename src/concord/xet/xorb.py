"""Xorbs: chunks one after the other, packed, under one hash (Xet specification v1.1.0).

    chunk   version u8 = 0 │ packed length u24 │ scheme u8 │ length u24 │ the packed bytes      (numbers little-endian)
    xorb    chunks, then perhaps a footer

A xorb is named by the root over its chunks (`concord.xet.hashes`), so the way of packing does not count into the name. It has at
most CHUNKS_MAX chunks of at most CHUNK_MAX bytes, together at most CONTENT_MAX bytes; packed it may be larger by the headers of
its chunks only, for a chunk that does not become shorter is stored as it is.

What stands in the footer follows from the chunks. It lets a xorb be read without unpacking all of it:

    "XETBLOB" 1 │ hash of the xorb
    "XBLBHSH" 0 │ count u32 │ hash of each chunk
    "XBLBBND" 1 │ count u32 │ end of each chunk as packed, u32 │ end of each as unpacked, u32
    count u32 │ bytes from "XBLBHSH" to the end │ from "XBLBBND" to the end │ 16 zeros │ length of all before u32

A client may send one with a xorb (the newer do not); it is passed over, since all that it says is computed. A `Table` is what a
footer says, and `parse_footer(footer(table)) == table`.

>>> contents = [b"Hello World!", bytes(9000)]
>>> table = Table.of([(chunk_hash(content), seal(content)) for content in contents])
>>> stored = b"".join(seal(content) for content in contents)
>>> [unseal(part) == content for part, content in zip(split([stored]), contents)]
[True, True]
>>> len(table), table.stops[-1] == len(stored), table.span(1)
(2, True, (12, 9012))
>>> parse_footer(footer(table)) == table
True
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from concord.tlog.errors import ForgedError, MalformedError, NotCanonicalError, TooLargeError
from concord.xet.chunker import CHUNK_MAX
from concord.xet.hashes import HASH_SIZE, chunk_hash, root_of, spell
from concord.xet.packing import Scheme, pack, unpack

HEADER_SIZE = 8
CHUNKS_MAX = 8192
CONTENT_MAX = 64 << 20
STORED_MAX = CONTENT_MAX + CHUNKS_MAX * HEADER_SIZE
FOOTER_MAX = 1024 + CHUNKS_MAX * (HASH_SIZE + 8)
AFTER_MAX = FOOTER_MAX + CHUNKS_MAX * 8 + 64  # bytes after the chunks that are passed over: a node keeps its sums there, too

_SCHEMES = frozenset(Scheme)
_MARK, _HASHES, _BOUNDS = b"XETBLOB", b"XBLBHSH\x00", b"XBLBBND\x01"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before a packed chunk."""

    scheme: Scheme
    packed: int
    size: int

    @classmethod
    def parse(cls, raw: bytes | memoryview) -> "Header":
        """MalformedError unless bytes(Header.parse(raw)) == raw, and the sizes are possible."""
        if len(raw) != HEADER_SIZE or raw[0] != 0 or raw[4] not in _SCHEMES:
            raise MalformedError(f"not the header of a chunk: {bytes(raw[:HEADER_SIZE]).hex()}")
        packed, size = int.from_bytes(raw[1:4], "little"), int.from_bytes(raw[5:8], "little")
        if size > CHUNK_MAX:
            raise TooLargeError(f"a chunk of {size} bytes; at most {CHUNK_MAX} are allowed")
        scheme = Scheme(raw[4])
        if not 0 < packed <= size or (scheme == Scheme.NONE) != (packed == size):
            raise MalformedError(f"a chunk of {size} bytes packed in {packed}")
        return cls(scheme, packed, size)

    def __bytes__(self) -> bytes:
        return b"\0" + self.packed.to_bytes(3, "little") + bytes([self.scheme]) + self.size.to_bytes(3, "little")


@dataclass(frozen=True)
class Table:
    """Where the chunks of a xorb are: their hashes one after the other, where each ends as stored, and where unpacked."""

    hashes: bytes
    stops: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, chunks: Iterable[tuple[bytes, bytes]]) -> "Table":
        """Of chunks as (hash, stored bytes with header)."""
        hashes, lengths, sizes = [], [], []
        for chunk, stored in chunks:
            hashes.append(chunk)
            lengths.append(len(stored))
            sizes.append(Header.parse(memoryview(stored)[:HEADER_SIZE]).size)
        return cls(b"".join(hashes), tuple(accumulate(lengths)), tuple(accumulate(sizes)))

    def __len__(self) -> int:
        return len(self.stops)

    def hash(self, number: int) -> bytes:
        """The hash of one chunk."""
        return self.hashes[number * HASH_SIZE : (number + 1) * HASH_SIZE]

    def place(self, start: int, stop: int) -> tuple[int, int]:
        """From where to where the chunks [start, stop) are stored."""
        return (self.stops[start - 1] if start else 0), self.stops[stop - 1]

    def span(self, number: int) -> tuple[int, int]:
        """From where to where a chunk goes in the content."""
        return (self.ends[number - 1] if number else 0), self.ends[number]

    def size(self, start: int, stop: int) -> int:
        """How many bytes of content the chunks [start, stop) have."""
        return self.ends[stop - 1] - (self.ends[start - 1] if start else 0)

    def at(self, offset: int) -> int:
        """The chunk that has the byte at `offset` of the content."""
        return bisect_right(self.ends, offset)

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[bytes, int]]:
        """(hash, size) of the chunks [start, stop)."""
        for number in range(start, len(self) if stop is None else stop):
            first, last = self.span(number)
            yield self.hash(number), last - first

    @cached_property
    def root(self) -> bytes:
        """The hash that names the xorb."""
        return root_of(self.chunks())


def seal(content: bytes) -> bytes:
    """A chunk as it is stored, header and packed bytes."""
    if not 0 < len(content) <= CHUNK_MAX:
        raise RuntimeError(f"a chunk has 1 to {CHUNK_MAX} bytes")
    scheme, packed = pack(content)
    return bytes(Header(scheme, len(packed), len(content))) + packed


def unseal(stored: bytes | memoryview) -> bytes:
    """The content of a chunk as it is stored. MalformedError if it is not exactly one chunk."""
    view = memoryview(stored)
    header = Header.parse(view[:HEADER_SIZE])
    if len(view) != HEADER_SIZE + header.packed:
        raise MalformedError(f"{len(view)} bytes where a chunk has {HEADER_SIZE + header.packed}")
    return unpack(header.scheme, view[HEADER_SIZE:], header.size)


def verified(chunk: bytes, stored: bytes | memoryview) -> bytes:
    """The content of a stored chunk. ForgedError unless it has the hash `chunk`."""
    content = unseal(stored)
    if chunk_hash(content) != chunk:
        raise ForgedError(f"what came as chunk {spell(chunk)} is something else")
    return content


def split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The stored chunks of a xorb that comes in pieces, without a footer. MalformedError or TooLargeError if it is no xorb.

    No more than one piece and one chunk are kept in memory. What the chunks hold is not looked at.
    """
    waiting, source = bytearray(), iter(pieces)
    count = content = 0
    while _filled(waiting, source, HEADER_SIZE) and not waiting.startswith(_MARK):
        header = Header.parse(memoryview(waiting)[:HEADER_SIZE].tobytes())
        count, content = count + 1, content + header.size
        if count > CHUNKS_MAX or content > CONTENT_MAX:
            raise TooLargeError(f"a xorb of more than {CHUNKS_MAX} chunks or {CONTENT_MAX} bytes")
        length = HEADER_SIZE + header.packed
        if not _filled(waiting, source, length) or len(waiting) < length:
            raise MalformedError("a xorb that breaks off")
        yield bytes(memoryview(waiting)[:length])
        del waiting[:length]
    if count == 0 or (waiting and not waiting.startswith(_MARK)):
        raise MalformedError("a xorb that breaks off" if count else "a xorb without chunks")
    _filled(waiting, source, AFTER_MAX + 1)
    if len(waiting) > AFTER_MAX:
        raise TooLargeError("more after the chunks of a xorb than a footer has")


def _filled(waiting: bytearray, source: Iterator[bytes], length: int) -> bool:
    """Take from `source` until `length` bytes wait, or it ends. Whether any wait."""
    while len(waiting) < length and (piece := next(source, None)) is not None:
        waiting += piece
    return bool(waiting)


def footer(table: Table) -> bytes:
    """What follows the chunks of a stored xorb."""
    count = len(table)
    bounds = _BOUNDS + struct.pack(f"<I{2 * count}I", count, *table.stops, *table.ends)
    hashes = _HASHES + struct.pack("<I", count) + table.hashes
    toes = 12 + 16
    last = struct.pack("<3I16x", count, len(hashes) + len(bounds) + toes, len(bounds) + toes)
    body = _MARK + b"\x01" + table.root + hashes + bounds + last
    return body + struct.pack("<I", len(body))


def footer_size(count: int) -> int:
    """How long the footer of a xorb with so many chunks is."""
    return 8 + HASH_SIZE + 2 * (8 + 4) + count * (HASH_SIZE + 8) + 12 + 16 + 4


def parse_footer(raw: bytes) -> Table:
    """The table that a footer says. MalformedError unless footer(parse_footer(raw)) == raw, and it could be one."""
    table, _ = read_footer(raw)
    if footer(table) != raw:
        raise NotCanonicalError("a footer that does not say what its chunks say")
    for column, most in ((table.stops, CHUNK_MAX + HEADER_SIZE), (table.ends, CHUNK_MAX)):
        if not all(0 < later - earlier <= most for earlier, later in pairwise((0, *column))):
            raise MalformedError("a footer with chunks of impossible size")
    return table


def read_footer(raw: bytes) -> tuple[Table, bytes]:
    """The table and the hash of the xorb that a footer says, for who knows that `footer` made it: nothing is computed anew."""
    count, rest = divmod(len(raw) - footer_size(0), HASH_SIZE + 8)
    if rest or not 0 < count <= CHUNKS_MAX:
        raise MalformedError(f"{len(raw)} bytes, which no footer of a xorb has")
    start = 8 + HASH_SIZE + 12
    hashes = raw[start : start + count * HASH_SIZE]
    numbers = struct.unpack_from(f"<{2 * count}I", raw, start + count * HASH_SIZE + 12)
    return Table(hashes, numbers[:count], numbers[count:]), raw[8 : 8 + HASH_SIZE]
