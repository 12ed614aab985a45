"""What members say of membership, read from their logs: who accedes, applies, sponsors, leaves, presents and accredits."""

from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from sqlalchemy import select

from concord.edges.peer.pull import pull
from concord.ledger.conformance import handler_laws
from concord.ledger.pillar import Stamp
from concord.ledger.record import Record
from concord.ledger.view import State, records
from concord.node import Node
from concord.pillars.members import (
    PILLAR,
    Accede,
    Accredit,
    Admit,
    Admitted,
    Apply,
    Charter,
    Found,
    Leave,
    Profile,
    Recover,
    Sponsor,
    Standing,
    Suspend,
)
from concord.pillars.members import view as members_view
from concord.testing import NOW, Clock, NodeSource, everything, make_charter, make_member, make_node, make_organisation

KE, TN, XX, YY = (make_member(name) for name in ("ke", "tn", "xx", "yy"))
CHARTER = make_charter([KE, TN])


def say(node: Node, member: Any, kind: type[Record], **fields: Any) -> str:
    return node.say(everything(member.origin), kind, fields).leaf


def node_of(*members: Any, clock: Clock | None = None) -> Node:
    """A node that serves the organisation, and hosts `members`, of whom nobody has said anything yet."""
    node = make_node(members, clock=clock or Clock())
    node.adopt(CHARTER)
    return node


def application(**changed: Any) -> dict[str, Any]:
    return {"charter": CHARTER.digest(), "id": "xx", "name": "XX", "country": "KE", "class": "institute"} | changed


def standing(node: Node, member: Any, *effects: Any, cut: dict[str, int] | None = None) -> Standing | None:
    seat = node.roster(effects, cut).seats.get(member.origin)
    return seat.standing if seat else None


def last_state(node: Node) -> State:
    with node.reading() as db:
        return State(db.scalars(select(records.c.state).order_by(records.c.log.desc(), records.c.index.desc())).first())


# Accession, and cuts


def test_founders_that_accede_bring_the_charter_into_force() -> None:
    ke, tn = make_organisation([[KE], [TN]])
    assert not ke.roster().in_force
    pull(ke, NodeSource(tn))
    assert ke.roster().in_force
    assert [seat.id for seat in ke.roster().members()] == ["ke", "tn"]
    with ke.reading() as db:
        assert members_view.charter(db, ke.organisation) == ke.charter
        assert members_view.charter(db, "00" * 32) is None


def test_accession_to_another_charter_is_none() -> None:
    node = node_of(KE)
    say(node, KE, Accede, charter="00" * 32)
    assert standing(node, KE) is Standing.INVITED
    say(node, KE, Accede, charter=CHARTER.digest())
    assert standing(node, KE) is Standing.MEMBER


def test_what_comes_after_a_cut_does_not_count_at_it() -> None:
    node = node_of(KE, TN, XX)
    say(node, KE, Accede, charter=CHARTER.digest())
    leaf = say(node, XX, Apply, **application())
    sizes = {member.origin: node.holdings.tree(member.origin).size for member in (KE, TN, XX)}
    say(node, TN, Accede, charter=CHARTER.digest())
    say(node, TN, Sponsor, application=leaf, applicant=XX.origin)
    say(node, KE, Leave, effective=NOW)
    assert [standing(node, member) for member in (KE, TN, XX)] == [Standing.LEFT, Standing.MEMBER, Standing.APPLICANT]
    at_cut = [standing(node, member, cut=sizes) for member in (KE, TN, XX)]
    assert at_cut == [Standing.MEMBER, Standing.INVITED, Standing.APPLICANT]
    earlier = sizes | {XX.origin: sizes[XX.origin] - 1}
    assert standing(node, XX, cut=earlier) is None
    assert [standing(node, member, cut={}) for member in (KE, TN, XX)] == [Standing.INVITED, Standing.INVITED, None]
    with node.reading() as db:
        assert members_view.said(db, node.organisation, sizes).applicants()[XX.origin].sponsors == frozenset()
        assert members_view.said(db, node.organisation).applicants()[XX.origin].sponsors == {TN.origin}


# Founding


@pytest.mark.parametrize(
    ("member", "charter", "org", "readable"),
    [
        (KE, CHARTER, CHARTER.digest(), True),
        (XX, CHARTER, CHARTER.digest(), False),
        (KE, replace(CHARTER, name="Another"), CHARTER.digest(), False),
        (KE, replace(CHARTER, roles=("king",)), replace(CHARTER, roles=("king",)).digest(), False),
    ],
    ids=["by-a-founder", "by-nobody-it-names", "under-the-digest-of-another", "that-does-not-fit-together"],
)
def test_a_charter_counts_that_a_founder_puts_forward_under_its_own_digest(
    member: Any,
    charter: Charter,
    org: str,
    readable: bool,  # noqa: FBT001
) -> None:
    node = make_node([member])
    node.adopt(charter if org == charter.digest() else CHARTER)
    say(node, member, Found, charter=to_builtins(charter), org=org)
    assert last_state(node) is (State.APPLIED if readable else State.UNREADABLE)
    with node.reading() as db:
        assert (members_view.charter(db, org) is not None) is readable


# Applying


