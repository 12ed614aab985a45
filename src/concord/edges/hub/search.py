"""Repos found by words, tags and owners, in an order, in pages."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from concord.edges.hub import weights
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import AbsentError
from concord.edges.hub.paging import page
from concord.edges.hub.shapes import brief, front_matter, head, ordered, sibling
from concord.edges.hub.shapes import tags as tags_of
from concord.errors import MalformedError, MissingError
from concord.pillars.commons import Card, Repo, Revision
from concord.pillars.commons.records import KINDS, Kind
from concord.pillars.commons.search import Entry
from concord.private.people import Speaker
from concord.reading import resolve

PAGE = 1000
_ORDERS: dict[str, Callable[[Entry], Any]] = {
    "lastModified": lambda entry: entry.changed,
    "createdAt": lambda entry: entry.opened,
    "likes": lambda entry: entry.likes,
    "downloads": lambda _: 0,  # nobody counts them
    "trendingScore": lambda _: 0,
}
_NARROWING = ("apps", "inference", "inference_provider", "num_parameters")  # what the Hub narrows lists by, and this node cannot
_ALIASES = {"last_modified": "lastModified", "created_at": "createdAt", "modified": "lastModified"}


def listing(ask: Ask) -> Response:
    """The repos that fit what the query says. AbsentError for what nothing here can be told apart by."""
    asker = ask.asker()
    for name in _NARROWING:
        if ask.query(name):
            raise AbsentError(f"repos cannot be listed by {name} here")
    found = [entry for entry in _entries(ask, asker) if _fits(ask, entry, asker)]
    order = ask.query("sort")
    if order is not None:
        key = _ORDERS.get(_ALIASES.get(order, order))
        if key is None:
            raise MalformedError(f"there is no order {order[:50]!r}; there are {', '.join(_ORDERS)}")
        found.sort(key=key, reverse=ask.query("direction") != "1")
    part, headers = page(ask, found, PAGE)
    return answer([_told(ask, repo) for entry in part if (repo := _found(ask, entry, asker)) is not None], headers=headers)


def tags(ask: Ask) -> Response:
    """The tags of all repos of a kind that are public, by what they say."""
    kind: Kind = "model" if "models-tags" in ask.request.url.path else "dataset"
    counted: dict[str, Counter[str]] = {}
    for entry in ask.hub.shelf.catalogue(None):
        for what, values in _by_type(entry.card, kind).items() if entry.id.kind == kind else ():
            counted.setdefault(what, Counter()).update(value for value in values if value)
    told = {
        what: [{"id": _tag_id(what, value), "label": value, "type": what} for value, _ in counter.most_common()]
        for what, counter in counted.items()
    }
    return answer(told)


def _by_type(card: Card, kind: Kind) -> dict[str, tuple[str, ...]]:
    task = "pipeline_tag" if kind == "model" else "task_categories"
    return {
        task: (card.task,),
        "library": (card.library,),
        "language": card.languages,
        "license": (card.license,),
        "dataset": card.datasets,
        "other": card.tags,
    }


def _tag_id(what: str, value: str) -> str:
    return f"{what}:{value}" if what in ("license", "dataset") else value


def _entries(ask: Ask, asker: Speaker | None) -> list[Entry]:
    """The repos of the kind and owner that are asked for, in the order of owner and name."""
    author, kind = ask.query("author"), KINDS[ask.words["type"]]
    try:
        owner = resolve(ask.hub.node, author) if author else None
    except MissingError:
        return []
    among = (entry for entry in ask.hub.shelf.catalogue(asker) if entry.id.kind == kind and owner in (None, entry.id.owner))
    return sorted(among, key=lambda entry: (entry.id.owner, entry.id.name))


def _found(ask: Ask, entry: Entry, asker: Speaker | None) -> Repo | None:
    """The repo itself, or None if it was closed since it was listed."""
    try:
        return ask.hub.shelf.find(entry.id, asker)
    except MissingError:
        return None


def _fits(ask: Ask, entry: Entry, asker: Speaker | None) -> bool:
    card = entry.card
    said = {tag.casefold() for tag in tags_of(card)} | {f"language:{each}" for each in card.languages}
    words = (ask.query("search") or "").casefold().split()
    text = f"{ask.hub.name(entry.id)} {card.title} {' '.join(card.tags)}".casefold()
    if not all(word in text for word in words):
        return False
    wanted = [tag for name in ("filter", "tags", "pipeline_tag", "library") for tag in ask.several(name)]
    if not all(tag.casefold() in said for tag in wanted):
        return False
    gated = ask.query("gated")
    if gated is None:
        return True
    repo = _found(ask, entry, asker)  # lists know nothing of gates
    return repo is not None and (gated.lower() in ("1", "true")) == (repo.gate != "open")


def _told(ask: Ask, repo: Repo) -> dict[str, Any]:
    revision, expand = head(repo), ask.several("expand")
    told = brief(ask.hub, repo, revision)
    if revision is not None:
        told |= _of_files(ask, repo, revision, expand)
    if expand:
        return {name: value for name, value in told.items() if name in ("_id", "id", "modelId", *expand)}
    return told


def _of_files(ask: Ask, repo: Repo, revision: Revision, expand: list[str]) -> dict[str, Any]:
    """What a list tells of the files of a repo, as far as it is asked for: to grow a tree costs more than all the rest."""
    full = ask.flag("full")
    wanted = {name for name in ("siblings", "cardData") if full} | {name for name in ("cardData", "config") if ask.flag(name)}
    wanted |= {"siblings", "cardData", "config", "safetensors"} & set(expand)
    if not wanted:
        return {}
    told: dict[str, Any] = {}
    tree = ask.hub.shelf.tree(repo, revision)
    if "siblings" in wanted:
        told["siblings"] = [sibling(file, blobs=False) for file in ordered(tree)]
    if "cardData" in wanted:
        told["cardData"] = front_matter(ask.hub, repo, tree)
    if repo.id.kind == "model" and wanted & {"config", "safetensors"}:
        described = weights.described(ask.hub.shelf, repo, tree)
        told |= {name: value for name, value in described.items() if name in wanted}
    return told
