"""Collections, as clients call the communities of members: repos that a member gathers under a name.

A community is one record, of which the last stands, whole. So each change says all of it anew, one at a time. What a collection has
and the record has not (notes, themes, places of its own, an order by votes, papers) is refused in words and not passed over.

>>> slug("ICCV 2023: the best"), slug("Maji 水")
('iccv-2023-the-best', 'maji-154e4757')
"""

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import RedirectResponse, Response

from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import AbsentError, TakenError
from concord.edges.hub.paging import Place, page
from concord.edges.hub.shapes import when
from concord.errors import MalformedError, MissingError, RefusedError
from concord.pillars.commons import RepoId
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.records import KINDS
from concord.pillars.commons.search import Entry
from concord.pillars.commons.view import Gathering
from concord.private.people import Speaker
from concord.reading import resolve
from concord.shelf import communities

PAGE = 100
ITEMS_SHOWN = 4  # of each in a list, as on the Hub
REPOS_MAX = 200  # what the record takes
SLUG_MAX = 32  # characters, as of every name in a record
HASH_DIGITS = 8
ITEM_DIGITS = 24
ONLY_REPOS = "a community here names repos in the order in which they were added: it has no notes, positions, themes or groups"
_PUBLIC = "communities are public: what is gathered stands in a log that everybody reads"
_ORDERS: dict[str, Callable[[Gathering], int]] = {
    "lastModified": lambda each: -each.at,
    "trending": lambda _: 0,  # nobody votes
    "upvotes": lambda _: 0,
}
Seen = Callable[[RepoId], Entry | None]


class Wanted(msgspec.Struct, rename="camel"):
    """A collection to make."""

    title: str
    namespace: str | None = None
    description: str = ""
    private: bool = False
    resource_group_id: str | None = None


class Changed(msgspec.Struct):
    """What is to be said anew of a collection; what is absent stays."""

    title: str | None = None
    description: str | None = None
    private: bool = False
    position: int | None = None
    theme: str | None = None


class Item(msgspec.Struct):
    """What a collection is to have."""

    id: str
    type: str


class Added(msgspec.Struct):
    """The same, with what is said of it."""

    item: Item
    note: str | None = None


def listing(ask: Ask) -> Response:
    """The communities of some members, or those that have some repos, each with its first repos."""
    order = _ORDERS.get(ask.query("sort") or "trending")
    if order is None:
        raise MalformedError(f"there is no order {str(ask.query('sort'))[:50]!r}; there are {', '.join(_ORDERS)}")
    asker = ask.asker()

    def place(each: Gathering) -> Place:
        return order(each), each.by, each.name

    found = sorted(_found(ask, asker), key=place)
    part, headers = page(ask, found, PAGE, place)
    seen = communities.seen_by(ask.hub.shelf, asker)
    return answer([_told(ask, each, seen, ITEMS_SHOWN) for each in part], headers=headers)


def one(ask: Ask) -> Response:
    """One community, with all its repos that the asker may see."""
    asker = ask.asker()
    return answer(_whole(ask, _named(ask), asker))


def page_of(ask: Ask) -> Response:
    """Where people read it: clients make this address themselves."""
    ask.asker()
    _named(ask)
    return RedirectResponse(f"/commons/communities/{quote(ask.words['ns'])}/{quote(ask.words['name'])}", 302)


def create(ask: Ask) -> Response:
    """Gather a community without repos. TakenError if the member gathers one whose title gives the same name."""
    speaker, wanted = ask.publisher(), ask.json(Wanted)
    if wanted.namespace and resolve(ask.hub.node, wanted.namespace) != speaker.origin:
        raise RefusedError(f"you gather communities of {ask.hub.namespace(speaker.origin)}, and not of {wanted.namespace[:100]}")
    _refuse(wanted.resource_group_id, private=wanted.private)
    name = slug(wanted.title)
    with ask.hub.shelf.turn:
        if _stands(ask, speaker.origin, name):
            there = f"{ask.hub.namespace(speaker.origin)}/{name}"
            raise TakenError(f"there is a community {there} already", slug=there)
        made = communities.gather(ask.hub.shelf, speaker, name, _line(wanted.title), wanted.description, ())
    return answer(_whole(ask, made, speaker))


def update(ask: Ask) -> Response:
    """Say another title, or what it is for. Its name stays."""
    wanted = ask.json(Changed)
    _refuse(wanted.position, wanted.theme, private=wanted.private)
    return answer({"data": _said_anew(ask, lambda repos: repos, wanted)})


def add(ask: Ask) -> Response:
    """Add a public repo at the end. TakenError if it is there."""
    ask.publisher()  # who may say nothing is told so first
    wanted = ask.json(Added)
    kind = next((kind for kind in KINDS.values() if kind == wanted.item.type), None)
    if kind is None:
        raise AbsentError(f"a community has models, datasets and spaces, and no {wanted.item.type[:50]!r}")
    _refuse(wanted.note)
    repo = ask.named(kind, wanted.item.id, None).id

    def more(repos: list[RepoId]) -> list[RepoId]:
        if repo in repos:
            raise TakenError(f"{wanted.item.id[:200]} is in this community already")
        if len(repos) >= REPOS_MAX:
            raise MalformedError(f"a community has at most {REPOS_MAX} repos")
        return [*repos, repo]

    return answer(_said_anew(ask, more))


