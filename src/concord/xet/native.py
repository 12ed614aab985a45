"""The inner loops over bytes in C, where they could be compiled (`concord.xet.kernel`).

`requirements/native.py` compiles native.c into a library beside this file when Concord is installed. Nothing of Python is in it, so
that one file is good for all versions of Python, and a compiler is all that it needs. Whoever calls it lets other threads go on.

A library that is missing, that cannot be loaded, or that gives a wrong answer to a known question is not used.
"""

import ctypes
from contextlib import suppress

from concord.xet.gear import TABLE

Bytes = bytes | bytearray | memoryview
Pointer = ctypes.c_void_p

LIBRARY = __file__.removesuffix(".py") + ".library"
_TABLE = (ctypes.c_uint64 * len(TABLE))(*TABLE)
_SIZE = ctypes.c_size_t


class Native:
    """The library."""

    name = "compiled"

    def __init__(self, library: ctypes.CDLL) -> None:
        self._cut, self._group, self._ungroup = library.concord_cut, library.concord_group, library.concord_ungroup
        self._cut.restype = _SIZE
        self._cut.argtypes = [Pointer, Pointer, _SIZE, _SIZE, _SIZE, _SIZE, Pointer]
        for turn in (self._group, self._ungroup):
            turn.restype, turn.argtypes = None, [Pointer, _SIZE, Pointer]

    def cutter(self, least: int, most: int) -> "Cutter":
        """Cuts chunks of `least` to `most` bytes."""
        return Cutter(self._cut, least, most)

    def group(self, content: Bytes) -> bytearray:
        """Every fourth byte together."""
        return _turned(self._group, content)

    def ungroup(self, grouped: Bytes) -> bytearray:
        """What `group` made `grouped` from."""
        return _turned(self._ungroup, grouped)


class Cutter:
    """Cuts by the loop in C."""

    def __init__(self, cut: "ctypes._NamedFuncPointer", least: int, most: int) -> None:
        self._cut, self._least, self._most = cut, least, most
        self._stops = (ctypes.c_uint32 * 32)()

    def __call__(self, window: memoryview, scanned: int, filled: int) -> list[int]:
        """The places where chunks end; as `concord.xet.kernel.Cut`."""
        if not scanned <= filled <= len(window):
            raise RuntimeError("more than there is in the window")
        room = filled // self._least
        if room == 0:
            return []
        if len(self._stops) < room:
            self._stops = (ctypes.c_uint32 * room)()
        count = self._cut(_TABLE, _pointer(window), scanned, filled, self._least, self._most, self._stops)
        return self._stops[:count]


def _turned(turn: "ctypes._NamedFuncPointer", content: Bytes) -> bytearray:
    turned = bytearray(len(content))
    if turned:
        turn(content if isinstance(content, bytes) else bytes(content), len(content), _pointer(turned))
    return turned


def _pointer(content: bytearray | memoryview) -> object:
    """Where the first byte is. A type for every length, as `c_char * length`, would cost more than the work."""
    return ctypes.byref(ctypes.c_char.from_buffer(content))


def load(path: str = LIBRARY) -> Native | None:
    """The library, if it is there and does what it should."""
    with suppress(OSError, AttributeError):
        found = Native(ctypes.CDLL(path))
        if _answers(found):
            return found
    return None


def _answers(found: Native) -> bool:
    """Whether the library is the one that belongs to this file: answers that are known."""
    content = bytes((63 * number * number + number // 7) % 256 for number in range(3003))
    grouped = content[0::4] + content[1::4] + content[2::4] + content[3::4]
    places = found.cutter(64, 1500)(memoryview(bytearray(content)), 0, len(content))
    return found.group(content) == grouped and found.ungroup(grouped) == content and places == [500, 2000, 2292]
