"""A copy of another's log: it grows by what verifies from the bottom up, and by nothing else."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import ConcordError, ForgedError, MalformedError, StaleError
from concord.ledger.holdings import Holdings
from concord.ledger.keyring import Keyring, NewMember, new_member
from concord.ledger.mirror import Intake
from concord.ledger.tree import Head, Tree
from concord.testing import NOW, MemoryStorage, bytes_from, make_member
from concord.tlog import checkpoint as checkpoints
from concord.tlog import merkle, tile
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.note import Note
from concord.tlog.tile import EMPTY_EDGE, Place

KE, TN = make_member("ke"), make_member("tn")


def log_of(member: NewMember, size: int) -> Tree:
    """The log of `member` at its own node: an identity, and numbered entries."""
    log = Holdings(MemoryStorage(), Keyring(member.keys.values())).begin(member)
    log.append([b"%s %d" % (member.origin[:2].encode(), number) for number in range(1, size)])
    return log.tree


ORIGINAL = log_of(KE, 700)
ENTRIES = list(ORIGINAL.entries(0, 700))


def head_at(size: int, entries: list[bytes] = ENTRIES, member: NewMember = KE) -> Head:
    checkpoint = Checkpoint(KE.origin, size, merkle.root_of([merkle.leaf_hash(entry) for entry in entries[:size]]))
    return Head(checkpoints.sign(checkpoint, member.keys["log"].seed), checkpoint)


def bundle(place: Place, entries: list[bytes] = ENTRIES) -> bytes:
    first = place.index * tile.WIDTH
    return tile.bundle(entries[first : first + place.width])


def receive(copy: Tree, head: Head, entries: list[bytes] = ENTRIES) -> None:
    """Bring `copy` to `head` from whoever has `entries`."""
    edge = copy.edge()
    intake = Intake(edge, copy.identities(), head)
    for place in intake.wanted():
        edge = copy.stage(edge, intake.take(place, bundle(place, entries)))
        intake.grow(edge)
    intake.verified()
    copy.stage_identities(intake.identities, intake.received)
    copy.publish(head.note)


def copy_of(sizes: list[int]) -> MemoryStorage:
    storage = MemoryStorage()
    for size in sizes:
        receive(Tree(storage, KE.origin), head_at(size))
    return storage


@given(st.sets(st.integers(1, 700), max_size=6).map(sorted))
def test_growth_in_steps_is_growth_at_once(sizes: list[int]) -> None:
    steps, once = copy_of([*sizes, 700] if 700 not in sizes else sizes), copy_of([700])
    tiles = {name: content for name, content in steps.backup().items() if "/tile/" in name or name.endswith("checkpoint")}
    assert tiles.items() <= once.backup().items()
    assert list(Tree(steps, KE.origin).entries(0, 700)) == ENTRIES
    assert Tree(steps, KE.origin).identities() == ENTRIES[:1]


def test_a_copy_is_the_original_to_the_byte(audit: Callable[[Tree], list[bytes]]) -> None:
    copy = Tree(copy_of([300, 700]), KE.origin)
    assert audit(copy) == ENTRIES
    for place in (*tile.places(0, 700), *tile.bundle_places(0, 700)):
        assert copy.read(place) == ORIGINAL.read(place)
    assert copy.head == ORIGINAL.head


def test_what_is_not_larger_is_nothing_new() -> None:
    for size in (1, 299, 300):
        with pytest.raises(StaleError) as stale:
            Intake(Tree(copy_of([300]), KE.origin).edge(), ENTRIES[:1], head_at(size))
        assert stale.value.size == 300


def test_bundles_come_in_order_and_whole() -> None:
    intake = Intake(EMPTY_EDGE, [], head_at(700))
    first, second, third = intake.wanted()
    for wrong in (second, third):
        with pytest.raises(MalformedError, match="not the next"):
            intake.take(wrong, bundle(wrong))
    for raw in (b"", bundle(first)[:-1], bundle(first) + b"\0\0", bundle(third), bundle(first)[1:]):
        with pytest.raises(MalformedError):
            intake.take(first, raw)
    assert intake.take(first, bundle(first)) == ENTRIES[:256]
    with pytest.raises(MalformedError, match="not the next"):
        intake.take(first, bundle(first))


def test_a_copy_that_ends_within_a_bundle_takes_the_rest_of_it() -> None:
    edge = Tree(copy_of([300]), KE.origin).edge()
    intake = Intake(edge, ENTRIES[:1], head_at(310))
    assert [str(place) for place in intake.wanted()] == ["tile/entries/001.p/54"]
    assert intake.take(Place(None, 1, 54), bundle(Place(None, 1, 54))) == ENTRIES[300:310]


def test_the_edge_must_be_that_of_what_was_taken() -> None:
    intake = Intake(EMPTY_EDGE, [], head_at(1))
    intake.take(Place(None, 0, 1), bundle(Place(None, 0, 1)))
    with pytest.raises(RuntimeError):
        intake.grow(EMPTY_EDGE)


@given(st.integers(0, 699), st.sampled_from([b"", b"forged", b"ke 1", b"ke 699 "]), st.sampled_from([0, 1, 300, 699]))
def test_one_altered_entry_is_refused_wherever_it_stands(index: int, instead: bytes, held: int) -> None:
    altered = [*ENTRIES[:index], instead, *ENTRIES[index + 1 :]]
    copy = Tree(copy_of([held] if held else []), KE.origin)
    if altered == ENTRIES or index < held:
        return
    with pytest.raises(ForgedError):
        receive(copy, head_at(700), altered)
    assert copy.size == held


@pytest.mark.parametrize(
    "altered",
    [
        [*ENTRIES[:5], ENTRIES[6], ENTRIES[5], *ENTRIES[7:]],
        [*ENTRIES[:5], *ENTRIES[6:], ENTRIES[5]],
        [*ENTRIES[1:], ENTRIES[0]],
        [*ENTRIES[:256], *ENTRIES[:256], *ENTRIES[512:]],
    ],
    ids=["swapped", "moved-to-the-end", "identity-last", "bundle-twice"],
)
def test_entries_in_another_order_are_refused(altered: list[bytes]) -> None:
    with pytest.raises(ConcordError):
        receive(Tree(MemoryStorage(), KE.origin), head_at(700), altered)


# Whose log it is


def test_a_checkpoint_signed_by_a_strange_key_is_refused() -> None:
    with pytest.raises(ForgedError):
        receive(Tree(MemoryStorage(), KE.origin), head_at(700, member=TN))


def test_a_checkpoint_with_a_bad_line_by_the_right_key_is_refused() -> None:
    good = head_at(700)
    bad = good.note.signatures[0]._replace(raw=bytes(64))
    with pytest.raises(ForgedError, match="does not verify"):
        receive(Tree(MemoryStorage(), KE.origin), Head(Note(good.note.text, (bad,)), good.checkpoint))


def test_a_second_log_under_the_same_origin_is_refused_for_it_has_another_root() -> None:
    """Somebody makes keys of his own, and begins a log that he calls by the name of another."""
    thief = new_member("ke", "concord.alt", NOW, bytes_from("a thief"))
    entries = list(log_of(thief, 5).entries(0, 5))
    with pytest.raises(ForgedError, match="identity of"):
        receive(Tree(MemoryStorage(), KE.origin), head_at(5, entries, thief), entries)


@pytest.mark.parametrize(
    "entries", [[b"ke 1"], [b"ke 1", ENTRIES[0][:-1]], [b"\xff"], [b""]], ids=["junk", "cut-off", "bytes", "empty"]
)
def test_a_log_without_an_identity_is_refused(entries: list[bytes]) -> None:
    with pytest.raises(ConcordError):
        receive(Tree(MemoryStorage(), KE.origin), head_at(len(entries), entries), entries)
