"""Reading a stored xorb: a run of chunks by one call to the disk, each of them checked, the content into memory that is used again.

Chunks that could not be packed are most of what is large and random. Their headers lie between them, but the system can be told
to put a run of bytes into many places, so their content comes to lie in one piece, without a copy.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from concord.errors import DamagedError, MalformedError
from concord.ledger.chunks import sums
from concord.tlog.errors import ForgedError
from concord.xet.xorb import HEADER_SIZE, Table, unseal, verified

PIECE = 1 << 20  # bytes of content that are read at once, or one chunk more
RUN_MAX = 500  # chunks that are read at once: each takes two of the 1024 places that Linux takes in one call


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a stored xorb: where its chunks are, and their sums (empty if it has none)."""

    table: Table
    sums: tuple[int, ...]

    def runs(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The chunks [start, stop) in runs of about PIECE bytes of content."""
        while start < stop:
            last = min(stop, start + RUN_MAX, max(start + 1, self.table.at(self.table.span(start)[0] + PIECE)))
            yield start, last
            start = last

    def is_plain(self, start: int, stop: int) -> bool:
        """Whether the chunks [start, stop), taken together, are as long as stored as they are unpacked: then none is packed."""
        first, end = self.table.place(start, stop)
        return end - first == self.table.size(start, stop) + HEADER_SIZE * (stop - start)


@dataclass(frozen=True, slots=True)
class Reader:
    """An open xorb. DamagedError from every method, if a chunk is not what was written."""

    path: Path
    handle: int
    held: Held

    def fill(self, piece: bytearray, start: int, stop: int) -> None:
        """Make `piece` the content of the chunks [start, stop), which are a run."""
        _fit(piece, self.held.table.size(start, stop))
        with memoryview(piece) as into:
            if self.held.sums and self.held.is_plain(start, stop):
                self._scatter(into, start, stop)
            else:
                self._unpack(into, start, stop)

    def check(self) -> None:
        """Hash all chunks in full, and look whether their sums agree."""
        for number in range(len(self.held.table)):
            stored = self.stored(number)
            self._hashed(number, stored)
            if self.held.sums and self.held.sums[number] != sums.sum_of(stored):
                raise damaged(self.path, f"the sum of chunk {number} is not what was written")

    def stored(self, number: int) -> bytes:
        """A chunk as it lies there, not checked."""
        start, stop = self.held.table.place(number, number + 1)
        return os.pread(self.handle, stop - start, start)

    def content(self, number: int, stored: bytes | memoryview) -> bytes:
        """The content of a chunk, which was read as `stored`."""
        if not self.held.sums or self.held.sums[number] != sums.sum_of(stored):
            return self._hashed(number, stored)
        try:
            return self._whole(number, unseal(stored))
        except MalformedError as e:
            raise self._damaged(number) from e

    def _scatter(self, into: memoryview, start: int, stop: int) -> None:
        """Chunks that are not packed: each header to one place, its content to where it belongs."""
        table, offset = self.held.table, self.held.table.place(start, stop)[0]
        base = table.span(start)[0]
        heads = memoryview(bytearray(HEADER_SIZE * (stop - start)))
        parts = [
            (heads[HEADER_SIZE * place : HEADER_SIZE * (place + 1)], into[first - base : end - base])
            for place, (first, end) in enumerate(map(table.span, range(start, stop)))
        ]
        os.preadv(self.handle, [half for part in parts for half in part], offset)
        for number, (header, content) in enumerate(parts, start):
            if self.held.sums[number] != sums.of_parts(header, content):
                content[:] = self._hashed(number, self.stored(number))

    def _unpack(self, into: memoryview, start: int, stop: int) -> None:
        table = self.held.table
        offset, end = table.place(start, stop)
        base = table.span(start)[0]
        with memoryview(os.pread(self.handle, end - offset, offset)) as run:
            for number in range(start, stop):
                (lies, ends), (first, last) = table.place(number, number + 1), table.span(number)
                into[first - base : last - base] = self.content(number, run[lies - offset : ends - offset])

    def _hashed(self, number: int, stored: bytes | memoryview) -> bytes:
        try:
            return self._whole(number, verified(self.held.table.hash(number), stored))
        except (MalformedError, ForgedError) as e:
            raise self._damaged(number) from e

    def _whole(self, number: int, content: bytes) -> bytes:
        first, last = self.held.table.span(number)
        if len(content) != last - first:
            raise damaged(self.path, f"chunk {number} is not as long as was written")
        return content

    def _damaged(self, number: int) -> DamagedError:
        return damaged(self.path, f"chunk {number} is not what was written")


def damaged(path: Path, what: str) -> DamagedError:
    """What to say of a stored file that is not what was written."""
    return DamagedError(f"{path}: {what}. Set it aside, and pull what is missing again")


def _fit(piece: bytearray, size: int) -> None:
    """Give `piece` a size, which costs little if it had about that before."""
    if len(piece) > size:
        del piece[size:]
    else:
        piece.extend(bytes(size - len(piece)))
