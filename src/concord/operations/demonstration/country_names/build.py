"""Makes the files of this dataset from the table of countries that Concord keeps: python build.py countries.csv FOLDER.

The table is src/concord/pillars/members/countries.csv of Concord's source; where its columns come from stands beside it, in
countries.toml. What comes out depends on the table alone: the same table gives the same bytes.

    countries.jsonl          a line for each country: its code, and its name in each language
    data/train.jsonl         a line for each country and language, of seven countries in ten
    data/validation.jsonl    of one in ten
    data/test.jsonl          of two in ten

A country lies in one of the three with all its names, so that no name is asked that was taught in another language. The lines
are JSON and not CSV, because readers of CSV take the code of Namibia, NA, for a value that is missing.

>>> split("KEN"), split("BRB"), split("ATG")
('train', 'validation', 'test')
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from io import StringIO
from pathlib import Path

LANGUAGES = ("ar", "zh", "en", "fr", "ru", "es")
SPLITS = ("train", "validation", "test")
TENTHS = (7, 1, 2)  # of the countries, for each of the splits

Row = Mapping[str, str]


def build(table: str) -> dict[str, bytes]:
    """The files by their paths, from the text of the table."""
    rows = list(csv.DictReader(StringIO(table, newline="")))
    made = {f"data/{name}.jsonl": _lines(_names(row for row in rows if split(row["alpha3"]) == name)) for name in SPLITS}
    return made | {"countries.jsonl": _lines(_country(row) for row in rows)}


def split(alpha3: str) -> str:
    """Where a country lies: by a digest of its code, so that nobody chose, and a new country moves no other."""
    tenth = int(sha256(alpha3.encode()).hexdigest()[:8], 16) % sum(TENTHS)
    return next(name for number, name in enumerate(SPLITS) if tenth < sum(TENTHS[: number + 1]))


def _names(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield from ({"country": row["alpha2"], "language": each, "name": row[each]} for each in LANGUAGES)


def _country(row: Row) -> Row:
    return {"country": row["alpha2"]} | {each: row[each] for each in LANGUAGES}


def _lines(rows: Iterable[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main(table: str, folder: str) -> None:
    """Write the files."""
    for path, content in build(Path(table).read_text(encoding="utf-8")).items():
        place = Path(folder, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
