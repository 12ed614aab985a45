"""Pulling: bring what a peer has and we lack into our copies, and what it says of our own logs back to us.

A pull from one source:

1. it serves our organisation;
2. its heads are read; what it says of *our own* logs comes first: if it has more of one than we do, we were restored from a
   backup, and take back what is ours before we sign anything;
3. every other log that may have room here grows by what is new (`concord.edges.peer.copies`);
4. cosignatures are gathered; evidence of two trees is held against the log that signed them;
5. what is new is read into the view; cosignatures whose witnesses are known only now are gathered, too; our witnesses cosign it;
   blobs are erased or fetched as records say;
6. the peer is given what it lacks of our own logs.

One log that is forged, malformed or too large stops none of the others: it stands in the report, with whose fault it is.
"""

from dataclasses import dataclass, field
from functools import partial

from concord.edges.peer import copies, export, heads
from concord.edges.peer.source import Listener, Source
from concord.edges.peer.wants import Want, wanted_blobs
from concord.edges.peer.whole import receive
from concord.errors import (
    ConcordError,
    ForgedError,
    MissingError,
    RefusedError,
    StaleError,
    UnreachableError,
)
from concord.ledger.progress import Progress, silent
from concord.ledger.tree import Head
from concord.node import Node
from concord.tlog import checkpoint as checkpoints

NO_TAKER = (404, 405, 501)  # what servers of files answer to a POST


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


def pull(node: Node, source: Source, progress: Progress = silent) -> Report:
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
    _take_all(node, source, _largest_first(ours), report, silent)
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
            copies.take(node, source, head, policy, progress)
        except ConcordError as e:
            report.wrong.setdefault(origin, e)
            if isinstance(e, UnreachableError):
                return False
        grown = node.holdings.tree(origin).size - before
        if grown > 0:
            report.entries[origin] = report.entries.get(origin, 0) + grown
            policy = node.policies()
    return True


def _fetch_blobs(node: Node, source: Source, report: Report) -> None:
    """The blobs that records name and that we lack, smallest first. Those that are personal are not asked for."""
    for digest, size in wanted_blobs(node):
        if node.blobs.have(digest):
            continue  # under another size that was claimed of it
        try:
            receive(node.blobs, digest, size, partial(source.stream, f"peer/blobs/{digest}"))
            report.blobs += node.blobs.have(digest)
        except MissingError:
            continue
        except ConcordError as e:
            report.wrong[f"blob {digest}"] = e
            if isinstance(e, UnreachableError):
                return


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
