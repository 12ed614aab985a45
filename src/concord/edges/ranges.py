"""Bytes out of a file, whole or in part (RFC 9110, section 14), in pieces of 1 MiB.

>>> parse_range("bytes=2-3", 10), parse_range("bytes=-4", 10), parse_range("bytes=4-", 10)
((2, 4), (6, 10), (4, 10))
>>> parse_range("bytes=0-1,3-4", 10) is None
True
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from concord.errors import MalformedError
from concord.tlog.spelling import decimal


class UnsatisfiableError(MalformedError):
    """A range that begins beyond the end. `size` is in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the range begins beyond the {size} bytes that there are")
        self.size = size


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, stop) of the one range in a Range header, or None if all is to be sent.

    What is malformed, in another unit, or more than one range is passed over, as the standard allows. UnsatisfiableError for a
    range beyond the end.
    """
    if header is None or not header.startswith("bytes=") or "," in header:
        return None
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    try:
        if not dash or (not first and not last):
            return None
        if not first:
            length = decimal(last)
            start, stop = max(size - length, 0), size
        else:
            start, stop = decimal(first), min(decimal(last) + 1, size) if last else size
    except MalformedError:
        return None
    if start >= size:
        raise UnsatisfiableError(size)
    return (start, stop) if start < stop else None


def ranged(
    request: Request,
    size: int,
    read: Callable[[int, int], Iterator[bytes | bytearray]],
    etag: str,
    media: str = "application/octet-stream",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The answer to a GET or HEAD for `size` bytes that `read(start, stop)` gives: 200, 206, 304 or 416.

    `more` are further headers, which overrule those that stand here. A piece is sent before the next is asked for, so they may all
    be one, filled anew.
    """
    headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", "Cache-Control": "public, max-age=31536000, immutable", **more}
    known = request.headers.get("if-none-match", "")
    if known == "*" or f'"{etag}"' in known:
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range")
    if request.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
        wanted = None
    try:
        part = parse_range(wanted, size)
    except UnsatisfiableError as e:
        return Response(status_code=416, headers={**more, "Content-Range": f"bytes */{e.size}"})
    start, stop = part or (0, size)
    headers["Content-Length"] = str(stop - start)
    if part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    body = iter(()) if request.method == "HEAD" else read(start, stop)
    return Flow(body, 206 if part else 200, headers, media)


class Flow(Response):
    """An answer whose body comes in pieces, each read when the one before was taken, until the asker goes away.

    They are read in a thread, but for what need not be waited for: to change threads costs a quarter of what sending a piece does.
    What comes from this disk has threads of its own, so that what comes over a line, and is waited for, holds up none of it.
    An error that comes before the first piece is still told as one; after it, the line is cut.
    """

    def __init__(self, pieces: Iterator[bytes | bytearray], status: int, headers: Mapping[str, str], media: str) -> None:
        self._pieces = pieces
        self.status_code, self.media_type, self.background = status, media, None
        self._at_once: Callable[[], bytes | bytearray | None] | None = getattr(pieces, "at_once", None)
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's interface
        """Send it."""
        ours = partial(asyncio.get_running_loop().run_in_executor, None, next, self._pieces, b"")
        others = partial(run_in_threadpool, next, self._pieces, b"")
        thread: Callable[[], Awaitable[bytes | bytearray]] = ours if self._at_once else others
        piece = await thread()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.ensure_future(_gone(receive))
        try:
            while piece and not gone.done():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = (self._at_once() if self._at_once else None) or await thread()
        finally:
            gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    """Return once the asker has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
