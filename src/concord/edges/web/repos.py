"""One repo: what all pages about it share. What is in it was written by strangers, and is shown as nothing else.

Its first page is of `repo_card`, its files of `repo_files`, its commits of `repo_history`, its discussions of `repo_threads`, its
passport of `passports`; what a person does to it is taken by `repo_forms`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from concord.edges.web import commons
from concord.edges.web.page import Page
from concord.errors import BusyError, DamagedError, ForgedError, MissingError, StorageError, UnreachableError
from concord.pillars.commons import Changes, File, Repo, RepoId, Revision, Tree
from concord.pillars.commons.records import KINDS
from concord.pillars.commons.repo import MAIN
from concord.private import gates
from concord.private.people import Speaker
from concord.shelf import Shelf

README = "README.md"
# Why bytes are not to be had at this moment.
NOT_NOW = (MissingError, UnreachableError, ForgedError, BusyError, DamagedError, StorageError)


@dataclass(frozen=True)
class Here:
    """What a page about a repo is about. `asked` is the revision as the address has it ("": main); `revision` None: no commit."""

    page: Page
    shelf: Shelf
    repo: Repo
    asked: str
    revision: Revision | None

    def at(self, part: str = "", **query: str) -> str:
        """Where another page about the repo is, at the same revision."""
        of_revision = part in ("", "files", "file", "raw", "history", "passport") or part.startswith("export/")
        revision = {"revision": self.asked} if self.asked and of_revision else {}
        return commons.address(self.page, self.repo.id, part, **revision, **query)

    def plain(self, part: str = "", **query: str) -> str:
        """Where another page about the repo is, at main."""
        return commons.address(self.page, self.repo.id, part, **query)

    @property
    def tree(self) -> Tree:
        """The files of the revision."""
        return self.shelf.tree(self.repo, self.revision) if self.revision else {}

    @property
    def name(self) -> str:
        """What clients call the repo."""
        return f"{self.page.log_name(self.repo.id.owner)}/{self.repo.id.name}"

    @property
    def speaker(self) -> Speaker | None:
        return self.page.speaker

    @property
    def ours(self) -> bool:
        """Whether the reader acts for the member whose repo it is."""
        return self.speaker is not None and self.speaker.origin == self.repo.id.owner

    @property
    def may_take_part(self) -> bool:
        """Whether the reader may discuss it, propose to it and like it."""
        return commons.may_open(self.page)

    @property
    def may_change(self) -> bool:
        """Whether the reader may commit to it and merge."""
        return self.ours and self.may_take_part

    @property
    def passports(self) -> bool:
        """Whether there is something to have a passport."""
        return self.revision is not None

    @property
    def liked(self) -> bool:
        """Whether the reader likes it."""
        return self.speaker is not None and (self.speaker.origin, self.speaker.spelled) in self.repo.likes

    @property
    def may_read(self) -> bool:
        """Whether the reader may have the files."""
        return self.shelf.may_read(self.repo, self.speaker)

    @property
    def asked_for(self) -> str | None:
        """How the reader's own request for the files of a gated repo stands; None if there is none."""
        if self.speaker is None or self.repo.gate == "open":
            return None
        with self.page.node.private_reading() as db:
            return gates.status(db, self.repo.root, self.speaker.origin, self.speaker.person)

    def has(self, file: File) -> bool:
        """Whether the reader may have a file, and its bytes are here."""
        return self.may_read and self.shelf.have(self.repo, file) and not self.page.node.blobs.holds(file.sha256)

    def changes(self, revision: Revision) -> Changes | None:
        """What a commit changed, or None if that is listed in a blob which is not here, or damaged."""
        try:
            return self.shelf.changes(revision)
        except (MissingError, DamagedError):
            return None


def find(page: Page, shelf: Shelf) -> Here:
    """What the address names. MissingError if it is nothing, or nothing for this reader."""
    params = page.request.path_params
    kind = KINDS.get(params["kinds"])
    if kind is None:
        raise MissingError("there is nothing at this address")
    repo_id = RepoId(owner=page.origin_of(params["member"]), kind=kind, name=params["name"])
    repo = shelf.find(repo_id, page.speaker)
    asked = page.request.query_params.get("revision", "")
    if asked in ("", MAIN):
        return Here(page, shelf, repo, "", repo.find(MAIN) if MAIN in repo.branches else None)
    return Here(page, shelf, repo, asked, repo.find(asked))


def show(here: Here, template: str, tab: str, status: int = 200, /, **values: Any) -> Response:
    """A page about a repo, under its head and tabs."""
    return here.page.render(template, status, here=here, repo=here.repo, tab=tab, **values)


def linker(here: Here) -> Callable[[str], str | None]:
    """Where a link of Markdown leads that names a file or folder of the revision; None if it names neither."""
    tree = here.tree

    def link(target: str) -> str | None:
        path = path_in(target)
        if path in tree:
            return here.at("file", path=path)
        return here.at("files", at=path) if path and any(name.startswith(f"{path}/") for name in tree) else None

    return link


def path_in(target: str) -> str:
    """The path in a repo that a relative link means, or "" if it leads out of it."""
    path = normpath(join("/", unquote(target.partition("#")[0].partition("?")[0])))
    return path.strip("/")
