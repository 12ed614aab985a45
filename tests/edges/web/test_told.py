"""Records as trees to draw, and names made fit to show."""

import json
from string import Formatter
from typing import Any
from unicodedata import normalize

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.edges.web.names import MARKS_MAX, spell, tame
from concord.edges.web.told import Told, parts_of, told
from concord.ledger.record import Record, Ref, Time
from concord.ledger.statements import LEDGER
from concord.node import PILLARS
from concord.testing import NOW, make_member


class Example(Record, frozen=True, tag="example.told"):
    """A record with every special field."""

    motion: Ref
    others: tuple[Ref, ...] = ()
    until: Time | None = None
    begins: Time = 0


def said(**fields: Any) -> list[tuple[str, Told]]:
    return parts_of(Example(by="ke.example/0", at=NOW, **fields))


def test_references_and_moments_are_told_as_such() -> None:
    leaf = "ab" * 32
    assert dict(said(motion=leaf, others=(leaf,), until=NOW, begins=5)) == {
        "begins": Told("moment", 5),
        "motion": Told("record", leaf),
        "others": Told("list", [Told("record", leaf)]),
        "until": Told("moment", NOW),
    }


def test_what_is_empty_is_not_told() -> None:
    assert said(motion="ab" * 32) == [("motion", Told("record", "ab" * 32))]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("name", "two words", "words"),
        ("name", "واحد", "words"),
        ("digest", "0" * 64, "code"),
        ("country", "KE", "country"),
        ("votes", 3, "number"),
        ("demonstration", True, "yes"),
        ("languages", ["ar", "zh"], "line"),
        ("criteria", ["a sentence that is rather long"], "list"),
        ("organs", [{"id": "a"}, {"id": "b", "seats": 2}], "table"),
        ("rules", {"silence": {"hours": 72}, "majority": {"share": [1, 2]}}, "table"),
        ("root", {"keys": ["k"], "threshold": 1}, "parts"),
        ("deep", [{"inner": {"more": 1}}], "parts"),
    ],
)
def test_each_value_is_told_as_what_it_is(name: str, value: Any, kind: str) -> None:
    assert told(name, value).kind == kind


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.text(max_size=10), values)
def test_whatever_is_said_can_be_told(name: str, value: Any) -> None:
    assert told(name, value).kind


def test_every_type_of_record_says_a_sentence_of_fields_that_it_always_has() -> None:
    for pillar in (LEDGER, *PILLARS):
        for kind in pillar.handlers:
            required = {field.name for field in _fields(kind) if field.required}
            named = {name.split("[")[0] for name in _placeholders(kind.SAYS)}
            assert kind.SAYS and named <= required, kind


def _fields(kind: type[Record]) -> Any:
    return msgspec.structs.fields(kind)


def _placeholders(sentence: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(sentence) if name]


# Names


@given(st.text(max_size=60))
def test_a_tame_name_stays_as_it_is_when_tamed_again(text: str) -> None:
    assert tame(tame(text)) == tame(text)


@given(st.text(max_size=60), st.integers(1, 20))
def test_a_cut_name_is_no_longer_than_asked(text: str, most: int) -> None:
    assert len(tame(text, most)) <= most


@given(st.text(alphabet="a\u0317\u202e\u2066\u200f\ufeff", max_size=40))
def test_nothing_turns_or_piles_up(text: str) -> None:
    assert not set("\u202e\u2066\u200f\ufeff") & set(tame(text))
    assert "\u0317" * (MARKS_MAX + 1) not in tame(text)
    assert "\u0317" * (MARKS_MAX + 1) not in spell(text)


@pytest.mark.parametrize(
    "name", ["كينيا", "می‌خواهم", "ศูนย์ปัญญาประดิษฐ์", "国家人工智能研究院", "Việt Nam", "Côte d’Ivoire", "नेपाल", "שָׁלוֹם"]
)
def test_names_of_living_scripts_stay_whole(name: str) -> None:
    assert tame(name) == normalize("NFC", name)


@given(st.text(max_size=40))
def test_what_is_spelled_out_can_be_read_back(text: str) -> None:
    quoted = json.dumps(text, ensure_ascii=False)
    assert json.loads(spell(quoted)) == text


def test_a_member_has_a_name_that_needs_no_taming() -> None:
    assert tame(make_member("ke").origin) == make_member("ke").origin
