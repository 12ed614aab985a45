"""Where logs and blobs come from: a node or static mirror over HTTP, or a folder. A bundle is one too.

Everything from outside is bounded in size and time. A peer that sends too much is cut off; one that is silent, or so slow
that it can only be a trap, counts as unreachable. So does one that is only just fast enough, once its time is over: the
others are waiting, and what is missing comes the next time.
"""

import http.client
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from io import BufferedReader, BytesIO, RawIOBase
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from concord.config import Settings
from concord.errors import LaterError, MalformedError, MissingError, TooLargeError, UnreachableError
from concord.tlog.spelling import decimal
from concord.tlog.tile import Place

PIECE = 1 << 16  # bytes read at a time
FILES_MAX = 250_000  # names that are looked at in a folder
SENT = 1 << 12  # bytes sent at a time, each within the time that a peer may be silent
_CONTENT = re.compile(r"peer/content/([0-9a-f]{64})/([0-9a-f]{64})(?:\.map)?\Z")
LATER_MAX = 3600  # seconds that a peer can ask us to wait
GRACE = 2  # times the silence that a peer may keep: what an answer may take whatever its size


class Source(Protocol):
    """Somebody to pull from. `name` is for messages; `ahead` is how many things may be asked for at once."""

    name: str
    ahead: int

    def get(self, path: str, most: int) -> bytes:
        """The bytes at `path`, at most `most`. MissingError, TooLargeError or UnreachableError if they cannot be had."""

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        """The bytes at `path` from `start` on, in pieces. The errors are those of `get`."""

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of what is at `path`, in pieces; fewer if it ends before. The errors are those of `get`."""


class Counted:
    """A source whose bytes are counted as they come: `count` is called with the length of each piece, and may wait."""

    def __init__(self, source: Source, count: Callable[[int], None]) -> None:
        self.name, self.ahead = source.name, source.ahead
        self._source, self._count = source, count

    def get(self, path: str, most: int) -> bytes:
        raw = self._source.get(path, most)
        self._count(len(raw))
        return raw

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self._counted(self._source.stream(path, start))

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        return self._counted(self._source.part(path, start, stop))

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._count(len(piece))
            yield piece


@runtime_checkable
class Listener(Source, Protocol):
    """A source to which something can be said in return; a file or folder is none."""

    def post(self, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        """Send `body` to `path`: the status and at most `most` bytes of answer. UnreachableError if nobody takes it."""


@runtime_checkable
class Carrier(Source, Protocol):
    """A source that knows which files of repos it has; a node or web server does not tell."""

    def contents(self) -> Iterator[tuple[str, str]]:
        """The root of the repo and the SHA-256 of each file, in no order. Whether it is true is found out by whoever fetches."""

    @property
    def size(self) -> int:
        """How many bytes all of it takes, for progress."""


def content_of(path: str) -> tuple[str, str] | None:
    """Of which repo (its root) and file (SHA-256) the bytes or the map are at `path`; None if it is another path."""
    found = _CONTENT.match(path)
    return (found[1], found[2]) if found else None


def tile_path(log: str, place: Place) -> str:
    """Where a tile of the log in the folder `log` stands."""
    return f"peer/logs/{log}/{place}"


class HttpSource:
    """A node, or a static copy of one, at an address.

    Several things are asked for at once, because over a long line the way there and back takes longer than the bytes. A plain web
    server may know no ranges, and send all of a file for any part of it: then what comes is read on part by part, so that it comes
    about once for each that is asked for at a time.
    """

    ahead = 4

    def __init__(self, url: str, settings: Settings, patience: int | None = None) -> None:
        """`patience`: seconds until all that is asked of this source must be over; None: as the settings say."""
        self.name = url
        self.skew: int | None = None
        self._url = url.rstrip("/")
        self._sends_all, self._whole, self._turn = False, list[_Whole](), Lock()
        self._rate = settings.pull_rate
        self._grace = GRACE * settings.pull_timeout
        self._end = time.monotonic() + (settings.pull_patience if patience is None else patience)
        limits = urllib3.Timeout(connect=settings.pull_timeout, read=settings.pull_timeout)
        self._pool = urllib3.PoolManager(timeout=limits, retries=False, maxsize=self.ahead, blocksize=SENT)
        self._pool.pool_classes_by_scheme = _pools(self._measure)

    def get(self, path: str, most: int) -> bytes:
        return b"".join(self._read(path, most=most))

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self._read(path, start=start)

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        if self._sends_all:
            return self._go_on(path, start, stop)
        return until(stop - start, self._read(path, start=start, stop=stop))

    def _go_on(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """The same, of a server that knows no ranges: an answer of which a part was read is read on."""
        whole = self._begun(path, start) or _Whole(path, self._read(path))
        try:
            yield from whole.read(start, stop)
        except UnreachableError:
            whole.broken = True
            raise
        finally:  # also when whoever reads has enough
            with self._turn:
                self._whole = [*self._whole, *([] if whole.broken else [whole])][-self.ahead :]  # what falls out is closed

    def _begun(self, path: str, start: int) -> "_Whole | None":
        """The answer that is nearest to the byte `start` of what is at `path`, now ours alone."""
        with self._turn:
            before = [whole for whole in self._whole if whole.path == path and whole.place <= start]
            found = max(before, key=lambda whole: whole.place, default=None)
            if found is not None:
                self._whole.remove(found)
            return found

    def post(self, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        length = {"Content-Length": str(len(body))}
        with self._request("POST", path, length, BytesIO(body)) as answer:
            return answer.status, b"".join(self._bounded(answer, most))

    def _read(self, path: str, most: int | None = None, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        ranged = bool(start) or stop is not None
        wanted = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if ranged else {}
        with self._request("GET", path, wanted) as answer:
            self._note_clock(answer.headers.get("Date"))
            if answer.status in (404, 410, 451):
                raise MissingError(f"{self.name} has no {path}")
            if answer.status in (429, 503) and (wait := _later(answer.headers.get("Retry-After"))):
                raise LaterError(f"{self.name} gives others their turn first, and asks to be asked again in {wait} seconds", wait)
            if answer.status not in (200, 206 if ranged else 200):
                raise UnreachableError(f"{self.name} answers {answer.status} for {path}")
            self._sends_all |= ranged and answer.status == 200
            pieces = self._bounded(answer, most)
            yield from pieces if answer.status == 206 else _after(start, pieces)

    def _request(self, method: str, path: str, headers: dict[str, str], body: BytesIO | None = None) -> urllib3.BaseHTTPResponse:
        url = f"{self._url}/{quote(path)}"
        headers["User-Agent"] = "concord"
        try:
            return self._pool.request(
                method, url, body=body, headers=headers, preload_content=False, redirect=False, decode_content=False
            )
        except (HTTPError, OSError) as e:
            raise UnreachableError(f"{self.name} cannot be reached: {_cause(e)}") from e

    def _bounded(self, answer: urllib3.BaseHTTPResponse, most: int | None) -> Iterator[bytes]:
        """The body in pieces, no longer than `most` bytes."""
        count = 0
        try:
            while piece := answer.read1(PIECE):
                count += len(piece)
                if most is not None and count > most:
                    raise TooLargeError(f"{self.name} sends more than the {most} bytes that there can be")
                yield piece
        except (HTTPError, OSError) as e:
            raise UnreachableError(f"the line to {self.name} broke after {count} bytes: {_cause(e)}") from e

    def _measure(self, began: float, count: int) -> None:
        """UnreachableError if `count` bytes of an answer that `began` to be waited for are too few by now."""
        now = time.monotonic()
        if now - began > self._grace + count / self._rate:
            raise UnreachableError(f"{self.name} sends less than {self._rate} bytes a second")
        if now > self._end:
            raise UnreachableError(f"{self.name} was not done when its time was over; the rest comes the next time")

    def _note_clock(self, date: str | None) -> None:
        """How many seconds the other's clock is ahead of ours."""
        if date and self.skew is None:
            try:
                self.skew = round(parsedate_to_datetime(date).timestamp() - time.time())
            except ValueError:
                self.skew = None


