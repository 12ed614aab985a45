"""A whole federation in one process, with everything that can go wrong, decided by a seed.

Up to 30 nodes say things, pull from each other and cosign, while lines break, the network falls apart and heals, machines go
down in the middle of a write, homes are restored from old backups, and one member signs two histories. After every step:

1. no entry is served without a signed root: each log on the node that moved makes, from its entries up, the root that its
   own key signed;
2. no witness signs two inconsistent trees of one log;
3. what was acknowledged is in the log of whoever acknowledged it (unless the only machine that held it was lost).

And once all is healed: every honest node holds the same logs and shows the same view; if two honest nodes ever held two
histories of one log, all of them have the evidence, dispute that log and no other, and count the same part of it.

    python -m concord.testing.simulation --seeds 1000 --nodes 30

runs more than the test suite does. A seed that fails, fails again.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

from sqlalchemy import Engine

from concord.config import Settings
from concord.edges.peer.pull import pull
from concord.errors import ConcordError, RefusedError, UnreachableError
from concord.ledger.blobs import Blobs
from concord.ledger.holdings import Holdings
from concord.ledger.identity import label, witness_name
from concord.ledger.keyring import Keyring, NewMember
from concord.ledger.mirror import signed_by
from concord.ledger.record import ENCODER
from concord.ledger.storage.database import open_database
from concord.ledger.tree import Head, Tree
from concord.node import CHARTER, Node
from concord.pillars.members import Accede, Charter, Profile
from concord.testing.members import NOW, make_member
from concord.testing.nodes import NodeSource, everything, make_charter
from concord.testing.storage import CrashError, MemoryStorage
from concord.tlog import merkle
from concord.tlog.merkle import leaf_hash, root_of

NOWHERE = Path("/nonexistent")  # no blobs in this world


@dataclass(frozen=True)
class Backup:
    """A copy of a machine's disk."""

    files: dict[str, bytes]
    private: bytes


@dataclass
class Host:
    """One machine of the world: what survives a crash of it, and the node that runs on it while it is up."""

    name: str
    member: NewMember
    storage: MemoryStorage
    private: Engine
    node: Node
    up: bool = True
    group: int = 0
    backup: Backup | None = None
    unheard: set[str] = field(default_factory=set)  # after a restore: peers that have not answered yet


class BrokenLawError(AssertionError):
    """A law of the federation does not hold: the seed and the step are in the message."""


