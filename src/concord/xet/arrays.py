"""The inner loops over bytes with numpy, for where nothing could be compiled (`concord.xet.kernel`).

A Python loop over bytes would be a hundred times too slow. But a hash that depends on 64 bytes alone can be computed for all places
at once, by doubling the length of the window: the hash over 2n bytes is the one over the last n, plus the one over the n bytes
before shifted by n. `Scanner` does so with numpy, and spares work in three ways. It computes the hash after every fourth byte only,
from a table of pairs of bytes. Of the last doubling it computes the upper 32 bits. From these it goes on to the three places
between, in 32 bits: what is shifted in and carried from below is left out, by which a value is at most 10 too small. So it finds
every place where a chunk may end, and very few more; each found is then computed exactly.

>>> from concord.xet.gear import MASK, hash_of
>>> content = bytes(i * i % 251 for i in range(70_000))
>>> all(hash_of(content[end - 64 : end]) & MASK == 0 for end in Scanner().ends(bytes(64), content))
True
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from concord.xet.gear import MASK, TABLE, WINDOW, hash_of

Bytes = bytes | bytearray | memoryview

BLOCK = 1 << 17  # bytes that are scanned at once: the working arrays stay in the processor's cache

_WHOLE = np.array(TABLE, np.uint64)
_PAIRS = ((_WHOLE[None, :] << np.uint64(1)) + _WHOLE[:, None]).reshape(-1)  # by the pair as a little-endian number
_SLACK = 10  # by how much the two places between fall short at most: 2 bits shifted in and a carry, doubled, and once more
_SINGLES = (_WHOLE >> np.uint64(32)).astype(np.uint32) + np.uint32(_SLACK)
_LIMIT = np.uint32((1 << 16) + 4 * _SLACK)
_ALL = (1 << 64) - 1
_ONE = np.uint32(1)
_QUADS = WINDOW // 4


class Scanner:
    """Finds where chunks may end. It keeps its working arrays: making them anew costs more than filling them."""

    def __init__(self) -> None:
        quads = (BLOCK + WINDOW) // 4 + 1
        self._even, self._odd, self._shifted = (np.empty(quads, "<u8") for _ in range(3))
        self._first, self._third, self._high = (np.empty(quads, "<u4") for _ in range(3))
        self._window = np.zeros(4 * quads, np.uint8)
        self._index = np.empty(quads, np.intp)
        self._found, self._more = (np.empty(quads, np.bool_) for _ in range(2))

    def ends(self, before: Bytes, block: Bytes) -> list[int]:
        """The places in `block` (how many of its bytes lie before) where a chunk may end; `before` are the 64 bytes before it."""
        if len(before) != WINDOW or len(block) > BLOCK:
            raise RuntimeError(f"{WINDOW} bytes before at most {BLOCK}")
        length = WINDOW + len(block)
        window = self._window[: length + 3 & -4]  # what lies in the last run beyond the block is looked at in vain
        window[:WINDOW] = np.frombuffer(before, np.uint8)
        window[WINDOW:length] = np.frombuffer(block, np.uint8)
        return [end - WINDOW for quad in self._quads(window).tolist() for end in self._exact(4 * quad) if end <= length]

    def _exact(self, start: int) -> Iterator[int]:
        """Of the four places after `start`, those where a chunk may end."""
        value = hash_of(self._window[start - WINDOW : start].tobytes())
        for end in range(start + 1, start + 5):
            value = (2 * value + TABLE[int(self._window[end - 1])]) & _ALL
            if value & MASK == 0:
                yield end

    def _quads(self, window: NDArray[np.uint8]) -> NDArray[np.intp]:
        """The runs of four bytes in which there may be such a place; the first sixteen are not looked at."""
        count = len(window) // 4
        even, odd = self._gather(window, count)
        high = self._after_every_fourth(even, odd, count)
        found, more = self._found[:count], self._more[:count]
        found[:_QUADS] = False
        found, more = found[_QUADS:], more[_QUADS:]
        np.less(high[_QUADS:], _LIMIT, out=found)
        between = high[_QUADS - 1 : -1]  # the hash before the first byte of each run, in place: it is not needed after
        np.left_shift(between, _ONE, out=between)
        single = self._first[_QUADS:count]
        np.logical_or(found, np.less(np.add(single, between, out=single), _LIMIT, out=more), out=found)
        np.left_shift(between, _ONE, out=between)
        np.copyto(single, even.view("<u4")[1::2][_QUADS:])
        np.add(np.add(between, single, out=between), np.uint32(_SLACK), out=between)
        np.logical_or(found, np.less(between, _LIMIT, out=more), out=found)
        np.left_shift(between, _ONE, out=between)
        np.add(between, self._third[_QUADS:count], out=between)
        np.logical_or(found, np.less(between, _LIMIT, out=more), out=found)
        return np.flatnonzero(self._found[:count])

    def _gather(self, window: NDArray[np.uint8], count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """From the tables: of each run, its first and second pair (whole), its first and third byte (the upper half)."""
        index, pairs = self._index[:count], window.view("<u2")
        even, odd = self._even[:count], self._odd[:count]
        for places, table, out in (
            (window[::4], _SINGLES, self._first[:count]),
            (window[2::4], _SINGLES, self._third[:count]),
            (pairs[1::2], _PAIRS, odd),
            (pairs[::2], _PAIRS, even),
        ):
            np.copyto(index, places)
            np.take(table, index, out=out, mode="clip")  # "clip" spares a copy; no index is out of bounds
        return even, odd

    def _after_every_fourth(self, even: NDArray[np.uint64], odd: NDArray[np.uint64], count: int) -> NDArray[np.uint32]:
        """The upper half of the hash after each run, over windows of 4, 8, 16, 32, then 64 bytes."""
        shifted, high = self._shifted[:count], self._high[:count]
        hashes = np.add(odd, np.left_shift(even, np.uint64(2), out=shifted), out=odd)
        for width in (1, 2, 4):
            np.left_shift(hashes, np.uint64(4 * width), out=shifted)
            np.add(hashes[width:], shifted[:-width], out=hashes[width:])
        halves = hashes.view("<u4")
        np.add(halves[17::2], halves[:-16:2], out=high[8:])
        return high


class Cutter:
    """Cuts by the places that a Scanner finds."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most
        self._scanner = Scanner()

    def __call__(self, window: memoryview, scanned: int, filled: int) -> list[int]:
        """The places in `window`, which begins with a chunk, where it and those after it end; as `concord.xet.kernel.Cut`."""
        before = bytes(window[max(0, scanned - WINDOW) : scanned]).rjust(WINDOW, b"\0")
        stops = [0]
        for first in range(scanned, filled, BLOCK):
            block = window[first : min(first + BLOCK, filled)]
            for end in self._scanner.ends(before, block):
                self._cut(stops, first + end)
            before = (before + bytes(block[-WINDOW:]))[-WINDOW:]
        while filled - stops[-1] >= self._most:
            stops.append(stops[-1] + self._most)
        return stops[1:]

    def _cut(self, stops: list[int], end: int) -> None:
        """Note that a chunk may end there."""
        while end - stops[-1] > self._most:
            stops.append(stops[-1] + self._most)
        if end - stops[-1] >= self._least:
            stops.append(end)


class Arrays:
    """This way to do it."""

    name = "numpy"

    def cutter(self, least: int, most: int) -> Cutter:
        """Cuts chunks of `least` to `most` bytes."""
        return Cutter(least, most)

    def group(self, content: Bytes) -> bytes:
        """Bytes 0, 4, 8 …, then 1, 5, 9 …, then 2, 6, 10 …, then 3, 7, 11 …"""
        if len(content) % 4:
            return b"".join(bytes(content[first::4]) for first in range(4))
        return np.frombuffer(content, np.uint8).reshape(-1, 4).T.tobytes()

    def ungroup(self, grouped: Bytes) -> bytes:
        """What `group` made `grouped` from."""
        content, start = np.empty(len(grouped), np.uint8), 0
        for first in range(4):
            stop = start + (len(grouped) - first + 3) // 4
            content[first::4] = np.frombuffer(grouped, np.uint8)[start:stop]
            start = stop
        return content.tobytes()
