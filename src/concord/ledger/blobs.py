"""Blobs: large bytes, addressed by their SHA-256, kept beside the logs.

    blobs/9f/9f86d081…         the bytes
    blobs/9f/9f86d081….9.part  what has come so far of 9 bytes; a transfer that was cut goes on from here
    blobs/9f/9f86d081….hold    marks that stop them from being served: who placed each, and why
    blobs/9f/9f86d081….damaged it is not what was written any more, and is not served
    blobs/9f/9f86d081….erased  they were here; a tombstone says who asked for their erasure, and why

A blob is written once: to a temporary file, hashed on the way, made durable, then renamed to its digest, so that whoever finds
it finds it whole. What is read of it is compared before it is given out: all of a short one with the digest, of a longer one each
piece with what it was when all of it was (`concord.ledger.sums`).

What should be erasable although a log points at it for ever (a person's particulars) is *salted*: the blob begins with 32 random
bytes, and its digest tells nothing once it is gone.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as home:
...     blobs = Blobs(Path(home))
...     digest, size = blobs.put([b"two ", b"pieces"])
...     size, b"".join(blobs.get(digest)), b"".join(blobs.get(digest, 4, 6))
(10, b'two pieces', b'pi')
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EIO
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from concord.errors import BusyError, DamagedError, ErasedError, ForgedError, HeldError, MalformedError, MissingError, TooLargeError
from concord.ledger.record import Count, Detached, Line, Media, Part, Time
from concord.ledger.storage.files import TEMPORARY, sync, told
from concord.ledger.sums import Sums, fits

PIECE = 1 << 20  # bytes read or written at a time
SALT_SIZE = 32
DAMAGED = ".damaged"


class Hold(Part, frozen=True):
    """A mark that stops a blob from being served: placed by whom (a name for the mark), why, and when (POSIX seconds)."""

    by: Line
    reason: Line
    at: Time


class Tombstone(Part, frozen=True):
    """What stays of an erased blob."""

    by: Line
    reason: Line
    at: Time
    size: Count


class Blobs:
    """Blobs in a folder. Several threads and processes may use one folder at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sums = Sums()

    # Reading

    def have(self, digest: str) -> bool:
        """Whether the bytes are here, held or not."""
        return self._path(digest).is_file()

    def size(self, digest: str) -> int:
        """How many bytes; the errors are those of `get`."""
        return self._served(digest).stat().st_size

    def kept(self, digest: str) -> int | None:
        """How many bytes are here, held or not; None if there are none."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def get(self, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes [start, stop) in pieces of at most PIECE. MissingError, HeldError or ErasedError if they may not be had.

        DamagedError in the place of a piece that is not what was written, and, of a blob that was not read before, in the place of
        the first, wherever in it the damage is.
        """
        path = self._served(digest)
        return self._sound(digest, path, start, path.stat().st_size if stop is None else stop)

    def open(self, digest: str) -> Path:
        """The file that holds the bytes, as they are. Errors as in `get`, but for damage, which nobody has looked for."""
        return self._served(digest)

    def check(self, digest: str) -> None:
        """Read all of it, held or not. MissingError if it is not here; DamagedError if it is not what it was."""
        for _ in self.checking(digest):
            pass

    def checking(self, digest: str) -> Iterator[int]:
        """The same, piece by piece: how many bytes were read."""
        path = self._path(digest)
        if not path.is_file():
            raise MissingError(f"no blob {digest} here")
        yield from map(len, _compared(path, digest))

    def digests(self, folder: str = "??") -> Iterator[str]:
        """Of all blobs whose bytes are here; or of those in the folder with these two digits."""
        for path in sorted(self.root.glob(f"{folder}/" + "[0-9a-f]" * 64)):
            yield path.name

    # Writing

    def put(
        self, pieces: Iterable[bytes], size_max: int | None = None, expected: str | None = None, at: int | None = None
    ) -> tuple[str, int]:
        """Keep the bytes; their digest and size. `at` is when they came, by a clock other than that of the disk (POSIX seconds).

        TooLargeError over `size_max` bytes; ForgedError if another digest was `expected`, and nothing of it stays; StorageError if
        the disk refuses.
        """
        content, size = sha256(), 0
        with self._temporary() as (path, file):
            for piece in pieces:
                size += len(piece)
                if size_max is not None and size > size_max:
                    raise TooLargeError(f"more than {size_max} bytes")
                content.update(piece)
                file.write(piece)
            digest = content.hexdigest()
            if expected not in (None, digest):
                raise ForgedError(f"what came as the bytes with SHA-256 {expected} is something else")
            if at is not None:
                file.flush()
                os.utime(file.fileno(), (at, at))
            self._settle(path, file, digest)
        return digest, size

    def detach(self, content: bytes, media: str, salt: bytes = b"") -> Detached:
        """Keep `content`, after `salt` if it is personal (SALT_SIZE random bytes), and give what a record says of it."""
        if len(salt) not in (0, SALT_SIZE):
            raise RuntimeError(f"a salt has {SALT_SIZE} bytes")
        try:
            msgspec.convert(media, Media)
        except msgspec.ValidationError as e:
            raise MalformedError(f"not a media type: {media[:100]!r}") from e
        digest, size = self.put([salt + content])
        return Detached(digest=digest, size=size, media=media, salted=bool(salt))

    def received(self, digest: str, size: int) -> int:
        """How many of the `size` bytes are here of a transfer that was cut. Each size claimed has its own transfer."""
        with suppress(OSError):
            return self._path(digest, f".{size}.part").stat().st_size
        return 0

    def receive(self, digest: str, pieces: Iterable[bytes], size: int) -> None:
        """Take the rest of a blob of `size` bytes, after those that were received before.

        What came stays if `pieces` breaks off, and the next call goes on from there. ForgedError if the whole is not what the
        digest says, MalformedError if it is longer than `size`; then nothing of it stays. BusyError if somebody else receives it
        at this moment.
        """
        path = self._path(digest, f".{size}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                _own(file, path)
                _append(file, pieces, size)
                if file.tell() >= size:
                    self._finish(path, digest, size)
        except OSError as e:
            raise told(e, path) from e

    def erase(self, digest: str, tombstone: Tombstone) -> None:
        """Forget the bytes and leave a tombstone. Erasing what is not here leaves one too, so that it is not fetched."""
        self._note(digest, ".erased", msgspec.json.encode(tombstone))
        for path in (self._path(digest), *self._path(digest).parent.glob(f"{digest}.*.part")):
            path.unlink(missing_ok=True)

    def erased(self, digest: str) -> Tombstone | None:
        """The tombstone, or None."""
        tombstone: Tombstone | None = self._read_note(digest, ".erased", Tombstone)
        return tombstone

    def renew(self, digest: str, at: int) -> bool:
        """Let a blob count as young from `at` (POSIX seconds) on, because somebody builds on it; whether it is here."""
        path = self._path(digest)
        with self._turn(), suppress(FileNotFoundError):
            os.utime(path, (at, max(at, path.stat().st_mtime)))
            return True
        return False

    def discard(self, digest: str, before: int) -> bool:
        """Remove a blob that nobody needs, unless it came, or was last needed, after a time; whether it is gone.

        Nothing stays of it, so that it can come again.
        """
        with self._turn():
            if self.kept(digest) is not None and not self.is_older(digest, before):
                return False
            self._path(digest).unlink(missing_ok=True)
        return True

    def set_aside(self, digest: str, at: int) -> None:
        """Let a damaged blob be found no more, so that it can come again. It is kept for whoever wants to look (`clear_aside`)."""
        path = self._path(digest)
        with self._turn(), suppress(FileNotFoundError):
            os.utime(path, (at, at))
            path.replace(self._path(digest, DAMAGED))
            sync([path.parent])

    def clear_aside(self, before: int) -> None:
        """Remove what was set aside before a time."""
        for path in self.root.glob(f"??/*{DAMAGED}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def is_older(self, digest: str, before: int) -> bool:
        """Whether a blob is here that came, and was last needed, before a time."""
        try:
            return self._path(digest).stat().st_mtime < before
        except FileNotFoundError:
            return False

    def hold(self, digest: str, mark: Hold) -> None:
        """Place a mark. One by the same name that stands is replaced."""
        marks = [other for other in self.holds(digest) if other.by != mark.by]
        self._note(digest, ".hold", msgspec.json.encode([*marks, mark]))

    def release(self, digest: str, by: str) -> None:
        """Take away the mark that `by` placed."""
        marks = [mark for mark in self.holds(digest) if mark.by != by]
        if marks:
            self._note(digest, ".hold", msgspec.json.encode(marks))
        else:
            with suppress(FileNotFoundError):
                self._path(digest, ".hold").unlink()

    def holds(self, digest: str) -> list[Hold]:
        """The marks on a blob."""
        return self._read_note(digest, ".hold", list[Hold]) or []

    def held(self) -> Iterator[str]:
        """The digests that have marks, whether or not the bytes are here."""
        for path in sorted(self.root.glob("??/" + "[0-9a-f]" * 64 + ".hold")):
            yield path.name.partition(".")[0]

    def check_allowed(self, digest: str) -> None:
        """HeldError or ErasedError if the bytes may not be served, wherever they are kept."""
        tombstone = self.erased(digest)
        if tombstone is not None:
            raise ErasedError(f"blob {digest} was erased: {tombstone.reason}")
        marks = self.holds(digest)
        if marks:
            raise HeldError(f"blob {digest} is held: {'; '.join(mark.reason for mark in marks)}")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let nobody discard and renew at the same moment."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _sound(self, digest: str, path: Path, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of what is at `path`, no piece of which is given before it was compared."""
        if _size(path) <= PIECE:
            (whole,) = list(_compared(path, digest)) or [b""]
            yield from filter(None, [whole[start:stop]])
            return
        known = self._sums.get(digest) or self._sums.keep(digest, _compared(path, digest))
        for number in range(start // PIECE, min(-(-stop // PIECE), len(known))):
            first = number * PIECE
            piece = b"".join(_pieces(path, first, first + PIECE))
            if not fits(known, number, piece):
                raise _damaged(path)
            yield piece[max(start - first, 0) : stop - first]

    def _served(self, digest: str) -> Path:
        path = self._path(digest)
        if not path.is_file() and self.erased(digest) is None:
            raise MissingError(f"no blob {digest} here")
        self.check_allowed(digest)
        return path

    def _path(self, digest: str, suffix: str = "") -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise MalformedError(f"not the digest of a blob: {digest[:80]!r}")
        return self.root / digest[:2] / f"{digest}{suffix}"

    def _read_note(self, digest: str, suffix: str, kind: Any) -> Any:
        """What is noted beside a blob, or None. DamagedError if it cannot be read: what may be held is not served then."""
        path = self._path(digest, suffix)
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise DamagedError(f"{path}: what is noted of this blob cannot be read. Take it from a backup") from e

    def _note(self, digest: str, suffix: str, content: bytes) -> None:
        with self._temporary() as (path, file):
            file.write(content)
            self._settle(path, file, digest, suffix)

    def _finish(self, path: Path, digest: str, size: int) -> None:
        if path.stat().st_size > size:
            path.unlink()
            raise MalformedError(f"more than the {size} bytes of blob {digest}")
        content = sha256()
        for piece in _pieces(path, 0, path.stat().st_size):
            content.update(piece)
        if content.hexdigest() != digest:
            path.unlink()
            raise ForgedError(f"what came as blob {digest} is something else")
        path.replace(self._path(digest))
        sync([path.parent])

    @contextmanager
    def _temporary(self) -> Iterator[tuple[Path, BinaryIO]]:
        path = self.root / f".{os.urandom(8).hex()}{TEMPORARY}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                yield path, file
        except OSError as e:
            raise told(e, path) from e
        finally:
            with suppress(OSError):
                path.unlink()

    def _settle(self, path: Path, file: BinaryIO, digest: str, suffix: str = "") -> None:
        file.flush()
        os.fsync(file.fileno())
        target = self._path(digest, suffix)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            sync([self.root])
        path.replace(target)
        sync([target.parent])


def unsalted(part: Detached, raw: bytes) -> bytes:
    """The content that `part` stands for, out of the bytes of its blob.

    >>> unsalted(Detached(digest="9f" * 32, size=37, media="text/plain", salted=True), bytes(32) + b"Amina")
    b'Amina'
    """
    return raw[SALT_SIZE:] if part.salted else raw


def _append(file: BinaryIO, pieces: Iterable[bytes], size: int) -> None:
    """Write `pieces` after what is there, durable, until there are more than `size` bytes; none if there are as many already."""
    rest = iter(pieces) if file.tell() < size else iter(())
    try:
        while file.tell() <= size and (piece := next(rest, None)) is not None:
            file.write(piece)
    finally:
        file.flush()
        os.fsync(file.fileno())


def _pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """Bytes [start, stop) of a file. DamagedError if the disk cannot read them, MissingError if it is gone by now."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            while start < stop and (piece := file.read(min(PIECE, stop - start))):
                start += len(piece)
                yield piece
    except FileNotFoundError as e:
        raise MissingError(f"no blob {path.name} here") from e
    except OSError as e:
        raise (DamagedError(f"{path}: the disk cannot read it") if e.errno == EIO else told(e, path)) from e


def _compared(path: Path, digest: str) -> Iterator[bytes]:
    """All pieces of a file. DamagedError after the last if they are not what the digest says."""
    content = sha256()
    for piece in _pieces(path, 0, _size(path)):
        content.update(piece)
        yield piece
    if content.hexdigest() != digest:
        raise _damaged(path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError as e:
        raise MissingError(f"no blob {path.name} here") from e


def _damaged(path: Path) -> DamagedError:
    return DamagedError(f"{path}: the bytes are not those that were written. Remove the file and pull the blob again")


def _own(file: BinaryIO, path: Path) -> None:
    """Let nobody else write to `path` while `file` is open. BusyError if somebody does, or has just finished."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise BusyError(f"blob {path.name.partition('.')[0]} is being received already")
