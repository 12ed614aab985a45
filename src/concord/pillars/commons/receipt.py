"""The receipt of a snapshot: two files with which anybody can check, offline and years later, that files are those of a commit.

    .concord/<oid>.tlog-proof    that the commit stands in its speaker's log; it brings the commit (C2SP tlog-proof)
    .concord/<oid>.tree          the listing of the whole tree, a file a line: the very bytes whose SHA-256 the commit names

Nothing in them is believed before `verify`, which asks for nothing but a trust policy:

1. the proof brings a `commons.commit`, in its one spelling, whose name is the oid;
2. the proof leads from it to a checkpoint that the policy for its speaker's log accepts, and that is of this log;
3. its speaker may commit there: to a branch the owner of the repo, to a pull request anybody;
4. the listing has the digest that the commit names, and lists paths that every disk takes.

What follows is which bytes belong to the commit. It does not follow that a branch still names it, nor that the repo is still open:
whoever wants to know that asks a node.

>>> from concord.ledger.record import ENCODER
>>> from concord.pillars.commons.tree import File, digest
>>> from concord.tlog import checkpoint, ed25519, merkle, note
>>> owner, tree, seed = "ke.example/0", {"a": File(path="a", size=0, sha256=sha256(b"").hexdigest())}, bytes(32)
>>> repo = {"owner": owner, "kind": "model", "name": "words"}
>>> said = {"at": 1, "by": owner, "ref": "main", "repo": repo, "title": "Begin", "tree": digest(tree), "type": "commons.commit"}
>>> entry = ENCODER.encode(said)
>>> leaf = merkle.leaf_hash(entry)
>>> signed = checkpoint.sign(checkpoint.Checkpoint(owner, 1, leaf), seed)
>>> trusted = Policy((note.VerifierKey(owner, note.ED25519, ed25519.public_key(seed)),))
>>> receipt = Receipt(bytes(proofs.Proof(0, (), signed, entry)), b"".join(listing(tree)))
>>> found = verify(leaf.hex()[:40], receipt, lambda origin: trusted)
>>> found.commit.repo.name, [*found.tree]
('words', ['a'])
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from concord.errors import ForgedError, MalformedError, TooLargeError
from concord.ledger.record import Codec
from concord.pillars.commons.records import Commit
from concord.pillars.commons.repo import oid as name_of
from concord.pillars.commons.tree import Tree, listing, parse_listing
from concord.tlog import proof as proofs
from concord.tlog.merkle import leaf_hash
from concord.tlog.policy import Accepted, Policy

__all__ = ["FOLDER", "LISTING", "LISTING_MAX", "PROOF", "Receipt", "Snapshot", "listing", "verify"]

FOLDER = ".concord"
PROOF, LISTING = ".tlog-proof", ".tree"  # how the two files end
LISTING_MAX = 256 << 20  # bytes of a listing: some million files
_CODEC = Codec([Commit])
_PULLS = "refs/pr/"

Trust = Callable[[str], Policy]  # what makes a checkpoint of this log good


@dataclass(frozen=True)
class Receipt:
    """The two files of a receipt, as they are read."""

    proof: bytes
    listing: bytes


@dataclass(frozen=True)
class Snapshot:
    """What a receipt proves: the commit, the files that it has, the checkpoint that covers it, and by which policy."""

    oid: str
    commit: Commit
    tree: Tree
    accepted: Accepted
    policy: Policy


def verify(oid: str, receipt: Receipt, trusted: Trust) -> Snapshot:
    """What the receipt of the commit `oid` proves. ForgedError, MalformedError or TooLargeError if it proves nothing."""
    proof = proofs.parse(receipt.proof)
    entry = proof.extra
    commit = _commit(entry)
    assert entry is not None
    leaf = leaf_hash(entry)
    if name_of(leaf.hex()) != oid:  # 1
        raise ForgedError(f"the receipt is of the commit {name_of(leaf.hex())}, and not of {oid[:40]}")
    policy = trusted(commit.by)
    accepted = proofs.verify(proof, policy, leaf)  # 2
    if accepted.checkpoint.origin != commit.by:
        raise ForgedError(f"the commit is said by {commit.by}, and stands in the log of {accepted.checkpoint.origin}")
    if commit.by != commit.repo.owner and not commit.ref.startswith(_PULLS):  # 3
        raise ForgedError(f"{commit.by} commits to {commit.ref} of a repo that is another's")
    return Snapshot(oid, commit, _tree(commit, receipt.listing), accepted, policy)


def _commit(entry: bytes | None) -> Commit:
    """Step 1."""
    if entry is None:
        raise MalformedError("the receipt does not bring the commit that it is of")
    try:
        commit: Commit = _CODEC.decode(entry)
    except MalformedError as e:
        raise MalformedError(f"the receipt is not of a commit: {e}") from e
    return commit


def _tree(commit: Commit, raw: bytes) -> Tree:
    """Step 4."""
    if len(raw) > LISTING_MAX:
        raise TooLargeError(f"a listing of {len(raw)} bytes, over {LISTING_MAX}")
    if sha256(raw).hexdigest() != commit.tree:
        raise ForgedError("the listing is not that of the commit: it has another digest")
    return parse_listing(raw)
