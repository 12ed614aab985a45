"""What a pillar hands over: its name, what may be said and by whom, what is kept of it, and how a record becomes rows.

A handler is a pure function from a record to rows. It reads no table and writes none; the view writes, and adds to each row
where it came from (`origin` and `index`). So a row belongs to the record that said it, no two logs ever touch one row, and
the order in which logs arrive cannot matter. What follows from several records together (who is a member, how a vote
ended) is computed when it is asked for.

>>> from sqlalchemy import Column, MetaData, String
>>> greeting = table(MetaData(), "example_greeting", Column("words", String))
>>> [column.name for column in greeting.primary_key]
['origin', 'index']
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Column, Integer, MetaData, String, Table

from concord.ledger.identity import Identity
from concord.ledger.record import Record


class Role(StrEnum):
    """What a person may do for a member. NODE is nobody's: the node itself says such records."""

    DELEGATE = "delegate"
    PUBLISHER = "publisher"
    OFFICER = "officer"
    SAFETY = "safety"
    CLERK = "clerk"
    ADMIN = "admin"
    NODE = "node"


PERSONAL_ROLES = tuple(role for role in Role if role is not Role.NODE)


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """Where a record stands. `leaf` (hexadecimal digits) names it in other records; `identity` held in its log there."""

    origin: str
    index: int
    leaf: str
    identity: Identity


Row = tuple[Table, tuple[str, ...], tuple[Any, ...]]  # of which table, which of its columns, and their values
Handler = Callable[[Stamp, Any], Iterable[Row]]


@dataclass(frozen=True)
class Pillar:
    """One part of the organisation's work. It stands in a line with others and knows only those to its left.

    `handlers` maps each record type to the function that makes rows of it: rows of this pillar's tables only. A handler may
    raise a ConcordError, and the record then counts as unreadable. `roles` maps each type to who may say it.
    """

    name: str
    tables: MetaData
    handlers: Mapping[type[Record], Handler]
    roles: Mapping[type[Record], Role] = field(default_factory=dict)


def table(tables: MetaData, name: str, *columns: Column[Any], several: bool = False) -> Table:
    """A pillar's table. Its key is where the row came from, and `part` besides if one record can make `several` rows."""
    key: list[Column[Any]] = [Column("origin", String, primary_key=True), Column("index", Integer, primary_key=True)]
    if several:
        key.append(Column("part", Integer, primary_key=True))
    return Table(name, tables, *key, *columns, sqlite_with_rowid=False)


def row(kept: Table, **values: Any) -> Row:
    """A row with these values."""
    return kept, tuple(values), tuple(values.values())


def row_of(kept: Table, said: Record, **others: Any) -> Row:
    """A row whose columns are the fields of `said` that bear their names, but for those given as `others`."""
    names, values_of = _fields_of(kept, tuple(others))
    return kept, names, values_of(said) + tuple(others.values())


@cache
def _fields_of(kept: Table, others: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[Record], tuple[Any, ...]]]:
    """The columns of a row, those given as `others` last, and what reads the rest from the fields of a record."""
    own = [column.name for column in kept.c if column.name not in ("origin", "index", *others)]
    if len(own) == 1:
        return (*own, *others), lambda said: (getattr(said, own[0]),)
    return (*own, *others), attrgetter(*own) if own else lambda _: ()
