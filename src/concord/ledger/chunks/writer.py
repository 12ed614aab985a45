"""Chunks that come one by one become xorbs, and a file becomes terms over them."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from concord.errors import StorageError
from concord.ledger.chunks.disk import Disk, NewXorb
from concord.xet.hashes import range_hash, unspell
from concord.xet.shard import Term
from concord.xet.xorb import verified

Land = Callable[[NewXorb], object]


class Writer:
    """Writes chunks into xorbs, each of which lands in the store as soon as it is full, the last with the end of the `with` block.

    What came before an error lands, too: its chunks are verified, and need not come again.
    """

    def __init__(self, disk: Disk, land: Land, suffix: str, need: Callable[[int], None] = lambda _size: None) -> None:
        """`need` is asked before bytes of a peer are taken (`Chunks.need`); what is verified already moves within the store."""
        self._disk, self._land, self._suffix, self._need = disk, land, suffix, need
        self._open = ExitStack()
        self._new: NewXorb | None = None

    def add(self, chunk: str, stored: bytes) -> None:
        """Take a chunk as a peer stores it. MalformedError or ForgedError if it is not the chunk that has this hash."""
        name = unspell(chunk)
        self._need(len(stored))
        self.put(name, stored, len(verified(name, stored)))

    def put(self, chunk: bytes, stored: bytes, size: int) -> tuple[NewXorb, int]:
        """Take a chunk that is verified; where it is."""
        if self._new is None or not self._new.has_room(size):
            self.flush()
            self._new = self._open.enter_context(self._disk.new_xorb(self._suffix))
        return self._new, self._new.add(chunk, stored, size)

    def find(self, chunk: bytes) -> tuple[NewXorb, int] | None:
        """Where a chunk is that was taken and has not landed."""
        number = self._new.numbers.get(chunk) if self._new else None
        return None if self._new is None or number is None else (self._new, number)

    def flush(self) -> None:
        """Let land what was taken."""
        new, self._new = self._new, None
        with self._open:
            if new is not None:
                self._land(new)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, StorageError):
            self._new = None
        self.flush()


class Weave:
    """The terms of a file whose chunks come one by one: chunks that lie side by side in a xorb are one term."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, home: NewXorb | bytes, number: int, chunk: bytes, size: int) -> None:
        """Take the next chunk of the file, and where it is."""
        run = self._runs[-1] if self._runs else None
        if run is None or not run.takes(home, number):
            if run is not None:
                run.close()
            run = _Run(home, number)
            self._runs.append(run)
        run.add(chunk, size)

    def follows(self, home: bytes, number: int) -> bool:
        """Whether the chunk there lies after the last one taken."""
        return bool(self._runs) and self._runs[-1].takes(home, number)

    def terms(self) -> Iterable[tuple[Term, bytes]]:
        """Each term and its range hash, once all xorbs have landed."""
        for run in self._runs:
            home = _name(run.home)
            assert home is not None, "a term over a xorb that has not landed"
            yield Term(home, run.size, run.start, run.stop), run.close()


class _Run:
    """Chunks [start, stop) of a xorb."""

    def __init__(self, home: NewXorb | bytes, start: int) -> None:
        self.home, self.start, self.stop, self.size = home, start, start, 0
        self._hashes = bytearray()
        self._range = b""

    def takes(self, home: NewXorb | bytes, number: int) -> bool:
        """Whether the chunk there is the next."""
        return number == self.stop and (home is self.home or _name(home) == _name(self.home) is not None)

    def add(self, chunk: bytes, size: int) -> None:
        """Take it."""
        self.stop += 1
        self.size += size
        self._hashes += chunk

    def close(self) -> bytes:
        """The range hash, after which no chunk may come."""
        if not self._range:
            self._range = range_hash(bytes(self._hashes))
            self._hashes.clear()
        return self._range


def _name(home: NewXorb | bytes) -> bytes | None:
    return home.hash if isinstance(home, NewXorb) else home
