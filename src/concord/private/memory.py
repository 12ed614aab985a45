"""What this node's witness remembers, and the disputes that it knows of: what must not be forgotten, and is in no log of ours."""

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from concord.ledger.storage.database import reading, writing
from concord.ledger.tree import Head, read_head
from concord.private.tables import dispute, witnessed


class Memory:
    """A witness's memory in node.db (`concord.ledger.witness.Memory`): compared and changed in one durable step."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last(self, origin: str) -> Head | None:
        with reading(self._engine) as db:
            raw = db.scalar(select(witnessed.c.note).where(witnessed.c.origin == origin))
        return read_head(raw) if raw else None

    def sizes(self) -> dict[str, int]:
        """The size last cosigned of each origin."""
        with reading(self._engine) as db:
            return dict(map(tuple, db.execute(select(witnessed.c.origin, witnessed.c.size))))

    def swap(self, old: int, head: Head) -> bool:
        checkpoint = head.checkpoint
        new = {"size": checkpoint.size, "note": bytes(head.note)}
        mine = witnessed.c.origin == checkpoint.origin
        try:
            with writing(self._engine) as db:
                if db.execute(update(witnessed).where(mine, witnessed.c.size == old).values(new)).rowcount:
                    return True
                if old != 0:
                    return False
                db.execute(insert(witnessed).values(origin=checkpoint.origin, **new))
        except IntegrityError:
            return False
        return True


def disputes(db: Connection) -> dict[str, bytes]:
    """The logs known to have signed two trees, each with the evidence as an entry."""
    return dict(map(tuple, db.execute(select(dispute.c.origin, dispute.c.entry))))


def remember(db: Connection, origin: str, entry: bytes, now: int) -> bool:
    """Remember a dispute; whether it was new."""
    if origin in disputes(db):
        return False
    db.execute(insert(dispute).values(origin=origin, entry=entry, found=now))
    return True


def settle(db: Connection, origin: str) -> None:
    """The dispute is over."""
    db.execute(delete(dispute).where(dispute.c.origin == origin))
