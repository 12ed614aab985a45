"""The stored tree of one log, our own or a copy of another's: entry bundles, tiles, and the checkpoint over them.

    logs/<sha-256 of the origin, hex>/checkpoint            signed note; what it does not cover does not count
    logs/<…>/tile/entries/000, tile/0/000, tile/1/000.p/1   as in `concord.tlog.tile`
    logs/<…>/identity                                       the log's identity records at a size, and how many were before it;
                                                            of a copy, how many bytes it takes, too

The layout is that of a C2SP mirror, so that any static web server can serve it. The order of writing is the rule that
makes crashes harmless: bundles and tiles first, durable; the checkpoint last. What a crash leaves beyond the checkpoint is
written over by whoever comes next. Of partial tiles only those of the published size are kept; a narrower one is a part of
them and is cut out when asked for.

>>> from concord.testing import MemoryStorage
>>> tree = Tree(MemoryStorage(), "ke.example/0")
>>> edge = tree.stage(tree.edge(), [b"one", b"two"])
>>> edge.size, tree.size
(2, 0)
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from concord.errors import DamagedError, MalformedError, MissingError
from concord.ledger.storage import Storage
from concord.tlog import checkpoint as checkpoints
from concord.tlog import merkle, note, tile
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.note import Note
from concord.tlog.spelling import decimal
from concord.tlog.tile import WIDTH, Edge, Place

_TRIES = 5  # a reader that finds a partial tile gone looks again: the log has grown meanwhile


class Head(NamedTuple):
    """A checkpoint and the signed note that it stands in."""

    note: Note
    checkpoint: Checkpoint


def weight(entries: Iterable[bytes]) -> int:
    """How many bytes `entries` take in a log: themselves, the length before each, and its leaf hash."""
    lengths = [*map(len, entries)]
    return sum(lengths) + len(lengths) * (2 + merkle.HASH_SIZE)


@lru_cache(maxsize=4096)
def folder(origin: str) -> str:
    """The name that a log's files go under (tlog-mirror: hex SHA-256 of the origin)."""
    return sha256(origin.encode()).hexdigest()


@lru_cache(maxsize=2048)
def read_head(raw: bytes) -> Head:
    """The head in the bytes of a signed note. MalformedError if it is none; no signature is checked."""
    signed = note.parse(raw)
    return Head(signed, checkpoints.parse(signed.text))


