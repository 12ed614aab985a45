"""What members call themselves, made fit to stand beside other words.

A name is whatever its owner wrote. Nobody may, by a name, turn round the line that it stands in, hide behind characters
without a shape, pile marks over the lines above, or push everything else off the page. In the log the bytes stay as they
are; only what is shown is tamed. `bdi` also sets it apart from the direction of the text around it.

>>> tame("Institute\\u202e\\u200b of Kenya")
'Institute of Kenya'
>>> len(tame("Z" + "\\u0317" * 200))
4
>>> print(spell("a\\u202eb"))
a\\u202eb
>>> tame("Organisation", 8), bdi("<i>")
('Organis…', Markup('<bdi>&lt;i&gt;</bdi>'))
"""

import json
from collections.abc import Iterator
from unicodedata import category, normalize

from markupsafe import Markup

MARKS_MAX = 3  # on one letter; no living script needs more
_JOINERS = "\u200c\u200d"  # they have no shape, but Persian and the scripts of India need them
_SHAPELESS = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


def tame(text: str, most: int | None = None) -> str:
    """`text` without what reorders, hides or piles up, cut after `most` characters (None: whole). Line breaks stay."""
    tamed = text if text.isascii() and text.isprintable() else "".join(_tamed(text))
    return tamed if most is None or len(tamed) <= most else f"{tamed[: most - 1].rstrip()}…"


def bdi(text: str, most: int | None = None) -> Markup:
    """The same, as an element that keeps its direction to itself."""
    return Markup("<bdi>{}</bdi>").format(tame(text, most))


def spell(text: str) -> str:
    """`text` with what `tame` leaves out spelled as JSON would, for whoever wants to see all that is there."""
    return "".join(char if tame else json.dumps(char)[1:-1] for char, tame in _looked_at(text))


def _tamed(text: str) -> list[str]:
    return [char for char, tame in _looked_at(normalize("NFC", text)) if tame or char in _JOINERS]


def _looked_at(text: str) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it has a shape and is not one mark too many."""
    marks = 0
    for char in text:
        kind = category(char)
        if kind in _SHAPELESS:
            yield char, char == "\n"
        else:
            marks = marks + 1 if kind in ("Mn", "Me") else 0
            yield char, marks <= MARKS_MAX
