"""The commons: searching it, opening a repo, and how to bring something into it."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from heapq import nsmallest
from typing import Any, NamedTuple
from urllib.parse import urlencode

from msgspec.structs import replace
from starlette.responses import Response

from concord.edges.web.forms import Sent
from concord.edges.web.page import Page
from concord.errors import ConcordError, MalformedError
from concord.ledger.pillar import Role
from concord.measuring import Measures
from concord.pillars.commons.measure import LARGEST, MEMORIES, PARAMETERS, SIZES, Measure
from concord.pillars.commons.records import PLURALS, Kind, RepoId
from concord.pillars.commons.search import FACETS, LADDERS, SORTS, Entry, Question
from concord.shelf import Shelf

PER_PAGE = 25
CHOICES_MAX = 12  # values of a facet that are offered; of more, those that are most frequent
OPENNESS_WORDS = {"1": "class I", "2": "class II", "3": "class III", "none": "no class yet"}
MEMBER_MAX = 8  # repos that a member's page names
HOME_MAX = 5  # repos that the first page names


class Choice(NamedTuple):
    """A value of a facet: its words, how many fit, the query that chooses it, and, if the values have an order, how many in a
    hundred that is."""

    words: str
    fits: int
    query: str
    bar: int | None


def search_page(page: Page, _shelf: Shelf, measures: Measures) -> Response:
    """The repos that fit, with what each further choice would leave."""
    params = page.request.query_params
    asked = {name: params.get(name, "") for name in ("q", *FACETS, "sort")}
    question = Question(asked["q"], {name: _meant(page, name, asked[name]) for name in FACETS}, asked["sort"])
    catalogue, unmeasured = measures.catalogue(page.speaker)
    found, (measured, _) = catalogue.search(question), measures.of([])
    shown, more = page.part(found.entries, PER_PAGE)
    chosen = {name: value for name, value in asked.items() if value}
    return page.render(
        "commons.html",
        rows=[row(page, entry, measured.get(entry.leaf)) for entry in shown],
        count=len(found.entries),
        total=catalogue.all.bit_count(),
        unmeasured=unmeasured,
        chosen_words={name: _words(page, name, question.facets[name]) for name in FACETS if asked[name]},
        more=urlencode(chosen | {"start": more}) if more else "",
        asked=asked,
        chosen=[name for name in FACETS if asked[name]],
        facets={name: _choices(page, name, found.counts[name], chosen, len(found.entries)) for name in FACETS},
        sorts=SORTS,
        without={name: urlencode({other: value for other, value in chosen.items() if other != name}) for name in ("q", *FACETS)},
        may_open=may_open(page),
    )


def ask_new(page: Page, _: Shelf) -> Response:
    """The form that opens a repo."""
    page.require()
    return page.render("repo-new.html", wrong="", sent={}, may_open=may_open(page))


def open_new(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Open a repo."""
    speaker, fields = page.require(), sent.fields
    kind = next((each for each in PLURALS if each == fields.get("kind")), None)
    try:
        if kind is None:
            raise MalformedError("choose a model, a dataset or code")
        repo = shelf.begin(speaker, kind, fields.get("name", "").strip(), private="private" in fields)
    except ConcordError as e:
        return page.render("repo-new.html", 400, wrong=str(e), sent=fields, may_open=may_open(page))
    return page.redirect(address(page, repo.id))


def help_page(page: Page, _: Shelf) -> Response:
    """How to bring something in."""
    return page.render(
        "commons-help.html", may_open=may_open(page), member=page.log_name(page.speaker.origin) if page.speaker else ""
    )


def of_member(page: Page, shelf: Shelf, origin: str) -> dict[str, Any]:
    """The repos of a member: the newest as rows, and how many of each kind there are."""
    mine = [entry for entry in shelf.catalogue(page.speaker) if entry.id.owner == origin]
    counts = Counter(str(entry.id.kind) for entry in mine)
    kinds = [(kind, plural, counts[kind]) for kind, plural in PLURALS.items() if counts[kind]]
    return {"rows": _newest(page, mine, MEMBER_MAX), "counts": kinds}


