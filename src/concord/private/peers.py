"""The peers that this node pulls from, and how the last pulls went."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, insert, select, update

from concord.errors import MissingError, RefusedError
from concord.private.tables import peer


@dataclass(frozen=True)
class Peer:
    """A peer. `asked` and `answered` are when it was last asked and last answered (POSIX seconds), `error` is what went wrong

    since; `skew` is how many seconds its clock was ahead of ours.
    """

    url: str
    added: int
    asked: int | None = None
    answered: int | None = None
    error: str | None = None
    skew: int | None = None


def add(db: Connection, url: str, now: int) -> str:
    """Add a peer by the address of its node or mirror; its address as it is kept. RefusedError for what is no address."""
    check_address(url)
    kept = url.rstrip("/")
    if not db.execute(select(peer.c.url).where(peer.c.url == kept)).first():
        db.execute(insert(peer).values(url=kept, added=now))
    return kept


def check_address(url: str) -> None:
    """RefusedError unless `url` can be the address of a node or mirror."""
    if not _is_address(url):
        raise RefusedError(f"{url!r} is not the address of a node, such as https://concord.example")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        names = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # brackets or a port that are none
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return bool(plain and names and parts.scheme in ("http", "https") and not (parts.query or parts.fragment or parts.username))


def remove(db: Connection, url: str) -> None:
    """Pull from it no more. MissingError if it is no peer."""
    if db.execute(delete(peer).where(peer.c.url == url.rstrip("/"))).rowcount == 0:
        raise MissingError(f"{url} is not a peer of this node")


def everyone(db: Connection) -> list[Peer]:
    """All peers, in the order in which they were added."""
    return [Peer(**row) for row in db.execute(select(peer).order_by(peer.c.added, peer.c.url)).mappings()]


def answered(db: Connection, url: str, now: int, skew: int | None) -> None:
    """A pull went well."""
    db.execute(update(peer).where(peer.c.url == url).values(asked=now, answered=now, error=None, skew=skew))


def failed(db: Connection, url: str, now: int, error: str) -> None:
    """A pull did not."""
    db.execute(update(peer).where(peer.c.url == url).values(asked=now, error=error[:500]))