class Tree:
    """The tree of `origin` in a storage. Reading is safe at any time; growing is for whoever holds `lock`."""

    def __init__(self, storage: Storage, origin: str) -> None:
        self.origin = origin
        self._storage = storage
        self._prefix = f"logs/{folder(origin)}/"
        self._kept: tuple[bytes | None, Head | None] = (None, None)

    @property
    def head(self) -> Head | None:
        """The published checkpoint, or None before the first. Read anew each time: another process may have grown the log."""
        raw = self._storage.read(f"{self._prefix}checkpoint")
        kept_raw, kept = self._kept
        if raw == kept_raw:
            return kept
        head = None if raw is None else self._own(raw)
        self._kept = (raw, head)
        return head

    @property
    def size(self) -> int:
        """How many entries are published."""
        head = self.head
        return head.checkpoint.size if head else 0

    @property
    def root(self) -> bytes:
        """The published root."""
        head = self.head
        return head.checkpoint.root if head else merkle.EMPTY_ROOT

    def lock(self) -> AbstractContextManager[None]:
        """Held while the log grows or its checkpoint changes."""
        return self._storage.lock(f"{self._prefix}lock")

    def identities(self) -> list[bytes]:
        """The log's identity records, as entries. They are sealed by its root, and verified by whoever uses them."""
        size, before, _, entries = self._identities()
        return entries if size <= self.size else entries[:before]

    def taken(self) -> int:
        """How many bytes the published entries take. It reads them all, unless that was noted with the identities."""
        size, _, taken, _ = self._identities()
        return taken if taken and size == self.size else weight(self.entries(0, self.size))

    def has_stray_identities(self) -> bool:
        """Whether a crash left identity records that were staged, and whose entries were never published."""
        return self._identities()[0] > self.size

    # Reading

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """The published entries [start, stop), in order. MissingError for any that is not published."""
        size = self.size
        if start < 0 or stop > size:
            raise MissingError(f"{self.origin} has {size} entries, and not [{start}, {stop})")
        for place in tile.bundle_places(start, stop):
            first = place.index * WIDTH
            entries, _ = self._bundle(place)
            yield from entries[max(start - first, 0) : stop - first]

    def entry(self, index: int) -> bytes:
        """One published entry. MissingError if there is none."""
        return next(self.entries(index, index + 1))

    def read(self, place: Place) -> bytes:
        """The bytes of a tile or bundle of the published tree. MissingError if it is not, or not yet, part of it."""
        if place.index * WIDTH + place.width > self.size >> (8 * (place.level or 0)):
            raise MissingError(f"{self.origin} has no {place}")
        if place.level is not None:
            return self._stored(place)[: place.width * merkle.HASH_SIZE]
        _, raw = self._bundle(place)
        return raw

    def edge(self) -> Edge:
        """What is needed to grow on from the published tree."""
        return tile.edge_of(self.size, self.read)

    def root_at(self, size: int) -> bytes:
        """The root when the log had `size` entries."""
        return merkle.root(size, tile.nodes_from(size, self.read))

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """See merkle.prove_inclusion. MissingError beyond the published size."""
        if not 0 <= index < size <= self.size:
            raise MissingError(f"{self.origin} has {self.size} entries: no proof of entry {index} at size {size}")
        return merkle.prove_inclusion(index, size, tile.nodes_from(size, self.read))

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """See merkle.prove_consistency. MissingError beyond the published size."""
        if not 0 < size1 <= size2 <= self.size:
            raise MissingError(f"{self.origin} has {self.size} entries: no proof from size {size1} to {size2}")
        return merkle.prove_consistency(size1, size2, tile.nodes_from(size2, self.read))

    # Growing, under the lock

    def stage(self, edge: Edge, entries: list[bytes], *, durable: bool = True) -> Edge:
        """Write `entries` after `edge`, not yet published; the edge after them. What is not durable must be settled."""
        grown, full = tile.grow(edge, [merkle.leaf_hash(entry) for entry in entries])
        files = {str(part.place): bytes(part) for part in (*full, *grown.tiles())}
        index, width = divmod(edge.size, WIDTH)
        run = [*self._staged(Place(None, index, width)), *entries] if width else entries
        for number, start in enumerate(range(0, len(run), WIDTH), index):
            part = run[start : start + WIDTH]
            files[str(Place(None, number, len(part)))] = tile.bundle(part)
        self._storage.write({self._prefix + name: content for name, content in files.items()}, durable=durable)
        self._storage.remove(self._prefix + name for name in _partials(edge.size) - _partials(grown.size) - _partials(self.size))
        return grown

    def settle(self) -> None:
        """Make durable what was staged and is not yet."""
        self._storage.settle()

    def stage_identities(self, entries: list[bytes], size: int, taken: int = 0) -> None:
        """Write the whole list of the log's identity records at `size`, durable. Until that is published, those before it count.

        `taken` is how many bytes the log takes then; 0 if that is not known.
        """
        head = [b"%d" % size, b"%d" % len(self.identities()), b"%d" % taken]
        self._storage.write({f"{self._prefix}identity": tile.bundle([*head, *entries])})

    def publish(self, signed: Note) -> None:
        """Make `signed` the checkpoint. Its tree is staged, and its signatures checked, by the caller."""
        before = self.size
        self._storage.write({f"{self._prefix}checkpoint": bytes(signed)})
        outdated = _partials(before) - _partials(self.size)
        if outdated:
            self._storage.remove(self._prefix + name for name in outdated)

    def left_over(self, place: Place) -> bytes | None:
        """The bytes of a bundle that an unfinished copy left beyond the published size, or None. Nothing of it is verified."""
        return self._storage.read(self._prefix + str(place))

    def clear(self) -> None:
        """Remove every tile and bundle that is no part of the published tree: an unfinished copy left it."""
        size = self.size
        kept = _partials(size)
        places = [name.removeprefix(self._prefix) for name in self._storage.names(f"{self._prefix}tile/")]
        self._storage.remove(self._prefix + name for name in places if name not in kept and not _is_full(name, size))

    def forget(self) -> None:
        """Remove everything of this log."""
        self._storage.remove([f"{self._prefix}checkpoint"])
        self._storage.remove(self._names())

    def set_aside(self) -> None:
        """Move everything of this log to `forks/`: it is of a branch that does not stand, and nothing is thrown away."""
        aside = f"forks/{folder(self.origin)}-{self.root.hex()[:16]}/"
        self._storage.write({aside + name.removeprefix(self._prefix): self._storage.read(name) or b"" for name in self._names()})
        self.forget()

    def _names(self) -> list[str]:
        """All files of this log but its lock, at which others may be waiting."""
        return [name for name in self._storage.names(self._prefix) if name != f"{self._prefix}lock"]

    def _identities(self) -> tuple[int, int, int, list[bytes]]:
        """The size at which the stored list of identity records holds, how many hold before it, the bytes taken, and the list."""
        try:
            size, before, taken, *entries = _unbundle(self._storage.read(f"{self._prefix}identity") or b"") or [b"0"] * 3
            return _number(size), _number(before), _number(taken), entries
        except (MalformedError, ValueError) as e:
            raise DamagedError(f"the stored identities of {self.origin} cannot be read: {e}") from e

    def _own(self, raw: bytes) -> Head:
        try:
            head = read_head(raw)
        except MalformedError as e:
            raise DamagedError(f"the stored checkpoint of {self.origin} cannot be read: {e}") from e
        if head.checkpoint.origin != self.origin:
            raise DamagedError(f"the stored checkpoint of {self.origin} is one of {head.checkpoint.origin}")
        return head

    def _stored(self, place: Place) -> bytes:
        """The stored bytes that `place` begins: of the full tile, or of the partial tile of the published size."""
        for _ in range(_TRIES):
            count = self.size >> (8 * (place.level or 0))
            width = min(WIDTH, count - place.index * WIDTH)
            raw = self._storage.read(self._prefix + str(Place(place.level, place.index, width)))
            if raw is not None and place.level is not None and len(raw) != width * merkle.HASH_SIZE:
                raise self._damaged(place)
            if raw is not None:
                return raw
        raise self._damaged(place)

    def _bundle(self, place: Place) -> tuple[list[bytes], bytes]:
        """The entries of a bundle of the published tree, and its bytes."""
        raw = self._stored(place)
        try:
            entries, length = tile.cut_bundle(raw, place.width)
        except MalformedError as e:
            raise self._damaged(place) from e
        return entries, raw[:length]

    def _damaged(self, place: Place) -> DamagedError:
        return DamagedError(
            f"{place} of {self.origin} is gone or cut off on the disk: take it from a backup, or the log from a peer"
        )

    def _staged(self, place: Place) -> list[bytes]:
        raw = self._storage.read(self._prefix + str(place))
        if raw is None:
            raise DamagedError(f"{place} of {self.origin} is gone from the disk")
        return tile.parse_bundle(raw, place.width)


def _unbundle(raw: bytes) -> list[bytes]:
    """All entries in a bundle, however many."""
    entries: list[bytes] = []
    while raw:
        (entry,), length = tile.cut_bundle(raw, 1)
        entries.append(entry)
        raw = raw[length:]
    return entries


def _number(raw: bytes) -> int:
    return decimal(raw.decode(errors="replace"))


def _partials(size: int) -> set[str]:
    """The names of the partial tiles and bundle of a tree of `size`."""
    levels = range((size.bit_length() + 7) // 8)
    tiles = {str(Place(level, count // WIDTH, count % WIDTH)) for level in levels if (count := size >> (8 * level)) % WIDTH}
    return tiles | ({str(Place(None, size // WIDTH, size % WIDTH))} if size % WIDTH else set())


def _is_full(name: str, size: int) -> bool:
    """Whether `name` is that of a full tile or bundle of a tree of `size`."""
    place = Place.parse(name)
    return place.width == WIDTH and (place.index + 1) * WIDTH <= size >> (8 * (place.level or 0))
