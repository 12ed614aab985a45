"""Checkpoints (C2SP tlog-checkpoint v1.0.0): what a log was, in one signed note.

    nairobi.example/log        the origin: the log's unique name
    3                          the size: how many entries it has
    VcM5BnXuSs0=…              the root over them, base64
    <more lines>               extensions, opaque, none of them empty

>>> from concord.tlog.merkle import EMPTY_ROOT
>>> checkpoint = Checkpoint("nairobi.example/log", 0, EMPTY_ROOT)
>>> print(checkpoint.text(), end="")
nairobi.example/log
0
47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
>>> parse(checkpoint.text()) == checkpoint
True
"""

from dataclasses import dataclass

from concord.tlog import note
from concord.tlog.errors import ForgedError, MalformedError
from concord.tlog.merkle import HASH_SIZE
from concord.tlog.note import ED25519, Note, VerifierKey
from concord.tlog.spelling import base64, decimal, unbase64


@dataclass(frozen=True)
class Checkpoint:
    """A statement of a log about itself. `size` counts entries, `root` is 32 bytes; `extensions` holds further lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, base64(self.root), *self.extensions))


def parse(text: str) -> Checkpoint:
    """The checkpoint in the text of a note. MalformedError unless parse(text).text() == text."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise MalformedError("a checkpoint has an origin, a size and a root, and no empty line")
    origin, size, root, *extensions = lines[:-1]
    note.check_name(origin)
    return Checkpoint(origin, decimal(size), unbase64(root, HASH_SIZE), tuple(extensions))


def sign(checkpoint: Checkpoint, seed: bytes) -> Note:
    """The checkpoint as a note signed by the log key of `seed`, whose name is the origin."""
    text = checkpoint.text()
    return Note(text, (note.sign(text, checkpoint.origin, seed),))


def open_note(signed: Note, keys: tuple[VerifierKey, ...]) -> Checkpoint:
    """The checkpoint in `signed`, once one of `keys` (log keys of its origin) proves to have signed it.

    MalformedError if it is no checkpoint; ForgedError if none signed, or a signature by one of them is bad.
    """
    checkpoint = parse(signed.text)
    own = tuple(key for key in keys if key.kind == ED25519 and key.name == checkpoint.origin)
    if not own:
        raise ForgedError(f"no log key of {checkpoint.origin} is known here")
    note.verify(signed, own)
    return checkpoint
