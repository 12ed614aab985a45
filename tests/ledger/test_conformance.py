"""The laws: Concord's own pillars and storages keep them, and whoever breaks one is told which."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct
from sqlalchemy import Column, ForeignKey, MetaData, String, Table

from concord.ledger.conformance import handler_laws, pillar_laws, record_laws, storage_laws
from concord.ledger.pillar import Handler, Pillar, Role, Row, Stamp, row, table
from concord.ledger.record import Line, Name, Record, Text
from concord.ledger.statements import LEDGER, Erase
from concord.ledger.storage import Storage
from concord.ledger.storage.files import Files
from concord.node import PILLARS
from concord.testing import NOW, MemoryStorage, make_member

KE = make_member("ke")
STAMP = Stamp(KE.origin, 1, "00" * 32, KE.identity)


def test_the_pillars_of_concord_keep_the_laws() -> None:
    pillar_laws((LEDGER, *PILLARS))


def test_the_storages_of_concord_keep_the_laws(tmp_path: Path) -> None:
    storage_laws(MemoryStorage)
    storage_laws(lambda: Files(tmp_path))


# What a record type may not hold


def type_with(field: Any, **options: Any) -> type[Record]:
    """A record type with one field of the given type."""

    class Said(Record, frozen=True, tag="test.said", **options):
        """Says something."""

        SAYS = "says something"

        field_: field

    return Said


@pytest.mark.parametrize(
    "field",
    [
        Line,
        Text | None,
        Annotated[int, Meta(ge=-5, le=5)],
        Annotated[tuple[Line, ...], Meta(max_length=3)],
        tuple[Line, Line],
        Annotated[dict[Name, Line], Meta(max_length=3)],
        bool,
        Role,
    ],
    ids=str,
)
def test_a_type_within_the_profile_is_allowed(field: Any) -> None:
    record_laws(type_with(field))


class Loose(Struct):
    """A part of a record with a number without limits."""

    number: int


UNBOUNDED = "without"
ASCII = "ASCII"


@pytest.mark.parametrize(
    ("field", "law"),
    [
        (float, "profile"),
        (float | None, "profile"),
        (Annotated[tuple[float, ...], Meta(max_length=3)], "profile"),
        (Annotated[dict[Name, float], Meta(max_length=3)], "profile"),
        (bytes, "profile"),
        (Any, "profile"),
        (list[Line], "profile"),
        (int, UNBOUNDED),
        (Annotated[int, Meta(ge=0)], UNBOUNDED),
        (Annotated[int, Meta(le=0)], UNBOUNDED),
        (Annotated[int, Meta(ge=0, le=2**53)], "beyond"),
        (Annotated[int, Meta(ge=-(2**53), le=0)], "beyond"),
        (str, UNBOUNDED),
        (Annotated[str, Meta(min_length=1)], UNBOUNDED),
        (tuple[Line, ...], UNBOUNDED),
        (Annotated[tuple[str, ...], Meta(max_length=3)], UNBOUNDED),
        (dict[Name, Line], UNBOUNDED),
        (Annotated[dict[str, Line], Meta(max_length=3)], ASCII),
        (Annotated[dict[Line, Line], Meta(max_length=3)], ASCII),
        (Annotated[dict[Annotated[str, Meta(pattern="[a-z]")], Line], Meta(max_length=3)], ASCII),
        (Annotated[dict[Annotated[int, Meta(ge=0, le=3)], Line], Meta(max_length=3)], "not text"),
        (Loose, UNBOUNDED),
    ],
    ids=str,
)
def test_a_type_outside_the_profile_is_not(field: Any, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        record_laws(type_with(field))


def test_a_record_type_tells_of_itself() -> None:
    kind = type_with(Line)
    kind.__doc__ = " "
    with pytest.raises(AssertionError, match="says nothing of itself"):
        record_laws(kind)


def test_a_record_type_has_a_sentence() -> None:
    kind = type_with(Line)
    kind.SAYS = ""
    with pytest.raises(AssertionError, match="has no sentence"):
        record_laws(kind)


@pytest.mark.parametrize("option", ["forbid_unknown_fields", "omit_defaults"])
def test_a_record_type_is_strict_and_sparse(option: str) -> None:
    with pytest.raises(AssertionError, match="not frozen, strict and sparse"):
        record_laws(type_with(Line, **{option: False}))


# What a pillar may not be


class Note(Record, frozen=True, tag="test.note"):
    """A note."""

    SAYS = "notes {words}"

    words: Line


def pillar(
    kept: Callable[[MetaData], Table] = lambda tables: table(tables, "test_note", Column("words", String)),
    name: str = "test",
    roles: dict[type[Record], Role] | None = None,
) -> Pillar:
    tables = MetaData()
    made = kept(tables)
    on_note: Handler = lambda _, said: iter([(made, {"words": said.words})])  # noqa: E731  it closes over the table
    return Pillar(name, tables, {Note: on_note}, {Note: Role.CLERK} if roles is None else roles)


def test_a_lawful_pillar_is_allowed() -> None:
    pillar_laws((pillar(),))


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (pillar(kept=lambda tables: table(tables, "other_note", Column("words", String))), "name of pillar"),
        (pillar(kept=lambda tables: Table("test_note", tables, Column("words", String, primary_key=True))), "must belong"),
        (
            pillar(kept=lambda tables: table(tables, "test_note", Column("words", String, ForeignKey("test_note.origin")))),
            "order of arrival",
        ),
        (pillar(name="tes"), "name of pillar"),
        (pillar(roles={}), "who may say"),
    ],
    ids=["table-of-another-name", "key-of-its-own", "foreign-key", "type-of-another-name", "no-role"],
)
def test_a_pillar_that_breaks_a_law_is_not(broken: Pillar, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        pillar_laws((broken,))


def test_no_type_stands_twice_in_the_line() -> None:
    with pytest.raises(AssertionError, match="stands twice"):
        pillar_laws((pillar(), pillar()))


# What a handler may not do


ERASE = Erase(by=KE.origin, at=NOW, blob="00" * 32, reason="asked")


def test_a_pure_handler_is_allowed() -> None:
    handler_laws(LEDGER, [(STAMP, ERASE), (STAMP, KE.identity)])


def handled(rows: Callable[[], list[Row]]) -> Pillar:
    def on_erase(_: Stamp, __: Erase) -> Iterator[Row]:
        yield from rows()

    return Pillar("ledger", LEDGER.tables, {Erase: on_erase}, {})


def test_a_handler_that_breaks_a_law_is_not() -> None:
    kept = LEDGER.tables.tables["ledger_erase"]
    others = pillar().tables.tables["test_note"]
    counted = iter(range(9))
    for rows, law in (
        (lambda: [row(kept, blob=str(next(counted)), reason="")], "two readings"),
        (lambda: [row(others, words="")], "another pillar"),
        (lambda: [row(kept, blob="")], "fills"),
        (lambda: [row(kept, blob="", reason="", more="")], "fills"),
    ):
        with pytest.raises(AssertionError, match=law):
            handler_laws(handled(rows), [(STAMP, ERASE)])


# What a storage may not do


class Forgetful(MemoryStorage):
    """Takes empty bytes for none."""

    def read(self, name: str) -> bytes | None:
        return super().read(name) or None


class Shallow(MemoryStorage):
    """Lists only what stands right in a folder."""

    def names(self, prefix: str) -> Iterator[str]:
        yield from [name for name in super().names(prefix) if name.count("/") == 1]


class First(MemoryStorage):
    """Keeps what was written first."""

    def write(self, files: Any) -> None:
        super().write({name: content for name, content in files.items() if name not in self.files})


class Sticky(MemoryStorage):
    """Removes nothing."""

    def remove(self, names: Any) -> None:
        pass


@pytest.mark.parametrize("broken", [Forgetful, Shallow, First, Sticky])
def test_a_storage_that_breaks_a_law_is_found_out(broken: Callable[[], Storage]) -> None:
    with pytest.raises(AssertionError):
        storage_laws(broken)
