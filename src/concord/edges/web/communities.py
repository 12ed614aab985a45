"""Communities: repos of several members, gathered under one name and purpose by one of them.

What stands is the last statement that the gathering member made under the name, whole. So the form that changes a community
holds all of it, and sends all of it.

>>> named("ke/words\\ndatasets/ke/corpus\\n\\n https://node.example/commons/models/br/small/files \\n")
[('model', 'ke', 'words'), ('dataset', 'ke', 'corpus'), ('model', 'br', 'small')]
>>> named("words")
Traceback (most recent call last):
concord.tlog.errors.MalformedError: 'words' is no repo: say member/name, with datasets/ or spaces/ before it if it is one
"""

from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from concord.edges.web import commons, markdown
from concord.edges.web.forms import Sent
from concord.edges.web.page import Page
from concord.errors import ConcordError, MalformedError, MissingError, RefusedError
from concord.pillars.commons import RepoId
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.records import KINDS, PREFIXES, Kind
from concord.pillars.commons.view import Gathering
from concord.private.people import Speaker
from concord.reading import find_record, well_cosigned
from concord.shelf import Shelf, communities

PER_PAGE = 30
REPOS_SHOWN = 50  # on one page of a community
REPOS_MAX = 200  # what the record takes
ABOUT_MAX = 20_000  # characters, likewise
ABOUT_SHOWN = 200  # characters that a list shows
MINE_MAX = 12  # communities that a member's page, or a repo's, names


def listing(page: Page, shelf: Shelf) -> Response:
    """All communities, or those of one member."""
    member = page.request.query_params.get("member", "")
    by = page.origin_of(member) if member else None
    with shelf.node.reading() as db:
        found = commons_view.communities(db, by)
    shown, more = page.part(found, PER_PAGE)
    query = f"?member={member}&start={more}" if member else f"?start={more}"
    return page.render(
        "communities.html",
        rows=[row(page, each) for each in shown],
        count=len(found),
        by=by,
        more=query if more else "",
        may_gather=commons.may_open(page),
    )


def one(page: Page, shelf: Shelf) -> Response:
    """One community: what it is for, and its repos as far as the reader may see them."""
    found = _named(page, shelf)
    repos = communities.repos_of(shelf, found, page.speaker)
    shown, more = page.part(repos, REPOS_SHOWN)
    here = [entry for _, entry in repos if entry is not None]
    record = find_record(page.node, found.by, found.place)
    return page.render(
        "community.html",
        found=found,
        about=markdown.render(found.about),
        rows=[(_spelled(page, repo), commons.row(page, entry) if entry else None) for repo, entry in shown],
        absent=len(repos) - len(here),
        members=sorted({page.who(entry.id.owner): page.log_name(entry.id.owner) for entry in here}.items()),
        address=address(page, found.by, found.name),
        good=well_cosigned(page.node, record),
        more=f"?start={more}" if more else "",
        may_change=_may_change(page, found.by),
    )


def ask_new(page: Page, _: Shelf) -> Response:
    """The form that gathers a community."""
    page.require()
    repo = page.request.query_params.get("repo", "")[:300]
    return _form(page, {"repos": repo})


def ask_change(page: Page, shelf: Shelf) -> Response:
    """The form that says all of it anew."""
    page.require()
    found = _named(page, shelf)
    with shelf.node.reading() as db:
        named_ = commons_view.repos_in(db, found)
    repos = "\n".join(_spelled(page, repo) for repo in named_)
    return _form(page, {"name": found.name, "title": found.title, "about": found.about, "repos": repos}, found)


