"""Who asked to have the files of a gated repo, and what its owner said to that. It concerns this node alone.

>>> from concord.ledger.storage.database import open_database, writing
>>> from concord.private.tables import prepare
>>> engine = open_database(None)
>>> prepare(engine)
>>> with writing(engine) as db:
...     ask(db, "9f" * 32, "tn.example/0", "sami", "pending", now=1790000000)
...     settle(db, "9f" * 32, "tn.example/0", "sami", "accepted", now=1790000001)
...     status(db, "9f" * 32, "tn.example/0", "sami"), len(asked(db, "9f" * 32, "pending"))
('accepted', 0)
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, insert, select, update

from concord.private.tables import access


class Asked(NamedTuple):
    """A request for access. `status` is pending, accepted or rejected."""

    number: int
    origin: str
    person: str
    status: str
    at: int


def status(db: Connection, repo: str, origin: str, person: str) -> str | None:
    """How a person's request stands, or None if there is none. `repo` is the root of one."""
    found: str | None = db.scalar(select(access.c.status).where(_one(repo, origin, person)))
    return found


def asked(db: Connection, repo: str, wanted: str) -> list[Asked]:
    """The requests of one status, in the order in which they came."""
    columns = select(access.c.number, access.c.origin, access.c.person, access.c.status, access.c.at)
    rows = db.execute(columns.where(access.c.repo == repo, access.c.status == wanted).order_by(access.c.number))
    return [Asked(*row) for row in rows]


def ask(db: Connection, repo: str, origin: str, person: str, first: str, now: int) -> None:
    """Note a request, which stands as `first` says; one that was made before stands as it does."""
    if status(db, repo, origin, person) is None:
        db.execute(insert(access).values(repo=repo, origin=origin, person=person, status=first, at=now))


def settle(db: Connection, repo: str, origin: str, person: str, to: str, now: int) -> None:
    """Let a request stand as `to` says, whether it was made or not."""
    ask(db, repo, origin, person, to, now)
    db.execute(update(access).where(_one(repo, origin, person)).values(status=to, at=now))


def _one(repo: str, origin: str, person: str) -> ColumnElement[bool]:
    return (access.c.repo == repo) & (access.c.origin == origin) & (access.c.person == person)
