"""The world as equal squares: one for each state, no border drawn, small states as visible as large ones.

The picture is for the eye. Whoever does not see it, or has no pointer, finds the same members as words beside it
(`by_region`), so the picture is hidden from screen readers and its links from the keyboard: nobody has to go through two
hundred squares to reach a table.
"""

from functools import cache

from markupsafe import Markup, escape

from concord.edges.web.names import tame
from concord.edges.web.page import Page
from concord.pillars.members import Seat, Standing
from concord.pillars.members.countries import countries

STEP, SIDE = 26, 24  # from square to square, and how wide each is
NAMED_MAX = 3  # members of one country that its square names
NAME_MAX = 50  # characters of each
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
    seats = _by_country(page)
    squares, columns, rows = _grid()
    others = {
        code: (number % columns, rows + 1 + number // columns) for number, code in enumerate(sorted(set(seats) - set(squares)))
    }
    placed = squares | others
    empty = "".join(_empty(page.language, code, *where) for code, where in squares.items() if code not in seats)
    marked = "".join(_marked(page, code, seats[code], *where) for code, where in placed.items() if code in seats)
    sparse = " sparse" if _sparse([placed[code] for code in seats]) else ""
    height = (1 + max(row for _, row in placed.values())) * STEP - (STEP - SIDE)
    return Markup(  # noqa: S704  every part was escaped
        f'<svg class="grid{sparse}" viewBox="-1 -1 {columns * STEP} {height + 2}" aria-hidden="true">'
        f'<defs><rect id="square" width="{SIDE}" height="{SIDE}" rx="3"/></defs>{empty}{marked}</svg>'
    )


def by_region(page: Page) -> list[tuple[str, list[Seat]]]:
    """The members in good standing by region ("": of none), the regions by name and in each the members by country."""
    found: dict[str, list[Seat]] = {}
    for seat in page.roster.members():
        place = countries().get(seat.country)
        found.setdefault(place.region if place else "", []).append(seat)
    return [(region, sorted(found[region], key=lambda seat: page.country(seat.country))) for region in sorted(found, key=_last)]


def _last(region: str) -> tuple[bool, str]:
    return not region, region


def _sparse(marked: list[tuple[int, int]]) -> bool:
    """Whether no two marked squares touch: a narrow screen then has room to draw each twice as large, with its code."""
    return all(
        max(abs(column - other[0]), abs(row - other[1])) > 1 for n, (column, row) in enumerate(marked) for other in marked[:n]
    )


@cache
def _grid() -> tuple[dict[str, tuple[int, int]], int, int]:
    """The squares of the grid (column and row by country, in reading order), and how many columns and rows there are."""
    placed = {code: place.tile for code, place in countries().items() if place.tile}
    in_order = dict(sorted(placed.items(), key=lambda item: (item[1][1], item[1][0])))
    return in_order, 1 + max(column for column, _ in placed.values()), 1 + max(row for _, row in placed.values())


@cache
def _empty(language: str, code: str, column: int, row: int) -> str:
    """The square of a state without a member."""
    return _square("o", countries()[code].names[language], code, column, row)


def _marked(page: Page, code: str, seats: list[Seat], column: int, row: int) -> str:
    """The square of a state with members, which leads to them."""
    mark = _MARKS[min((seat.standing for seat in seats), key=list(Standing).index)]
    names = [_titled(page, seat) for seat in seats[:NAMED_MAX]]
    more = [f"+{page.number(len(seats) - NAMED_MAX)}"] if len(seats) > NAMED_MAX else []
    square = _square(mark, f"{page.country(code)}: {', '.join((*names, *more))}", code, column, row)
    target = f"/members/{page.log_name(seats[0].origin)}" if len(seats) == 1 else f"/members?country={code}"
    return f'<a href="{escape(target)}" tabindex="-1">{square}</a>'


def _titled(page: Page, seat: Seat) -> str:
    name = tame(seat.name, NAME_MAX)
    return name if seat.standing is Standing.MEMBER else f"{name} ({page.word('standing', seat.standing)})"


def _square(mark: str, title: str, code: str, column: int, row: int) -> str:
    place = countries().get(code)
    return (
        f'<g class="{mark}" transform="translate({column * STEP},{row * STEP})"><title>{escape(title)}</title>'
        f'<use href="#square"/><text x="12" y="15.5">{escape(place.alpha3 if place else code)}</text></g>'
    )


def _by_country(page: Page) -> dict[str, list[Seat]]:
    found: dict[str, list[Seat]] = {}
    for seat in page.roster.seats.values():
        found.setdefault(seat.country, []).append(seat)
    return found
