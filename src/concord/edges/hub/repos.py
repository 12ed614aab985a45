"""Repos themselves: made, renamed, set, taken away, told of, liked, and given to those who ask."""

from typing import Literal

import msgspec
from starlette.responses import Response

from concord.edges.hub import properties
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import AbsentError, TakenError
from concord.edges.hub.properties import Files
from concord.edges.hub.shapes import brief, ordered, sibling, when
from concord.errors import MalformedError, MissingError, RefusedError
from concord.pillars.commons import Repo, RepoId
from concord.pillars.commons.measure import Measure, formats
from concord.pillars.commons.records import KINDS, Gate, Kind
from concord.pillars.commons.search import Entry, Line
from concord.private import gates, people
from concord.private.people import Speaker
from concord.reading import resolve


class Wanted(msgspec.Struct):
    """A repo to make or to take away, as clients write it."""

    name: str
    organization: str | None = None
    type: str | None = "model"
    private: bool | None = None
    visibility: str | None = None


class Moved(msgspec.Struct, rename="camel"):
    """A repo to rename."""

    from_repo: str
    to_repo: str
    type: str | None = "model"


class Set(msgspec.Struct):
    """What is to be set of a repo; what is absent stays."""

    private: bool | None = None
    visibility: str | None = None
    gated: Literal["auto", "manual", False] | msgspec.UnsetType | None = msgspec.UNSET


class Answered(msgspec.Struct, rename="camel"):
    """What the owner says to a request for access."""

    user: str = ""
    user_id: str = ""
    request_id: str = ""
    status: Literal["accepted", "rejected", "pending"] = "accepted"
    rejection_reason: str | None = None


def create(ask: Ask) -> Response:
    """Open a repo, which has a first revision."""
    speaker, wanted = ask.publisher(), ask.json(Wanted)
    target = _target(ask, speaker, wanted)
    if target.owner != speaker.origin:
        raise RefusedError(f"you open repos of {ask.hub.namespace(speaker.origin)}, and not of {wanted.name.rpartition('/')[0]}")
    private = private_or_public(wanted.private, wanted.visibility)
    try:
        repo = ask.hub.shelf.begin(speaker, target.kind, target.name, private=bool(private))
    except RefusedError as e:
        there = ask.named(target.kind, f"{ask.hub.namespace(target.owner)}/{target.name}", speaker)
        raise TakenError(f"{e}", ask.base + ask.address(there)) from e
    return answer({"url": ask.base + ask.address(repo), "name": ask.hub.name(repo.id), "id": repo.root[:24]})


def delete(ask: Ask) -> Response:
    """Take a repo out of the commons."""
    speaker, wanted = ask.publisher(), ask.json(Wanted)
    target = _target(ask, speaker, wanted)
    repo = ask.named(target.kind, f"{ask.hub.namespace(target.owner)}/{target.name}", speaker)
    ask.hub.shelf.close(speaker, repo)
    ask.hub.content.forget(repo)
    return answer({})


def move(ask: Ask) -> Response:
    """Give a repo another name."""
    speaker, wanted = ask.publisher(), ask.json(Moved)
    repo = ask.named(_kind(wanted.type), wanted.from_repo, speaker)
    namespace, _, name = wanted.to_repo.rpartition("/")
    if namespace and resolve(ask.hub.node, namespace) != repo.id.owner:
        raise RefusedError("a repo stays with its member: what was said of it stands in that member's log")
    if ask.hub.shelf.taken(RepoId(owner=repo.id.owner, kind=repo.id.kind, name=name)):
        raise TakenError(f"there is a {repo.id.kind} {name} already", f"{ask.base}/{wanted.to_repo}")
    moved = ask.hub.shelf.move(speaker, repo, name)
    return answer({"url": ask.base + ask.address(moved)})


def settings(ask: Ask) -> Response:
    """Set how a repo may be had. One that is private can be published, and never the other way round."""
    speaker, repo = ask.own()
    wanted = ask.json(Set)
    private = private_or_public(wanted.private, wanted.visibility)
    if private is True and not repo.private:
        raise RefusedError("what was said in public stays public: open a private repo instead, or delete this one")
    if private is False:
        repo = ask.hub.shelf.publish(speaker, repo)
    if wanted.gated is not msgspec.UNSET:
        gate: Gate = wanted.gated or "open"
        if gate != repo.gate:
            ask.hub.shelf.configure(speaker, repo, gate)
    repo = ask.hub.shelf.find(repo.id, speaker)
    return answer({"private": repo.private, "gated": False if repo.gate == "open" else repo.gate})


def info(ask: Ask) -> Response:
    """What there is to know of a repo at one revision, or what is asked for of it."""
    asker = ask.asker()
    repo = ask.repo(asker)
    names = properties.wanted(ask, repo.id.kind)
    revision = ask.revision(repo) if "rev" in ask.words else repo.head()
    files, name = Files(ask.hub, repo, revision), ask.hub.name(repo.id)
    measure = Measure(0, 0, None, formats(files.tree, repo.id.kind))
    line = Line(Entry.of(repo, revision), measure)
    headers = ask.provenance(revision) if revision else {}
    if names:
        catalogue, _ = ask.hub.measures.catalogue(asker)
        return answer(properties.expanded(line, name, names, catalogue, ask.hub.namer(), files), headers=headers)
    told = brief(line, name) | {"cardData": files.front, "xetEnabled": True, "usedStorage": files.tell("usedStorage")}
    told["siblings"] = [sibling(file, blobs=ask.flag("blobs")) for file in ordered(files.tree)]
    told |= files.described
    if ask.flag("securityStatus"):
        told["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": []}
    return answer(told, headers=headers)


