"""A verified copy of another's log: bytes in, entries or an error out, and no I/O inside.

Whoever pulls a log brings its checkpoint and then its entry bundles; `Intake` believes neither before the end. The steps:

1. the checkpoint is of this log, and larger than what is held;
2. the bundles come in order, without a gap; each gives its entries;
3. the entries' hashes make the tree grow from what is held: bottom-up, so that a tile that somebody altered to fit an
   altered entry is never even looked at;
4. the root over all of them is that of the checkpoint;
5. the log's identity records, sealed by its root, name a key that signed the checkpoint.

If 4 fails, either the sender altered entries or the log signed two trees; `concord.ledger.evidence` tells them apart.
"""

from collections.abc import Iterator

from concord.errors import ForgedError, MalformedError, StaleError
from concord.ledger.identity import IDENTITY_MARK, Identity, read_chain
from concord.ledger.tree import Head
from concord.tlog import checkpoint as checkpoints
from concord.tlog import tile
from concord.tlog.note import Note
from concord.tlog.tile import WIDTH, Edge, Place


class Intake:
    """The growth of one copy from `edge` to what `head` says. `identities` are the identity entries held so far."""

    def __init__(self, edge: Edge, identities: list[bytes], head: Head) -> None:
        """Step 1. StaleError if `head` is not larger than the copy."""
        size = head.checkpoint.size
        if size <= edge.size:
            raise StaleError(f"{head.checkpoint.origin} is known at size {edge.size}, and this is size {size}", edge.size)
        self.head = head
        self.identities = list(identities)
        self.received = self.start = edge.size
        self._edge = edge

    def wanted(self) -> Iterator[Place]:
        """The bundles still to come, in order."""
        return tile.bundle_places(self.received, self.head.checkpoint.size)

    def take(self, place: Place, raw: bytes) -> list[bytes]:
        """Step 2: the entries of the next bundle that are not held yet. MalformedError if it is cut off, or not the next."""
        if place.index != self.received // WIDTH:
            raise MalformedError(f"{place} of {self.head.checkpoint.origin} is not the next bundle")
        entries = tile.parse_bundle(raw, place.width)[self.received - place.index * WIDTH :]
        self.received += len(entries)
        if IDENTITY_MARK in raw:
            self.identities += [entry for entry in entries if IDENTITY_MARK in entry]
        return entries

    def grow(self, edge: Edge) -> None:
        """Step 3, done by whoever stores the entries: `edge` is the one after all that was taken so far."""
        if edge.size != self.received:
            raise RuntimeError(f"the edge is at {edge.size}, and {self.received} entries were taken")
        self._edge = edge

    def verified(self) -> list[Identity]:
        """Steps 4 and 5: the identities that took effect. ForgedError if the entries or the signature are not the log's."""
        checkpoint = self.head.checkpoint
        if (self._edge.size, self._edge.root()) != (checkpoint.size, checkpoint.root):  # 4
            raise ForgedError(f"the entries of {checkpoint.origin} do not make the root that it signed at size {checkpoint.size}")
        return signed_by(self.head.note, checkpoint.origin, self.identities)  # 5


def signed_by(signed: Note, origin: str, identities: list[bytes]) -> list[Identity]:
    """The identities of `origin` that took effect, once a log key of one of the last two proves to have signed the note.

    Of the last two, because a checkpoint that covers a change of keys may bear the key before it or the key after it.
    ForgedError if none did.
    """
    standing = read_chain(identities)
    if standing[0].by != origin:
        raise ForgedError(f"the log of {origin} has the identity of {standing[0].by}")
    keys = {key for identity in standing[-2:] for key in identity.log_keys()}
    if checkpoints.open_note(signed, tuple(keys)).origin != origin:
        raise ForgedError(f"a checkpoint of another log where one of {origin} belongs")
    return standing
