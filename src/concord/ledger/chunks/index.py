"""The index of the chunk store: where every chunk is, and which chunks every file has. Derived from xorbs and shards."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import Index as Key
from sqlalchemy import Table as Kept

from concord.ledger.storage.database import open_database, reading, writing
from concord.xet.hashes import spell
from concord.xet.shard import Term
from concord.xet.xorb import Table

SIZE_MAX = 2**63 - 1
VERSION = 2  # of the tables below; another one is computed anew
AT_ONCE = 500  # values in one question

_kept = MetaData()
xorb = Kept(
    "xorb",
    _kept,
    Column("id", Integer, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("stored", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("came", BigInteger, nullable=False),
)
chunk = Kept(
    "chunk",
    _kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("xorb", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
file = Kept(
    "file",
    _kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("sha256", LargeBinary, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
term = Kept(
    "term",
    _kept,
    Column("file", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("xorb", LargeBinary, nullable=False),
    Column("start", Integer, nullable=False),
    Column("stop", Integer, nullable=False),
    Key("term_xorb", "xorb"),
    sqlite_with_rowid=False,
)
made = Kept("made", _kept, Column("version", Integer, primary_key=True, autoincrement=False))


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: its hash as the protocol spells it, its SHA-256 (hex), its size in bytes, and when it came (POSIX seconds)."""

    hash: str
    sha256: str
    size: int
    at: int


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk of a xorb."""

    xorb: bytes
    number: int


class Index:
    """The index in a database file. `fill` computes it, when there is none or it is of another version."""

    def __init__(self, path: Path, fill: Callable[[Connection], None]) -> None:
        self._engine = open_database(path, derived=True)
        self._fill = fill
        with self.writing() as db:
            _kept.create_all(db)
            if db.scalar(select(made.c.version)) != VERSION:
                self.compute(db)

    def compute(self, db: Connection) -> None:
        """Compute all of it anew."""
        _kept.drop_all(db)
        _kept.create_all(db)
        self._fill(db)
        db.execute(insert(made).values(version=VERSION))

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees one moment."""
        return reading(self._engine)

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction."""
        return writing(self._engine)


# Xorbs and chunks


def add_xorb(db: Connection, name: bytes, table: Table, at: int) -> None:
    """Enter a xorb that came at this time, and its chunks."""
    row = db.execute(insert(xorb).values(hash=name, stored=table.stops[-1], at=at, came=at))
    assert row.inserted_primary_key is not None
    number = row.inserted_primary_key[0]
    rows = [{"hash": table.hash(place), "xorb": number, "number": place} for place in range(len(table))]
    db.execute(insert(chunk), rows)


def drop_xorbs(db: Connection, names: Iterable[bytes]) -> None:
    """Forget xorbs and their chunks."""
    for some in _some(names):
        numbers = db.scalars(select(xorb.c.id).where(xorb.c.hash.in_(some))).all()
        db.execute(delete(chunk).where(chunk.c.xorb.in_(numbers)))
        db.execute(delete(xorb).where(xorb.c.id.in_(numbers)))


def touch_xorbs(db: Connection, names: Iterable[bytes], at: int) -> None:
    """Note that the xorbs were offered to somebody at this time, if it is later than what is noted."""
    for some in _some(names):
        db.execute(update(xorb).where(xorb.c.hash.in_(some), xorb.c.at < at).values(at=at))


def known_xorbs(db: Connection, names: Iterable[bytes]) -> dict[bytes, int]:
    """Those of the xorbs that are here, and how many bytes their chunks take as stored."""
    found: dict[bytes, int] = {}
    for some in _some(names):
        rows = db.execute(select(xorb.c.hash, xorb.c.stored).where(xorb.c.hash.in_(some)))
        found.update((name, stored) for name, stored in rows)
    return found


def xorbs_before(db: Connection, before: int) -> Iterator[bytes]:
    """The xorbs that came, and were last offered, before a time."""
    yield from db.scalars(select(xorb.c.hash).where(xorb.c.at < before).order_by(xorb.c.hash))


def xorbs_without_file(db: Connection) -> Iterator[tuple[bytes, int]]:
    """Xorbs of which no file has a chunk, and when each came, in that order."""
    used = select(term.c.xorb).where(term.c.xorb == xorb.c.hash).exists()
    asked = select(xorb.c.hash, xorb.c.came).where(~used).order_by(xorb.c.came, xorb.c.id)
    yield from ((name, came) for name, came in db.execute(asked))


def places(db: Connection, hashes: Sequence[bytes]) -> dict[bytes, list[Place]]:
    """Where each chunk is; those that are nowhere are left out."""
    found: dict[bytes, list[Place]] = {}
    for some in _some(hashes):
        asked = (
            select(chunk.c.hash, xorb.c.hash, chunk.c.number).join(xorb, xorb.c.id == chunk.c.xorb).where(chunk.c.hash.in_(some))
        )
        for name, home, number in db.execute(asked):
            found.setdefault(name, []).append(Place(home, number))
    return found


def lost_xorbs(db: Connection) -> list[bytes]:
    """Xorbs that files have chunks of, and that are not here."""
    here = select(xorb.c.hash).where(xorb.c.hash == term.c.xorb).exists()
    return list(db.scalars(select(term.c.xorb).where(~here).distinct().order_by(term.c.xorb)))


# Files


def put_file(db: Connection, entry: Entry, name: bytes, terms: Sequence[Term]) -> None:
    """Enter a file, in the place of what is known of it."""
    drop_files(db, [name])
    db.execute(insert(file).values(hash=name, sha256=bytes.fromhex(entry.sha256), size=entry.size, at=entry.at))
    offsets = accumulate((part.size for part in terms), initial=0)
    columns = ("file", "number", "offset", "size", "xorb", "start", "stop")
    rows = (
        dict(zip(columns, (name, number, offset, part.size, part.xorb, part.start, part.stop), strict=True))
        for number, (part, offset) in enumerate(zip(terms, offsets, strict=False))
    )
    while some := list(islice(rows, AT_ONCE)):
        db.execute(insert(term), some)


def drop_files(db: Connection, names: Iterable[bytes]) -> None:
    """Forget files."""
    for some in _some(names):
        db.execute(delete(term).where(term.c.file.in_(some)))
        db.execute(delete(file).where(file.c.hash.in_(some)))


def renew_files(db: Connection, digests: Iterable[bytes], at: int) -> list[bytes]:
    """Note that files with these SHA-256 were needed at this time; those of which an earlier time was noted."""
    renewed: list[bytes] = []
    for some in _some(digests):
        older = file.c.sha256.in_(some) & (file.c.at < at)
        renewed += db.scalars(select(file.c.hash).where(older)).all()
        db.execute(update(file).where(older).values(at=at))
    return renewed


# Asked for every file that is sent, so put together once.
_FILE = {column: select(file).where(file.c[column] == bindparam("value")).order_by(file.c.hash) for column in ("hash", "sha256")}
_TERMS = select(term).where(
    term.c.file == bindparam("name"), term.c.offset < bindparam("stop"), term.c.offset + term.c.size > bindparam("start")
)
_TERMS = _TERMS.order_by(term.c.number)


def files(db: Connection, before: int | None = None) -> Iterator[Entry]:
    """The files that came before this time, or all of them."""
    asked = select(file).order_by(file.c.hash)
    yield from map(_entry, db.execute(asked if before is None else asked.where(file.c.at < before)))


def one_file(db: Connection, column: str, value: bytes) -> Entry | None:
    """The file with this "hash" or "sha256"."""
    row = db.execute(_FILE[column], {"value": value}).first()
    return None if row is None else _entry(row)


def _entry(row: Row[Any]) -> Entry:
    return Entry(spell(row.hash), row.sha256.hex(), row.size, row.at)


def terms(db: Connection, name: bytes, start: int, stop: int) -> list[tuple[int, Term]]:
    """The terms of a file that have bytes [start, stop) of it, each with its offset."""
    rows = db.execute(_TERMS, {"name": name, "start": start, "stop": stop})
    return [(row.offset, Term(row.xorb, row.size, row.start, row.stop)) for row in rows]


def files_with(db: Connection, place: Place) -> Iterator[tuple[bytes, int]]:
    """The files that have a chunk of a xorb, and the number of the term that has it."""
    asked = select(term.c.file, func.min(term.c.number)).where(term.c.xorb == place.xorb)
    asked = asked.where(term.c.start <= place.number, term.c.stop > place.number).group_by(term.c.file).order_by(term.c.file)
    yield from ((name, number) for name, number in db.execute(asked))


def files_over(db: Connection, home: bytes) -> list[bytes]:
    """The files that have chunks of a xorb."""
    return list(db.scalars(select(term.c.file).where(term.c.xorb == home).distinct().order_by(term.c.file)))


def users(db: Connection, home: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The SHA-256 of each file that has chunks of a xorb, and which: [start, stop)."""
    asked = select(file.c.sha256, term.c.start, term.c.stop).join(file, file.c.hash == term.c.file).where(term.c.xorb == home)
    yield from map(tuple, db.execute(asked.distinct()))


def used_xorbs(db: Connection, dropped: frozenset[bytes] | set[bytes]) -> set[bytes]:
    """The xorbs of which some file has a chunk, other than those that are dropped."""
    pairs = db.execute(select(term.c.xorb, term.c.file).distinct())
    return {home for home, name in pairs if name not in dropped}


def _some(values: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The values, AT_ONCE at a time."""
    every = list(values)
    yield from (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE))
