"""Who brings the files of a repo that are elsewhere, or are damaged here; and reading that has them mended on the way."""

from collections.abc import Iterator
from typing import Protocol

from concord.content import Content
from concord.errors import DamagedError, ErasedError, HeldError, MissingError
from concord.ledger.chunks import Stream
from concord.pillars.commons import File, Repo


class Courier(Protocol):
    """Whoever brings files that are not here, or are damaged, from elsewhere (`concord.operations.courier`)."""

    def may(self, repo: Repo) -> bool:
        """Whether files of the repo can be asked for at all."""

    def bring(self, repo: Repo, file: File, seconds: float | None = None) -> None:
        """Bring a file. MissingError if nobody has it, UnreachableError if some could not be asked.

        BusyError if it is not here after so many seconds; it goes on coming then.
        """

    def read(self, repo: Repo, file: File, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of a file while it comes. The errors are those of `bring`, before the first byte."""

    def peek(self, repo: Repo, file: File, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file, and no more than is needed for them, soon or not at all."""

    def repair(self, repo: Repo, file: File, place: int | None = None) -> None:
        """Bring what is lost of a file, or, at `place`, is not what was written. DamagedError if nobody has it."""


class Sound(Iterator[bytes | bytearray]):
    """Bytes [start, stop) of a file that is here; what is damaged on the disk is brought again on the way."""

    def __init__(self, content: Content, courier: Courier, repo: Repo, file: File, start: int, stop: int) -> None:
        self._content, self._courier, self._repo, self._file = content, courier, repo, file
        self._place, self._stop, self._mended = start, stop, -1
        self._pieces: Iterator[bytes | bytearray] | None = None
        self._opened()  # held or erased: said before the first byte

    def __next__(self) -> bytes | bytearray:
        while True:
            try:
                return self._counted(next(self._opened()))
            except (DamagedError, MissingError) as e:
                if isinstance(e, HeldError | ErasedError) or self._place in (self._mended, self._stop):
                    raise
                self._courier.repair(self._repo, self._file, self._place)
                self._mended, self._pieces = self._place, None

    def at_once(self) -> bytes | bytearray | None:
        """The next piece, if it is in memory already and sound; what is not comes with the next call of `next`."""
        if not isinstance(self._pieces, Stream):
            return None
        try:
            piece = self._pieces.at_once()
        except DamagedError:
            return None
        return None if piece is None else self._counted(piece)

    def _opened(self) -> Iterator[bytes | bytearray]:
        if self._pieces is None:
            self._pieces = self._content.flow(self._repo, self._file.sha256, self._place, self._stop)
        return self._pieces

    def _counted(self, piece: bytes | bytearray) -> bytes | bytearray:
        self._place += len(piece)
        return piece
