"""Lines that break, lie, wait, and count: sources between a node and whoever pulls from it.

    line = Line(NodeSource(node), breaks=[1000, 0, 70_000])
    line.sent["xorbs"]        bytes that came over it, by what they were

The first stretch of the line carries 1000 bytes and breaks, the second none, the third 70,000; after that it holds.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from threading import Lock

from concord.edges.peer.source import Source
from concord.errors import LaterError, UnreachableError


def kind(path: str) -> str:
    """What stands at a path: "map", "rows", "xorbs" or "file", or else "log"."""
    if not path.startswith("peer/content/"):
        return "log"
    name = path.rpartition("/")[2]
    return name.partition(".")[2] or ("xorbs" if "/xorbs/" in path else "file")


class Line:
    """A source over a line. Several threads may use it."""

    ahead = 2

    def __init__(
        self,
        source: Source,
        breaks: Iterable[int] = (),
        *,
        forge: Callable[[str, int], bool] = lambda _path, _place: False,
        wait: float = 0.0,
        later: Iterable[int] = (),
        name: str = "a line",
    ) -> None:
        """`forge(path, place)`: whether the byte at this place of a path is flipped; `wait`: seconds before each piece; `later`:

        for how many seconds of patience it asks at each of the first questions.
        """
        self.name, self.sent, self.asked = name, Counter[str](), list[tuple[str, int]]()
        self.dead, self.later = False, list(later)
        self._source, self._breaks, self._forge, self._wait = source, list(breaks), forge, wait
        self._left = self._breaks.pop(0) if self._breaks else None
        self._turn = Lock()

    def slow(self, wait: float) -> None:
        """From now on, each piece takes that many seconds."""
        self._wait = wait

    def get(self, path: str, most: int) -> bytes:
        return b"".join(self._carried(path, 0, (self._source.get(path, most) for _ in range(1))))

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self._carried(path, start, self._source.stream(path, start))

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        return self._carried(path, start, self._source.part(path, start, stop))

    def _carried(self, path: str, start: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        self.asked.append((path, start))
        if self.dead:
            raise UnreachableError(f"{self.name} is dead")
        if self.later:
            raise LaterError(f"{self.name} asks for patience", self.later.pop(0))
        for piece in pieces:
            time.sleep(self._wait)
            carried, broke = self._take(kind(path), piece)
            yield self._altered(path, start, carried)
            start += len(carried)
            if broke or self.dead:
                raise UnreachableError(f"{self.name} broke")

    def _take(self, what: str, piece: bytes) -> tuple[bytes, bool]:
        with self._turn:
            broke = self._left is not None and len(piece) > self._left
            carried = piece[: self._left] if broke else piece
            self.sent[what] += len(carried)
            if broke:
                self._left = self._breaks.pop(0) if self._breaks else None
            elif self._left is not None:
                self._left -= len(carried)
            return carried, broke

    def _altered(self, path: str, start: int, piece: bytes) -> bytes:
        changed = bytearray(piece)
        for place in range(len(changed)) if self._forge(path, -1) else ():
            changed[place] ^= self._forge(path, start + place)
        return bytes(changed)


class Dripping:
    """A source that sends what is at some paths byte by byte, with `wait` seconds before each, as a trap would."""

    ahead = 2

    def __init__(self, source: Source, drips: Callable[[str], bool], wait: float, name: str = "a trap") -> None:
        self.name, self._source, self._drips, self._wait = name, source, drips, wait

    def get(self, path: str, most: int) -> bytes:
        return b"".join(self._dripped(path, iter([self._source.get(path, most)])))

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self._dripped(path, self._source.stream(path, start))

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        return self._dripped(path, self._source.part(path, start, stop))

    def _dripped(self, path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if not self._drips(path):
                yield piece
                continue
            for place in range(len(piece)):
                time.sleep(self._wait)
                yield piece[place : place + 1]