def remove(ask: Ask) -> Response:
    """Take a repo out. MissingError if it is not there."""

    def less(repos: list[RepoId]) -> list[RepoId]:
        left = [repo for repo in repos if item_id(repo) != ask.words["item"]]
        if left == repos:
            raise MissingError("this community has no such item: ask for it anew, and see what it has")
        return left

    return answer(_said_anew(ask, less))


def slug(title: str) -> str:
    """The name of a community with this title: its words, and where these do not tell all of it, the beginning of its hash."""
    words = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
    if title.isascii() and 0 < len(words) <= SLUG_MAX:
        return words
    digits = sha256(title.encode(errors="surrogatepass")).hexdigest()[:HASH_DIGITS]
    return f"{words[: SLUG_MAX - HASH_DIGITS - 1].rstrip('-') or 'collection'}-{digits}"


def item_id(repo: RepoId) -> str:
    """How clients name a repo in a community when they take it out."""
    return sha256(msgspec.json.encode((repo.owner, repo.kind, repo.name))).hexdigest()[:ITEM_DIGITS]


def _said_anew(ask: Ask, change: Callable[[list[RepoId]], list[RepoId]], wanted: Changed | None = None) -> dict[str, Any]:
    """Say a community of the speaker's member with other repos or words, one change at a time, so that none is lost."""
    speaker, shelf, wanted = ask.publisher(), ask.hub.shelf, wanted or Changed()
    with shelf.turn:
        found = _named(ask)
        if found.by != speaker.origin:
            raise RefusedError(f"this is for a publisher of {ask.hub.namespace(found.by)}")
        before = communities.named_in(ask.hub.node, found)
        title = found.title if wanted.title is None else _line(wanted.title)
        about = found.about if wanted.description is None else wanted.description
        made = communities.gather(shelf, speaker, found.name, title, about, change(before), before)
    return _whole(ask, made, speaker)


def _found(ask: Ask, asker: Speaker | None) -> Iterator[Gathering]:
    with ask.hub.node.reading() as db:
        everything = commons_view.communities(db)
    owners, items = ask.several("owner"), ask.several("item")
    by = set(_origins(ask, owners))
    having = {pair for item in items for pair in _gatherers(ask, item, asker)}
    for each in everything:
        if (not owners or each.by in by) and (not items or (each.by, each.name) in having):
            yield each


def _origins(ask: Ask, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            yield resolve(ask.hub.node, name)
        except MissingError:
            continue  # who is not here gathers nothing here


def _gatherers(ask: Ask, item: str, asker: Speaker | None) -> Iterator[tuple[str, str]]:
    """Who gathers what clients call `models/ke/words`, and under which name."""
    plural, _, name = item.partition("/")
    if plural not in KINDS:
        return
    try:
        repo = ask.named(KINDS[plural], name, asker).id
    except MissingError:
        return
    with ask.hub.node.reading() as db:
        found = commons_view.gatherers(db, repo, ask.hub.shelf.names(repo))
    yield from ((by, called) for by, called, _ in found)


def _named(ask: Ask) -> Gathering:
    return communities.find(ask.hub.node, resolve(ask.hub.node, ask.words["ns"]), ask.words["name"])


def _stands(ask: Ask, by: str, name: str) -> bool:
    with ask.hub.node.reading() as db:
        return bool(commons_view.communities(db, by, name))


def _refuse(*others: object, private: bool = False) -> None:
    """AbsentError for what the record has no place for."""
    if private:
        raise AbsentError(_PUBLIC)
    if any(each is not None for each in others):
        raise AbsentError(ONLY_REPOS)


def _line(title: str) -> str:
    return " ".join(title.split())


def _whole(ask: Ask, found: Gathering, asker: Speaker | None) -> dict[str, Any]:
    told = _told(ask, found, communities.seen_by(ask.hub.shelf, asker), REPOS_MAX)
    return told | {"position": 0}  # clients demand it of one, and number those of a list themselves


def _told(ask: Ask, found: Gathering, seen: Seen, most: int) -> dict[str, Any]:
    """A community as clients read a collection."""
    namespace = ask.hub.namespace(found.by)
    named = [(repo, entry) for repo in communities.named_in(ask.hub.node, found) if (entry := seen(repo)) is not None]
    return {
        "slug": f"{namespace}/{found.name}",
        "title": found.title,
        "description": found.about,
        "owner": namespace,
        "lastUpdated": when(found.at),
        "private": False,
        "theme": "",
        "upvotes": 0,
        "items": [_item(ask, at, repo, entry) for at, (repo, entry) in enumerate(named[:most])],
    }


def _item(ask: Ask, position: int, repo: RepoId, entry: Entry) -> dict[str, Any]:
    return {
        "_id": item_id(repo),
        "id": ask.hub.name(entry.id),
        "type": entry.id.kind,
        "position": position,
        "lastModified": when(entry.changed),
        "likes": entry.likes,
    }
