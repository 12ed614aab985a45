"""What a node says of itself to peers: its organisation, and the head of each log with all cosignatures.

>>> from concord.tlog.note import parse
>>> raw = write(Heads("a" * 64, ()))
>>> read(raw).organisation == "a" * 64
True
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from concord.errors import MalformedError, TooLargeError
from concord.ledger.tree import Head, read_head
from concord.node import Node

FORMAT = "concord-heads/1"
HEADS_SIZE_MAX = 16 << 20  # bytes
HEADS_MAX = 2000


class _Wire(msgspec.Struct, forbid_unknown_fields=False):
    """The JSON form. A newer version may say more."""

    format: str
    organisation: Annotated[str, Meta(max_length=64)]
    heads: Annotated[list[str], Meta(max_length=HEADS_MAX)]


class Heads(msgspec.Struct, frozen=True):
    """The organisation (digest), and heads; of one log there may be two, the newest and the largest with a quorum."""

    organisation: str
    heads: tuple[Head, ...]


def write(heads: Heads) -> bytes:
    """The JSON form."""
    return msgspec.json.encode(_Wire(FORMAT, heads.organisation, [bytes(head.note).decode() for head in heads.heads]))


def read(raw: bytes) -> Heads:
    """The heads in a peer's answer. MalformedError if one of them is none; nothing is verified."""
    if len(raw) > HEADS_SIZE_MAX:
        raise TooLargeError(f"{len(raw)} bytes of heads, over {HEADS_SIZE_MAX}")
    try:
        wire = msgspec.json.decode(raw, type=_Wire)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"not a list of heads: {e}") from e
    if wire.format != FORMAT:
        raise MalformedError(f"a list of heads in the format {wire.format!r}, not {FORMAT}")
    return Heads(wire.organisation, tuple(read_head(text.encode()) for text in wire.heads))


def of(node: Node) -> Heads:
    """The heads of all logs held by `node`: the newest, and the largest with a quorum; of a disputed log only the latter."""
    disputed = node.disputes()
    found = []
    for origin in node.holdings.origins():
        newest, good = node.holdings.tree(origin).head, node.holdings.cosigned(origin)
        if newest is not None and origin not in disputed:
            found.append(newest)
        if good is not None and (origin in disputed or newest is None or good.checkpoint != newest.checkpoint):
            found.append(good)
    return Heads(node.organisation, tuple(found))
