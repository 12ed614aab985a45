"""Identities: who holds the keys stays who holds them, through every change and against every thief."""

from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import ConcordError, ForgedError, MalformedError
from concord.ledger import identity
from concord.ledger.identity import Identity, Reset, Root, bound_by, chain, first, follow, label, origin_of, read_chain
from concord.ledger.mirror import signed_by
from concord.ledger.record import ENCODER, seal
from concord.testing import NOW, make_member
from concord.tlog import checkpoint as checkpoints
from concord.tlog import ed25519
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.ed25519 import LOW_ORDER
from concord.tlog.merkle import EMPTY_ROOT

KE, TN = make_member("ke"), make_member("tn")
FIRST = KE.identity


def seeds(name: str, count: int, member: Any = KE) -> list[bytes]:
    return [member.keys[f"{name}-{number}"].seed for number in range(1, count + 1)]


def new_seed(name: str) -> bytes:
    return sha256(f"seed {name}".encode()).digest()


def public(seed: bytes) -> str:
    return ed25519.public_key(seed).hex()


def root_of(*names: str, threshold: int = 2) -> Root:
    return Root(keys=tuple(public(new_seed(name)) for name in names), threshold=threshold)


def successor(before: Identity = FIRST, by: list[bytes] | None = None, **changed: Any) -> Identity:
    """The identity after `before`, changed, and sealed by `by` (None: by enough of the root)."""
    said = msgspec.structs.replace(before, **{"number": before.number + 1, "at": before.at + 1} | changed)
    return seal(said, seeds("root", 2) if by is None else by)  # type: ignore[no-any-return]


NEXT_ROOT = Root(keys=tuple(public(seed) for seed in seeds("next", 3)), threshold=2)
AFTER = root_of("after-1", "after-2", "after-3")
NEW_LOG = public(new_seed("log"))


# The first


def test_a_member_made_anew_may_begin_its_log() -> None:
    assert first(FIRST) == FIRST
    assert FIRST.by == origin_of("ke", identity.DOMAIN, FIRST.root)
    assert label(FIRST.by) == "ke"


def test_the_origin_follows_from_the_root() -> None:
    assert origin_of("ke", "concord.alt", FIRST.root) != origin_of("ke", "concord.alt", TN.identity.root)
    assert FIRST.root.digest() == sha256(ENCODER.encode(FIRST.root)).hexdigest()


@pytest.mark.parametrize(
    "wrong",
    [
        successor(number=1),
        msgspec.structs.replace(FIRST, seals=()),
        seal(FIRST, seeds("root", 1)),
        seal(FIRST, seeds("next", 3)),
        seal(msgspec.structs.replace(FIRST, by=TN.origin), seeds("root", 2)),
        seal(msgspec.structs.replace(FIRST, by=FIRST.by[:-1]), seeds("root", 2)),
        seal(msgspec.structs.replace(FIRST, root=TN.identity.root), seeds("root", 2, TN)),
        msgspec.structs.replace(FIRST, at=FIRST.at + 1),
    ],
    ids=[
        "number-one",
        "no-seals",
        "one-seal",
        "sealed-by-the-next-root",
        "origin-of-another",
        "origin-cut-off",
        "root-of-another",
        "changed-after-sealing",
    ],
)
def test_nobody_else_begins_a_log_under_an_origin(wrong: Identity) -> None:
    with pytest.raises(ForgedError):
        first(wrong)


# What follows


def test_log_keys_change_with_overlap() -> None:
    (old,) = FIRST.log
    both = follow(FIRST, successor(log=(old, NEW_LOG)))
    alone = follow(both, successor(both, log=(NEW_LOG,)))
    assert [key.key.hex() for key in both.log_keys()] == [old, NEW_LOG]
    assert [key.key.hex() for key in alone.log_keys()] == [NEW_LOG]


def test_every_daily_key_may_change_at_once() -> None:
    changed = successor(log=(NEW_LOG,), witness=public(new_seed("w")), organs={"court": public(new_seed("o"))})
    assert follow(FIRST, changed) == changed


def test_the_root_changes_to_the_one_announced_and_to_no_other() -> None:
    moved = follow(FIRST, successor(root=NEXT_ROOT, next=AFTER.digest(), by=seeds("next", 2)))
    assert moved.root == NEXT_ROOT
    again = [new_seed("after-1"), new_seed("after-3")]
    assert follow(moved, successor(moved, root=AFTER, next=root_of("x", "y").digest(), by=again)).root == AFTER
    with pytest.raises(ForgedError, match="announced"):
        follow(moved, successor(moved, root=FIRST.root, by=seeds("root", 3)))


