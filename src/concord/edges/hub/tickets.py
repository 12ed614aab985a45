"""Tickets: what their holder may do with one file of one repo, until when, with a seal that only this node can make.

They stand in addresses that clients are sent to, and in place of a token at the door of the Xet protocol.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest, new
from secrets import token_hex
from threading import Lock
from typing import Literal, get_args

import msgspec

from concord.errors import MissingError, RefusedError
from concord.node import Node
from concord.pillars.commons import Repo
from concord.private import tables
from concord.shelf import Shelf

What = Literal["upload", "part", "verify", "download", "xet-read", "xet-write", "xet-own", "xorb"]
KEY = "ticket key"  # the name in node.db of what seals tickets
HOUR = 3600  # seconds
LIVES: Mapping[What, int] = {  # seconds for which a ticket is good
    **dict.fromkeys(get_args(What), 3 * HOUR),
    **dict.fromkeys(("upload", "part", "verify", "download"), 6 * HOUR),
}


class Place(msgspec.Struct, array_like=True, frozen=True):
    """The repo of a ticket: where it was found, and its root, so that no other is taken for it later."""

    kind: Literal["model", "dataset", "space"]
    owner: str
    name: str
    root: str


class Ticket(msgspec.Struct, array_like=True, frozen=True):
    """What is allowed: `what` with the bytes named `oid`, of which there are `size`, until `expires` (POSIX seconds).

    `part` is the number of a part of an upload, or where in a xorb the bytes begin; `file` the digest of the file that these
    bytes of a xorb are content of.
    """

    what: What
    place: Place
    oid: str
    size: int
    expires: int
    part: int = 0
    file: str = ""


class Turns:
    """How often the holder of each ticket was given something that is to be had a few times, `most` at the most.

    It is counted in memory, for the tickets that were used last: whoever is forgotten begins anew.
    """

    KEPT = 1000

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: OrderedDict[Ticket, int] = OrderedDict()
        self._lock = Lock()

    def take(self, ticket: Ticket) -> int | None:
        """The next turn, counted from 0; None if all were taken."""
        with self._lock:
            turn = self._taken.pop(ticket, 0)
            self._taken[ticket] = min(turn + 1, self._most)
            while len(self._taken) > self.KEPT:
                self._taken.popitem(last=False)
        return turn if turn < self._most else None


def write(node: Node, what: What, repo: Repo, oid: str = "", size: int = 0, part: int = 0, file: str = "") -> str:
    """A ticket from now on, sealed."""
    place = Place(repo.id.kind, repo.id.owner, repo.id.name, repo.root)
    ticket = Ticket(what, place, oid, size, node.clock() + LIVES[what], part, file)
    raw = urlsafe_b64encode(msgspec.json.encode(ticket)).decode().rstrip("=")
    return f"{raw}.{_seal(node, raw)}"


def read(node: Node, sealed: str, *what: What) -> Ticket:
    """The ticket for one of these. RefusedError if it is for something else, too old, or not sealed here."""
    raw, _, seal = sealed.partition(".")
    if not compare_digest(seal.encode(), _seal(node, raw).encode()):
        raise RefusedError("this address is none that this node gave")
    ticket = msgspec.json.decode(urlsafe_b64decode(raw + "=" * (-len(raw) % 4)), type=Ticket)
    if ticket.what not in what or ticket.expires <= node.clock():
        raise RefusedError("this address is for something else, or no longer good. Ask for another one")
    return ticket


def repo(shelf: Shelf, ticket: Ticket) -> Repo:
    """The repo of a ticket. MissingError if it is gone, or another one is called so now."""
    place = ticket.place
    found = shelf.rooted(place.owner, place.kind, place.name, place.root)
    if found is None:
        raise MissingError("the repo of this address is gone")
    return found


def _seal(node: Node, raw: str) -> str:
    return new(_key(node), raw.encode(), sha256).hexdigest()


def _key(node: Node) -> bytes:
    """What seals tickets: made when it is first needed, and kept by this node."""
    with node.private_reading() as db:
        key = tables.get(db, KEY)
    if key is None:
        with node.private_writing() as db:
            key = tables.get(db, KEY) or token_hex(32)
            tables.put(db, KEY, key)
    return bytes.fromhex(key)
