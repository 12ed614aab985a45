"""Cards: front matter as people write it, and as an attacker would."""

import pytest

from concord.errors import MalformedError
from concord.pillars.commons.card import MATTER_MAX, card, faults, matter
from concord.pillars.commons.records import Card


def readme(front: str) -> bytes:
    return f"---\n{front}\n---\n# A model\n".encode()


def test_what_lists_use_is_found() -> None:
    found = card(
        readme(
            "license: apache-2.0\nlanguage: [sw, zh]\ntags: [speech, 语音]\npipeline_tag: text-generation\n"
            "library_name: transformers\n"
            "base_model: example-ke/words\ndatasets:\n- example-ke/corpus\npretty_name: Words of\n  the coast"
        )
    )
    assert found == Card(
        license="apache-2.0",
        languages=("sw", "zh"),
        tags=("speech", "语音"),
        task="text-generation",
        library="transformers",
        base=("example-ke/words",),
        datasets=("example-ke/corpus",),
        title="Words of the coast",
    )


@pytest.mark.parametrize(
    "front", ["", "license: [1, 2]", "tags: {a: b}", "tags: [1, null, {}]", "language: [English, 'en\\n']", "license: " + "x" * 101]
)
def test_what_is_not_as_expected_is_left_out(front: str) -> None:
    assert card(readme(front)) == Card()


@pytest.mark.parametrize(
    "raw", [b"", b"# none", b"--- \n", b"---\nlicense: mit\n", b"--\nlicense: mit\n--\n", b"\n---\na: b\n---\n"]
)
def test_a_file_without_front_matter_has_none(raw: bytes) -> None:
    assert matter(raw) == {}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_marks_of_editors_do_not_matter(ends: str, mark: str) -> None:
    assert matter((mark + "---\nlicense: mit\n---\n# x\n".replace("\n", ends)).encode()) == {"license": "mit"}


@pytest.mark.parametrize(
    "front",
    ["a: [", "- a\n- b", "words", "a: &x [1]\nb: *x", "a: !!python/object/apply:os.system [id]", "a: \x00", "[" * 5000,
     "x: " + "y" * MATTER_MAX, "a: 2026-13-45", "? [a]\n: b\n? {c: d}\n: e", "<<: *nowhere"],
)  # fmt: skip
def test_front_matter_that_cannot_be_read_is_told_and_no_card(front: str) -> None:
    with pytest.raises(MalformedError, match="front matter"):
        matter(readme(front))
    assert card(readme(front)) == Card()


def test_faults_are_named() -> None:
    assert faults({"license": "mit", "tags": ["a"], "language": "sw"}) == []
    assert len(faults({"license": ["a"], "tags": {"a": 1}, "language": 5})) == 3
