"""What the disk of this node lost or changed, whether it was had again, and how far the stored bytes were read through.

A damage is of a xorb, by its name, or of a file, by its SHA-256. It is open until it is mended; why it is not yet is noted with the
last try. What was mended is remembered for a while, because a disk that forgets once forgets again.

>>> from concord.ledger.storage.database import open_database, writing
>>> from concord.private.tables import prepare
>>> engine = open_database(None)
>>> prepare(engine)
>>> with writing(engine) as db:
...     _ = note(db, "xorb", "3a" * 32, "chunk 7 is not what was written", now=1790000000)
...     tried(db, "xorb", "3a" * 32, "no peer has it", now=1790000060)
...     [(each.why, each.mended) for each in everything(db)]
[('no peer has it', None)]
>>> with writing(engine) as db:
...     mended(db, "xorb", "3a" * 32, "", now=1790003600)
...     due(db, 1790003600), everything(db)[0].mended
([], 1790003600)
"""

from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, or_, select, update

from concord.private.tables import damage, get, put

REMEMBERED = 90 * 86_400  # seconds for which what was mended is remembered
WORDS_MAX = 500
_SETTING = "scrub"


class Damage(NamedTuple):
    """A damage: "xorb" or "file", its name, what was wrong, when it was found, when it was last tried to be had again, why that

    did not help, and when it did (POSIX seconds; None: not yet).
    """

    kind: str
    name: str
    reason: str
    found: int
    tried: int | None
    why: str | None
    mended: int | None


class Round(msgspec.Struct, frozen=True):
    """How far the stored bytes were read through: the round that `begun`, up to `place` (""), so many bytes.

    `ended` is when the round before ended; all times are POSIX seconds.
    """

    begun: int
    place: str = ""
    read: int = 0
    ended: int | None = None


def note(db: Connection, kind: str, name: str, reason: str, now: int) -> bool:
    """Something was found; whether that is new."""
    mine = (damage.c.kind == kind) & (damage.c.name == name)
    if is_open(db, kind, name):
        return False
    db.execute(delete(damage).where(or_(mine, damage.c.mended < now - REMEMBERED)))
    db.execute(insert(damage).values(kind=kind, name=name, reason=reason[:WORDS_MAX], found=now))
    return True


def tried(db: Connection, kind: str, name: str, why: str, now: int) -> None:
    """It could not be had again, and why."""
    mine = (damage.c.kind == kind) & (damage.c.name == name)
    db.execute(update(damage).where(mine).values(tried=now, why=why[:WORDS_MAX]))


def mended(db: Connection, kind: str, name: str, how: str, now: int) -> None:
    """It is here again, or nobody needs it any more: `how` says which, if there is something to say."""
    mine = (damage.c.kind == kind) & (damage.c.name == name)
    db.execute(update(damage).where(mine).values(tried=now, why=how[:WORDS_MAX] or None, mended=now))


def due(db: Connection, before: int) -> list[Damage]:
    """What is not mended, and was not tried since a time; what was tried longest ago first."""
    wanted = select(damage).where(damage.c.mended.is_(None), or_(damage.c.tried.is_(None), damage.c.tried <= before))
    return [Damage(*row) for row in db.execute(wanted.order_by(damage.c.tried, damage.c.kind, damage.c.name))]


def is_open(db: Connection, kind: str, name: str) -> bool:
    """Whether something is lost and not mended."""
    mine = (damage.c.kind == kind) & (damage.c.name == name)
    return db.execute(select(damage.c.name).where(mine, damage.c.mended.is_(None))).first() is not None


def everything(db: Connection) -> list[Damage]:
    """All damages that are remembered, those first that are not mended, then those found last."""
    rows = [Damage(*row) for row in db.execute(select(damage).order_by(damage.c.found.desc(), damage.c.kind, damage.c.name))]
    return sorted(rows, key=lambda each: each.mended is not None)


def last_round(db: Connection) -> Round | None:
    """How far the stored bytes were read through; None if that was never begun."""
    kept = get(db, _SETTING)
    return msgspec.json.decode(kept, type=Round) if kept else None


def put_round(db: Connection, reached: Round) -> None:
    """Remember how far they were."""
    put(db, _SETTING, msgspec.json.encode(reached).decode())
