"""The view: tables computed from entries, to be dropped and rebuilt at will.

The law of views is that the same logs give the same tables, in whatever order they arrive. It holds because each row belongs
to the record that said it (`concord.ledger.pillar`), and because a record that refers to others waits until they are there.
A record is in one of four states:

    APPLIED     it made its rows
    WAITING     it refers to a record that is not here, or that waits itself
    UNREADABLE  it is malformed, of a type that this version does not know, by another than its log's owner, or its seals
                do not verify; it is kept and shown as such, and stops nothing
    FOREIGN     it was said for another organisation; an identity never is, because copies of the log follow it everywhere

`catch_up` brings the view to given sizes of given logs. The first catch-up of many records goes a faster way: the secondary
indexes are built after it, at once. A log that is disputed is given with the size up to which it counts; if more of it had
been applied, the view is rebuilt without. `digests` names the content of each table with one hash: equal views have equal
digests.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import IntEnum
from functools import cache
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    update,
)

from concord.errors import ConcordError, DamagedError, ForgedError, RefusedError
from concord.ledger import identity
from concord.ledger.identity import Identity
from concord.ledger.pillar import Handler, Pillar, Stamp
from concord.ledger.record import ENCODER, Codec, Detached, Record, Sealed, detached_fields, read_header, ref_fields, tag
from concord.ledger.statements import LEDGER
from concord.ledger.statements import identities as identity_table
from concord.ledger.storage.database import reading, remove_file, version, writing
from concord.tlog.merkle import leaf_hash

BATCH = 4096  # entries in one transaction
ROWS = 256  # rows in one statement, made just before: so they are still near the processor, and memory is soon used again
PARAMETERS = 30_000  # values in one statement, at most; SQLite takes 32,766 since 2020
BULK = 20_000  # from here on a catch-up goes the fast way, if the view holds less than it brings
RECENT_MAX = 500_000  # leaf hashes that the fast way remembers, to find references without an index


class State(IntEnum):
    """What became of a record; the module docstring tells."""

    APPLIED = 0
    WAITING = 1
    UNREADABLE = 2
    FOREIGN = 3


APPLIED = State.APPLIED


TABLES = MetaData()

logs = Table(
    "ledger_log",
    TABLES,
    Column("log", Integer, primary_key=True),
    Column("origin", String, nullable=False, unique=True),
    Column("size", Integer, nullable=False),
)

records = Table(
    "ledger_record",
    TABLES,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("type", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

SECONDARY = (
    Index("ledger_record_leaf", records.c.leaf),
    Index("ledger_record_at", records.c.at),
    Index("ledger_record_type", records.c.type, records.c.at),
)

waiting = Table(
    "ledger_waiting",
    TABLES,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("needs", LargeBinary(32), nullable=False, index=True),
    Column("entry", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

blobs = Table(
    "ledger_blob",
    TABLES,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("blob", String(64), nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("salted", Integer, nullable=False),
    sqlite_with_rowid=False,
)

meta = Table("ledger_meta", TABLES, Column("name", String, primary_key=True), Column("value", String, nullable=False))


class Source(Protocol):
    """A log to catch up with: its origin, and its entries."""

    origin: str

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Entries [start, stop), in order."""


class Kind(NamedTuple):
    """What the view knows of a record type: whether it may refer to others, carries seals, and which fields are blobs."""

    tag: str
    handler: Handler
    tables: frozenset[Table]
    refers: bool
    sealed: bool
    detached: tuple[str, ...]


