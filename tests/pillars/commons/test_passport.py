"""Passports: what each class needs, what licences say, and files that lie about what they are."""

import json
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MalformedError
from concord.pillars.commons import safetensors
from concord.pillars.commons.licence import TERMS, licence
from concord.pillars.commons.passport import Passport, issue
from concord.pillars.commons.records import Card
from concord.pillars.commons.tree import File
from concord.testing.repos import safetensors as weights

THIRD = ("modeling_x.py", "model.safetensors", "results/a.json", "README.md", "docs/DATA_CARD.md", "technical_report.pdf")
SECOND = (*THIRD, "train.py", "inference.py", "evaluate.py", "eval_data/a.jsonl")
FIRST = (*SECOND, "paper.pdf", "data/train.csv", "preprocess.py", "checkpoints/1.safetensors")
OPEN = Card(license="apache-2.0")


def passport(*paths: str, card: Card = OPEN, contents: dict[str, bytes] | None = None) -> Passport:
    known = contents or {}
    tree = {path: File(path=path, size=len(known.get(path, b"x")), sha256="9f" * 32) for path in (*paths, *known)}
    return issue(card, tree, lambda file, start, stop: known[file.path][start:stop] if file.path in known else None)


@pytest.mark.parametrize(("paths", "reached", "next_"), [((), None, 3), (THIRD, 3, 2), (SECOND, 2, 1), (FIRST, 1, None)])
def test_a_class_is_reached_by_its_components(paths: tuple[str, ...], reached: int | None, next_: int | None) -> None:
    found = passport(*paths).openness
    assert (found.reached, found.next) == (reached, next_)


@pytest.mark.parametrize("left", [path for path in FIRST if path != "technical_report.pdf"])
def test_whatever_is_left_out_is_named(left: str) -> None:
    found = passport(*(path for path in FIRST if path != left)).openness
    assert found.reached != 1 and len(found.missing(1)) == 1


def test_a_paper_stands_for_a_report_and_may_be_named_in_the_card() -> None:
    without = [path for path in FIRST if path not in ("technical_report.pdf", "paper.pdf", "data/train.csv")]
    assert [each.id for each in passport(*without).openness.missing(3)] == ["technical report"]
    named = Card(license="mit", tags=("arxiv:2403.13784",), datasets=("id/corpus",))
    assert passport(*without, card=named).openness.reached == 1


def test_a_configuration_names_an_architecture_if_the_card_names_its_library() -> None:
    paths = ["config.json", *THIRD[1:]]
    assert passport(*paths).openness.reached is None
    assert passport(*paths, card=Card(license="mit", library="transformers")).openness.reached == 3


@pytest.mark.parametrize("said", ["", "other", "llama3", "cc-by-nc-4.0", "<b>"])
def test_without_an_open_licence_there_is_no_class(said: str) -> None:
    found = passport(*FIRST, card=Card(license=said))
    assert found.openness.reached is None and not found.licence.open


def test_a_licence_is_what_tables_say_and_no_more() -> None:
    apache = licence("Apache-2.0")
    assert apache.osi and set(apache.permits) >= {"commercial use", "changes", "use of patents"}
    assert set(apache.withholds) == {"use of trademarks", "liability", "warranty"}
    assert licence("mit").requires == ("keep the notices of licence and copyright",)
    assert not licence("cc-by-nc-4.0").known and licence("nothing").id is None
    assert not any(word in " ".join(TERMS.values()) for word in ("legal", "safe"))


def test_every_column_of_the_table_has_a_dated_source() -> None:
    told = tomllib.loads(files("concord.pillars.commons").joinpath("licenses.toml").read_text())["source"]
    columns = [name for source in told for name in source["columns"]]
    assert columns == ["id", "name", "osi", "mof", "permits", "requires", "withholds"]
    assert all(source["as_of"] and source["read"] and source["url"] for source in told)
    assert all(source["confirmed_by"] for source in told if source["confirmed"])
    assert all(licence(name).id == name for source in told for name in source["alone"])


