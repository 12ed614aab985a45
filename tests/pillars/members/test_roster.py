"""The roster: who is a member follows from the charter, from what was said and from what was decided, and from nothing else."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from concord.pillars.members import Admitted, Charter, Effect, Founder, Restored, Roster, Said, Standing, Suspended, roster
from concord.pillars.members.charter import MemberClass, load, presets, with_founders
from concord.pillars.members.roster import Application

CHARTER = load(presets()["demonstration"])
DECISION, OTHER = "d1" * 32, "d2" * 32
NOW = 1_790_000_000


def origin(name: str) -> str:
    return f"{name}.concord.alt/0"


def founder(name: str, class_: str = "institute") -> Founder:
    return Founder(id=name, name=name.upper(), country="KE", class_=class_, origin=origin(name))


FOUNDED = with_founders(replace(CHARTER, accessions=2), [founder("ke"), founder("tn"), founder("br", "observer")])


def application(name: str, id_: str = "", class_: str = "institute", leaf: str = "") -> Application:
    return Application(origin(name), id_ or name, name.upper(), "KE", class_, leaf or f"leaf of {name}")


def said(acceded: Sequence[str] = (), applied: Sequence[Application] = (), left: dict[str, int] | None = None) -> Said:
    return Said(frozenset(map(origin, acceded)), left or {}, {asked.leaf: asked for asked in applied})


def admitted(name: str, decision: str = DECISION) -> Admitted:
    return Admitted(f"leaf of {name}", decision)


def standing(found: Roster, name: str) -> Standing | None:
    seat = found.seats.get(origin(name))
    return seat.standing if seat else None


def votes(found: Roster) -> dict[str, int]:
    return {seat.id: seat.votes for seat in found.seats.values() if seat.votes}


def hold(*effects: Effect, at: int = NOW, charter: Charter = FOUNDED, **others: Any) -> Roster:
    return roster(charter, said(**others), effects, at)


# Founders


def test_founders_are_invited_until_they_accede() -> None:
    assert {standing(hold(), name) for name in ("ke", "tn", "br")} == {Standing.INVITED}
    found = hold(acceded=["ke"])
    assert [seat.id for seat in found.members()] == ["ke"]
    assert votes(found) == {"ke": 1}


def test_a_charter_is_in_force_once_enough_founders_acceded() -> None:
    for acceded, in_force in (
        ([], False),
        (["ke"], False),
        (["ke", "xx"], False),
        (["ke", "tn"], True),
        (["ke", "tn", "br"], True),
    ):
        assert hold(acceded=acceded).in_force is in_force


def test_votes_are_those_of_the_class() -> None:
    weighty = replace(FOUNDED, classes=(*FOUNDED.classes, MemberClass(id="region", name="Region", open_to="region", votes=7)))
    charter = with_founders(weighty, [founder("eu", "region")])
    assert votes(hold(charter=charter, acceded=["ke", "br", "eu"])) == {"ke": 1, "eu": 7}


# Admission


def test_who_applies_is_an_applicant_and_has_no_vote() -> None:
    found = hold(applied=[application("xx")], acceded=["xx"])
    assert standing(found, "xx") is Standing.APPLICANT
    assert votes(found) == {}


def test_a_decision_admits_and_accession_makes_a_member() -> None:
    applied = [application("xx")]
    assert standing(hold(admitted("xx"), applied=applied), "xx") is Standing.ADMITTED
    found = hold(admitted("xx"), applied=applied, acceded=["xx"])
    assert standing(found, "xx") is Standing.MEMBER
    assert found.seats[origin("xx")].decision == DECISION
    assert votes(found) == {"xx": 1}


def test_accession_alone_makes_no_member() -> None:
    assert standing(hold(acceded=["xx"]), "xx") is None


def test_the_first_of_two_decisions_stands() -> None:
    found = hold(admitted("xx"), admitted("xx", OTHER), applied=[application("xx")])
    assert found.seats[origin("xx")].decision == DECISION


@pytest.mark.parametrize(
    "asked",
    [application("xx", "ke"), application("xx", class_="giant"), application("xx", leaf="another record")],
    ids=["id-of-a-founder", "unknown-class", "unknown-application"],
)
def test_what_cannot_be_had_is_not_had_even_if_it_is_decided(asked: Application) -> None:
    found = hold(admitted("xx"), applied=[asked], acceded=["xx"])
    assert standing(found, "xx") is Standing.APPLICANT
    assert votes(found) == {}


def test_of_two_applicants_with_one_id_the_first_that_is_admitted_has_it() -> None:
    applied = [application("xx", "nice"), application("yy", "nice")]
    for first, second in (("xx", "yy"), ("yy", "xx")):
        found = hold(admitted(first), admitted(second), applied=applied)
        assert (standing(found, first), standing(found, second)) == (Standing.ADMITTED, Standing.APPLICANT)


def test_who_applies_again_is_still_what_was_decided() -> None:
    again = application("xx", "other", leaf="leaf of the second")
    for applied in ([application("xx"), again], [again, application("xx")]):
        found = hold(admitted("xx"), applied=applied, acceded=["xx"])
        assert (standing(found, "xx"), found.seats[origin("xx")].id) == (Standing.MEMBER, "xx")
    assert hold(applied=[application("xx"), again]).seats[origin("xx")].id == "other"


def test_a_founder_that_applies_stays_what_it_is() -> None:
    found = hold(admitted("ke"), applied=[application("ke", class_="observer")], acceded=["ke"])
    assert (standing(found, "ke"), votes(found)) == (Standing.MEMBER, {"ke": 1})


# Suspension


@pytest.mark.parametrize(
    ("until", "at", "suspended"), [(None, NOW, True), (NOW + 1, NOW, True), (NOW, NOW, False), (1, NOW, False)]
)
def test_a_suspension_lasts_until_its_end_or_for_good(until: int | None, at: int, suspended: bool) -> None:  # noqa: FBT001
    found = hold(Suspended(origin("ke"), DECISION, until), at=at, acceded=["ke"])
    assert standing(found, "ke") is (Standing.SUSPENDED if suspended else Standing.MEMBER)
    assert votes(found) == ({} if suspended else {"ke": 1})
    assert found.in_force is hold(acceded=["ke"]).in_force


def test_a_suspension_ends_by_decision() -> None:
    effects = [Suspended(origin("ke"), DECISION), Restored(origin("ke"), OTHER)]
    found = hold(*effects, acceded=["ke"])
    assert (standing(found, "ke"), votes(found), found.seats[origin("ke")].decision) == (Standing.MEMBER, {"ke": 1}, OTHER)
    assert standing(hold(*effects, *effects[:1], acceded=["ke"]), "ke") is Standing.SUSPENDED


def test_who_is_restored_stands_where_it_stood() -> None:
    effects = [Suspended(origin(name), DECISION) for name in ("ke", "xx")] + [
        Restored(origin(name), OTHER) for name in ("ke", "xx")
    ]
    found = hold(admitted("xx"), *effects, applied=[application("xx")])
    assert (standing(found, "ke"), standing(found, "xx")) == (Standing.INVITED, Standing.ADMITTED)


def test_decisions_about_nobody_change_nothing() -> None:
    found = hold(Suspended(origin("xx"), DECISION), Restored(origin("xx"), OTHER), Restored(origin("ke"), OTHER), acceded=["ke"])
    assert found == hold(acceded=["ke"])


# Leaving


def test_who_leaves_is_gone_when_it_said_and_not_before() -> None:
    for at, expected in ((NOW - 1, Standing.MEMBER), (NOW, Standing.LEFT), (NOW + 1, Standing.LEFT)):
        found = hold(at=at, acceded=["ke"], left={origin("ke"): NOW})
        assert standing(found, "ke") is expected
        assert votes(found) == ({"ke": 1} if expected is Standing.MEMBER else {})


def test_who_never_belonged_cannot_leave() -> None:
    found = hold(applied=[application("xx")], left={origin("xx"): 1, origin("yy"): 1})
    assert (standing(found, "xx"), standing(found, "yy")) == (Standing.APPLICANT, None)


# Looking up


def test_a_member_is_found_before_who_merely_asks_for_its_id() -> None:
    found = hold(applied=[application("xx", "ke"), application("aa", "ke")], acceded=["ke"])
    assert found.find("ke") == found.seats[origin("ke")]
    assert found.find(origin("xx")) == found.seats[origin("xx")]
    assert found.find("nobody") is None


def test_whoever_belongs_is_entitled_whatever_it_does_now() -> None:
    effects = [admitted("xx"), Suspended(origin("tn"), DECISION)]
    found = hold(*effects, applied=[application("xx"), application("yy")], acceded=["ke"], left={origin("br"): 1})
    assert [seat.id for seat in found.entitled()] == ["ke", "tn", "xx"]
    assert [seat.id for seat in found.members()] == ["ke"]


def test_a_roster_cannot_be_changed() -> None:
    found: Any = hold()
    with pytest.raises(TypeError):
        found.seats["x"] = found.seats[origin("ke")]


# Laws


EFFECTS = st.lists(
    st.sampled_from([admitted("xx"), admitted("yy"), *(Suspended(origin(name), DECISION) for name in ("ke", "xx", "zz"))])
    | st.sampled_from([Suspended(origin("ke"), OTHER, NOW + 5), Restored(origin("ke"), OTHER), Restored(origin("xx"), OTHER)]),
    max_size=8,
)
SAID = st.builds(
    said,
    st.lists(st.sampled_from(["ke", "tn", "xx", "yy", "zz"])),
    st.lists(st.sampled_from([application("xx"), application("yy"), application("yy", "xx"), application("zz", "ke")])),
    st.dictionaries(st.sampled_from([origin(name) for name in ("ke", "xx")]), st.integers(NOW - 1, NOW + 1)),
)


@given(SAID, EFFECTS)
def test_only_members_vote_and_no_two_who_belong_share_an_id(what: Said, effects: list[Effect]) -> None:
    found = roster(FOUNDED, what, effects, NOW)
    for seat in found.seats.values():
        assert bool(seat.votes) <= (seat.standing is Standing.MEMBER)
        assert (seat.standing is not Standing.MEMBER) or seat.origin in what.acceded
    ids = [seat.id for seat in found.entitled()]
    assert len(set(ids)) == len(ids)
    assert roster(FOUNDED, what, effects, NOW) == found
