"""The discussions and pull requests of a repo: all of them, and one with its answers and with what it would change."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from concord.edges.web import markdown
from concord.edges.web.page import Page
from concord.edges.web.repo_history import compare
from concord.edges.web.repos import Here, find, linker, show
from concord.errors import MalformedError, MissingError
from concord.pillars.commons import Changes, Comment, Revision, Said, Settle, Thread
from concord.shelf import Shelf, pull_requests
from concord.tlog.spelling import decimal

PER_PAGE = 30  # discussions, commits of a pull request, answers
NEWEST = 5  # answers that fit on a page, however long they are
ANSWER_MAX = 8_000  # characters of markup of one answer
ANSWERS_MAX = 40_000  # of all that one page shows
WAITING = ("open", "draft")  # in these a discussion still waits for something
NOTHING: Mapping[str, str] = MappingProxyType({})


def threads_page(page: Page, shelf: Shelf, wrong: str = "", sent: Mapping[str, str] = NOTHING) -> Response:
    """The discussions and pull requests, the newest first; `wrong`: why none was begun with what was `sent`."""
    here = find(page, shelf)
    threads = sorted(here.repo.threads.values(), key=lambda thread: (-thread.begun.at, thread.number))
    shown, more = page.part(threads, PER_PAGE)
    next_ = here.at("discussions", start=str(more)) if more else ""
    status = 400 if wrong else 200
    waiting = sum(thread.status in WAITING for thread in threads)
    counts = {"waiting": waiting, "settled": len(threads) - waiting}
    return show(here, "repo-discussions.html", "discussions", status, threads=shown, more=next_, wrong=wrong, sent=sent, **counts)


def thread_page(page: Page, shelf: Shelf, wrong: str = "", status: int = 200, kept: str = "") -> Response:
    """A discussion with its answers, or a pull request with its commits and all that they change.

    `wrong` says what was not done, and `kept` are the words that were written to it.
    """
    here = find(page, shelf)
    thread = thread_of(here)
    start = decimal(page.request.query_params.get("start", "0"))
    said = _said(here, thread, start)
    settles = here.may_take_part and here.speaker is not None and here.speaker.origin in (here.repo.id.owner, thread.begun.by)
    return show(
        here,
        "repo-discussion.html",
        "discussions",
        status,
        thread=thread,
        text=_words(here, thread.begun.text, "begun", ANSWERS_MAX),
        wrong=wrong,
        kept=kept,
        **_merging(here, thread),
        commits=_proposed(here, thread),
        said=said,
        is_settle={answer.leaf: isinstance(answer.record, Settle) for answer, _ in said},
        around=_around(here, thread, start, len(said)),
        may_settle=settles,
    )


def thread_of(here: Here) -> Thread:
    """The discussion that the address names."""
    try:
        number = decimal(here.page.request.path_params["number"])
    except MalformedError as e:
        raise MissingError("there is no such discussion") from e
    return here.repo.thread(number)


def _said(here: Here, thread: Thread, start: int) -> list[tuple[Said, markdown.Rendered | None]]:
    """The answers from the one numbered `start` on, with their words as markup, as many as one page shows."""
    said: list[tuple[Said, markdown.Rendered | None]] = []
    room = ANSWERS_MAX
    for number, answer in enumerate(thread.answers[start : start + PER_PAGE], start):
        if room < ANSWER_MAX:
            break
        words = _words(here, answer.record.text, f"said-{number}", room) if isinstance(answer.record, Comment | Settle) else None
        said.append((answer, words))
        room -= len(words.markup) if words else 0
    return said


def _around(here: Here, thread: Thread, start: int, shown: int) -> dict[str, str]:
    """Where the answers are that come before those shown, after them, and last; "" if there are none."""
    last, address = len(thread.answers), f"discussions/{thread.number}"
    after = start + shown < last
    return {
        "before": here.plain(address, start=str(max(min(start, last) - PER_PAGE, 0))) if start else "",
        "after": here.plain(address, start=str(start + shown)) if after else "",
        "newest": _last(here, thread) if after and start + shown < last - NEWEST else "",
    }


def newest(here: Here, thread: Thread) -> str:
    """Where the last answers of a discussion are: on its one page, if all fit there."""
    fit = len(_said(here, thread, 0)) == len(thread.answers)
    return here.plain(f"discussions/{thread.number}") if fit else _last(here, thread)


def _last(here: Here, thread: Thread) -> str:
    return here.plain(f"discussions/{thread.number}", start=str(len(thread.answers) - NEWEST))


def _words(here: Here, text: str, prefix: str, room: int) -> markdown.Rendered:
    return markdown.render(text, linker(here), top=3, prefix=prefix, room=min(room, ANSWER_MAX))


def _merging(here: Here, thread: Thread) -> dict[str, Any]:
    """What a pull request changes against where it began, and, until it is settled, what stands in the way of merging it.

    Both follow from the records, so that what was merged or closed stays readable.
    """
    if thread.head is None:
        return {"compared": None, "clash": []}
    waits = thread.status in WAITING
    try:
        put, removed = pull_requests.proposed(here.shelf, here.repo, thread)
        before = pull_requests.began(here.shelf, here.repo, thread)
        onto = pull_requests.conflicts(here.shelf, here.repo, thread) if waits else []
    except MissingError:  # a commit before it lists its files in a blob which is not here
        return {"compared": None, "clash": []}
    return {"compared": compare(here, before, put, removed), "clash": onto}


def _proposed(here: Here, thread: Thread) -> list[tuple[Revision, Changes | None]]:
    """The commits of a pull request, the newest first."""
    if thread.head is None:
        return []
    history = here.repo.history(here.repo.revisions[thread.head])
    return [(each, here.changes(each)) for each in history if each.commit.ref == thread.ref][:PER_PAGE]
