"""Pulling: bring what a peer has and we lack into our copies, and what it says of our own logs back to us.

A pull from one source:

1. it serves our organisation;
2. its heads are read; what it says of *our own* logs comes first: if it has more of one than we do, we were restored from a
   backup, and take back what is ours before we sign anything;
3. every other log that may have room here grows by what is new: entries, verified from the bottom up;
4. cosignatures are gathered; evidence of two trees is held against the log that signed them;
5. what is new is read into the view; cosignatures whose witnesses are known only now are gathered, too; our witnesses cosign it;
   blobs are erased or fetched as records say;
6. the peer is given what it lacks of our own logs.

One log that is forged, malformed or too large stops none of the others: it stands in the report, with whose fault it is.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from concord.edges.peer import export, heads
from concord.edges.peer.source import Listener, Source, tile_path
from concord.edges.peer.wants import Want, wanted_blobs
from concord.errors import (
    ConcordError,
    ForgedError,
    ForkedError,
    MalformedError,
    MissingError,
    RefusedError,
    StaleError,
    TooLargeError,
    UnreachableError,
)
from concord.ledger import evidence
from concord.ledger.blobs import Blobs
from concord.ledger.mirror import Intake, signed_by
from concord.ledger.tree import Head, Tree, folder, weight
from concord.node import Node
from concord.tlog import checkpoint as checkpoints
from concord.tlog import merkle, tile
from concord.tlog.merkle import HASH_SIZE
from concord.tlog.note import Note
from concord.tlog.policy import Policy
from concord.tlog.tile import BUNDLE_SIZE_MAX, WIDTH, Place

NO_TAKER = (404, 405, 501)  # what servers of files answer to a POST
STAGED = 16 * WIDTH  # entries written at a time


@dataclass
class Report:
    """What a pull brought: how many entries of which logs, how many blobs, what went wrong (by log or blob)."""

    source: str
    entries: dict[str, int] = field(default_factory=dict)
    blobs: int = 0
    wrong: dict[str, ConcordError] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Entries brought, of all logs."""
        return sum(self.entries.values())


Progress = Callable[[str, int, int], None]


def pull(node: Node, source: Source, progress: Progress = lambda _origin, _done, _size: None) -> Report:
    """Pull from `source`; the numbers are those of the module docstring. `progress(origin, entries so far, entries in all)`.

    UnreachableError if it does not answer at all; RefusedError if it serves another organisation.
    """
    report = Report(source.name)
    offered = _offered(node, source)  # 1
    own = set(node.holdings.hosted())
    others = [head for head in offered.heads if head.checkpoint.origin not in own]
    ours = [head for head in offered.heads if head.checkpoint.origin in own]
    reached = _take_all(node, source, [*_largest_first(ours), *_largest_first(others)], report, progress)  # 2, 3, 4
    node.catch_up()  # 5
    _gather_late(node, offered)
    node.erase()
    node.tell()
    node.cosign()
    if reached:
        _fetch_blobs(node, source, report)
    if reached and isinstance(source, Listener):
        _hand_over(node, source, offered, report)  # 6
    return report


def _gather_late(node: Node, offered: heads.Heads) -> None:
    """Take the cosignatures by witnesses that became known only with the logs that came after those they cosigned."""
    policy, held = node.policies(), {origin: node.holdings.tree(origin).head for origin in node.holdings.origins()}
    for head in offered.heads:
        before = held.get(head.checkpoint.origin)
        if before is not None and before.checkpoint == head.checkpoint:
            node.holdings.gather(head, policy(head.checkpoint.origin))


def recall(node: Node, source: Source) -> Report:
    """Steps 1 and 2 alone: take back from `source` what it has of our own logs and we lack.

    StaleError if it shows more of one, signed by us, than could be taken back; the report would say why.
    """
    report = Report(source.name)
    own = set(node.holdings.hosted())
    ours = [head for head in _offered(node, source).heads if head.checkpoint.origin in own]
    _take_all(node, source, _largest_first(ours), report, lambda _origin, _done, _size: None)
    node.catch_up()
    for head in ours:
        origin, size = head.checkpoint.origin, node.holdings.tree(head.checkpoint.origin).size
        if head.checkpoint.size > size and origin not in node.disputes() and _is_signed(node, head):
            why = report.wrong.get(origin) or next(iter(report.wrong.values()), "")
            raise StaleError(f"{source.name} has {head.checkpoint.size} entries of {origin}, and only {size} are here: {why}", size)
    return report


