"""Bytes out of a file, whole or in part (RFC 9110, section 14), in pieces of 1 MiB.

>>> parse_range("bytes=2-3", 10), parse_range("bytes=-4", 10), parse_range("bytes=4-", 10)
((2, 4), (6, 10), (4, 10))
>>> parse_range("bytes=0-1,3-4", 10) is None
True
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

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
    read: Callable[[int, int], Iterator[bytes]],
    etag: str,
    media: str = "application/octet-stream",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The answer to a GET or HEAD for `size` bytes that `read(start, stop)` gives: 200, 206, 304 or 416.

    `more` are further headers, which overrule those that stand here.
    """
    headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", "Cache-Control": "public, max-age=31536000, immutable", **more}
    if f'"{etag}"' in request.headers.get("if-none-match", ""):
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
    return StreamingResponse(body, 206 if part else 200, headers, media_type=media)
