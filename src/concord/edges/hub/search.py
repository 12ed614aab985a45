"""Repos found by words, tags and owners, in an order, in pages."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from starlette.responses import Response

from concord.edges.hub.asking import KINDS, Ask, answer
from concord.edges.hub.paging import page
from concord.edges.hub.shapes import brief, front_matter, head, ordered, sibling
from concord.edges.hub.shapes import tags as tags_of
from concord.errors import MalformedError, MissingError
from concord.pillars.commons import Card, Repo, Revision
from concord.pillars.commons.records import Kind
from concord.private.people import Speaker
from concord.reading import resolve

PAGE = 1000
_ORDERS: dict[str, Callable[[Repo], Any]] = {
    "lastModified": lambda repo: repo.changed,
    "createdAt": lambda repo: repo.opened,
    "likes": lambda repo: len(repo.likes),
    "downloads": lambda _: 0,  # nobody counts them
    "trendingScore": lambda _: 0,
}
_ALIASES = {"last_modified": "lastModified", "created_at": "createdAt", "modified": "lastModified"}


def listing(ask: Ask) -> Response:
    """The repos that fit what the query says."""
    asker = ask.asker()
    found = [repo for repo in _repos(ask, asker) if _fits(ask, repo)]
    order = ask.query("sort")
    if order is not None:
        key = _ORDERS.get(_ALIASES.get(order, order))
        if key is None:
            raise MalformedError(f"there is no order {order[:50]!r}; there are {', '.join(_ORDERS)}")
        found.sort(key=key, reverse=ask.query("direction") != "1")
    part, headers = page(ask, found, PAGE)
    return answer([_told(ask, repo) for repo in part], headers=headers)


def tags(ask: Ask) -> Response:
    """The tags of all repos of a kind that are public, by what they say."""
    kind: Kind = "model" if "models-tags" in ask.request.url.path else "dataset"
    counted: dict[str, Counter[str]] = {}
    for repo in _all(ask, kind, None, None):
        card = _card(repo)
        for what, values in _by_type(card, kind).items():
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


def _repos(ask: Ask, asker: Speaker | None) -> Iterator[Repo]:
    """The repos of the kind and owner that are asked for."""
    author = ask.query("author")
    try:
        owner = resolve(ask.hub.node, author) if author else None
    except MissingError:
        return
    yield from _all(ask, KINDS[ask.words["type"]], owner, asker)


def _all(ask: Ask, kind: Kind, owner: str | None, asker: Speaker | None) -> Iterator[Repo]:
    for each in ask.hub.shelf.listed(asker, owner):
        if each.kind == kind:
            try:
                yield ask.hub.shelf.find(each, asker)
            except MissingError:
                continue  # closed since it was listed


def _fits(ask: Ask, repo: Repo) -> bool:
    card = _card(repo)
    said = {tag.casefold() for tag in tags_of(card)} | {f"language:{each}" for each in card.languages}
    words = (ask.query("search") or "").casefold().split()
    text = f"{ask.hub.name(repo.id)} {card.title} {' '.join(card.tags)}".casefold()
    if not all(word in text for word in words):
        return False
    wanted = [tag for name in ("filter", "tags", "pipeline_tag", "library") for tag in ask.several(name)]
    if not all(tag.casefold() in said for tag in wanted):
        return False
    gated = ask.query("gated")
    return gated is None or (gated.lower() in ("1", "true")) == (repo.gate != "open")


def _told(ask: Ask, repo: Repo) -> dict[str, Any]:
    revision = head(repo)
    told = brief(ask.hub, repo, revision)
    expand = ask.several("expand")
    full, card = ask.flag("full") or "siblings" in expand, ask.flag("cardData") or ask.flag("full") or "cardData" in expand
    if revision is not None and (full or card):
        tree = ask.hub.shelf.tree(repo, revision)
        told |= {"siblings": [sibling(file, blobs=False) for file in ordered(tree)]} if full else {}
        told |= {"cardData": front_matter(ask.hub, repo, tree)} if card else {}
    if expand:
        return {name: value for name, value in told.items() if name in ("_id", "id", "modelId", *expand)}
    return told


def _card(repo: Repo) -> Card:
    revision: Revision | None = head(repo)
    return revision.commit.card if revision else Card()
