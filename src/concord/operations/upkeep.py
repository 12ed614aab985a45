"""What a running node does by itself: it asks peers about its own logs first, then pulls, cosigns, clears away, finds damage."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import TypeVar

from concord import home as homes
from concord.config import Settings
from concord.edges.peer.pull import Report, pull, recall
from concord.edges.peer.source import HttpSource
from concord.errors import ConcordError, StaleError, UnreachableError
from concord.ledger.progress import Progress, silent
from concord.node import Node
from concord.operations import keeping
from concord.operations.courier import Courier
from concord.operations.garbage import AGE, collect
from concord.operations.lines import Line
from concord.operations.scrub import scrub
from concord.private import peers

logger = getLogger("concord.upkeep")
T = TypeVar("T")

ASKED = 16  # peers that are asked for our own logs at the same time
ASK_AGAIN = 60  # seconds until a node that pulls only on demand asks again what it may sign
RECALL_TIMEOUT = 10  # seconds that a peer may be silent while our own logs wait for its word
CLEAR_EVERY = 86_400  # seconds until bytes that nobody needs are cleared away again
SCRUB_EVERY = 3600  # seconds until it is seen again whether there is something to read through, or to mend
TICK = 5  # seconds between looks at whether there is something to cosign


def pull_from(node: Node, url: str, progress: Progress = silent) -> Report:
    """Pull from one peer, and remember how it went. The errors are those of `pull`, if it went wrong as a whole."""
    return _ask(node, url, node.settings, lambda source: pull(node, source, progress))


def recover(node: Node, home: Path) -> bool:
    """Ask every peer what it knows of our own logs, and take back what we lack; whether we may sign again.

    A node that was not moved may sign even if nobody answers: it knows what it signed. One that was may sign once every peer
    has answered since. None may while a peer has shown more of a log of ours than could be taken back.
    """
    since = homes.moved_since(node, home)
    hasty = replace(node.settings, pull_timeout=min(node.settings.pull_timeout, RECALL_TIMEOUT))
    with ThreadPoolExecutor(ASKED) as askers:
        lacking = any(list(askers.map(partial(_lacks, node, hasty), [peer.url for peer in _everyone(node)])))
    if lacking:
        homes.doubt(node)
    if lacking or (since is not None and any((peer.answered or 0) < since for peer in _everyone(node))):
        return False
    resume(node, home)
    return True


def _lacks(node: Node, settings: Settings, url: str) -> bool:
    """Whether we lack something of our own logs even after asking this peer for it."""
    try:
        _ask(node, url, settings, partial(recall, node))
    except ConcordError as e:
        logger.warning("peer %s: %s", url, e)
        return isinstance(e, StaleError)
    return False


def _ask(node: Node, url: str, settings: Settings, work: Callable[[HttpSource], Report]) -> Report:
    source = HttpSource(url, settings)
    try:
        report = work(source)
        broke = next((error for error in report.wrong.values() if isinstance(error, UnreachableError)), None)
    except ConcordError as e:
        with node.private_writing() as db:
            peers.failed(db, url, node.clock(), str(e))
        raise
    with node.private_writing() as db:
        if broke is None:
            peers.answered(db, url, node.clock(), source.skew)
        else:
            peers.failed(db, url, node.clock(), str(broke))
    return report


def resume(node: Node, home: Path) -> None:
    """Let our logs sign again, and remember that this folder is the home now."""
    homes.stay(node, home)
    homes.pause(node, None)


class Upkeep:
    """The thread of a running node that keeps it up. `start` returns at once."""

    def __init__(self, node: Node, home: Path) -> None:
        self._node = node
        self._home = home
        self._stop = threading.Event()
        self._cleared = node.clock()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._courier = Courier(node, Line(node, waited_for=False))
        self._keeper: threading.Thread | None = None
        self._scrubber: threading.Thread | None = None
        self._scrubbed: int | None = None

    def start(self) -> None:
        """Pause our logs if there are peers to ask first, and begin."""
        if _everyone(self._node) and homes.moved_since(self._node, self._home) is None:
            homes.pause(self._node, "this node has just started and asks its peers what they know; try again in a moment")
        self._thread.start()

    def stop(self) -> None:
        """End, once what is under way is done."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        """Recover, then pull and cosign until stopped. While our logs may not sign, nothing is done but ask again."""
        every = self._node.settings.pull_every
        step = min(TICK, every or TICK)
        ready, waited = self._recover(), 0
        if ready and every:
            self._pull_all()
        while not self._stop.wait(step):
            due = waited + step >= (every or ASK_AGAIN)
            waited = 0 if due else waited + step
            ready = ready or self._try("resuming", self._told_to_resume) or (due and self._recover())
            if ready:
                self._try("cosigning", self._node.cosign)
                self._try("clearing away", self._clear_away)
                self._scrub()
            if ready and due and every:
                self._pull_all()

    def _clear_away(self) -> None:
        """Clear away what nobody needs, if a day went by since."""
        now = self._node.clock()
        if now - self._cleared >= CLEAR_EVERY:
            self._cleared = now
            found = collect(self._node, AGE)
            logger.info("cleared away %d files, %d bytes", len(found.files), found.size)

    def _recover(self) -> bool:
        return self._try("recovery", lambda: recover(self._node, self._home)) or False

    def _told_to_resume(self) -> bool:
        """Whether somebody said `concord log resume`, in another process, while we were asking."""
        if homes.moved_since(self._node, self._home) is not None:
            return False
        resume(self._node, self._home)
        return True

    def _pull_all(self) -> None:
        for url in [peer.url for peer in _everyone(self._node)]:
            if self._stop.is_set():
                return
            report = self._try(f"peer {url}", lambda url=url: pull_from(self._node, url))  # type: ignore[misc]
            for name, error in report.wrong.items() if report else ():
                logger.warning("peer %s: %s: %s", url, name, error)
        self._keep()

    def _keep(self) -> None:
        """Fetch and drop files as the settings say, beside everything else: it may take a night."""
        if self._keeper is None or not self._keeper.is_alive():
            work = partial(self._try, "keeping files", lambda: keeping.keep(self._node, self._courier, self._stop.is_set))
            self._keeper = threading.Thread(target=work, name="keeping", daemon=True)
            self._keeper.start()

    def _scrub(self) -> None:
        """Read through what is stored, and mend it, beside everything else, once an hour."""
        now = self._node.clock()
        idle = self._scrubber is None or not self._scrubber.is_alive()
        if idle and (self._scrubbed is None or now - self._scrubbed >= SCRUB_EVERY):
            self._scrubbed = now
            work = partial(self._try, "reading through what is stored", lambda: scrub(self._node, self._courier, self._stop.wait))
            self._scrubber = threading.Thread(target=work, name="scrub", daemon=True)
            self._scrubber.start()

    def _try(self, what: str, work: Callable[[], T]) -> T | None:
        """Do it; what goes wrong with a peer or the disk is told and tried again later."""
        try:
            return work()
        except ConcordError as e:
            logger.warning("%s: %s", what, e)
            return None


def _everyone(node: Node) -> list[peers.Peer]:
    with node.private_reading() as db:
        return peers.everyone(db)
