"""Reading a stored xorb: a run of chunks by one call to the disk, each of them checked, the content into memory that is used again.

Chunks that could not be packed are most of what is large and random. Their headers lie between them, but the system can be told
to put a run of bytes into many places, so their content comes to lie in one piece, without a copy.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EAGAIN, EIO, EOPNOTSUPP
from itertools import pairwise
from pathlib import Path

from concord.errors import DamagedError, MalformedError
from concord.ledger.chunks import sums
from concord.tlog.errors import ForgedError
from concord.xet.xorb import HEADER_SIZE, Table, unseal, verified

PIECE = 1 << 20  # bytes of content that are read at once, or one chunk more
NO_WAIT: int = getattr(os, "RWF_NOWAIT", 0)  # of Linux: read only what need not be waited for
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


class Room:
    """Memory that is filled anew for each run of chunks: their content, and the headers that lie between."""

    def __init__(self) -> None:
        self.piece = bytearray(PIECE)
        self._raw = bytearray()
        self._heads: list[memoryview] = []

    def heads(self, count: int) -> tuple[memoryview, list[memoryview]]:
        """Room for as many headers one after the other, as a whole and each for itself."""
        if len(self._heads) < count:
            self._raw = bytearray(HEADER_SIZE * count)
            whole = memoryview(self._raw)
            self._heads = [whole[place : place + HEADER_SIZE] for place in range(0, len(whole), HEADER_SIZE)]
        return memoryview(self._raw)[: HEADER_SIZE * count], self._heads[:count]

    def fit(self, size: int) -> None:
        """Give the piece a size, which costs little if it had about that before."""
        if len(self.piece) > size:
            del self.piece[size:]
        else:
            self.piece.extend(bytes(size - len(self.piece)))


@dataclass(frozen=True, slots=True)
class Reader:
    """An open xorb. DamagedError from every method, if a chunk is not what was written."""

    path: Path
    handle: int
    held: Held

    def fill(self, room: Room, start: int, stop: int, *, wait: bool = True) -> bool:
        """Make the piece of `room` the content of the chunks [start, stop), which are a run.

        False if it may not `wait`, but would have to wait for the disk, or to unpack.
        """
        plain = bool(self.held.sums) and self.held.is_plain(start, stop)
        if not wait and not (plain and NO_WAIT):
            return False
        room.fit(self.held.table.size(start, stop))
        with memoryview(room.piece) as into:
            if plain:
                return self._scatter(into, room, start, stop, 0 if wait else NO_WAIT)
            self._unpack(into, start, stop)
        return True

    def checking(self) -> Iterator[int]:
        """Hash all chunks in full, and look whether their sums agree: how many bytes each takes, once it was found to be sound."""
        for number in range(len(self.held.table)):
            stored = self.stored(number)
            self._hashed(number, stored)
            if self.held.sums and self.held.sums[number] != sums.sum_of(stored):
                raise damaged(self.path, f"the sum of chunk {number} is not what was written")
            yield len(stored)

    def stored(self, number: int) -> bytes:
        """A chunk as it lies there, not checked."""
        return self._bytes(*self.held.table.place(number, number + 1))

    def content(self, number: int, stored: bytes | memoryview) -> bytes:
        """The content of a chunk, which was read as `stored`."""
        if not self.held.sums or self.held.sums[number] != sums.sum_of(stored):
            return self._hashed(number, stored)
        try:
            return self._whole(number, unseal(stored))
        except MalformedError as e:
            raise self._damaged(number) from e

    def _scatter(self, into: memoryview, room: Room, start: int, stop: int, flags: int) -> bool:
        """Chunks that are not packed: each header to one place, its content to where it belongs."""
        table, count = self.held.table, stop - start
        base, _ = table.span(start)
        raw, heads = room.heads(count)
        contents = [into[first - base : end - base] for first, end in pairwise((base, *table.ends[start:stop]))]
        parts = heads + contents
        parts[::2], parts[1::2] = heads, contents
        offset, end = table.place(start, stop)
        with readable(self.path):
            if _read(self.handle, parts, offset, flags) != end - offset and flags:
                return False
        found, wanted = sums.of_many(raw, contents), self.held.sums[start:stop]
        for place in () if found == wanted else range(count):
            if found[place] != wanted[place]:
                contents[place][:] = self._hashed(start + place, self.stored(start + place))
        return True

    def _unpack(self, into: memoryview, start: int, stop: int) -> None:
        table = self.held.table
        offset, end = table.place(start, stop)
        base = table.span(start)[0]
        with memoryview(self._bytes(offset, end)) as run:
            for number in range(start, stop):
                (lies, ends), (first, last) = table.place(number, number + 1), table.span(number)
                into[first - base : last - base] = self.content(number, run[lies - offset : ends - offset])

    def _bytes(self, start: int, stop: int) -> bytes:
        with readable(self.path):
            return os.pread(self.handle, stop - start, start)

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


class Stream(Iterator[bytearray]):
    """Parts of xorbs one after the other, about 1 MiB at a time, all checked: always the same memory, filled anew.

    `parts` are readers, each with the chunks [start, stop) to read, and of the content of these the bytes [first, end).
    """

    def __init__(self, parts: "Iterator[Part]") -> None:
        self._parts, self._room = parts, Room()
        self._part: Part | None = None
        self._runs: deque[tuple[int, int]] = deque()

    def __next__(self) -> bytearray:
        while not self._runs:
            self._part = next(self._parts)
            self._runs.extend(self._part.reader.held.runs(self._part.start, self._part.stop))
        piece = self._filled(wait=True)
        assert piece is not None
        return piece

    def at_once(self) -> bytearray | None:
        """The next piece, if it is in memory already and need not be unpacked: then no thread is needed to wait for it."""
        return self._filled(wait=False) if self._runs else None

    def _filled(self, *, wait: bool) -> bytearray | None:
        part, (start, stop) = self._part, self._runs[0]
        assert part is not None
        if not part.reader.fill(self._room, start, stop, wait=wait):
            return None
        self._runs.popleft()
        piece = self._room.piece
        place = part.reader.held.table.size(part.start, start) if start > part.start else 0
        inside = part.first <= place and place + len(piece) <= part.end
        return piece if inside else piece[max(0, part.first - place) : part.end - place]


@dataclass(frozen=True, slots=True)
class Part:
    """What of an open xorb is to be read."""

    reader: Reader
    start: int
    stop: int
    first: int
    end: int


def damaged(path: Path, what: str) -> DamagedError:
    """What to say of a stored file that is not what was written."""
    return DamagedError(f"{path}: {what}. Set it aside, and pull what is missing again")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What the disk says it cannot read is as lost as what it changed, and is told in the same way."""
    try:
        yield
    except OSError as e:
        if e.errno != EIO:
            raise
        raise damaged(path, "the disk cannot read it") from e


def _read(handle: int, parts: list[memoryview], offset: int, flags: int) -> int:
    """Read into `parts`; how many bytes, 0 if it would have to wait and may not, or a file system does not know how not to."""
    try:
        return os.preadv(handle, parts, offset, flags)
    except OSError as e:
        if flags and e.errno in (EAGAIN, EOPNOTSUPP):
            return 0
        raise
