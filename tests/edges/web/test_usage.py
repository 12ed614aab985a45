"""What is copied to use a repo: it is code of its language, whatever strangers called their files, and names this very revision."""

import ast
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concord.edges.web.usage import Subject, ways

OID = "ab" * 20
ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet", ".gguf", ".txt")
PATHS = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=20)
SHELL = ("hf", "curl", "git", "llama.cpp", "concord")


def subject(kind: str = "model", paths: tuple[str, ...] = (), library: str = "", task: str = "") -> Subject:
    return Subject("https://node.example", "ke/words", kind, OID, paths, library, task)


def code(of: Subject) -> dict[str, str]:
    return {way.title: way.code for way in ways(of)}


@pytest.mark.parametrize(
    ("of", "title", "words"),
    [
        (subject(library="transformers", task="translation"), "transformers", 'pipeline(\n    "translation"'),
        (subject(library="transformers", task='x", y'), "transformers", "AutoModel.from_pretrained"),
        (subject(library="diffusers"), "diffusers", "DiffusionPipeline"),
        (subject(library="sentence-transformers"), "sentence-transformers", "SentenceTransformer("),
        (subject("dataset"), "datasets", "load_dataset"),
        (subject("dataset", ("a.tsv",)), "pandas", 'read_csv("hf://datasets/ke/words@'),
        (subject("space"), "hf", "--repo-type space"),
        (subject(paths=("x/a b.gguf",)), "llama.cpp", "'x/a b.gguf'"),
        (subject(paths=("z.txt", "README.md")), "curl", f"/ke/words/resolve/{OID}/README.md"),
        (subject(), "concord", "concord verify"),
    ],
)
def test_each_client_has_its_way(of: Subject, title: str, words: str) -> None:
    assert words in code(of)[title]


def test_what_does_not_fit_is_left_out() -> None:
    assert not {"transformers", "datasets", "pandas", "curl", "llama.cpp"} & set(code(subject()))
    assert "transformers" not in code(subject("dataset", library="transformers"))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(PATHS, st.sampled_from(ENDINGS)), max_size=6), st.sampled_from(["model", "dataset"]), st.text(max_size=30)
)
def test_a_name_is_never_more_than_a_name(names: list[tuple[str, str]], kind: str, said: str) -> None:
    paths = tuple(name + ending for name, ending in names)
    for way in ways(subject(kind, paths, said, said)):
        if way.title not in SHELL:
            calls = [node for node in ast.walk(ast.parse(way.code)) if isinstance(node, ast.Call)]
            assert len(calls) == 1, way.code
    assert len(shlex.split(code(subject(kind, paths))["curl"])) == 6 if paths else True
    whole = code(subject(kind, paths)).get("llama.cpp", "llama-cli -m \"$(hf download ke/words '')\"")
    inner = whole.removeprefix('llama-cli -m "$(').removesuffix(')"')
    assert len(shlex.split(inner)) == 4
