"""What a record says, as a tree that a page can draw: words, codes, moments, links, tables, and parts within parts.

Fields keep the names that they have in the log, because those are what a program will find there. What they hold is shown for
people: alike parts are the rows of a table, a moment is a date, an origin leads to its member, a reference to its record.

>>> told("country", "KE"), told("name", "two words"), told("digest", "0" * 64).kind
(Told(kind='country', value='KE'), Told(kind='words', value='two words'), 'code')
>>> told("organs", [{"id": "assembly", "seats": 3}, {"id": "board"}]).value.columns
('id', 'seats')
"""

from typing import Any, NamedTuple

from concord.ledger.record import Record, fields, ref_fields, time_fields

COLUMNS_MAX = 6  # a wider table is no longer read as one
SHORT_MAX = 20  # characters of a value of which several fit into a line
CODE_MIN = 20  # characters without a space: a digest, a key, an address
_SHELL = ("by", "org", "at", "type", "seals", "seen")  # what every record has, and the page shows elsewhere


class Told(NamedTuple):
    """One value. `kind` says how to draw it: words, code, number, yes, moment, country, record, line, list, table or
    parts."""

    kind: str
    value: Any


class Table(NamedTuple):
    """Alike parts: the names of their fields, and a row of values for each part (None where it has no such field)."""

    columns: tuple[str, ...]
    rows: list[list[Told | None]]


Parts = list[tuple[str, Told]]


def parts_of(record: Record) -> Parts:
    """The fields of `record` that are its own, in their order."""
    kind = type(record)
    special = dict.fromkeys(ref_fields(kind), "record") | dict.fromkeys(time_fields(kind), "moment")
    values = {name: value for name, value in fields(record).items() if name not in _SHELL}
    return [(name, _special(special[name], value) if name in special else told(name, value)) for name, value in _said(values)]


def told(name: str, value: Any) -> Told:
    """One value of the field `name`."""
    match value:
        case None | True | False:
            return Told("yes" if value else "words", value or "–")
        case int():
            return Told("number", value)
        case dict():
            return _named(value)
        case list() | tuple():
            return _listed(name, list(value))
        case _ if name == "country" and len(value) == 2:
            return Told("country", value)
        case _:
            return Told("code" if len(value) >= CODE_MIN and " " not in value and value.isascii() else "words", value)


def _special(kind: str, value: Any) -> Told:
    return Told("list", [Told(kind, inner) for inner in value]) if isinstance(value, list | tuple) else Told(kind, value)


def _named(value: dict[str, Any]) -> Told:
    """Parts under names: a table if they are alike, with the names as the first column."""
    if len(value) > 1 and all(isinstance(inner, dict) for inner in value.values()):
        rows = [{"": name, **inner} for name, inner in value.items()]
        if _alike(rows):
            return _table(rows)
    return Told("parts", [(name, told(name, inner)) for name, inner in _said(value)])


def _listed(name: str, value: list[Any]) -> Told:
    rows = [inner for inner in value if isinstance(inner, dict)]
    if rows and len(rows) == len(value):
        return _table(rows) if _alike(rows) else Told("parts", [(str(n), told(name, row)) for n, row in enumerate(rows, 1)])
    short = all(not isinstance(inner, list | tuple) and len(str(inner)) <= SHORT_MAX for inner in value)
    return Told("line" if short else "list", [told(name, inner) for inner in value])


def _table(rows: list[dict[str, Any]]) -> Told:
    columns = tuple(dict.fromkeys(name for row in rows for name, _ in _said(row)))
    return Told("table", Table(columns, [[told(name, row[name]) if row.get(name) else None for name in columns] for row in rows]))


def _alike(rows: list[dict[str, Any]]) -> bool:
    names = {name for row in rows for name in row}
    return len(names) <= COLUMNS_MAX and not any(isinstance(value, dict) for row in rows for value in row.values())


def _said(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """Without what is empty."""
    return [(name, value) for name, value in values.items() if value not in (None, "", False, [], (), {})]
