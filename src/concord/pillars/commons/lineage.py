"""Lineage: what a repo was made of, and what was made of it, across all members, as a graph.

A card names base models and datasets by what its publisher wrote. A name that is here, `member/name`, leads to a repo, whose card
names others in turn; any other name is of elsewhere, and ends the line: it is shown as it was written, and nobody checked it.
All of it is claims. Somebody may name what was never used, leave out what was, or let two models name each other, so walks are
bounded in steps and in number, and never go through a repo twice.

>>> def made(name, *base):
...     return Source(("model", name), Card(base=base, relation="finetune"))
>>> index = Index([made("ke/words"), made("br/words-pt", "ke/words"), made("id/both", "br/words-pt", "else/where")])
>>> found = trace(made("br/words-pt", "ke/words"), [index])
>>> [(each.key[1], each.step, each.here) for each in found.kin]
[('ke/words', -1, True), ('br/words-pt', 0, True), ('id/both', 1, True)]
>>> [(link.of[1], link.made[1], link.how) for link in found.links]
[('br/words-pt', 'id/both', 'finetune'), ('ke/words', 'br/words-pt', 'finetune')]
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from concord.pillars.commons.records import Card, RepoId

KIN_MAX = 48  # repos and names of one lineage
STEPS_MAX = 8  # from the repo, in each direction
DATASET = "dataset"  # how a dataset goes into what is made with it; a base model goes in as its relation says

Key = tuple[str, str]  # kind and name, the name as cards write it


@dataclass(frozen=True)
class Source:
    """A repo of the catalogue with its card. `aliases` are keys under which it is known besides."""

    key: Key
    card: Card
    id: RepoId | None = None
    aliases: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Kin:
    """One repo or name of a lineage. `step` is how far above the repo it stands (negative: it was made of this), or below.

    `source` None: a name of elsewhere.
    """

    key: Key
    step: int
    source: Source | None = None

    @property
    def here(self) -> bool:
        """Whether there is a repo here that is called so."""
        return self.source is not None


@dataclass(frozen=True)
class Link:
    """`made` was made of `of`: as `how` says, "" if nobody said how."""

    of: Key
    made: Key
    how: str = ""


@dataclass(frozen=True)
class Lineage:
    """The graph: kin from the farthest origin down, links between them, and whether there was more than the bounds let in."""

    kin: tuple[Kin, ...] = ()
    links: tuple[Link, ...] = ()
    cut: bool = False

    @property
    def origins(self) -> list[Kin]:
        """What it was made of, the nearest first."""
        return sorted((each for each in self.kin if each.step < 0), key=lambda each: (-each.step, each.key))

    @property
    def made(self) -> list[Kin]:
        """What was made of it."""
        return [each for each in self.kin if each.step > 0]

    def between(self, of: Key, made: Key) -> Link | None:
        """The link from one to the other, if there is one."""
        return next((link for link in self.links if (link.of, link.made) == (of, made)), None)


@dataclass(frozen=True)
class Index:
    """Repos by name, and by what they name. Made once for a catalogue, asked many times."""

    sources: Iterable[Source]
    by_key: Mapping[Key, Source] = field(init=False, repr=False)
    by_part: Mapping[Key, tuple[Source, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_key: dict[Key, Source] = {}
        by_part: dict[Key, list[Source]] = {}
        for source in self.sources:
            by_key[source.key] = source
            for alias in source.aliases:
                by_key.setdefault(alias, source)
            for part, _ in parts(source):
                by_part.setdefault(part, []).append(source)
        object.__setattr__(self, "by_key", by_key)
        object.__setattr__(self, "by_part", {key: tuple(found) for key, found in by_part.items()})


def parts(source: Source) -> Iterator[tuple[Key, str]]:
    """What a card says the repo was made of, each with how. A card that names its own repo says nothing by it."""
    own = {source.key, *source.aliases}
    named: list[tuple[Key, str]] = [(("model", name), source.card.relation) for name in source.card.base]
    named += [(("dataset", name), DATASET) for name in source.card.datasets]
    yield from ((key, how) for key, how in dict(named).items() if key not in own)


def trace(start: Source, indexes: Sequence[Index]) -> Lineage:
    """The lineage of a repo whose card at this revision is that of `start`, in catalogues that are asked one after another."""
    walk = _Walk(start, indexes)
    walk.go(-1, walk.above)
    walk.go(1, walk.below)
    return walk.found()


class _Walk:
    """A walk that goes on: the kin by key, in the order in which they were found."""

    def __init__(self, start: Source, indexes: Sequence[Index]) -> None:
        self._indexes = indexes
        self._start = start
        self._kin = {start.key: Kin(start.key, 0, start)}
        self._cut = False

    def go(self, way: int, step: Callable[[Kin], Iterable[Key]]) -> None:
        """Breadth first, so that what is nearest is what the bounds keep. Where names go in a circle, it is gone once."""
        edge, seen = [self._start.key], {self._start.key}
        for distance in range(1, STEPS_MAX + 1):
            further = dict.fromkeys(key for each in edge for key in step(self._kin[each]) if key not in seen)
            edge = [key for key in further if self._take(key, way * distance)]
            seen.update(edge)
        self._cut = self._cut or any(key not in self._kin for each in edge for key in step(self._kin[each]))

    def above(self, kin: Kin) -> list[Key]:
        """What it was made of."""
        return sorted(self._canonical(key) for key, _ in parts(kin.source)) if kin.source else []

    def below(self, kin: Kin) -> list[Key]:
        """What was made of it."""
        names = {kin.key, *(kin.source.aliases if kin.source else ())}
        return sorted({made.key for index in self._indexes for name in names for made in index.by_part.get(name, ())})

    def found(self) -> Lineage:
        """The graph, in an order that depends on nothing but the cards."""
        kin = sorted(self._kin.values(), key=lambda each: (each.step, each.key))
        links: dict[tuple[Key, Key], str] = {}
        for each in kin:
            for part, how in parts(each.source) if each.source else ():
                of = self._canonical(part)
                if of in self._kin and of != each.key:
                    links.setdefault((of, each.key), how)
        return Lineage(tuple(kin), tuple(Link(*ends, how) for ends, how in sorted(links.items())), self._cut)

    def _take(self, key: Key, step: int) -> bool:
        """Whether a repo or name is among the kin now: if it was not, and there was room, it is noted at this step."""
        if key not in self._kin and len(self._kin) < KIN_MAX:
            self._kin[key] = Kin(key, step, self._source(key))
        self._cut = self._cut or key not in self._kin
        return key in self._kin

    def _source(self, key: Key) -> Source | None:
        if key == self._start.key or key in self._start.aliases:
            return self._start
        return next((index.by_key[key] for index in self._indexes if key in index.by_key), None)

    def _canonical(self, key: Key) -> Key:
        """The name that a repo has now, of those that it ever had."""
        source = self._source(key)
        return source.key if source else key