class _Measured(RawIOBase):
    """What comes over a line, head and body, chunks and trailers: `measure(began, count)` is asked at each step."""

    def __init__(self, line: RawIOBase, measure: Callable[[float, int], None]) -> None:
        self._line = line
        self._measure = measure
        self._began = time.monotonic()
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._measure(self._began, self._count)
        count = self._line.readinto(buffer)
        self._count += count or 0
        return count

    def close(self) -> None:
        self._line.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is measured while it is read."""

    def __init__(self, measure: Callable[[float, int], None], sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = BufferedReader(_Measured(self.fp.detach(), measure))


def _pools(measure: Callable[[float, int], None]) -> dict[str, type[HTTPConnectionPool]]:
    """The connection pools of one source, by scheme. Their answers are measured."""
    answer = staticmethod(partial(_Answer, measure))

    class Plain(HTTPConnectionPool):
        class ConnectionCls(HTTPConnection):
            response_class = answer  # type: ignore[assignment]  # whatever makes one will do

    class Secure(HTTPSConnectionPool):
        class ConnectionCls(HTTPSConnection):
            response_class = answer  # type: ignore[assignment]

    return {"http": Plain, "https": Secure}


class _Whole:
    """All that is at a path, coming in pieces, of which some were read: up to `place`."""

    def __init__(self, path: str, pieces: Iterator[bytes]) -> None:
        self.path, self.place, self.broken = path, 0, False
        self._pieces, self._rest = pieces, b""

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop), what lies before them passed over."""
        while self.place < stop and (piece := self._rest or next(self._pieces, b"")):
            wanted, self._rest = piece[: stop - self.place], piece[stop - self.place :]
            first = start - self.place
            self.place += len(wanted)
            if len(wanted) > first:
                yield wanted[max(first, 0) :]


