"""The stored tree: all that it serves is of the published tree, and follows from the entries."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import DamagedError, MissingError
from concord.ledger.holdings import Holdings
from concord.ledger.keyring import Keyring
from concord.ledger.tree import Tree, folder, weight
from concord.testing import MemoryStorage, make_member
from concord.tlog import checkpoint as checkpoints
from concord.tlog import merkle, tile
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.errors import ConcordError
from concord.tlog.tile import EMPTY_EDGE, Edge, Place

Audit = Callable[[Tree], list[bytes]]  # the fixture of tests/conftest.py

KE, TN = make_member("ke"), make_member("tn")
SIZE = 600
PREFIX = f"logs/{folder(KE.origin)}/"


def entry(number: int) -> bytes:
    return b"entry %d" % number + b"." * (number % 7)


ENTRIES = [entry(number) for number in range(SIZE)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def signed(edge: Edge, origin: str = KE.origin) -> checkpoints.Note:
    return checkpoints.sign(Checkpoint(origin, edge.size, edge.root()), KE.keys["log"].seed)


def grow(tree: Tree, size: int) -> None:
    edge = tree.stage(tree.edge(), ENTRIES[tree.size : size])
    tree.publish(signed(edge))


def grown(size: int, storage: MemoryStorage | None = None) -> Tree:
    tree = Tree(storage or MemoryStorage(), KE.origin)
    grow(tree, size)
    return tree


WHOLE = grown(SIZE)


def memory(size: int) -> merkle.Node:
    return merkle.nodes_of(LEAVES[:size])


# Proofs and tiles at every size


def test_at_every_size_roots_edges_and_proofs_are_those_of_the_tree_in_memory() -> None:
    tree = Tree(MemoryStorage(), KE.origin)
    for size in range(1, SIZE + 1):
        grow(tree, size)
        assert (tree.size, tree.root) == (size, merkle.root_of(LEAVES[:size]))
        assert tree.edge() == tile.grow(EMPTY_EDGE, LEAVES[:size])[0]
        assert tree.entry(size - 1) == ENTRIES[size - 1]
        for index in {0, size // 2, size - 1}:
            assert tree.prove_inclusion(index, size) == merkle.prove_inclusion(index, size, memory(size))
            assert tree.prove_consistency(index + 1, size) == merkle.prove_consistency(index + 1, size, memory(size))


@given(st.data())
def test_proofs_of_earlier_sizes_stay_those_of_the_tree_in_memory(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE))
    index = data.draw(st.integers(0, size - 1))
    assert WHOLE.root_at(size) == merkle.root_of(LEAVES[:size])
    assert WHOLE.prove_inclusion(index, size) == merkle.prove_inclusion(index, size, memory(size))
    assert WHOLE.prove_consistency(index + 1, size) == merkle.prove_consistency(index + 1, size, memory(size))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 600])
def test_every_narrower_width_is_cut_out_of_what_is_stored(size: int) -> None:
    tree = grown(size)
    for place in tile.places(0, size):
        whole = tree.read(place)
        for width in range(1, place.width + 1):
            assert tree.read(Place(place.level, place.index, width)) == whole[: width * merkle.HASH_SIZE]
    for place in tile.bundle_places(0, size):
        first = place.index * tile.WIDTH
        for width in range(1, place.width + 1):
            assert tree.read(Place(None, place.index, width)) == tile.bundle(ENTRIES[first : first + width])


def test_what_is_beyond_the_published_size_is_not_read() -> None:
    tree = grown(300)
    staged = tree.stage(tree.edge(), ENTRIES[300:600])
    assert staged.size == 600
    for place in (
        Place(0, 1, 45),
        Place(0, 1),
        Place(0, 2, 1),
        Place(None, 1, 45),
        Place(None, 1),
        Place(None, 2, 1),
        Place(1, 0, 2),
        Place(1, 0),
        Place(2, 0, 1),
        Place(63, 0, 1),
        Place(0, 10**15, 1),
    ):
        with pytest.raises(MissingError):
            tree.read(place)
    with pytest.raises(MissingError):
        tree.entry(300)
    with pytest.raises(MissingError):
        list(tree.entries(299, 301))
    for index, size in ((300, 301), (0, 301), (5, 5), (-1, 5), (0, 0)):
        with pytest.raises(MissingError):
            tree.prove_inclusion(index, size)
    for size1, size2 in ((1, 301), (0, 5), (6, 5)):
        with pytest.raises(MissingError):
            tree.prove_consistency(size1, size2)
    tree.publish(signed(staged))
    assert tree.entry(599) == ENTRIES[599]


def test_there_is_no_entry_before_the_first() -> None:
    for index in (-1, -300):
        with pytest.raises(MissingError):
            WHOLE.entry(index)


@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_any_run_of_entries_can_be_read(start: int, stop: int) -> None:
    assert list(WHOLE.entries(start, stop)) == ENTRIES[start:stop]


def test_an_empty_tree_has_nothing() -> None:
    tree = Tree(MemoryStorage(), KE.origin)
    assert (tree.head, tree.size, tree.root, tree.edge()) == (None, 0, merkle.EMPTY_ROOT, EMPTY_EDGE)
    assert (list(tree.entries(0, 0)), tree.identities()) == ([], [])
    with pytest.raises(MissingError):
        tree.read(Place(0, 0, 1))


# A disk that is not what it was


@pytest.mark.parametrize(
    "name", sorted(set(WHOLE._storage.names(PREFIX)) - {f"{PREFIX}checkpoint"}), ids=lambda name: name[len(PREFIX) :]
)
@pytest.mark.parametrize("left", [None, 0, 10])
def test_a_file_that_is_gone_or_cut_off_is_told_as_damage(name: str, left: int | None) -> None:
    storage = MemoryStorage(WHOLE._storage.backup())  # type: ignore[attr-defined]
    if left is None:
        storage.remove([name])
    else:
        storage.write({name: storage.files[name][:left]})
    place = Place.parse(name.removeprefix(PREFIX))
    with pytest.raises(DamagedError, match=KE.origin):
        Tree(storage, KE.origin).read(place)
    if place.level is None:
        with pytest.raises(DamagedError, match=KE.origin):
            list(Tree(storage, KE.origin).entries(0, SIZE))


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff", bytes(signed(EMPTY_EDGE, TN.origin))])
def test_a_checkpoint_that_cannot_be_read_or_is_anothers_is_told_as_damage(content: bytes) -> None:
    storage = MemoryStorage({f"{PREFIX}checkpoint": content})
    with pytest.raises(DamagedError, match=KE.origin):
        _ = Tree(storage, KE.origin).head


@pytest.mark.parametrize(
    "content", [b"\x00", b"\x00\x01x", b"\x00\x010" * 2, b"\x00\x01x\x00\x010\x00\x010", b"\x00\x010" * 3 + b"\x00\x04junk"]
)
def test_a_list_of_identities_that_cannot_be_read_is_told_as_damage(content: bytes) -> None:
    storage = MemoryStorage()
    held = Holdings(storage, Keyring(KE.keys.values()))
    held.begin(KE)
    storage.write({f"{PREFIX}identity": content})
    with pytest.raises(DamagedError, match=KE.origin):
        held.identities(KE.origin)


def test_a_reader_whose_partial_tile_goes_while_it_reads_looks_again() -> None:
    class Racing(MemoryStorage):
        """A log that grows each time a reader is about to read a partial bundle, four times."""

        sizes: Iterator[int] = iter((40, 50, 60, 300))

        def read(self, name: str) -> bytes | None:
            size = next(self.sizes, None) if "entries/000.p/" in name else None
            if size is not None:
                self.files = grown(size)._storage.backup()  # type: ignore[attr-defined]
            return super().read(name)

    storage = Racing(grown(30)._storage.backup())  # type: ignore[attr-defined]
    assert Tree(storage, KE.origin).entry(29) == ENTRIES[29]


# Unfinished copies


def test_an_unfinished_copy_is_left_over_and_not_published() -> None:
    storage = MemoryStorage()
    tree = grown(100, storage)
    edge = tree.stage(tree.edge(), ENTRIES[100:512])
    assert (tree.size, list(tree.entries(0, 100))) == (100, ENTRIES[:100])
    for index in (0, 1):
        assert tree.left_over(Place(None, index)) == tile.bundle(ENTRIES[256 * index : 256 * (index + 1)])
    assert tree.left_over(Place(None, 2)) is None
    tree.publish(signed(tree.stage(edge, ENTRIES[512:])))
    assert list(tree.entries(0, SIZE)) == ENTRIES


def test_each_piece_of_a_copy_takes_away_the_partial_tiles_of_the_one_before() -> None:
    storage = MemoryStorage()
    tree = grown(100, storage)
    edge = tree.edge()
    for stop in (256, 512, SIZE):
        edge = tree.stage(edge, ENTRIES[edge.size : stop], durable=False)
        assert list(tree.entries(0, 100)) == ENTRIES[:100]
        assert tree.edge().size == 100
    tree.settle()
    tree.publish(signed(edge))
    once = MemoryStorage()
    grown(SIZE, once)
    assert storage.backup() == once.backup()


@pytest.mark.parametrize("size", [0, 100, 256])
def test_an_unfinished_copy_that_was_not_the_logs_leaves_nothing(size: int) -> None:
    storage = MemoryStorage()
    tree = grown(size, storage) if size else Tree(storage, KE.origin)
    before, edge = storage.backup(), tree.edge()
    for stop in (512, 1024, 1100):
        edge = tree.stage(edge, [b"forged"] * (stop - edge.size))
    tree.clear()
    assert storage.backup() == before
    grow(tree, SIZE)
    assert list(tree.entries(0, SIZE)) == ENTRIES


def test_what_a_copy_takes_is_noted_with_its_identities_and_otherwise_counted() -> None:
    tree = grown(100)
    assert tree.taken() == weight(ENTRIES[:100])
    tree.stage_identities([], 100, 12_345)
    assert tree.taken() == 12_345
    grow(tree, 101)
    assert tree.taken() == weight(ENTRIES[:101])
    assert Tree(MemoryStorage(), KE.origin).taken() == 0


# Branches that do not stand


def test_a_branch_that_is_set_aside_is_kept_and_makes_room() -> None:
    storage = MemoryStorage()
    tree = grown(300, storage)
    tree.stage_identities([b"an identity"], 300)
    root, before = tree.root, storage.backup()
    tree.set_aside()
    aside = f"forks/{folder(KE.origin)}-{root.hex()[:16]}/"
    assert storage.backup() == {name.replace(PREFIX, aside): content for name, content in before.items()}
    assert (tree.head, tree.size, tree.identities()) == (None, 0, [])
    grow(tree, 200)
    assert tree.size == 200
    tree.set_aside()
    assert len({name.split("/")[1] for name in storage.backup()}) == 2


def test_a_log_that_is_forgotten_leaves_nothing() -> None:
    storage = MemoryStorage()
    held = Holdings(storage, Keyring(KE.keys.values()))
    held.begin(KE)
    held.drop(KE.origin)
    assert held.origins() == []
    assert set(storage.backup().values()) <= {b""}
    assert held.identities(KE.origin) == []


def test_every_error_of_reading_is_one_of_ours() -> None:
    for place in (Place(0, 5), Place(None, 5), Place(5, 0)):
        with pytest.raises(ConcordError):
            WHOLE.read(place)
