"""Databases: SQLite in a file or in memory, opened so that readers cannot write and writers do not race.

>>> engine = open_database(None)
>>> with writing(engine) as db:
...     _ = db.exec_driver_sql("CREATE TABLE t (x)")
>>> with reading(engine) as db:
...     db.exec_driver_sql("PRAGMA query_only").scalar()
1
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from concord.errors import BusyError, DamagedError, StorageError

BUSY_TIMEOUT = 30_000  # milliseconds that a writer waits for another process
_DURABLE = ("journal_mode=WAL", "synchronous=FULL")
# What is derived takes rows in order for most of its life, so its pages are large. It syncs whenever 32 MB were written: with less,
# a first catch-up on a busy disk waits for that longer than for anything else.
_DERIVED = ("page_size=8192", "journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=4096")

# For every None the driver looks for an adapter, makes an error of finding none, and drops it. One that gives None back at once
# saves a third of the time that a row with three of them takes.
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]  # the driver takes None as well


def open_database(path: Path | None, *, durable: bool = True, derived: bool | None = None) -> Engine:
    """The database in the file `path`, or in memory for None.

    `durable` makes every commit survive a loss of power, at the price of a sync; what is derived and can be computed again does
    without. `derived` says whether it can be computed again; unless said, what is not durable can.
    """
    url = f"sqlite:///{path}" if path else "sqlite://"
    pool = {"poolclass": StaticPool} if path is None else {}
    options = {"derived": not durable if derived is None else derived}
    engine = create_engine(url, connect_args={"check_same_thread": False}, execution_options=options, **pool)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, and says it as we want it
        for pragma in (*(_DURABLE if durable else _DERIVED), f"busy_timeout={BUSY_TIMEOUT}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if connection.info.get("reading") else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one moment and cannot write. StorageError, BusyError or DamagedError if it cannot read either."""
    with _telling(engine), engine.connect() as db:
        db.info["reading"] = True
        raw = db.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA query_only=ON")
        try:
            yield db
        finally:
            db.rollback()
            raw.execute("PRAGMA query_only=OFF")
            db.info["reading"] = False


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction. StorageError, BusyError or DamagedError if the database cannot take it."""
    with _telling(engine), engine.begin() as db:
        yield db


@contextmanager
def _telling(engine: Engine) -> Iterator[None]:
    try:
        yield
    except OperationalError as e:
        raise told(e, engine) from e
    except DatabaseError as e:
        if not _is_damage(e):
            raise
        derived = engine.get_execution_options().get("derived")
        cure = "Delete it, and it is computed anew" if derived else "Take it from a backup"
        raise DamagedError(f"{engine.url.database}: the database is damaged. {cure}") from e


def version(engine: Engine) -> tuple[int, ...]:
    """Something that differs once another process has written to the database file; nothing for one in memory."""
    if not engine.url.database:
        return ()
    found = []
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            status = Path(engine.url.database + suffix).stat()
            found += [status.st_mtime_ns, status.st_size]
    return tuple(found)


def _is_damage(error: DatabaseError) -> bool:
    """Whether the database says that its file is not what it wrote."""
    return "malformed" in str(error) or "not a database" in str(error)


def remove_file(engine: Engine) -> None:
    """Remove the file of a database, and what SQLite keeps beside it. The next connection begins a new one."""
    engine.dispose()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{engine.url.database}{suffix}").unlink(missing_ok=True)


def told(error: OperationalError, engine: Engine) -> StorageError | BusyError:
    """The database's error as ours: what happened, and what to do."""
    text, where = str(error.orig), engine.url.database or "the database in memory"
    if "full" in text:
        return StorageError(f"{where}: the disk is full; nothing acknowledged is lost. Free some space, then do it again")
    if "readonly" in text or "unable to open" in text:
        return StorageError(f"{where}: may not be written. Give its owner the right to write, or choose another home with --home")
    if "locked" in text:
        return BusyError(f"{where}: another process holds it for longer than {BUSY_TIMEOUT // 1000} seconds")
    return StorageError(f"{where}: {text}")
