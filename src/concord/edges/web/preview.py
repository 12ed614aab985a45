"""What a page shows of a file: lines, a table, a picture, sound, the tensors of a safetensors file. Bytes in, a value out.

>>> look("a.txt", 6, lambda start, stop: b"two\\nup"[start:stop]).lines
['two', 'up']
>>> look("a.csv", 8, lambda start, stop: b"a,b\\n1,2\\n"[start:stop]).table
Table(columns=['a', 'b'], rows=[['1', '2']])
>>> look("a.bin", 3, lambda start, stop: b"\\x00\\xff\\x00"[start:stop]).kind
'bytes'

Nothing is trusted but the bytes: a picture is one whose first bytes say so, and only of the kinds in which nothing can run.
What is read and what is shown is bounded, whatever the file says of itself.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from markupsafe import escape

from concord.edges.web.names import spell
from concord.errors import MalformedError
from concord.pillars.commons import safetensors
from concord.pillars.commons.safetensors import Tensors

LINES_MAX = 500
TEXT_MAX = 45_000  # bytes of markup that the lines of a text, or the cells of a table, may make
IMAGE_MAX = 4 << 20  # bytes of a picture that a page loads by itself
ROWS_MAX, COLUMNS_MAX, CELL_MAX = 50, 30, 200  # of a table; characters of a cell
NOTEBOOK_MAX = 1 << 20  # bytes of a notebook that is read
PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
SOUNDS = ((b"fLaC", "audio/flac"), (b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"), (b"\xff\xfb", "audio/mpeg"))
HEAD = 16  # bytes by which a picture or a sound is known
_INSIDE = {(b"RIFF", b"WEBP"): "image/webp", (b"RIFF", b"WAVE"): "audio/wav"}
_AVIF = (b"ftypavif", b"ftypavis")
_SEPARATORS = {"csv": ",", "tsv": "\t"}
_LINE, _CELL = 9, 9  # bytes of markup around a line, around a cell
_WIDEST = 6  # bytes that one character may need

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Table:
    """The beginning of a table, as words."""

    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Preview:
    """What can be shown: text, table, image, sound, tensors, notebook, parquet (which is read elsewhere), or only that there are
    bytes. `cut`: there is more of it. `cells` are those of a notebook: of which kind, and their lines.
    """

    kind: str
    lines: list[str] = field(default_factory=list)
    cut: bool = False
    tensors: Tensors | None = None
    table: Table | None = None
    cells: list[tuple[str, list[str]]] = field(default_factory=list)


def look(path: str, size: int, read: Read) -> Preview:
    """What can be shown of a file of `size` bytes."""
    ending = path.rpartition(".")[2].lower()
    if ending == "safetensors":
        try:
            return Preview("tensors", tensors=safetensors.header(size, read))
        except MalformedError:
            return Preview("bytes")
    head = read(0, min(size, 2 * TEXT_MAX))
    media = media_of(head)
    if media is not None:
        return _medium(media, size)
    if ending == "parquet" and head.startswith(b"PAR1"):
        return Preview("parquet")
    if ending == "ipynb" and size <= NOTEBOOK_MAX:
        return _notebook(head if len(head) == size else read(0, size)) or _text(head, size)
    return _table(ending, head, size) or _text(head, size)


def media_of(head: bytes) -> str | None:
    """The type of a picture or sound that browsers show without running anything in it, or None."""
    found = next((media for magic, media in (*PICTURES, *SOUNDS) if head.startswith(magic)), None)
    if found is None and head[4:12] in _AVIF:
        return "image/avif"
    return found or _INSIDE.get((head[:4], head[8:12]))


def bounded(columns: list[str], rows: list[list[str]]) -> tuple[Table, bool]:
    """So much of a table as a page shows, and whether there is more."""
    shown, cut = [[_cell(each) for each in row[:COLUMNS_MAX]] for row in (columns, *rows[:ROWS_MAX])], False
    room, kept = TEXT_MAX, 0
    for row in shown:
        room -= sum(len(escape(each).encode()) + _CELL for each in row)
        if room < 0:
            break
        kept += 1
    cut = kept < len(shown) or len(rows) > ROWS_MAX or len(columns) > COLUMNS_MAX
    return Table(shown[0], shown[1:kept]), cut


def _medium(media: str, size: int) -> Preview:
    if media.startswith("audio/"):
        return Preview("sound")
    return Preview("image" if size <= IMAGE_MAX else "bytes")


def _table(ending: str, head: bytes, size: int) -> Preview | None:
    """A file of rows as a table, or None if it is none, or none that can be read so."""
    try:
        text = head.decode("utf-8-sig", "strict" if len(head) >= size else "ignore")
        lines = text.splitlines(keepends=True)
        whole = len(head) >= size
        lines = lines if whole else lines[:-1]
        if ending in _SEPARATORS:
            columns, *rows = list(csv.reader(lines[: 2 * ROWS_MAX], delimiter=_SEPARATORS[ending], strict=True))
        elif ending in ("jsonl", "ndjson"):
            columns, rows = _objects(lines[: ROWS_MAX + 1])
        else:
            return None
    except (csv.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
    if not columns or "\0" in text:
        return None
    table, cut = bounded(columns, rows)
    return Preview("table", table=table, cut=cut or not whole or len(lines) > 1 + ROWS_MAX)


def _objects(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """Objects, one a line, as columns and rows."""
    found = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines if line.strip()]
    columns = list(dict.fromkeys(name for each in found for name in each))
    return columns, [[_value(each[name]) if name in each else "" for name in columns[:COLUMNS_MAX]] for each in found]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode(errors="replace")


def _notebook(raw: bytes) -> Preview | None:
    """The sources of a notebook's cells; what they gave when they were run is left out. None if it is no notebook."""
    try:
        cells = msgspec.json.decode(raw, type=dict[str, Any])["cells"]
        sources = [(str(each["cell_type"])[:20], "".join(each["source"])) for each in cells]
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        return None
    room, shown = TEXT_MAX, []
    for kind, source in sources:
        lines, cut, room = _lines(source, room)
        shown.append((kind, lines))
        if cut or room <= 0:
            return Preview("notebook", cells=shown, cut=True)
    return Preview("notebook", cells=shown)


def _text(head: bytes, size: int) -> Preview:
    whole = len(head) >= size
    try:
        text = head.decode("utf-8-sig") if whole else head.decode("utf-8-sig", "ignore")
    except UnicodeDecodeError:
        return Preview("bytes")
    if "\0" in text or (not whole and len(text.encode()) < len(head) - 3):
        return Preview("bytes")
    lines, cut, _ = _lines(text, TEXT_MAX)
    return Preview("text", lines, cut or not whole)


def _lines(text: str, room: int) -> tuple[list[str], bool, int]:
    """The lines that fit into `room` bytes of markup, whether there are more, and the room that is left."""
    lines: list[str] = []
    cut = False
    for line in text.removesuffix("\n").split("\n"):
        if len(lines) == LINES_MAX or room <= 0:
            return lines, True, room
        shown = spell(line.removesuffix("\r").replace("\t", "    "))
        weight = len(escape(shown).encode()) + _LINE
        lines.append(shown if weight <= room else shown[: room // _WIDEST])
        cut, room = cut or weight > room, room - weight
    return lines, cut, room


def _cell(text: str) -> str:
    shown = spell(" ".join(text.split()))
    return shown if len(shown) <= CELL_MAX else f"{shown[: CELL_MAX - 1]}…"