def croissant(ask: Ask) -> Response:
    """A dataset as Croissant describes it, at main, for those who may have its files."""
    asker = ask.asker()
    repo = ask.named("dataset", f"{ask.words['ns']}/{ask.words['name']}", asker)
    repo = ask.served(asker, repo)
    body = ask.hub.passports.export("croissant", repo, ask.revision(repo), asker, ask.base)
    return Response(body, headers=ask.provenance(ask.revision(repo)), media_type="application/ld+json")


def auth_check(ask: Ask) -> Response:
    """Whether the asker may have the files of a repo."""
    ask.served(ask.asker())
    return answer({})


def auth_check_write(ask: Ask) -> Response:
    """Whether the asker may change a repo."""
    ask.own()
    return answer({})


# Likes


def like(ask: Ask) -> Response:
    """Like a repo."""
    return _like(ask, liked=True)


def unlike(ask: Ask) -> Response:
    """Like it no longer."""
    return _like(ask, liked=False)


def likers(ask: Ask) -> Response:
    """Who likes a repo."""
    repo = ask.repo(ask.asker())
    people = [ask.hub.person(origin, person) for origin, person in sorted(repo.likes)]
    return answer([{"user": name, "fullname": name, "type": "user", "avatarUrl": "", "isPro": False} for name in people])


def _like(ask: Ask, *, liked: bool) -> Response:
    speaker = ask.publisher()
    ask.hub.shelf.like(speaker, ask.repo(speaker), liked=liked)
    return answer({})


# Access


def ask_access(ask: Ask) -> Response:
    """Ask for the files of a gated repo. With the gate `auto` that suffices."""
    speaker = ask.speaker()
    repo = ask.repo(speaker)
    if repo.gate == "open":
        raise MalformedError("this repo is not gated: its files are there for everybody")
    first = "accepted" if repo.gate == "auto" else "pending"
    with ask.hub.node.private_writing() as db:
        gates.ask(db, repo.root, speaker.origin, speaker.person, first, ask.hub.node.clock())
        status = gates.status(db, repo.root, speaker.origin, speaker.person)
    return answer({"status": status})


def access_requests(ask: Ask) -> Response:
    """Who asked, by how it stands."""
    _, repo = ask.own()
    status = ask.words["status"]
    if status not in ("pending", "accepted", "rejected"):
        raise MalformedError("requests are pending, accepted or rejected")
    with ask.hub.node.private_reading() as db:
        asked = gates.asked(db, repo.root, status)
    told = []
    for each in asked:
        name = ask.hub.person(each.origin, each.person)
        user = {"_id": name, "user": name, "fullname": name, "email": None}
        request = f"{each.number:024x}"
        told.append({"requestId": request, "user": user, "status": status, "timestamp": when(each.at), "grantedBy": None})
    return answer(told)


def handle_access(ask: Ask) -> Response:
    """Accept, reject or reopen a request."""
    _, repo = ask.own()
    wanted = ask.json(Answered)
    with ask.hub.node.private_reading() as db:
        asked = [each for status in ("pending", "accepted", "rejected") for each in gates.asked(db, repo.root, status)]
    names = {f"{each.number:024x}": each for each in asked}
    names |= {ask.hub.person(each.origin, each.person): each for each in asked}
    found = names.get(wanted.user or wanted.user_id or wanted.request_id)
    if found is None:
        raise MissingError("nobody of this name asked for access")
    if found.status == wanted.status:
        raise MalformedError(f"this request is {wanted.status} already")
    _settle(ask, repo, found.origin, found.person, wanted.status)
    return answer({})


def grant_access(ask: Ask) -> Response:
    """Give somebody access who did not ask."""
    _, repo = ask.own()
    name, _, namespace = ask.json(Answered).user.partition("@")
    if repo.gate == "open":
        raise MalformedError("this repo is not gated: its files are there for everybody")
    with ask.hub.node.private_reading() as db:
        person = people.find(db, name)
        standing = gates.status(db, repo.root, person.origin, person.id)
    if namespace and resolve(ask.hub.node, namespace) != person.origin:
        raise MissingError(f"no person {name[:100]!r} of {namespace[:100]!r} on this node")
    if standing == "accepted":
        raise MalformedError(f"{name} has access already")
    _settle(ask, repo, person.origin, person.id, "accepted")
    return answer({})


def _settle(ask: Ask, repo: Repo, origin: str, person: str, status: str) -> None:
    with ask.hub.node.private_writing() as db:
        gates.settle(db, repo.root, origin, person, status, ask.hub.node.clock())


def _target(ask: Ask, speaker: Speaker, wanted: Wanted) -> RepoId:
    """The repo that a client means: of the speaker's member, unless it says otherwise."""
    namespace, _, name = wanted.name.rpartition("/")
    namespace = wanted.organization or namespace
    owner = resolve(ask.hub.node, namespace) if namespace else speaker.origin
    return RepoId(owner=owner, kind=_kind(wanted.type), name=name)


def _kind(name: str | None) -> Kind:
    """The kind of repo that a client names. AbsentError for one that the Hub has and Concord has not."""
    found = next((kind for kind in KINDS.values() if kind == (name or "model")), None)
    if found is None:
        raise AbsentError(f"there are no repos of the type {str(name)[:50]!r} here; there are models, datasets and spaces")
    return found


def private_or_public(private: bool | None, visibility: str | None) -> bool | None:  # noqa: FBT001  as clients write it
    """Whether a repo is to be private, from the two ways in which clients say it; None if they do not."""
    match visibility:
        case "private":
            return True
        case "public":
            return False
        case None:
            return private
        case _:
            raise AbsentError(f"there is no visibility {visibility[:50]!r} here: a repo is public or private")
