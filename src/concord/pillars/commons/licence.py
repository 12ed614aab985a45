"""Licences: what a card names, and what published tables say of it (`licenses.csv`, whose sources `licenses.toml` names).

Nothing here says what a court would say. A licence that the tables do not know has no terms, and a column that one source alone
speaks for says so.

>>> licence("cc-by-nc-4.0").id, licence("cc-by-nc-4.0").known, licence("llama3").id
('CC-BY-NC-4.0', False, None)
"""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from io import StringIO
from typing import Any

from concord.pillars.commons.tree import Paths, Tree

TEXTS_MAX = 5  # files of one revision that are called like a licence
FILES = ("license*", "licence*", "copying*", "*/license*", "*/licence*", "*/copying*")
_HEADER = ["id", "name", "osi", "mof", "permits", "requires", "withholds"]
TERMS = {
    "commercial-use": "commercial use",
    "modifications": "changes",
    "distribution": "distribution",
    "private-use": "private use",
    "patent-use": "use of patents",
    "include-copyright": "keep the notices of licence and copyright",
    "include-copyright--source": "keep the notices in source form",
    "document-changes": "say what was changed",
    "disclose-source": "give the source",
    "network-use-disclose": "give the source to users over a network",
    "same-license": "the same licence",
    "same-license--file": "the same licence for changed files",
    "same-license--library": "the same licence for the library",
    "trademark-use": "use of trademarks",
    "liability": "liability",
    "warranty": "warranty",
}  # the tags of the table, in words


@dataclass(frozen=True)
class Licence:
    """What a card names as licence. `id` None: no identifier of the SPDX list that we know. `known`: its terms are in our table.

    `osi` is what the SPDX list says, and `confirmed` whether the Open Source Initiative's own list was seen to agree. `suits` are
    the kinds of content for which the framework holds it appropriate, and `open_data` whether it holds it for open, for data.
    `texts` are the files of the revision that are called like a licence, and `named` what the card says of one that has no
    identifier: a name, an address. Nobody has read them.
    """

    said: str
    id: str | None = None
    name: str = ""
    osi: bool = False
    confirmed: bool = False
    open: bool = False
    open_data: bool = False
    suits: tuple[str, ...] = ()
    permits: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    withholds: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether our table says what it permits."""
        return bool(self.permits)


def licence(said: str) -> Licence:
    """What the tables know of the licence that a card names."""
    row = _licences().get(said.strip().lower())
    if row is None:
        return Licence(said)
    terms = {name: tuple(TERMS[tag] for tag in row[name].split()) for name in ("permits", "requires", "withholds")}
    osi, held = row["osi"] == "yes", row["mof"].split()
    confirmed = osi and row["id"] not in _alone("osi")
    suits = tuple(each for each in held if each != "open")
    return Licence(said, row["id"], row["name"], osi, confirmed, osi or bool(held), "open" in held, suits, **terms)


def licences() -> list[str]:
    """The identifiers that are known, in small letters."""
    return list(_licences())


def of(said: str, tree: Tree, front: Mapping[str, Any]) -> Licence:
    """The same, with what the revision itself says of its licence: files that are called like one, and the words of the card."""
    return replace(licence(said), texts=_texts(tree), named=_named(front))


def _texts(tree: Tree) -> tuple[str, ...]:
    """The files that are called like a licence, those nearest to the root first."""
    found = Paths(tree).like(FILES)
    return tuple(sorted(found, key=lambda path: (path.count("/"), path))[:TEXTS_MAX])


def _named(front: Mapping[str, Any]) -> tuple[str, ...]:
    said = (front.get(name) for name in ("license_name", "license_link"))
    return tuple(each for each in said if isinstance(each, str) and 0 < len(each) <= 300 and each.isprintable())


@cache
def _licences() -> dict[str, dict[str, str]]:
    """The table by identifiers in small letters, as the Hub writes them. It is ours, so what is wrong with it is a RuntimeError."""
    header, *rows = csv.reader(StringIO(_table("licenses.csv"), newline=""))
    if header != _HEADER:
        raise RuntimeError(f"licenses.csv: the header is {header}")
    return {row[0].lower(): dict(zip(_HEADER, row, strict=True)) for row in rows}


@cache
def _alone(column: str) -> frozenset[str]:
    """The licences of which a column of the table has one source."""
    sources = tomllib.loads(_table("licenses.toml"))["source"]
    return frozenset(next(each["alone"] for each in sources if column in each["columns"]))


def _table(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
