"""What a node lacks: how far it has each log, and which blobs it would take. A bundle is made against it."""

from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import select

from concord.errors import MalformedError, TooLargeError
from concord.ledger.record import Count, Digest, Origin
from concord.ledger.view import blobs as blob_table
from concord.node import Node

WANT_FORMAT = "concord-want/1"
WANT_SIZE_MAX = 4 << 20  # bytes


class Want(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node has: of each log so many entries. `blobs` are those that it lacks and would take."""

    organisation: Annotated[str, Meta(max_length=64)]
    sizes: Annotated[dict[Origin, Count], Meta(max_length=2000)]
    blobs: Annotated[list[Digest], Meta(max_length=20_000)] = []
    format: str = WANT_FORMAT


def want(node: Node) -> Want:
    """What `node` has and lacks."""
    sizes = {origin: node.holdings.tree(origin).size for origin in node.holdings.origins()}
    return Want(node.organisation, sizes, [digest for digest, _ in wanted_blobs(node)])


def read_want(raw: bytes) -> Want:
    """The want in a file. MalformedError if it is none."""
    if len(raw) > WANT_SIZE_MAX:
        raise TooLargeError(f"a want of {len(raw)} bytes, over {WANT_SIZE_MAX}")
    try:
        read = msgspec.json.decode(raw, type=Want)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"not what `concord bundle want` writes: {e}") from e
    if read.format != WANT_FORMAT:
        raise MalformedError(f"a want in the format {read.format!r}, not {WANT_FORMAT}")
    return read


def wanted_blobs(node: Node) -> list[tuple[str, int]]:
    """Digest and size of each blob that records name, that is neither here nor erased nor personal nor too large."""
    named = select(blob_table.c.blob, blob_table.c.size).where(blob_table.c.salted == 0).distinct()
    with node.reading() as db:
        rows = [(digest, size) for digest, size in db.execute(named.order_by(blob_table.c.size, blob_table.c.blob))]
    return [
        (digest, size)
        for digest, size in rows
        if size <= node.settings.blob_bytes and not node.blobs.have(digest) and node.blobs.erased(digest) is None
    ]
