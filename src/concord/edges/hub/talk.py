"""Discussions and pull requests, as clients list, read and answer them."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import OutdatedError
from concord.edges.hub.shapes import when
from concord.errors import MalformedError, MissingError, StaleError
from concord.pillars.commons import Comment, Repo, Settle, Thread
from concord.pillars.commons.repo import oid
from concord.shelf import pull_requests
from concord.tlog.spelling import decimal

PAGE = 50
EVENTS_MAX = 1_000  # of a discussion, in one answer, besides its first words
WORDS_MAX = 1_000_000  # characters of these


class Begun(msgspec.Struct, rename="camel"):
    """A discussion to begin."""

    title: str
    description: str | None = None
    pull_request: bool = False


class Answered(msgspec.Struct):
    """What is answered."""

    comment: str | None = None


class Settled(msgspec.Struct):
    """How a discussion is to stand."""

    status: Literal["open", "closed"]
    comment: str | None = None


class Titled(msgspec.Struct):
    """How a discussion is to be called."""

    title: str


def listing(ask: Ask) -> Response:
    """The discussions of a repo, the newest first, in pages that are counted from 0."""
    repo = ask.repo(ask.asker())
    found = [thread for thread in repo.threads.values() if _wanted(ask, thread)]
    found.sort(key=lambda thread: (thread.begun.at, thread.leaf), reverse=True)
    start = decimal(ask.query("p") or "0") * PAGE
    told = [_brief(ask, repo, thread) for thread in found[start : start + PAGE]]
    return answer({"discussions": told, "count": len(found), "start": start, "numClosedDiscussions": _closed(found)})


def begin(ask: Ask) -> Response:
    """Begin a discussion or a pull request."""
    speaker, wanted = ask.publisher(), ask.json(Begun)
    repo = ask.repo(speaker)
    title = " ".join(wanted.title.split())
    thread = ask.hub.shelf.discuss(speaker, repo, title, wanted.description or "", pull=wanted.pull_request)
    return answer({"num": thread.number, "url": f"{ask.base}{ask.address(repo)}/discussions/{thread.number}"}, 201)


def details(ask: Ask) -> Response:
    """A discussion with what was said in it: its first words and what was said last, and what was said before that page by page."""
    repo = ask.repo(ask.asker())
    thread, page = _thread(ask, repo), decimal(ask.query("p") or "0")
    (_, first), *rest = _events(ask, repo, thread)
    pages = list(_pages([event for _, event in sorted(rest, key=_at)]))
    events = [first, *pages[0]] if page == 0 else pages[page] if page < len(pages) else []
    told = _brief(ask, repo, thread) | {"events": events, "numUnheard": thread.unheard}
    if thread.begun.pull:
        conflicts = pull_requests.conflicts(ask.hub.shelf, repo, thread) if thread.status in ("open", "draft") else []
        changes: dict[str, Any] = {"base": f"refs/heads/{thread.begun.onto}"}
        changes |= {"mergeCommitId": oid(thread.merged)} if thread.merged else {}
        told |= {"filesWithConflicts": conflicts, "changes": changes, "diff": _diff(ask, repo, thread)}
    older = f'<{ask.base}{ask.request.scope["raw_path"].decode("latin-1")}?p={page + 1}>; rel="next"'
    return answer(told, headers={"Link": older} if page + 1 < len(pages) else {})


def comment(ask: Ask) -> Response:
    """Answer."""
    speaker, repo, thread = _own(ask)
    leaf = ask.hub.shelf.answer(speaker, repo, thread, _words(ask.json(Answered).comment))
    return answer({"newMessage": _said(ask, repo, leaf)}, 201)


def status(ask: Ask) -> Response:
    """Close a discussion, or open it again."""
    speaker, repo, thread = _own(ask)
    wanted = ask.json(Settled)
    if thread.status == "merged":
        raise MalformedError(f"pull request {thread.number} is merged, and stays so")
    if thread.status == wanted.status:
        raise MalformedError(f"it is {wanted.status} already")
    leaf = ask.hub.shelf.settle(speaker, repo, thread, wanted.status, text=wanted.comment or "")
    return answer({"newStatus": _said(ask, repo, leaf)})


def title(ask: Ask) -> Response:
    """Give a discussion another title."""
    speaker, repo, thread = _own(ask)
    called = " ".join(ask.json(Titled).title.split())
    if not called:
        raise MalformedError("a title has words")
    leaf = ask.hub.shelf.settle(speaker, repo, thread, thread.status, title=called)
    return answer({"newTitle": _said(ask, repo, leaf)})


def merge(ask: Ask) -> Response:
    """Bring a pull request into its branch."""
    speaker, repo, thread = _own(ask)
    said = ask.json(Answered).comment
    if not thread.begun.pull or thread.head is None:
        raise MalformedError(f"discussion {thread.number} has nothing to merge")
    try:
        revision = pull_requests.merge(ask.hub.shelf, speaker, repo, thread, f"{thread.title} (#{thread.number})"[:300])
    except StaleError as e:
        raise OutdatedError(str(e), 0) from e
    if said:
        ask.hub.shelf.answer(speaker, ask.repo(speaker), thread, _words(said))
    return answer({"mergeCommitId": revision.oid})


def _own(ask: Ask) -> tuple[Any, Repo, Thread]:
    speaker = ask.publisher()
    repo = ask.repo(speaker)
    return speaker, repo, _thread(ask, repo)


def _thread(ask: Ask, repo: Repo) -> Thread:
    number = ask.words["number"]
    if not number.isascii() or not number.isdigit():
        raise MissingError(f"{ask.hub.name(repo.id)} has no discussion {number[:50]}")
    return repo.thread(decimal(number))


def _words(said: str | None) -> str:
    if not said or not said.strip():
        raise MalformedError("an answer has words")
    return said


def _wanted(ask: Ask, thread: Thread) -> bool:
    kind, status, author = ask.query("type"), ask.query("status"), ask.query("author")
    if kind in ("discussion", "pull_request") and thread.begun.pull != (kind == "pull_request"):
        return False
    if status in ("open", "closed") and (thread.status in ("open", "draft")) != (status == "open"):
        return False
    name = ask.hub.person(thread.begun.by, thread.begun.person)
    return author is None or author in (name, name.partition("@")[2])


def _closed(found: list[Thread]) -> int:
    return sum(thread.status in ("closed", "merged") for thread in found)


def _brief(ask: Ask, repo: Repo, thread: Thread) -> dict[str, Any]:
    return {
        "num": thread.number,
        "title": thread.title,
        "author": _author(ask, thread.begun.by, thread.begun.person),
        "createdAt": when(thread.begun.at),
        "status": thread.status,
        "repo": {"name": ask.hub.name(repo.id), "type": repo.id.kind},
        "isPullRequest": thread.begun.pull,
        "numComments": sum(isinstance(each.record, Comment) for each in thread.answers),
        "pinned": False,
    }


def _events(ask: Ask, repo: Repo, thread: Thread) -> Iterator[tuple[int, dict[str, Any]]]:
    begun = thread.begun
    yield begun.at, _comment(ask, thread.leaf, begun.by, begun.person, begun.at, begun.text)
    called = begun.title
    for each in thread.answers:
        match each.record:
            case Comment() as said:
                yield said.at, _comment(ask, each.leaf, said.by, said.person, said.at, said.text)
            case Settle() as said:
                base = _event(ask, each.leaf, said.by, said.person, said.at)
                if said.text:
                    yield said.at, _comment(ask, each.leaf[::-1], said.by, said.person, said.at, said.text)
                if said.title and said.title != called:
                    yield said.at, base | {"type": "title-change", "data": {"from": called, "to": said.title}}
                    called = said.title
                else:
                    yield said.at, base | {"type": "status-change", "data": {"status": said.status}}
    for revision in reversed(repo.history(repo.revisions[thread.head]) if thread.head else []):
        said_ = revision.commit
        if said_.ref == thread.ref:
            base = _event(ask, revision.leaf, said_.by, said_.person, said_.at)
            yield said_.at, base | {"type": "commit", "data": {"subject": said_.title, "oid": revision.oid}}
    if thread.merged:
        commit = repo.revisions[thread.merged].commit
        base = _event(ask, thread.merged, commit.by, commit.person, commit.at)
        yield commit.at, base | {"type": "status-change", "data": {"status": "merged"}}


def _pages(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """What fits into an answer each, the newest first, and each in the order in which it was said; an empty one, if nothing was."""
    page: list[dict[str, Any]] = []
    words = 0
    for event in reversed(events):
        size = len(event["data"]["latest"]["raw"]) if event["type"] == "comment" else 0
        if page and (len(page) >= EVENTS_MAX or words + size > WORDS_MAX):
            yield page[::-1]
            page, words = [], 0
        page.append(event)
        words += size
    yield page[::-1]


def _at(dated: tuple[int, dict[str, Any]]) -> int:
    return dated[0]


def _event(ask: Ask, leaf: str, by: str, person: str, at: int) -> dict[str, Any]:
    return {"id": leaf[:24], "author": _author(ask, by, person), "createdAt": when(at)}


def _comment(ask: Ask, leaf: str, by: str, person: str, at: int, text: str) -> dict[str, Any]:
    latest = {"raw": text, "html": "", "updatedAt": when(at)}
    data = {"edited": False, "hidden": False, "numEdits": 0, "latest": latest}
    return _event(ask, leaf, by, person, at) | {"type": "comment", "data": data}


def _author(ask: Ask, by: str, person: str) -> dict[str, Any]:
    name = ask.hub.person(by, person)
    return {"name": name, "fullname": name, "type": "user", "avatarUrl": "", "isPro": False, "isHf": False}


def _said(ask: Ask, repo: Repo, leaf: str) -> dict[str, Any]:
    """What was just said in the discussion of the path."""
    repo = ask.hub.shelf.find(repo.id, ask.asker())
    thread = _thread(ask, repo)
    return next(event for _, event in _events(ask, repo, thread) if event["id"] == leaf[:24])


def _diff(ask: Ask, repo: Repo, thread: Thread) -> str:
    """Which files a pull request changes, in the form of git's summary. The content of a change is in its commits."""
    if thread.head is None:
        return ""
    put, removed = pull_requests.proposed(ask.hub.shelf, repo, thread)
    return "".join([*(f"M\t{file.path}\n" for file in put), *(f"D\t{path}\n" for path in removed)])
