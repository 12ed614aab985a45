"""Openness: the components and classes of the Model Openness Framework (`openness.toml`), with what is missing for the next class.

A component counts as found if a file bears a name that we take for it; nobody has read the file. So whoever wants to know finds
which file, or which name is missing, and can look.

>>> from concord.pillars.commons.tree import File
>>> from concord.pillars.commons.licence import licence
>>> tree = {path: File(path=path, size=1, sha256="9f" * 32) for path in ("README.md", "model.safetensors", "train.py")}
>>> found = classify(Card(), tree, licence("apache-2.0"))
>>> found.reached, found.next, [each.id for each in found.missing(3)][:2]
(None, 3, ['architecture', 'evaluation results'])
>>> [(each.id, each.content) for each in found.unsuited]
[('parameters', 'data')]
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from concord.pillars.commons.licence import FILES, Licence
from concord.pillars.commons.records import Card
from concord.pillars.commons.tree import File, Paths, Tree, fits, folders

CLASSES = (3, 2, 1)  # of the framework, from the first to reach
FOUND_MAX = 5  # files that a component names
WEIGHTS_MAX = 200  # files of weights that are listed


@dataclass(frozen=True)
class Component:
    """A component of the framework: for which class, whether needed, and which files or names we take for it.

    `content` is what it is (code, data, document), and `own` the licence files that lie in folders of its own: what they say may
    differ from what the card says.
    """

    id: str
    class_: int
    optional: bool
    content: str = ""
    patterns: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @property
    def here(self) -> bool:
        """Whether anything was found."""
        return bool(self.found or self.named)


@dataclass(frozen=True)
class Openness:
    """The components; a class is reached if nothing that it needs is missing, under a licence that is open."""

    components: tuple[Component, ...]
    licensed: bool
    suits: tuple[str, ...] = ()

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

    @property
    def unsuited(self) -> list[Component]:
        """What is here under a licence that is open, and that the framework holds for appropriate to other kinds of content.

        That costs no class: the framework only asks that each kind has a licence made for it.
        """
        return [each for each in self.components if self.licensed and each.here and self.suits and each.content not in self.suits]

    def missing(self, number: int) -> list[Component]:
        """What is missing for a class, of its own and of those before it."""
        paper = any(each.id == "research paper" and each.here for each in self.components)
        needed = [each for each in self.components if each.class_ >= number and not each.optional and not each.here]
        return [each for each in needed if not (each.id == "technical report" and paper)]


def classify(card: Card, tree: Tree, under: Licence) -> Openness:
    """The components of a revision, and what they make under this licence."""
    paths = Paths(tree)
    texts = [path for path in paths.like(FILES) if "/" in path and fits(path.rpartition("/")[2], FILES)]
    return Openness(tuple(_component(each, card, paths, texts) for each in _components()), under.open, under.suits)


def weights(tree: Tree) -> tuple[File, ...]:
    """The files of weights, by path, at most WEIGHTS_MAX."""
    kind = next(each for each in _components() if each["id"] == "parameters")
    return tuple(tree[path] for path in sorted(Paths(tree).like(_words(kind["patterns"])))[:WEIGHTS_MAX])


def _component(kind: Mapping[str, object], card: Card, paths: Paths, texts: list[str]) -> Component:
    patterns, besides = _words(kind.get("patterns")), _words(kind.get("except"))
    if card.library:
        patterns += _words(kind.get("with_library"))
    found = [path for path in paths.like(patterns) if not fits(path, besides)]
    named: tuple[str, ...] = ()
    if kind["id"] == "datasets":
        named = card.datasets[:FOUND_MAX]
    if kind["id"] == "research paper":
        named = tuple(tag for tag in card.tags if tag.lower().startswith(("arxiv:", "doi:")))[:FOUND_MAX]
    class_ = kind["class"]
    assert isinstance(class_, int)
    return Component(
        id=str(kind["id"]),
        class_=class_,
        optional=bool(kind.get("optional")),
        content=str(kind["content"]),
        patterns=tuple(patterns),
        found=tuple(sorted(found)[:FOUND_MAX]),
        named=named,
        own=_own(found, texts),
    )


def _own(found: list[str], texts: list[str]) -> tuple[str, ...]:
    """Those of the licence files that lie in the folders where these files lie, or above them, below the root."""
    above = folders(found) if texts else set()
    return tuple(sorted(path for path in texts if path.rpartition("/")[0] in above)[:FOUND_MAX])


def _words(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


@cache
def _components() -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(files(__package__).joinpath("openness.toml").read_text(encoding="utf-8"))[
        "component"
    ]
    return found
