"""A log that forked: everybody who hears of it stops at the same place, and goes on with the branch that stands."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from concord.edges.peer.pull import pull
from concord.errors import ForkedError, RefusedError
from concord.ledger import witness
from concord.ledger.evidence import check
from concord.ledger.identity import Identity
from concord.ledger.record import ENCODER, seal
from concord.ledger.statements import Deposit
from concord.ledger.statements import evidence as evidence_table
from concord.ledger.storage.files import Files
from concord.ledger.tree import Tree, folder
from concord.node import Node
from concord.testing import MemoryStorage, NodeSource, everything, make_member, make_node, make_organisation

Audit = Callable[[Tree], list[bytes]]  # the fixture of tests/conftest.py

KE = make_member("ke")
OTHERS = [make_member(name) for name in ("tn", "br", "jp", "xx")]


def deposit(node: Node, name: str) -> None:
    """Something that KE says."""
    blob = {"digest": "00" * 32, "size": 1, "media": "text/plain", "salted": True}
    node.say(everything(KE.origin), Deposit, {"name": name, "blob": blob})


def mesh(nodes: Iterable[Node], rounds: int = 2) -> None:
    """What each node knows comes to all: one pulls from all the others, and they from it, some rounds."""
    hub, *others = nodes
    for _ in range(rounds):
        for other in others:
            pull(hub, NodeSource(other))
        for other in others:
            pull(other, NodeSource(hub))


def backup(node: Node) -> dict[str, bytes]:
    storage = node.holdings.storage
    assert isinstance(storage, MemoryStorage)
    return storage.backup()


def twin(node: Node) -> Node:
    """The node of KE as a restored backup starts it: the same keys, the same log, and soon another history."""
    return make_node([KE], MemoryStorage(backup(node)))


def counted(node: Node) -> int:
    return node.view.size(KE.origin)


def accused(node: Node) -> set[str]:
    """Whom the records that `node` has read accuse."""
    with node.reading() as db:
        return set(db.scalars(select(evidence_table.c.accused)))


@cache
def founded(others: int) -> list[dict[str, bytes]]:
    """What the nodes of KE and of so many other members store, once all have cosigned everything."""
    nodes = make_organisation([[KE], *([member] for member in OTHERS[:others])])
    mesh(nodes)
    return [backup(node) for node in nodes]


def organisation(others: int) -> tuple[Node, list[Node]]:
    """The node of KE, and those of so many other members, who all cosigned the log of KE at its size."""
    nodes = [make_node([member], MemoryStorage(files)) for member, files in zip((KE, *OTHERS), founded(others), strict=False)]
    for node in nodes:
        node.cosign()
        cosigned = node.holdings.cosigned(KE.origin)
        assert cosigned is not None
        assert cosigned.checkpoint.size == node.holdings.tree(KE.origin).size == 3
    return nodes[0], nodes[1:]


# When two branches meet


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (1, 3), (3, 1)], ids=["same-size", "shown-larger", "held-larger"])
def test_two_branches_that_meet_are_evidence_and_the_log_stops_where_it_was_well_cosigned(ours: int, theirs: int) -> None:
    ke, (tn, br, jp) = organisation(3)
    other = twin(ke)
    for number in range(ours):
        deposit(ke, f"ours {number}")
    for number in range(theirs):
        deposit(other, f"theirs {number}")
    pull(tn, NodeSource(ke))
    pull(br, NodeSource(other))
    assert (counted(tn), counted(br)) == (3 + ours, 3 + theirs)

    report = pull(tn, NodeSource(br))
    assert isinstance(report.wrong[KE.origin], ForkedError)
    first, second = check(tn.disputes()[KE.origin])
    assert {first.size, second.size} == {3 + ours, 3 + theirs}
    assert counted(tn) == 3

    mesh([tn, br, jp])
    for node in (tn, br, jp):
        assert set(node.disputes()) == {KE.origin}
        assert counted(node) == 3
        assert accused(node) == {KE.origin}
        assert node.view.digests() == tn.view.digests()


def test_a_disputed_log_is_cosigned_by_nobody_and_says_nothing_more() -> None:
    ke, (tn, br, jp) = organisation(3)
    other = twin(ke)
    deposit(ke, "ours")
    deposit(other, "theirs")
    pull(tn, NodeSource(ke))
    pull(br, NodeSource(other))
    mesh([tn, br, jp])
    for branch in (ke, other):
        tree = branch.holdings.tree(KE.origin)
        for node in (tn, br, jp):
            with pytest.raises(RefusedError, match="disputed"):
                node.cosign_for(witness.request_for(tree, 3))
    pull(ke, NodeSource(br))
    assert KE.origin in ke.disputes()
    assert counted(ke) == 3
    with pytest.raises(RefusedError, match="two different histories"):
        deposit(ke, "more")


def test_evidence_is_told_once_and_reaches_who_saw_one_branch_only() -> None:
    ke, (tn, br, jp) = organisation(3)
    other = twin(ke)
    deposit(ke, "ours")
    deposit(other, "theirs")
    pull(tn, NodeSource(ke))
    pull(jp, NodeSource(ke))
    pull(tn, NodeSource(other))
    pull(jp, NodeSource(tn))
    assert set(jp.disputes()) == {KE.origin}
    before = {node: node.holdings.tree(origin).size for node, origin in ((tn, OTHERS[0].origin), (jp, OTHERS[2].origin))}
    mesh([tn, br, jp], 4)
    for node, origin in ((tn, OTHERS[0].origin), (jp, OTHERS[2].origin)):
        assert node.holdings.tree(origin).size <= before[node] + 1


def test_a_branch_that_our_witness_cosigned_and_another_that_we_copied_are_evidence() -> None:
    """The witness is asked over the network, and may be ahead of the copy."""
    ke, (tn, br, jp) = organisation(3)
    other = twin(ke)
    deposit(other, "cosigned")
    assert tn.cosign_for(witness.request_for(other.holdings.tree(KE.origin), 3))
    deposit(ke, "copied")
    deposit(ke, "copied, too")
    report = pull(tn, NodeSource(ke))
    assert isinstance(report.wrong[KE.origin], ForkedError)
    assert [each.size for each in check(tn.disputes()[KE.origin])] == [4, 5]
    mesh([tn, br, jp])
    assert {counted(node) for node in (tn, br, jp)} == {3}


def test_a_node_whose_logs_are_paused_keeps_its_evidence_until_they_are_not() -> None:
    ke, (tn, *_) = organisation(3)
    other = twin(ke)
    deposit(ke, "ours")
    deposit(other, "theirs")
    own = tn.holdings.log(OTHERS[0].origin)
    own.pause("we were restored from a backup")
    for source in (ke, other, ke):
        pull(tn, NodeSource(source))
    assert (set(tn.disputes()), accused(tn)) == ({KE.origin}, set())
    own.pause(None)
    pull(tn, NodeSource(ke))
    assert accused(tn) == {KE.origin}


def test_a_log_that_was_never_well_cosigned_counts_for_nothing_once_it_forks() -> None:
    ke, tn = make_organisation([[KE], [OTHERS[0]]])
    other = twin(ke)
    deposit(ke, "ours")
    deposit(other, "theirs")
    tn.holdings.storage.remove([f"logs/{folder(KE.origin)}/cosigned"])
    pull(tn, NodeSource(ke))
    tn.holdings.storage.remove([f"logs/{folder(KE.origin)}/cosigned"])
    pull(tn, NodeSource(other))
    assert KE.origin in tn.disputes()
    assert counted(tn) == 0
    assert tn.holdings.tree(KE.origin).size == 4


def test_what_forks_on_real_files_does_not_stand_in_its_own_way(tmp_path: Path) -> None:
    """A file lock is not given twice to one thread, as the lock of the storage in memory is."""
    ke, _ = organisation(1)
    other = twin(ke)
    tn = make_node([OTHERS[0]], Files(tmp_path))  # type: ignore[arg-type]
    assert ke.charter is not None
    tn.adopt(ke.charter)
    deposit(ke, "ours")
    deposit(other, "theirs")
    for source in (ke, other, ke):
        pull(tn, NodeSource(source))
    assert KE.origin in tn.disputes()


# The branch that stands


def branched(more: int) -> tuple[Node, Node, list[Node]]:
    """A node, its twin on a branch that loses, and three others, of which only the first has heard of that branch."""
    ke, others = organisation(4)
    losing = twin(ke)
    deposit(losing, "losing")
    pull(others[0], NodeSource(losing))
    for number in range(1 + more):
        deposit(ke, f"standing {number}")
    mesh([ke, *others[1:]])
    return ke, losing, others


@pytest.mark.parametrize("more", [0, 1, 4], ids=lambda more: f"standing-branch-longer-by-{more}")
def test_a_node_on_the_losing_branch_sets_its_copy_aside_and_takes_the_branch_that_stands(more: int, audit: Audit) -> None:
    ke, _, (tn, *rest) = branched(more)
    standing = rest[0].holdings.cosigned(KE.origin)
    assert standing is not None
    assert standing.checkpoint.size == 4 + more

    mesh([tn, *rest])
    assert KE.origin in tn.disputes()
    assert audit(tn.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))
    assert [name for name in tn.holdings.storage.names("forks") if name.endswith("/checkpoint")]
    for node in (tn, *rest):
        assert counted(node) == 4 + more
        assert node.view.digests() == tn.view.digests()


@pytest.mark.parametrize("more", [0, 4], ids=lambda more: f"standing-branch-longer-by-{more}")
def test_a_line_that_breaks_while_branches_are_changed_leaves_a_node_that_still_changes(more: int, audit: Audit) -> None:
    ke, losing, (tn, *rest) = branched(more)
    pull(tn, NodeSource(losing))
    for _ in range(4):
        pull(tn, NodeSource(rest[0], lambda path: f"{folder(KE.origin)}/tile/entries" in path))
    mesh([tn, *rest])
    assert audit(tn.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))
    assert counted(tn) == 4 + more


def test_the_owner_of_a_forked_log_takes_back_the_branch_that_stands(audit: Audit) -> None:
    ke, nodes = organisation(4)
    losing = twin(ke)
    deposit(ke, "standing")
    mesh([ke, *nodes])
    deposit(losing, "losing")
    mesh([losing, *nodes])
    assert KE.origin in losing.disputes()
    assert audit(losing.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))


# Who would rather not be accused


def identities(count: int) -> list[Identity]:
    """So many identities of KE after its first, each as large as it may be, and each in effect."""
    roots = [KE.keys["root-1"].seed, KE.keys["root-2"].seed]
    said: list[Identity] = [KE.identity]
    for number in range(1, count + 1):
        said.append(seal(replace(said[-1], number=number, at=said[-1].at + 1), roots))
    return said[1:]


@pytest.mark.parametrize(
    "prepare",
    [
        [b'\xff"type":"ledger.identity"'] * 3,
        [b'{"type":"ledger.identity"}' + b"x" * 40_000] * 3,
        [ENCODER.encode(said) for said in identities(70)],
    ],
    ids=["junk", "much-junk", "many-identities"],
)
def test_nobody_stops_the_others_by_making_evidence_hard_to_say(prepare: list[bytes]) -> None:
    ke, (tn, br, jp) = organisation(3)
    ke.holdings.log(KE.origin).append(prepare)
    other = twin(ke)
    deposit(ke, "ours")
    deposit(other, "theirs")
    pull(tn, NodeSource(ke))
    pull(tn, NodeSource(other))
    assert set(tn.disputes()) == {KE.origin}
    assert counted(tn) == 3
    deposit_: Any = {"name": "goes on", "blob": {"digest": "11" * 32, "size": 1, "media": "text/plain", "salted": True}}
    br.say(everything(OTHERS[1].origin), Deposit, deposit_)
    pull(tn, NodeSource(br))
    assert tn.view.size(OTHERS[1].origin) == br.view.size(OTHERS[1].origin)
    pull(jp, NodeSource(tn))
