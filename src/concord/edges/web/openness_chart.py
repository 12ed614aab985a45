"""Openness as a small picture: a row for each class, a square for each component that it needs, a circle for each that it may have.

What was found is filled. The picture is for the eye: beside it stands how many of how many, and the passport lists them all.
"""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from concord.pillars.commons.openness import CLASSES, Component, Openness

NAMES = {1: "I", 2: "II", 3: "III"}
SIDE, STEP = 10, 14  # units: how wide a square is, and from one to the next


@dataclass(frozen=True)
class Row:
    """One class: what it is called, whether it is reached, how many of the components that it needs are there, and the picture."""

    name: str
    reached: bool
    done: int
    needed: int
    picture: Markup


def rows(openness: Openness, word: Callable[[str], str]) -> list[Row]:
    """The classes, from the first to reach; `word` gives the name of a component in the reader's language."""
    return [_row(openness, number, word) for number in CLASSES]


def _row(openness: Openness, number: int, word: Callable[[str], str]) -> Row:
    lacking = {each.id for each in openness.missing(number)}
    mine = sorted((each for each in openness.components if each.class_ == number), key=lambda each: each.optional)
    needed = [each for each in mine if not each.optional]
    found = {each.id: each.here if each.optional else each.id not in lacking for each in mine}
    marks = Markup("").join(_mark(each, word(each.id), found[each.id], place * STEP) for place, each in enumerate(mine))
    width = len(mine) * STEP
    frame = Markup('<svg viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true">{}</svg>')
    picture = frame.format(width, SIDE + 2, width, SIDE + 2, marks)
    reached = openness.reached is not None and openness.reached <= number
    return Row(NAMES[number], reached, sum(found[each.id] for each in needed), len(needed), picture)


def _mark(component: Component, title: str, found: bool, x: int) -> Markup:  # noqa: FBT001  a mark is filled or not
    name = "have" if found else "lack"
    if component.optional:
        shape = Markup('<circle class="{}" cx="{}" cy="{}" r="{}">{}</circle>')
        return shape.format(name, x + SIDE / 2 + 1, SIDE / 2 + 1, SIDE / 2 - 1, _title(title))
    shape = Markup('<rect class="{}" x="{}" y="1" width="{}" height="{}" rx="1.5">{}</rect>')
    return shape.format(name, x + 1, SIDE, SIDE, _title(title))


def _title(text: str) -> Markup:
    return Markup("<title>{}</title>").format(text)
