"""Sums of the pieces of long blobs, so that a part can be compared, and not only the whole.

A digest says nothing of a part. So a blob that is read for the first time is read through, whatever part of it is asked for, and of
each piece a sum (XXH3, 64 bits) is remembered if all of it is what the digest says. Whoever reads on or comes again compares the
pieces that it reads, at a twentieth of what SHA-256 costs. Nothing of it is kept on the disk: sums beside the bytes that they vouch
for are changed by what changes those.

>>> sums = Sums()
>>> known = sums.keep("9f" * 32, [b"some ", b"bytes"])
>>> [fits(known, number, piece) for number, piece in [(0, b"some "), (1, b"bytez"), (2, b"")]]
[True, False, False]
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock

from xxhash import xxh3_64_intdigest

SUMS_MAX = 1 << 17  # of all blobs together, 8 bytes each: 128 GiB in pieces of 1 MiB

Known = Sequence[int]  # the sums of the pieces of one blob, in order


class Sums:
    """The sums of the blobs that were read last: at most `most`, or those of one blob. Several threads may use them."""

    def __init__(self, most: int = SUMS_MAX) -> None:
        self._most = most
        self._kept: OrderedDict[str, Known] = OrderedDict()
        self._turn = Lock()

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def keep(self, digest: str, pieces: Iterable[bytes]) -> Known:
        """Sum the pieces of a blob and remember it, once all of them came; if they end in an error, nothing."""
        known = array("Q", map(xxh3_64_intdigest, pieces))
        with self._turn:
            self._kept[digest] = known
            while len(self) > self._most and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return known

    def get(self, digest: str) -> Known | None:
        """The sums of a blob; None if they are not remembered."""
        with self._turn:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)


def fits(known: Known, number: int, piece: bytes) -> bool:
    """Whether a piece is that of this number."""
    return number < len(known) and known[number] == xxh3_64_intdigest(piece)
