"""The inner loops over bytes: where to cut content into chunks, and how to put every fourth byte together.

They exist twice. `native.c` has them in C, and is compiled when Concord is installed where there is a C compiler; `arrays.py` does
the same with numpy, everywhere, at a tenth of the speed. Both give the same answers for all content, which the tests see to.
`kernel()` is the faster one that works here, `concord verify` says which that is, and numpy is not even loaded where it is not
needed.

>>> kernel().group(b"ABCDabcdAB") == b"AaABbBCcDd"
True
>>> kernel().cutter(8192, 131072)(memoryview(bytearray(300_000)), 0, 300_000)
[131072, 262144]
"""

from collections.abc import Callable
from functools import cache
from typing import Protocol

from concord.xet import native

Bytes = bytes | bytearray | memoryview

# (window, scanned, filled) -> the places in the writable `window`, which begins with a chunk, where it and those after it end. Of
# the window `filled` bytes count, and in the first `scanned` no chunk ends.
Cut = Callable[[memoryview, int, int], list[int]]


class Kernel(Protocol):
    """One way to do it."""

    @property
    def name(self) -> str:
        """What it is called where it is told of."""

    def cutter(self, least: int, most: int) -> Cut:
        """What cuts one content into chunks of `least` to `most` bytes; the last may be shorter, and is not cut off."""

    def group(self, content: Bytes) -> bytes | bytearray:
        """Bytes 0, 4, 8 …, then 1, 5, 9 …, then 2, 6, 10 …, then 3, 7, 11 …"""

    def ungroup(self, grouped: Bytes) -> bytes | bytearray:
        """What `group` made `grouped` from."""


@cache
def kernel() -> Kernel:
    """The kernel that is used."""
    return native.load() or plain()


@cache
def plain() -> Kernel:
    """The one that works everywhere."""
    from concord.xet.arrays import Arrays

    return Arrays()
