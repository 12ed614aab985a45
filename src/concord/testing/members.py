"""Members whose keys follow from their names, so that a test that fails today fails tomorrow."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count

from concord.ledger.identity import DOMAIN
from concord.ledger.keyring import NewMember, new_member

NOW = 1_790_000_000  # POSIX seconds: a day in September 2026


def bytes_from(seed: str) -> Callable[[int], bytes]:
    """A source of bytes (at most 32 a call) that looks random and follows from `seed`."""
    numbers = count()
    return lambda size: sha256(f"{seed} {next(numbers)}".encode()).digest()[:size]


def make_member(name: str, at: int = NOW) -> NewMember:
    """The member `name` of every test: the same keys each time."""
    return new_member(name, DOMAIN, at, bytes_from(f"member {name}"))
