"""What clients ask for of a repo by name (`expand`): what there is to tell, and what is known here of each.

A name that no client knows is refused. What the Hub has and nobody here can know (`runtime`, `inferenceProviderMapping`, …) is left
out, as the Hub does where there is nothing.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from concord.edges.hub import weights
from concord.edges.hub.asking import Ask, Hub
from concord.edges.hub.shapes import brief, front_matter, ordered, sibling
from concord.errors import MalformedError
from concord.pillars.commons import File, Repo, RepoId, Revision
from concord.pillars.commons.records import Kind
from concord.pillars.commons.search import Catalogue, Line

_ALL = (
    *(
        "author",
        "cardData",
        "createdAt",
        "disabled",
        "lastModified",
        "likes",
        "private",
        "resourceGroup",
        "sha",
        "siblings",
        "tags",
    ),
    *("trendingScore", "usedStorage", "xetEnabled", "gated"),
)
EXPANDABLE: Mapping[Kind, frozenset[str]] = {  # what the clients' own lists have, in any of their versions
    "model": frozenset(
        (
            *_ALL,
            *("baseModels", "childrenModelCount", "config", "downloads", "downloadsAllTime", "evalResults", "gguf", "inference"),
            *("inferenceProviderMapping", "library_name", "mask_token", "model-index", "pipeline_tag", "safetensors", "spaces"),
            *("transformersInfo", "widgetData"),
        )
    ),
    "dataset": frozenset((*_ALL, "citation", "description", "downloads", "downloadsAllTime", "mainSize", "paperswithcode_id")),
    "space": frozenset((*_ALL, "datasets", "models", "region", "runtime", "sdk", "subdomain")),
}
_OF_CARD = {"model-index": "model-index", "widgetData": "widget", "paperswithcode_id": "paperswithcode_id"}
_OF_FILES = {"siblings", "cardData", "config", "safetensors", "gguf", "usedStorage", "mainSize", *_OF_CARD}
_NEVER = {"downloadsAllTime": 0, "resourceGroup": None, "xetEnabled": True}  # the same of every repo here


@dataclass
class Files:
    """What the files of a repo tell, each read when it is asked for."""

    hub: Hub
    repo: Repo
    revision: Revision | None

    @cached_property
    def tree(self) -> Mapping[str, File]:
        """The files themselves."""
        return self.hub.shelf.tree(self.repo, self.revision) if self.revision else {}

    @cached_property
    def front(self) -> dict[str, Any]:
        """The front matter of README.md."""
        return front_matter(self.hub, self.repo, self.tree)

    @cached_property
    def described(self) -> dict[str, Any]:
        """What a model says of itself."""
        return weights.described(self.hub, self.repo, self.tree) if self.repo.id.kind == "model" else {}

    def tell(self, name: str) -> Any:
        """One property, or None if it is not known."""
        match name:
            case "siblings":
                return [sibling(file, blobs=False) for file in ordered(self.tree)]
            case "cardData":
                return self.front
            case "usedStorage" | "mainSize":
                return sum(file.size for file in self.tree.values())
            case "config" | "safetensors" | "gguf":
                return self.described.get(name)
        return self.front.get(_OF_CARD[name])


def wanted(ask: Ask, kind: Kind) -> list[str]:
    """The properties that are asked for. MalformedError for one that no client knows."""
    names = ask.several("expand")
    strange = sorted(set(names) - EXPANDABLE[kind])
    if strange:
        raise MalformedError(
            f"a {kind} has no property {strange[0][:50]!r} to expand; there are {', '.join(sorted(EXPANDABLE[kind]))}"
        )
    return names


def needs_files(names: list[str]) -> bool:
    """Whether files are to be looked at for any of these: to grow a tree costs more than all the rest."""
    return not _OF_FILES.isdisjoint(names)


def expanded(
    line: Line, name: str, names: list[str], catalogue: Catalogue, namer: Callable[[RepoId], str], files: Files | None
) -> dict[str, Any]:
    """The properties of a repo, which clients call `name`, as far as they are known."""
    told = brief(line, name)
    known = ("_id", "id", "modelId")
    found: dict[str, Any] = {each: value for each, value in told.items() if each in known}
    for each in names:
        if each in told or each in _NEVER:
            found[each] = told.get(each, _NEVER.get(each))
        elif each in _OF_FILES:
            value = files.tell(each) if files is not None else None
            found |= {each: value} if value is not None else {}
        elif each in _RELATED:
            found[each] = _RELATED[each](line, name, catalogue, namer)
    return found


def _base_models(line: Line, _: str, __: Catalogue, ___: object) -> dict[str, Any] | None:
    card = line.entry.card
    return {"relation": card.relation or None, "models": [{"id": each} for each in card.base]} if card.base else None


def _children(_: Line, name: str, catalogue: Catalogue, __: object) -> dict[str, int]:
    """How many models here say that they were made of this one, by how they were made, as far as they say so."""
    made = catalogue.lines(catalogue.having("label", f"base_model:{name}".casefold()) & catalogue.having("kind", "model"))
    return Counter(each.entry.card.relation for each in made if each.entry.card.relation)


def _spaces(_: Line, name: str, catalogue: Catalogue, namer: Callable[[RepoId], str]) -> list[str]:
    using = catalogue.lines(catalogue.having("label", f"models:{name}".casefold()) & catalogue.having("kind", "space"))
    return sorted(namer(each.entry.id) for each in using)


_RELATED: Mapping[str, Callable[[Line, str, Catalogue, Callable[[RepoId], str]], Any]] = {
    "baseModels": _base_models,
    "childrenModelCount": _children,
    "spaces": _spaces,
}
