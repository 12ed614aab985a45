"""People who act for the members of this node, and what each may do.

A person belongs to one member and has roles. Whoever asks for something speaks as a `Speaker`: the person's own roles when
signed in with a browser, at most the scopes of a token when a program asks.

>>> from concord.ledger.storage.database import open_database, writing
>>> from concord.private.tables import prepare
>>> engine = open_database(None)
>>> prepare(engine)
>>> with writing(engine) as db:
...     add(db, "amina", "Amina", "ke.example/0", [Role.DELEGATE], now=1790000000)
...     speaker(db, "amina").may(Role.DELEGATE), speaker(db, "amina").may(Role.ADMIN)
(True, False)
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from concord.errors import MissingError, RefusedError, SignInError
from concord.ledger.pillar import PERSONAL_ROLES, Role
from concord.private.tables import grant, person, session, token

PASSWORD_MIN = 12  # characters
PASSWORD_MAX = 1024
NODE = "node"  # whom records name if no person said them
READ = "read"  # the scope of a token that may look at what its person may see, and say nothing

_ID = re.compile(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?\Z")
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's second choice: 19 MiB, for small machines
_NOBODY = _hasher.hash("nobody has this password")


@dataclass(frozen=True)
class Person:
    """Somebody who may sign in. `has_password` says whether one was set; it is not the password."""

    id: str
    name: str
    origin: str
    roles: tuple[Role, ...]
    created: int
    has_password: bool
    disabled: bool


@dataclass(frozen=True)
class Speaker:
    """Who asks, for which member, with which roles. `scopes` is None unless a token narrows them."""

    person: str
    name: str
    origin: str
    roles: frozenset[Role]
    scopes: frozenset[str] | None = None

    @property
    def spelled(self) -> str:
        """The person as records name it, where a dot would be something else."""
        return spelled(self.person)

    def may(self, role: Role) -> bool:
        """Whether this speaker has `role`, and the token, if one is used, extends to it."""
        return role in self.roles and (self.scopes is None or role in self.scopes)

    def narrowed(self, scopes: Iterable[str]) -> "Speaker":
        """This speaker with a token of these scopes."""
        return replace(self, scopes=frozenset(scopes))


def spelled(id: str) -> str:  # noqa: A002  the id it is
    """A person as records name them.

    >>> spelled("a.b-c")
    'a-b-c'
    """
    return id.replace(".", "-")


def add(db: Connection, id: str, name: str, origin: str, roles: Iterable[Role], now: int) -> None:  # noqa: A002  the id it is
    """Add a person. RefusedError if the id is taken or is none; ids are a-z, 0-9, and inner dots and hyphens.

    In records a dot is a hyphen, so of one member's people one at most is called by either: else `a-b` could like as `a.b`.
    """
    if not _ID.match(id) or not name.strip() or len(name) > 200:
        raise RefusedError(f"{id!r} is not an id (a-z, 0-9, inner dots and hyphens), or the name is empty")
    if db.execute(select(person.c.id).where(person.c.id == id)).first():
        raise RefusedError(f"there is a person {id!r} already")
    if id == NODE:
        raise RefusedError(f"what records say is of {NODE!r} is said by the node itself, so no person is called so")
    for other in db.scalars(select(person.c.id).where(person.c.origin == origin)):
        if spelled(other) == spelled(id):
            raise RefusedError(f"there is a person {other!r} of this member already, whom records call {spelled(id)!r}, too")
    db.execute(insert(person).values(id=id, name=name.strip(), origin=origin, created=now))
    set_roles(db, id, roles)


def everybody(db: Connection) -> list[Person]:
    """All people of this node, by id."""
    return [_read(db, row) for row in db.execute(select(person).order_by(person.c.id)).mappings()]


def find(db: Connection, id: str) -> Person:  # noqa: A002
    """One person. MissingError if there is none."""
    row = db.execute(select(person).where(person.c.id == id)).mappings().first()
    if row is None:
        raise MissingError(f"no person {id!r} on this node")
    return _read(db, row)


def speaker(db: Connection, id: str) -> Speaker:  # noqa: A002
    """The person as one who speaks. SignInError if disabled."""
    found = find(db, id)
    if found.disabled:
        raise SignInError(f"{id} may no longer sign in here")
    return Speaker(found.id, found.name, found.origin, frozenset(found.roles))


def set_roles(db: Connection, id: str, roles: Iterable[Role]) -> None:  # noqa: A002
    """Give the person these roles and no others. RefusedError for the role of the node itself."""
    wanted = list(dict.fromkeys(roles))
    if not set(wanted) <= set(PERSONAL_ROLES):
        raise RefusedError("a person cannot have the role of the node itself")
    find(db, id)
    db.execute(delete(grant).where(grant.c.person == id))
    for role in wanted:
        db.execute(insert(grant).values(person=id, role=str(role)))


def disable(db: Connection, id: str, now: int) -> None:  # noqa: A002
    """The person may no longer sign in; sessions and tokens end at once."""
    find(db, id)
    db.execute(update(person).where(person.c.id == id).values(disabled=now))
    db.execute(delete(session).where(session.c.person == id))
    db.execute(delete(token).where(token.c.person == id))


def set_password(db: Connection, id: str, password: str) -> None:  # noqa: A002
    """Set a password, kept as argon2id. RefusedError if it is shorter than PASSWORD_MIN characters."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise RefusedError(f"a password has at least {PASSWORD_MIN} characters; length matters more than signs")
    find(db, id)
    db.execute(update(person).where(person.c.id == id).values(password=_hasher.hash(password)))


def check_password(db: Connection, id: str, password: str) -> Speaker:  # noqa: A002
    """Who has this id and password. SignInError otherwise, after the same time whether or not there is such a person."""
    kept = db.scalar(select(person.c.password).where(person.c.id == id))
    try:
        _hasher.verify(kept or _NOBODY, password[:PASSWORD_MAX])
    except (VerifyMismatchError, InvalidHashError) as e:
        raise SignInError("the name or the password is not right") from e
    if not kept or len(password) > PASSWORD_MAX:
        raise SignInError("the name or the password is not right")
    return speaker(db, id)


def _read(db: Connection, row: RowMapping) -> Person:
    roles = db.scalars(select(grant.c.role).where(grant.c.person == row["id"]))
    return Person(
        id=row["id"],
        name=row["name"],
        origin=row["origin"],
        roles=tuple(sorted(map(Role, roles), key=PERSONAL_ROLES.index)),
        created=row["created"],
        has_password=row["password"] is not None,
        disabled=row["disabled"] is not None,
    )