def gather(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Gather a community that there is not yet."""
    speaker = _speaker(page)
    name = sent.fields.get("name", "").strip()
    with shelf.node.reading() as db:
        taken = bool(commons_view.communities(db, speaker.origin, name))
    if taken:
        return _form(page, sent.fields, wrong="your member gathers a community of this name already; change that one")
    return _said(page, shelf, speaker, name, sent)


def change(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Say anew what a community is; what was said before counts no more."""
    speaker = _speaker(page)
    found = _named(page, shelf)
    if not _may_change(page, found.by):
        raise RefusedError("a community is changed by publishers of the member that gathers it")
    return _said(page, shelf, speaker, found.name, sent, found)


def of_member(page: Page, shelf: Shelf, origin: str) -> list[dict[str, Any]]:
    """The communities that a member gathers, as rows."""
    with shelf.node.reading() as db:
        return [row(page, each) for each in commons_view.communities(db, origin)]


def of_repo(page: Page, shelf: Shelf, repo: RepoId) -> list[tuple[str, str, str]]:
    """The communities that name a repo: address, title, and which member gathers it."""
    with shelf.node.reading() as db:
        found = commons_view.gatherers(db, repo, shelf.names(repo))
    return [(address(page, by, name), title, page.who(by)) for by, name, title in found[:MINE_MAX]]


def row(page: Page, found: Gathering) -> dict[str, Any]:
    """A community in a list."""
    return {"found": found, "address": address(page, found.by, found.name), "about": " ".join(found.about.split())[:ABOUT_SHOWN]}


def address(page: Page, by: str, name: str) -> str:
    """Where the page of a community is."""
    return f"/commons/communities/{page.log_name(by)}/{name}"


def named(text: str) -> list[tuple[Kind, str, str]]:
    """The repos that a form names, one a line: kind, member and name. MalformedError for a line that names none."""
    return [_one(line.strip()) for line in text.splitlines() if line.strip()]


def _one(line: str) -> tuple[Kind, str, str]:
    parts = urlsplit(line).path.strip("/").removeprefix("commons/").split("/")
    kind = KINDS.get(parts[0])
    parts = parts[1:] if kind else parts
    if len(parts) < 2 or not all(parts[:2]):
        raise MalformedError(f"{line[:100]!r} is no repo: say member/name, with datasets/ or spaces/ before it if it is one")
    return kind or "model", parts[0], parts[1]


def _spelled(page: Page, repo: RepoId) -> str:
    """A repo as the form has it."""
    return f"{PREFIXES[repo.kind]}{page.log_name(repo.owner)}/{repo.name}"


def _named(page: Page, shelf: Shelf) -> Gathering:
    params = page.request.path_params
    return communities.find(shelf.node, page.origin_of(params["member"]), params["community"])


def _speaker(page: Page) -> Speaker:
    speaker = page.require()
    if not commons.may_open(page):
        raise RefusedError("this is for publishers of a member whose log this node signs")
    return speaker


def _may_change(page: Page, by: str) -> bool:
    return commons.may_open(page) and page.speaker is not None and page.speaker.origin == by


def _said(page: Page, shelf: Shelf, speaker: Speaker, name: str, sent: Sent, found: Gathering | None = None) -> Response:
    fields = sent.fields
    try:
        repos = [_repo(page, *each) for each in named(fields.get("repos", ""))]
        if len(repos) > REPOS_MAX:
            raise MalformedError(f"a community has at most {REPOS_MAX} repos")
        about = fields.get("about", "").replace("\r\n", "\n").strip()
        made = communities.gather(shelf, speaker, name, " ".join(fields.get("title", "").split()), about, repos)
    except ConcordError as e:
        return _form(page, fields, found, str(e))
    return page.redirect(address(page, made.by, made.name))


def _repo(page: Page, kind: Kind, member: str, name: str) -> RepoId:
    try:
        return RepoId(owner=page.origin_of(member), kind=kind, name=name)
    except MissingError as e:
        raise MissingError(f"{member[:60]}/{name[:96]}: {e}") from e


def _form(page: Page, fields: dict[str, str], found: Gathering | None = None, wrong: str = "") -> Response:
    return page.render(
        "community-form.html",
        400 if wrong else 200,
        wrong=wrong,
        sent=fields,
        found=found,
        address=address(page, found.by, found.name) if found else "",
        may_gather=_may_change(page, found.by) if found else commons.may_open(page),
        about_max=ABOUT_MAX,
        repos_max=REPOS_MAX,
    )
