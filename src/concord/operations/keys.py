"""Changing keys: the log's, the witness's, the office's, or the root itself.

Each change is a new identity in the member's log, sealed by its root, whose keys have to be brought to the machine for it. A
new log key stands beside the old one until the old one is retired, so that whoever has not seen the change still verifies.
"""

from collections.abc import Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from secrets import token_bytes
from typing import Any, Literal

import msgspec

from concord.errors import RefusedError, SettingsError
from concord.ledger import keyring
from concord.ledger.identity import Identity, Root, label, witness_name
from concord.ledger.keyring import OFFICE, ROOT_KEYS, ROOT_THRESHOLD, Keyring, PrivateKey
from concord.ledger.record import seal
from concord.node import Node, Receipt
from concord.tlog import ed25519
from concord.tlog.note import COSIGNATURE, ED25519

What = Literal["log", "witness", "office", "root"]
LOG_KEYS_MAX = 4


def rotate(node: Node, home: Path, origin: str, what: What) -> Receipt:
    """Put a new key in the place of the one for `what`. RefusedError if the root keys for it are not at hand."""
    current = _current(node, origin)
    number = current.number + 1
    make = partial(_make, home / "keys" / label(origin))
    match what:
        case "log":
            made = make({f"log-{number}": (origin, ED25519)})
            changes: dict[str, Any] = {"log": (*current.log, _hex(made))}
            if len(changes["log"]) > LOG_KEYS_MAX:
                raise RefusedError(f"{origin} has {len(current.log)} log keys already: retire the old ones first")
        case "witness":
            made = make({f"witness-{number}": (witness_name(origin), COSIGNATURE)})
            changes = {"witness": _hex(made)}
        case "office":
            made = make({f"organ-{OFFICE}-{number}": (f"{origin}/{OFFICE}", ED25519)})
            changes = {"organs": {**current.organs, OFFICE: _hex(made)}}
        case "root":
            made = make({f"next-{number}-{one}": (f"{origin}/next", ED25519) for one in range(1, ROOT_KEYS + 1)})
            changes = {"root": _announced(node.holdings.keyring, current), "next": _root(made).digest()}
    return _say(node, home, current, changes, made)


def retire(node: Node, home: Path, origin: str) -> Receipt:
    """Leave only the newest log key. RefusedError if there is only one."""
    current = _current(node, origin)
    if len(current.log) == 1:
        raise RefusedError(f"{origin} has one log key, and nothing to retire")
    return _say(node, home, current, {"log": current.log[-1:]}, {})


def _say(node: Node, home: Path, current: Identity, changes: Mapping[str, Any], made: Mapping[str, PrivateKey]) -> Receipt:
    said = msgspec.structs.replace(current, number=current.number + 1, at=node.clock(), seals=(), **changes)
    sealed: Identity = seal(said, node.holdings.keyring.root_seeds(said.root))
    folder = home / "keys" / label(current.by)
    keyring.save(folder, {name: key for name, key in made.items() if not (folder / name).exists()})
    node.holdings.keyring = node.holdings.keyring.with_keys(made.values())
    return node.say_identity(sealed)


def _current(node: Node, origin: str) -> Identity:
    node.holdings.log(origin)
    current = node.holdings.identity(origin)
    assert current is not None
    return current


def _announced(held: Keyring, current: Identity) -> Root:
    """The root that was announced, from the keys at hand. RefusedError if they are not all here: its digest needs each."""
    candidates = [key.public.key.hex() for key in held if key.name == f"{current.by}/next"]
    for chosen in combinations(candidates, ROOT_KEYS):  # those of a change that failed may lie among them
        root = Root(keys=chosen, threshold=ROOT_THRESHOLD)
        if root.digest() == current.next:
            return root
    raise RefusedError(f"the next root of {current.by} is {ROOT_KEYS} keys, next-…, and not all of them are in keys/: bring them")


def _make(folder: Path, wanted: Mapping[str, tuple[str, int]]) -> dict[str, PrivateKey]:
    """A key for each file, with the name and kind that are wanted: one that a change left there that failed, or a new one."""
    made = {}
    for file, (name, kind) in wanted.items():
        key = keyring.read(folder / file) or PrivateKey(name, kind, token_bytes(ed25519.SEED_SIZE))
        if (key.name, key.kind) != (name, kind):
            raise SettingsError(f"{folder / file}: a key of {key.name} stands where one of {name} goes")
        made[file] = key
    return made


def _root(made: Mapping[str, PrivateKey]) -> Root:
    return Root(keys=tuple(key.public.key.hex() for key in made.values()), threshold=ROOT_THRESHOLD)


def _hex(made: Mapping[str, PrivateKey]) -> str:
    (key,) = made.values()
    return key.public.key.hex()
