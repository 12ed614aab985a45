"""Equivocation: a log that signed two trees of which neither continues the other, and the record that proves it.

The evidence is whole in itself: anybody can check it without a network and without trusting whoever brings it.

1. The accused's identity records, from the first, lead from the digits at the end of its origin to its log keys.
2. Two checkpoints are each signed by one of those keys.
3. At equal size their roots differ. At different sizes, a consistency proof shows which root the *larger* tree has at the
   smaller size (`prefix`), and it is not the root that the smaller checkpoint has. A proof binds its prefix: two different
   prefixes of one tree cannot both verify, so that nobody can be accused falsely.

What follows from it is for `concord.ledger.view` (the log is read only up to its last well cosigned size) and for people.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from concord.errors import ForgedError, MalformedError
from concord.ledger.identity import IDENTITIES_MAX, Identity, read_chain
from concord.ledger.record import ENCODER, Digest, Origin, Record, says
from concord.ledger.tree import Head
from concord.tlog import checkpoint as checkpoints
from concord.tlog import merkle, note
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.merkle import Node
from concord.tlog.note import Note

_NoteText = Annotated[str, Meta(max_length=4000)]


class Evidence(Record, frozen=True, tag="ledger.evidence"):
    """`accused` signed two inconsistent trees. `first` and `second` are the signed notes, the smaller first.

    `prefix` is the root of the second tree at the size of the first (empty at equal sizes), `proof` leads from there.
    `identities` are the accused's identity records that took effect, word for word.
    """

    SAYS: ClassVar[str] = says("proves that {accused} signed two different histories")

    accused: Origin
    first: _NoteText
    second: _NoteText
    identities: Annotated[tuple[Annotated[str, Meta(max_length=20_000)], ...], Meta(min_length=1, max_length=IDENTITIES_MAX)]
    prefix: Digest | Literal[""] = ""
    proof: Annotated[tuple[Digest, ...], Meta(max_length=63)] = ()


def check(said: Evidence) -> tuple[Checkpoint, Checkpoint]:
    """The two checkpoints that `said` proves to be inconsistent. ForgedError or MalformedError if it proves nothing."""
    standing = read_chain(entry.encode() for entry in said.identities)  # 1
    if standing[0].by != said.accused:
        raise ForgedError(f"evidence against {said.accused} with the identity of {standing[0].by}")
    first, second = (_signed(text, standing) for text in (said.first, said.second))  # 2
    if first.size == second.size:  # 3
        if first.root == second.root or said.prefix or said.proof:
            raise ForgedError(f"two checkpoints of {said.accused} that agree")
        return first, second
    if said.prefix == first.root.hex():
        raise ForgedError(f"two checkpoints of {said.accused} of which one continues the other")
    proof = [bytes.fromhex(line) for line in said.proof]
    merkle.check_consistency(first.size, bytes.fromhex(said.prefix), second.size, second.root, proof)
    return first, second


def find(by: str, org: str, at: int, one: Head, other: Head, node: Node, identities: list[bytes]) -> Evidence | None:
    """The evidence in two heads of one log, or None if they are consistent.

    `node` reads the tree of the larger one. What it reads is not trusted: MalformedError or ForgedError if it is not the
    tree that the head signed.
    """
    smaller, larger = sorted((one, other), key=lambda head: head.checkpoint.size)
    size1, size2 = smaller.checkpoint.size, larger.checkpoint.size
    prefix, proof = "", []
    if size1 == 0 or (size1 == size2 and one.checkpoint.root == other.checkpoint.root):
        return None
    if size1 != size2:
        root = merkle.root(size1, node)
        proof = merkle.prove_consistency(size1, size2, node)
        merkle.check_consistency(size1, root, size2, larger.checkpoint.root, proof)
        if root == smaller.checkpoint.root:
            return None
        prefix = root.hex()
    said = Evidence(
        by=by,
        org=org,
        at=at,
        accused=one.checkpoint.origin,
        first=_bare(smaller, identities),
        second=_bare(larger, identities),
        identities=tuple(ENCODER.encode(identity).decode() for identity in read_chain(identities)),
        prefix=prefix,
        proof=tuple(line.hex() for line in proof),
    )
    check(said)
    return said


def _signed(text: str, standing: list[Identity]) -> Checkpoint:
    keys = tuple({key for identity in standing for key in identity.log_keys()})
    return checkpoints.open_note(note.parse(text.encode()), keys)


def _bare(head: Head, identities: list[bytes]) -> str:
    """The note with the log's own signatures only: cosignatures prove nothing here and take room."""
    keys = {(key.name, key.id) for identity in read_chain(identities) for key in identity.log_keys()}
    own = tuple(line for line in head.note.signatures if (line.name, line.id) in keys)
    if not own:
        raise MalformedError(f"a head of {head.checkpoint.origin} without its signature")
    return bytes(Note(head.note.text, own)).decode()
