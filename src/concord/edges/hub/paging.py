"""Lists in pages: each page names the next in its `Link` header, by an absolute address that clients follow word for word.

The address carries a *cursor*: where the last entry of the page stands in the order of the list. So a list that changes while it is
read repeats nothing, and misses nothing that stays where it was. A cursor is good for the list that it was given for.

>>> cursor = write("models?sort=likes", (-3, "ke", "words"))
>>> read("models?sort=likes", cursor)
(-3, 'ke', 'words')
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from concord.edges.hub.asking import Ask
from concord.errors import MalformedError
from concord.tlog.spelling import decimal

CURSOR_MAX = 4000  # characters
Each = TypeVar("Each")
Place = tuple[int | str, ...]  # where an entry stands in the order of a list


def page(ask: Ask, found: Sequence[Each], most: int, place: Callable[[Each], Place]) -> tuple[Sequence[Each], dict[str, str]]:
    """The part of `found` that the query asks for, of at most `most`, and the header that leads on.

    `found` is in the order of `place`, and no two stand in one.
    """
    length, last = limit(ask, most), after(ask)
    if last is not None and found and list(map(type, last)) != list(map(type, place(found[0]))):
        raise _strange()
    start = bisect_right(found, last, key=place) if last is not None else 0
    part = found[start : start + length]
    return part, following(ask, place(part[-1])) if start + length < len(found) else {}


def limit(ask: Ask, most: int) -> int:
    """How many entries are asked for, at most `most`."""
    return min(decimal(ask.query("limit") or str(most)) or most, most)


def after(ask: Ask) -> Place | None:
    """After which place a list is to go on; None: from its beginning. MalformedError if the cursor is none of this list."""
    cursor = ask.query("cursor")
    return None if cursor is None else read(_list(ask), cursor)


def following(ask: Ask, last: Place) -> dict[str, str]:
    """The header for a list that goes on after the place `last`."""
    query = [(name, value) for name, value in ask.request.query_params.multi_items() if name != "cursor"]
    path = ask.request.scope["raw_path"].decode("latin-1")
    return {"Link": f'<{ask.base}{path}?{urlencode([*query, ("cursor", write(_list(ask), last))])}>; rel="next"'}


def write(name: str, last: Place) -> str:
    """The cursor that lets the list `name` go on after a place."""
    spelled: bytes = urlsafe_b64encode(msgspec.json.encode((_mark(name), *last)))
    return spelled.decode().rstrip("=")


def read(name: str, cursor: str) -> Place:
    """The place that a cursor of the list `name` says. MalformedError if it is none."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)) if len(cursor) <= CURSOR_MAX else b""
        mark, *last = msgspec.json.decode(raw, type=tuple[int | str, ...])
    except (ValueError, msgspec.DecodeError) as e:
        raise _strange() from e
    if mark != _mark(name) or write(name, tuple(last)) != cursor:
        raise _strange()
    return tuple(last)


def _list(ask: Ask) -> str:
    """A name for the list that is asked for: its path, and all of the query but how much of it and from where."""
    asked = sorted(pair for pair in ask.request.query_params.multi_items() if pair[0] not in ("cursor", "limit"))
    return f"{ask.request.scope['raw_path'].decode('latin-1')}?{urlencode(asked)}"


def _mark(name: str) -> str:
    """What tells the cursors of one list from those of another."""
    return sha256(name.encode()).hexdigest()[:12]


def _strange() -> MalformedError:
    return MalformedError("this cursor is of another list, or of none: ask for the list from its beginning")