def _is_signed(node: Node, head: Head) -> bool:
    """Whether a key that we know of the log signed `head`."""
    try:
        checkpoints.open_note(head.note, node.holdings.log_keys(head.checkpoint.origin))
    except ForgedError:
        return False
    return True


def _offered(node: Node, source: Source) -> heads.Heads:
    offered = heads.read(source.get("peer/heads", heads.HEADS_SIZE_MAX))
    if offered.organisation != node.organisation:
        raise RefusedError(f"{source.name} serves another organisation ({offered.organisation[:16] or 'none'})")
    return offered


def _largest_first(offered: list[Head]) -> list[Head]:
    return sorted(offered, key=lambda head: -head.checkpoint.size)


def _take_all(node: Node, source: Source, offered: list[Head], report: Report, progress: Progress) -> bool:
    """Take one log after the other; what is wrong with one stands in the report. Whether the line held to the end."""
    policy = node.policies()
    for head in offered:
        origin = head.checkpoint.origin
        before = node.holdings.tree(origin).size
        try:
            _take(node, source, head, policy, progress)
        except ConcordError as e:
            report.wrong.setdefault(origin, e)
            if isinstance(e, UnreachableError):
                return False
        grown = node.holdings.tree(origin).size - before
        if grown > 0:
            report.entries[origin] = report.entries.get(origin, 0) + grown
            policy = node.policies()
    return True


def _take(node: Node, source: Source, head: Head, policy: Callable[[str], Policy], progress: Progress) -> None:
    """Bring our copy of one log to `head`, if it may grow there, and take its cosignatures."""
    origin = head.checkpoint.origin
    tree = node.holdings.tree(origin)
    if tree.head == head:
        return
    disputed = origin in node.disputes()
    if tree.head is None and not disputed:
        _begin(node, source, head, progress)
        return
    node.holdings.gather(head, policy(origin))
    if disputed:
        good = node.holdings.cosigned(origin)
        if good is not None and good.checkpoint == head.checkpoint:
            _side_with(node, source, head, progress)
    elif head.checkpoint.size > tree.size:
        _go_on(node, source, head, progress)
    else:
        compare(node, head)


def _begin(node: Node, source: Source, head: Head, progress: Progress) -> None:
    """Begin the copy of a log.

    Anybody can make up origins. So what a copy leaves here that the line cut off, or that grew too large, counts as held, and
    one that proves false leaves nothing.
    """
    origin = head.checkpoint.origin
    if not head.checkpoint.size:
        return
    node.room_for(origin)
    try:
        _go_on(node, source, head, progress)
    except (UnreachableError, TooLargeError):
        node.holdings.add(origin)
        raise
    except (ForgedError, MalformedError, MissingError):
        node.holdings.drop(origin)
        raise


def _go_on(node: Node, source: Source, head: Head, progress: Progress) -> None:
    """Bring our copy to `head`, and hold what our witness cosigned of the log against it."""
    _grow(node, source, head, progress)
    last = node.memory.last(head.checkpoint.origin)
    if last is not None:
        compare(node, last)


def _side_with(node: Node, source: Source, head: Head, progress: Progress) -> None:
    """Bring our copy of a disputed log to what was well cosigned of it.

    If ours is shown to be of another branch, it is set aside first.
    """
    tree = node.holdings.tree(head.checkpoint.origin)
    if head.checkpoint.size > tree.size:
        try:
            _grow(node, source, head, progress)
        except ForkedError:
            pass  # its tiles prove that ours is no part of it
        else:
            return
    elif _continues(tree, head):
        return
    with tree.lock():
        tree.set_aside()
    _grow(node, source, head, progress)


