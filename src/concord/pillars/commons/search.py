"""Searching repos: words in any script, facets, an order. Pure: entries and a question in, entries and counts out.

Text is broken into terms, the question like what is searched:

1. Case, accents, vowel signs and the letters that Arabic writes in several ways do not matter.
2. A word is a term, without the endings that change most in its script: a plural `s`, the vowels that Russian declines, the
   article of Arabic. A term of the question fits every word that begins with it.
3. Chinese, Japanese and Thai have no spaces: there, every two characters that stand together are a term.

>>> terms("Café models"), terms("модели речи"), terms("语音识别")
(['cafe', 'model'], ['модел', 'реч'], ['语音', '音识', '识别'])
>>> entry = Entry(RepoId(owner="ke.example/0", kind="model", name="sheng-speech"), Card(tags=("语音识别",), languages=("sw",)))
>>> found = search([entry], Question("识别", {"language": "sw"}))
>>> [each.id.name for each in found.entries], found.counts["language"]
(['sheng-speech'], [('sw', 1)])

A `Catalogue` answers many questions: it keeps, of each value of each facet and of each word, which entries have it, as the bits of
one number. So what fits, and how many would, is found by a few operations on numbers, and an entry that changes costs itself.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import NamedTuple
from unicodedata import category, normalize

from concord.pillars.commons.bounds import order
from concord.pillars.commons.labels import labels, spellings
from concord.pillars.commons.measure import (
    LARGEST,
    MEMORIES,
    OPENNESS,
    PARAMETERS,
    SIZES,
    UNCLASSED,
    Measure,
    memories_of,
    parameters_of,
    size_of,
)
from concord.pillars.commons.records import Card, Gate, RepoId
from concord.pillars.commons.repo import Repo, Revision

FACETS = ("kind", "task", "library", "language", "license", "openness", "memory", "parameters", "size", "member", "country")
HIDDEN = ("label", "gate")  # what lists are narrowed down by, and no page offers
LADDERS = {  # facets whose values have an order
    "openness": OPENNESS,
    "memory": (*MEMORIES, LARGEST),
    "parameters": (*PARAMETERS, LARGEST),
    "size": (*SIZES, LARGEST),
}
NOBODY: Mapping[str, Measure] = MappingProxyType({})
SORTS = ("fit", "changed", "likes", "name")
MEASURES_KEPT = 10_000  # what follows from so many measures is remembered
TEXT_MAX = 200  # characters of a question that are looked at
NAME, TITLE, TAG, OTHER = 8, 4, 3, 1  # what a term weighs by where it stands

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)")
_ALIKE = str.maketrans({"ة": "ه", "ى": "ي", "ـ": None, "ı": "i"})
_ARTICLE = "ال"
_CYRILLIC = re.compile(r"[\u0430-\u045f]+\Z")
_ENDINGS = "аеиоуыэюяьй"
_STEM_MIN = 3  # letters that stay


@dataclass(frozen=True)
class Entry:
    """A repo as lists and searches know it. `leaf` is the leaf hash of the commit that it is known by ("": there is none), `card`
    that commit's; `root` is that of the record that opened it. `likes` are people, of so many `members`. Times: POSIX seconds."""

    id: RepoId
    card: Card = field(default_factory=Card)
    opened: int = 0
    changed: int = 0
    likes: int = 0
    members: int = 0
    private: bool = False
    leaf: str = ""
    root: str = ""
    gate: Gate = "open"

    @classmethod
    def of(cls, repo: Repo, at: Revision | None) -> "Entry":
        """The entry of a repo that is known by the revision `at`."""
        card, changed, leaf = (at.commit.card, at.commit.at, at.leaf) if at else (Card(), repo.opened, "")
        likes = len(repo.likes), len({by for by, _ in repo.likes})
        return cls(repo.id, card, repo.opened, changed, *likes, repo.private, leaf, repo.root, repo.gate)

    @property
    def liked(self) -> int:
        """Where it stands in an order by likes (`concord.pillars.commons.bounds`)."""
        return order(self.members, self.likes)

    @cached_property
    def said(self) -> dict[str, tuple[str, ...]]:
        """What it is in each facet that its name and card tell."""
        card, repo = self.card, self.id
        one = {"kind": repo.kind, "task": card.task, "library": card.library, "license": card.license.lower(), "member": repo.owner}
        return {name: (value,) if value else () for name, value in one.items()} | {"language": card.languages, "gate": (self.gate,)}

    @cached_property
    def words(self) -> dict[str, int]:
        """Its terms, each with what it weighs."""
        card = self.card
        weighed = [(NAME, self.id.name), (TITLE, card.title), (TAG, " ".join(tag.rpartition(":")[2] for tag in card.tags))]
        weighed.append((OTHER, " ".join((card.task, card.library, card.license, *card.languages, *card.base, *card.datasets))))
        found: dict[str, int] = {}
        for weight, text in weighed:
            for term in terms(text):
                found[term] = max(weight, found.get(term, 0))
        return found

    @cached_property
    def called(self) -> tuple[str, str, str]:
        """Where it stands in an order by names."""
        return self.id.name.casefold(), self.id.owner, self.id.kind


