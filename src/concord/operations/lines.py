"""The lines to peers, as they may be used: each at its pace, and, for what nobody waits for, only while its window is open.

Peers are asked in the order in which they answered last, the node that the owner names in its profile first if it is a peer. What
somebody waits for now is limited by the rate of each peer, and not by its window.
"""

import time
from collections.abc import Callable, Iterator
from threading import Lock

from concord.config import Settings
from concord.edges.peer.source import Counted, HttpSource, Source
from concord.errors import UnreachableError
from concord.node import Node
from concord.pillars.commons import Repo
from concord.pillars.members import view as members_view
from concord.private import peers
from concord.private.peers import Peer

SOURCES_MAX = 8  # peers that are asked for one file


class Pace:
    """How fast a peer may be read, however many read: `take` waits until `count` more bytes may be taken."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._free = 0.0
        self._turn = Lock()

    def take(self, count: int) -> None:
        """Wait for our turn, then let it be another's after the time that `count` bytes may take."""
        with self._turn:
            now = time.monotonic()
            wait = max(self._free - now, 0.0)
            self._free = max(self._free, now) + count / self.rate
        time.sleep(wait)


class Windowed:
    """A source that is read only while its window is open; what it has sent by then stays, and the rest comes the next time."""

    def __init__(self, source: Source, peer: Peer, clock: Callable[[], int]) -> None:
        self.name, self.ahead = source.name, source.ahead
        self._source, self._peer, self._clock = source, peer, clock

    def get(self, path: str, most: int) -> bytes:
        self._check()
        return self._source.get(path, most)

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self._watched(self._source.stream(path, start))

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        return self._watched(self._source.part(path, start, stop))

    def _watched(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        self._check()
        for piece in pieces:
            yield piece
            self._check()

    def _check(self) -> None:
        if not self._peer.open_at(self._clock()):
            raise UnreachableError(f"{self.name} is read without being asked for in its window only, {self._peer.window} UTC")


class Line:
    """The peers of a node as sources, each at its pace, and, for what nobody waits for, only while its window is open."""

    def __init__(self, node: Node, *, waited_for: bool = True) -> None:
        self._node, self._waited_for = node, waited_for
        self._paces: dict[str, Pace] = {}

    def __call__(self, repo: Repo, settings: Settings, patience: int) -> list[Source]:
        """The sources to ask for files of a repo, the most promising first."""
        now = self._node.clock()
        asked = [peer for peer in in_order(self._node, repo.id.owner) if self._waited_for or peer.open_at(now)]
        return [self.source(peer, settings, patience) for peer in asked[:SOURCES_MAX]]

    def source(self, peer: Peer, settings: Settings, patience: int) -> Source:
        """One peer as a source."""
        source: Source = HttpSource(peer.url, settings, patience)
        if not self._waited_for:
            source = Windowed(source, peer, self._node.clock)
        if not peer.rate:
            return source
        pace = self._paces.setdefault(peer.url, Pace(peer.rate))
        pace.rate = peer.rate
        return Counted(source, pace.take)


def in_order(node: Node, owner: str) -> list[Peer]:
    """The peers of a node, those first that are most likely to have files of `owner` and to answer."""
    with node.private_reading() as db:
        everyone = peers.everyone(db)
    with node.reading() as db:
        home = (members_view.profiles(db).get(owner, {}).get("node") or "").rstrip("/")
    return sorted(everyone, key=lambda peer: (peer.url != home, peer.error is not None, -(peer.answered or 0)))
