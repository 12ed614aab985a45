"""The first page: the organisation at a glance."""

from dataclasses import dataclass

from starlette.responses import Response

from concord import reading
from concord.edges.web import cartogram, commons
from concord.edges.web.page import Page
from concord.edges.web.records import by_day
from concord.ledger.pillar import Role
from concord.pillars.members import Standing
from concord.pillars.members.roster import Application
from concord.reading import Filter
from concord.shelf import Shelf

LATEST = 8  # records
SPONSOR_MAX = 5  # applications that are put before a delegate
NAMED_MAX = 30  # members that are named beside the grid; of more, only how many there are in each region


@dataclass(frozen=True)
class Open:
    """What waits for whoever is signed in: a paused log, an accession, applications without this member as a sponsor."""

    paused: bool = False
    accede: bool = False
    sponsor: tuple[Application, ...] = ()


def show(page: Page, shelf: Shelf) -> Response:
    """Figures, what is shared, where the members are, the newest records, where to begin."""
    roster = page.roster
    standings = [seat.standing for seat in roster.seats.values()]
    return page.render(
        "home.html",
        members=len(roster.members()),
        countries=len({seat.country for seat in roster.members()}),
        applicants=standings.count(Standing.APPLICANT),
        invited=standings.count(Standing.INVITED),
        records=sum(reading.count_records(page.node).values()),
        open=_open_to(page),
        latest=by_day(page, reading.list_records(page.node, Filter(), LATEST)),
        commons=commons.newest(page, shelf),
        grid=cartogram.draw(page),
        regions=cartogram.by_region(page),
        all_named=len(roster.members()) <= NAMED_MAX,
    )


def _open_to(page: Page) -> Open:
    speaker = page.speaker
    if speaker is None:
        return Open()
    paused = speaker.origin in page.hosted and page.node.holdings.log(speaker.origin).paused is not None
    seat = page.roster.seats.get(speaker.origin)
    if seat is None or not speaker.may(Role.DELEGATE):
        return Open(paused)
    if seat.standing is not Standing.MEMBER:
        return Open(paused, accede=seat.standing in (Standing.INVITED, Standing.ADMITTED))
    applicants = [other.origin for other in page.roster.seats.values() if other.standing is Standing.APPLICANT]
    asked = [reading.application(page.node, origin) for origin in applicants]
    return Open(paused, sponsor=tuple(each for each in asked if speaker.origin not in each.sponsors)[:SPONSOR_MAX])
