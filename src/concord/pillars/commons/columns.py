"""The columns of a table, from the beginning or the end of its file: nothing is loaded, and nothing of a row is guessed at.

- **CSV** names its columns in the first line, and says no types: each column is text.
- **JSON Lines** has names in its first object, and no more than that says no types either.
- **Parquet** has a schema at its end (Apache Parquet format, `FileMetaData` in Thrift's compact protocol), with types.

>>> from hashlib import sha256
>>> raw = b'word,meaning\\nmaji,water\\n'
>>> file = File(path="words.csv", size=len(raw), sha256=sha256(raw).hexdigest())
>>> columns(file, lambda _, start, stop: raw[start:stop])
[Column(name='word', type='Text'), Column(name='meaning', type='Text')]
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from concord.errors import MalformedError
from concord.pillars.commons import parquet
from concord.pillars.commons.tree import File

HEAD_MAX = 64 << 10  # bytes of a text table that are read
COLUMNS_MAX = 500
NAME_MAX = 200
_TAIL = 8  # bytes: how long the footer is, and the mark

Read = Callable[[File, int, int], bytes | None]


@dataclass(frozen=True)
class Column:
    """A column: its name, and Text, Integer, Float or Boolean."""

    name: str
    type: str = "Text"


def kind(path: str) -> str | None:
    """The media type of a table whose columns can be read, by the name of its file, or None."""
    return {"csv": "text/csv", "jsonl": "application/jsonlines", "parquet": "application/x-parquet"}.get(
        path.rpartition(".")[2].lower()
    )


def columns(file: File, read: Read) -> list[Column]:
    """The columns of a table; none if it is not here, is no table, or cannot be read so cheaply."""
    try:
        match kind(file.path):
            case "text/csv":
                found = _csv(_head(file, read))
            case "application/jsonlines":
                found = _jsonl(_head(file, read))
            case "application/x-parquet":
                found = _parquet(file, read)
            case _:
                return []
    except MalformedError:
        return []
    names = [each.name for each in found]
    good = all(0 < len(name) <= NAME_MAX and name.isprintable() for name in names)
    return found if good and len(set(names)) == len(names) <= COLUMNS_MAX else []


def _head(file: File, read: Read) -> str:
    """The first line, if it ends where we still read."""
    raw = read(file, 0, min(file.size, HEAD_MAX)) or b""
    line, end, _ = raw.partition(b"\n")
    if not end and len(raw) >= HEAD_MAX:
        raise MalformedError("a first line without an end")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise MalformedError("a table that is not in UTF-8") from e


def _csv(line: str) -> list[Column]:
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error as e:
        raise MalformedError("no header of a CSV file") from e
    return [Column(name) for name in (rows[0] if rows else [])]


def _jsonl(line: str) -> list[Column]:
    try:
        return [Column(name) for name in msgspec.json.decode(line, type=dict[str, msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as e:
        raise MalformedError("a first line that is no JSON object") from e


def _parquet(file: File, read: Read) -> list[Column]:
    tail = read(file, max(file.size - _TAIL, 0), file.size) or b""
    length = int.from_bytes(tail[:4], "little")
    if len(tail) != _TAIL or tail[4:] != b"PAR1" or not 0 < length <= file.size - _TAIL:
        raise MalformedError("no Parquet file: the length of its footer cannot be right")
    start = file.size - _TAIL - length
    return [Column(*each) for each in parquet.schema(read(file, start, start + min(length, parquet.HEAD_MAX)) or b"")]
