"""Xorbs and shards as files: written whole or not at all, and read with every chunk verified."""

import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from concord.errors import DamagedError, MalformedError, MissingError
from concord.ledger.storage.files import TEMPORARY, told
from concord.tlog.errors import ForgedError
from concord.xet.hashes import spell
from concord.xet.xorb import CHUNKS_MAX, CONTENT_MAX, FOOTER_MAX, Table, footer, parse_footer, verified

PIECE = 1 << 20  # bytes of content that are read at once, or one chunk more
TABLES = 64  # of xorbs that are kept in memory: 64 KiB each
DAMAGED = ".damaged"
PARTIAL = f".part{TEMPORARY}"  # of chunks that were verified one by one, and are worth keeping after a crash


class Draft:
    """A xorb that is being written. `hash` is None until it is finished."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.hash: bytes | None = None
        self.numbers: dict[bytes, int] = {}
        self._file, self._hashes = file, bytearray()
        self._stops: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        return len(self._stops)

    def has_room(self, size: int) -> bool:
        """Whether another chunk of `size` bytes may come."""
        return len(self) < CHUNKS_MAX and (self._ends[-1] if self._ends else 0) + size <= CONTENT_MAX

    def add(self, chunk: bytes, stored: bytes, size: int) -> int:
        """Write a chunk; its number."""
        number = len(self)
        self._file.write(stored)
        self._hashes += chunk
        self._stops.append((self._stops[-1] if number else 0) + len(stored))
        self._ends.append((self._ends[-1] if number else 0) + size)
        self.numbers.setdefault(chunk, number)
        return number

    def finish(self, at: int) -> Table:
        """Write the footer and make all of it durable. The table of the xorb."""
        table = Table(bytes(self._hashes), tuple(self._stops), tuple(self._ends))
        self._file.write(footer(table))
        self._file.flush()
        os.fsync(self._file.fileno())
        os.utime(self._file.fileno(), (at, at))
        self.hash = table.root
        return table


class Shelf:
    """The files of a chunk store. Several threads and processes may use one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tables: OrderedDict[tuple[bytes, int], Table] = OrderedDict()  # by hash and inode: one set aside may come again
        self._lock = Lock()

    # Where things are

    def xorb(self, name: bytes) -> Path:
        """Where a xorb is or would be."""
        return self._path("xorbs", name)

    def shard(self, name: bytes) -> Path:
        """Where the shard of a file is or would be."""
        return self._path("shards", name)

    def names(self, kind: str) -> Iterator[tuple[str, Path]]:
        """All "xorbs" or "shards" that are here, by their spelling."""
        for path in sorted((self.root / kind).glob("??/" + "[0-9a-f]" * 64)):
            yield path.name, path

    def aside(self) -> list[Path]:
        """The damaged xorbs that were set aside."""
        return sorted((self.root / "xorbs").glob(f"??/*{DAMAGED}"))

    # Writing

    @contextmanager
    def draft(self, suffix: str = TEMPORARY) -> Iterator[Draft]:
        """A xorb to write. What is not placed by the end is gone."""
        with self._temporary(suffix) as (path, file):
            yield Draft(path, file)

    def place(self, temporary: Path, target: Path) -> None:
        """Give a finished file its name."""
        try:
            _make_folder(target.parent)
            temporary.replace(target)
            _sync(target.parent)
        except OSError as e:
            raise told(e, target) from e

    def write(self, target: Path, content: bytes, at: int) -> None:
        """Write a whole file: there afterwards, or as before."""
        with self._temporary(TEMPORARY) as (path, file):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.utime(file.fileno(), (at, at))
            self.place(path, target)

    def remove(self, paths: list[Path]) -> None:
        """Remove files, durably; those that are gone are passed over."""
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in paths}:
                if folder.is_dir():
                    _sync(folder)
        except OSError as e:
            raise told(e, self.root) from e

    def set_aside(self, name: bytes) -> None:
        """Let a damaged xorb be found no more, but keep it for whoever wants to look."""
        path = self.xorb(name)
        with suppress(FileNotFoundError):
            path.replace(path.with_name(path.name + DAMAGED))
            _sync(path.parent)

    def leftovers(self) -> Iterator[tuple[Path, BinaryIO]]:
        """What an earlier process left unfinished, open; each is removed after it was looked at."""
        for path in sorted((self.root / "incoming").glob(f"*{TEMPORARY}")):
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path, file
                path.unlink(missing_ok=True)

    # Reading

    def table(self, name: bytes) -> Table:
        """Where the chunks of a xorb are. MissingError, or DamagedError if its footer is not what was written."""
        with self._open(name) as file:
            return self._table_of(file, name)

    def _table_of(self, file: BinaryIO, name: bytes) -> Table:
        key = name, os.fstat(file.fileno()).st_ino
        with self._lock:
            if key in self._tables:
                self._tables.move_to_end(key)
                return self._tables[key]
        table = _read_footer(file, name)
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > TABLES:
                self._tables.popitem(last=False)
        return table

    def contents(self, name: bytes, start: int, stop: int) -> Iterator[bytes]:
        """The content of the chunks [start, stop) of a xorb, about PIECE bytes at a time, all verified."""
        with self._open(name) as file:
            table = self._table_of(file, name)
            while start < stop:
                last = min(stop, max(start + 1, table.at(table.span(start)[0] + PIECE)))
                yield b"".join(self._verified(file, name, table, number) for number in range(start, last))
                start = last

    def stored(self, name: bytes, number: int) -> bytes:
        """A chunk as it is stored, verified."""
        with self._open(name) as file:
            table = self._table_of(file, name)
            self._verified(file, name, table, number)
            start, stop = table.place(number, number + 1)
            return os.pread(file.fileno(), stop - start, start)

    def _verified(self, file: BinaryIO, name: bytes, table: Table, number: int) -> bytes:
        start, stop = table.place(number, number + 1)
        try:
            content = verified(table.hash(number), os.pread(file.fileno(), stop - start, start))
        except (MalformedError, ForgedError) as e:
            raise damaged(self.xorb(name), f"chunk {number} is not what was written") from e
        first, last = table.span(number)
        if len(content) != last - first:
            raise damaged(self.xorb(name), f"chunk {number} is not as long as was written")
        return content

    def _open(self, name: bytes) -> BinaryIO:
        try:
            return self.xorb(name).open("rb")
        except FileNotFoundError as e:
            raise MissingError(f"no xorb {spell(name)} here") from e

    def _path(self, kind: str, name: bytes) -> Path:
        spelled = spell(name)
        return self.root / kind / spelled[:2] / spelled

    @contextmanager
    def _temporary(self, suffix: str) -> Iterator[tuple[Path, BinaryIO]]:
        path = self.root / "incoming" / f"{os.urandom(8).hex()}{suffix}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield path, file
        except OSError as e:
            raise told(e, path) from e
        finally:
            with suppress(OSError):
                path.unlink()


def damaged(path: Path, what: str) -> DamagedError:
    """What to say of a stored file that is not what was written."""
    return DamagedError(f"{path}: {what}. Set it aside, and pull what is missing again")


def _read_footer(file: BinaryIO, name: bytes) -> Table:
    """The table of a stored xorb, which must have the name `name`."""
    path, size = Path(file.name), os.fstat(file.fileno()).st_size
    length = int.from_bytes(os.pread(file.fileno(), 4, max(0, size - 4)), "little") + 4
    if not 4 < length <= min(size, FOOTER_MAX):
        raise damaged(path, "its footer is not what was written")
    try:
        table = parse_footer(os.pread(file.fileno(), length, size - length))
    except MalformedError as e:
        raise damaged(path, "its footer is not what was written") from e
    if table.root != name or table.stops[-1] != size - length:
        raise damaged(path, "its footer is that of another xorb")
    return table


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
