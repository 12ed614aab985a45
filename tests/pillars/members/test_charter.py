"""Charters: those that come along are sound, those that are not are told which part is wrong, and a digest names the content."""

import json
import tomllib
from hashlib import sha256
from random import Random
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from concord.errors import MalformedError
from concord.ledger.record import ENCODER
from concord.pillars.members import Charter, Founder
from concord.pillars.members.charter import check, load, presets, with_founders
from concord.testing import make_charter, make_member

PRESETS = presets()
NAMES = sorted(PRESETS)
FOUNDERS = [make_member(name) for name in ("ke", "tn", "br", "jp")]
CHARTER = make_charter(FOUNDERS)


def fields(name: str = "demonstration") -> dict[str, Any]:
    return tomllib.loads(PRESETS[name].decode())


def toml(value: Any) -> str:
    """A value in TOML, on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def written(values: dict[str, Any]) -> bytes:
    return "".join(f"{key} = {toml(value)}\n" for key, value in values.items()).encode()


def shuffled(value: Any, chance: Random) -> Any:
    """The same with the keys of every table in another order. Lists have an order that means something."""
    match value:
        case dict():
            keys = chance.sample(sorted(value), len(value))
            return {key: shuffled(value[key], chance) for key in keys}
        case list():
            return [shuffled(inner, chance) for inner in value]
        case _:
            return value


# What comes along


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_sound(name: str) -> None:
    charter = check(load(PRESETS[name]))
    assert charter.demonstration == (name == "demonstration")
    assert not charter.founders
    assert charter.rules[charter.amendment.rule].method == "majority"
    entry = ENCODER.encode(charter)
    assert entry == rfc8785.dumps(json.loads(entry))
    assert msgspec.json.decode(entry, type=Charter) == charter
    assert charter.digest() == sha256(entry).hexdigest()


def test_presets_are_different_organisations() -> None:
    assert len({load(PRESETS[name]).digest() for name in NAMES}) == len(NAMES)


# The digest


@given(st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_the_order_of_keys_in_a_file_does_not_matter(name: str, chance: Random) -> None:
    assert load(written(shuffled(fields(name), chance))) == load(PRESETS[name])
    assert load(written(shuffled(fields(name), chance))).digest() == load(PRESETS[name]).digest()


def test_the_order_of_a_list_does() -> None:
    values = fields()
    values["purposes"] = values["purposes"][::-1]
    assert load(written(values)).digest() != load(PRESETS["demonstration"]).digest()


def test_a_default_may_be_written_or_left_out() -> None:
    values = fields()
    assert load(written(values | {"ballot": "last", "founders": []})).digest() == load(PRESETS["demonstration"]).digest()


@pytest.mark.parametrize(
    "changed", [{"name": "Another"}, {"confirm": [3, 4]}, {"ballot": "void"}, {"demonstration": False}, {"languages": ["en"]}]
)
def test_every_part_counts(changed: dict[str, Any]) -> None:
    assert load(written(fields() | changed)).digest() != load(PRESETS["demonstration"]).digest()


# Founders


def test_founders_are_added_and_no_more_accessions_asked_than_there_are() -> None:
    assert [founder.id for founder in CHARTER.founders] == ["ke", "tn", "br", "jp"]
    assert CHARTER.accessions == 4
    assert make_charter(FOUNDERS[:1]).accessions == 1
    again = with_founders(CHARTER, [replace(CHARTER.founders[0], id="xx", origin="xx.example/0")])
    assert (len(again.founders), again.accessions) == (5, 4)
    assert check(CHARTER) == CHARTER


# What is wrong


def organ(**changed: Any) -> dict[str, Any]:
    return {"id": "court", "name": "Court", "rule": "majority"} | changed


def kind(**changed: Any) -> dict[str, Any]:
    return {"id": "court", "name": "Court", "open_to": "anyone", "votes": 0} | changed


def rule(**changed: Any) -> dict[str, Any]:
    return fields() | {"rules": fields()["rules"] | {"odd": changed}}


def founder(member: int = 0, **changed: Any) -> dict[str, Any]:
    found = CHARTER.founders[member]
    values = {"id": found.id, "name": found.name, "country": found.country, "class": found.class_, "origin": found.origin}
    return values | changed


GOOD = fields()
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "organ-twice": (GOOD | {"organs": [*GOOD["organs"], organ(id="assembly")]}, "organ 'assembly' stands twice"),
    "class-twice": (GOOD | {"classes": [*GOOD["classes"], kind(id="observer")]}, "class 'observer' stands twice"),
    "founder-twice": (GOOD | {"founders": [founder(), founder(origin=f"ke.example/{'0' * 32}")]}, "founder 'ke' stands twice"),
    "origin-twice": (GOOD | {"founders": [founder(), founder(id="xx")]}, "origin 'ke.* stands twice"),
    "organ-by-an-unknown-rule": (GOOD | {"organs": [*GOOD["organs"], organ(rule="whim")]}, "no rule 'whim'"),
    "admission-by-an-unknown-rule": (GOOD | {"admission": {"organ": "assembly", "rule": "whim"}}, "no rule 'whim'"),
    "amendment-by-an-unknown-rule": (GOOD | {"amendment": {"organ": "assembly", "rule": "whim"}}, "no rule 'whim'"),
    "admission-by-an-unknown-organ": (GOOD | {"admission": {"organ": "nobody", "rule": "majority"}}, "no organ 'nobody'"),
    "amendment-by-an-unknown-organ": (GOOD | {"amendment": {"organ": "nobody", "rule": "majority"}}, "no organ 'nobody'"),
    "elected-by-an-unknown-organ": (GOOD | {"organs": [*GOOD["organs"], organ(elected_by="nobody")]}, "no organ 'nobody'"),
    "organ-of-an-unknown-class": (GOOD | {"organs": [*GOOD["organs"], organ(classes=["giants"])]}, "no class 'giants'"),
    "founder-of-an-unknown-class": (GOOD | {"founders": [founder(**{"class": "giants"})]}, "no class 'giants'"),
    "unknown-role": (GOOD | {"roles": ["delegate", "king"]}, "no role 'king'"),
    "role-of-the-node": (GOOD | {"roles": ["node"]}, "no role 'node'"),
    "share-over-one": (rule(share=[3, 2]), "'odd' asks for more than there is"),
    "quorum-over-one": (rule(quorum=[2, 1]), "'odd' asks for more than there is"),
    "silence-without-hours": (rule(method="silence"), "'odd' adopts by silence"),
    "founder-with-anothers-origin": (
        GOOD | {"founders": [founder(), founder(1, origin=f"xx.example/{'0' * 32}")]},
        "'tn' has the origin",
    ),
    "too-many-accessions": (GOOD | {"accessions": 2, "founders": [founder()]}, "2 accessions are asked of 1"),
    "unknown-field": (GOOD | {"anthem": "la"}, "anthem"),
    "unknown-field-of-an-organ": (GOOD | {"organs": [organ(anthem="la")]}, "anthem"),
    "missing-field": ({name: value for name, value in GOOD.items() if name != "purposes"}, "purposes"),
    "no-purpose": (GOOD | {"purposes": []}, "purposes"),
    "no-organ": (GOOD | {"organs": []}, "organs"),
    "other-format": (GOOD | {"format": "concord-charter/2"}, "format"),
    "share-with-a-point": (rule(share=[0.5, 1]), "share"),
    "share-of-nothing": (rule(share=[0, 1]), "share"),
    "share-by-nothing": (rule(share=[1, 0]), "share"),
    "votes-below-nothing": (GOOD | {"classes": [kind(votes=-1)]}, "votes"),
    "name-with-a-line-break": (GOOD | {"name": "A\nB"}, "name"),
    "country-that-is-none": (GOOD | {"founders": [founder(country="Kenya")]}, "country"),
    "language-that-is-none": (GOOD | {"languages": ["english"]}, "languages"),
    "rule-without-a-name": (GOOD | {"rules": {"": {}}}, "rules"),
    "unknown-method": (rule(method="lots"), "method"),
}


@pytest.mark.parametrize(("values", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_charter_is_told_which_part_is_wrong(values: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedError, match=said):
        check(load(written(values)))


@pytest.mark.parametrize("raw", [b"", b"\xff", b"name = ", b"[[organs]]", b"name = 1", b'x = "\x00"'])
def test_what_is_no_charter_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="charter"):
        load(raw)


def test_a_class_is_found_by_its_id() -> None:
    found = CHARTER.class_of("observer")
    assert found is not None
    assert found.votes == 0
    assert CHARTER.class_of("nobody") is None


def test_a_founder_says_its_class_as_the_file_does() -> None:
    assert msgspec.convert(founder(), Founder) == CHARTER.founders[0]
    assert "class" in msgspec.to_builtins(CHARTER.founders[0])
