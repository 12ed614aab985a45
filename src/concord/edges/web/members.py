"""Members: everybody, one of them, the charter."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import PlainTextResponse, Response

from concord import reading
from concord.edges.web import cartogram, commons, communities
from concord.edges.web.page import Page
from concord.edges.web.records import by_day, cosignatures
from concord.errors import MissingError
from concord.ledger.identity import Identity
from concord.node import ENOUGH
from concord.pillars.members import Seat, Standing
from concord.pillars.members.countries import countries
from concord.reading import Filter
from concord.shelf import Shelf

LATEST = 10  # records of a member
PER_PAGE = 50
ABOUT_MAX = 3000  # characters that it shows of what the member says of itself
GROUPS = ("ldc", "lldc", "sids")
FILTERS = ("region", "standing", "country")


def everybody(page: Page) -> Response:
    """The grid and the table."""
    asked = {name: page.request.query_params.get(name, "") for name in FILTERS}
    seats = sorted(
        (seat for seat in page.roster.seats.values() if _fits(seat, asked)),
        key=lambda seat: (list(Standing).index(seat.standing), seat.name),
    )
    shown, more = page.part(seats, PER_PAGE)
    return page.render(
        "members.html",
        rows=[_row(page, seat) for seat in shown],
        more=urlencode(asked | {"start": more}) if more else "",
        count=len(seats),
        asked=asked,
        regions=sorted({place.region for place in countries().values() if place.region}),
        standings=[str(standing) for standing in Standing],
        grid=cartogram.draw(page),
        shares=_shares(page.roster.members()),
    )


def one(page: Page, shelf: Shelf) -> Response:
    """A member: standing, profile, repos, log, keys, people, records."""
    origin = page.origin_of(page.request.path_params["member"])
    node = page.node
    known = reading.describe_member(node, origin)
    policy_ = node.policy(origin)
    head = node.holdings.tree(origin).head
    signed = dict(cosignatures(head.note, origin)) if head else {}
    witnesses = list(dict.fromkeys(key.name.removesuffix("/witness") for key in policy_.witnesses.values()))
    identities: list[Identity] = node.holdings.identities(origin)
    return page.render(
        "member.html",
        known=known,
        place=countries().get(known["country"]),
        root=head.note.text.split("\n")[2] if head else "",
        witnesses=sorted(((other, signed.get(other)) for other in witnesses), key=lambda pair: (not pair[1], page.who(pair[0]))),
        enough=policy_.groups[ENOUGH].k if ENOUGH in policy_.groups else 0,
        identity=identities[-1] if identities else None,
        log_keys=node.holdings.log_keys(origin),
        latest=by_day(page, reading.list_records(node, Filter(origin=origin), LATEST)),
        log=page.log_name(origin),
        accepted=reading.accepted(node, origin),
        application=_application(page, origin),
        paused=node.holdings.log(origin).paused if known["hosted"] else None,
        particulars=_particulars(page, origin),
        shared=commons.of_member(page, shelf, origin),
        communities=communities.of_member(page, shelf, origin),
    )


def policy(page: Page) -> Response:
    """The trust policy of a member's log, to download."""
    origin = page.origin_of(page.request.path_params["member"])
    name = page.log_name(origin)
    headers = {"Content-Disposition": f'attachment; filename="{name}.policy"'}
    return PlainTextResponse(str(page.node.policy(origin)), headers=headers)


def charter(page: Page) -> Response:
    """The charter, in words."""
    charter_ = page.node.charter
    if charter_ is None:
        raise MissingError("this node serves no organisation yet")
    return page.render(
        "charter.html",
        organisation=page.node.organisation,
        organs={organ.id: organ.name for organ in charter_.organs},
        acceded=sum(page.roster.seats[founder.origin].standing is not Standing.INVITED for founder in charter_.founders),
    )


def _fits(seat: Seat, asked: dict[str, str]) -> bool:
    place = countries().get(seat.country)
    of_seat = {"region": place.region if place else "", "standing": str(seat.standing), "country": seat.country}
    return all(not wanted or of_seat[name] == wanted for name, wanted in asked.items())


def _row(page: Page, seat: Seat) -> dict[str, Any]:
    good = page.node.holdings.cosigned(seat.origin)
    return {
        "seat": seat,
        "log": page.log_name(seat.origin),
        "size": page.node.holdings.tree(seat.origin).size,
        "cosigned": good.checkpoint.size if good else 0,
        "place": countries().get(seat.country),
        "disputed": seat.origin in page.disputes,
    }


def _shares(members: list[Seat]) -> dict[str, int]:
    """How many members are of countries that are least developed, landlocked developing, small island developing."""
    places = [countries().get(seat.country) for seat in members]
    return {name: sum(bool(place and getattr(place, name)) for place in places) for name in GROUPS}


def _application(page: Page, origin: str) -> dict[str, Any] | None:
    """What an applicant asks for, who sponsors it, and how many sponsors the charter wants; None for everybody else."""
    seat, charter_ = page.roster.seats.get(origin), page.node.charter
    if seat is None or charter_ is None or seat.standing is not Standing.APPLICANT:
        return None
    asked = reading.application(page.node, origin)
    kind = charter_.class_of(asked.class_)
    members = {member.origin for member in page.roster.members()}
    return {
        "class": kind.name if kind else asked.class_,
        "sponsors": sorted(asked.sponsors & members),
        "needed": charter_.admission.sponsors,
        "organ": next(organ.name for organ in charter_.organs if organ.id == charter_.admission.organ),
        "rule": charter_.admission.rule,
        "leaf": asked.leaf,
    }


def _particulars(page: Page, origin: str) -> dict[str, str]:
    """Who the accredited people are: shown to people of the same member only, and only while it was not erased."""
    if page.speaker is None or page.speaker.origin != origin:
        return {}
    return reading.particulars(page.node, origin)
