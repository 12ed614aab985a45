"""Our copy of one log: how it begins, grows, and is held against what others show of the log.

What comes is staged as it comes, and counts once all of it makes the signed root: entries are verified from the bottom up, and what
a pull that broke off left on the disk is believed as little. If the whole does not fit, the tiles of the sender tell who is at
fault: the sender, or a log that signed two trees, which is evidence. Of a disputed log only what is well cosigned is followed, and
a copy of the other branch is set aside for it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from concord.edges.peer.source import Source, tile_path
from concord.errors import (
    ForgedError,
    ForkedError,
    MalformedError,
    MissingError,
    TooLargeError,
    UnreachableError,
)
from concord.ledger import evidence
from concord.ledger.mirror import Intake, signed_by
from concord.ledger.progress import Progress
from concord.ledger.tree import Head, Tree, folder, weight
from concord.node import Node
from concord.tlog import merkle, tile
from concord.tlog.merkle import HASH_SIZE
from concord.tlog.note import Note
from concord.tlog.policy import Policy
from concord.tlog.tile import BUNDLE_SIZE_MAX, WIDTH, Place

STAGED = 16 * WIDTH  # entries written at a time


def take(node: Node, source: Source, head: Head, policy: Callable[[str], Policy], progress: Progress) -> None:
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
