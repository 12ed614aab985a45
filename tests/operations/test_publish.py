"""Publishing: what is done to a card, which files are taken, and that nothing is said of a folder that cannot be."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MalformedError, RefusedError, StaleError
from concord.operations.publish import Chosen, Words, listed, publish, with_matter
from concord.pillars.commons import RepoId
from concord.pillars.commons.card import body, card, matter
from concord.private.people import Speaker
from concord.shelf import Shelf
from concord.testing import make_member, make_node
from concord.testing.nodes import everything

KE, TN = make_member("ke"), make_member("tn")
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


@pytest.mark.parametrize(
    ("chosen", "paths"),
    [
        (Chosen(), {"a.txt", "b.bin", "deep/a.txt", "deep/er/c"}),
        (Chosen(include=["*.txt"]), {"a.txt", "deep/a.txt"}),
        (Chosen(include=["deep/"]), {"deep/a.txt", "deep/er/c"}),
        (Chosen(exclude=["deep/er/", "*.bin"]), {"a.txt", "deep/a.txt"}),
        (Chosen(include=["deep/"], exclude=["*.txt"]), {"deep/er/c"}),
    ],
)
def test_which_files_are_taken(chosen: Chosen, paths: set[str], tmp_path: Path) -> None:
    for path in ("a.txt", "b.bin", "deep/a.txt", "deep/er/c", "deep/.git/x", "__pycache__/y"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert set(listed(tmp_path, chosen)) == paths


def test_two_spellings_of_one_name_are_refused(tmp_path: Path) -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    for name in (composed, decomposed):
        (tmp_path / name).touch()
    with pytest.raises(MalformedError, match="two spellings"):
        listed(tmp_path)
    (tmp_path / composed).unlink()
    assert set(listed(tmp_path)) == {composed}


def test_a_repo_is_published_by_its_own_member(tmp_path: Path) -> None:
    node = make_node([KE])
    shelf = Shelf(node)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    theirs = RepoId(owner=TN.origin, kind="model", name="words"), False
    with pytest.raises(RefusedError, match="whose log is not signed here"):
        publish(shelf, everything(KE.origin), theirs, tmp_path, Words())
    mine = RepoId(owner=KE.origin, kind="model", name="words"), False
    with pytest.raises(RefusedError):
        publish(shelf, Speaker("x", "X", KE.origin, frozenset()), mine, tmp_path, Words())


def test_who_was_slower_is_told(tmp_path: Path) -> None:
    node = make_node([KE])
    shelf, mine = Shelf(node), (RepoId(owner=KE.origin, kind="model", name="words"), False)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    publish(shelf, everything(KE.origin), mine, tmp_path, Words())
    (tmp_path / "a").write_text("a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("---\nlicense: mit\n---\nfaster")

    def meanwhile(path: str, _done: int, _all: int) -> None:
        if path == "a":
            publish(shelf, everything(KE.origin), mine, tmp_path / "other", Words())

    with pytest.raises(StaleError, match="main is at"):
        publish(shelf, everything(KE.origin), mine, tmp_path, Words(), Chosen(), meanwhile)
