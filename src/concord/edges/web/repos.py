"""One repo: what all pages about it share, and its card. What is in it was written by strangers, and is shown as nothing else.

Its files are pages of `repo_files`, its commits of `repo_history`, its discussions of `repo_threads`, its passport of `passports`;
what a person does to it is taken by `repo_forms`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from concord.edges.web import commons, communities, markdown, openness_chart, preview, usage
from concord.edges.web.page import Page
from concord.errors import BusyError, DamagedError, ForgedError, MalformedError, MissingError, UnreachableError
from concord.passports import Passports
from concord.pillars.commons import Changes, File, Repo, RepoId, Revision, Tree
from concord.pillars.commons import card as cards
from concord.pillars.commons.passport import Passport
from concord.pillars.commons.records import KINDS, Kind
from concord.pillars.commons.repo import MAIN
from concord.private import gates
from concord.private.people import Speaker
from concord.shelf import Shelf

README = "README.md"
README_MAX = 400_000  # bytes
NOT_NOW = (MissingError, UnreachableError, ForgedError, BusyError, DamagedError)  # why bytes are not to be had at this moment


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
        """What a commit changed, or None if that is listed in a blob which is not here."""
        try:
            return self.shelf.changes(revision)
        except MissingError:
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


def card_page(page: Page, shelf: Shelf) -> Response:
    """The card, how to use it, and what it is at a glance."""
    here = find(page, shelf)
    tree = here.tree
    readme = tree.get(README)
    passport = _passport(here)
    shown, wrong = _card(here, readme) if readme else (None, "")
    return show(
        here,
        "repo.html",
        "card",
        card=shown,
        wrong=wrong,
        readme=readme,
        size=sum(file.size for file in tree.values()),
        files=len(tree),
        lineage=_lineage(here),
        passport=passport,
        chart=openness_chart.rows(passport.openness, page.component) if passport else [],
        communities=[] if here.repo.private else communities.of_repo(page, shelf, here.repo.id),
        ways=_ways(here, tree),
        can_publish=here.may_change and here.repo.private,
        asked=here.asked_for,
    )


def show(here: Here, template: str, tab: str, status: int = 200, /, **values: Any) -> Response:
    """A page about a repo, under its head and tabs."""
    return here.page.render(template, status, here=here, repo=here.repo, tab=tab, **values)


def linker(here: Here) -> Callable[[str], str | None]:
    """Where a link of Markdown leads that names a file or folder of the revision; None if it names neither."""
    tree = here.tree

    def link(target: str) -> str | None:
        path = _inside(target)
        if path in tree:
            return here.at("file", path=path)
        return here.at("files", at=path) if path and any(name.startswith(f"{path}/") for name in tree) else None

    return link


def _card(here: Here, readme: File) -> tuple[markdown.Rendered | None, str]:
    """The card as markup (None if it is not here), and what is wrong with its front matter."""
    raw_ = _little(here, readme, README_MAX)
    if raw_ is None:
        return None, ""
    text = cards.body(raw_).decode(errors="replace")
    try:
        wrong = "; ".join(cards.faults(cards.matter(raw_)))
    except MalformedError as e:
        wrong = str(e)
    return markdown.render(text, linker(here), _painter(here)), wrong


def _little(here: Here, file: File, most: int) -> bytes | None:
    """The first `most` bytes of a file, or None if they are not to be had now."""
    try:
        return here.shelf.peek(here.repo, file, 0, min(file.size, most))
    except NOT_NOW:
        return None


def _passport(here: Here) -> Passport | None:
    return Passports(here.shelf).passport(here.repo, here.revision, here.speaker) if here.revision else None


def _painter(here: Here) -> Callable[[str], str | None]:
    tree = here.tree

    def image(target: str) -> str | None:
        file = tree.get(_inside(target))
        if file is None or file.size > preview.IMAGE_MAX or not here.has(file):
            return None
        head = b"".join(here.shelf.read(here.repo, file, 0, min(file.size, preview.HEAD)))
        return here.at("raw", path=file.path) if (preview.media_of(head) or "").startswith("image/") else None

    return image


def _inside(target: str) -> str:
    """The path in a repo that a relative link means, or "" if it leads out of it."""
    path = normpath(join("/", unquote(target.partition("#")[0].partition("?")[0])))
    return path.strip("/")


def _ways(here: Here, tree: Tree) -> list[usage.Way]:
    """How the revision is used with each client."""
    if here.revision is None:
        return []
    card = here.revision.commit.card
    of = (here.page.address, here.name, here.repo.id.kind, here.revision.oid, tuple(sorted(tree)), card.library, card.task)
    return usage.ways(usage.Subject(*of))


def _lineage(here: Here) -> list[tuple[str, str, str | None]]:
    """What the card names as base model or dataset, and where that is, if it is here."""
    card = here.revision.commit.card if here.revision else None
    if card is None:
        return []
    named: list[tuple[str, str, Kind]] = [("base", name, "model") for name in card.base]
    named += [("dataset", name, "dataset") for name in card.datasets[:20]]
    return [(what, name, commons.known(here.page, here.shelf, name, kind)) for what, name, kind in named]
