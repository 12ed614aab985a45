"""Private keys: what a node signs with, as files that only their owner may read.

Each key is one line in the form that signed-note tools use, `PRIVATE+KEY+<name>+<id>+<base64(kind || seed)>`, in a folder
of its member:

    keys/ke-ni/log                 signs checkpoints
    keys/ke-ni/witness             cosigns others
    keys/ke-ni/organ-office        binds the member, in accessions
    keys/ke-ni/root-1 … root-3     delegate the keys above; two of three; to be taken away from the machine
    keys/ke-ni/next-1 … next-3     the root that comes after; to be taken elsewhere

>>> key = PrivateKey("ke-ni.concord.alt/0", ED25519, bytes(32))
>>> PrivateKey.parse(str(key)) == key
True
>>> key
PrivateKey(name='ke-ni.concord.alt/0', kind=1)
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from concord.errors import DamagedError, MalformedError, RefusedError, SettingsError
from concord.ledger.identity import Identity, Root, origin_of, witness_name
from concord.ledger.record import seal
from concord.ledger.storage.files import TEMPORARY, sync, told
from concord.tlog import ed25519
from concord.tlog.note import COSIGNATURE, ED25519, VerifierKey
from concord.tlog.spelling import base64, unbase64

OFFICE = "office"  # the organ that binds a member unless its identity says otherwise
ROOT_KEYS, ROOT_THRESHOLD = 3, 2
_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True)
class PrivateKey:
    """A seed (32 bytes, never printed by repr) with the name and kind that it signs under."""

    name: str
    kind: int
    seed: bytes = field(repr=False)

    @property
    def public(self) -> VerifierKey:
        """The public side."""
        return VerifierKey(self.name, self.kind, ed25519.public_key(self.seed))

    @classmethod
    def parse(cls, text: str) -> "PrivateKey":
        """The key that `text` spells. MalformedError if it is none; the message does not repeat it."""
        parts = text.removeprefix(_PREFIX).split("+", 2)
        if not text.startswith(_PREFIX) or len(parts) != 3:
            raise MalformedError("not a private key in signed-note form")
        try:
            raw = unbase64(parts[2], 1 + ed25519.SEED_SIZE)
        except MalformedError:
            raise MalformedError("a private key that is cut off or misspelled") from None  # its message repeats the key
        key = cls(parts[0], raw[0], raw[1:])
        if str(key) != text:
            raise MalformedError("a private key whose id does not match")
        return key

    def __str__(self) -> str:
        return f"{_PREFIX}{self.name}+{self.public.id.hex()}+{base64(bytes([self.kind]) + self.seed)}"


class Keyring:
    """The private keys at hand, by public key (hexadecimal digits)."""

    def __init__(self, keys: Iterable[PrivateKey] = ()) -> None:
        self._keys = {key.public.key.hex(): key for key in keys}

    def __contains__(self, public: str) -> bool:
        return public in self._keys

    def __iter__(self) -> Iterator[PrivateKey]:
        return iter(self._keys.values())

    def first(self, publics: Iterable[str]) -> PrivateKey | None:
        """The first of `publics` that is at hand, or None."""
        return next((self._keys[public] for public in publics if public in self._keys), None)

    def root_seeds(self, root: Root) -> list[bytes]:
        """Enough seeds to speak for `root`. RefusedError if they are not at hand, which is how it should be on most days."""
        seeds = [self._keys[public].seed for public in root.keys if public in self._keys][: root.threshold]
        if len(seeds) < root.threshold:
            raise RefusedError(f"{root.threshold} root keys are needed and {len(seeds)} are here; bring them to keys/ for this")
        return seeds

    def with_keys(self, more: Iterable[PrivateKey]) -> "Keyring":
        """This keyring and `more`."""
        return Keyring((*self, *more))


@dataclass(frozen=True)
class NewMember:
    """A member just made: its origin, its first identity, and its private keys by file name."""

    origin: str
    identity: Identity
    keys: Mapping[str, PrivateKey]


def new_member(name: str, domain: str, at: int, random: Callable[[int], bytes]) -> NewMember:
    """Keys and first identity for the member `name`; `random(n)` gives n random bytes; `at` in POSIX seconds."""
    roots = [random(ed25519.SEED_SIZE) for _ in range(ROOT_KEYS)]
    nexts = [random(ed25519.SEED_SIZE) for _ in range(ROOT_KEYS)]
    log, witness, office = (random(ed25519.SEED_SIZE) for _ in range(3))
    root = _root(roots)
    origin = origin_of(name, domain, root)
    identity = Identity(
        by=origin,
        at=at,
        number=0,
        root=root,
        next=_root(nexts).digest(),
        log=(_hex(log),),
        witness=_hex(witness),
        organs={OFFICE: _hex(office)},
    )
    keys = {
        "log": PrivateKey(origin, ED25519, log),
        "witness": PrivateKey(witness_name(origin), COSIGNATURE, witness),
        f"organ-{OFFICE}": PrivateKey(f"{origin}/{OFFICE}", ED25519, office),
    }
    keys |= {f"root-{number}": PrivateKey(f"{origin}/root", ED25519, seed) for number, seed in enumerate(roots, 1)}
    keys |= {f"next-{number}": PrivateKey(f"{origin}/next", ED25519, seed) for number, seed in enumerate(nexts, 1)}
    return NewMember(origin, seal(identity, roots[:ROOT_THRESHOLD]), keys)


def load(folder: Path) -> Keyring:
    """The keys in the folders below `folder`. SettingsError if others may read them; DamagedError if a file is no key."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix != TEMPORARY)
    return Keyring(key for path in paths if (key := read(path)) is not None)


def read(path: Path) -> PrivateKey | None:
    """The key in a file, or None if there is no file. SettingsError if others may read it; DamagedError if it is no key."""
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path}: others may read this private key. Say: chmod 600 {path}")
        return PrivateKey.parse(path.read_text().strip())
    except FileNotFoundError:
        return None
    except (MalformedError, UnicodeDecodeError) as e:
        raise DamagedError(f"{path}: {e}") from e


def save(folder: Path, keys: Mapping[str, PrivateKey]) -> None:
    """Write each key to `folder`/<file name>, readable by its owner only, whole or not at all. No file is ever written over."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, key in keys.items():
            write(folder / name, f"{key}\n".encode())
        sync([folder])
    except FileExistsError as e:
        raise SettingsError(f"{e.filename2}: a key stands there already, and keys are never written over") from e
    except OSError as e:
        raise told(e, folder) from e


def write(path: Path, content: bytes) -> None:
    """Write a private key of any form, readable by its owner only, whole or not at all. FileExistsError if a file stands there."""
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()


def _root(seeds: list[bytes]) -> Root:
    return Root(keys=tuple(map(_hex, seeds)), threshold=ROOT_THRESHOLD)


def _hex(seed: bytes) -> str:
    return ed25519.public_key(seed).hex()
