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
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from unicodedata import category, normalize

from concord.pillars.commons.measure import LARGEST, MEMORIES, OPENNESS, SIZES, UNCLASSED, Measure, memories_of, size_of
from concord.pillars.commons.records import Card, Kind, RepoId

FACETS = ("kind", "task", "library", "language", "license", "openness", "memory", "size", "member", "country")
LADDERS = {"openness": OPENNESS, "memory": (*MEMORIES, LARGEST), "size": (*SIZES, LARGEST)}  # facets whose values have an order
NOBODY: Mapping[str, Measure] = MappingProxyType({})
SORTS = ("fit", "changed", "likes", "name")
WORDS_KEPT = 50_000  # answers that are remembered, of a few bytes each
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
    """A repo as searches know it. `card` is that of its newest commit on main, `leaf` that commit's leaf hash; times are POSIX
    seconds."""

    id: RepoId
    card: Card = field(default_factory=Card)
    opened: int = 0
    changed: int = 0
    likes: int = 0
    private: bool = False
    leaf: str = ""

    @cached_property
    def said(self) -> dict[str, tuple[str, ...]]:
        """What it is in each facet that its name and card tell."""
        card, repo = self.card, self.id
        one = {"kind": repo.kind, "task": card.task, "library": card.library, "license": card.license.lower(), "member": repo.owner}
        return {name: (value,) if value else () for name, value in one.items()} | {"language": card.languages}

    @cached_property
    def words(self) -> dict[str, int]:
        """Its terms, each with what it weighs."""
        card = self.card
        weighed = [(NAME, self.id.name), (TITLE, card.title), (TAG, " ".join(card.tags))]
        weighed.append((OTHER, " ".join((card.task, card.library, card.license, *card.languages, *card.base, *card.datasets))))
        found: dict[str, int] = {}
        for weight, text in weighed:
            for term in terms(text):
                found[term] = max(weight, found.get(term, 0))
        return found


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
    asked = terms(question.text[:TEXT_MAX])
    wanted = [(name, value) for name, value in question.facets.items() if value]
    scored = [(each, score) for each in entries if (score := fit(each, asked))]
    values = [values_of(each, countries or {}, measures.get(each.leaf)) for each, _ in scored]
    misses = [[name for name, value in wanted if value not in of_one[name]] for of_one in values]
    counts = {name: _count(name, (of_one[name] for of_one, missed in zip(values, misses, strict=True) if missed in ([], [name])))
              for name in FACETS}  # fmt: skip
    fitting = [pair for pair, missed in zip(scored, misses, strict=True) if not missed]
    return Found([each for each, _ in sorted(fitting, key=_order(question))], counts)


def terms(text: str) -> list[str]:
    """The terms of a text, in order."""
    return list(_terms(_plain(text)))


def fit(entry: Entry, asked: Sequence[str]) -> int:
    """How well an entry fits: 0 if a term is nowhere in it, 1 if nothing is asked."""
    total = 1
    for term in asked:
        best = 0
        for word, weight in entry.words.items():
            if 2 * weight > best and (found := _weigh(term, word)) * weight > best:
                best = found * weight
        if not best:
            return 0
        total += best
    return total


def values_of(entry: Entry, countries: Mapping[str, str], measure: Measure | None = None) -> dict[str, tuple[str, ...]]:
    """What an entry is in each facet; of what was not measured nothing is known."""
    country = countries.get(entry.id.owner)
    return {**entry.said, "country": (country,) if country else (), **_measured(measure, entry.id.kind)}


@lru_cache(WORDS_KEPT)
def _measured(measure: Measure | None, kind: Kind) -> dict[str, tuple[str, ...]]:
    if measure is None:
        return {"openness": (), "memory": (), "size": ()}
    openness = (str(measure.openness or UNCLASSED),) if kind == "model" else ()
    return {"openness": openness, "memory": memories_of(measure), "size": (size_of(measure),)}


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


@lru_cache(WORDS_KEPT)
def _weigh(term: str, word: str) -> int:
    """2 for the word itself, 1 for one that begins so, 0 for another."""
    if term == word:
        return 2
    return int(word.startswith(term) or (len(term) == 1 and bool(_UNSPACED.match(term)) and term in word))


def _count(name: str, values: Iterable[tuple[str, ...]]) -> list[tuple[str, int]]:
    """The values with how often each is, the most frequent first; those of a ladder in its order."""
    counted = Counter(value for of_one in values for value in of_one)
    if name in LADDERS:
        return [(value, counted[value]) for value in LADDERS[name] if counted[value]]
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def _order(question: Question) -> Callable[[tuple[Entry, int]], tuple[object, ...]]:
    def key(scored: tuple[Entry, int]) -> tuple[object, ...]:
        entry, score = scored
        name = (entry.id.name.casefold(), entry.id.owner, entry.id.kind)
        match question.sort:
            case "name":
                return name
            case "likes":
                return (-entry.likes, -entry.changed, *name)
            case "changed":
                return (-entry.changed, *name)
            case _:
                return (-score, -entry.changed, *name)

    return key
