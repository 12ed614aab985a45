"""Searching: six languages and more, facets, orders, and what a text may not do."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concord.pillars.commons.measure import Measure
from concord.pillars.commons.records import Card, RepoId
from concord.pillars.commons.search import FACETS, SORTS, Catalogue, Entry, Line, Question, search, terms

KE, BR = "ke.example/0", "br.example/0"


def entry(name: str, title: str = "", tags: tuple[str, ...] = (), owner: str = KE, **more: object) -> Entry:
    card = {name: more.pop(name) for name in ("license", "languages", "task", "library") if name in more}
    return Entry(RepoId(owner=owner, kind=more.pop("kind", "model"), name=name), Card(title=title, tags=tags, **card), **more)


SHELF = [
    entry("sheng-speech", "Speech recognition for Sheng", ("speech",), languages=("sw", "en"), license="apache-2.0", changed=3),
    entry("hanyu-yuyin", "汉语语音识别模型", ("语音识别",), owner=BR, languages=("zh",), license="MIT", changed=2, likes=5),
    entry("kalam", "نموذج التعرّف على الكلام", ("العربية",), languages=("ar",), kind="dataset", changed=1),
    entry("rech", "Модели распознавания русской речи", ("речь",), owner=BR, languages=("ru",), changed=4, likes=1),
    entry("parole", "Modèles de reconnaissance de la parole", ("français",), languages=("fr",)),
    entry("habla", "Reconocimiento del habla en español", ("niños",), languages=("es",)),
]


def names(text: str = "", **more: object) -> list[str]:
    return [each.id.name for each in search(SHELF, Question(text, **more)).entries]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("speech", ["sheng-speech"]), ("SPEE", ["sheng-speech"]), ("recognition sheng", ["sheng-speech"]),
        ("语音", ["hanyu-yuyin"]), ("识别模型", ["hanyu-yuyin"]), ("语", ["hanyu-yuyin"]), ("音语", []), ("模型识别音", []),
        ("كلام", ["kalam"]), ("الكلام", ["kalam"]), ("نموذج", ["kalam"]), ("التعرف", ["kalam"]), ("عربيه", ["kalam"]),
        ("речи", ["rech"]), ("речью", ["rech"]), ("модель", ["rech"]), ("РУССКАЯ", ["rech"]), ("моделей", ["rech"]),
        ("modele", ["parole"]), ("français", ["parole"]), ("FRANCAIS", ["parole"]), ("parole reconnaissance", ["parole"]),
        ("espanol", ["habla"]), ("niño", ["habla"]), ("reconocimiento", ["habla"]),
        ("nothing", []), ("speech habla", []), ("!!!", sorted(["sheng-speech", "hanyu-yuyin", "kalam", "rech", "parole", "habla"])),
    ],
)  # fmt: skip
def test_words_are_found_in_six_languages(text: str, found: list[str]) -> None:
    assert sorted(names(text)) == sorted(found)


def test_thai_and_japanese_need_no_spaces() -> None:
    assert search([entry("x", "การรู้จำเสียงพูด")], Question("เสียง")).entries
    assert search([entry("x", "日本語の音声認識")], Question("音声")).entries


def test_a_name_counts_more_than_a_title_and_a_title_more_than_a_tag() -> None:
    shelf = [entry("a", tags=("speech",)), entry("b", "speech"), entry("speech"), entry("c", "speeches")]
    assert [each.id.name for each in search(shelf, Question("speech")).entries] == ["speech", "b", "a", "c"]


@pytest.mark.parametrize(
    ("sort", "first"), [("changed", "rech"), ("likes", "hanyu-yuyin"), ("name", "habla"), ("fit", "rech"), ("odd", "rech")]
)
def test_orders(sort: str, first: str) -> None:
    assert names(sort=sort)[0] == first
    assert set(SORTS) >= {sort} or sort == "odd"


def test_facets_count_what_would_be_found_with_each_value() -> None:
    found = search(SHELF, Question(facets={"language": "sw", "kind": "model"}), {KE: "KE", BR: "BR"})
    assert [each.id.name for each in found.entries] == ["sheng-speech"]
    assert dict(found.counts["language"]) == {"en": 1, "es": 1, "fr": 1, "ru": 1, "sw": 1, "zh": 1}
    assert dict(found.counts["kind"]) == {"model": 1}
    assert dict(found.counts["country"]) == {"KE": 1}
    assert names(facets={"license": "mit"}) == ["hanyu-yuyin"]
    assert names(facets={"country": "XX"}) == []
    assert [each.id.name for each in search(SHELF, Question(facets={"country": "BR"}), {BR: "BR"}).entries] == [
        "rech",
        "hanyu-yuyin",
    ]


def test_a_long_text_is_cut_and_an_empty_shelf_is_empty() -> None:
    assert names("speech " * 10_000) == ["sheng-speech"]
    assert search([], Question("x")).entries == []


# A catalogue, against the same said in the plainest way

WORDS = ("speech", "speeches", "語音", "語", "coast", "co")
ENTRIES = st.builds(
    lambda name, title, tags, language, likes, owner, license_: entry(
        name, title, tags, owner, languages=(language,), license=license_, likes=likes
    ),
    st.sampled_from(["speech", "coast-words", "corpus", "a", "b"]),
    st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=2).map(tuple),
    st.sampled_from(["sw", "zh"]),
    st.integers(0, 3),
    st.sampled_from([KE, BR]),
    st.sampled_from(["mit", "apache-2.0"]),
)
MEASURES = st.none() | st.builds(
    Measure, st.integers(0, 10**12), st.just(0), st.sampled_from([None, 1]), st.just(("gguf",)), st.none() | st.integers(0, 10**12)
)
LINES = st.lists(st.builds(Line, ENTRIES, MEASURES, st.sampled_from(["", "KE"])), max_size=8, unique_by=lambda line: line.entry.id)


def plainly(lines: list[Line], text: str, facets: dict[str, str]) -> tuple[set[str], dict[str, Counter[str]]]:
    """What fits, and what each facet counts, one entry after another."""
    fits = [line for line in lines if all(any(word.startswith(term) or (term == "語" and term in word) for word in line.entry.words)
                                          for term in terms(text))]  # fmt: skip
    values = [(line, set(line.values())) for line in fits]
    counts = {name: Counter[str]() for name in FACETS}
    for _, has in values:
        missed = {name for name, value in facets.items() if (name, value) not in has}
        for name, value in has:
            if name in counts and missed <= {name}:
                counts[name][value] += 1
    return {line.entry.id.owner + line.entry.id.name for line, has in values if set(facets.items()) <= has}, counts


TEXTS = st.sampled_from(["", "speech", "語", "co speech", "words"])
NARROWED = st.sampled_from(
    [{}, {"language": "sw"}, {"member": KE}, {"license": "mit", "country": "KE"}, {"parameters": "1B"}, {"openness": "none"}]
)


@settings(max_examples=40)
@given(LINES, LINES, TEXTS, NARROWED)
def test_a_catalogue_finds_what_is_found_one_by_one(
    before: list[Line], lines: list[Line], text: str, facets: dict[str, str]
) -> None:
    first = Catalogue().follow(before)
    found = first.follow(lines).search(Question(text, facets))
    names, counts = plainly(lines, text, facets)
    assert {each.id.owner + each.id.name for each in found.entries} == names
    assert {name: Counter(dict(values)) for name, values in found.counts.items()} == counts
    again = first.search(Question(text, facets))
    assert {each.id.owner + each.id.name for each in again.entries} == plainly(before, text, facets)[0]


@settings(max_examples=20)
@given(LINES)
def test_a_catalogue_of_the_same_is_the_same_and_one_more_is_joined(lines: list[Line]) -> None:
    found = Catalogue().follow(lines)
    assert found.follow(list(reversed(lines))) is found
    more = Line(entry("mine", private=True))
    assert {line.entry.id for line in found.joined([more]).lines(found.joined([more]).all)} == {
        more.entry.id,
        *(line.entry.id for line in lines),
    }
    assert found.follow([]).all == 0
