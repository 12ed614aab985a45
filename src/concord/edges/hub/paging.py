"""Lists in pages: each page names the next in its `Link` header, by an absolute address that clients follow word for word."""

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlencode

from concord.edges.hub.asking import Ask
from concord.tlog.spelling import decimal

Each = TypeVar("Each")


def page(ask: Ask, found: Sequence[Each], most: int) -> tuple[Sequence[Each], dict[str, str]]:
    """The part of `found` that the query asks for, of at most `most`, and the header that leads on."""
    limit = min(decimal(ask.query("limit") or str(most)) or most, most)
    start = decimal(ask.query("cursor") or "0")
    part = found[start : start + limit]
    return part, following(ask, start + limit) if start + limit < len(found) else {}


def following(ask: Ask, cursor: int) -> dict[str, str]:
    """The header for a list that goes on at `cursor`."""
    query = [(name, value) for name, value in ask.request.query_params.multi_items() if name != "cursor"]
    path = ask.request.scope["raw_path"].decode("latin-1")
    return {"Link": f'<{ask.base}{path}?{urlencode([*query, ("cursor", str(cursor))])}>; rel="next"'}
