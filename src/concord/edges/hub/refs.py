"""Branches, tags, and the commits behind them."""

from typing import Any

import msgspec
from starlette.responses import Response

from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import NoRevisionError, TakenError
from concord.edges.hub.paging import after, following, limit
from concord.edges.hub.shapes import when
from concord.errors import MalformedError, RefusedError
from concord.pillars.commons import Repo, Revision
from concord.pillars.commons.records import RefName
from concord.pillars.commons.repo import MAIN, oid

COMMITS_PAGE = 50
_PULLS = "refs/pr/"


class Start(msgspec.Struct, rename="camel"):
    """Where a branch is to begin."""

    starting_point: str | None = None
    empty_branch: bool | None = None
    overwrite: bool | None = None


class Tag(msgspec.Struct):
    """A tag to be made."""

    tag: str
    message: str | None = None


class Squash(msgspec.Struct):
    """What is said of a squash."""

    message: str | None = None


def refs(ask: Ask) -> Response:
    """All branches and tags; pull requests, if they are asked for."""
    repo = ask.repo(ask.asker())
    told: dict[str, Any] = {
        "branches": [_ref(name, f"refs/heads/{name}", leaf) for name, leaf in sorted(repo.branches.items())],
        "converts": [],
        "tags": [_ref(name, f"refs/tags/{name}", leaf) for name, (leaf, _) in sorted(repo.tags.items())],
    }
    if ask.flag("include_prs") or ask.flag("include_pull_requests"):
        pulls = [thread for thread in repo.threads.values() if thread.head]
        told["pullRequests"] = [_ref(str(each.number), each.ref, each.head or "") for each in pulls]
    return answer(told)


def create_branch(ask: Ask) -> Response:
    """Let a branch begin at a revision; without one, at the head of main."""
    speaker, repo = ask.own()
    name, start = _name(ask.words["branch"]), ask.json(Start)
    if name in repo.branches and not start.overwrite:
        raise TakenError(f"there is a branch {name} already", ask.base + ask.address(repo))
    target = ask.revision(repo, start.starting_point or MAIN)
    ask.hub.shelf.point(speaker, repo, "branch", name, target)
    return answer({"name": name, "ref": f"refs/heads/{name}", "targetCommit": target.oid})


def delete_branch(ask: Ask) -> Response:
    """Let a branch be none any more."""
    speaker, repo = ask.own()
    name = ask.words["branch"]
    if name not in repo.branches:
        raise NoRevisionError(f"{repo.id.name} has no branch {name[:200]!r}")
    if name == MAIN:
        raise RefusedError(f"{MAIN} stays: it is what a repo is known by")
    ask.hub.shelf.point(speaker, repo, "branch", name, None)
    return answer({})


def create_tag(ask: Ask) -> Response:
    """Give a revision a name that stays."""
    speaker, repo = ask.own()
    wanted = ask.json(Tag)
    if wanted.tag in repo.tags:
        raise TakenError(f"there is a tag {wanted.tag[:200]} already", ask.base + ask.address(repo))
    target = ask.revision(repo)
    ask.hub.shelf.point(speaker, repo, "tag", _name(wanted.tag), target, wanted.message or "")
    return answer({"name": wanted.tag, "targetCommit": target.oid})


def delete_tag(ask: Ask) -> Response:
    """Take it away."""
    speaker, repo = ask.own()
    name = ask.words["rev"]
    if name not in repo.tags:
        raise NoRevisionError(f"{repo.id.name} has no tag {name[:200]!r}")
    ask.hub.shelf.point(speaker, repo, "tag", name, None)
    return answer({})


def history(ask: Ask) -> Response:
    """The commits up to a revision, the newest first."""
    repo = ask.repo(ask.asker())
    last = after(ask)
    found = repo.history(ask.revision(repo)) if last is None else repo.history(ask.revision(repo, str(last[0])))[1:]
    part = found[: limit(ask, COMMITS_PAGE)]
    headers = following(ask, (part[-1].oid,)) if len(part) < len(found) else {}
    return answer([_commit(ask, each) for each in part], headers=headers)


def squash(ask: Ask) -> Response:
    """Let a branch begin anew with what it has."""
    speaker, repo = ask.own()
    branch = ask.words["rev"]
    if branch not in repo.branches:
        raise NoRevisionError(f"{repo.id.name} has no branch {branch[:200]!r}")
    revision = ask.hub.shelf.squash(speaker, repo, branch, ask.json(Squash).message or f"Super-squash branch '{branch}'")
    return answer({"commitId": revision.oid})


def pull_number(ref: str) -> int | None:
    """The number of the pull request whose ref this is."""
    number = ref.removeprefix(_PULLS)
    return int(number) if ref.startswith(_PULLS) and number.isascii() and number.isdigit() and len(number) <= 16 else None


def target(ask: Ask, repo: Repo) -> str:
    """The ref that a commit is to go to. NoRevisionError if it is neither a branch nor a pull request."""
    name = ask.words["rev"].removeprefix("refs/heads/")
    number = pull_number(name)
    known = number in repo.threads if number is not None else name in repo.branches or (not repo.branches and name == MAIN)
    if not known:
        raise NoRevisionError(f"{repo.id.name} has no branch {name[:200]!r}")
    return name


def _ref(name: str, ref: str, leaf: str) -> dict[str, str]:
    return {"name": name, "ref": ref, "targetCommit": oid(leaf)}


def _commit(ask: Ask, revision: Revision) -> dict[str, Any]:
    commit = revision.commit
    author = ask.hub.person(commit.by, commit.person)
    told: dict[str, Any] = {
        "id": revision.oid,
        "title": commit.title,
        "message": commit.message,
        "authors": [{"user": author, "avatar": ""}],
        "date": when(commit.at),
        "parents": [oid(commit.parent)] if commit.parent else [],
    }
    if "formatted" in ask.several("expand"):
        told["formatted"] = {"title": commit.title, "message": commit.message}
    return told


def _name(name: str) -> str:
    try:
        found: str = msgspec.convert(name, RefName)
    except msgspec.ValidationError as e:
        raise MalformedError(f"{name[:100]!r} is no name of a branch or tag") from e
    if found.startswith("refs/"):
        raise MalformedError(f"{name[:100]!r} would look like a ref of another kind")
    return found
