"""What has to come of a large file: which chunks of which xorbs, told from its map and the rows of the xorbs that are not here.

1. The map is the shard of the file: its size, its SHA-256 and its Xet hash must be those that the commit names.
2. The rows of every part whose xorb is not here must make the range hash that the map says.
3. All chunks together must make the Xet hash. The commit binds it, so from here on every chunk is known before it comes, and
   whoever sends another one is caught at that chunk.
4. A xorb of which nothing is hidden, and all is wanted, comes whole and keeps its name: then the next version of the file needs no
   rows for what it shares with this one. Of any other xorb the chunks come one by one, and find a place in xorbs of our own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from concord.errors import ForgedError, MalformedError
from concord.ledger.chunks import Chunks
from concord.ledger.chunks.rows import HIDDEN, SIZE, Row, Rows
from concord.xet.hashes import Tree, file_hash_of, range_hash, spell
from concord.xet.shard import File, Shard, Term
from concord.xet.xorb import CHUNKS_MAX

NEAR = 16  # rows that cost less than another request

Span = tuple[int, int]
Ask = Callable[[str, int, int], bytes]  # bytes [start, stop) of the rows of a xorb


@dataclass(frozen=True)
class Wanted:
    """A large file as a commit names it: of which repo (its root), SHA-256, bytes, and Xet hash if that is said."""

    root: str
    sha256: str
    size: int
    xet: str | None = None


def read_map(raw: bytes, wanted: Wanted) -> File:
    """Rule 1. ForgedError or MalformedError if it is not the map of the file."""
    files = Shard.parse(raw).files
    if len(files) != 1 or len(files[0].ranges) != len(files[0].terms):
        raise MalformedError("a map is a shard of one file, with range hashes")
    file = files[0]
    fits = file.size == wanted.size and wanted.xet in (None, spell(file.hash))
    if not fits or not file.has_digest(bytes.fromhex(wanted.sha256)):
        raise ForgedError(f"the map of {wanted.sha256} is that of another file")
    return file


@dataclass(frozen=True)
class Home:
    """A xorb that is not here: the rows that are known of it by their first chunk, and whether it can come whole."""

    rows: tuple[Rows, ...]
    spans: tuple[Span, ...]
    whole: bool

    def row(self, number: int) -> Row:
        """Where a chunk is. ForgedError if it is hidden, which no chunk of the file is."""
        found = next((rows[number] for rows in self.rows if number in rows), None)
        if found is None:
            raise ForgedError(f"chunk {number} is hidden, and the file has it")
        return found

    def has(self, number: int) -> bool:
        """Whether the file has this chunk."""
        return any(start <= number < stop for start, stop in self.spans)

    def numbers(self) -> Iterator[int]:
        """The chunks that the file has."""
        for start, stop in self.spans:
            yield from range(start, stop)


@dataclass(frozen=True)
class Plan:
    """A file and the xorbs of it that are not here, in the order in which it needs them."""

    file: File
    homes: Mapping[bytes, Home]
    chunks: Chunks

    def chunk(self, term: Term, number: int) -> tuple[bytes, int]:
        """Hash and size of a chunk of a part."""
        home = self.homes.get(term.xorb)
        if home is not None:
            row = home.row(number)
            return row.chunk, row.size
        table = self.chunks.table(spell(term.xorb))
        return table.hash(number), table.size(number, number + 1)

    def listing(self) -> Iterator[tuple[bytes, int]]:
        """Hash and size of all chunks, in order."""
        for term in self.file.terms:
            for number in range(term.start, term.stop):
                yield self.chunk(term, number)

    def parts(self, start: int, stop: int) -> Iterator[tuple[Term, int, int]]:
        """The chunks that have bytes [start, stop) of the file: the part, the number in it, and where its content begins."""
        place = 0
        for term in self.file.terms:
            if place + term.size > start and place < stop:
                inner = place
                for number in range(term.start, term.stop):
                    size = self.chunk(term, number)[1]
                    if inner + size > start and inner < stop:
                        yield term, number, inner
                    inner += size
            place += term.size


def lacking(chunks: Chunks, file: File) -> dict[bytes, tuple[Span, ...]]:
    """The chunks of the file in xorbs that are not here, by xorb, in the order in which the file needs these."""
    spans: dict[bytes, list[Span]] = {}
    here: dict[bytes, bool] = {}
    for term in file.terms:
        if term.xorb not in here:
            here[term.xorb] = chunks.has_xorb(spell(term.xorb))
        if not here[term.xorb]:
            spans.setdefault(term.xorb, []).append((term.start, term.stop))
    return {xorb: _merged(some) for xorb, some in spans.items()}


def make(chunks: Chunks, file: File, homes: Mapping[bytes, Home]) -> Plan:
    """Rules 2 and 3. ForgedError if the rows, or what is here under the names that the map says, are not the file's."""
    plan = Plan(file, homes, chunks)
    tree = Tree()
    for term, proof in zip(file.terms, file.ranges, strict=True):
        found = list(_of_term(plan, term))
        if range_hash(b"".join(chunk for chunk, _ in found)) != proof or sum(size for _, size in found) != term.size:
            raise ForgedError(f"chunks {term.start} to {term.stop} of xorb {spell(term.xorb)} are not what the map says")
        for chunk, size in found:
            tree.add(chunk, size)
    if file_hash_of(tree.root()) != file.hash:
        raise ForgedError(f"the chunks that the map of file {spell(file.hash)} names are those of another")
    return plan


def ask_home(ask: Ask, xorb: bytes, spans: tuple[Span, ...]) -> Home:
    """The rows of the chunks in `spans`, asked for with one row more: if there is none, the xorb ends there (rule 4)."""
    found, name = [], spell(xorb)
    for start, stop in _merged(list(spans), NEAR):
        raw = ask(name, start * SIZE, min(stop + 1, CHUNKS_MAX) * SIZE)
        if len(raw) < (stop - start) * SIZE:
            raise ForgedError(f"xorb {name} has fewer chunks than the map says")
        found.append(Rows(start, raw))
    ends = spans[0][1] == CHUNKS_MAX or len(found[0]) == spans[0][1]
    whole = len(spans) == 1 and spans[0][0] == 0 and ends and not _any_hidden(found[0])
    return Home(tuple(found), spans, whole)


def _any_hidden(rows: Rows) -> bool:
    return any(rows.raw[start : start + SIZE] == HIDDEN for start in range(0, len(rows.raw), SIZE))


def _of_term(plan: Plan, term: Term) -> Iterator[tuple[bytes, int]]:
    try:
        yield from (plan.chunk(term, number) for number in range(term.start, term.stop))
    except IndexError as e:
        raise ForgedError(f"xorb {spell(term.xorb)} has fewer chunks than the map says") from e


def _merged(spans: list[Span], gap: int = 0) -> tuple[Span, ...]:
    """The spans in order, those that are no further apart than `gap` as one."""
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return tuple(merged)
