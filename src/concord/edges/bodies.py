"""The body of a request, up to a limit: nobody may fill this machine's memory or disk by sending more."""

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from concord.errors import SlowError, TooLargeError


async def pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body as it comes. TooLargeError once it is over `most` bytes; SlowError if the asker goes away before its end."""
    count = 0
    try:
        async for piece in request.stream():
            count += len(piece)
            if count > most:
                raise TooLargeError(f"more than {most} bytes")
            yield piece
    except ClientDisconnect as e:
        raise SlowError(f"whoever asked went away after {count} bytes") from e


async def whole(request: Request, most: int) -> bytes:
    """All of it. TooLargeError over `most` bytes."""
    return b"".join([piece async for piece in pieces(request, most)])
