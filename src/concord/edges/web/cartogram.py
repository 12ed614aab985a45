"""The world as equal squares: one for each state, no border drawn, small states as visible as large ones."""

from functools import cache

from markupsafe import Markup

from concord.edges.web.page import Page
from concord.pillars.members import Roster, Seat, Standing
from concord.pillars.members.countries import countries

STEP, SIDE = 26, 24  # from square to square, and how wide each is
_MARKS = {
    Standing.MEMBER: "m",
    Standing.SUSPENDED: "s",
    Standing.ADMITTED: "p",
    Standing.INVITED: "p",
    Standing.APPLICANT: "p",
    Standing.LEFT: "l",
}


def draw(page: Page) -> Markup:
    """The grid as SVG, with the members marked, and below it a row of other parties that have no square of their own."""
    seats = _by_country(page.roster)
    squares, columns, rows = _grid()
    others = {code: (column, rows + 1) for column, code in enumerate(sorted(set(seats) - set(squares)))}
    parts = [
        _marked(page, code, seats[code], *where) if code in seats else _empty(page.language, code, *where)
        for code, where in (*squares.items(), *others.items())
    ]
    height = (rows + 2 if others else rows) * STEP
    words = page.texts.gettext("Members by country")
    head = Markup('<svg class="grid" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(columns * STEP, height, words)
    return head + Markup("").join(parts) + Markup("</svg>")


@cache
def _grid() -> tuple[dict[str, tuple[int, int]], int, int]:
    """The squares of the grid (column and row by country, in reading order), and how many columns and rows there are."""
    placed = {code: place.tile for code, place in countries().items() if place.tile}
    in_order = dict(sorted(placed.items(), key=lambda item: (item[1][1], item[1][0])))
    return in_order, 1 + max(column for column, _ in placed.values()), 1 + max(row for _, row in placed.values())


@cache
def _empty(language: str, code: str, column: int, row: int) -> Markup:
    """The square of a state without a member."""
    return _square("o", countries()[code].names[language], code, column, row)


def _marked(page: Page, code: str, seats: list[Seat], column: int, row: int) -> Markup:
    """The square of a state with members, which leads to them."""
    mark = _MARKS[min((seat.standing for seat in seats), key=list(Standing).index)]
    names = ", ".join(f"{seat.name} ({page.texts.gettext(str(seat.standing))})" for seat in seats)
    square = _square(mark, f"{page.country(code)}: {names}", code, column, row)
    target = f"/members/{page.log_name(seats[0].origin)}" if len(seats) == 1 else f"/members#{code}"
    return Markup('<a href="{}">{}</a>').format(target, square)


def _square(mark: str, title: str, code: str, column: int, row: int) -> Markup:
    place = countries().get(code)
    return Markup(
        '<g class="{}" transform="translate({},{})"><title>{}</title>'
        '<rect width="{}" height="{}" rx="3"/><text x="12" y="15.5">{}</text></g>'
    ).format(mark, column * STEP, row * STEP, title, SIDE, SIDE, place.alpha3 if place else code)


def _by_country(roster: Roster) -> dict[str, list[Seat]]:
    found: dict[str, list[Seat]] = {}
    for seat in roster.seats.values():
        found.setdefault(seat.country, []).append(seat)
    return found
