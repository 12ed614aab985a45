"""Receipts (C2SP tlog-proof): that an entry stands in a log, in one text file that needs no network to check.

    c2sp.org/tlog-proof@v1
    extra <base64>                 optional; here, the entry itself, so that the receipt is whole
    index 41
    <inclusion proof, base64, a hash a line>
    <empty line>
    <checkpoint, as a signed note>

Nothing in it is believed before `verify`: the extra bytes are not signed, and count only once their leaf hash leads to
the signed root.

>>> from concord.tlog import checkpoint, ed25519, merkle, note, policy
>>> entry, seed = b"an entry", bytes(32)
>>> signed = checkpoint.sign(checkpoint.Checkpoint("example.com/log", 1, merkle.leaf_hash(entry)), seed)
>>> receipt = Proof(0, (), signed, entry)
>>> parse(bytes(receipt)) == receipt
True
>>> key = note.VerifierKey("example.com/log", note.ED25519, ed25519.public_key(seed))
>>> verify(receipt, policy.Policy((key,)), merkle.leaf_hash(entry)).checkpoint.size
1
"""

from dataclasses import dataclass

from concord.tlog import merkle, note, policy
from concord.tlog.errors import MalformedError, TooLargeError
from concord.tlog.note import NOTE_SIZE_MAX, Note
from concord.tlog.policy import Accepted, Policy
from concord.tlog.spelling import base64, decimal, unbase64

HEADER = "c2sp.org/tlog-proof@v1"
PROOF_LINES_MAX = 63
PROOF_SIZE_MAX = NOTE_SIZE_MAX + 128 * 1024  # bytes; leaves room for an entry of 65,535 bytes as extra


@dataclass(frozen=True)
class Proof:
    """A receipt. `index` counts from 0; `hashes` lead from the leaf's sibling to the root's child; `extra` is opaque."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        extra = [] if self.extra is None else [f"extra {base64(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(base64, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines).encode() + bytes(self.checkpoint)


def parse(raw: bytes) -> Proof:
    """The receipt in a file. MalformedError unless bytes(proof) == raw."""
    if len(raw) > PROOF_SIZE_MAX:
        raise TooLargeError(f"a proof of {len(raw)} bytes, over {PROOF_SIZE_MAX}")
    head, blank, signed = raw.partition(b"\n\n")
    if not blank or not head.isascii():
        raise MalformedError("a proof has a head, an empty line and a checkpoint")
    first, *lines = head.decode().split("\n")
    if first != HEADER:
        raise MalformedError(f"not a {HEADER} file")
    extra = unbase64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("a proof names an index")
    if len(lines) - 1 > PROOF_LINES_MAX:
        raise TooLargeError(f"a proof of {len(lines) - 1} hashes, over {PROOF_LINES_MAX}")
    hashes = tuple(unbase64(line, merkle.HASH_SIZE) for line in lines[1:])
    return Proof(decimal(lines[0].removeprefix("index ")), hashes, note.parse(signed), extra)


def verify(proof: Proof, trusted: Policy, leaf: bytes) -> Accepted:
    """The checkpoint that proves that the entry with hash `leaf` stands at `proof.index`.

    1. the checkpoint is signed by a log, and cosigned by enough witnesses, of `trusted`;
    2. the proof leads from `leaf` to its root.

    ForgedError or MalformedError if not.
    """
    accepted = policy.accept(trusted, proof.checkpoint)  # 1
    checkpoint = accepted.checkpoint
    merkle.check_inclusion(leaf, proof.index, checkpoint.size, checkpoint.root, proof.hashes)  # 2
    return accepted
