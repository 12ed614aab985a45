"""The tables of node.db, and how an older one becomes a newer one.

>>> from concord.ledger.storage.database import open_database
>>> engine = open_database(None)
>>> prepare(engine)
>>> with reading(engine) as db:
...     db.scalar(select(setting.c.value).where(setting.c.name == "version")) == str(len(MIGRATIONS))
True
"""

from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    update,
)

from concord.errors import SettingsError
from concord.ledger.storage.database import reading, writing

TABLES = MetaData()

setting = Table("setting", TABLES, Column("name", String, primary_key=True), Column("value", String, nullable=False))

person = Table(
    "person",
    TABLES,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("password", String),
    Column("created", Integer, nullable=False),
    Column("disabled", Integer),
)


def _person() -> Column[str]:
    return Column("person", String, ForeignKey("person.id", ondelete="CASCADE"), nullable=False, index=True)


grant = Table(
    "grant_",
    TABLES,
    Column("person", String, ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String, primary_key=True),
)

link = Table("link", TABLES, Column("hash", String, primary_key=True), _person(), Column("expires", Integer, nullable=False))

session = Table(
    "session",
    TABLES,
    Column("hash", String, primary_key=True),
    _person(),
    Column("created", Integer, nullable=False),
    Column("expires", Integer, nullable=False),
)

token = Table(
    "token",
    TABLES,
    Column("hash", String, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    _person(),
    Column("label", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("created", Integer, nullable=False),
    Column("expires", Integer, nullable=False),
    Column("used", Integer),
)

passkey = Table(
    "passkey",
    TABLES,
    Column("id", String, primary_key=True),
    _person(),
    Column("label", String, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
    Column("created", Integer, nullable=False),
    Column("used", Integer),
)

challenge = Table(
    "challenge",
    TABLES,
    Column("hash", String, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("person", String),
    Column("expires", Integer, nullable=False),
)

attempt = Table(
    "attempt",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("key", String, nullable=False, index=True),
    Column("at", Integer, nullable=False),
)

peer = Table(
    "peer",
    TABLES,
    Column("url", String, primary_key=True),
    Column("added", Integer, nullable=False),
    Column("asked", Integer),
    Column("answered", Integer),
    Column("error", String),
    Column("skew", Integer),
    Column("rate", Integer),
    Column("window", String),
)

witnessed = Table(
    "witnessed",
    TABLES,
    Column("origin", String, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("note", LargeBinary, nullable=False),
)

dispute = Table(
    "dispute",
    TABLES,
    Column("origin", String, primary_key=True),
    Column("entry", LargeBinary, nullable=False),
    Column("found", Integer, nullable=False),
)


draft = Table(
    "draft",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("owner", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Index("draft_repo", "owner", "kind", "name"),
)

content = Table(
    "content",
    TABLES,
    Column("repo", String, primary_key=True),
    Column("sha256", String, primary_key=True),
)

access = Table(
    "access",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("repo", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("person", String, nullable=False),
    Column("status", String, nullable=False),
    Column("at", Integer, nullable=False),
    Index("access_once", "repo", "origin", "person", unique=True),
)


fetched = Table(
    "fetched",
    TABLES,
    Column("repo", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("read", Integer, nullable=False, index=True),
)

damage = Table(
    "damage",
    TABLES,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("found", Integer, nullable=False),
    Column("tried", Integer),
    Column("why", String),
    Column("mended", Integer),
)


def _begin(db: Connection) -> None:
    """Version 1: all tables but those of later versions."""
    TABLES.create_all(db, [kept for kept in TABLES.sorted_tables if kept not in (draft, content, access, fetched, damage)])


def _drafts(db: Connection) -> None:
    """Version 2: what is said of private repos, and stands in no log."""
    draft.create(db)


def _contents(db: Connection) -> None:
    """Version 3: which bytes are here as the content of which repo, and who asked to have what is gated."""
    content.create(db)
    access.create(db)


def _fetches(db: Connection) -> None:
    """Version 4: which files were fetched from peers, how fast each peer may be read, and when what nobody waits for may come."""
    fetched.create(db)
    there = {each["name"] for each in inspect(db).get_columns("peer")}  # a new node has all columns from the beginning
    for name, kind in (("rate", "INTEGER"), ("window", "VARCHAR")):
        if name not in there:
            db.exec_driver_sql(f'ALTER TABLE peer ADD COLUMN "{name}" {kind}')


def _damages(db: Connection) -> None:
    """Version 5: what the disk lost, and whether it was had again."""
    damage.create(db)


# In order. A new node runs them all; an older one those it lacks. One that has run is never changed again.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_begin, _drafts, _contents, _fetches, _damages)


def prepare(engine: Engine) -> None:
    """Bring node.db to this version. SettingsError if a newer version of Concord wrote it."""
    with reading(engine) as db:
        if _version(db) == len(MIGRATIONS):
            return
    with writing(engine) as db:
        version = _version(db)
        if version > len(MIGRATIONS):
            raise SettingsError(
                f"node.db is of version {version}, and this Concord knows {len(MIGRATIONS)}: install a newer Concord"
            )
        for migration in MIGRATIONS[version:]:
            migration(db)
        put(db, "version", str(len(MIGRATIONS)))


def get(db: Connection, name: str) -> str | None:
    """A value that the node keeps for itself, or None."""
    value: str | None = db.scalar(select(setting.c.value).where(setting.c.name == name))
    return value


def put(db: Connection, name: str, value: str) -> None:
    """Keep a value."""
    if db.execute(update(setting).where(setting.c.name == name).values(value=value)).rowcount == 0:
        db.execute(insert(setting).values(name=name, value=value))


def _version(db: Connection) -> int:
    return int(get(db, "version") or 0) if inspect(db).has_table("setting") else 0
