"""Countries: a dated table of the 249 entries of ISO 3166-1, with what the UN and the World Bank say of each.

A member names its country by two letters; region, income group and the three groups of special need are looked up here
and never claimed by the member. The table is `countries.csv` beside this module. Where each column comes from, which
date it describes, and whether two independent sources agreed, stands in `countries.toml`; so do changes that are
scheduled but not yet in force. The format, with no freedom in it:

    header     alpha2,alpha3,m49,region,subregion,un,ldc,lldc,sids,income,column,row,en,fr,es,ru,zh,ar
    order      by alpha2; UTF-8, LF, quotes only where CSV needs them
    un         member, observer or other
    flags      yes, or empty
    income     low, lower-middle, upper-middle, high, or empty: not classified
    column,row a square of the tile grid, from the top left, from 0; or both empty: no square

The grid has one equal square for each state and draws no border. Nothing here expresses an opinion on the status of
any territory; names and groups are their publishers'.

>>> kenya = country("KE")
>>> kenya.alpha3, kenya.region, kenya.income, kenya.ldc
('KEN', 'Africa', 'lower-middle', False)
>>> kenya.names["fr"], country("LA").names["zh"]
('Kenya', '老挝人民民主共和国')
>>> column, row = kenya.tile
>>> country("TZ").tile == (column - 1, row + 1)  # Tanzania lies to the south-west, corner to corner
True
>>> sum(each.un == "member" for each in countries().values())
193
"""

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from io import StringIO
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeVar, get_args

from concord.errors import MissingError

T = TypeVar("T")

LANGUAGES = ("ar", "zh", "en", "fr", "ru", "es")

Standing = Literal["member", "observer", "other"]
Income = Literal["low", "lower-middle", "upper-middle", "high", ""]

_FACTS = ["alpha2", "alpha3", "m49", "region", "subregion", "un", "ldc", "lldc", "sids", "income", "column", "row"]
_NAMES = ["en", "fr", "es", "ru", "zh", "ar"]
_HEADER = [*_FACTS, *_NAMES]


class Country(NamedTuple):
    """One entry of ISO 3166-1.

    `region` and `subregion` are empty where M49 gives none. `un`: its standing in the United Nations. `ldc`, `lldc`,
    `sids`: least developed, landlocked developing, small island developing. `income` is empty where the World Bank
    gives no group: unknown, not low. `tile` is None for what has no square on the grid. `names` has all LANGUAGES.
    """

    alpha2: str
    alpha3: str
    m49: str
    region: str
    subregion: str
    un: Standing
    ldc: bool
    lldc: bool
    sids: bool
    income: Income
    tile: tuple[int, int] | None
    names: Mapping[str, str]


def country(code: str) -> Country:
    """The country of an ISO 3166-1 alpha-2 code, in capitals. Raises MissingError for any other text."""
    try:
        return countries()[code]
    except KeyError:
        raise MissingError(f"no country has the code {code!r}") from None


@cache
def countries() -> Mapping[str, Country]:
    """All countries by alpha-2 code, in its order; read at the first call."""

    text = files(__package__).joinpath("countries.csv").read_text(encoding="utf-8")
    return MappingProxyType({each.alpha2: each for each in _parse(text)})


def _parse(text: str) -> Iterator[Country]:
    """Read the whole table. It is our own, so whatever is wrong with it is a RuntimeError."""
    header, *rows = csv.reader(StringIO(text, newline=""))
    if header != _HEADER:
        raise RuntimeError(f"countries.csv: the header is {header}")
    codes = ["".join(row[:1]) for row in rows]
    if codes != sorted(set(codes)):
        raise RuntimeError("countries.csv: not sorted by alpha2, or a code stands twice")
    for code, row in zip(codes, rows, strict=True):
        try:
            yield _country(dict(zip(_HEADER, row, strict=True)))
        except ValueError as error:
            raise RuntimeError(f"countries.csv: {code!r}: {error}") from error


def _country(row: Mapping[str, str]) -> Country:
    """One row, or ValueError."""
    return Country(
        alpha2=_code(row["alpha2"], 2),
        alpha3=_code(row["alpha3"], 3),
        m49=_digits(row["m49"], 3),
        region=row["region"],
        subregion=row["subregion"],
        un=_one_of(get_args(Standing), row["un"]),
        ldc=_flag(row["ldc"]),
        lldc=_flag(row["lldc"]),
        sids=_flag(row["sids"]),
        income=_one_of(get_args(Income), row["income"]),
        tile=_tile(row["column"], row["row"]),
        names=MappingProxyType({language: _name(row[language]) for language in _NAMES}),
    )


def _one_of(words: tuple[T, ...], word: str) -> T:
    found = next((each for each in words if each == word), None)
    if found is None:
        raise ValueError(f"{word!r} is none of {words}")
    return found


def _flag(word: str) -> bool:
    return _one_of(("yes", ""), word) == "yes"


def _code(text: str, length: int) -> str:
    if len(text) != length or not (text.isascii() and text.isalpha() and text.isupper()):
        raise ValueError(f"{text!r} is not {length} capital letters")
    return text


def _digits(text: str, length: int) -> str:
    if len(text) != length or not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not {length} digits")
    return text


def _tile(column: str, row: str) -> tuple[int, int] | None:
    if not column and not row:
        return None
    return _number(column), _number(row)


def _number(text: str) -> int:
    """A small number in its one spelling: no sign, no space, no leading zero."""
    if not (len(text) <= 2 and text.isascii() and text.isdigit()) or str(int(text)) != text:
        raise ValueError(f"{text!r} is not a position")
    return int(text)


def _name(text: str) -> str:
    if not text or text != " ".join(text.split()):
        raise ValueError(f"{text!r} is not a name")
    return text