class Line(NamedTuple):
    """An entry of a catalogue, what was measured of it, and of which country its owner is."""

    entry: Entry
    measure: Measure | None = None
    country: str = ""

    def values(self) -> Iterator[tuple[str, str]]:
        """What it is in each facet; of what was not measured nothing is known."""
        entry, measure = self.entry, self.measure
        for name, found in entry.said.items():
            yield from ((name, value) for value in found)
        if self.country:
            yield "country", self.country
        if measure is not None:
            yield from _measured(measure, model=entry.id.kind == "model")
        asked = spellings(entry.card, entry.id.kind, measure.formats if measure else ())
        yield from (("label", value) for value in asked)

    def labels(self) -> tuple[str, ...]:
        """What clients of the Hub call its tags."""
        return labels(self.entry.card, self.entry.id.kind, self.measure.formats if self.measure else ())


@dataclass(frozen=True)
class Question:
    """What is searched: text, values of facets, an order (`fit` is best first, or newest if there is no text)."""

    text: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    sort: str = "fit"


@dataclass(frozen=True)
class Found:
    """What fits, in order; and of each facet how many would fit with which value, all else staying as it is."""

    entries: list[Entry]
    counts: dict[str, list[tuple[str, int]]]


def search(
    entries: Iterable[Entry],
    question: Question,
    countries: Mapping[str, str] | None = None,
    measures: Mapping[str, Measure] = NOBODY,
) -> Found:
    """The entries that fit. `countries` says of which country the owner of a repo is, `measures` what was measured of a commit."""
    lines = (Line(each, measures.get(each.leaf), (countries or {}).get(each.id.owner, "")) for each in entries)
    return Catalogue().follow(lines).search(question)


@dataclass
class Kept:
    """Entries with a number each. What has a value, or a word, is the sum of 2 to the power of the number of each that has it."""

    lines: list[Line | None] = field(default_factory=list)
    at: dict[RepoId, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    facets: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in (*FACETS, *HIDDEN)})
    words: dict[int, dict[str, int]] = field(default_factory=lambda: {weight: {} for weight in (NAME, TITLE, TAG, OTHER)})

    def copy(self) -> "Kept":
        """Another of the same."""
        facets = {name: dict(values) for name, values in self.facets.items()}
        words = {weight: dict(places) for weight, places in self.words.items()}
        return Kept(list(self.lines), dict(self.at), list(self.free), facets, words)

    def has(self, line: Line) -> bool:
        """Whether this very line is here."""
        at = self.at.get(line.entry.id)
        known = self.lines[at] if at is not None else None
        return known is not None and (known.entry is line.entry or known.entry == line.entry) and known[1:] == line[1:]

    def put(self, line: Line) -> None:
        """Put an entry, in the place of what is here of it."""
        self.drop(line.entry.id)
        at = self.free.pop() if self.free else len(self.lines)
        self.lines[at : at + 1] = [line]
        self.at[line.entry.id] = at
        for found, name in self._places(line):
            found[name] = found.get(name, 0) | 1 << at

    def drop(self, id_: RepoId) -> None:
        """Let an entry be gone, if it is here."""
        at = self.at.pop(id_, None)
        line = self.lines[at] if at is not None else None
        if at is None or line is None:
            return
        self.lines[at] = None
        self.free.append(at)
        for found, name in self._places(line):
            found[name] &= ~(1 << at)
            if not found[name]:
                del found[name]

    def _places(self, line: Line) -> Iterator[tuple[dict[str, int], str]]:
        for facet, value in set(line.values()):
            yield self.facets[facet], value
        for word, weight in line.entry.words.items():
            yield self.words[weight], word


