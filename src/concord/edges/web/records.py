"""Records: browse, filter, look at one with its proof."""

import json
from typing import Any

from starlette.responses import PlainTextResponse, Response

from concord import reading
from concord.edges.ranges import ranged
from concord.edges.web.page import Page
from concord.errors import MalformedError, MissingError
from concord.ledger.record import fields
from concord.ledger.view import State
from concord.reading import Filter, Place
from concord.tlog.spelling import decimal

PER_PAGE = 30
HIDDEN = ("by", "org", "at", "type", "seals", "seen")


def listing(page: Page) -> Response:
    """The newest records, of everybody or one member, of every type or one."""
    asked = page.request.query_params
    origin = page.origin_of(asked["member"]) if asked.get("member") else None
    kind = asked.get("type") or None
    found = reading.list_records(page.node, Filter(origin, kind), PER_PAGE + 1, _after(page, asked.get("after")))
    more = len(found) > PER_PAGE
    found = found[:PER_PAGE]
    last = f"{found[-1].at}.{found[-1].index}.{page.log_name(found[-1].origin)}" if more else None
    counts = reading.count_records(page.node)
    return page.render(
        "records.html",
        found=[(one, reading.well_cosigned(page.node, one)) for one in found],
        after=last,
        members=[(page.log_name(other), other) for other in page.node.holdings.origins()],
        types=sorted(counts.items()),
        chosen=page.log_name(origin) if origin else "",
        kind=kind or "",
        total=sum(counts.values()),
    )


def one(page: Page) -> Response:
    """One record: what it says, its bytes, its proof."""
    found = _find(page)
    node = page.node
    entry = node.holdings.tree(found.origin).entry(found.index)
    receipt = reading.prove(node, found.origin, found.index)
    size = decimal(receipt.checkpoint.text.split("\n")[1])
    lines = [line for line in receipt.checkpoint.signatures if line.name != found.origin]
    cosigned = [(line.name.removesuffix("/witness"), int.from_bytes(line.raw[:8], "big")) for line in lines]
    readable = found.state in (State.APPLIED, State.WAITING)
    return page.render(
        "record.html",
        found=found,
        log=page.log_name(found.origin),
        size=size,
        total=node.holdings.tree(found.origin).size,
        cosigned=cosigned,
        good=reading.well_cosigned(node, found),
        hashes=len(receipt.hashes),
        told=_told(fields(node.read(entry))) if readable else [],
        refs=list(node.view.codec.refs(node.read(entry))) if readable else [],
        wrong=reading.why_unreadable(node, found) if found.state is State.UNREADABLE else "",
        entry=_pretty(entry),
        bytes=len(entry),
        blobs=reading.blobs_of(node, found),
    )


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
    blobs = page.node.blobs
    answer = ranged(page.request, blobs.size(digest), lambda start, stop: blobs.get(digest, start, stop), digest)
    answer.headers["Content-Disposition"] = f'attachment; filename="{named}"'
    return answer


def _find(page: Page) -> reading.Found:
    origin = page.origin_of(page.request.path_params["member"])
    return reading.find_record(page.node, origin, decimal(page.request.path_params["index"]))


def _after(page: Page, text: str | None) -> Place | None:
    if not text:
        return None
    at, _, rest = text.partition(".")
    index, _, log = rest.partition(".")
    try:
        return Place(decimal(at), page.origin_of(log), decimal(index))
    except (MalformedError, MissingError):
        return None


def _told(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The fields of a record, one line each: nested ones by their path."""
    lines: list[tuple[str, Any]] = []
    for name, value in values.items():
        if name not in HIDDEN:
            lines += _flat(name, value)
    return lines


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    match value:
        case dict():
            return [line for key, inner in value.items() for line in _flat(f"{name} {key}", inner)]
        case list() | tuple() if any(isinstance(inner, dict | list | tuple) for inner in value):
            return [line for number, inner in enumerate(value, 1) for line in _flat(f"{name} {number}", inner)]
        case list() | tuple():
            return [(name, ", ".join(map(str, value)))]
        case None | "" | False:
            return []
        case _:
            return [(name, value)]


def _pretty(entry: bytes) -> str:
    try:
        return json.dumps(json.loads(entry), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return entry.decode(errors="replace")
