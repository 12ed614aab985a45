"""Xorbs and shards as files: written whole or not at all, and read with every chunk checked."""

import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from concord.errors import DamagedError, MalformedError, MissingError
from concord.ledger.chunks import sums
from concord.ledger.chunks.reader import Held, Reader, damaged, readable
from concord.ledger.storage.files import TEMPORARY, make_folder, sync, told
from concord.tlog.errors import ForgedError
from concord.xet.hashes import chunk_hash, spell, unspell
from concord.xet.xorb import (
    CHUNKS_MAX,
    CONTENT_MAX,
    FOOTER_MAX,
    Table,
    footer,
    parse_footer,
    read_footer,
    split,
    unseal,
    verified,
)

TABLES = 64  # of xorbs that are kept in memory: some 150 KiB each
TABLE_CHUNKS = 1 << 16  # that all of these have: a xorb may have eight times as many as most
DAMAGED = ".damaged"
PARTIAL = f".part{TEMPORARY}"  # of chunks that were verified one by one, and are worth keeping after a crash


class NewXorb:
    """A xorb that is being written. `hash` is None until it is finished; then that is all that is known of it.

    A file that is woven of many keeps them all to its end.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.hash: bytes | None = None
        self.numbers: dict[bytes, int] = {}
        self._file, self._hashes = file, bytearray()
        self._stops: list[int] = []
        self._ends: list[int] = []
        self._sums: list[int] = []

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
        self._sums.append(sums.sum_of(stored))
        self.numbers.setdefault(chunk, number)
        return number

    def finish(self, at: int) -> Table:
        """Write the footer and the sums, and make all of it durable. The table of the xorb."""
        table = Table(bytes(self._hashes), tuple(self._stops), tuple(self._ends))
        end = footer(table)
        self._file.write(end + sums.trailer(self._sums, end))
        self._file.flush()
        os.fsync(self._file.fileno())
        os.utime(self._file.fileno(), (at, at))
        self.hash = table.root
        for known in (self.numbers, self._hashes, self._stops, self._ends, self._sums):
            known.clear()
        return table


class Disk:
    """The files of a chunk store. Several threads and processes may use one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tables: OrderedDict[tuple[bytes, int], Held] = OrderedDict()  # by hash and inode: one set aside may come again
        self._lock = Lock()

    # Where things are

    def xorb(self, name: bytes) -> Path:
        """Where a xorb is or would be."""
        return self._path("xorbs", name)

    def shard(self, name: bytes) -> Path:
        """Where the shard of a file is or would be."""
        return self._path("shards", name)

    def names(self, kind: str, folder: str = "??") -> Iterator[tuple[str, Path]]:
        """All "xorbs" or "shards" that are here, by their spelling; or those in the folder with these two digits."""
        for path in sorted((self.root / kind).glob(f"{folder}/" + "[0-9a-f]" * 64)):
            yield path.name, path

    def aside(self) -> list[Path]:
        """The damaged xorbs that were set aside."""
        return sorted((self.root / "xorbs").glob(f"??/*{DAMAGED}"))

    # Writing

    @contextmanager
    def new_xorb(self, suffix: str = TEMPORARY) -> Iterator[NewXorb]:
        """A xorb to write. What is not placed by the end is gone."""
        with self._temporary(suffix) as (path, file):
            yield NewXorb(path, file)

    def place(self, temporary: Path, target: Path) -> None:
        """Give a finished file its name."""
        try:
            make_folder(target.parent)
            temporary.replace(target)
            sync([target.parent])
        except OSError as e:
            raise told(e, target) from e

    def write(self, target: Path, pieces: Iterable[bytes], at: int) -> None:
        """Write a whole file: there afterwards, or as before."""
        with self._temporary(TEMPORARY) as (path, file):
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
            os.utime(file.fileno(), (at, at))
            self.place(path, target)

    def remove(self, paths: list[Path]) -> None:
        """Remove files, durably; those that are gone are passed over."""
        try:
            for path in paths:
                path.unlink(missing_ok=True)
            sync(folder for folder in {path.parent for path in paths} if folder.is_dir())
        except OSError as e:
            raise told(e, self.root) from e

    def set_aside(self, name: bytes) -> None:
        """Let a damaged xorb be found no more, but keep it for whoever wants to look."""
        path = self.xorb(name)
        with suppress(FileNotFoundError):
            path.replace(path.with_name(path.name + DAMAGED))
            sync([path.parent])

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
        with self.reader(name) as reader:
            return reader.held.table

    @contextmanager
    def reader(self, name: bytes, *, anew: bool = False) -> Iterator[Reader]:
        """A xorb to read from; `anew`: its footer, too, is read from the disk. Errors as in `table`."""
        with self._open(name) as file:
            yield Reader(self.xorb(name), file.fileno(), _read_end(file, name) if anew else self._held(file, name))

    def stored(self, name: bytes, number: int) -> bytes:
        """A chunk as it is stored, checked."""
        with self.reader(name) as reader:
            stored = reader.stored(number)
            reader.content(number, stored)
            return stored

    def _held(self, file: BinaryIO, name: bytes) -> Held:
        key = name, os.fstat(file.fileno()).st_ino
        with self._lock:
            if key in self._tables:
                self._tables.move_to_end(key)
                return self._tables[key]
        held = _read_end(file, name)
        with self._lock:
            self._tables[key] = held
            while len(self._tables) > TABLES or sum(len(each.table) for each in self._tables.values()) > TABLE_CHUNKS:
                self._tables.popitem(last=False)
        return held

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


