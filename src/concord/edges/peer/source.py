"""Where logs and blobs come from: a node or static mirror over HTTP, or a folder. A bundle is one too.

Everything from outside is bounded in size and time. A peer that sends too much is cut off; one that is silent, or so slow
that it can only be a trap, counts as unreachable.
"""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from io import BufferedReader
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from concord.errors import MalformedError, MissingError, TooLargeError, UnreachableError
from concord.tlog.tile import Place

PIECE = 1 << 16  # bytes read at a time
GRACE = 60  # seconds that an answer may take whatever its size


class Source(Protocol):
    """Somebody to pull from. `name` is for messages."""

    name: str

    def get(self, path: str, most: int) -> bytes:
        """The bytes at `path`, at most `most`. MissingError, TooLargeError or UnreachableError if they cannot be had."""

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        """The bytes at `path` from `start` on, in pieces. The errors are those of `get`."""

    def post(self, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        """Send `body` to `path`: the status and at most `most` bytes of answer. UnreachableError if nobody takes it."""


def tile_path(log: str, place: Place) -> str:
    """Where a tile of the log in the folder `log` stands."""
    return f"peer/logs/{log}/{place}"


class HttpSource:
    """A node, or a static copy of one, at an address."""

    def __init__(self, url: str, timeout: int, rate: int) -> None:
        """`timeout`: seconds of silence; `rate`: bytes a second below which it is no line but a trap."""
        self.name = url
        self.skew: int | None = None
        self._url = url.rstrip("/")
        self._rate = rate
        limits = urllib3.Timeout(connect=timeout, read=timeout)
        self._pool = urllib3.PoolManager(timeout=limits, retries=False, headers={"User-Agent": "concord"}, maxsize=2)

    def get(self, path: str, most: int) -> bytes:
        return b"".join(self._read("GET", path, most=most))

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self._read("GET", path, start=start)

    def post(self, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        try:
            answer = self._pool.request("POST", f"{self._url}/{quote(path)}", body=body, preload_content=False, redirect=False)
        except HTTPError as e:
            raise UnreachableError(f"{self.name} cannot be reached: {_cause(e)}") from e
        with answer:
            return answer.status, b"".join(self._bounded(answer, most))

    def _read(self, method: str, path: str, most: int | None = None, start: int = 0) -> Iterator[bytes]:
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            answer = self._pool.request(
                method, f"{self._url}/{quote(path)}", headers=headers, preload_content=False, redirect=False, decode_content=False
            )
        except HTTPError as e:
            raise UnreachableError(f"{self.name} cannot be reached: {_cause(e)}") from e
        with answer:
            self._note_clock(answer.headers.get("Date"))
            if answer.status in (404, 410, 451):
                raise MissingError(f"{self.name} has no {path}")
            if answer.status != (206 if start else 200):
                raise UnreachableError(f"{self.name} answers {answer.status} for {path}")
            yield from self._bounded(answer, most)

    def _bounded(self, answer: urllib3.BaseHTTPResponse, most: int | None) -> Iterator[bytes]:
        """The body in pieces, no longer than `most` bytes and no slower than the rate."""
        began, count = time.monotonic(), 0
        try:
            while piece := answer.read1(PIECE):
                count += len(piece)
                if most is not None and count > most:
                    raise TooLargeError(f"{self.name} sends more than the {most} bytes that there can be")
                if time.monotonic() - began > GRACE + count / self._rate:
                    raise UnreachableError(f"{self.name} sends less than {self._rate} bytes a second")
                yield piece
        except (HTTPError, OSError) as e:
            raise UnreachableError(f"the line to {self.name} broke after {count} bytes: {_cause(e)}") from e

    def _note_clock(self, date: str | None) -> None:
        """How many seconds the other's clock is ahead of ours."""
        if date and self.skew is None:
            try:
                self.skew = round(parsedate_to_datetime(date).timestamp() - time.time())
            except ValueError:
                self.skew = None


class FolderSource:
    """A folder that a bundle was unzipped into, such as a stick."""

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
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece

    def post(self, path: str, body: bytes, most: int) -> tuple[int, bytes]:  # noqa: ARG002  nobody is there to take it
        raise UnreachableError(f"{self.name} is a folder, and answers nothing")

    def _open(self, path: str) -> BufferedReader:
        target = (self._root / path).resolve()
        if not target.is_relative_to(self._root):
            raise MalformedError(f"{self.name}: {path} leads out of the folder")
        try:
            return target.open("rb")
        except OSError as e:
            raise MissingError(f"{self.name} has no {path}") from e


def _cause(error: Exception) -> str:
    """The innermost reason, in the words of whoever raised it."""
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2] or type(reason).__name__
