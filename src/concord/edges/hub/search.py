"""Repos found by words, tags and owners, in an order, in pages."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from concord.edges.hub import properties
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import AbsentError
from concord.edges.hub.paging import Place, page
from concord.edges.hub.properties import Files
from concord.edges.hub.shapes import brief
from concord.errors import MalformedError, MissingError
from concord.pillars.commons import Card, RepoId
from concord.pillars.commons.card import CLAIMS
from concord.pillars.commons.labels import claimed
from concord.pillars.commons.records import KINDS, Kind
from concord.pillars.commons.search import Catalogue, Entry, Line
from concord.private.people import Speaker
from concord.reading import resolve

PAGE = 1000
PAGE_OF_FILES = 100  # repos of which files are told, too
_ORDERS: dict[str, Callable[[Entry], int]] = {
    "lastModified": lambda entry: entry.changed,
    "createdAt": lambda entry: entry.opened,
    "likes": lambda entry: entry.liked,
    "downloads": lambda _: 0,  # nobody counts them
    "trendingScore": lambda _: 0,
}
_ALIASES = {
    "last_modified": "lastModified",
    "created_at": "createdAt",
    "modified": "lastModified",
    "trending_score": "trendingScore",
}
_ABSENT = ("apps", "inference", "inference_provider")  # what the Hub narrows lists by, and nobody here can know
# The parameters that name labels, and what stands before them there.
_LABELS = dict.fromkeys(("filter", "tags", "other", "library", "language", "pipeline_tag", "task", "sdk"), "")
_LABELS |= {
    "license": "license:",
    "trained_dataset": "dataset:",
    "dataset": "dataset:",
    "datasets": "dataset:",
    "models": "models:",
}
_LABELS |= {"base_model": "base_model:"} | {name: f"{name}:" for name in CLAIMS if name not in ("models", "sdk")}
_COUNT = re.compile(r"(min|max):(\d{1,15}(?:\.\d{1,6})?)([KMBT]?)\Z", re.IGNORECASE | re.ASCII)
_THOUSANDS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def listing(ask: Ask) -> Response:
    """The repos that fit what the query says. AbsentError for what nothing here can be told apart by."""
    for name in _ABSENT:
        if ask.query(name):
            raise AbsentError(f"repos cannot be listed by {name} here: no node of Concord runs models for others")
    asker, kind, namer = ask.asker(), KINDS[ask.words["type"]], ask.hub.namer()
    names, place = _names(ask, kind), _place(ask)
    catalogue, _ = ask.hub.measures.catalogue(asker)
    found = [line for line in catalogue.lines(_narrowed(ask, catalogue, kind)) if _fits(ask, line, namer)]
    found.sort(key=place)
    part, headers = page(ask, found, PAGE_OF_FILES if properties.needs_files(names) else PAGE, place)
    told = (_told(ask, line, asker, names, catalogue, namer) for line in part)
    return answer([each for each in told if each is not None], headers=headers)


def tags(ask: Ask) -> Response:
    """The tags of all repos of a kind that are public, by what they say."""
    kind: Kind = "model" if "models-tags" in ask.request.url.path else "dataset"
    counted: dict[str, Counter[str]] = {}
    catalogue, _ = ask.hub.measures.catalogue(None)
    for line in catalogue.lines(catalogue.having("kind", kind)):
        for what, values in _by_type(line, kind).items():
            counted.setdefault(what, Counter()).update(value for value in values if value)
    told = {
        what: [{"id": _tag_id(what, value), "label": value, "type": what} for value, _ in counter.most_common()]
        for what, counter in counted.items()
        if counter
    }
    return answer(told)


def _by_type(line: Line, kind: Kind) -> dict[str, Iterable[str]]:
    card: Card = line.entry.card
    formats = line.measure.formats if line.measure else ()
    told: dict[str, Iterable[str]] = {
        "language": card.languages,
        "license": (card.license,),
        "dataset": card.datasets,
        "other": [tag for tag in card.tags if not tag.startswith(tuple(f"{name}:" for name in CLAIMS))],
    }
    if kind == "model":
        return told | {"pipeline_tag": (card.task,), "library": (card.library, *formats)}
    claims = {name: claimed(card, name) for name in CLAIMS if name not in ("models", "sdk")}
    told |= claims | {"task_categories": claims["task_categories"] or (card.task,), "library": (card.library,)}
    return told | {"format": [each.partition(":")[2] for each in formats]}


def _tag_id(what: str, value: str) -> str:
    return f"{what}:{value}" if what in ("license", "dataset", "format", *CLAIMS) else value


def _narrowed(ask: Ask, catalogue: Catalogue, kind: Kind) -> int:
    """Which repos have the kind, the owner, the gate and all the labels that are asked for."""
    found = catalogue.having("kind", kind)
    author, gated = ask.query("author"), ask.query("gated")
    if author:
        try:
            found &= catalogue.having("member", resolve(ask.hub.node, author))
        except MissingError:
            return 0
    if gated is not None:
        open_ = catalogue.having("gate", "open")
        found &= ~open_ if gated.lower() in ("1", "true") else open_
    for name, before in _LABELS.items():
        for value in ask.several(name):
            asked = value if value.startswith(before) else before + value
            found &= catalogue.having("label", asked.casefold())
    return found


def _fits(ask: Ask, line: Line, namer: Callable[[RepoId], str]) -> bool:
    """Whether a repo has the words, the number of parameters, and the links that are asked for."""
    card = line.entry.card
    words = [word for text in ask.request.query_params.getlist("search") for word in text.casefold().split()]
    if words:
        text = f"{namer(line.entry.id)} {card.title} {' '.join(card.tags)}".casefold()
        if not all(word in text for word in words):
            return False
    if ask.flag("linked") and not (card.datasets or claimed(card, "models")):
        return False
    bounds = ask.query("num_parameters")
    return bounds is None or _between(line.measure.parameters if line.measure else None, bounds)


def _between(count: int | None, bounds: str) -> bool:
    """Whether so many parameters are within bounds such as `min:6B,max:128B`. MalformedError if those are none.

    >>> _between(7 * 10**9, "min:6.5B,max:128b"), _between(7, "min:1M"), _between(None, "max:1B")
    (True, False, False)
    """
    for bound in bounds.split(","):
        match = _COUNT.match(bound.strip())
        if match is None:
            raise MalformedError(f"{bounds[:50]!r} is no range of parameters, such as min:6B,max:128B")
        most = Decimal(match[2]) * _THOUSANDS[match[3].upper()]
        if count is None or (count < most if match[1].lower() == "min" else count > most):
            return False
    return True


def _place(ask: Ask) -> Callable[[Line], Place]:
    """Where each entry stands in the order that is asked for; the rest is by owner and name."""
    order = ask.query("sort")
    if order is None:
        return lambda line: (line.entry.id.owner, line.entry.id.name)
    value = _ORDERS.get(_ALIASES.get(order, order))
    if value is None:
        raise MalformedError(f"there is no order {order[:50]!r}; there are {', '.join(_ORDERS)}")
    sign = 1 if ask.query("direction") == "1" else -1
    return lambda line: (sign * value(line.entry), line.entry.id.owner, line.entry.id.name)


def _names(ask: Ask, kind: Kind) -> list[str]:
    """The properties that a list is to tell besides the usual ones, or, with `expand`, in their place."""
    full = ["siblings", "cardData"] if ask.flag("full") else []
    return properties.wanted(ask, kind) or [*full, *(name for name in ("cardData", "config") if ask.flag(name))]


def _told(
    ask: Ask, line: Line, asker: Speaker | None, names: list[str], catalogue: Catalogue, namer: Callable[[RepoId], str]
) -> dict[str, Any] | None:
    """A repo in a list; None if its files are asked for, and it was closed since it was listed."""
    name = namer(line.entry.id)
    try:
        repo = ask.hub.shelf.find(line.entry.id, asker) if properties.needs_files(names) else None
    except MissingError:
        return None
    files = Files(ask.hub, repo, repo.revisions.get(line.entry.leaf)) if repo else None
    told = properties.expanded(line, name, names, catalogue, namer, files)
    return told if ask.several("expand") else brief(line, name) | told
