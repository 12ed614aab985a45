"""A node's home: the directory that holds all of it.

    concord.toml    settings                      keys/     private keys, for their owner only
    logs/           all logs, ours and copies     blobs/    large bytes
    view.db         derived; may be deleted       node.db   people, tokens, sessions, peers; never derived
    charter         the organisation's charter, canonical JSON
    place           empty: where it lies, and since when, tells this folder from a copy of it

A backup is everything but view.db. A home that was copied back from a backup may lack what was signed since, and signing
anything then would make two histories. So a home remembers which folder it was; if it finds itself in another one, its logs
sign nothing until a peer has told what it knows of them (`Upkeep.recover`), or somebody says that there is nothing to know
(`concord log resume`).
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from concord.config import FILE, Settings, read
from concord.errors import SettingsError
from concord.ledger import keyring
from concord.ledger.blobs import Blobs
from concord.ledger.holdings import Holdings
from concord.ledger.identity import label
from concord.ledger.keyring import NewMember
from concord.ledger.storage.database import open_database
from concord.ledger.storage.files import Files, told
from concord.node import Node
from concord.private import peers
from concord.private.tables import get, put

MOVED = (
    "this home was moved or restored from a backup, and not every peer has said yet what it knows of this log. "
    "It goes on once they have, or with `concord log resume`"
)
_MARK, _SEEN = "home", "home seen"
_PLACE = "place"  # a file with nothing in it, by which a home knows its folder again


def is_empty(home: Path) -> bool:
    """Whether there is no node in `home`."""
    return not (home / "node.db").exists()


def create(home: Path) -> Node:
    """A node without members in an empty `home`. SettingsError if one is there already."""
    if not is_empty(home):
        raise SettingsError(f"{home}: there is a node here already")
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "keys").mkdir(exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True)
    except OSError as e:
        raise told(e, home) from e
    node = _open(home, _wall_clock)
    stay(node, home)
    return node


def open_home(home: Path, clock: Callable[[], int] | None = None) -> Node:
    """The node in `home`. SettingsError if there is none; its logs are paused if the home looks like a copy."""
    if is_empty(home):
        raise SettingsError(f"{home}: no node here yet. Say `concord init` to make one, or `concord demo` to try things out")
    node = _open(home, clock or _wall_clock)
    if moved_since(node, home) is not None:
        pause(node, MOVED)
    return node


def pause(node: Node, reason: str | None) -> None:
    """Let none of the node's own logs sign, with this reason (None: let them sign again)."""
    for origin in node.holdings.hosted():
        node.holdings.log(origin).pause(reason)


def add_member(node: Node, home: Path, member: NewMember) -> None:
    """Keep the keys of a member just made, then begin its log."""
    keyring.save(home / "keys" / label(member.origin), member.keys)
    node.found(member)


def moved_since(node: Node, home: Path) -> int | None:
    """When the home was first seen in another folder than it was (POSIX seconds), if it is still to be asked about.

    None if it is where it was, or if there are no peers that could know more of its logs than it does.
    """
    with node.private_reading() as db:
        mark, seen, others = get(db, _MARK), get(db, _SEEN), peers.everyone(db)
    if mark == _mark(home) or not others:
        return None
    if seen is None or seen.partition(" ")[0] != _mark(home):
        seen = f"{_mark(home)} {node.clock()}"
        with node.private_writing() as db:
            put(db, _SEEN, seen)
    return int(seen.partition(" ")[2])


def stay(node: Node, home: Path) -> None:
    """Remember which folder this is: what peers know of our logs has been asked, or there is nothing to ask."""
    try:
        (home / _PLACE).unlink(missing_ok=True)
        (home / _PLACE).touch()
    except OSError as e:
        raise told(e, home) from e
    with node.private_writing() as db:
        put(db, _MARK, _mark(home))


def doubt(node: Node) -> None:
    """Forget which folder this is: a peer knows more of our logs than could be taken back."""
    with node.private_writing() as db:
        put(db, _MARK, "")


def _mark(home: Path) -> str:
    """What a copy of the folder cannot keep: where on the disk a file of it lies, and since when, which no copy can choose.

    Where alone would not do: whoever restores a folder in its own place may be given the very place again.
    """
    try:
        status = (home / _PLACE).stat()
    except FileNotFoundError:
        return "nowhere"
    return f"{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}"


def _open(home: Path, clock: Callable[[], int]) -> Node:
    holdings = Holdings(Files(home), keyring.load(home / "keys"))
    private = open_database(home / "node.db")
    return Node(settings(home), holdings, Blobs(home / "blobs"), private, open_database(home / "view.db", durable=False), clock)


def settings(home: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the node in `home`."""
    path = home / FILE
    try:
        raw = path.read_bytes() if path.exists() else b""
    except OSError as e:
        raise SettingsError(f"{path} cannot be read: {e.strerror}") from e
    return read(raw, environment)


def _wall_clock() -> int:
    return int(time.time())
