"""Which files of other members' repos were fetched, and when each was last read: what nobody reads goes first.

>>> from concord.ledger.storage.database import open_database, writing
>>> from concord.private.tables import prepare
>>> engine = open_database(None)
>>> prepare(engine)
>>> with writing(engine) as db:
...     note(db, "9f" * 32, "ab" * 32, 12, now=1790000000)
...     note(db, "9f" * 32, "cd" * 32, 30, now=1790000001)
...     touch(db, "9f" * 32, "ab" * 32, now=1790000900)
...     total(db), [each.sha256[:2] for each in oldest(db)]
(42, ['cd', 'ab'])
"""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from concord.private.tables import fetched

FINE = 60  # seconds within which a second reading is not worth a note


class Fetched(NamedTuple):
    """A file that was fetched for a repo (its root), and when it was last read (POSIX seconds)."""

    repo: str
    sha256: str
    size: int
    read: int


def note(db: Connection, repo: str, sha256: str, size: int, now: int) -> None:
    """A file was fetched."""
    drop(db, repo, sha256)
    db.execute(insert(fetched).values(repo=repo, sha256=sha256, size=size, read=now))


def touch(db: Connection, repo: str, sha256: str, now: int) -> None:
    """It was read, if it was fetched at all."""
    mine = (fetched.c.repo == repo) & (fetched.c.sha256 == sha256)
    db.execute(update(fetched).where(mine, fetched.c.read < now).values(read=now))


def due(db: Connection, repo: str, sha256: str, now: int) -> bool:
    """Whether a reading is worth a note."""
    mine = (fetched.c.repo == repo) & (fetched.c.sha256 == sha256)
    return db.execute(select(fetched.c.size).where(mine, fetched.c.read < now - FINE)).first() is not None


def total(db: Connection) -> int:
    """How many bytes were fetched, each file counted once."""
    each = select(fetched.c.sha256, func.max(fetched.c.size).label("size")).group_by(fetched.c.sha256).subquery()
    return int(db.scalar(select(func.coalesce(func.sum(each.c.size), 0))) or 0)


def oldest(db: Connection) -> Iterator[Fetched]:
    """All that was fetched, what was read longest ago first."""
    yield from (Fetched(*row) for row in db.execute(select(fetched).order_by(fetched.c.read, fetched.c.sha256, fetched.c.repo)))


def drop(db: Connection, repo: str, sha256: str) -> None:
    """It is kept no more."""
    db.execute(delete(fetched).where(fetched.c.repo == repo, fetched.c.sha256 == sha256))
