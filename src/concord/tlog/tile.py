"""Tiles and entry bundles (C2SP tlog-tiles v0.1.0): a log as files that never change.

A tile is a run of 256 hashes of one level. Level 0 holds leaf hashes; each hash of level L + 1 is the root of a full tile
of level L. An entry bundle holds the 256 entries under one level-0 tile, each with its length before it. The last of each
level may be partial, and is never hashed upward. As paths, with the index in groups of three digits:

    tile/0/x001/x234/067       the full tile 1,234,067 of level 0
    tile/1/000.p/17            the first 17 hashes of the first tile of level 1
    tile/entries/273.p/112     the last 112 entries of a log of 70,000

>>> [str(place) for place in places(0, 70_000)][-5:]
['tile/0/272', 'tile/0/273.p/112', 'tile/1/000', 'tile/1/001.p/17', 'tile/2/000.p/1']
>>> Place.parse("tile/entries/x001/x234/067")
Place(level=None, index=1234067, width=256)

What one needs to make a log grow is its *edge*: the partial tile of each level.

>>> from concord.tlog import merkle
>>> leaves = [merkle.leaf_hash(b"%d" % i) for i in range(300)]
>>> edge, full = grow(EMPTY_EDGE, leaves)
>>> edge.size, [str(tile.place) for tile in full], edge.root() == merkle.root_of(leaves)
(300, ['tile/0/000'], True)
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from concord.tlog.errors import MalformedError, TooLargeError
from concord.tlog.merkle import EMPTY_ROOT, HASH_SIZE, Node, root_of
from concord.tlog.spelling import decimal

WIDTH = 256  # hashes of a full tile, entries of a full bundle
LEVEL_MAX = 63
ENTRY_SIZE_MAX = 65_535  # bytes; the length before an entry has 16 bits
BUNDLE_SIZE_MAX = WIDTH * (2 + ENTRY_SIZE_MAX)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile stands: `level` (None for an entry bundle), `index` within the level, `width` in hashes or entries."""

    level: int | None
    index: int
    width: int = WIDTH

    @classmethod
    def parse(cls, path: str) -> "Place":
        """The place that `path` names. MalformedError unless str(place) == path."""
        head, slash, rest = path.removeprefix("tile/").partition("/")
        if not path.startswith("tile/") or not slash:
            raise MalformedError(f"not a tile path: {path[:80]!r}")
        level = None if head == "entries" else decimal(head, LEVEL_MAX)
        number, partial, width = rest.partition(".p/")
        place = cls(level, _parse_index(number), decimal(width, WIDTH - 1) if partial else WIDTH)
        if place.width == 0 or str(place) != path:
            raise MalformedError(f"not a tile path: {path[:80]!r}")
        return place

    def __str__(self) -> str:
        groups, rest = [f"{self.index % 1000:03}"], self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{'/'.join(reversed(groups))}{partial}"


@dataclass(frozen=True)
class Tile:
    """A run of hashes and where it stands."""

    place: Place
    hashes: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        return b"".join(self.hashes)


