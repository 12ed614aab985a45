"""Upkeep of the chunk store: what is damaged is found, set aside and mended, and what nobody needs is cleared away."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from concord.errors import DamagedError, MissingError
from concord.ledger.chunks import index
from concord.ledger.chunks.disk import PARTIAL, chunks_aside, sound_aside
from concord.ledger.chunks.index import Entry
from concord.ledger.chunks.reader import damaged
from concord.ledger.chunks.store import BATCH, Store, read_shard
from concord.ledger.progress import Progress, silent
from concord.xet.hashes import spell, unspell
from concord.xet.xorb import Table


@dataclass(frozen=True, slots=True)
class Garbage:
    """What was, or would be, cleared away: files, xorbs, and how many bytes these take."""

    files: tuple[str, ...]
    xorbs: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A stored xorb or shard that is not what was written, or needs one that is missing."""

    kind: str
    hash: str
    reason: str


class Chunks(Store):
    """A chunk store in a folder. Several threads and processes may use one folder at a time.

    Hashes of chunks, xorbs and files are spelled as in the Xet protocol, SHA-256 in hexadecimal; `at` is the time in POSIX seconds.
    """

    def __init__(self, root: Path, reserve: Callable[[], int] = lambda: 0) -> None:
        """As `Store`."""
        super().__init__(root, reserve)
        self._salvaged = set[tuple[str, int]]()  # what was set aside and looked at: by name and inode

    def verify(self, *, deep: bool = False, progress: Progress = silent) -> Iterator[Damage]:
        """What is not as it was written: footers of xorbs, if `deep` every chunk; shards, and whether their xorbs are here."""
        xorbs = [spelled for spelled, _ in self._disk.names("xorbs")]
        for number, spelled in enumerate(xorbs):
            progress("xorbs", number, len(xorbs))
            try:
                self.check_xorb(spelled, deep=deep)
            except DamagedError as e:
                yield Damage("xorb", spelled, str(e))
        for spelled, _ in self._disk.names("shards"):
            try:
                lost = self.check_shard(spelled)
            except DamagedError as e:
                yield Damage("shard", spelled, str(e))
            else:
                if lost:
                    yield Damage("shard", spelled, f"{len(lost)} of the xorbs that it needs are not here")

    def check_xorb(self, name: str, *, deep: bool = True) -> None:
        """DamagedError if a stored xorb is not what was written."""
        if not deep:
            self.table(name)
        for _ in self.checking(name) if deep else ():
            pass

    def checking(self, name: str) -> Iterator[int]:
        """Look whether a stored xorb is what was written, hashing all of it: how many bytes were looked at, chunk by chunk.

        DamagedError in the place of one that is something else; MissingError if it is not here.
        """
        with self._disk.reader(unspell(name), anew=True) as reader:
            if reader.held.table.root != unspell(name):
                raise damaged(reader.path, "its footer is that of another xorb")
            yield from reader.checking()

    def check_shard(self, name: str) -> list[str]:
        """The xorbs that a stored shard needs, and of which there is no file. DamagedError if it is not what was written."""
        file, _ = read_shard(self._disk.shard(unspell(name)))
        return [spell(xorb) for xorb in dict.fromkeys(term.xorb for term in file.terms) if not self._disk.xorb(xorb).is_file()]

    def names(self, kind: str, folder: str) -> list[str]:
        """The "xorbs" or "shards" that are stored whose names begin with two digits, in order."""
        return [spelled for spelled, _ in self._disk.names(kind, folder)]

    def lost(self) -> list[str]:
        """The xorbs that files here have chunks of, and that are not here."""
        with self._index.reading() as db:
            return [spell(name) for name in index.lost_xorbs(db)]

    def remake(self, name: str, at: int) -> Entry:
        """Write the shard of a file anew, from the index. MissingError if it or a chunk of it is not here."""
        return self.assemble(name, self.listing(name), at)

    def set_aside(self, name: str) -> None:
        """Let a damaged xorb be found no more, so that it or its chunks can come again."""
        with self._files.lock("lock"), self._index.writing() as db:
            index.drop_xorbs(db, [unspell(name)])
            self._disk.set_aside(unspell(name))

    def remove(self, name: str) -> None:
        """Forget a file. What it alone was made of stays until `gc`."""
        with self._files.lock("lock"), self._index.writing() as db:
            self._disk.remove([self._disk.shard(unspell(name))])
            index.drop_files(db, [unspell(name)])

    def renew(self, digests: Iterable[str], at: int) -> None:
        """Let the files with these SHA-256 that are here count as young from `at` on, because somebody builds on them."""
        with self._index.writing() as db:
            for name in index.renew_files(db, map(bytes.fromhex, digests), at):
                with suppress(FileNotFoundError):  # `verify` tells of it
                    os.utime(self._disk.shard(name), (at, at))

    def reserve(self, xorbs: Iterable[str], chunks: Iterable[str], at: int) -> None:
        """Let those of the xorbs that are here, and those with these chunks, count as young from `at` on: a file is on its way."""
        with self._files.lock("lock"), self._index.writing() as db:
            self._touch(db, map(unspell, xorbs), at)
        reserved, rest = set[bytes](), map(unspell, chunks)
        while batch := list(islice(rest, BATCH)):
            self._reserved(batch, at, reserved)

    def gc(self, live: Collection[str], protected: Collection[str], before: int, *, dry_run: bool = False) -> Garbage:
        """Clear away files that are not `live` (by hash), then xorbs that no file is left of, and that are not `protected`.

        Only what came, and was last offered to a client, before the time `before` goes: let it lie further back than the longest
        upload, and than the life of an answer (`neighbourhood`). It may be cut off at any point, and goes on the next time.
        """
        with self._files.lock("lock"):
            with self._index.writing() as db:
                files = [unspell(entry.hash) for entry in index.files(db, before=before) if entry.hash not in live]
                used = index.used_xorbs(db, set(files)) | {unspell(name) for name in protected}
                old = [name for name in index.xorbs_before(db, before) if name not in used]
                strays = self._strays(db, before, used)
                paths = [*map(self._disk.xorb, old), *strays]
                size = sum(path.stat().st_size for path in paths if path.exists())
                if not dry_run:
                    self._disk.remove([self._disk.shard(name) for name in files])
                    index.drop_files(db, files)
                    index.drop_xorbs(db, old)
            if not dry_run:
                self._disk.remove(paths)
        names = [spell(name) for name in old] + [path.name for path in strays]
        return Garbage(tuple(map(spell, files)), tuple(names), size)

    def rebuild(self) -> None:
        """Compute the index anew from the xorbs and shards."""
        with self._files.lock("lock"), self._index.writing() as db:
            self._index.compute(db)

    def salvage(self, at: int) -> int:
        """Keep what is sound of the xorbs that were set aside; how many chunks.

        One of which all chunks are sound is whole again, under its name. Of another they are stored anew, and the files that need
        no more than these are made of them, so that one changed byte costs no file that does not have it.
        """
        kept = 0
        for path in self._disk.aside():
            with suppress(FileNotFoundError):  # cleared away meanwhile
                key = path.name, path.stat().st_ino
                table = None if key in self._salvaged else chunks_aside(path)
                kept += self._salvage(path, table, at) if table is not None else 0
                self._salvaged.add(key)
        return kept

    # Inside

    def _salvage(self, path: Path, table: Table, at: int) -> int:
        """Keep what is sound of one xorb that was set aside, and has these chunks."""
        sound = [number for number, _ in sound_aside(path, table)]
        if len(sound) == len(table):
            self._take_xorb(table.root, (stored for _, stored in sound_aside(path, table)), at, lambda _size: None)
            return len(sound)
        kept = 0
        with self._writer(at, PARTIAL) as writer:
            for number, stored in sound_aside(path, table):
                chunk = table.hash(number)
                if not self._known([chunk]) and writer.find(chunk) is None:
                    writer.put(chunk, stored, table.size(number, number + 1))
                    kept += 1
        with self._index.reading() as db:
            users = index.files_over(db, table.root)
        for name in users:
            with suppress(MissingError):  # it has a chunk that is damaged
                self.assemble(spell(name), self._listed(name, {table.root: table}), at)
        return kept

    def _strays(self, db: Connection, before: int, used: set[bytes]) -> list[Path]:
        """Xorbs that are in no index, because something was cut off, or that were set aside; older than a time."""
        found = [path for spelled, path in self._disk.names("xorbs") if unspell(spelled) not in used]
        known = index.known_xorbs(db, [unspell(path.name) for path in found])
        lost = [path for path in found if unspell(path.name) not in known]
        return [path for path in (*lost, *self._disk.aside()) if path.stat().st_mtime < before]
