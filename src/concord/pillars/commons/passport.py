"""The passport of a revision: licence, openness, formats, parameters, computed from its card and its tree, with reasons.

Nothing in it is a verdict. A licence is what the card names, and what published tables say of it; a component counts as found if
a file bears a name that we take for it (`openness.toml`), and nobody has read the file. So whoever opens the passport finds
which file, or which name is missing, and can look.

>>> from concord.pillars.commons.tree import File
>>> tree = {path: File(path=path, size=1, sha256="9f" * 32) for path in ("README.md", "model.safetensors", "train.py")}
>>> found = issue(Card(license="apache-2.0"), tree, lambda file, start, stop: None)
>>> found.licence.id, found.openness.reached, [each.id for each in found.openness.missing(3)][:2]
('Apache-2.0', None, ['architecture', 'evaluation results'])
"""

import csv
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from io import StringIO

from concord.errors import MalformedError
from concord.pillars.commons import safetensors
from concord.pillars.commons.records import Card
from concord.pillars.commons.tree import File, Tree

CLASSES = (3, 2, 1)  # of the Model Openness Framework, from the first to reach
FOUND_MAX = 5  # files that a component names
HEADERS_MAX = 64  # files whose header is read
_HEADER = ["id", "name", "osi", "mof", "permits", "requires", "withholds"]
_FORMATS = {
    "safetensors": "safetensors", "gguf": "GGUF", "onnx": "ONNX", "bin": "pickle", "pt": "pickle", "pth": "pickle", "pkl": "pickle",
    "ckpt": "pickle", "h5": "HDF5", "parquet": "Parquet", "arrow": "Arrow", "csv": "CSV", "jsonl": "JSON Lines", "npz": "NumPy",
    "npy": "NumPy", "tar": "tar", "zip": "ZIP", "wav": "WAV", "flac": "FLAC", "mp3": "MP3",
}  # fmt: skip
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

Read = Callable[[File, int, int], bytes | None]  # some bytes of a file, or None if it is not here


@dataclass(frozen=True)
class Licence:
    """What a card names as licence. `id` None: no identifier of the SPDX list that we know. `known`: its terms are in our table."""

    said: str
    id: str | None = None
    name: str = ""
    osi: bool = False
    open: bool = False
    permits: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    withholds: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether our table says what it permits."""
        return bool(self.permits)


@dataclass(frozen=True)
class Component:
    """A component of the framework: for which class, whether needed, and which files or names we take for it."""

    id: str
    class_: int
    optional: bool
    found: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def here(self) -> bool:
        """Whether anything was found."""
        return bool(self.found or self.named)


@dataclass(frozen=True)
class Openness:
    """The components; a class is reached if nothing that it needs is missing, under a licence that is open."""

    components: tuple[Component, ...]
    licensed: bool

    @property
    def reached(self) -> int | None:
        """The best class that is reached (1 is the best), or None."""
        reached = None
        for number in CLASSES:
            if not self.licensed or self.missing(number):
                break
            reached = number
        return reached

    @property
    def next(self) -> int | None:
        """The class after that, or None after the best."""
        return {None: 3, 3: 2, 2: 1, 1: None}[self.reached]

    def missing(self, number: int) -> list[Component]:
        """What is missing for a class, of its own and of those before it."""
        paper = any(each.id == "research paper" and each.here for each in self.components)
        needed = [each for each in self.components if each.class_ >= number and not each.optional and not each.here]
        return [each for each in needed if not (each.id == "technical report" and paper)]


@dataclass(frozen=True)
class Parameters:
    """How many, by type; `unread` files were not here, or could not be read, so there may be more."""

    total: int
    by_type: Mapping[str, int]
    unread: int


@dataclass(frozen=True)
class Passport:
    """All of it. `parameters` None: there is no safetensors file."""

    licence: Licence
    openness: Openness
    formats: Mapping[str, int]
    parameters: Parameters | None
    size: int


def issue(card: Card, tree: Tree, read: Read) -> Passport:
    """The passport of a revision with this card and these files."""
    known = licence(card.license)
    found = Openness(tuple(_component(each, card, tree) for each in _components()), known.open)
    return Passport(known, found, _formats(tree), _parameters(tree, read), sum(file.size for file in tree.values()))


def licence(said: str) -> Licence:
    """What is known of the licence that a card names.

    >>> licence("cc-by-nc-4.0").id, licence("cc-by-nc-4.0").known, licence("llama3").id
    ('CC-BY-NC-4.0', False, None)
    """
    row = _licences().get(said.strip().lower())
    if row is None:
        return Licence(said)
    terms = {name: tuple(TERMS[tag] for tag in row[name].split()) for name in ("permits", "requires", "withholds")}
    return Licence(said, row["id"], row["name"], row["osi"] == "yes", "yes" in (row["osi"], row["mof"]), **terms)


def licences() -> list[str]:
    """The identifiers that are known, in small letters."""
    return list(_licences())


def _component(kind: Mapping[str, object], card: Card, tree: Tree) -> Component:
    patterns, besides = _words(kind.get("patterns")), _words(kind.get("except"))
    if card.library:
        patterns += _words(kind.get("with_library"))
    found = [path for path in tree if _fits(path, patterns) and not _fits(path, besides)]
    named: tuple[str, ...] = ()
    if kind["id"] == "datasets":
        named = card.datasets[:FOUND_MAX]
    if kind["id"] == "research paper":
        named = tuple(tag for tag in card.tags if tag.lower().startswith(("arxiv:", "doi:")))[:FOUND_MAX]
    class_ = kind["class"]
    assert isinstance(class_, int)
    return Component(str(kind["id"]), class_, bool(kind.get("optional")), tuple(sorted(found)[:FOUND_MAX]), named)


def _words(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _fits(path: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(path.lower(), pattern) for pattern in patterns)


def _formats(tree: Tree) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in tree:
        name = _FORMATS.get(path.rpartition(".")[2].lower())
        if name is not None:
            found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _parameters(tree: Tree, read: Read) -> Parameters | None:
    weights = [file for path, file in sorted(tree.items()) if path.endswith(".safetensors") and "checkpoint" not in path]
    if not weights:
        return None
    by_type: dict[str, int] = {}
    unread = max(len(weights) - HEADERS_MAX, 0)
    for file in weights[:HEADERS_MAX]:
        found = _header(file, read)
        unread += found is None
        for name, count in found.by_type.items() if found else ():
            by_type[name] = by_type.get(name, 0) + count
    return Parameters(sum(by_type.values()), by_type, unread)


def _header(file: File, read: Read) -> safetensors.Tensors | None:
    if read(file, 0, 1) is None:
        return None
    try:
        return safetensors.header(file.size, lambda start, stop: read(file, start, stop) or b"")
    except MalformedError:
        return None


@cache
def _components() -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(_table("openness.toml"))["component"]
    return found


@cache
def _licences() -> dict[str, dict[str, str]]:
    """The table by identifiers in small letters, as the Hub writes them. It is ours, so what is wrong with it is a RuntimeError."""
    header, *rows = csv.reader(StringIO(_table("licenses.csv"), newline=""))
    if header != _HEADER:
        raise RuntimeError(f"licenses.csv: the header is {header}")
    return {row[0].lower(): dict(zip(_HEADER, row, strict=True)) for row in rows}


def _table(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
