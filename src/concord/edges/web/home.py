"""The first page: the organisation at a glance."""

from starlette.responses import Response

from concord import reading
from concord.edges.web import cartogram
from concord.edges.web.page import Page
from concord.pillars.members import Standing
from concord.reading import Filter

LATEST = 8  # records


def show(page: Page) -> Response:
    """Figures, where the members are, the newest records, where to begin."""
    node = page.node
    roster = page.roster
    counts = reading.count_records(node)
    latest = reading.list_records(node, Filter(), LATEST)
    standings = [seat.standing for seat in roster.seats.values()]
    return page.render(
        "home.html",
        applicants=standings.count(Standing.APPLICANT),
        invited=standings.count(Standing.INVITED),
        records=sum(counts.values()),
        types=len(counts),
        latest=[(found, reading.well_cosigned(node, found)) for found in latest],
        grid=cartogram.draw(page),
    )