class Catalogue:
    """Entries, ready to be searched by any number of askers. It does not change: `follow` makes another."""

    def __init__(self, kept: Kept | None = None) -> None:
        self._kept = kept or Kept()

    def follow(self, lines: Iterable[Line]) -> "Catalogue":
        """The catalogue of these, made from this one: what is the same in both costs next to nothing."""
        wanted = {line.entry.id: line for line in lines}
        gone = self._kept.at.keys() - wanted.keys()
        new = [line for line in wanted.values() if not self._kept.has(line)]
        if not gone and not new:
            return self
        kept = self._kept.copy()
        for id_ in gone:
            kept.drop(id_)
        for line in new:
            kept.put(line)
        return Catalogue(kept)

    def joined(self, lines: Iterable[Line]) -> "Catalogue":
        """The catalogue with these besides."""
        kept = self._kept.copy()
        for line in lines:
            kept.put(line)
        return Catalogue(kept)

    @cached_property
    def all(self) -> int:
        """Which entries there are, as `having` gives them."""
        return sum(1 << at for at in self._kept.at.values())

    def having(self, facet: str, value: str) -> int:
        """Which entries have a value in a facet: one bit for each."""
        return self._kept.facets[facet].get(value, 0)

    def lines(self, found: int) -> list[Line]:
        """The entries whose bits these are, in no order."""
        lines = self._kept.lines
        return [line for at in _bits(found) if (line := lines[at]) is not None]

    def search(self, question: Question) -> Found:
        """What fits."""
        scored = [self._levels(term) for term in terms(question.text[:TEXT_MAX])]
        fits = _meet(self.all, (_union(bits for _, bits in levels) for levels in scored))
        wanted = {name: self.having(name, value) for name, value in question.facets.items() if value and name in FACETS}
        counts = {name: self._count(name, _meet(fits, [wanted[other] for other in wanted if other != name])) for name in FACETS}
        found = _meet(fits, wanted.values())
        scores = _scores(found, scored)
        pairs = [(line.entry, scores.get(at, 0)) for at, line in zip(_bits(found), self.lines(found), strict=True)]
        return Found([entry for entry, _ in sorted(pairs, key=_order(question.sort))], counts)

    @cached_property
    def _spelled(self) -> dict[int, list[str]]:
        """The words of each weight, in order."""
        return {weight: sorted(words) for weight, words in self._kept.words.items()}

    def _levels(self, term: str) -> list[tuple[int, int]]:
        """What a term of a question is worth, the most first, and where: twice the weight where it stands itself."""
        found: list[tuple[int, int]] = []
        for weight, words in self._kept.words.items():
            found.append((2 * weight, words.get(term, 0)))
            found.append((weight, _union(words[word] for word in _begun(self._spelled[weight], term))))
        return sorted(found, reverse=True)

    def _count(self, name: str, among: int) -> list[tuple[str, int]]:
        """The values with how often each is, the most frequent first; those of a ladder in its order."""
        values = self._kept.facets[name]
        counted = {value: count for value, bits in values.items() if (count := (bits & among).bit_count())}
        if name in LADDERS:
            return [(value, counted[value]) for value in LADDERS[name] if value in counted]
        return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def terms(text: str) -> list[str]:
    """The terms of a text, in order."""
    return list(_terms(_plain(text)))


@lru_cache(MEASURES_KEPT)
def _measured(measure: Measure, *, model: bool) -> tuple[tuple[str, str], ...]:
    found = [("size", size_of(measure)), *(("memory", each) for each in memories_of(measure))]
    found += [("parameters", each) for each in parameters_of(measure)]
    return (*found, ("openness", str(measure.openness or UNCLASSED))) if model else tuple(found)


def _plain(text: str) -> str:
    apart = normalize("NFKD", text).casefold().translate(_ALIKE)
    return normalize("NFC", "".join(char for char in apart if category(char) != "Mn"))


def _terms(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        for part in _UNSPACED.split(word):
            if _UNSPACED.match(part):
                yield from (part[at : at + 2] for at in range(max(len(part) - 1, 1)))
            elif part:
                yield _stem(part)


def _stem(word: str) -> str:
    if word.startswith(_ARTICLE) and len(word) >= len(_ARTICLE) + _STEM_MIN:
        return word.removeprefix(_ARTICLE)
    if _CYRILLIC.match(word):
        return word[:_STEM_MIN] + word[_STEM_MIN:].rstrip(_ENDINGS)
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > _STEM_MIN else word


def _begun(words: list[str], term: str) -> Iterator[str]:
    """The words that begin with a term; one character of a script without spaces may stand anywhere."""
    if len(term) == 1 and _UNSPACED.match(term):
        yield from (word for word in words if term in word)
        return
    at = bisect_left(words, term)
    while at < len(words) and words[at].startswith(term):
        yield words[at]
        at += 1


def _scores(found: int, scored: Iterable[list[tuple[int, int]]]) -> dict[int, int]:
    """What each entry that fits is worth: of each term, what it is worth at best."""
    total: dict[int, int] = {}
    for levels in scored:
        left = found
        for score, bits in levels:
            for at in _bits(left & bits):
                total[at] = total.get(at, 0) + score
            left &= ~bits
    return total


def _union(bits: Iterable[int]) -> int:
    found = 0
    for each in bits:
        found |= each
    return found


def _meet(found: int, bits: Iterable[int]) -> int:
    for each in bits:
        found &= each
    return found


_IN_BYTE = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


def _bits(number: int) -> Iterator[int]:
    """Which powers of 2 a number is the sum of.

    >>> list(_bits(0b1000000101))
    [0, 2, 9]
    """
    for place, byte in enumerate(number.to_bytes((number.bit_length() + 7) // 8, "little")):
        if byte:
            yield from (8 * place + bit for bit in _IN_BYTE[byte])


def _order(sort: str) -> Callable[[tuple[Entry, int]], tuple[object, ...]]:
    def key(scored: tuple[Entry, int]) -> tuple[object, ...]:
        entry, score = scored
        match sort:
            case "name":
                return entry.called
            case "likes":
                return (-entry.liked, -entry.changed, *entry.called)
            case "changed":
                return (-entry.changed, *entry.called)
            case _:
                return (-score, -entry.changed, *entry.called)

    return key
