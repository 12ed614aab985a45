"""A node: who may say what, and what a checkpoint needs to be good."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from concord.edges.peer.pull import pull
from concord.errors import (
    ClockError,
    ForgedError,
    MalformedError,
    MissingError,
    RefusedError,
    StorageError,
    TooLargeError,
)
from concord.ledger.conformance import pillar_laws
from concord.ledger.evidence import Evidence
from concord.ledger.identity import Identity, Reset
from concord.ledger.keyring import NewMember
from concord.ledger.pillar import Role
from concord.ledger.record import Record, seal, tag
from concord.ledger.statements import LEDGER, Deposit, Erase
from concord.ledger.view import State, records
from concord.node import CLOCK_TOLERANCE, PILLARS, Node, kind_of
from concord.pillars.members import Accede, Accredit, Admit, Apply, Charter, Found, Leave, Profile, Recover, Sponsor, Suspend
from concord.private.people import READ, Speaker
from concord.testing import (
    NOW,
    Clock,
    MemoryStorage,
    NodeSource,
    everything,
    make_charter,
    make_member,
    make_node,
    make_organisation,
)
from concord.tlog import checkpoint as checkpoints
from concord.tlog import cosignature
from concord.tlog import policy as policies
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.merkle import EMPTY_ROOT
from concord.tlog.note import Note
from concord.tlog.policy import Policy, safe_quorum

KE, TN = make_member("ke"), make_member("tn")
PROFILE = {"name": "Kenya", "country": "KE"}


def node_of(*members: NewMember, clock: Clock | None = None, storage: MemoryStorage | None = None) -> Node:
    node = make_node(members, storage, clock or Clock())
    if node.charter is None:
        node.adopt(make_charter([KE, TN]))
    return node


def speaker(*roles: Role, scopes: set[str] | None = None, member: NewMember = KE) -> Speaker:
    return Speaker("amina", "Amina", member.origin, frozenset(roles), None if scopes is None else frozenset(scopes))


def sizes(node: Node) -> dict[str, int]:
    return {origin: node.holdings.tree(origin).size for origin in node.holdings.origins()}


def last(node: Node, member: NewMember = KE) -> Any:
    tree = node.holdings.tree(member.origin)
    return node.read(tree.entry(tree.size - 1))


# Saying


def test_what_is_said_stands_in_the_log_and_in_the_view() -> None:
    node = node_of(KE)
    said = node.say(speaker(Role.CLERK), Profile, PROFILE)
    assert (said.origin, said.index) == (KE.origin, 1)
    record = last(node)
    assert (record.by, record.at, record.org, record.name) == (KE.origin, NOW, node.organisation, "Kenya")
    with node.reading() as db:
        row = db.execute(records.select().where(records.c.leaf == bytes.fromhex(said.leaf))).one()
    assert State(row.state) is State.APPLIED


def test_what_binds_is_sealed_by_the_office() -> None:
    node = node_of(KE)
    node.say(speaker(Role.DELEGATE), Accede, {"charter": node.organisation})
    assert [part.key for part in last(node).seals] == [KE.identity.organs["office"]]


def test_what_binds_cannot_be_said_where_the_office_is_not() -> None:
    node = node_of(KE)
    node.holdings.keyring = type(node.holdings.keyring)([KE.keys["log"]])
    with pytest.raises(RefusedError, match="sealed by its office"):
        node.say(speaker(Role.DELEGATE), Accede, {"charter": node.organisation})
    assert sizes(node) == {KE.origin: 1}


def test_a_seal_that_is_brought_along_is_kept() -> None:
    node = node_of(KE)
    leave = Leave(by=KE.origin, org=node.organisation, at=NOW, effective=NOW)
    seals = to_builtins(seal(leave, [KE.keys["root-1"].seed, KE.keys["root-2"].seed]))["seals"]
    node.say(speaker(Role.DELEGATE), Leave, {"effective": NOW, "seals": seals})
    assert len(last(node).seals) == 2


ROLES: dict[type[Record], Role] = {kind: role for pillar in (LEDGER, *PILLARS) for kind, role in pillar.roles.items()}


@pytest.mark.parametrize("kind", ROLES, ids=tag)
def test_whoever_lacks_the_role_says_nothing(kind: type[Record]) -> None:
    """All other roles together do not make up for the one that is needed."""
    node = node_of(KE)
    others = [role for role in Role if role is not ROLES[kind]]
    for refused in (speaker(), speaker(*others), speaker(ROLES[kind], scopes={READ, *others}), speaker(ROLES[kind], scopes=set())):
        with pytest.raises(RefusedError, match=f"{tag(kind)} is for a person with the role {ROLES[kind]}"):
            node.say(refused, kind, {})
    assert sizes(node) == {KE.origin: 1}


def test_a_token_with_the_scope_says_it() -> None:
    node = node_of(KE)
    assert node.say(speaker(Role.CLERK, Role.ADMIN, scopes={"clerk"}), Profile, PROFILE).index == 1


def test_nobody_says_what_is_the_nodes_to_say() -> None:
    node = node_of(KE)
    with pytest.raises(RefusedError):
        node.say(everything(KE.origin), Evidence, {})
    with pytest.raises(RuntimeError, match="for people to say"):
        node.say_itself(KE.origin, Profile, PROFILE)


def test_a_member_that_is_not_hosted_here_says_nothing_here() -> None:
    ke, tn = make_organisation([[KE], [TN]])
    pull(tn, NodeSource(ke))
    before = sizes(tn)
    for elsewhere in (KE.origin, make_member("xx").origin):
        with pytest.raises(MissingError, match="not a log that this node signs"):
            tn.say(everything(elsewhere), Profile, PROFILE)
    assert sizes(tn) == before


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Profile, {}),
        (Profile, {"name": "Kenya"}),
        (Profile, PROFILE | {"country": "Kenya"}),
        (Profile, PROFILE | {"name": "a\nb"}),
        (Profile, PROFILE | {"name": "a\tb"}),
        (Profile, PROFILE | {"name": "\ud800"}),
        (Profile, PROFILE | {"names": {"français": "Kenya"}}),
        (Profile, PROFILE | {"anthem": "la"}),
        (Profile, PROFILE | {"about": "x" * 20_001}),
        (Profile, PROFILE | {"seen": ["not a leaf"]}),
        (Profile, PROFILE | {"site": "javascript:alert(1)"}),
        (Accede, {"charter": "short"}),
        (Accede, {"charter": "00" * 32 + "\n"}),
        (Leave, {"effective": -1}),
        (Leave, {"effective": 2**53}),
        (Leave, {"effective": 1.5}),
        (Leave, {"effective": "soon"}),
        (Leave, {"effective": 1, "reason": "\ud800"}),
        (Deposit, {"name": "x", "blob": {"digest": "../../etc/passwd", "size": 1, "media": "a/b"}}),
    ],
    ids=lambda value: ascii(value)[:60] if isinstance(value, dict) else tag(value),
)
def test_malformed_fields_are_refused_and_leave_the_log_alone(kind: type[Record], fields: dict[str, Any]) -> None:
    node = node_of(KE)
    with pytest.raises(MalformedError):
        node.say(everything(KE.origin), kind, fields)
    assert sizes(node) == {KE.origin: 1}


def test_a_record_that_is_too_large_is_refused() -> None:
    node = node_of(KE)
    names = {f"{chr(97 + number)}{chr(97 + other)}": "€" * 300 for number in range(4) for other in range(8)}
    with pytest.raises(TooLargeError):
        node.say(everything(KE.origin), Profile, PROFILE | {"names": names, "about": "€" * 20_000})


@pytest.mark.parametrize("claimed", [{"by": TN.origin}, {"at": 1}, {"type": "members.leave"}])
def test_nobody_chooses_for_whom_or_when_he_speaks(claimed: dict[str, Any]) -> None:
    node = node_of(KE, TN)
    node.say(speaker(Role.CLERK), Profile, PROFILE | claimed)
    record = last(node)
    assert (type(record), record.by, record.at) == (Profile, KE.origin, NOW)


def test_a_clock_that_is_far_behind_its_own_log_is_told_and_one_that_is_a_little_behind_is_not() -> None:
    clock, storage = Clock(), MemoryStorage()
    node = node_of(KE, clock=clock, storage=storage)
    node.say(speaker(Role.CLERK), Profile, PROFILE)
    for again in (node, node_of(KE, clock=clock, storage=storage)):
        clock.now = NOW - CLOCK_TOLERANCE - 1
        with pytest.raises(ClockError, match=f"{CLOCK_TOLERANCE + 1} seconds ahead of this machine's clock"):
            again.say(speaker(Role.CLERK), Profile, PROFILE)
        clock.now = NOW - CLOCK_TOLERANCE
        again.say(speaker(Role.CLERK), Profile, PROFILE)
        clock.now = NOW
        again.say(speaker(Role.CLERK), Profile, PROFILE)


def test_a_full_disk_refuses_and_nothing_of_it_is_shown() -> None:
    storage = MemoryStorage()
    node = node_of(KE, storage=storage)
    storage.room = 0
    with pytest.raises(StorageError):
        node.say(speaker(Role.CLERK), Profile, PROFILE)
    storage.room = None
    assert sizes(node) == {KE.origin: 1} == {KE.origin: node.view.size(KE.origin)}
    assert node.say(speaker(Role.CLERK), Profile, PROFILE).index == 1


def test_a_member_whose_log_forked_says_nothing_until_it_is_settled() -> None:
    storage = MemoryStorage()
    ke = node_of(KE, storage=storage)
    twin = node_of(KE, storage=MemoryStorage(storage.backup()))
    ke.say(speaker(Role.CLERK), Profile, PROFILE)
    twin.say(speaker(Role.CLERK), Profile, PROFILE | {"name": "Another"})
    pull(ke, NodeSource(twin))
    before = sizes(ke)
    with pytest.raises(RefusedError, match="two different histories"):
        ke.say(speaker(Role.CLERK), Profile, PROFILE)
    with pytest.raises(RefusedError, match="two different histories"):
        ke.say_identity(replace(KE.identity, number=1))
    assert sizes(ke) == before


def test_a_reset_is_the_roots_to_say_and_not_the_offices() -> None:
    node = node_of(KE)
    fields = {"size": 1, "root": "00" * 32}
    said = node.say(speaker(Role.ADMIN), Reset, fields)
    reset = Reset(by=KE.origin, org=node.organisation, at=NOW, **fields)  # type: ignore[arg-type]
    seals = to_builtins(seal(reset, [KE.keys["root-1"].seed, KE.keys["root-2"].seed]))["seals"]
    node.say(speaker(Role.ADMIN), Reset, fields | {"seals": seals})
    with node.reading() as db:
        found = db.execute(records.select().where(records.c.type == tag(Reset)).order_by(records.c.index)).all()
    assert said.index == 1
    assert [State(row.state) for row in found] == [State.UNREADABLE, State.APPLIED]


# The organisation


def test_a_node_serves_one_organisation() -> None:
    node = node_of(KE)
    assert node.charter is not None
    node.adopt(node.charter)
    with pytest.raises(RefusedError, match="one node serves one organisation"):
        node.adopt(make_charter([TN]))
    assert make_node().roster().seats == {}


def test_types_are_found_by_their_names() -> None:
    pillar_laws((LEDGER, *PILLARS))
    for kind in ROLES:
        assert kind_of(tag(kind)) is kind
    assert {Found, Accede, Apply, Sponsor, Admit, Suspend, Leave, Recover, Profile, Accredit, Identity, Erase} <= set(ROLES)
    with pytest.raises(MissingError):
        kind_of("members.greet")


# What makes a checkpoint good


def good(found: Policy, *cosigners: NewMember) -> bool:
    """Whether a checkpoint of KE with these cosignatures satisfies the policy."""
    signed = checkpoints.sign(Checkpoint(KE.origin, 0, EMPTY_ROOT), KE.keys["log"].seed)
    lines = [cosignature.cosign(signed.text, f"{each.origin}/witness", each.keys["witness"].seed, NOW) for each in cosigners]
    try:
        policies.accept(found, Note(signed.text, (*signed.signatures, *lines)))
    except ForgedError:
        return False
    return True


@pytest.fixture
def federation() -> Callable[..., tuple[Node, list[NewMember]]]:
    """A node of KE that holds the logs of these members of its organisation."""

    def make(*names: str) -> tuple[Node, list[NewMember]]:
        others = [make_member(name) for name in names]
        charter: Charter = make_charter([KE, *others])
        ke = make_node([KE, *others])
        ke.adopt(charter)
        return ke, others

    return make


def test_a_checkpoint_needs_a_safe_quorum_of_the_other_members(federation: Callable[..., tuple[Node, list[NewMember]]]) -> None:
    for count in range(1, 6):
        ke, others = federation(*(f"m{number}" for number in range(count)))
        enough = safe_quorum(count)
        assert good(ke.policy(KE.origin), *others[:enough])
        assert not good(ke.policy(KE.origin), *others[: enough - 1])
        assert not good(ke.policy(KE.origin), *others[: enough - 1], KE)
        assert not good(ke.policy(KE.origin), *others[: enough - 1], make_member("nobody"))


def test_a_member_that_changed_its_witness_key_counts_once(federation: Callable[..., tuple[Node, list[NewMember]]]) -> None:
    ke, (one, other, third) = federation("one", "other", "third")
    new = make_member("a new witness")
    roots = [one.keys["root-1"].seed, one.keys["root-2"].seed]
    ke.say_identity(seal(replace(one.identity, number=1, witness=new.identity.witness), roots))
    both = [one, replace_witness(one, new)]
    assert good(ke.policy(KE.origin), one, other, third)
    assert good(ke.policy(KE.origin), both[1], other, third)
    assert not good(ke.policy(KE.origin), *both, other)


def replace_witness(member: NewMember, new: NewMember) -> NewMember:
    return NewMember(member.origin, member.identity, {**member.keys, "witness": new.keys["witness"]})


@pytest.mark.parametrize("names", [("none", "tn"), ("enough-members", "tn"), ("a", "a-1", "a-2"), ("enough", "key", "member")])
def test_no_name_of_a_member_confuses_the_quorum(
    names: tuple[str, ...], federation: Callable[..., tuple[Node, list[NewMember]]]
) -> None:
    """A policy has names of its own; a member that is called like one of them is a member like any other."""
    ke, others = federation(*names)
    enough = safe_quorum(len(others))
    assert not good(ke.policy(KE.origin))
    for start in range(len(others)):
        turned = [*others[start:], *others[:start]]
        assert good(ke.policy(KE.origin), *turned[:enough])
        assert not good(ke.policy(KE.origin), *turned[: enough - 1])
    assert policies.parse(str(ke.policy(KE.origin)).encode()) == ke.policy(KE.origin)
