"""Rate limits on what people could guess at.

Failures are counted for the person and for the address within a quarter of an hour; over the limit, even the right password
waits. A success forgets the person's failures, not the address's.
"""

from sqlalchemy import Connection, delete, func, insert, select

from concord.errors import TooManyError
from concord.private.tables import attempt

WINDOW = 900  # seconds


def check(db: Connection, keys: tuple[str, ...], now: int, most: int) -> None:
    """TooManyError if one of `keys` (a person, an address) has `most` failures within WINDOW."""
    for key in keys:
        counted = select(func.count(), func.min(attempt.c.at)).where(attempt.c.key == key, attempt.c.at > now - WINDOW)
        count, first = db.execute(counted).one()
        if count >= most:
            wait = max(first + WINDOW - now, 1)
            raise TooManyError(f"too many attempts; wait {-(-wait // 60)} minutes", wait)


def failed(db: Connection, keys: tuple[str, ...], now: int) -> None:
    """Count a failure for each of `keys`."""
    db.execute(delete(attempt).where(attempt.c.at <= now - WINDOW))
    for key in keys:
        db.execute(insert(attempt).values(key=key, at=now))


def forget(db: Connection, key: str) -> None:
    """Forget the failures of `key`."""
    db.execute(delete(attempt).where(attempt.c.key == key))