def compare(node: Node, head: Head) -> None:
    """Hold a head against what we hold of its log, and against what our witness cosigned of it, which may be more.

    ForkedError if the log signed both and they do not agree; ForgedError if they do not agree and the log never signed `head`.
    A head larger than our copy says nothing yet, unless it has the size of what was cosigned.
    """
    origin = head.checkpoint.origin
    tree, last = node.holdings.tree(origin), node.memory.last(origin)
    if not _continues(tree, head):
        _accuse(node, tree.head, head, tile.nodes_from(tree.size, tree.read))
    if last is not None and last.checkpoint.size == head.checkpoint.size and last.checkpoint.root != head.checkpoint.root:
        _accuse(node, last, head, tile.nodes_from(tree.size, tree.read))


def _continues(tree: Tree, head: Head) -> bool:
    """Whether a head no larger than our copy is of the same tree."""
    size = head.checkpoint.size
    return size > tree.size or tree.root_at(size) == head.checkpoint.root


def _grow(node: Node, source: Source, head: Head, progress: Progress) -> None:
    """Make our copy grow to `head`.

    What an earlier pull left unfinished is gone on from, and believed as little: if the whole is not the log, it is taken anew.
    """
    origin = head.checkpoint.origin
    tree, room = node.holdings.tree(origin), node.room_for(origin)
    with tree.lock():
        if head.checkpoint.size <= tree.size:
            return  # another process was faster
        if origin in node.holdings.hosted():
            tree.clear()  # what a crash of ours left there was never signed
        resumed = tree.left_over(next(tile.bundle_places(tree.size, head.checkpoint.size))) is not None
        try:
            _grow_once(node, source, head, room, progress)
        except (ForgedError, MalformedError) as e:
            if not resumed or isinstance(e, TooLargeError):
                raise
            _grow_once(node, source, head, room, progress)
        if resumed:
            tree.clear()  # a partial tile of the piece that the line cut off
    node.holdings.gather(head, node.policy(origin))


def _grow_once(node: Node, source: Source, head: Head, room: int, progress: Progress) -> None:
    origin, tree = head.checkpoint.origin, node.holdings.tree(head.checkpoint.origin)
    try:
        intake, taken = _receive(source, head, tree, room, progress)
        intake.verified()
    except ForgedError as e:
        tree.clear()
        _investigate(node, source, head)
        raise ForgedError(f"{e}; what {source.name} sent of it is not its") from e
    except TooLargeError:
        raise  # what lies there now is not asked for again
    except MalformedError:
        tree.clear()
        raise
    tree.settle()
    tree.stage_identities(intake.identities, intake.received, taken)
    node.holdings.add(origin)  # before it is published: a crash between the two must not leave a log that nobody lists
    tree.publish(Note(head.note.text, tuple(line for line in head.note.signatures if line.name == origin)))


def _receive(source: Source, head: Head, tree: Tree, room: int, progress: Progress) -> tuple[Intake, int]:
    """The entries that are new, staged on the way, and how many bytes the log takes with them. TooLargeError over `room`.

    What a pull that broke off left on the disk is used before the line is: it is verified with the rest, at the end.
    """
    origin, size = head.checkpoint.origin, head.checkpoint.size
    edge, taken = tree.edge(), tree.taken()
    intake = Intake(edge, tree.identities(), head)
    pending: list[bytes] = []
    try:
        for place, raw in _bundles(source, tree, intake.wanted()):
            new = intake.take(place, raw)
            taken += weight(new)
            if taken > room:
                raise TooLargeError(f"the log of {origin} is larger than the {room} bytes that it may take here")
            pending += new
            if len(pending) >= STAGED or intake.received == size:
                edge, pending = tree.stage(edge, pending, durable=False), []
                progress(origin, intake.received, size)
    finally:
        if pending:
            edge = tree.stage(edge, pending, durable=False)
    intake.grow(edge)
    return intake, taken


