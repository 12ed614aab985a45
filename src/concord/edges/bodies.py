"""The body of a request, up to a limit: nobody may fill this machine's memory or disk by sending more."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import anyio.from_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from concord.errors import SlowError, TooLargeError
from concord.ledger.blobs import PIECE

Taken = TypeVar("Taken")


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


async def taken(request: Request, most: int, take: Callable[[Iterator[bytes]], Taken]) -> Taken:
    """What `take` makes of the body, which it gets in another thread as it comes, in pieces of 1 MiB at least but for the last."""
    body = _gathered(pieces(request, most))

    async def following() -> bytes:
        return await anext(body, b"")

    def feed() -> Iterator[bytes]:
        while piece := anyio.from_thread.run(following):
            yield piece

    return await run_in_threadpool(take, feed())


async def _gathered(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer pieces, because each costs a change of threads."""
    held: list[bytes] = []
    count = 0
    async for piece in body:
        held.append(piece)
        count += len(piece)
        if count >= PIECE:
            yield b"".join(held)
            held, count = [], 0
    if held:
        yield b"".join(held)
