"""Tiles: a log grown piece by piece has the tiles and root of one grown at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.tlog import merkle, tile
from concord.tlog.errors import MalformedError, TooLargeError
from concord.tlog.tile import EMPTY_EDGE, Edge, Place


def leaf(number: int) -> bytes:
    return merkle.leaf_hash(b"%d" % number)


LEAVES = [leaf(number) for number in range(140_000)]


def grown(sizes: list[int]) -> tuple[Edge, dict[str, bytes]]:
    """A log grown to each of `sizes` in turn, and the files it leaves (partial ones of the last size only)."""
    edge, kept = EMPTY_EDGE, {}
    for size in sizes:
        edge, full = tile.grow(edge, LEAVES[edge.size : size])
        kept |= {str(part.place): bytes(part) for part in full}
    return edge, kept | {str(part.place): bytes(part) for part in edge.tiles()}


@given(st.lists(st.integers(0, 1400), min_size=1, max_size=6).map(sorted))
def test_growth_in_steps_is_growth_at_once(sizes: list[int]) -> None:
    assert grown(sizes) == grown(sizes[-1:])
    assert grown(sizes)[0].root() == merkle.root_of(LEAVES[: sizes[-1]])


@given(st.integers(0, 1400), st.integers(0, 1400))
def test_places_name_just_the_files_there_are(first: int, second: int) -> None:
    start, size = sorted((first, second))
    assert {str(place) for place in tile.places(0, size)} == set(grown([size])[1])
    new = {str(place) for place in tile.places(start, size)}
    assert {path for path, raw in grown([size])[1].items() if grown([start])[1].get(path) != raw} <= new


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537, 131_072, 139_999])
def test_proofs_and_edge_come_out_of_tiles(size: int) -> None:
    edge, kept = grown([size])
    node = tile.nodes_from(size, lambda place: kept[str(place)])
    assert tile.edge_of(size, lambda place: kept[str(place)]) == edge
    assert merkle.root(size, node) == edge.root() == merkle.root_of(LEAVES[:size])
    for index in {0, size // 3, size - 1}:
        proof = merkle.prove_inclusion(index, size, node)
        merkle.check_inclusion(LEAVES[index], index, size, edge.root(), proof)
        if index:
            consistency = merkle.prove_consistency(index, size, node)
            merkle.check_consistency(index, merkle.root_of(LEAVES[:index]), size, edge.root(), consistency)


def test_the_seventy_thousand_of_the_specification() -> None:
    places = [str(place) for place in tile.places(0, 70_000)]
    assert len(places) == 273 + 1 + 1 + 1 + 1
    assert places[273:] == ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_bundles_print_back(entries: list[bytes]) -> None:
    raw = tile.bundle(entries)
    assert tile.parse_bundle(raw, len(entries)) == entries


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=10), st.data())
def test_a_bundle_of_other_length_is_malformed(entries: list[bytes], data: st.DataObject) -> None:
    raw = tile.bundle(entries)
    for wrong in (raw[: data.draw(st.integers(0, len(raw) - 1))], raw + b"\0\0"):
        with pytest.raises(MalformedError):
            tile.parse_bundle(wrong, len(entries))
    cut, _ = tile.cut_bundle(raw + b"\0\0", len(entries))
    assert cut == entries


def test_an_entry_over_the_limit_is_refused() -> None:
    tile.bundle([b"x" * tile.ENTRY_SIZE_MAX])
    with pytest.raises(TooLargeError):
        tile.bundle([b"x" * (tile.ENTRY_SIZE_MAX + 1)])


def test_a_tile_of_other_size_is_malformed() -> None:
    with pytest.raises(MalformedError):
        tile.parse_tile(bytes(33), 1)


@given(st.none() | st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_places_print_back(level: int | None, index: int, width: int) -> None:
    place = Place(level, index, width)
    assert Place.parse(str(place)) == place
