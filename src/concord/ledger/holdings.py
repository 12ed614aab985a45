"""Every log that a node holds: its own, which it signs, and verified copies of others'.

    logs/origins              the origins, one a line, in the order in which they came
    logs/<…>/checkpoint       the newest checkpoint, with every cosignature that came back for it
    logs/<…>/cosigned         the largest checkpoint that had a witness quorum when it was seen

A log is *ours* if a key that its identity names for signing is on our keyring. Cosignatures are gathered here: a signature on
the checkpoint that stands is added to it, one on an older checkpoint is of no more use unless it makes a quorum.
"""

from concord.errors import DamagedError, ForgedError, MalformedError, MissingError, RefusedError
from concord.ledger.identity import Identity, read_chain
from concord.ledger.keyring import Keyring, NewMember, PrivateKey
from concord.ledger.log import Log
from concord.ledger.record import ENCODER
from concord.ledger.storage import Storage
from concord.ledger.tree import Head, Tree, folder, read_head
from concord.tlog import checkpoint as checkpoints
from concord.tlog import note
from concord.tlog import policy as policies
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.note import Note, Signature, VerifierKey
from concord.tlog.policy import Policy

TREES_MAX = 4096  # trees that are kept in memory with their last head
_ORIGINS = "logs/origins"


class Holdings:
    """The logs in a storage. `keyring` gives the private keys at hand."""

    def __init__(self, storage: Storage, keyring: Keyring) -> None:
        self.storage = storage
        self.keyring = keyring
        self._trees: dict[str, Tree] = {}
        self._logs: dict[str, Log] = {}
        self._standing: dict[str, tuple[bytes, list[Identity]]] = {}

    # Which logs there are

    def origins(self) -> list[str]:
        """The origins of all logs held, ours and others'."""
        return (self.storage.read(_ORIGINS) or b"").decode().splitlines()

    def hosted(self) -> list[str]:
        """The origins of the logs that are ours to sign."""
        return [origin for origin in self.origins() if self._signer(origin) is not None]

    def tree(self, origin: str) -> Tree:
        """The tree of a log, empty if it is not held."""
        if len(self._trees) >= TREES_MAX:
            self._trees.clear()
        return self._trees.setdefault(origin, Tree(self.storage, origin))

    def log(self, origin: str) -> Log:
        """One of our logs. MissingError if it is not ours."""
        if origin not in self._logs:
            if self._signer(origin) is None:
                raise MissingError(f"{origin} is not a log that this node signs")
            self._logs[origin] = Log(self.tree(origin), lambda checkpoint: self._sign(origin, checkpoint))
        return self._logs[origin]

    def begin(self, member: NewMember) -> Log:
        """The log of a member just made, with its identity as the first entry."""
        self.keyring = self.keyring.with_keys(member.keys.values())
        entry = ENCODER.encode(member.identity)
        self.tree(member.origin).stage_identities([entry], 0)
        self.add(member.origin)
        log = self.log(member.origin)
        log.append([entry])
        return log

    def add(self, origin: str) -> None:
        """Put `origin` on the list of logs held."""
        with self.storage.lock("logs/lock"):
            origins = self.origins()
            if origin not in origins:
                self.storage.write({_ORIGINS: "".join(f"{line}\n" for line in (*origins, origin)).encode()})

    def drop(self, origin: str) -> None:
        """Forget a log and take it off the list."""
        tree = self.tree(origin)
        with tree.lock():
            tree.forget()
            self.storage.remove([f"logs/{folder(origin)}/lock"])  # whoever waits at it finds that it is gone, and takes another
        with self.storage.lock("logs/lock"):
            origins = self.origins()
            if origin in origins:
                self.storage.write({_ORIGINS: "".join(f"{line}\n" for line in origins if line != origin).encode()})
        for kind in (self._trees, self._standing):
            kind.pop(origin, None)

    # Who they are

    def identities(self, origin: str) -> list[Identity]:
        """The identities of a log that took effect, in order; empty if the log is not held. DamagedError if they do not fit."""
        entries = self.tree(origin).identities()
        if not entries:
            return []  # and nothing to remember: anybody can make up origins and ask for them
        raw = b"\n".join(entries)
        kept = self._standing.get(origin)
        if kept is None or kept[0] != raw:
            try:
                kept = raw, read_chain(entries)
            except (ForgedError, MalformedError) as e:
                raise DamagedError(f"the stored identities of {origin} do not verify: {e}") from e
            self._standing[origin] = kept
        return kept[1]

    def identity(self, origin: str) -> Identity | None:
        """The identity that holds now, or None."""
        standing = self.identities(origin)
        return standing[-1] if standing else None

    def log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """The keys that may have signed a checkpoint that is still about: those of the last two identities."""
        keys = [key for identity in self.identities(origin)[-2:] for key in identity.log_keys()]
        return tuple(dict.fromkeys(keys))

    def witness(self, origin: str) -> PrivateKey | None:
        """The private witness key of one of our members, if it is at hand."""
        identity = self.identity(origin)
        return self.keyring.first([identity.witness]) if identity else None

    # Their heads

    def cosigned(self, origin: str) -> Head | None:
        """The largest checkpoint of a log that had a quorum when it was seen. DamagedError if what is kept of it is none."""
        raw = self.storage.read(self._cosigned(origin))
        try:
            return None if raw is None else read_head(raw)
        except MalformedError as e:
            raise DamagedError(f"the well cosigned checkpoint of {origin} that is kept cannot be read: {e}. Remove it") from e

    def gather(self, head: Head, policy: Policy) -> bool:
        """Add the cosignatures of `head` to what is held, if they are of witnesses in `policy`; whether anything was new.

        A line that does not verify is left out: nobody may spoil a checkpoint by adding a bad one. Together with what was
        gathered before they may make a quorum; if the checkpoint is larger than the last that had one, it takes its place.
        """
        checkpoint = head.checkpoint
        tree = self.tree(checkpoint.origin)
        with tree.lock():
            held = (tree.head, self.cosigned(checkpoint.origin))
            known = [line for other in held if other and other.checkpoint == checkpoint for line in other.note.signatures]
            new = _good(head, policy, frozenset(known))
            if not new:
                return False
            merged = Note(head.note.text, ()).with_signatures((*known, *new))
            return self._keep_newest(tree, merged, checkpoint) | self._keep_cosigned(merged, checkpoint, policy)

    def _keep_newest(self, tree: Tree, merged: Note, checkpoint: Checkpoint) -> bool:
        held = tree.head
        if held is None or held.checkpoint != checkpoint or len(merged.signatures) == len(held.note.signatures):
            return False
        tree.publish(merged)
        return True

    def _keep_cosigned(self, merged: Note, checkpoint: Checkpoint, policy: Policy) -> bool:
        standing = self.cosigned(checkpoint.origin)
        size, lines = (standing.checkpoint.size, len(standing.note.signatures)) if standing else (-1, 0)
        if (checkpoint.size, len(merged.signatures)) <= (size, lines) or not _accepts(policy, merged):
            return False
        if standing is not None and size == checkpoint.size and standing.checkpoint != checkpoint:
            return False
        self.storage.write({self._cosigned(checkpoint.origin): bytes(merged)})
        return True

    def _cosigned(self, origin: str) -> str:
        return f"logs/{folder(origin)}/cosigned"

    def _signer(self, origin: str) -> PrivateKey | None:
        identity = self.identity(origin)
        return self.keyring.first(reversed(identity.log)) if identity else None

    def _sign(self, origin: str, checkpoint: Checkpoint) -> Note:
        signer = self._signer(origin)
        if signer is None:
            raise RefusedError(f"no key that may sign for {origin} is on this node's keyring")
        return checkpoints.sign(checkpoint, signer.seed)


def _good(head: Head, policy: Policy, known: frozenset[Signature]) -> list[Signature]:
    """The lines of `head` that are not `known`, by the log or by witnesses in `policy`, and that verify."""
    keys = {(key.name, key.id): key for key in (*policy.logs, *policy.witnesses.values())}
    named = [line for line in head.note.signatures if line not in known and (line.name, line.id) in keys]
    return [line for line in named if _verifies(Note(head.note.text, (line,)), keys[line.name, line.id])]


def _verifies(signed: Note, key: VerifierKey) -> bool:
    try:
        note.verify(signed, [key])
    except ForgedError:
        return False
    return True


def _accepts(policy: Policy, signed: Note) -> bool:
    try:
        policies.accept(policy, signed)
    except ForgedError:
        return False
    return True
