"""Members: everybody, one of them, the charter."""

from typing import Any

from starlette.responses import PlainTextResponse, Response

from concord import reading
from concord.edges.web import cartogram
from concord.edges.web.page import Page
from concord.errors import MissingError
from concord.ledger.identity import Identity
from concord.pillars.members import Seat, Standing
from concord.pillars.members.countries import countries
from concord.reading import Filter

LATEST = 10  # records of a member
GROUPS = ("ldc", "lldc", "sids")


def everybody(page: Page) -> Response:
    """The grid and the table."""
    roster = page.roster
    rows = [
        _row(page, seat)
        for seat in sorted(roster.seats.values(), key=lambda seat: (list(Standing).index(seat.standing), seat.name))
    ]
    return page.render("members.html", rows=rows, grid=cartogram.draw(page), shares=_shares(roster.members()))


def one(page: Page) -> Response:
    """A member: standing, profile, log, keys, people, records."""
    origin = page.origin_of(page.request.path_params["member"])
    node = page.node
    known = reading.describe_member(node, origin)
    head, good = node.holdings.tree(origin).head, node.holdings.cosigned(origin)
    witnesses = node.policy(origin).witnesses.values()
    lines = [line for line in head.note.signatures if line.name != origin] if head else []
    signed = {line.name: int.from_bytes(line.raw[:8], "big") for line in lines}
    identities: list[Identity] = node.holdings.identities(origin)
    latest = reading.list_records(node, Filter(origin=origin), LATEST)
    return page.render(
        "member.html",
        known=known,
        place=countries().get(known["country"]),
        head=head,
        good=good,
        witnesses=[(key.name.removesuffix("/witness"), signed.get(key.name)) for key in witnesses],
        identity=identities[-1] if identities else None,
        log_keys=node.holdings.log_keys(origin),
        latest=[(found, reading.well_cosigned(node, found)) for found in latest],
        log=page.log_name(origin),
        accepted=reading.accepted(node, origin),
        mine=page.speaker is not None and page.speaker.origin == origin,
        particulars=_particulars(page, origin),
    )


def policy(page: Page) -> Response:
    """The trust policy of a member's log, to download."""
    origin = page.origin_of(page.request.path_params["member"])
    name = page.log_name(origin)
    headers = {"Content-Disposition": f'attachment; filename="{name}.policy"'}
    return PlainTextResponse(str(page.node.policy(origin)), headers=headers)


def charter(page: Page) -> Response:
    """The charter, in words."""
    if page.node.charter is None:
        raise MissingError(page.texts.gettext("this node serves no organisation yet"))
    return page.render("charter.html", organisation=page.node.organisation)


def _row(page: Page, seat: Seat) -> dict[str, Any]:
    tree, good = page.node.holdings.tree(seat.origin), page.node.holdings.cosigned(seat.origin)
    return {
        "seat": seat,
        "log": page.log_name(seat.origin),
        "size": tree.size,
        "cosigned": good.checkpoint.size if good else 0,
        "place": countries().get(seat.country),
        "disputed": seat.origin in page.node.disputes(),
    }


def _shares(members: list[Seat]) -> dict[str, int]:
    """How many members are of countries that are least developed, landlocked developing, small island developing."""
    places = [countries().get(seat.country) for seat in members]
    return {name: sum(bool(place and getattr(place, name)) for place in places) for name in GROUPS}


def _particulars(page: Page, origin: str) -> dict[str, str]:
    """Who the accredited people are: shown to people of the same member only, and only while it was not erased."""
    if page.speaker is None or page.speaker.origin != origin:
        return {}
    return reading.particulars(page.node, origin)
