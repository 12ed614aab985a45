"""Records: browse, filter, look at one with its proof."""

import json
from calendar import timegm
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from urllib.parse import urlencode

from starlette.responses import PlainTextResponse, Response

from concord import reading
from concord.edges.ranges import ranged
from concord.edges.web.names import spell
from concord.edges.web.page import Page
from concord.edges.web.told import parts_of
from concord.errors import MalformedError, MissingError
from concord.ledger.view import State
from concord.reading import Filter, Found, Place
from concord.tlog.note import Note
from concord.tlog.spelling import decimal

PER_PAGE = 30
WHOLE_MAX = 12 * 1024  # bytes of an entry that its page shows field by field; a larger one is linked
RAW_MAX = 4 * 1024  # bytes of an entry that its page shows as it stands
_DAY = 86_400


@dataclass(frozen=True)
class Line:
    """A record in a list. `again`: it was said in the same minute as the one above, so that its time need not be repeated."""

    found: Found
    good: bool
    again: bool


Days = list[tuple[int, list[Line]]]


def by_day(page: Page, found: Iterable[Found]) -> Days:
    """Records as a list shows them: under the day on which each was said (POSIX seconds of its beginning; 0: undated)."""
    return [(day * _DAY, _lines(page, said)) for day, said in groupby(found, key=lambda one: one.at // _DAY)]


def listing(page: Page) -> Response:
    """The newest records, of everybody or one member, of every type or one, up to the end of a day."""
    asked = page.request.query_params
    origin = page.origin_of(asked["member"]) if asked.get("member") else None
    kind, until = asked.get("type") or None, asked.get("until", "")
    start = _after(page, asked.get("after")) or _end_of(until)
    found = reading.list_records(page.node, Filter(origin, kind), PER_PAGE + 1, start)
    more, found = len(found) > PER_PAGE, found[:PER_PAGE]
    counts = reading.count_records(page.node)
    chosen = {"member": page.log_name(origin) if origin else "", "type": kind or "", "until": until}
    return page.render(
        "records.html",
        days=by_day(page, found),
        older=urlencode(chosen | {"after": _write_after(page, found[-1])}) if more else "",
        begun="after" in asked,
        members=sorted((page.log_name(other), page.who(other)) for other in page.node.holdings.origins()),
        types=sorted(counts.items()),
        chosen=chosen,
        total=sum(counts.values()),
        today=datetime.fromtimestamp(page.now, UTC).date().isoformat(),
    )


def one(page: Page) -> Response:
    """One record: what it says, its bytes, its proof."""
    found = _find(page)
    node = page.node
    raw = node.holdings.tree(found.origin).entry(found.index)
    receipt = reading.prove(node, found.origin, found.index)
    readable = found.state in (State.APPLIED, State.WAITING)
    return page.render(
        "record.html",
        found=found,
        log=page.log_name(found.origin),
        size=_size(receipt.checkpoint),
        total=node.holdings.tree(found.origin).size,
        cosigned=cosignatures(receipt.checkpoint, found.origin),
        good=reading.well_cosigned(node, found),
        hashes=[part.hex() for part in receipt.hashes],
        parts_=parts_of(node.read(raw)) if readable and len(raw) <= WHOLE_MAX else [],
        large=readable and len(raw) > WHOLE_MAX,
        refs=list(node.view.codec.refs(node.read(raw))) if readable else [],
        wrong=reading.why_unreadable(node, found) if found.state is State.UNREADABLE else "",
        entry=_pretty(raw) if len(raw) <= RAW_MAX else "",
        bytes=len(raw),
        blobs=reading.blobs_of(node, found),
    )


def entry(page: Page) -> Response:
    """The entry as it stands in the log, byte for byte."""
    found = _find(page)
    return PlainTextResponse(page.node.holdings.tree(found.origin).entry(found.index))


def receipt(page: Page) -> Response:
    """The receipt, to download."""
    found = _find(page)
    name = f"{page.log_name(found.origin)}-{found.index}.tlog-proof"
    raw = bytes(reading.prove(page.node, found.origin, found.index))
    return PlainTextResponse(raw, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def by_leaf(page: Page) -> Response:
    """To the record with a leaf hash."""
    found = reading.find_leaf(page.node, page.request.path_params["leaf"])
    return page.redirect(f"/records/{page.log_name(found.origin)}/{found.index}")


def blob(page: Page) -> Response:
    """The bytes of a blob that a record names and that is not personal."""
    digest = page.request.path_params["digest"]
    named = reading.public_blob(page.node, digest)
    answer = ranged(page.request, page.node.blobs.size(digest), partial(page.node.blob, digest), digest)
    answer.headers["Content-Disposition"] = f'attachment; filename="{named}"'
    return answer


def cosignatures(signed: Note, origin: str) -> list[tuple[str, int]]:
    """Which members cosigned the checkpoint of `origin`, and when (POSIX seconds)."""
    lines = [line for line in signed.signatures if line.name != origin]
    return [(line.name.removesuffix("/witness"), int.from_bytes(line.raw[:8], "big")) for line in lines]


def _lines(page: Page, said: Iterable[Found]) -> list[Line]:
    lines: list[Line] = []
    for found in said:
        again = bool(lines) and lines[-1].found.at // 60 == found.at // 60
        lines.append(Line(found, reading.well_cosigned(page.node, found), again))
    return lines


def _find(page: Page) -> Found:
    origin = page.origin_of(page.request.path_params["member"])
    try:
        index = decimal(page.request.path_params["index"])
    except MalformedError as e:
        raise MissingError("there is nothing at this address") from e
    return reading.find_record(page.node, origin, index)


def _after(page: Page, text: str | None) -> Place | None:
    if not text:
        return None
    at, _, rest = text.partition(".")
    index, _, log = rest.partition(".")
    return Place(decimal(at), page.origin_of(log), decimal(index))


def _write_after(page: Page, found: Found) -> str:
    return f"{found.at}.{found.index}.{page.log_name(found.origin)}"


def _end_of(day: str) -> Place | None:
    """Where what was said up to the end of `day` (YYYY-MM-DD) begins."""
    if not day:
        return None
    try:
        return Place(timegm(date.fromisoformat(day).timetuple()) + _DAY - 1, "", 0)
    except ValueError as e:
        raise MalformedError("a day is written as 2026-07-16") from e


def _size(signed: Note) -> int:
    return decimal(signed.text.split("\n")[1])


def _pretty(raw: bytes) -> str:
    """An entry with line breaks; what has no shape of its own is spelled out, so that nothing hides in it."""
    try:
        text = json.dumps(json.loads(raw), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        text = raw.decode(errors="replace")
    return spell(text)
