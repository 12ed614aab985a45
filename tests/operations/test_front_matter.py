"""What is done to a card: it gets what it lacks, and keeps what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MalformedError
from concord.operations.front_matter import Words, with_matter
from concord.pillars.commons.card import body, card, matter

LINES = st.sampled_from(["# Words", "", "---", "license: x", "text", "a: b"])
KEYS = st.dictionaries(st.sampled_from(["tags", "task", "x"]), st.sampled_from(["a", "[a, b]", "1"]), max_size=3)


@st.composite
def cards(draw: st.DrawFn) -> bytes:
    """A README.md, with front matter or without."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    front = [f"{key}: {value}" for key, value in draw(KEYS).items()]
    text = draw(st.lists(LINES, max_size=5))
    lines = ["---", *front, "---", *text] if draw(st.booleans()) else text
    return (draw(st.sampled_from(["", "\ufeff"])) + end.join([*lines, ""])).encode()


@given(cards(), st.sampled_from(["", 'A "title": 100 %', "标题"]), st.sampled_from([(), ("sw",), ("sw", "zh-Hant")]))
def test_a_card_gets_what_it_lacks_once_and_keeps_its_words(readme: bytes, title: str, languages: tuple[str, ...]) -> None:
    words = Words("MIT", languages, title)
    try:
        whole = with_matter(readme, words, "words")
    except MalformedError:
        return  # front matter that says otherwise, or to which nothing can be added
    assert with_matter(whole, words, "words") == whole
    found = card(whole)
    assert (found.license.lower(), found.languages, found.title) == ("mit", languages, title)
    assert {key: value for key, value in matter(whole).items() if key not in ("license", "language", "pretty_name")} == {
        key: value for key, value in matter(readme).items() if key not in ("license", "language", "pretty_name")
    }
    assert plain(body(whole)) == plain(body(readme))


def plain(text: bytes) -> bytes:
    """Without what tells one system's files from another's."""
    return text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def test_front_matter_that_cannot_be_added_to_is_told() -> None:
    with pytest.raises(MalformedError, match="nothing can be added"):
        with_matter(b"---\n{tags: [x]}\n---\n", Words("mit"), "words")
