"""The addresses of the Hub's pages, which its clients print after an upload: each leads to the page that it means here.

>>> meant("ke/words")
('model', 'ke', 'words', '', {})
>>> meant("datasets/ke/corpus/blob/refs%2Fpr%2F7/a/b.csv")
('dataset', 'ke', 'corpus', 'file', {'revision': 'refs/pr/7', 'path': 'a/b.csv'})
>>> meant("ke/words/tree/main/a%20b")
('model', 'ke', 'words', 'files', {'at': 'a b'})
>>> meant("ke/words/commit/4b1d"), meant("ke/words/discussions/12")
(('model', 'ke', 'words', 'commit/4b1d', {}), ('model', 'ke', 'words', 'discussions/12', {}))
>>> meant("ke/words/edit/main/x") is meant("datasets/ke") is None
True
"""

from collections.abc import Callable, Container
from typing import Any, NamedTuple
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from concord.edges.web import commons
from concord.edges.web.page import Page
from concord.errors import MissingError
from concord.pillars.commons.records import Kind
from concord.pillars.commons.repo import MAIN
from concord.shelf import Shelf

PATHS = ("/{member}/{name}", "/{member}/{name}/{rest:path}")
DOORS = frozenset(("api", "cas", "lfs", "peer"))  # with which the paths of other doors begin
PREFIXES: dict[str, Kind] = {
    "datasets": "dataset",
    "spaces": "space",
}  # of addresses of the Hub; models have none


class Leading(Route):
    """A route for paths that begin with no word of `own`, so that what a page takes in another way is still told so (405)."""

    def __init__(self, path: str, endpoint: Callable[[Request], Any], own: Container[str]) -> None:
        super().__init__(path, endpoint)
        self._own = own

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path may be an address of the Hub."""
        return (Match.NONE, {}) if scope["path"].split("/")[1] in self._own else super().matches(scope)


class Meant(NamedTuple):
    """A repo by kind, member and name; the part of its pages, and what the query of their address says."""

    kind: Kind
    member: str
    name: str
    part: str
    query: dict[str, str]

    def __repr__(self) -> str:
        return repr(tuple(self))


def lead(page: Page, shelf: Shelf) -> Response:
    """Go on to the page that is meant. MissingError if there is no such repo, or none that this reader may see."""
    found = meant(page.request.scope.get("raw_path", b"").decode("latin-1").lstrip("/"))
    if found is None:
        raise MissingError("there is nothing at this address")
    repo = shelf.find(shelf.repo_id(found.kind, found.member, found.name), page.speaker)
    return page.redirect(commons.address(page, repo.id, found.part, **found.query))


def meant(path: str) -> Meant | None:
    """What a path means, its parts still encoded; None if there is no such page here."""
    first, *rest = [unquote(part) for part in path.split("/") if part]
    kind = PREFIXES.get(first, "model")
    named = rest if kind != "model" else [first, *rest]
    found = _part(named[2:]) if len(named) > 1 else None
    return Meant(kind, named[0], named[1], *found) if found else None


def _part(parts: list[str]) -> tuple[str, dict[str, str]] | None:
    found: tuple[str, dict[str, str]] | None = None
    match parts:
        case [] | ["discussions"]:
            found = "".join(parts), {}
        case ["commit" | "discussions" as part, one] if one.isalnum():
            found = f"{part}/{one}", {}
        case ["tree", revision, *folders]:
            found = "files", _revision(revision) | ({"at": "/".join(folders)} if folders else {})
        case ["blob", revision, *folders] if folders:
            found = "file", _revision(revision) | {"path": "/".join(folders)}
        case ["commits", revision]:
            found = "history", _revision(revision)
    return found


def _revision(revision: str) -> dict[str, str]:
    return {} if revision == MAIN else {"revision": revision}