def test_what_one_source_says_alone_is_not_confirmed() -> None:
    assert licence("mit").osi and licence("mit").confirmed
    assert licence("unlicense").osi and not licence("unlicense").confirmed
    assert not licence("cc-by-4.0").osi and not licence("cc-by-4.0").confirmed and licence("cc-by-4.0").open
    assert licence("openmdw-1.0").suits == ("code", "data", "document")


def test_a_component_under_a_licence_for_other_content_is_named_and_costs_no_class() -> None:
    found = passport(*FIRST, card=Card(license="mit")).openness
    assert found.reached == 1 and {each.content for each in found.unsuited} == {"data", "document"}
    assert passport(*FIRST, card=Card(license="openmdw-1.0")).openness.unsuited == []
    assert passport(*FIRST, card=Card(license="llama3")).openness.unsuited == [], "without an open licence there is nothing to say"


def test_licence_files_are_named_and_those_of_a_folder_stand_beside_what_is_in_it() -> None:
    found = passport("LICENSE", "data/train.csv", "data/LICENCE.txt", "train.py", "copying.md/x")
    assert found.licence.texts == ("LICENSE", "copying.md/x", "data/LICENCE.txt")
    own = {each.id: each.own for each in found.openness.components if each.own}
    assert own == {"datasets": ("data/LICENCE.txt",)}


def test_what_the_card_says_of_a_licence_of_its_own_is_told() -> None:
    front = b"---\nlicense: other\nlicense_name: our-terms\nlicense_link: https://example.org/x\n---\n"
    assert passport(contents={"README.md": front}).licence.named == ("our-terms", "https://example.org/x")
    assert passport(contents={"README.md": b'---\nlicense_name: [a]\nlicense_link: "\\u202e"\n---\n'}).licence.named == ()
    assert passport("README.md").front == {} and passport(contents={"README.md": b"---\n[\n---\n"}).front == {}


def test_training_and_weights_are_told_as_the_files_say() -> None:
    files_ = {"README.md": b"---\nco2_eq_emissions: 0.50\n---\n", "train_results.json": b'{"total_flos": 5}', "model.gguf": b"GGUF"}
    found = passport("checkpoints/1.safetensors", contents=files_)
    assert [(each.what, each.said) for each in found.training] == [("compute", "5"), ("emissions", "0.50")]
    assert [file.path for file in found.weights] == ["checkpoints/1.safetensors", "model.gguf"]


def test_every_component_has_what_it_is_and_where_that_is_from() -> None:
    text = files("concord.pillars.commons").joinpath("openness.toml").read_text()
    told = tomllib.loads(text)["component"]
    assert len(told) == 17 and {each["content"] for each in told} == {"code", "data", "document"}
    assert {each["class"] for each in told} == {1, 2, 3} and "not confirmed" in text and "2026-11-24" in text


def test_parameters_are_counted_where_the_file_is_here() -> None:
    good = weights({"a": [2, 3], "b": [4]})
    found = passport("gone.safetensors", contents={"good.safetensors": good, "forged.safetensors": b"\xff" * 40})
    assert found.parameters is not None
    assert (found.parameters.total, found.parameters.by_type, found.parameters.unread) == (10, {"F32": 10}, 2)
    assert found.formats == {"safetensors": 3}
    assert passport("a.gguf", "b.PT", "c").formats == {"GGUF": 1, "pickle": 1} and passport("c").parameters is None


def file(header: object, rest: int = 0, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + bytes(rest)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\0" * 7, b"\0" * 8, file({}, length=2**63), file({}, length=100), file(b"[]"), file(b"{"), file(b"\xff\xff"),
        file({"a": 1}), file({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, 4), file(b"[" * 100_000),
        file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 5]}}, 4), file({"__metadata__": {"a": 1}}),
        file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, 4),
        file({"a": {"dtype": 3, "shape": [], "data_offsets": [0, 0]}}),
        file({"a": {"dtype": "F32", "shape": [2**50, 2**50], "data_offsets": [0, 4]}}, 4),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_told(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        safetensors.header(len(raw), lambda start, stop: raw[start:stop])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_none(raw: bytes) -> None:
    whole = file(raw)
    try:
        found = safetensors.header(len(whole), lambda start, stop: whole[start:stop])
    except MalformedError:
        return
    assert found.parameters >= 0
