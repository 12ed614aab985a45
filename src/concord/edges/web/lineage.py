"""The picture of a lineage: lines in the margin of a list, as histories of code are drawn.

Each repo or name is a row of the list, the farthest origin first, and each that something was made of has a lane of its own, in
which a line runs down to whatever was made of it. So a line never runs through a mark that it does not belong to, the names stand
as text, of any length and in any script, and the picture needs no more width than a telephone has. It is for the eye: the list says
the same in words, and is what readers without the picture get.
"""

from dataclasses import dataclass

from markupsafe import Markup

from concord.pillars.commons.lineage import DATASET, Key, Kin, Lineage

ROW = 60  # units of a row; 16 make a rem
LANE_MAX, MARGIN_MAX = 18, 150  # how far lanes are apart, and how wide they are together at most
MARK = 6  # how large a mark is, from its middle
_TURN = 8


@dataclass(frozen=True)
class Row:
    """One row of the list: who it is, and of whom of the others it was made, each with how."""

    kin: Kin
    parts: tuple[tuple[Key, str], ...]


def rows(lineage: Lineage) -> list[Row]:
    """The rows of the list that goes with the picture."""
    return [Row(kin, tuple((link.of, link.how) for link in lineage.links if link.made == kin.key)) for kin in lineage.kin]


def draw(lineage: Lineage) -> Markup:
    """The lines and marks as SVG, as high as the list."""
    places, width = _places(lineage)
    lines = Markup("").join(_line(places[link.of], places[link.made], link.how) for link in lineage.links)
    marks = Markup("").join(_mark(kin, *places[kin.key]) for kin in lineage.kin)
    height = ROW * len(lineage.kin)
    frame = Markup('<svg viewBox="0 0 {} {}" width="{}rem" height="{}rem" aria-hidden="true">{}{}</svg>')
    return frame.format(width, height, width / 16, height / 16, lines, marks)


def _places(lineage: Lineage) -> tuple[dict[Key, tuple[float, float]], float]:
    """Where the middle of each mark is, and how wide it all is."""
    busy = {link.of for link in lineage.links}
    lanes = sum(kin.key in busy for kin in lineage.kin)
    apart = min(LANE_MAX, MARGIN_MAX / max(lanes, 1))
    found, lane = {}, 0
    for number, kin in enumerate(lineage.kin):
        found[kin.key] = (round(MARK + 2 + lane * apart, 1), ROW * (number + 0.5))
        lane += kin.key in busy
    return found, round(2 * MARK + 4 + lanes * apart, 1)


def _line(of: tuple[float, float], made: tuple[float, float], how: str) -> Markup:
    """Down the lane of what it was made of, then across. Where names go in a circle, a line may lead up, and back."""
    (x, y), (to, end) = of, made
    turn = min(_TURN, abs(to - x))
    down, across = (1 if end > y else -1), (1 if to >= x else -1)
    path = f"M{x} {y}V{end - down * turn}Q{x} {end} {x + across * turn} {end}H{to}"
    return Markup('<path class="{}" d="{}"/>').format(DATASET if how == DATASET else "made", path)


def _mark(kin: Kin, x: float, y: float) -> Markup:
    """A round mark for a model or code, a square one for a dataset; hollow if it is of elsewhere."""
    name = "self" if kin.step == 0 else "here" if kin.here else "elsewhere"
    if kin.key[0] == "dataset":
        side = 2 * MARK - 2
        return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            name, x - side / 2, y - side / 2, side, side
        )
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(name, x, y, MARK)
