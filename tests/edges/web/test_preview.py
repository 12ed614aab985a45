"""What is shown of files: of each kind what it is, and of none more than a page bears."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from concord.edges.web import parquet
from concord.edges.web.preview import COLUMNS_MAX, ROWS_MAX, TEXT_MAX, Preview, look, media_of
from concord.testing.repos import NOTEBOOK, WAV, png

AVIF = b"\0\0\0\x20ftypavif\0\0\0\0"


def seen(path: str, content: bytes) -> Preview:
    return look(path, len(content), lambda start, stop: content[start:stop])


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (png(), "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (AVIF, "image/avif"), (WAV, "audio/wav"), (b"fLaC\0", "audio/flac"), (b"OggS\0", "audio/ogg"), (b"ID3\x04", "audio/mpeg"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None), (b"<!doctype html>", None), (b"%PDF-1.7", None),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"\0\0\0\x20ftypmp42", None), (b"", None),
    ],
)  # fmt: skip
def test_only_what_runs_nothing_has_a_type(content: bytes, media: str | None) -> None:
    assert media_of(content) == media


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("x.svg", b"<svg/>", "text"), ("x.html", b"<script>", "text"), ("x.pdf", b"%PDF\xff", "bytes"), ("a.csv", png(), "image"),
        ("a.wav", WAV, "sound"), ("a.parquet", b"PAR1", "parquet"), ("a.parquet", b"text", "text"), ("a.csv", b'a,b\n"1', "text"),
        ("a.csv", b"\xff\xfe", "bytes"), ("a.jsonl", b"[1]\n", "text"), ("a.jsonl", b"", "text"), ("a.ipynb", b"{}", "text"),
        ("a.ipynb", b'{"cells": [1]}', "text"), ("a.ipynb", b'{"cells": ' + b"[" * 9000, "text"),
        ("a.safetensors", b"\xff" * 9, "bytes"),
        ("big.png", png() + b"\0" * (5 << 20), "bytes"),
    ],
)  # fmt: skip
def test_a_file_is_what_its_bytes_say(path: str, content: bytes, kind: str) -> None:
    assert seen(path, content).kind == kind


def test_rows_are_a_table() -> None:
    table = seen("a.tsv", "слово\tn\n'a'\t1\n".encode()).table
    assert table is not None and (table.columns, table.rows) == (["слово", "n"], [["'a'", "1"]])
    lines = seen("a.jsonl", b'{"a": 1, "b": null}\n\n{"b": [2], "c": "x"}\n').table
    assert lines is not None and (lines.columns, lines.rows) == (["a", "b", "c"], [["1", "null", ""], ["", "[2]", "x"]])


def test_a_notebook_is_its_sources() -> None:
    found = seen("a.ipynb", NOTEBOOK)
    assert [kind for kind, _ in found.cells] == ["markdown", "code"] and found.cells[1][1][0] == "x = 1" and not found.cut
    assert "not shown" not in str(found)


@given(
    st.lists(st.lists(st.text(max_size=300), max_size=40), min_size=1, max_size=80),
    st.sampled_from(["csv", "tsv", "jsonl", "ipynb"]),
)
def test_whatever_it_holds_a_page_bears_it(rows: list[list[str]], ending: str) -> None:
    separator = "\t" if ending == "tsv" else ","
    found = seen(f"a.{ending}", "\n".join(separator.join(row) for row in rows).encode())
    cells = [cell for row in (found.table.columns, *found.table.rows) for cell in row] if found.table else found.lines
    assert sum(len(escape(cell).encode()) for cell in cells) <= TEXT_MAX
    if found.table:
        assert len(found.table.rows) <= ROWS_MAX and all(len(row) <= COLUMNS_MAX for row in found.table.rows)


# Parquet


def made(rows: int = 1000, **more: object) -> bytes:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq  # noqa: PLC0415  it need not be here

    into = BytesIO()
    columns = {"id": list(range(rows)), "词": [f"word {number}" for number in range(rows)], "picture": [b"\0" * 5000] * rows}
    pq.write_table(pa.table(columns), into, **more)
    return into.getvalue()


def test_the_head_of_a_parquet_file_costs_no_more_than_its_head() -> None:
    content, given_ = made(4000, row_group_size=2000, use_dictionary=False, compression="none"), []

    def read(start: int, stop: int) -> bytes:
        given_.append(stop - start)
        return content[start:stop]

    heads = parquet.Heads()
    found = heads.of("x", len(content), read)
    assert found.schema is not None and (found.schema.rows, found.schema.count, found.schema.groups) == (4000, 3, 2)
    assert found.table is not None and found.table.columns == ["id", "词", "picture"]
    assert found.table.rows[1] == ["1", "word 1", "(5000 bytes)"]
    assert sum(given_) < len(content) / 3
    before = len(given_)
    assert heads.of("x", len(content), read) == found and len(given_) == before


@pytest.mark.parametrize(
    "content", [b"PAR1", b"PAR1" + b"\xff" * 40 + b"PAR1", b"PAR1" + b"\0" * 100 + (2**31 - 1).to_bytes(4, "little") + b"PAR1"]
)
def test_what_is_no_parquet_file_is_told(content: bytes) -> None:
    pytest.importorskip("pyarrow")
    assert parquet.Heads().of("x", len(content), lambda start, stop: content[start:stop]) == parquet.Head()


def test_a_footer_that_lies_about_what_follows_shows_its_columns_alone() -> None:
    content = made(10)
    spoiled = content[:4] + b"\xff" * 400 + content[404:]
    found = parquet.Heads().of("x", len(spoiled), lambda start, stop: spoiled[start:stop])
    assert found.schema is not None and found.fields is not None and found.table is None


def test_a_process_that_asks_for_too_much_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    content = made(2000, use_dictionary=False, compression="none")
    monkeypatch.setattr(parquet, "GIVEN_MAX", 100)
    assert parquet.Heads().of("x", len(content), lambda start, stop: content[start:stop]) == parquet.Head()