def test_an_application_is_sponsored_decided_and_acceded_to() -> None:
    node = node_of(KE, TN, XX)
    leaf = say(node, XX, Apply, **application())
    assert standing(node, XX) is Standing.APPLICANT
    for sponsor in (KE, TN, TN):
        say(node, sponsor, Sponsor, application=leaf, applicant=XX.origin)
    with node.reading() as db:
        assert members_view.said(db, node.organisation).applicants()[XX.origin].sponsors == {KE.origin, TN.origin}
    decided = Admitted(leaf, "d1" * 32)
    assert standing(node, XX, decided) is Standing.ADMITTED
    say(node, XX, Accede, charter=CHARTER.digest())
    assert standing(node, XX, decided) is Standing.MEMBER
    assert standing(node, XX) is Standing.APPLICANT


def test_the_last_application_for_this_charter_stands_until_one_is_decided() -> None:
    node = node_of(XX)
    say(node, XX, Apply, **application(charter="00" * 32))
    assert standing(node, XX) is None
    first = say(node, XX, Apply, **application())
    last = say(node, XX, Apply, **application(id="yy"))
    assert node.roster().seats[XX.origin].id == "yy"
    for leaf, expected in ((first, "xx"), (last, "yy")):
        seat = node.roster([Admitted(leaf, "d1" * 32)]).seats[XX.origin]
        assert (seat.id, seat.standing) == (expected, Standing.ADMITTED)


def test_a_sponsor_that_is_ahead_of_the_application_waits_for_it() -> None:
    applicant, host = node_of(XX), node_of(KE)
    leaf = say(applicant, XX, Apply, **application())
    say(host, KE, Sponsor, application=leaf, applicant=XX.origin)
    assert last_state(host) is State.WAITING
    pull(host, NodeSource(applicant))
    with host.reading() as db:
        assert members_view.said(db, host.organisation).applicants()[XX.origin].sponsors == {KE.origin}


# Leaving


def test_who_leaves_does_so_when_it_said() -> None:
    clock = Clock()
    node = node_of(KE, clock=clock)
    say(node, KE, Accede, charter=CHARTER.digest())
    say(node, KE, Leave, effective=NOW + 100)
    assert standing(node, KE) is Standing.MEMBER
    clock.now += 100
    assert standing(node, KE) is Standing.LEFT


# Presenting and accrediting


def test_the_last_profile_stands_whole() -> None:
    node = node_of(KE, TN)
    say(node, KE, Profile, name="Kenya", country="KE", about="first", names={"fr": "Kenya", "ar": "كينيا"})
    say(node, KE, Profile, name="Republic of Kenya", country="KE")
    say(node, TN, Profile, name="Tunisia", country="TN", names={"fr": "Tunisie"})
    with node.reading() as db:
        found = members_view.profiles(db)
    assert (found[KE.origin]["name"], found[KE.origin]["about"], found[KE.origin]["names"]) == ("Republic of Kenya", "", {})
    assert found[TN.origin]["names"] == {"fr": "Tunisie"}


def test_a_person_is_accredited_until_the_last_word_says_otherwise() -> None:
    node = node_of(KE, TN)

    def accredited(at: int = NOW) -> dict[str, list[str]]:
        with node.reading() as db:
            return {row["person"]: row["roles"] for row in members_view.accredited(db, KE.origin, at)}

    say(node, KE, Accredit, person="p-1", roles=["delegate", "clerk"])
    say(node, KE, Accredit, person="p-2", roles=["officer"], until=NOW + 10)
    say(node, TN, Accredit, person="p-3", roles=["officer"])
    assert accredited() == {"p-1": ["delegate", "clerk"], "p-2": ["officer"]}
    assert accredited(NOW + 10) == {"p-1": ["delegate", "clerk"]}
    say(node, KE, Accredit, person="p-1", roles=["delegate"])
    assert accredited()["p-1"] == ["delegate"]
    say(node, KE, Accredit, person="p-1")
    assert accredited() == {"p-2": ["officer"]}


def test_what_personal_particulars_say_leaves_no_trace_in_the_tables_but_their_digest() -> None:
    node = node_of(KE)
    part = node.blobs.detach(b"Amina of Nairobi", "text/plain", bytes(32))
    say(node, KE, Accredit, person="p-1", roles=["delegate"], particulars=to_builtins(part))
    with node.reading() as db:
        (row,) = members_view.accredited(db, KE.origin, NOW)
    assert row["particulars"] == part.digest
    assert node.attached(part) == b"Amina of Nairobi"


# Laws


def test_the_handlers_of_members_are_pure() -> None:
    stamp = Stamp(KE.origin, 1, "00" * 32, KE.identity)
    common: dict[str, Any] = {"by": KE.origin, "at": NOW}
    leaf = "ab" * 32
    said: list[Record] = [
        Found(**common, org=CHARTER.digest(), charter=CHARTER),
        Accede(**common, charter=CHARTER.digest()),
        Apply(**common, charter=CHARTER.digest(), id="xx", name="XX", country="KE", class_="institute"),
        Sponsor(**common, application=leaf, applicant=XX.origin),
        Admit(**common, application=leaf, applicant=XX.origin, decision=leaf),
        Suspend(**common, member=XX.origin, decision=leaf),
        Leave(**common, effective=NOW),
        Recover(**common, member=XX.origin, root=KE.identity.root, decision=leaf),
        Profile(**common, name="Kenya", country="KE", names={"fr": "Kenya"}),
        Accredit(**common, person="p-1", roles=("delegate",)),
    ]
    assert {type(record) for record in said} == set(PILLAR.handlers)
    handler_laws(PILLAR, [(stamp, record) for record in said])
