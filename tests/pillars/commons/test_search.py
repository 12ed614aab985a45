"""Searching: six languages and more, facets, orders, and what a text may not do."""

import pytest

from concord.pillars.commons.records import Card, RepoId
from concord.pillars.commons.search import SORTS, Entry, Question, fit, search, terms

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
    assert fit(entry("x", "การรู้จำเสียงพูด"), terms("เสียง"))
    assert fit(entry("x", "日本語の音声認識"), terms("音声"))


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