@dataclass(frozen=True)
class Edge:
    """The right edge of a tree of `size` leaves: the hashes of the partial tile of each level, from level 0 up."""

    size: int
    levels: tuple[tuple[bytes, ...], ...]

    def root(self) -> bytes:
        """The root of the whole tree."""
        lower = b""  # the root over all levels below: one smaller subtree at the end of the next level's run
        for hashes in self.levels:
            run = (*hashes, lower) if lower else hashes
            lower = root_of(run) if run else b""
        return lower or EMPTY_ROOT

    def tiles(self) -> list[Tile]:
        """The partial tiles, those that are not empty."""
        return [
            Tile(Place(level, self.size // WIDTH ** (level + 1), len(hashes)), hashes)
            for level, hashes in enumerate(self.levels)
            if hashes
        ]


EMPTY_EDGE = Edge(0, ())


def grow(edge: Edge, leaves: Sequence[bytes]) -> tuple[Edge, list[Tile]]:
    """The edge after `leaves` (hashes) are appended, and the tiles that became full, in order of level, then index."""
    full: list[Tile] = []
    levels: list[tuple[bytes, ...]] = []
    size, run, level = edge.size, tuple(leaves), 0
    while run or level < len(edge.levels):
        start = size // WIDTH ** (level + 1)
        hashes = (edge.levels[level] if level < len(edge.levels) else ()) + run
        whole = [hashes[i : i + WIDTH] for i in range(0, len(hashes) - len(hashes) % WIDTH, WIDTH)]
        full += [Tile(Place(level, start + i), part) for i, part in enumerate(whole)]
        levels.append(hashes[len(whole) * WIDTH :])
        run, level = tuple(root_of(part) for part in whole), level + 1
    return Edge(size + len(leaves), tuple(levels)), full


def places(start: int, size: int) -> Iterator[Place]:
    """Where the tiles of a tree of `size` stand that a tree of `start` leaves does not have, partial ones included."""
    level = 0
    while size >> (8 * level):
        count, before = size >> (8 * level), start >> (8 * level)
        for index in range(before // WIDTH, -(-count // WIDTH)):
            yield Place(level, index, min(WIDTH, count - index * WIDTH))
        level += 1


def bundle_places(start: int, size: int) -> Iterator[Place]:
    """Where the entry bundles stand that hold entries [start, size)."""
    for index in range(start // WIDTH, -(-size // WIDTH)):
        yield Place(None, index, min(WIDTH, size - index * WIDTH))


def edge_of(size: int, read: Callable[[Place], bytes]) -> Edge:
    """The edge of a tree of `size`, read from its partial tiles."""
    levels = []
    for level in range((size.bit_length() + 7) // 8):
        count = size >> (8 * level)
        width = count % WIDTH
        levels.append(parse_tile(read(Place(level, count // WIDTH, width)), width) if width else ())
    return Edge(size, tuple(levels))


def nodes_from(size: int, read: Callable[[Place], bytes]) -> Node:
    """The perfect subtrees of a tree of `size`, from tiles: what proofs are made of."""
    kept: dict[tuple[int, int], tuple[bytes, ...]] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, inner = divmod(level, 8)
        first = index << inner
        where = tile_level, first // WIDTH
        if where not in kept:
            width = min(WIDTH, (size >> (8 * tile_level)) - where[1] * WIDTH)
            kept[where] = parse_tile(read(Place(*where, width)), width)
        offset = first % WIDTH
        return root_of(kept[where][offset : offset + (1 << inner)])

    return node


def parse_tile(raw: bytes, width: int) -> tuple[bytes, ...]:
    """The `width` hashes in `raw`. MalformedError if there are more or fewer bytes."""
    if len(raw) != width * HASH_SIZE:
        raise MalformedError(f"a tile of {len(raw)} bytes where {width * HASH_SIZE} belong")
    return tuple(raw[i : i + HASH_SIZE] for i in range(0, len(raw), HASH_SIZE))


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries in a bundle's form: uint16 length, big-endian, before each."""
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_SIZE_MAX:
            raise TooLargeError(f"an entry of {len(entry)} bytes, over {ENTRY_SIZE_MAX}")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def parse_bundle(raw: bytes, width: int) -> list[bytes]:
    """The `width` entries in `raw`. MalformedError if there are more or fewer."""
    entries, position = cut_bundle(raw, width)
    if position != len(raw):
        raise MalformedError(f"more than {width} entries in a bundle")
    return entries


def cut_bundle(raw: bytes, width: int) -> tuple[list[bytes], int]:
    """The first `width` entries in `raw`, and how many bytes they take. MalformedError if there are fewer."""
    entries: list[bytes] = []
    position, end = 0, len(raw)
    for _ in range(width):
        start = position + 2
        if start > end:
            raise MalformedError(f"an entry bundle cut off after {len(entries)} of {width} entries")
        position = start + (raw[position] << 8) + raw[position + 1]
        entries.append(raw[start:position])
    if position > end:
        raise MalformedError(f"an entry bundle cut off in the last of {width} entries")
    return entries, position


def _parse_index(text: str) -> int:
    *high, low = text.split("/")
    if any(len(group) != 4 or group[0] != "x" for group in high) or len(low) != 3:
        raise MalformedError(f"not a tile index: {text[:80]!r}")
    digits = "".join(group[1:] for group in high) + low
    return decimal(digits.lstrip("0") or "0")
