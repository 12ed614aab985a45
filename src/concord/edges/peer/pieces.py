"""The files of a bundle before they are written: what each is called, how large it is, and how it is read.

A bundle may carry more than fits in memory or on one stick. So a piece knows its size before a byte of it is read, is read only
while it is written, and tells how much room it takes in a volume.

>>> piece = of_bytes("peer/charter", b"{}")
>>> piece.size, b"".join(piece.read()), piece.weight
(2, b'{}', 158)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

from concord.ledger.progress import Progress

END, LARGE_END, LARGE_LIST = 22, 20, 56  # bytes at the end of a ZIP; of what points to a larger end; of that larger end
LOCAL, LISTED, LARGE_FIELD = 30, 46, 28  # bytes of a header before a file, of one in the list, of a field for large sizes
FRAME = 1024  # more than what a volume takes besides its pieces: which volume it is, and its end


def counting(total: int, progress: Progress) -> Callable[[str, int], None]:
    """Tells of progress each time that some bytes more of something are done. Several threads may."""
    done, turn = 0, Lock()

    def more(name: str, count: int) -> None:
        nonlocal done
        with turn:
            done += count
            progress(name, done, total)

    return more


@dataclass(frozen=True)
class Piece:
    """One file of a bundle: its name, its size in bytes, and how to read it, for whoever is done with each part before the next."""

    name: str
    size: int
    read: Callable[[], Iterable[bytes | bytearray]]

    @property
    def weight(self) -> int:
        """The bytes that it takes in a ZIP, with its names, both headers, and their fields for large sizes."""
        return self.size + 2 * len(self.name) + LOCAL + LISTED + 2 * LARGE_FIELD

    @property
    def listed(self) -> int:
        """The bytes that it takes in the list of a ZIP."""
        return len(self.name) + LISTED + LARGE_FIELD

    def fits(self, most: int | None) -> bool:
        """Whether it fits in a volume of `most` bytes (None: of any size)."""
        return most is None or FRAME + self.weight <= most


def of_bytes(name: str, content: bytes) -> Piece:
    """A piece that is in memory."""
    return Piece(name, len(content), lambda: (content,))
