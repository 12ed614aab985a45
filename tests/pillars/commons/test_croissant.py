"""Croissant: columns read from files that tell and files that lie, and the description held against the tool of MLCommons."""

import json
import subprocess
from pathlib import Path

import pytest
from exported import README, edition, reader
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MalformedError
from concord.pillars.commons import parquet
from concord.pillars.commons.columns import HEAD_MAX, Column, columns
from concord.pillars.commons.croissant import FILES_MAX, croissant
from concord.pillars.commons.tree import File
from concord.testing.repos import HOSTILE_PATHS

TOOL = Path(__file__).parents[3] / ".venv/clients/exports/bin/python"
CONTENTS = {
    "README.md": README.encode(),
    "words.csv": b"word,meaning\nmaji,water\nmoto,fire\n",
    "rows/train.jsonl": b'{"id": 1, "text": "maji"}\n{"id": 2, "text": "moto"}\n',
    "a b.bin": b"\0\1",
}
needs_tool = pytest.mark.skipif(not TOOL.exists(), reason="mlcroissant is not prepared: say `make clients`")


def footer(*elements: bytes) -> bytes:
    """A Parquet footer with a schema of these elements."""
    return b"\x15\x04" + bytes([0x19, len(elements) << 4 | 12]) + b"".join(elements) + b"\x00"


def element(name: str, kind: int | None = None, children: int = 0) -> bytes:
    said = b"" if kind is None else bytes([0x15, kind * 2])
    said += bytes([0x38 if kind is not None else 0x48, len(name)]) + name.encode()
    return said + (bytes([0x15, children * 2]) if children else b"") + b"\x00"


def table(*elements: bytes) -> bytes:
    foot = footer(*elements)
    return b"PAR1" + foot + len(foot).to_bytes(4, "little") + b"PAR1"


def read(name: str, raw: bytes) -> list[Column]:
    return columns(File(path=name, size=len(raw), sha256="9f" * 32), reader({name: raw}))


def test_columns_are_read_where_files_name_them() -> None:
    assert read("a.csv", b'\xef\xbb\xbfword,"a, b"\r\n1,2\r\n') == [Column("word"), Column("a, b")]
    assert read("a.jsonl", b'{"id": 1, "text": "x"}') == [Column("id"), Column("text")]
    raw = table(element("schema", children=3), element("n", 2), element("deep", children=1), element("inner", 6), element("w", 6))
    assert read("a.parquet", raw) == [Column("n", "Integer"), Column("w", "Text")]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.csv", b""), ("a.csv", b"a,a\n"), ("a.csv", b"a,\n"), ("a.csv", b"\xff\n"), ("a.csv", b"x" * (HEAD_MAX + 1)),
        ("a.csv", b"a\0b,c\n"), ("a.csv", b'"a\n'), ("a.csv", ",".join(map(str, range(501))).encode()),
        ("a.jsonl", b"[1]\n"), ("a.jsonl", b"{\n"), ("a.jsonl", b"[" * 9_000), ("a.txt", b"a,b\n"),
        ("a.parquet", b""), ("a.parquet", b"PAR1"), ("a.parquet", b"\xff\xff\xff\x7fPAR1"), ("a.parquet", b"\0\0\0\0PAR1"),
        ("a.parquet", b"\x15" * 40 + b"\x10\0\0\0PAR1"), ("a.parquet", table()),
    ],
)  # fmt: skip
def test_files_that_name_none_or_lie_have_no_columns(name: str, raw: bytes) -> None:
    assert read(name, raw) == []


def test_a_file_that_is_not_here_has_no_columns() -> None:
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        assert columns(File(path=name, size=50, sha256="9f" * 32), reader({})) == []


@given(st.binary(max_size=300))
def test_any_bytes_are_a_schema_or_none(raw: bytes) -> None:
    try:
        found = parquet.schema(raw)
    except MalformedError:
        return
    assert all(kind in ("Text", "Integer", "Float", "Boolean") for _, kind in found)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x19\xfc\xff\xff\xff\xff\x7f", b"\x19" + b"\x19" * 50, b"\x1c" * 100, b"\x29" + b"\xf1\x88\x27" * 9_000,
        b"\x15" + b"\xff" * 20, b"\x18\xff\xff\xff\x7f", b"\x1f\x00",
    ],
    ids=["a list of billions", "lists in lists", "structs in structs", "truths in lists", "endless number", "long text", "a kind"],
)  # fmt: skip
def test_a_footer_that_costs_more_than_its_length_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parquet.schema(raw)


def test_files_tables_and_licence_are_told() -> None:
    told = croissant(edition(CONTENTS, "dataset", "id/corpus"), reader(CONTENTS))
    assert told["license"] == "https://spdx.org/licenses/Apache-2.0.html" and told["name"] == "id-corpus"
    files = {each["name"]: each for each in told["distribution"]}
    assert set(files) == set(CONTENTS) and files["words.csv"]["encodingFormat"] == "text/csv"
    assert files["a b.bin"]["contentUrl"].endswith("/resolve/" + "ab" * 20 + "/a%20b.bin")
    assert {each["name"]: [field["name"] for field in each["field"]] for each in told["recordSet"]} == {
        "words": ["word", "meaning"], "rows-train": ["id", "text"],
    }  # fmt: skip
    assert "version" not in told, "nobody said one"


def test_many_files_are_cut_and_counted() -> None:
    told = croissant(edition({str(number): b"" for number in range(FILES_MAX + 3)}, "dataset"), reader({}))
    assert len(told["distribution"]) == FILES_MAX and "3 more files are not described here" in told["description"]


@needs_tool
def test_the_tool_of_mlcommons_takes_it_and_reads_the_records(tmp_path: Path) -> None:
    for path, raw in CONTENTS.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(raw)
    told = croissant(edition(CONTENTS, "dataset", "id/corpus", address=""), reader(CONTENTS))
    assert load(tmp_path, told, "words") == [{"word": "maji", "meaning": "water"}, {"word": "moto", "meaning": "fire"}]
    assert load(tmp_path, told, "rows-train") == [{"id": "1", "text": "maji"}, {"id": "2", "text": "moto"}]


@needs_tool
def test_the_tool_takes_what_attacks_for_words(tmp_path: Path) -> None:
    contents = dict.fromkeys(HOSTILE_PATHS, b"x") | {"README.md": b"---\nlicense: <b>\npretty_name: '<script>'\n---\n"}
    load(tmp_path, croissant(edition(contents, "dataset"), reader(contents)))


def load(folder: Path, told: dict, records: str = "") -> list[dict[str, str]]:  # type: ignore[type-arg]
    """What the tool reads of a description: it has no fault, and these are its records."""
    (folder / "croissant.json").write_text(json.dumps(told))
    script = (
        "import json, sys, mlcroissant\n"
        "found = mlcroissant.Dataset(sys.argv[1])\n"
        "wrong = found.metadata.ctx.issues.errors\n"
        "assert not wrong, wrong\n"
        "show = lambda value: value.decode() if isinstance(value, bytes) else str(value)\n"
        "rows = found.records(sys.argv[2]) if sys.argv[2] else []\n"
        "named = lambda name: name.rpartition('/')[2].rpartition('-')[0]\n"
        "print(json.dumps([{named(name): show(value) for name, value in row.items()} for row in rows]))\n"
    )
    done = subprocess.run(
        [TOOL, "-W", "ignore", "-c", script, folder / "croissant.json", records],
        capture_output=True, timeout=120, check=False, env={"HOME": str(folder), "CROISSANT_CACHE": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]