def _bundles(source: Source, tree: Tree, places: Iterator[Place]) -> Iterator[tuple[Place, bytes]]:
    """The bundles at `places`, in order: those left over on the disk, and the others from `source`, some of them ahead."""

    def fetch(place: Place) -> bytes:
        return tree.left_over(place) or source.get(tile_path(folder(tree.origin), place), BUNDLE_SIZE_MAX)

    if source.ahead == 1:
        yield from ((place, fetch(place)) for place in places)
        return
    pool, coming = ThreadPoolExecutor(source.ahead), deque[tuple[Place, Future[bytes]]]()
    try:
        while True:
            coming.extend((place, pool.submit(fetch, place)) for place in islice(places, source.ahead - len(coming)))
            if not coming:
                return
            place, answer = coming.popleft()
            yield place, answer.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _investigate(node: Node, source: Source, head: Head) -> None:
    """The entries did not fit: did the sender alter them, or did the log sign two trees? Its tiles tell, if it has them.

    Returns if the sender is at fault. ForkedError if the log is: the evidence is held against it then.
    """
    log = folder(head.checkpoint.origin)
    try:
        theirs = tile.nodes_from(head.checkpoint.size, lambda place: source.get(tile_path(log, place), WIDTH * HASH_SIZE))
        _accuse(node, node.holdings.tree(head.checkpoint.origin).head, head, theirs)
    except ForkedError:
        raise
    except (ForgedError, MalformedError, MissingError):
        return  # its tiles are not those of the head either, or it has none


def _accuse(node: Node, held: Head | None, head: Head, larger: merkle.Node) -> None:
    """ForkedError if `head` is signed by its log and does not agree with `held`, and the evidence is held against it.

    `larger` reads the larger of the two trees. ForgedError if the log never signed `head`.
    """
    origin = head.checkpoint.origin
    identities = node.holdings.tree(origin).identities()
    if held is None:
        return
    signed_by(head.note, origin, identities)
    speaker = next(iter(node.holdings.hosted()), origin)
    found = evidence.find(speaker, node.organisation, node.clock(), held, head, larger, identities)
    if found is not None:
        node.dispute(found)
        raise ForkedError(f"{origin} signed two different histories; it is disputed from now on")


def _fetch_blobs(node: Node, source: Source, report: Report) -> None:
    """The blobs that records name and that we lack, smallest first. Those that are personal are not asked for."""
    for digest, size in wanted_blobs(node):
        if node.blobs.have(digest):
            continue  # under another size that was claimed of it
        try:
            _fetch_blob(node.blobs, source, digest, size)
            report.blobs += node.blobs.have(digest)
        except MissingError:
            continue
        except ConcordError as e:
            report.wrong[f"blob {digest}"] = e
            if isinstance(e, UnreachableError):
                return


def _fetch_blob(blobs: Blobs, source: Source, digest: str, size: int) -> None:
    """One blob, from where an earlier transfer was cut; from its beginning if what came then was something else."""
    start = blobs.received(digest, size)
    try:
        blobs.receive(digest, source.stream(f"peer/blobs/{digest}", start), size)
    except ForgedError:
        if not start:
            raise
        blobs.receive(digest, source.stream(f"peer/blobs/{digest}", 0), size)


def _hand_over(node: Node, source: Listener, offered: heads.Heads, report: Report) -> None:
    """Give the peer what it lacks of our own logs, and take home the cosignatures that it answers with.

    Peers that can reach us pull by themselves; this is for nodes that nobody can reach. A static mirror, which takes nothing,
    is left alone.
    """
    disputed, held = node.disputes(), {head.checkpoint.origin: head.checkpoint.size for head in reversed(offered.heads)}
    ours = [origin for origin in node.holdings.hosted() if origin not in disputed]
    sizes = {origin: node.holdings.tree(origin).size for origin in node.holdings.origins()}
    sizes |= {origin: held.get(origin, 0) for origin in ours}
    if all(sizes[origin] >= node.holdings.tree(origin).size for origin in ours):
        return
    try:
        status, answer = export.push(node, source, Want(node.organisation, sizes))
        if status == 200:
            for head in heads.read(source.get("peer/heads", heads.HEADS_SIZE_MAX)).heads:
                if head.checkpoint.origin in ours:
                    node.holdings.gather(head, node.policy(head.checkpoint.origin))
        elif status not in NO_TAKER:
            raise RefusedError(f"{source.name} does not take our log ({status}): {answer.decode(errors='replace')[:300].strip()}")
    except ConcordError as e:
        report.wrong["handing over"] = e
