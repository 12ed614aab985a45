"""What has come so far of the chunks of a xorb, from whoever sent them, in whatever order, however often the line broke.

    chunks/coming/<SHA-256 of the file>/<xorb>/00012-3fa9c1d2    the chunks 12, 13, 14 … as stored, then a part of the next

Each run is written as it comes, byte by byte, so that nothing of it comes twice: after a cut, the rest of the last chunk is asked
for and written after what is there. A chunk counts once all of it is there and has its hash; a run that was left by an earlier
process is read through and believed as little. Whoever lands the chunks in the store (`Chunks.put_xorb`, `Chunks.collect`)
removes them here.

One process writes to a folder at a time (`Incoming.alone`).
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from threading import Lock
from typing import BinaryIO

from concord.errors import MissingError
from concord.ledger.chunks.rows import Row
from concord.ledger.storage.files import told
from concord.tlog.errors import ForgedError, MalformedError
from concord.xet.xorb import verified

RowOf = Callable[[int], Row]
Need = Callable[[int], None]  # StorageError unless so many bytes more may come (`Chunks.need`)
Note = Callable[[int, BinaryIO, int, int], None]  # (number of the chunk, file, start, length): it is all there


@dataclass(frozen=True, slots=True)
class _Held:
    """Bytes [start, start + length) of a run."""

    path: Path
    start: int
    length: int


class Incoming:
    """The chunks of one xorb that have come so far. `row` tells of each chunk that is wanted. Several threads may use it."""

    def __init__(self, folder: Path, row: RowOf, numbers: Callable[[int], bool], need: Need) -> None:
        """`numbers` tells whether a chunk is wanted at all: what an earlier process left beyond those is passed over.

        `need` is asked whether there is room, before each piece is written.
        """
        self._folder, self._row, self._wanted, self._need = folder, row, numbers, need
        self._held: dict[int, _Held] = {}
        self._tails: dict[int, _Held] = {}
        self._lock = Lock()
        for path in sorted(folder.glob("*-*")):
            self._adopt(path)

    def __contains__(self, number: int) -> bool:
        return number in self._held

    @property
    def begun(self) -> set[int]:
        """The chunks of which a part is here, and nobody goes on with it."""
        return set(self._tails)

    def stored(self, number: int) -> bytes:
        """A chunk as it is stored. MissingError if it has not come, or has left for the store."""
        held = self._held.get(number)
        if held is None:
            raise MissingError(f"chunk {number} has not come")
        try:
            with held.path.open("rb") as file:
                return os.pread(file.fileno(), held.length, held.start)
        except FileNotFoundError as e:
            raise MissingError(f"chunk {number} has left for the store") from e

    @contextmanager
    def run(self, number: int) -> Iterator["Run"]:
        """To take the chunks from `number` on. What comes of the last one stays if the line breaks within it."""
        with self._lock:
            tail = self._tails.pop(number, None)
        path = tail.path if tail else self._folder / f"{number:05}-{os.urandom(4).hex()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("r+b" if tail else "w+b") as file:
                run = Run(file, number, tail.start if tail else 0, self._row, self._note, self._need)
                try:
                    yield run
                finally:
                    file.flush()
                    if run.waiting:
                        with self._lock:
                            self._tails[run.number] = _Held(path, run.start, run.waiting)
        except OSError as e:
            raise told(e, path) from e

    def forget(self) -> None:
        """Remove all of it."""
        with self._lock:
            self._held.clear()
            self._tails.clear()
        rmtree(self._folder, ignore_errors=True)

    def _note(self, number: int, file: BinaryIO, start: int, length: int) -> None:
        with self._lock:
            self._held[number] = _Held(Path(file.name), start, length)

    def _adopt(self, path: Path) -> None:
        """Take over a run that an earlier process left."""
        number = int(path.name.partition("-")[0])
        with path.open("r+b") as file:
            run = Run(file, number, 0, self._row, self._note, self._need)
            with suppress(ForgedError, MalformedError):
                while self._wanted(run.number) and run.complete():
                    pass
            if self._wanted(run.number) and run.waiting and run.number not in self._tails:
                self._tails[run.number] = _Held(path, run.start, run.waiting)


class Run:
    """Chunks that come one after the other: `number` is the next, of which `waiting` bytes are here."""

    def __init__(self, file: BinaryIO, number: int, start: int, row: RowOf, note: Note, need: Need) -> None:
        self.number, self.start = number, start
        self.waiting = file.seek(0, os.SEEK_END) - start
        self._file, self._row, self._note, self._need = file, row, note, need

    def take(self, piece: bytes) -> bool:
        """Take what came; whether a chunk was completed. ForgedError or MalformedError if it is another: then it is dropped."""
        self._need(len(piece))
        self._file.write(piece)
        self.waiting += len(piece)
        done = False
        while self.waiting and self.complete():
            done = True
        return done

    def complete(self) -> bool:
        """Whether the next chunk is all here, and verified. The errors are those of `take`."""
        row = self._row(self.number)
        if self.waiting < row.length:
            return False
        self._file.flush()
        try:
            content = verified(row.chunk, os.pread(self._file.fileno(), row.length, self.start))
            if len(content) != row.size:
                raise ForgedError("a chunk that is longer or shorter than was said")
        except (ForgedError, MalformedError):
            self.drop()
            raise
        self._note(self.number, self._file, self.start, row.length)
        self.number, self.start, self.waiting = self.number + 1, self.start + row.length, self.waiting - row.length
        return True

    def drop(self) -> None:
        """Forget what is here of the next chunk."""
        self._file.truncate(self.start)
        self._file.seek(self.start)
        self.waiting = 0


@contextmanager
def alone(folder: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Let one process, and one thread of it, fetch into a folder at a time. `wait` is called while another does."""
    lock = folder.with_name(f"{folder.name}.lock")
    while True:
        with _opened(lock) as file:
            if _locked(file, lock):
                try:
                    yield
                finally:
                    lock.unlink(missing_ok=True)
                return
        wait()


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+b")
    except OSError as e:
        raise told(e, path) from e


def _locked(file: BinaryIO, path: Path) -> bool:
    """Whether the lock is ours, and still the one that others would open."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False
