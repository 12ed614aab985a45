r"""Signed notes (C2SP signed-note v1.0.0): a text, and who signed it.

    This is an example message.
    <empty line>
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=

What is signed is the text with its final newline. A signature line names a key and carries base64(key id || signature);
the id is the first four bytes of SHA-256(name || newline || kind || key). A note is split at its *last* empty line, so
that a text may hold empty lines of its own.

>>> key = VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
>>> lines = [line.strip() for line in __doc__.splitlines()[2:5]]
>>> [seen.key.name for seen in verify(parse(f"{lines[0]}\n\n{lines[2]}\n".encode()), [key])]
['example.com/foo']
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from concord.tlog import ed25519
from concord.tlog.errors import ForgedError, MalformedError, TooLargeError
from concord.tlog.spelling import base64, unbase64

NOTE_SIZE_MAX = 65_536  # bytes
SIGNATURES_MAX = 300  # the log's own, and a cosignature by each state that there is

ED25519 = 0x01  # signs the text
COSIGNATURE = 0x04  # signs the text with a time before it (concord.tlog.cosignature)
KINDS = (ED25519, COSIGNATURE)

_DASH = "— "  # U+2014, space


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name it signs under: `name+<8 hex digits of the id>+base64(kind || key)`.

    `kind` is ED25519 or COSIGNATURE; `key` is 32 bytes.
    """

    name: str
    kind: int
    key: bytes

    @cached_property
    def id(self) -> bytes:
        """The four bytes that, with the name, tell this key from others."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:4]

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key that `text` spells. MalformedError if it is not a verifier key of a kind that we know."""
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise MalformedError(f"not a verifier key: {text[:80]!r}")
        name, _, encoded = parts
        check_name(name)
        raw = unbase64(encoded)
        if not raw or raw[0] not in KINDS or not ed25519.is_public_key(raw[1:]):
            raise MalformedError(f"not a key of a kind known here: {text[:80]!r}")
        key = cls(name, raw[0], raw[1:])
        if str(key) != text:
            raise MalformedError(f"the key id does not match the key: {text[:80]!r}")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64(bytes([self.kind]) + self.key)}"


class Signature(NamedTuple):
    """One signature line: the key's name and id, and what the key made (for ED25519 64 bytes, for a cosignature 72)."""

    name: str
    id: bytes
    raw: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64(self.id + self.raw)}\n"


@dataclass(frozen=True)
class Note:
    """A text (ending in newline) and its signature lines, in order. Nothing about it is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __bytes__(self) -> bytes:
        return (self.text + "\n" + "".join(map(str, self.signatures))).encode()

    def with_signatures(self, more: Iterable[Signature]) -> "Note":
        """This note with `more` lines after its own. A line by a key that stands already replaces it."""
        lines = {(line.name, line.id): line for line in (*self.signatures, *more)}
        return Note(self.text, tuple(lines.values()))


class Seen(NamedTuple):
    """A signature that verified. `time` is in POSIX seconds for a cosignature, otherwise None."""

    key: VerifierKey
    time: int | None


def parse(raw: bytes) -> Note:
    """The note in `raw`. MalformedError unless bytes(note) == raw; TooLargeError over NOTE_SIZE_MAX bytes."""
    if len(raw) > NOTE_SIZE_MAX:
        raise TooLargeError(f"a note of {len(raw)} bytes, over {NOTE_SIZE_MAX}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError as e:
        raise MalformedError("a note is UTF-8") from e
    if any(char < " " and char != "\n" for char in whole):
        raise MalformedError("a control character in a note")
    body, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise MalformedError("a note has a text, an empty line and signature lines")
    signatures = tuple(map(_parse_signature, lines[:-1].split("\n")))
    if len(signatures) > SIGNATURES_MAX:
        raise TooLargeError(f"{len(signatures)} signatures, over {SIGNATURES_MAX}")
    return Note(body + "\n", signatures)


def verify(note: Note, known: Iterable[VerifierKey]) -> list[Seen]:
    """The signatures of `known` keys on `note`, in the order of its lines.

    Lines of unknown keys are ignored. ForgedError if a known key's line does not verify, or if no known key signed.
    """
    keys = {(key.name, key.id): key for key in known}
    seen = [_verify_line(note.text, line, keys[line.name, line.id]) for line in note.signatures if (line.name, line.id) in keys]
    if not seen:
        raise ForgedError("no signature by a key that is trusted here")
    return seen


def sign(text: str, name: str, seed: bytes) -> Signature:
    """The ED25519 signature line of the key of `seed` under `name`."""
    key = VerifierKey(name, ED25519, ed25519.public_key(seed))
    return Signature(name, key.id, ed25519.sign(seed, text.encode()))


def parse_signatures(text: str) -> list[Signature]:
    """Signature lines alone, as a witness answers them. MalformedError for anything else."""
    if not text.endswith("\n"):
        raise MalformedError("signature lines end in newline")
    return list(map(_parse_signature, text[:-1].split("\n")))


def check_name(name: str) -> None:
    """MalformedError unless `name` may be the name of a key: not empty, no Unicode space, no plus, no control character."""
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise MalformedError(f"not a key name: {name[:80]!r}")


def cosigned_message(text: str, time: int) -> bytes:
    """What a COSIGNATURE key signs (tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _verify_line(text: str, line: Signature, key: VerifierKey) -> Seen:
    if key.kind == ED25519:
        time, message, raw = None, text.encode(), line.raw
    else:
        time, raw = int.from_bytes(line.raw[:8], "big"), line.raw[8:]
        message = cosigned_message(text, time)
    if (time or 0) >= 2**63 or not ed25519.accepts(key.key, message, raw):
        raise ForgedError(f"the signature of {key.name} does not verify")
    return Seen(key, time)


def _parse_signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise MalformedError(f"not a signature line: {line[:80]!r}")
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not space:
        raise MalformedError(f"not a signature line: {line[:80]!r}")
    check_name(name)
    raw = unbase64(encoded)
    if len(raw) <= 4:
        raise MalformedError(f"a signature without content: {line[:80]!r}")
    return Signature(name, raw[:4], raw[4:])