def newest(page: Page, shelf: Shelf) -> dict[str, Any]:
    """The newest repos as rows, and how many models and datasets there are."""
    everything = shelf.catalogue(page.speaker)
    counts = Counter(str(entry.id.kind) for entry in everything)
    return {"rows": _newest(page, everything, HOME_MAX), "models": counts["model"], "datasets": counts["dataset"]}


def _newest(page: Page, entries: list[Entry], most: int) -> list[dict[str, Any]]:
    return [
        row(page, entry) for entry in nsmallest(most, entries, key=lambda entry: (-entry.changed, entry.id.name, entry.id.owner))
    ]


def row(page: Page, entry: Entry, measure: Measure | None = None) -> dict[str, Any]:
    """A repo in a list, with its measure if it is known."""
    return {"entry": entry, "id": entry.id, "card": entry.card, "address": address(page, entry.id), "measure": measure}


def address(page: Page, repo: RepoId, part: str = "", **query: str) -> str:
    """Where a page about a repo is."""
    found = f"/commons/{PLURALS[repo.kind]}/{page.log_name(repo.owner)}/{repo.name}{'/' if part else ''}{part}"
    return f"{found}?{urlencode(query)}" if query else found


def known(page: Page, shelf: Shelf, name: str, kind: Kind = "model") -> str | None:
    """Where the repo is that a card calls `member/name`, if it is one that this reader may see."""
    namespace, slash, rest = name.partition("/")
    if not slash:
        return None
    try:
        repo = shelf.repo_id(kind, page.origin_of(namespace) if namespace else "", rest)
        return address(page, shelf.find(replace(repo, kind=kind), page.speaker).id)
    except ConcordError:
        return None


def may_open(page: Page) -> bool:
    """Whether the reader may open repos, and the log that would say so is signed here."""
    speaker = page.speaker
    return speaker is not None and speaker.may(Role.PUBLISHER) and speaker.origin in page.hosted


def _meant(page: Page, name: str, value: str) -> str:
    """The value of a facet out of an address."""
    return page.origin_of(value) if name == "member" and value else value


def _choices(page: Page, name: str, counts: list[tuple[str, int]], chosen: dict[str, str], of: int) -> list[Choice]:
    """What may be chosen in a facet, `of` so many repos."""
    found: list[Choice] = []
    for value, count in counts[:CHOICES_MAX]:
        short = page.log_name(value) if name == "member" else value
        bar = min(round(100 * count / max(of, 1)), 100) if name in LADDERS else None
        found.append(Choice(_words(page, name, value), count, urlencode({**chosen, name: short}), bar))
    return found


def _words(page: Page, name: str, value: str) -> str:
    """A value of a facet as a reader sees it."""
    tellers: dict[str, Callable[[str], str]] = {
        "member": page.who,
        "country": page.country,
        "kind": page.kind,
        "language": page.tongue,
        "openness": lambda value: page.word("openness", OPENNESS_WORDS.get(value, value)),
        "memory": partial(_ladder, page, MEMORIES, "%s"),
        "parameters": partial(_parameters, page),
        "size": partial(_ladder, page, SIZES, "up to %s"),
    }
    return tellers[name](value) if name in tellers else value


def _ladder(page: Page, ends: Mapping[str, int], words: str, value: str) -> str:
    """A class of sizes or memories in words, or what was asked for if it is none."""
    if value == LARGEST:
        return page.text("more than %s") % page.size(max(ends.values()))
    return page.text(words) % page.size(ends[value]) if value in ends else value


def _parameters(page: Page, value: str) -> str:
    """A class of how many parameters there are."""
    if value == LARGEST:
        return page.text("more than %s") % list(PARAMETERS)[-1]
    return page.text("up to %s") % value if value in PARAMETERS else value
