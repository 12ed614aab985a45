"""Fetching a file whole, as one stream: how small files come, of which nobody has a map."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from concord.edges.peer import tries
from concord.edges.peer.content import file_path
from concord.edges.peer.plan import Wanted
from concord.edges.peer.source import Source
from concord.errors import BusyError, ConcordError, ForgedError, MalformedError, MissingError, UnreachableError
from concord.ledger.blobs import Blobs


def fetch_whole(blobs: Blobs, wanted: Wanted, sources: Sequence[Source]) -> None:
    """Fetch a file whole, from where an earlier try was cut, into a blob. The errors are those of `Fetch.run`."""
    errors = list[ConcordError]()
    for source in sources:
        try:
            tries.again(partial(_receive, blobs, wanted, source))
        except (UnreachableError, MissingError, ForgedError, MalformedError) as e:
            errors.append(e)
        else:
            return
    raise tries.worst(errors, wanted)


def _receive(blobs: Blobs, wanted: Wanted, source: Source) -> None:
    path = file_path(wanted.root, wanted.sha256)
    try:
        receive(blobs, wanted.sha256, wanted.size, lambda start: source.part(path, start, wanted.size))
    except BusyError:
        time.sleep(tries.STEP)
        raise UnreachableError(f"{wanted.sha256} is being received already") from None
    if blobs.received(wanted.sha256, wanted.size) or not blobs.have(wanted.sha256):
        raise UnreachableError(f"{source.name} sent less than it has")


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
