"""What clients of the Xet protocol are answered: how to put a file together, and what they may build on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection

from concord.ledger.chunks import index
from concord.ledger.chunks.disk import Disk
from concord.ledger.chunks.index import Place
from concord.xet.hashes import ZERO, spell, unspell
from concord.xet.shard import Term, Xorb
from concord.xet.xorb import CHUNKS_MAX, Table

NEIGHBOURS_MAX = 256  # xorbs in one answer: some 12 MiB, which stand for 16 GiB

LANDED_AGE = 72 * 3600  # seconds for which what landed of an upload that was cut is told to whoever begins one

# of each xorb, which of its chunks the asker may learn of
Shown = dict[bytes, list[range]]


@dataclass(frozen=True, slots=True)
class Opening:
    """Somebody begins an upload, perhaps once more, and is told what landed `since` a time, whatever chunk is asked for.

    For what landed may be the second part of a file, and a client asks for the first. `turn` is how often it was told already: if
    not all of it goes into one answer, each has another part.
    """

    since: int
    turn: int


@dataclass(frozen=True, slots=True)
class Span:
    """The chunks [start, stop) of a xorb, `size` bytes of content."""

    xorb: str
    start: int
    stop: int
    size: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """The chunks [start, stop) of a xorb, which are bytes [first, end) of its file."""

    start: int
    stop: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """How to put a part of a file together: of the spans' content leave out the first `skip` bytes, and what is after the part.

    Every span lies in one of the fetches of its xorb.
    """

    skip: int
    spans: tuple[Span, ...]
    fetches: dict[str, tuple[Fetch, ...]]


def reconstruction(disk: Disk, terms: Iterable[tuple[int, Term]], start: int, stop: int) -> Reconstruction:
    """How bytes [start, stop) of the file come out of its terms, each with its offset."""
    skip, spans = 0, list[Span]()
    for offset, term in terms:
        table = disk.table(term.xorb)
        first, last = within(table, term, start - offset, stop - offset)
        if not spans:
            skip = start - offset - before(table, term, first)
        spans.append(Span(spell(term.xorb), first, last, table.size(first, last)))
    return Reconstruction(skip, tuple(spans), _fetches(disk, spans))


def within(table: Table, term: Term, start: int, stop: int) -> tuple[int, int]:
    """The chunks of a term that have bytes [start, stop) of its content."""
    base = table.span(term.start)[0]
    first = table.at(base + max(start, 0))
    last = table.at(base + min(stop, term.size) - 1) if stop > 0 else first
    return first, last + 1


def before(table: Table, term: Term, chunk: int) -> int:
    """How many bytes of a term's content lie before a chunk."""
    return table.span(chunk)[0] - table.span(term.start)[0]


def _fetches(disk: Disk, spans: list[Span]) -> dict[str, tuple[Fetch, ...]]:
    """Of each xorb, the fewest runs of chunks that have all of its spans."""
    fetches: dict[str, tuple[Fetch, ...]] = {}
    for name in dict.fromkeys(span.xorb for span in spans):
        table, runs = disk.table(unspell(name)), list[tuple[int, int]]()
        for start, stop in sorted((span.start, span.stop) for span in spans if span.xorb == name):
            if runs and start <= runs[-1][1]:
                runs[-1] = runs[-1][0], max(stop, runs[-1][1])
            else:
                runs.append((start, stop))
        fetches[name] = tuple(Fetch(start, stop, *table.place(start, stop)) for start, stop in runs)
    return fetches


def shown(
    db: Connection, places: list[Place], files: Callable[[str], bool], xorbs: Callable[[str], bool], opening: Opening | None
) -> Shown | None:
    """What may be shown to somebody who asks for a chunk that lies at `places`.

    None if that chunk may not be shown, and the asker opens no upload of which anything landed before.
    """
    found: Shown = {}
    near = {name: number for place in places for name, number in index.files_with(db, place) if files(spell(name))}
    for name, number in near.items():
        for term in _around(db, name, number):
            found.setdefault(term.xorb, []).append(range(term.start, term.stop))
    homes = {place.xorb for place in places}
    for name in _landed(db, homes, xorbs, opening, told=bool(near)) if homes or opening else []:
        found.setdefault(name, []).append(range(CHUNKS_MAX))
    return dict(islice(found.items(), NEIGHBOURS_MAX)) or None


def _landed(db: Connection, homes: set[bytes], xorbs: Callable[[str], bool], opening: Opening | None, *, told: bool) -> list[bytes]:
    """What landed of uploads that were cut, the most useful first.

    That is from a xorb with the chunk on, for a client that found one goes on from there; or else the newest.
    """
    landed = [(name, came) for name, came in index.xorbs_without_file(db) if xorbs(spell(name))]
    names = [name for name, _ in landed]
    asked = next((number for number, name in enumerate(names) if name in homes), None)
    if asked is not None:
        return _turned(names, asked)
    if told:
        return names[::-1]
    if opening is None:
        return []
    young = [name for name, came in landed if came >= opening.since]
    return _turned(young, -NEIGHBOURS_MAX * (opening.turn + 1))


def _turned(names: list[bytes], first: int) -> list[bytes]:
    """The names from one on, then those before it."""
    first %= max(1, len(names))
    return names[first:] + names[:first]


def _around(db: Connection, name: bytes, number: int) -> Iterator[Term]:
    """The terms of a file from the term `number` on, then those before it: a client that found one chunk goes on from there."""
    terms = [term for _, term in index.terms(db, name, 0, index.SIZE_MAX)]
    yield from terms[number:]
    yield from reversed(terms[:number])


def masked(disk: Disk, name: bytes, ranges: list[range], stored: int) -> Xorb:
    """A xorb as it is shown: the hashes of chunks that the asker may not learn of are zeros."""
    table = disk.table(name)
    seen = bytearray(len(table))
    for some in ranges:
        seen[some.start : some.stop] = b"\1" * (min(some.stop, len(table)) - some.start)
    chunks = zip(seen, table.chunks(), strict=True)
    return Xorb(name, tuple((chunk if may else ZERO, size) for may, (chunk, size) in chunks), stored)
