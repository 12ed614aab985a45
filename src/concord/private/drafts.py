"""What was said of private repos: records in order, which leave this node only when the repo is published.

>>> from concord.ledger.storage.database import open_database, writing
>>> from concord.private.tables import prepare
>>> engine = open_database(None)
>>> prepare(engine)
>>> with writing(engine) as db:
...     add(db, "ke.example/0", "model", "words", [b"{}"])
...     repos(db), entries(db, "ke.example/0", "model", "words")
([('ke.example/0', 'model', 'words')], [b'{}'])
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from concord.private.tables import draft


def repos(db: Connection) -> list[tuple[str, str, str]]:
    """All private repos: owner, kind and name."""
    columns = select(draft.c.owner, draft.c.kind, draft.c.name).distinct()
    return [(owner, kind, name) for owner, kind, name in db.execute(columns.order_by(draft.c.owner, draft.c.kind, draft.c.name))]


def has(db: Connection, owner: str, kind: str, name: str) -> bool:
    """Whether there is such a one."""
    return db.execute(_of(select(draft.c.entry), owner, kind, name).limit(1)).first() is not None


def entries(db: Connection, owner: str, kind: str, name: str) -> list[bytes]:
    """What was said of one, in order; nothing if it is none."""
    return list(db.scalars(_of(select(draft.c.entry), owner, kind, name).order_by(draft.c.number)))


def version(db: Connection, owner: str, kind: str, name: str) -> tuple[int, bytes]:
    """How much was said of one, and the last of it: what changes whenever something is said."""
    newest = db.execute(_of(select(draft.c.entry), owner, kind, name).order_by(draft.c.number.desc()).limit(1)).scalar()
    return db.scalar(_of(select(func.count()), owner, kind, name)) or 0, newest or b""


def add(db: Connection, owner: str, kind: str, name: str, said: Iterable[bytes]) -> None:
    """Add what was said of one; the first makes it."""
    db.execute(insert(draft), [{"owner": owner, "kind": kind, "name": name, "entry": entry} for entry in said])


def rename(db: Connection, owner: str, kind: str, name: str, to: str) -> None:
    """Give one another name."""
    mine = (draft.c.owner == owner) & (draft.c.kind == kind) & (draft.c.name == name)
    db.execute(update(draft).where(mine).values(name=to))


def remove(db: Connection, owner: str, kind: str, name: str) -> None:
    """Forget one, because it was published or deleted."""
    db.execute(delete(draft).where(draft.c.owner == owner, draft.c.kind == kind, draft.c.name == name))


def _of(query: Select[Any], owner: str, kind: str, name: str) -> Select[Any]:
    return query.where(draft.c.owner == owner, draft.c.kind == kind, draft.c.name == name)