class World:
    """A federation that lives by a seed."""

    def __init__(self, seed: int, nodes: int, *, hostile: bool = False, restores: bool = False) -> None:
        self.random = Random(seed)  # noqa: S311  a world that can be run again
        self.seed = seed
        self.now = NOW
        self.restores = restores
        self._profiles = count()
        founders = [make_member(f"m{number}") for number in range(nodes)]
        self.charter: Charter = make_charter(founders)
        self._view, self._private = self._templates()
        self.hosts = [self._host(member) for member in founders]
        self.twin = self._host(founders[0]) if hostile else None  # the other face of the first member
        self.said: dict[str, list[tuple[int, bytes]]] = {host.member.origin: [] for host in self.hosts}
        self.signed: dict[tuple[str, str], dict[int, bytes]] = {}
        self._roots: dict[tuple[int, str], list[bytes]] = {}
        for host in self.hosts:
            self._say(host, Accede, {"charter": self.charter.digest()})
        if self.twin is not None:
            self._copy_disk(self.hosts[0], self.twin)

    @property
    def honest(self) -> list[Host]:
        """All hosts but that of the member that equivocates."""
        return self.hosts[1:] if self.twin else self.hosts

    # What happens

    def run(self, steps: int) -> None:
        """So many steps, then healing; BrokenLawError if a law does not hold."""
        for step in range(steps):
            self.now += self.random.randrange(60)
            host = self.random.choice(self.hosts)
            try:
                self._step(host)
                self._check(host)
            except BrokenLawError as e:
                raise BrokenLawError(f"seed {self.seed}, step {step}: {e}") from e
        try:
            self._heal()
        except BrokenLawError as e:
            raise BrokenLawError(f"seed {self.seed}, healing: {e}") from e

    def _step(self, host: Host) -> None:
        weights = {"say": 30, "pull": 40, "crash": 6, "start": 12, "split": 3, "join": 5, "save": 4, "restore": 2 * self.restores}
        match self.random.choices(list(weights), list(weights.values()))[0]:
            case "say" if host.up:
                self._maybe_crash(host, lambda: self._say(self._face(host), Profile, self._profile()))
            case "pull" if host.up:
                other, loss = self.random.choice(self.hosts), self.random.choice((0, 0, 0.05, 0.3))
                self._maybe_crash(host, lambda: self._pull(self._face(host), other, loss))
            case "crash" if host.up:
                self._stop(host)
            case "start" if not host.up:
                self._start(host)
            case "split" | "join" as change:
                for other in self.hosts:
                    other.group = self.random.randrange(3) if change == "split" else 0
            case "save" if not host.unheard:
                host.backup = Backup(host.storage.backup(), _dump(host.private))
            case "restore" if host.backup is not None and self._may_restore(host):
                self._restore(host)

    def _say(self, host: Host, kind: type, fields: dict[str, object]) -> None:
        try:
            said = host.node.say(everything(host.member.origin), kind, fields)
        except RefusedError:
            return  # paused after a restore, or disputed
        entry = host.node.holdings.tree(said.origin).entry(said.index)
        if host is not self.twin and not (self.twin and host is self.hosts[0]):
            self.said[said.origin].append((said.index, entry))

    def _profile(self) -> dict[str, object]:
        return {"name": f"Example institute {next(self._profiles)}", "country": "KE"}

    def _pull(self, host: Host, other: Host, loss: float = 0.0) -> None:
        if other.name == host.name or not other.up or other.group != host.group:
            return
        face = self._face(other)
        source = NodeSource(face.node, lambda _: self.random.random() < loss)
        try:
            report = pull(host.node, source)
        except UnreachableError:
            return
        if any(isinstance(error, UnreachableError) for error in report.wrong.values()):
            return
        host.unheard.discard(other.name)
        if not host.unheard:
            host.node.holdings.log(host.member.origin).pause(None)

    def _face(self, host: Host) -> Host:
        """Which of its two faces a member shows that has two."""
        if self.twin is not None and host is self.hosts[0]:
            return self.random.choice((host, self.twin))
        return host

    def _maybe_crash(self, host: Host, work: Callable[[], None]) -> None:
        """Do it; now and then the machine goes down in the middle of one of its writes."""
        if self.random.random() < 0.1:
            writes = count()
            fatal = self.random.randrange(6)
            host.storage.crash = lambda names: self.random.randrange(len(names) + 1) if next(writes) == fatal else None
        try:
            work()
        except CrashError:
            self._stop(host)
        except ConcordError as e:
            raise BrokenLawError(f"{host.name}: {type(e).__name__}: {e}") from e
        finally:
            host.storage.crash = lambda _: None

    def _stop(self, host: Host) -> None:
        host.up = False
        host.storage.cut_power(lambda _: self.random.random() < 0.5)
        if self.twin is not None and host is self.hosts[0]:
            self._start(host)  # whoever lies well does not go down

    def _start(self, host: Host) -> None:
        """The node comes up again from its disk; sometimes its view is gone."""
        host.node = self._node(host.member, host.storage, host.private)
        host.up = True
        if host.unheard:
            host.node.holdings.log(host.member.origin).pause("restored")

    def _restore(self, host: Host) -> None:
        """The disk is lost, and an old copy of it comes back. What only this disk held is gone."""
        assert host.backup is not None
        origin = host.member.origin
        others = [other for other in self.hosts if other is not host]
        self.said[origin] = [
            (index, entry)
            for index, entry in self.said[origin]
            if any(other.node.holdings.tree(origin).size > index for other in others) or index < _size(host.backup, origin)
        ]
        host.storage = MemoryStorage(host.backup.files)
        host.private = _load(host.backup.private)
        host.unheard = {other.name for other in others}
        self._start(host)
        self._forget_lost()

    def _forget_lost(self) -> None:
        """What a witness signed counts no more if only lost disks knew of it: nobody was told, and nobody can tell."""
        for witness in self.hosts:
            name, remembered = witness_name(witness.member.origin), witness.node.memory.sizes()
            for (signer, origin), sizes in self.signed.items():
                if signer == name:
                    shown = {size for host in self.hosts for size in _signed_sizes(host, origin, name)}
                    known = {size: root for size, root in sizes.items() if size <= remembered.get(origin, 0) or size in shown}
                    self.signed[signer, origin] = known

    def _may_restore(self, host: Host) -> bool:
        """Not the liar, and not a witness that would forget what it signed of the liar: nothing can bring that back."""
        if self.twin is None:
            return True
        assert host.backup is not None
        origin = self.hosts[0].member.origin
        then = self._node(host.member, MemoryStorage(host.backup.files), _load(host.backup.private)).memory.last(origin)
        return host is not self.hosts[0] and then == host.node.memory.last(origin)

    # What must hold

    def _check(self, host: Host) -> None:
        if not host.up:
            return
        for origin in host.node.holdings.origins():
            tree = host.node.holdings.tree(origin)
            head = tree.head
            if head is None:
                continue
            leaves = [leaf_hash(entry) for entry in tree.entries(0, tree.size)]
            if root_of(leaves) != head.checkpoint.root:
                raise BrokenLawError(f"{host.name} serves entries of {origin} that do not make its root")
            signed_by(head.note, origin, tree.identities())
            for each in (head, host.node.holdings.cosigned(origin)):
                if each is not None:
                    self._note_cosignatures(origin, each)
        self._check_said(host)

    def _check_said(self, host: Host) -> None:
        origin = host.member.origin
        if host.unheard or (self.twin and host is self.hosts[0]):
            return
        tree = host.node.holdings.tree(origin)
        for index, entry in self.said[origin]:
            if tree.size <= index or tree.entry(index) != entry:
                raise BrokenLawError(f"{host.name} acknowledged entry {index} of its log and lost it")

    def _note_cosignatures(self, origin: str, head: Head) -> None:
        """Remember who signed what, and see that each witness' trees can all be prefixes of one."""
        size, root = head.checkpoint.size, head.checkpoint.root
        for line in head.note.signatures:
            if line.name == origin:
                continue
            before = self.signed.setdefault((line.name, origin), {})
            if size in before:
                if before[size] != root:
                    raise BrokenLawError(f"{line.name} signed two trees of {origin} at size {size}")
                continue
            before[size] = root
            if not any(all(roots[at : at + 1] == [other] for at, other in before.items()) for roots in self._histories(origin)):
                raise BrokenLawError(f"{line.name} signed trees of {origin} that do not continue each other")

    def _histories(self, origin: str) -> Iterator[list[bytes]]:
        """The roots, by size, of each copy of a log that somebody holds; that of its owner first."""
        hosts = sorted(self.hosts, key=lambda host: host.member.origin != origin)
        for host in (*hosts, self.twin) if self.twin else hosts:
            tree = host.node.holdings.tree(origin)
            key = (id(host), origin)
            known = self._roots.setdefault(key, [merkle.EMPTY_ROOT])
            if len(known) > tree.size + 1 or known[-1] != tree.root_at(len(known) - 1):
                known = self._roots[key] = [merkle.EMPTY_ROOT]
            leaves = [leaf_hash(entry) for entry in tree.entries(0, tree.size)] if len(known) <= tree.size else []
            known += [root_of(leaves[:size]) for size in range(len(known), tree.size + 1)]
            yield known

    # Healing

    def _heal(self) -> None:
        """Everybody up, one network, no loss; pulls until nothing changes. Then the laws of the healed world."""
        expected = self._forked()
        for host in self.hosts:
            host.group = 0
            if not host.up:
                self._start(host)
        for _ in range(2 * len(self.hosts) + 6):
            before = [self._state(host) for host in self.honest]
            for host in self.honest:
                for other in self._neighbours(host):
                    self._maybe_pull(host, other)
            if len({*before, *(self._state(host) for host in self.honest)}) == 1:
                break
        self._check_healed(expected)

    def _check_healed(self, expected: bool) -> None:  # noqa: FBT001  whether there must be evidence
        for host in self.honest:
            self._check(host)
        views = len({self._state(host) for host in self.honest})
        if views != 1:
            raise BrokenLawError(f"{views} different views after healing")
        disputed = set(self.honest[0].node.disputes())
        liar = {self.hosts[0].member.origin} if self.twin else set()
        if not disputed <= liar:
            raise BrokenLawError("an honest member's log is disputed")
        if expected and disputed != liar:
            raise BrokenLawError("two histories were seen, and there is no evidence")

    def _maybe_pull(self, host: Host, other: Host) -> None:
        try:
            self._pull(host, other)
        except ConcordError as e:
            raise BrokenLawError(f"{host.name} from {other.name}: {type(e).__name__}: {e}") from e

    def _neighbours(self, host: Host) -> list[Host]:
        """Whom a host pulls from while healing: a ring and some chords, or all in a small world, or who has to answer yet."""
        if len(self.hosts) <= 6:
            return [other for other in self.hosts if other is not host]
        place = self.hosts.index(host)
        steps = (1, 2, 5, len(self.hosts) // 2)
        near = [self.hosts[(place + step) % len(self.hosts)] for step in steps]
        return [*near, *(other for other in self.hosts if other.name in host.unheard)]

    def _state(self, host: Host) -> str:
        """All that a node shows, in one word. What counts of each log, and the tables."""
        node = host.node
        disputed = node.disputes()
        sizes = sorted((origin, size) for origin in node.holdings.origins() if (size := node.view.size(origin)))
        return repr((sizes, sorted(disputed), sorted(node.view.digests().items())))

    def _forked(self) -> bool:
        """Whether two honest nodes hold histories of the liar's log of which neither continues the other."""
        if self.twin is None:
            return False
        origin = self.hosts[0].member.origin
        trees = [host.node.holdings.tree(origin) for host in self.honest]
        shared = [(one, other, min(one.size, other.size)) for one in trees for other in trees if one.size and other.size]
        return any(one.root_at(size) != other.root_at(size) for one, other, size in shared)

    # Making machines

    def _host(self, member: NewMember) -> Host:
        storage, private = MemoryStorage({CHARTER: ENCODER.encode(self.charter)}), _load(self._private)
        host = Host(label(member.origin), member, storage, private, self._node(member, storage, private))
        host.node.found(member)
        return host

    def _node(self, member: NewMember, storage: MemoryStorage, private: Engine) -> Node:
        """A node on this disk. Its view is made anew: it is derived, and nobody may miss it."""
        holdings = Holdings(storage, Keyring(member.keys.values()))
        node = Node(Settings(), holdings, Blobs(NOWHERE), private, _load(self._view), lambda: self.now)
        node.catch_up()
        return node

    def _templates(self) -> tuple[bytes, bytes]:
        """An empty view and an empty node.db of this organisation, to be copied: making tables is slow."""
        view, private = open_database(None), open_database(None)
        node = Node(Settings(), Holdings(MemoryStorage(), Keyring()), Blobs(NOWHERE), private, view, lambda: self.now)
        node.adopt(self.charter)
        return _dump(view), _dump(private)

    def _copy_disk(self, one: Host, other: Host) -> None:
        other.storage.files = one.storage.backup()
        other.private = _load(_dump(one.private))
        other.node = self._node(other.member, other.storage, other.private)


def _dump(engine: Engine) -> bytes:
    """A database in memory, as bytes."""
    raw = engine.raw_connection().driver_connection
    assert raw is not None
    return bytes(raw.serialize())


def _load(content: bytes) -> Engine:
    """A database in memory, from bytes."""
    engine = open_database(None)
    raw = engine.raw_connection().driver_connection
    assert raw is not None
    raw.deserialize(content)
    return engine


def _signed_sizes(host: Host, origin: str, name: str) -> Iterator[int]:
    """The sizes at which a host holds a cosignature by `name` on a log."""
    for head in (host.node.holdings.tree(origin).head, host.node.holdings.cosigned(origin)):
        if head is not None and any(line.name == name for line in head.note.signatures):
            yield head.checkpoint.size


def _size(backup: Backup, origin: str) -> int:
    return Tree(MemoryStorage(backup.files), origin).size


def run(seed: int, nodes: int, steps: int) -> World:
    """One history: what kind it is follows from the seed. BrokenLawError if a law does not hold."""
    kind = seed % 4
    world = World(seed, max(nodes, 3), hostile=kind in (1, 3), restores=kind in (2, 3))
    world.run(steps)
    return world


def main() -> int:
    """Run histories from the command line, and stop at the first that breaks a law."""
    parser = argparse.ArgumentParser(description="Histories of a federation, each decided by its seed.")
    parser.add_argument("--seeds", type=int, default=200, help="how many histories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--nodes", type=int, default=30, help="at most so many nodes; each history has 3 to this many")
    parser.add_argument("--steps", type=int, default=120, help="steps before healing")
    asked = parser.parse_args()
    for seed in range(asked.first, asked.first + asked.seeds):
        nodes = 3 + seed * 7 % (asked.nodes - 2)
        try:
            world = run(seed, nodes, asked.steps)
        except BrokenLawError as e:
            print(f"nodes {nodes}: {e}")
            return 1
        records = sum(map(len, world.said.values()))
        print(f"seed {seed}: {nodes} nodes, {records} records, {len(world.hosts[-1].node.disputes())} disputes, all laws held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