def until(length: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The first `length` bytes of `pieces`; no more of them is asked for."""
    for piece in pieces if length else ():
        yield piece[:length]
        length -= len(piece)
        if length <= 0:
            return


def _after(start: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """`pieces` without their first `start` bytes: what a server that knows no ranges sends again."""
    for piece in pieces:
        yield piece[start:]
        start = max(start - len(piece), 0)


class FolderSource:
    """A folder that a bundle was unzipped into, such as a stick."""

    ahead = 1

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self._root = root.resolve()

    def get(self, path: str, most: int) -> bytes:
        with self._open(path) as file:
            raw = file.read(most + 1)
        if len(raw) > most:
            raise TooLargeError(f"{self.name}: {path} is larger than the {most} bytes that there can be")
        return raw

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        with self._open(path) as file:
            try:
                file.seek(start)
                while piece := file.read(PIECE):
                    yield piece
            except OSError as e:
                raise UnreachableError(f"{self.name}: {path} cannot be read any more: {e.strerror}") from e

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        return until(stop - start, self.stream(path, start))

    def contents(self) -> Iterator[tuple[str, str]]:
        """What lies there under the names that it would have, at most FILES_MAX of it."""
        folder = self._root / "peer" / "content"
        paths = (f"peer/content/{root}/{name}" for root in _names(folder) for name in _names(folder / root))
        return filter(None, map(content_of, islice(paths, FILES_MAX)))

    @property
    def size(self) -> int:
        roots = [self._root / "peer" / "content" / name for name in _names(self._root / "peer" / "content")]
        paths = (folder / name for root in roots for folder in (root, root / "xorbs") for name in _names(folder))
        return sum(path.stat().st_size for path in islice(paths, FILES_MAX) if path.is_file())

    def _open(self, path: str) -> BufferedReader:
        target = (self._root / path).resolve()
        if not target.is_relative_to(self._root):
            raise MalformedError(f"{self.name}: {path} leads out of the folder")
        if not target.is_file():
            raise MissingError(f"{self.name} has no {path}")
        try:
            return target.open("rb")
        except OSError as e:
            raise MissingError(f"{self.name} has no {path}") from e


def _names(folder: Path) -> Iterator[str]:
    """The names in a folder, in no order; none if it is no folder."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except OSError:
        return


def _later(header: str | None) -> int:
    """The seconds that a Retry-After header asks for, at most LATER_MAX; 0 if it says none (RFC 9110, section 10.2.3).

    >>> _later("7"), _later("99999999999"), _later("-1"), _later("٣"), _later(None), _later("Fri, 31 Dec 1999 23:59:59 GMT")
    (7, 3600, 0, 0, 0, 1)
    """
    if header is None:
        return 0
    with suppress(MalformedError):
        return min(max(decimal(header.strip()[:16]), 1), LATER_MAX)
    with suppress(ValueError, OverflowError):
        return min(max(round(parsedate_to_datetime(header).timestamp() - time.time()), 1), LATER_MAX)
    return 0


def _cause(error: Exception) -> str:
    """The innermost reason, in the words of whoever raised it."""
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2] or type(reason).__name__
