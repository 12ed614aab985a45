"""Witnessing (C2SP tlog-witness v1.0.0): we say that another's log only grew, and never say it of two trees.

A request names the size that we are thought to have cosigned last, brings a proof from there, and the new checkpoint:

    old 20852014
    <consistency proof, base64, a hash a line>
    <empty line>
    <checkpoint, as a signed note>

The order of the checks is that of the specification, which gives each its status:

1. the origin is known (404 MissingError);                 4. the old size is the stored one (409 StaleError);
2. a trusted log key signed (403 ForgedError);             5. the proof verifies (422 ForkedError);
3. it parses, and old is not over the size (400 Malformed); 6. compare and persist in one step, and only then sign.

What a node holds as a whole copy is witnessed in the same way, with a proof from its own tiles.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from concord.errors import ForgedError, ForkedError, MalformedError, MissingError, StaleError, TooLargeError
from concord.ledger.keyring import PrivateKey
from concord.ledger.tree import Head, Tree
from concord.tlog import checkpoint as checkpoints
from concord.tlog import cosignature, merkle, note
from concord.tlog.note import NOTE_SIZE_MAX, Signature, VerifierKey
from concord.tlog.proof import PROOF_LINES_MAX
from concord.tlog.spelling import base64, decimal, unbase64

REQUEST_SIZE_MAX = NOTE_SIZE_MAX + 64 * 46 + 64  # bytes


class Memory(Protocol):
    """What a witness remembers: the last head that it cosigned of each origin."""

    def last(self, origin: str) -> Head | None:
        """The last head cosigned, or None."""

    def swap(self, old: int, head: Head) -> bool:
        """Remember `head`, if what is remembered of its origin has size `old` (0: nothing). Durable when it answers True."""


class Request(NamedTuple):
    """What is asked of a witness. `old` is a size; `proof` leads from there to `head`."""

    old: int
    proof: tuple[bytes, ...]
    head: Head

    def __bytes__(self) -> bytes:
        lines = [f"old {self.old}", *map(base64, self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + bytes(self.head.note)


def parse(raw: bytes) -> Request:
    """The request in a body. MalformedError unless bytes(request) == raw."""
    if len(raw) > REQUEST_SIZE_MAX:
        raise TooLargeError(f"a request of {len(raw)} bytes, over {REQUEST_SIZE_MAX}")
    top, blank, signed = raw.partition(b"\n\n")
    if not blank or not top.isascii():
        raise MalformedError("a request has an old size, an empty line and a checkpoint")
    old, *lines = top.decode().split("\n")
    if not old.startswith("old ") or len(lines) > PROOF_LINES_MAX:
        raise MalformedError("a request begins with `old <size>` and at most 63 hashes")
    parsed = note.parse(signed)
    head = Head(parsed, checkpoints.parse(parsed.text))
    return Request(decimal(old.removeprefix("old ")), tuple(unbase64(line, merkle.HASH_SIZE) for line in lines), head)


def cosign(
    memory: Memory,
    keys: Callable[[str], tuple[VerifierKey, ...]],
    signers: Iterable[PrivateKey],
    asked: Request,
    now: int,
) -> list[Signature]:
    """Cosignatures on what is `asked`, by each of `signers`, at `now` (POSIX seconds). `keys` gives the log keys of an origin.

    The errors are those of the module docstring. A ForkedError is raised only of a checkpoint that its log did sign.
    """
    checkpoint = asked.head.checkpoint
    trusted = keys(checkpoint.origin)
    if not trusted:  # 1
        raise MissingError(f"{checkpoint.origin} is not a log that is witnessed here")
    checkpoints.open_note(asked.head.note, trusted)  # 2
    if asked.old > checkpoint.size:  # 3
        raise MalformedError(f"the old size {asked.old} is over the new one, {checkpoint.size}")
    last = memory.last(checkpoint.origin)
    size, root = (last.checkpoint.size, last.checkpoint.root) if last else (0, merkle.EMPTY_ROOT)
    if asked.old != size:  # 4
        raise StaleError(f"{checkpoint.origin} was last cosigned here at size {size}", size)
    _check_growth(size, root, asked)  # 5
    if not memory.swap(size, asked.head):  # 6
        current = memory.last(checkpoint.origin)
        raise StaleError(f"{checkpoint.origin} has just been cosigned here", current.checkpoint.size if current else 0)
    return [cosignature.cosign(asked.head.note.text, signer.name, signer.seed, now) for signer in signers]


def request_for(tree: Tree, old: int) -> Request:
    """What to ask about the head of `tree`, of a witness that last saw size `old`. MissingError if the tree is smaller."""
    head = tree.head
    if head is None or head.checkpoint.size < old:
        raise MissingError(f"{tree.origin} is not held here at size {old}")
    size = head.checkpoint.size
    proof = tuple(tree.prove_consistency(old, size)) if 0 < old < size else ()
    return Request(old, proof, head)


def _check_growth(size: int, root: bytes, asked: Request) -> None:
    """Step 5. Not only Merkle proofs: from nothing no proof is needed, and an empty tree has one root only."""
    checkpoint = asked.head.checkpoint
    where = f"the checkpoint of {checkpoint.origin} at size {checkpoint.size}"
    if checkpoint.size == 0 and checkpoint.root != merkle.EMPTY_ROOT:
        raise ForkedError(f"{where} has not the root of the empty tree")
    if size == 0:
        if asked.proof:
            raise ForkedError(f"{where} comes with a proof from the empty tree, where there is nothing to prove")
        return
    try:
        merkle.check_consistency(size, root, checkpoint.size, checkpoint.root, asked.proof)
    except (ForgedError, MalformedError) as e:
        raise ForkedError(f"{where} is not shown to continue size {size}: {e}") from e