def chunks_aside(path: Path) -> Table | None:
    """Which chunks a xorb has that was set aside; None if that cannot be read.

    Its footer tells it or, if that is damaged, the chunks do, if together they are the xorb.
    """
    name = unspell(path.name.removesuffix(DAMAGED))
    with path.open("rb") as file:
        with suppress(DamagedError):
            return _read_end(file, name).table
        with suppress(OSError, MalformedError):
            file.seek(0)
            pieces = split(iter(partial(file.read, 1 << 20), b""))
            table = Table.of((chunk_hash(unseal(stored)), stored) for stored in pieces)
            return table if table.root == name else None
    return None


def sound_aside(path: Path, table: Table) -> Iterator[tuple[int, bytes]]:
    """The chunks of a xorb that was set aside which are what was written: number, and as stored."""
    with path.open("rb") as file:
        for number in range(len(table)):
            start, stop = table.place(number, number + 1)
            with suppress(MalformedError, ForgedError, OSError):
                stored = os.pread(file.fileno(), stop - start, start)
                if len(verified(table.hash(number), stored)) == table.size(number, number + 1):
                    yield number, stored


def _read_end(file: BinaryIO, name: bytes) -> Held:
    """What stands after the chunks of a stored xorb, which must have the name `name`."""
    path, size = Path(file.name), os.fstat(file.fileno()).st_size
    with readable(path):
        end = os.pread(file.fileno(), min(size, FOOTER_MAX + sums.TRAILER_MAX), max(0, size - FOOTER_MAX - sums.TRAILER_MAX))
    more = sums.length(end[-sums.END_SIZE :])
    last = len(end) - more  # where the footer ends
    length = int.from_bytes(end[max(0, last - 4) : max(0, last)], "little") + 4
    if not 4 < length <= last:
        raise damaged(path, "its footer is not what was written")
    try:
        held, root = _said(end[last - length : last], end[last:])
    except MalformedError as e:
        raise damaged(path, "its footer is not what was written") from e
    if root != name or held.table.stops[-1] != size - more - length:
        raise damaged(path, "its footer is that of another xorb")
    return held


def _said(footer: bytes, trailer: bytes) -> tuple[Held, bytes]:
    """What a footer says, and the hash of its xorb. With a sum it is believed, without one computed from the chunks' hashes."""
    if not trailer:
        table = parse_footer(footer)
        return Held(table, ()), table.root
    found = sums.parse(trailer, footer)
    if found is None:
        raise MalformedError("a footer that its sum does not fit")
    table, root = read_footer(footer)
    if len(found) != len(table):
        raise MalformedError("as many sums as another footer has chunks")
    return Held(table, found), root
