"""The first page of a repo: its card as its publisher wrote it, how it is used, and what it is at a glance."""

from collections.abc import Callable

from starlette.responses import Response

from concord.edges.web import commons, communities, markdown, openness_chart, preview, repo_glance, usage
from concord.edges.web.page import Page
from concord.edges.web.repos import NOT_NOW, README, Here, find, linker, path_in, show
from concord.errors import MalformedError
from concord.passports import Passports
from concord.pillars.commons import File, Tree
from concord.pillars.commons import card as cards
from concord.pillars.commons.passport import Passport
from concord.pillars.commons.records import Kind
from concord.shelf import Shelf

README_MAX = 400_000  # bytes


def card_page(page: Page, shelf: Shelf) -> Response:
    """The card, how to use it, what it is at a glance, its files with what is new in them, and what was said of it."""
    here = find(page, shelf)
    tree = here.tree
    readme = tree.get(README)
    passport, since = _passport(here), repo_glance.since(here, tree)
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
        since=since,
        rows=(since.found if since else repo_glance.compare(tree, {})).rows,
        said=repo_glance.said(here),
        memory=repo_glance.memory(here, tree),
        copied=repo_glance.copied(here, tree),
        lineage=_lineage(here),
        passport=passport,
        chart=openness_chart.rows(passport.openness, page.component) if passport else [],
        communities=[] if here.repo.private else communities.of_repo(page, shelf, here.repo.id),
        ways=_ways(here, tree),
        can_publish=here.may_change and here.repo.private,
        asked=here.asked_for,
    )


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
        file = tree.get(path_in(target))
        if file is None or file.size > preview.IMAGE_MAX or not here.has(file):
            return None
        media = preview.media_of(_little(here, file, preview.HEAD) or b"")
        return here.at("raw", path=file.path) if (media or "").startswith("image/") else None

    return image


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
