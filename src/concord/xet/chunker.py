"""Content-defined chunking (Xet specification v1.1.0): the same content is cut alike wherever it stands.

A chunk ends at the first place where the gear hash allows it (`concord.xet.gear`), but has at least CHUNK_MIN and at most
CHUNK_MAX bytes, 64 KiB on average; only the last of a file may be shorter. The hash begins anew with every chunk, which changes
nothing: before a chunk may end, the window is full of its own bytes.

>>> content = bytes(i * i % 251 for i in range(200_000)) + b"the end"
>>> chunks = list(cut([content[:5], content[5:]]))
>>> [len(chunk) for chunk in chunks], b"".join(chunks) == content
([131072, 68935], True)
"""

from collections.abc import Iterable, Iterator

from concord.xet.kernel import Kernel, kernel

CHUNK_MIN = 8 << 10
CHUNK_MAX = 128 << 10
BLOCK = 128 << 10  # bytes that are looked at in one go: they stay in the processor's cache


def cut(pieces: Iterable[bytes], by: Kernel | None = None) -> Iterator[bytes]:
    """The chunks of the content that `pieces` make up, however it is divided among them."""
    chunker = Chunker(by)
    for piece in pieces:
        yield from chunker.take(piece)
    yield from chunker.finish()


class Chunker:
    """Cuts content that comes piece by piece, in memory of its own that does not grow."""

    def __init__(self, by: Kernel | None = None) -> None:
        self._stops = (by or kernel()).cutter(CHUNK_MIN, CHUNK_MAX)
        self._window = memoryview(bytearray(CHUNK_MAX + BLOCK))  # it begins with the chunk that has not ended
        self._scanned = self._filled = 0

    def take(self, piece: bytes) -> Iterator[bytes]:
        """The chunks that end with more content."""
        for start in range(0, len(piece), BLOCK):
            part = memoryview(piece)[start : start + BLOCK]
            room = self._scanned + BLOCK - self._filled
            yield from self._fill(part[:room])
            yield from self._fill(part[room:])

    def finish(self) -> Iterator[bytes]:
        """The chunks that end with the content. Nothing can be taken after it."""
        yield from self._cut()
        if self._filled:
            yield bytes(self._window[: self._filled])

    def _fill(self, part: memoryview) -> Iterator[bytes]:
        self._window[self._filled : self._filled + len(part)] = part
        self._filled += len(part)
        if self._filled == self._scanned + BLOCK:
            yield from self._cut()

    def _cut(self) -> Iterator[bytes]:
        """The chunks that end in what was filled and not yet scanned; what is left moves to the front."""
        start = 0
        for stop in self._stops(self._window, self._scanned, self._filled):
            yield bytes(self._window[start:stop])
            start = stop
        rest = self._filled - start
        self._window[:rest] = self._window[start : self._filled]
        self._scanned = self._filled = rest
