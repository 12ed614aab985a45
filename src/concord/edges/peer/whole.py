"""Fetching a file whole, as one stream: how small files come, of which nobody has a map."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from concord.edges.peer import tries
from concord.edges.peer.content import file_path
from concord.edges.peer.plan import Wanted
from concord.edges.peer.source import Source
from concord.edges.peer.units import Sender
from concord.errors import BusyError, ForgedError, UnreachableError
from concord.ledger.blobs import Blobs


def fetch_whole(blobs: Blobs, wanted: Wanted, sources: Sequence[Source], *, beside: bool = False) -> None:
    """Fetch a file whole, from where an earlier try was cut, into a blob; `beside` another that is slow, from its beginning.

    The errors are those of `Fetch.run`.
    """

    def of(sender: Sender, *, brisk: bool) -> None:
        tries.again(partial(_receive_beside if beside else _receive, blobs, wanted, sender, brisk=brisk))

    tries.of_any([Sender(source) for source in sources], of, wanted)


def _receive(blobs: Blobs, wanted: Wanted, sender: Sender, *, brisk: bool) -> None:
    try:
        receive(blobs, wanted.sha256, wanted.size, lambda start: _bytes(wanted, sender, start, brisk=brisk))
    except BusyError:
        time.sleep(tries.STEP)
        raise UnreachableError(f"{wanted.sha256} is being received already") from None
    if blobs.received(wanted.sha256, wanted.size) or not blobs.have(wanted.sha256):
        raise UnreachableError(f"{sender.name} sent less than it has")


def _receive_beside(blobs: Blobs, wanted: Wanted, sender: Sender, *, brisk: bool) -> None:
    def whole() -> Iterator[bytes]:
        count = 0
        for piece in _bytes(wanted, sender, 0, brisk=brisk):
            count += len(piece)
            yield piece
        if count < wanted.size:
            raise UnreachableError(f"{sender.name} sent less than it has")

    blobs.put(whole(), wanted.size, wanted.sha256)


def _bytes(wanted: Wanted, sender: Sender, start: int, *, brisk: bool) -> Iterator[bytes]:
    return tries.measured(sender.source.part(file_path(wanted.root, wanted.sha256), start, wanted.size), sender, brisk=brisk)


def receive(blobs: Blobs, digest: str, size: int, ask: Callable[[int], Iterator[bytes]]) -> None:
    """Receive a blob from where an earlier try was cut; from its beginning if what came then was something else.

    `ask` has its bytes come from a place on. ForgedError if they are not it; BusyError if somebody else receives it.
    """
    start = blobs.received(digest, size)
    try:
        blobs.receive(digest, ask(start), size)
    except ForgedError:
        if not start:
            raise
        blobs.receive(digest, ask(0), size)