def test_the_old_root_says_nothing_once_it_is_replaced() -> None:
    moved = follow(FIRST, successor(root=NEXT_ROOT, next=AFTER.digest(), by=seeds("next", 2)))
    with pytest.raises(ForgedError, match="sealed"):
        follow(moved, successor(moved, log=(NEW_LOG,), by=seeds("root", 3)))
    assert follow(moved, successor(moved, log=(NEW_LOG,), by=seeds("next", 2))).log == (NEW_LOG,)


def test_whoever_steals_the_root_keys_cannot_take_the_root_away() -> None:
    """A thief who could announce a next root of his own would move to it, and lock the owner out."""
    thief = root_of("thief-1", "thief-2")
    with pytest.raises(ForgedError, match="announced"):
        follow(FIRST, successor(root=thief, by=[new_seed("thief-1"), new_seed("thief-2"), *seeds("root", 3)]))
    with pytest.raises(ForgedError, match="announces"):
        follow(FIRST, successor(next=thief.digest()))


LOG, WITNESS, ROOT_KEY, OFFICE = FIRST.log[0], FIRST.witness, FIRST.root.keys[0], FIRST.organs["office"]
WRONG: dict[str, Callable[[], Identity]] = {
    "unannounced-root": lambda: successor(root=AFTER, by=[new_seed("after-1"), new_seed("after-2")]),
    "announced-root-sealed-by-the-old": lambda: successor(root=NEXT_ROOT, next=AFTER.digest()),
    "announced-root-sealed-by-one": lambda: successor(root=NEXT_ROOT, next=AFTER.digest(), by=seeds("next", 1)),
    "announced-root-of-lower-threshold": lambda: successor(
        root=Root(keys=NEXT_ROOT.keys, threshold=1), next=AFTER.digest(), by=seeds("next", 1)
    ),
    "too-few-seals": lambda: successor(by=seeds("root", 1)),
    "one-seal-twice": lambda: successor(by=seeds("root", 1) * 2),
    "sealed-by-daily-keys": lambda: successor(by=[KE.keys["log"].seed, KE.keys["witness"].seed, KE.keys["organ-office"].seed]),
    "no-seals": lambda: successor(by=[]),
    "number-again": lambda: successor(number=0),
    "number-skipped": lambda: successor(number=2),
    "foreign-origin": lambda: seal(msgspec.structs.replace(successor(), by=TN.origin), seeds("root", 2)),
    "log-key-as-witness": lambda: successor(witness=LOG),
    "log-key-as-organ": lambda: successor(organs={"office": LOG}),
    "log-key-twice": lambda: successor(log=(LOG, LOG)),
    "organ-key-twice": lambda: successor(organs={"office": OFFICE, "court": OFFICE}),
    "other-next-root": lambda: successor(next=AFTER.digest()),
    "root-key-as-log-key": lambda: successor(log=(ROOT_KEY,)),
    "root-key-as-witness": lambda: successor(witness=ROOT_KEY),
    "root-key-as-organ": lambda: successor(organs={"office": ROOT_KEY}),
    "root-key-twice": lambda: successor(root=Root(keys=(ROOT_KEY, ROOT_KEY), threshold=2)),
    "no-key-at-all": lambda: successor(witness="02" + "00" * 31),
    "key-beyond-the-field": lambda: successor(witness="ff" * 32),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_refused_transition_changes_nothing(wrong: Callable[[], Identity]) -> None:
    said = wrong()
    with pytest.raises((ForgedError, MalformedError)):
        follow(FIRST, said)
    good = successor(log=(NEW_LOG,))
    assert chain([FIRST, said, good]) == [FIRST, good]


@pytest.mark.parametrize("encoding", sorted(LOW_ORDER), ids=lambda raw: raw.hex()[:8])
def test_keys_of_low_order_are_no_keys(encoding: bytes) -> None:
    for changed in ({"witness": encoding.hex()}, {"log": (LOG, encoding.hex())}, {"organs": {"office": encoding.hex()}}):
        with pytest.raises(MalformedError, match="no key"):
            follow(FIRST, successor(**changed))


def test_a_root_that_nobody_can_fulfil_is_refused() -> None:
    greedy = Root(keys=NEXT_ROOT.keys, threshold=4)
    member = msgspec.structs.replace(FIRST, next=greedy.digest())
    before = seal(member, seeds("root", 2))
    with pytest.raises(MalformedError, match="4 of 3"):
        follow(before, successor(before, root=greedy, by=seeds("next", 3)))


# Chains


MOVES: list[Callable[[Identity], Identity]] = [
    successor,
    lambda before: successor(before, log=(NEW_LOG,)),
    lambda before: successor(before, root=NEXT_ROOT, next=AFTER.digest(), by=seeds("next", 2)),
    lambda before: successor(before, by=seeds("next", 2)),
    lambda before: successor(before, root=AFTER, next="00" * 32, by=[new_seed("after-1"), new_seed("after-2")]),
    lambda before: successor(before, number=before.number + 2),
    lambda before: successor(before, witness=LOG),
    lambda before: before,
    lambda _: TN.identity,
    lambda _: FIRST,
]


@given(st.lists(st.sampled_from(MOVES), max_size=8))
def test_what_did_not_take_effect_might_as_well_not_have_been_said(moves: list[Callable[[Identity], Identity]]) -> None:
    said = [FIRST]
    for move in moves:
        said.append(move(chain(said)[-1]))
    standing = chain(said)
    assert [each.number for each in standing] == list(range(len(standing)))
    assert chain(standing) == standing
    for before, after in pairwise(standing):
        assert follow(before, after) == after


def test_a_chain_begins_with_an_identity_that_may_begin_it() -> None:
    for wrong in ([], [successor()], [successor(), FIRST]):
        with pytest.raises(ForgedError):
            chain(wrong)
    with pytest.raises(MalformedError):
        read_chain([b"junk", ENCODER.encode(FIRST)])


def test_entries_that_are_no_identities_change_nothing() -> None:
    good = successor(log=(NEW_LOG,))
    entries = [ENCODER.encode(FIRST), b"", b'\xff"type":"ledger.identity"', ENCODER.encode(good), b'{"type":"ledger.identity"}']
    assert read_chain(entries) == [FIRST, good]


# Checkpoints under changing keys


def test_a_checkpoint_may_bear_the_key_before_a_change_or_the_key_after_and_no_older_one() -> None:
    log_seeds = [KE.keys["log"].seed, new_seed("log-1"), new_seed("log-2")]
    said = [FIRST]
    for seed in log_seeds[1:]:
        said.append(successor(said[-1], log=(public(seed),)))
    entries = [ENCODER.encode(each) for each in said]
    signed = [checkpoints.sign(Checkpoint(KE.origin, 0, EMPTY_ROOT), seed) for seed in log_seeds]
    for held, good in ((1, [0]), (2, [0, 1]), (3, [1, 2])):
        for number, each in enumerate(signed):
            if number in good:
                assert signed_by(each, KE.origin, entries[:held]) == said[:held]
            else:
                with pytest.raises(ForgedError):
                    signed_by(each, KE.origin, entries[:held])


def test_a_checkpoint_of_another_log_does_not_stand_in() -> None:
    other = checkpoints.sign(Checkpoint(TN.origin, 0, EMPTY_ROOT), TN.keys["log"].seed)
    for entries in ([ENCODER.encode(FIRST)], [ENCODER.encode(TN.identity)]):
        with pytest.raises(ForgedError):
            signed_by(other, KE.origin, entries)


# What binds a member


def test_an_organ_binds_and_enough_of_the_root_binds_and_nothing_else() -> None:
    reset = Reset(by=KE.origin, at=NOW, size=1, root="00" * 32)
    office = KE.keys["organ-office"].seed
    for by, binds in (
        ([office], True),
        (seeds("root", 2), True),
        (seeds("root", 3), True),
        (seeds("root", 1), False),
        ([KE.keys["log"].seed, KE.keys["witness"].seed], False),
        (seeds("next", 3), False),
        ([TN.keys["organ-office"].seed], False),
        ([], False),
    ):
        assert bound_by(FIRST, seal(reset, by)) is binds


def test_noise_in_place_of_an_identity_is_an_error_of_ours() -> None:
    for raw in (b"", b"{}", b"[]", b"\xff", ENCODER.encode(FIRST)[:-1]):
        with pytest.raises(ConcordError):
            read_chain([raw])
