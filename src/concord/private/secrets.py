"""One-time links, sessions and tokens: strings that let somebody in, of which only hashes are kept.

Each is 32 random bytes, so that a plain SHA-256 of it can be stored: there is nothing to guess. Tokens begin with `hf_`,
because the clients of the Hugging Face Hub expect it.

>>> from concord.ledger.pillar import Role
>>> from concord.ledger.storage.database import open_database, writing
>>> from concord.private import people
>>> from concord.private.tables import prepare
>>> engine = open_database(None)
>>> prepare(engine)
>>> with writing(engine) as db:
...     people.add(db, "amina", "Amina", "ke.example/0", [Role.DELEGATE], now=1790000000)
...     secret = make_token(db, "amina", "laptop", [Role.DELEGATE], now=1790000000, days=90)
...     secret[:3], token_speaker(db, secret, now=1790000001).person
('hf_', 'amina')
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from secrets import choice, token_hex, token_urlsafe
from string import ascii_letters, digits

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from concord.errors import MissingError, RefusedError, SignInError
from concord.private import people
from concord.private.people import READ, Speaker
from concord.private.tables import link, session, token

DAY = 86_400
TOKEN_DAYS_MAX = 366
NOTED = 60  # seconds for which it stays as it is when a token was last used
_TOKEN_LENGTH = 43  # letters and digits: over 250 bits


@dataclass(frozen=True)
class Token:
    """What is known of a token; never the token itself. Times in POSIX seconds."""

    id: str
    person: str
    label: str
    scopes: tuple[str, ...]
    created: int
    expires: int
    used: int | None


def make_link(db: Connection, person: str, now: int, minutes: int) -> str:
    """A secret that signs `person` in, once, within `minutes`."""
    people.find(db, person)
    secret = token_urlsafe(32)
    db.execute(insert(link).values(hash=_hash(secret), person=person, expires=now + minutes * 60))
    return secret


def use_link(db: Connection, secret: str, now: int) -> Speaker:
    """Who the link is for; it is used up. SignInError if it is none, was used, or is too old."""
    row = db.execute(select(link.c.person, link.c.expires).where(link.c.hash == _hash(secret))).first()
    db.execute(delete(link).where((link.c.hash == _hash(secret)) | (link.c.expires <= now)))
    if row is None or row.expires <= now:
        raise SignInError("this link was used already, or is too old. Ask for another one")
    return people.speaker(db, row.person)


def make_session(db: Connection, person: str, now: int, days: int) -> str:
    """A secret for a browser's cookie that is good for `days`."""
    secret = token_urlsafe(32)
    db.execute(delete(session).where(session.c.expires <= now))
    db.execute(insert(session).values(hash=_hash(secret), person=person, created=now, expires=now + days * DAY))
    return secret


def session_speaker(db: Connection, secret: str, now: int) -> Speaker:
    """Whose session it is. SignInError if it ended."""
    row = db.execute(select(session.c.person, session.c.expires).where(session.c.hash == _hash(secret))).first()
    if row is None or row.expires <= now:
        raise SignInError("you are signed out; sign in again")
    return people.speaker(db, row.person)


def end_session(db: Connection, secret: str) -> None:
    """Sign out."""
    db.execute(delete(session).where(session.c.hash == _hash(secret)))


def csrf(secret: str) -> str:
    """The word that a form of this session must carry: it follows from the session's secret, and does not give it away."""
    return sha256(b"concord csrf " + secret.encode()).hexdigest()


def make_token(db: Connection, person: str, label: str, scopes: Iterable[str], now: int, days: int) -> str:
    """A token for a program, good for `days`, that may do at most what `scopes` name. It is shown once and never again.

    RefusedError for a scope that is neither READ nor a role of the person.
    """
    held = people.find(db, person)
    wanted = tuple(dict.fromkeys(map(str, scopes)))
    strange = set(wanted) - {READ, *map(str, held.roles)}
    if strange:
        raise RefusedError(f"{person} has no role {min(strange)!r} to give to a token")
    if not 1 <= days <= TOKEN_DAYS_MAX or not label.strip() or len(label) > 100:
        raise RefusedError(f"a token has a label, and is good for 1 to {TOKEN_DAYS_MAX} days")
    secret = "hf_" + "".join(choice(ascii_letters + digits) for _ in range(_TOKEN_LENGTH))
    db.execute(
        insert(token).values(
            hash=_hash(secret),
            id=token_hex(4),
            person=person,
            label=label.strip(),
            scopes=" ".join(wanted),
            created=now,
            expires=now + days * DAY,
        )
    )
    return secret


def token_speaker(db: Connection, secret: str, now: int) -> Speaker:
    """Who speaks with this token, narrowed to its scopes. SignInError if it is none or has expired."""
    row = db.execute(select(token.c.person, token.c.scopes, token.c.expires).where(token.c.hash == _hash(secret))).first()
    if row is None or row.expires <= now:
        raise SignInError("this token is not valid here, or has expired")
    return people.speaker(db, row.person).narrowed(row.scopes.split(" "))


def known(db: Connection, secret: str) -> Token | None:
    """What is known of the token that this secret is; None if it is none."""
    row = db.execute(select(token).where(token.c.hash == _hash(secret))).mappings().first()
    return _told(row) if row is not None else None


def is_noted(db: Connection, secret: str, now: int) -> bool:
    """Whether it is known to the minute when a token was last used.

    To write that more often would cost each request a wait for the disk.
    """
    used = db.scalar(select(token.c.used).where(token.c.hash == _hash(secret)))
    return used is not None and 0 <= now - used < NOTED


def note_use(db: Connection, secret: str, now: int) -> None:
    """Remember when a token was last used."""
    db.execute(update(token).where(token.c.hash == _hash(secret)).values(used=now))


def tokens(db: Connection, person: str | None = None) -> list[Token]:
    """All tokens, or those of one person, the newest first."""
    query = select(token).order_by(token.c.created.desc(), token.c.id)
    if person is not None:
        query = query.where(token.c.person == person)
    return [_told(row) for row in db.execute(query).mappings()]


def revoke(db: Connection, id: str, person: str | None = None) -> None:  # noqa: A002  the id it is
    """End a token. MissingError if there is none, or it is another's."""
    mine = token.c.id == id if person is None else (token.c.id == id) & (token.c.person == person)
    if db.execute(delete(token).where(mine)).rowcount == 0:
        raise MissingError(f"no token {id!r}")


def _told(row: RowMapping) -> Token:
    scopes = tuple(row["scopes"].split(" "))
    return Token(row["id"], row["person"], row["label"], scopes, row["created"], row["expires"], row["used"])


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
