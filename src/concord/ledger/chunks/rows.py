"""Rows: where each chunk of a xorb is, as one peer tells another.

    hash of the chunk (32 bytes) │ where it begins in the xorb as stored u32 │ bytes as stored u32 │ bytes of content u32

Numbers are little-endian. A row stands by itself and takes 44 bytes, so whoever wants the chunks from 7 to 9 asks for the bytes
from 7 · 44 to 9 · 44. A chunk that the asker may not learn of is a row of zeros.

>>> row = Row(b"c" * 32, 0, 20, 12)
>>> rows = Rows(5, bytes(row) + bytes(SIZE))
>>> rows[5] == row, rows[6], len(rows)
(True, None, 2)
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from concord.errors import MalformedError
from concord.xet.chunker import CHUNK_MAX
from concord.xet.hashes import HASH_SIZE
from concord.xet.xorb import HEADER_SIZE, STORED_MAX, Table

SIZE = HASH_SIZE + 12  # bytes of a row
HIDDEN = bytes(SIZE)


@dataclass(frozen=True, slots=True)
class Row:
    """One chunk: its hash, where it begins and how long it is as stored, and how many bytes of content it has."""

    chunk: bytes
    start: int
    length: int
    size: int

    @classmethod
    def parse(cls, raw: bytes) -> "Row | None":
        """The row, or None if it is hidden. MalformedError if no chunk could be so."""
        if raw == HIDDEN:
            return None
        start, length, size = struct.unpack("<3I", raw[HASH_SIZE:])
        if not 0 < size <= CHUNK_MAX or not HEADER_SIZE < length <= size + HEADER_SIZE or start + length > STORED_MAX:
            raise MalformedError(f"a chunk of {size} bytes that takes {length} from {start} on")
        return cls(raw[:HASH_SIZE], start, length, size)

    def __bytes__(self) -> bytes:
        return self.chunk + struct.pack("<3I", self.start, self.length, self.size)


class Rows:
    """The rows of the chunks from `first` on, kept as they came: a large file has a million of them."""

    def __init__(self, first: int, raw: bytes) -> None:
        if len(raw) % SIZE:
            raise MalformedError(f"{len(raw)} bytes, which are no rows")
        self.first = first
        self.raw = raw

    def __len__(self) -> int:
        return len(self.raw) // SIZE

    def __contains__(self, number: int) -> bool:
        return self.first <= number < self.first + len(self)

    def __getitem__(self, number: int) -> Row | None:
        """The row of the chunk `number`. MalformedError if it cannot be one."""
        start = (number - self.first) * SIZE
        return Row.parse(self.raw[start : start + SIZE])


def write(table: Table, shown: Iterable[tuple[int, int]]) -> bytes:
    """The rows of all chunks of a xorb; those that lie in no [start, stop) of `shown` are hidden."""
    rows = [HIDDEN] * len(table)
    for start, stop in shown:
        for number in range(start, min(stop, len(table))):
            (first, end), (begin, last) = table.place(number, number + 1), table.span(number)
            rows[number] = bytes(Row(table.hash(number), first, end - first, last - begin))
    return b"".join(rows)