class View:
    """The tables of `pillars` (and of the ledger, left of them) for one organisation, in one database."""

    def __init__(self, engine: Engine, pillars: tuple[Pillar, ...], organisation: str) -> None:
        self.engine = engine
        self.pillars = (LEDGER, *pillars)
        self.organisation = organisation
        self.kinds = {kind: _kind(pillar, kind) for pillar in self.pillars for kind in pillar.handlers}
        self.codec = Codec(self.kinds)
        self._changes = 0
        self._prepare()

    # Reading

    @property
    def version(self) -> tuple[int, ...]:
        """Something that differs once the view has changed, whichever process changed it."""
        return (self._changes, *version(self.engine))

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read from; it cannot write. Use it with `with`."""
        return reading(self.engine)

    def size(self, origin: str) -> int:
        """How many entries of `origin` have been read into the view."""
        with self.reading() as db:
            row = db.execute(select(logs.c.size).where(logs.c.origin == origin)).first()
        return int(row[0]) if row else 0

    def digests(self) -> dict[str, str]:
        """One hash (hex) for each table over all its rows, in the order of their keys. Equal views have equal digests."""
        return self.moment()[1]

    def moment(self) -> tuple[dict[str, int], dict[str, str]]:
        """How many entries of each log have been read, and the `digests` that they gave, at one moment of a view that grows."""
        with self.reading() as db:
            sizes: dict[str, int] = dict(db.execute(select(logs.c.origin, logs.c.size)).all())
            return sizes, {kept.name: _digest(db, kept) for kept in self._tables() if kept not in (logs, meta)}

    # Catching up

    def catch_up(self, sources: Mapping[str, tuple[Source, int]]) -> int:
        """Apply what is missing of each source, up to its size; how many entries were applied.

        A source with a smaller size than was applied before makes the view begin anew.
        """
        with self.reading() as db:
            before: dict[str, int] = dict(map(tuple, db.execute(select(logs.c.origin, logs.c.size))))
        if any(size < before.get(origin, 0) for origin, (_, size) in sources.items()):
            self.rebuild()
            before = {}
        missing = {origin: size - before.get(origin, 0) for origin, (_, size) in sources.items()}
        total = sum(missing.values())
        with self._bulk(total >= BULK and total > sum(before.values())) as recent:
            for origin, (source, size) in sources.items():
                if missing[origin]:
                    self._follow(source, before.get(origin, 0), size, recent)
        self._changes += bool(total)
        return total

    def rebuild(self) -> None:
        """Drop every row. The next catch-up begins at the beginning."""
        self._changes += 1
        with writing(self.engine) as db:
            for kept in reversed(self._tables()):
                if kept is not meta:
                    db.execute(delete(kept))

    def _follow(self, source: Source, start: int, stop: int, recent: set[bytes] | None) -> None:
        entries = source.entries(start, stop)
        while batch := list(islice(entries, BATCH)):
            with writing(self.engine) as db:
                _Step(self, db, recent).apply(source.origin, start, batch)
            start += len(batch)

    @contextmanager
    def _bulk(self, wanted: bool) -> Iterator[set[bytes] | None]:  # noqa: FBT001  it is the answer to one question
        """The fast way, if it is `wanted`: no secondary indexes until the end, and a memory of recent leaf hashes instead."""
        if not wanted:
            yield None
            return
        with writing(self.engine) as db:
            for index in SECONDARY:
                index.drop(db, checkfirst=True)
        try:
            yield set()
        finally:
            self._complete()

    def _prepare(self) -> None:
        """Make the tables, anew if they were made by another version or for another organisation, or are damaged."""
        shape = self._shape()
        try:
            with self.reading() as db:
                if inspect(db).has_table(meta.name) and db.scalar(select(meta.c.value).where(meta.c.name == "shape")) == shape:
                    if {index.name for index in SECONDARY} - {each["name"] for each in inspect(db).get_indexes(records.name)}:
                        self._complete()
                    return
        except DamagedError:
            remove_file(self.engine)  # what is derived can be derived again
        with writing(self.engine) as db:
            for kept in reversed(self._tables()):
                kept.drop(db, checkfirst=True)
            for kept in self._tables():
                kept.create(db)
            db.execute(insert(meta).values(name="shape", value=shape))

    def _complete(self) -> None:
        """End the fast way, or what is left of one that was cut off: make the indexes, and release what waited for them."""
        with writing(self.engine) as db:
            for index in SECONDARY:
                index.create(db, checkfirst=True)
            _Step(self, db, None).release()

    def _shape(self) -> str:
        """A name for what the tables are made by: the organisation, and the code of every module that makes rows."""
        modules = {kind.handler.__module__ for kind in self.kinds.values()} | {record.__module__ for record in self.kinds}
        sources = [Path(sys.modules[name].__file__ or "") for name in sorted({*modules, __name__})]
        content = sha256(self.organisation.encode())
        for path in sources:
            content.update(path.read_bytes() if path.is_file() else path.name.encode())
        return content.hexdigest()

    def _tables(self) -> list[Table]:
        """All tables, in an order in which they can be made."""
        return [*TABLES.sorted_tables, *(kept for pillar in self.pillars for kept in pillar.tables.sorted_tables)]


class _Step:
    """One transaction of a catch-up: entries become rows."""

    def __init__(self, view: View, db: Connection, recent: set[bytes] | None) -> None:
        self._view = view
        self._db = db
        self._recent = recent  # None unless this is the fast way
        self._here: set[bytes] = set() if recent is None or len(recent) >= RECENT_MAX else recent
        self._rows: defaultdict[tuple[Table, tuple[str, ...]], list[tuple[Any, ...]]] = defaultdict(list)
        self._standing: dict[str, list[tuple[int, Identity]]] = {}

    def apply(self, origin: str, start: int, entries: list[bytes]) -> None:
        """Read `entries` of `origin`, of which the first has index `start`.

        Another process may have read some of them meanwhile; they are passed over.
        """
        log, size = self._log(origin)
        entries, start = entries[max(size - start, 0) :], max(size, start)
        if size < start:
            raise RuntimeError(f"the view has {size} entries of {origin}, and was given those from {start}")
        for first in range(0, len(entries), ROWS):
            self._take(origin, log, start + first, entries[first : first + ROWS])
            self._insert_made(ROWS)
        self._insert_made()
        self._db.execute(update(logs).where(logs.c.log == log).values(size=start + len(entries)))
        if self._recent is None:
            self.release()

    def _take(self, origin: str, log: int, start: int, entries: list[bytes]) -> None:
        """Make the rows of `entries`, of which the first has index `start`."""
        said, here = self._rows[records, ()], self._here
        for index, entry in enumerate(entries, start):
            leaf = leaf_hash(entry)
            state, kind, at, needs = self._read(origin, log, index, leaf, entry)
            said.append((log, index, kind, at, int(state), bytearray(leaf)))  # bytes cost the driver a question each
            if state is APPLIED:
                here.add(leaf)
            elif needs is not None:
                self._rows[waiting, ()].append((log, index, needs, entry))

    def release(self) -> None:
        """Apply every waiting record whose need is met, and then those that waited for it."""
        if self._db.execute(select(waiting.c.log).limit(1)).first() is None:
            return
        met = select(waiting.c.needs).join(records, (records.c.leaf == waiting.c.needs) & (records.c.state == State.APPLIED))
        found = list(self._db.scalars(met.distinct()))
        while found:
            for log, origin, index, entry in self._waiting_for(found.pop()):
                if self._retry(log, origin, index, entry):
                    found.append(leaf_hash(entry))

    def _waiting_for(self, leaf: bytes) -> list[tuple[int, str, int, bytes]]:
        columns = (waiting.c.log, logs.c.origin, waiting.c.index, waiting.c.entry)
        query = select(*columns).join(logs, logs.c.log == waiting.c.log).where(waiting.c.needs == leaf)
        return [(log, origin, index, entry) for log, origin, index, entry in self._db.execute(query)]

    def _retry(self, log: int, origin: str, index: int, entry: bytes) -> bool:
        """Read a waiting record again; whether it was applied."""
        mine = (waiting.c.log == log) & (waiting.c.index == index)
        state, kind, at, needs = self._read(origin, log, index, leaf_hash(entry), entry)
        if needs is not None:
            self._db.execute(update(waiting).where(mine).values(needs=needs))
            return False
        self._db.execute(delete(waiting).where(mine))
        said = update(records).where((records.c.log == log) & (records.c.index == index))
        self._db.execute(said.values(state=state, type=kind, at=at))
        self._insert_made()
        return state is APPLIED

    def _read(self, origin: str, log: int, index: int, leaf: bytes, entry: bytes) -> tuple[State, str, int, bytes | None]:
        """What `entry` is: its state, type, claimed time, and the leaf hash of the first record that it waits for."""
        view = self._view
        try:
            record = view.codec.decode(entry)
            kind = view.kinds[type(record)]
            if record.by != origin:
                raise RefusedError(f"{record.by} speaks in the log of {origin}")
            if record.org and record.org != view.organisation and not isinstance(record, Identity):
                return State.FOREIGN, kind.tag, record.at, None
            needs = self._first_missing(record) if record.seen or kind.refers else None
            if needs is not None:
                return State.WAITING, kind.tag, record.at, needs
            current = self._identity(origin, index, record if kind.sealed else None)
            self._make_rows(kind, Stamp(origin, index, leaf.hex(), current), record)
            if kind.detached:
                self._note_blobs(kind, log, index, record)
        except ConcordError:
            header = read_header(entry)
            return State.UNREADABLE, header.type[:80] if header else "", 0, None
        return APPLIED, kind.tag, record.at, None

    def _make_rows(self, kind: Kind, stamp: Stamp, record: Record) -> None:
        for kept, names, values in list(kind.handler(stamp, record)):
            if kept not in kind.tables:
                raise RuntimeError(f"the handler of {kind.tag} writes {kept.name}, a table of another pillar")
            self._rows[kept, names].append((stamp.origin, stamp.index, *values))

    def _note_blobs(self, kind: Kind, log: int, index: int, record: Record) -> None:
        values = [getattr(record, name) for name in kind.detached]
        parts = [part for value in values if value is not None for part in ((value,) if isinstance(value, Detached) else value)]
        for number, part in enumerate(parts):
            self._rows[blobs, ()].append((log, index, number, part.digest, part.size, int(part.salted)))

    def _insert_made(self, least: int = 1) -> None:
        """Insert the rows that were made, of each shape of which there are at least so many.

        A shape is a table, and which of its columns a handler fills; none means all.
        """
        for (kept, names), rows in self._rows.items():
            if len(rows) >= least:
                self._insert(kept, ("origin", "index", *names) if names else tuple(kept.c.keys()), rows)
                rows.clear()

    def _insert(self, kept: Table, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Insert rows with values for the columns `names`: straight to the driver, many in a statement."""
        step = min(ROWS, PARAMETERS // len(names))
        whole = len(rows) - len(rows) % step
        for start in range(0, whole, step):
            values = tuple(chain.from_iterable(rows[start : start + step]))
            self._db.exec_driver_sql(_insertion(kept, names, step, self._db.dialect), values)
        if whole < len(rows):
            self._db.exec_driver_sql(_insertion(kept, names, 1, self._db.dialect), rows[whole:])

    def _identity(self, origin: str, index: int, sealed: Record | None) -> Identity:
        """The identity that holds at `index`. If the record there is `sealed`, its seals are checked against it.

        An identity is checked against the one before, and holds from here on. ForgedError if seals are missing.
        """
        standing = self._standing.get(origin) or self._standing_of(origin)
        if sealed is None and standing and standing[-1][0] < index:
            return standing[-1][1]
        current = next((said for place, said in reversed(standing) if place < index), None)
        if isinstance(sealed, Identity):
            standing.append((index, identity.follow(current, sealed) if current else identity.first(sealed)))
            return sealed
        if current is None:
            raise ForgedError(f"the log of {origin} does not begin with an identity")
        if isinstance(sealed, Sealed) and not identity.bound_by(current, sealed):
            raise ForgedError(f"a record of {origin} that neither an organ of it nor its root sealed")
        return current

    def _standing_of(self, origin: str) -> list[tuple[int, Identity]]:
        """The identities of `origin` that took effect, each with its index."""
        if origin not in self._standing:
            columns = select(identity_table.c.index, identity_table.c.entry)
            kept = columns.where(identity_table.c.origin == origin).order_by(identity_table.c.index)
            self._standing[origin] = [(index, self._view.codec.decode(entry)) for index, entry in self._db.execute(kept)]
        return self._standing[origin]

    def _first_missing(self, record: Record) -> bytes | None:
        """The first record that `record` refers to and that is not applied. An identity never waits: what follows needs it."""
        if isinstance(record, Identity):
            return None
        return next((leaf for leaf in map(bytes.fromhex, self._view.codec.refs(record)) if not self._is_here(leaf)), None)

    def _is_here(self, leaf: bytes) -> bool:
        if leaf in self._here or (self._recent is not None and leaf in self._recent):
            return True
        if self._recent is not None:  # without an index nothing is looked up: let it wait until there is one
            return False
        found = select(records.c.log).where(records.c.leaf == leaf, records.c.state == State.APPLIED).limit(1)
        return self._db.execute(found).first() is not None

    def _log(self, origin: str) -> tuple[int, int]:
        """The number of the log in this view, and how many of its entries were read."""
        row = self._db.execute(select(logs.c.log, logs.c.size).where(logs.c.origin == origin)).first()
        if row is None:
            self._db.execute(insert(logs).values(origin=origin, size=0))
            return self._log(origin)
        return row[0], row[1]


def _kind(pillar: Pillar, kind: type[Record]) -> Kind:
    own = frozenset(pillar.tables.tables.values())
    return Kind(tag(kind), pillar.handlers[kind], own, bool(ref_fields(kind)), issubclass(kind, Sealed), detached_fields(kind))


@cache
def _insertion(kept: Table, names: tuple[str, ...], count: int, dialect: Dialect) -> str:
    """The INSERT of `count` rows, with the values of the columns `names` as parameters."""
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(quote(kept.c[name].name) for name in names)
    values = ", ".join("%s" if "format" in dialect.paramstyle else "?" for _ in names)
    rows = ", ".join([f"({values})"] * count)
    return f"INSERT INTO {quote(kept.name)} ({columns}) VALUES {rows}"  # noqa: S608  names are the code's own


def _digest(db: Connection, kept: Table) -> str:
    """SHA-256 over the rows of a table in the order of their keys, with the origin in place of a log's number in this view."""
    keys = list(kept.primary_key)
    if "log" in kept.c:
        rest = [column for column in kept.c if column.name != "log"]
        query = select(logs.c.origin, *rest).join(logs, logs.c.log == kept.c.log).order_by(logs.c.origin, *keys[1:])
    else:
        query = select(kept).order_by(*keys)
    content = sha256()
    for row in db.execute(query.execution_options(yield_per=1000)):
        content.update(ENCODER.encode(tuple(row)) + b"\n")
    return content.hexdigest()
