"""Which files of repos go into a bundle, and in what form: only what the receiver lacks, under the paths of a mirror.

1. Of each repo that is public and open, the files of one revision are looked at. What was not brought here, is held or was
   erased stays behind and is told, all in the same words.
2. A file that the receiver has is left out. A small one goes as its bytes (`concord.edges.peer.content`).
3. Of large files, the chunks go that the receiver lacks: those in no xorb that it names, and in no file that it has, as far as
   that file can be had here for the same repo. That somebody names the digest of another file tells nothing about it.
4. A xorb of which every chunk is lacking goes as it is, under its name. The lacking chunks of all others are packed anew, one after
   the other, into xorbs that are whole, hold nothing else, and fit in a volume. So nothing in a bundle is a part of something, and
   whoever reads it needs nothing but what serves any peer.
5. The map of a file says where its chunks are then. Rows go along for every xorb that the map names and the receiver does not.

What is needed of a file but fits in no volume leaves the file out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from concord.edges.peer.content import Shared, file_path, map_path, rows_path, xorb_path
from concord.edges.peer.pieces import FRAME, Piece, of_bytes
from concord.edges.peer.wants import Chosen, Want
from concord.errors import MalformedError, MissingError, RefusedError
from concord.ledger.chunks import Chunks
from concord.ledger.chunks.rows import SIZE, Row
from concord.node import Node
from concord.pillars.commons import File as Named
from concord.pillars.commons import Repo
from concord.shelf import Reader
from concord.xet.hashes import Tree, range_hash, spell, unspell
from concord.xet.shard import File, Shard, Term
from concord.xet.xorb import CHUNKS_MAX, CONTENT_MAX, STORED_MAX

Span = tuple[int, int]


@dataclass
class Cargo:
    """What goes of some repos: the pieces, and how many files these are.

    `left_out` are the digests of files that fit in no volume; `absent` are repos and files that cannot be had here, by name.
    """

    pieces: list[Piece] = field(default_factory=list)
    files: int = 0
    left_out: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """The chunks [start, stop) of a xorb that is here, which stand from `first` on in the xorb `name` of the bundle."""

    xorb: str
    start: int
    stop: int
    name: str = ""
    first: int = 0


@dataclass(frozen=True)
class Packed:
    """A xorb of a bundle: its name, its bytes as stored, and the parts that it is packed of, here."""

    name: str
    size: int
    parts: tuple[Part, ...]

    @property
    def count(self) -> int:
        """How many chunks it has."""
        return sum(part.stop - part.start for part in self.parts)


def choose(node: Node, wanted: Want, repos: Sequence[Chosen]) -> list[Chosen]:
    """The repos whose files go: those that are wanted, then those that the sender chose besides, each once."""
    shelf = Reader(node)
    chosen: dict[str, Chosen] = {}
    for each in (*wanted.chosen(), *repos):
        try:
            root = shelf.named(each.repo).root
        except (MissingError, MalformedError):
            root = each.repo  # told as absent
        chosen.setdefault(root, each)
    every = shelf.open_repos() if wanted.every is True else []
    return [*chosen.values(), *(Chosen(repo.root) for repo in every if repo.root not in chosen and repo.branches)]


def load(node: Node, wanted: Sequence[Chosen], most: int | None) -> Cargo:
    """The files of the repos that are `wanted`, in volumes of at most `most` bytes."""
    shelf, shared, cargo = Reader(node), Shared(node), Cargo()
    for chosen in wanted:
        try:
            repo = shelf.named(chosen.repo)
            shelf.check_open(repo)
            tree = shelf.tree(repo, repo.find(chosen.revision))
        except (MissingError, MalformedError, RefusedError):
            cargo.absent.append(chosen.repo if chosen.revision == "main" else f"{chosen.repo} at {chosen.revision}")
            continue
        _Loading(node.chunks, shared, repo, chosen, most).load(tree.values(), cargo)
    return cargo


class _Loading:
    """The loading of one repo."""

    def __init__(self, chunks: Chunks, shared: Shared, repo: Repo, chosen: Chosen, most: int | None) -> None:
        self._chunks, self._shared, self._root = chunks, shared, repo.root
        self._name, self._most = repo.id.name, most
        self._room = STORED_MAX if most is None else most - FRAME - Piece(xorb_path(repo.root, "0" * 64), 0, tuple).weight
        self._had_files, self._had_xorbs = set(chosen.files), set(chosen.xorbs)

    def load(self, tree: Iterable[Named], cargo: Cargo) -> None:
        """Rules 2 to 5, for the files of a revision."""
        lacking = {file.sha256: file for file in tree if file.sha256 not in self._had_files}
        small, large = list[Piece](), dict[str, File]()
        for digest, file in sorted(lacking.items(), key=lambda item: (item[1].size, item[0])):
            try:
                size, entry = self._shared.file(self._root, digest), self._chunks.by_digest(digest)
                if entry is not None and self._chunks.missing(entry.hash):
                    raise MissingError("a part of it was set aside")
            except MissingError:
                cargo.absent.append(f"{file.path} of {self._name}")
                continue
            if file.large and entry is not None:
                large[digest] = Shard.parse(self._shared.map(self._root, digest)).files[0]
            else:
                small.append(self._whole(digest, size))
        fitting = [piece for piece in small if piece.fits(self._most)]
        cargo.left_out.extend(piece.name[-64:] for piece in small if not piece.fits(self._most))
        cargo.pieces.extend(fitting)
        loaded, pieces = self._chunked(large)
        cargo.left_out.extend(digest for digest in large if digest not in loaded)
        cargo.pieces.extend(pieces)
        cargo.files += len(fitting) + len(loaded)

    def _whole(self, digest: str, size: int) -> Piece:
        return Piece(file_path(self._root, digest), size, lambda: self._shared.read(self._root, digest, 0, size))

    # Large files

    def _chunked(self, files: dict[str, File]) -> tuple[set[str], list[Piece]]:
        """The pieces of large files, and which of these fit."""
        packed = self._pack(self._lacking(files.values()))
        home = _by_xorb(packed)
        fits = {each.name for each in packed if self._xorb(each).fits(self._most)}
        loaded, named, pieces = set[str](), set[str](), list[Piece]()
        for digest, file in files.items():
            raw, needed = self._map(digest, file, home)
            mapped = of_bytes(map_path(self._root, digest), raw)
            if mapped.fits(self._most) and needed & {each.name for each in packed} <= fits:
                loaded.add(digest)
                named |= needed
                pieces.append(mapped)
        going = {each.name: each for each in packed if each.name in named}
        pieces += [self._described(name) for name in sorted(named - set(going) - self._had_xorbs)]
        for each in going.values():
            pieces += [self._rows(each), self._xorb(each)]
        return loaded, pieces

    def _lacking(self, files: Iterable[File]) -> dict[str, list[Span]]:
        """The chunks that the receiver lacks, by xorb (rule 3), in the order in which the files need these."""
        used: dict[str, list[Span]] = {}
        for term in (term for file in files for term in file.terms):
            used.setdefault(spell(term.xorb), []).append((term.start, term.stop))
        had = self._had_chunks() if used else frozenset[bytes]()
        lacking = {xorb: list(self._without(xorb, spans, had)) for xorb, spans in used.items() if xorb not in self._had_xorbs}
        return {xorb: spans for xorb, spans in lacking.items() if spans}

    def _had_chunks(self) -> set[bytes]:
        """The hashes of all chunks of the files that the receiver has, and that can be had here for this repo."""
        had: set[bytes] = set()
        for digest in self._had_files:
            entry = self._chunks.by_digest(digest)
            if entry is not None and self._may(digest):
                had.update(unspell(chunk) for chunk, _ in self._chunks.listing(entry.hash))
        return had

    def _may(self, digest: str) -> bool:
        try:
            self._shared.file(self._root, digest)
        except MissingError:
            return False
        return True

    def _without(self, xorb: str, spans: list[Span], had: set[bytes] | frozenset[bytes]) -> Iterator[Span]:
        """The chunks in `spans`, each once and in order, without those that were had."""
        table = self._chunks.table(xorb)
        numbers = sorted({number for start, stop in spans for number in range(start, stop)})
        rest = [number for number in numbers if table.hash(number) not in had]
        for _, run in groupby(enumerate(rest), key=lambda pair: pair[1] - pair[0]):
            found = [number for _, number in run]
            yield found[0], found[-1] + 1

    def _pack(self, lacking: dict[str, list[Span]]) -> list[Packed]:
        """The xorbs that go (rule 4)."""
        whole, rest = list[Packed](), list[Part]()
        for xorb, spans in lacking.items():
            table = self._chunks.table(xorb)
            as_is = Packed(xorb, table.stops[-1], (Part(xorb, 0, len(table), xorb),))
            if spans == [(0, len(table))] and self._xorb(as_is).fits(self._most):
                whole.append(as_is)
            else:
                rest.extend(Part(xorb, *span) for span in spans)
        return [*whole, *map(self._sealed, self._groups(rest))]

    def _groups(self, parts: Iterable[Part]) -> Iterator[list[Part]]:
        """The parts cut and gathered so that each group can be a xorb that fits in a volume."""
        filling = _Filling(self._room)
        for part in parts:
            table = self._chunks.table(part.xorb)
            for number in range(part.start, part.stop):
                first, last = table.place(number, number + 1)
                size = table.size(number, number + 1)
                if not filling.takes(size, last - first):
                    yield filling.parts
                    filling = _Filling(self._room)
                filling.add(part.xorb, number, size, last - first)
        if filling.parts:
            yield filling.parts

    def _sealed(self, parts: list[Part]) -> Packed:
        """A group as a xorb, under the name that its chunks give it."""
        tree, size = Tree(), 0
        for part in parts:
            table = self._chunks.table(part.xorb)
            first, last = table.place(part.start, part.stop)
            size += last - first
            for chunk, length in table.chunks(part.start, part.stop):
                tree.add(chunk, length)
        name, placed, count = spell(tree.root()), list[Part](), 0
        for part in parts:
            placed.append(Part(part.xorb, part.start, part.stop, name, count))
            count += part.stop - part.start
        return Packed(name, size, tuple(placed))

    # Pieces

    def _xorb(self, packed: Packed) -> Piece:
        def read() -> Iterator[bytes | bytearray]:
            for part in packed.parts:
                _, ranged = self._shared.xorb(self._root, part.xorb)
                yield from ranged(*self._chunks.table(part.xorb).place(part.start, part.stop))

        return Piece(xorb_path(self._root, packed.name), packed.size, read)

    def _rows(self, packed: Packed) -> Piece:
        def read() -> Iterator[bytes]:
            place = 0
            for part in packed.parts:
                table = self._chunks.table(part.xorb)
                for number in range(part.start, part.stop):
                    first, last = table.place(number, number + 1)
                    yield bytes(Row(table.hash(number), place, last - first, table.size(number, number + 1)))
                    place += last - first

        return Piece(rows_path(self._root, packed.name), packed.count * SIZE, read)

    def _described(self, xorb: str) -> Piece:
        """The rows of a xorb that does not go, because the receiver has its chunks, perhaps under another name."""
        size = len(self._chunks.table(xorb)) * SIZE
        return Piece(rows_path(self._root, xorb), size, lambda: (self._shared.rows(self._root, xorb),))

    def _map(self, digest: str, file: File, home: dict[str, list[Part]]) -> tuple[bytes, set[str]]:
        """The map of a file (rule 5), and the xorbs that it names. That of a file whose xorbs go as they are stays as it is."""
        if all(part.name == part.xorb for term in file.terms for part in home.get(spell(term.xorb), ())):
            return self._shared.map(self._root, digest), {spell(term.xorb) for term in file.terms}
        found = _joined(placed for term in file.terms for placed in _placed(term, home.get(spell(term.xorb), [])))
        terms, ranges = list[Term](), list[bytes]()
        for name, start, stop, places in found:
            tables = [(self._chunks.table(xorb), first, last) for xorb, first, last in places]
            terms.append(Term(unspell(name), sum(table.size(first, last) for table, first, last in tables), start, stop))
            ranges.append(range_hash(b"".join(table.hashes[first * 32 : last * 32] for table, first, last in tables)))
        moved = File(file.hash, tuple(terms), tuple(ranges), file.digest)
        return bytes(Shard((moved,))), {name for name, *_ in found}


class _Filling:
    """A xorb that is being filled, up to `room` bytes as stored (one chunk at least)."""

    def __init__(self, room: int) -> None:
        self.parts: list[Part] = []
        self._room = room
        self._count = self._content = self._stored = 0

    def takes(self, size: int, stored: int) -> bool:
        """Whether there is room for a chunk."""
        fits = self._content + size <= CONTENT_MAX and self._stored + stored <= self._room
        return not self._count or (fits and self._count < CHUNKS_MAX)

    def add(self, xorb: str, number: int, size: int, stored: int) -> None:
        """Take the chunk `number` of a xorb."""
        last = self.parts[-1] if self.parts else None
        if last is not None and (last.xorb, last.stop) == (xorb, number):
            self.parts[-1] = replace(last, stop=number + 1)
        else:
            self.parts.append(Part(xorb, number, number + 1))
        self._count, self._content, self._stored = self._count + 1, self._content + size, self._stored + stored


_Placed = tuple[str, int, int, list[tuple[str, int, int]]]  # [start, stop) of a xorb of the map; where these chunks are here


def _by_xorb(packed: Sequence[Packed]) -> dict[str, list[Part]]:
    """The parts of the xorbs of a bundle by the xorb that they come from, in order."""
    home: dict[str, list[Part]] = {}
    for part in sorted((part for each in packed for part in each.parts), key=lambda part: part.start):
        home.setdefault(part.xorb, []).append(part)
    return home


def _placed(term: Term, parts: list[Part]) -> Iterator[_Placed]:
    """Where the chunks of a term are for the receiver: in xorbs of the bundle, or in the one that the term names."""
    xorb, at = spell(term.xorb), term.start
    for part in parts:
        start, stop = max(part.start, at), min(part.stop, term.stop)
        if start < stop:
            if at < start:
                yield xorb, at, start, [(xorb, at, start)]
            first = part.first + start - part.start
            yield part.name, first, first + stop - start, [(xorb, start, stop)]
            at = stop
    if at < term.stop:
        yield xorb, at, term.stop, [(xorb, at, term.stop)]


def _joined(placed: Iterable[_Placed]) -> list[_Placed]:
    """The same, those that follow each other in one xorb as one."""
    found: list[_Placed] = []
    for name, start, stop, places in placed:
        if found and found[-1][0] == name and found[-1][2] == start:
            found[-1][3].extend(places)
            found[-1] = name, found[-1][1], stop, found[-1][3]
        else:
            found.append((name, start, stop, places))
    return found
