"""Our own log: durable before it is acknowledged, many waiting writers to one checkpoint.

`append` returns once its entries stand under a signed, published checkpoint on disk. The steps of a commit:

1. take the log's lock, so that there is one writer, whichever process it lives in;
2. look at the head anew: another process may have grown the log since;
3. write entry bundles and tiles, durable;
4. sign the checkpoint over them;
5. publish it, durable.

A crash before 5 leaves the log as it was, and nobody was told otherwise; a crash after 5 leaves it grown, and it may be that
nobody was told. Writers that come while a commit runs wait together; the first to get through commits for all of them, so
the cost of making things durable is shared (group commit).
"""

import time
from collections.abc import Callable, Sequence
from threading import Event, Lock

from concord.errors import RefusedError, TooLargeError
from concord.ledger.identity import IDENTITY_MARK
from concord.ledger.tree import Tree
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.note import Note
from concord.tlog.tile import ENTRY_SIZE_MAX, Edge

COMMIT_MAX = 4096  # entries in one commit, unless one writer brings more
GATHER = 0.001  # seconds that a commit waits for the writers of the one before it, if that had several, to come back


class _Ticket:
    """What one writer waits with. It is called when its entries are settled, or when it is its turn to commit for all."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries = entries
        self.called = Event()
        self.first: int | None = None
        self.error: BaseException | None = None

    @property
    def settled(self) -> bool:
        return self.first is not None or self.error is not None


class Log:
    """A log that this node signs. `sign` turns a checkpoint into a note signed by the key that the log's identity names."""

    def __init__(self, tree: Tree, sign: Callable[[Checkpoint], Note]) -> None:
        self.tree = tree
        self._sign = sign
        self._paused: str | None = None
        self._queue: list[_Ticket] = []
        self._busy = False
        self._company = False
        self._turn = Lock()
        self._edge: Edge | None = None

    def append(self, entries: Sequence[bytes]) -> range:
        """The indexes that `entries` have from now on, durable and signed.

        RefusedError while the log is paused; TooLargeError over ENTRY_SIZE_MAX; StorageError if the disk refuses, and then
        none of them is in the log.
        """
        if not entries:
            return range(self.tree.size, self.tree.size)
        if any(len(entry) > ENTRY_SIZE_MAX for entry in entries):
            raise TooLargeError(f"an entry of over {ENTRY_SIZE_MAX} bytes")
        ticket = _Ticket(entries)
        with self._turn:
            self._queue.append(ticket)
            waits, self._busy = self._busy, True
        if waits:
            ticket.called.wait()
        if not ticket.settled:
            self._commit()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.first is not None
        return range(ticket.first, ticket.first + len(entries))

    def pause(self, reason: str | None) -> None:
        """Refuse to sign, with this reason, until told otherwise (None)."""
        self._paused = reason

    @property
    def paused(self) -> str | None:
        """Why nothing is signed at present, or None."""
        return self._paused

    def _commit(self) -> None:
        """Commit for all who wait, then call the next in the queue to do the same."""
        if self._company:
            time.sleep(GATHER)
        tickets = self._take()
        self._company = len(tickets) > 1
        try:
            first = self._grow([entry for ticket in tickets for entry in ticket.entries])
            for ticket in tickets:
                ticket.first = first
                first += len(ticket.entries)
        except BaseException as e:
            for ticket in tickets:
                ticket.error = e
            raise
        finally:
            with self._turn:
                self._busy = bool(self._queue)
                following = self._queue[:1]
            for ticket in (*following, *tickets):
                ticket.called.set()

    def _take(self) -> list[_Ticket]:
        """The longest run of waiting tickets that fits one commit, and at least the first."""
        with self._turn:
            count = total = 0
            for ticket in self._queue:
                total += len(ticket.entries)
                if count and total > COMMIT_MAX:
                    break
                count += 1
            taken, self._queue = self._queue[:count], self._queue[count:]
        return taken

    def _grow(self, entries: list[bytes]) -> int:
        """The index of the first of `entries`, once all are durable. The numbers are those of the module docstring."""
        tree = self.tree
        with tree.lock():  # 1
            if self._paused is not None:
                raise RefusedError(f"{tree.origin} signs nothing now: {self._paused}")
            head = tree.head  # 2
            edge = self._edge
            if edge is None or head is None or (edge.size, edge.root()) != (head.checkpoint.size, head.checkpoint.root):
                edge = tree.edge()
            self._edge = None
            grown = tree.stage(edge, entries)  # 3
            identities = [entry for entry in entries if IDENTITY_MARK in entry]
            if identities or tree.has_stray_identities():
                known = tree.identities() if edge.size else []  # the identity that a log begins with was staged before it
                tree.stage_identities([*known, *identities], grown.size)
            signed = self._sign(Checkpoint(tree.origin, grown.size, grown.root()))  # 4
            tree.publish(signed)  # 5
            self._edge = grown
            return edge.size
