"""Repos made of others, and the large files that a repo ever had.

A duplicate is a repo of its own with the files of another as it stands, in one commit. Not a byte is sent or stored: what the first
has, the second is given. It is as private and as gated as the first, unless it is said otherwise.
"""

import msgspec
from starlette.responses import Response

from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import AbsentError, TakenError
from concord.edges.hub.paging import page
from concord.edges.hub.repos import private_or_public
from concord.edges.hub.shapes import when
from concord.errors import ConcordError, MalformedError, RefusedError
from concord.pillars.commons import File, Repo, Revision, Tree
from concord.private.people import Speaker
from concord.reading import resolve
from concord.shelf import Draft

PAGE = 1000


class Wanted(msgspec.Struct, rename="camel"):
    """A duplicate to make, as clients write it. What is asked for a space to run with is refused, as no space runs."""

    repository: str
    private: bool | None = None
    visibility: str | None = None
    hardware: str | None = None
    storage_tier: str | None = None
    sleep_time_seconds: int | None = None
    secrets: list[msgspec.Raw] = msgspec.field(default_factory=list)
    variables: list[msgspec.Raw] = msgspec.field(default_factory=list)
    volumes: list[msgspec.Raw] = msgspec.field(default_factory=list)


def duplicate(ask: Ask) -> Response:
    """Open a repo with the files of another."""
    speaker = ask.publisher()
    source = ask.served(speaker)
    wanted = ask.json(Wanted)
    if any((wanted.hardware, wanted.storage_tier, wanted.sleep_time_seconds, wanted.secrets, wanted.variables, wanted.volumes)):
        raise AbsentError("spaces are kept here and do not run: leave out hardware, sleep time, secrets, variables and volumes")
    namespace, _, name = wanted.repository.rpartition("/")
    if not name:
        raise MalformedError("a duplicate has a name, as member/name")
    if namespace and resolve(ask.hub.node, namespace) != speaker.origin:
        raise RefusedError(f"you open repos of {ask.hub.namespace(speaker.origin)}, and not of {namespace[:100]}")
    private = private_or_public(wanted.private, wanted.visibility)
    revision = source.head()
    tree = ask.hub.shelf.tree(source, revision) if revision else {}
    ask.hub.shelf.bring(source, tree.values())
    made = _open(ask, speaker, source, name, private=source.private if private is None else private)
    try:
        made = _fill(ask, speaker, source, made, revision, tree)
    except ConcordError:
        ask.hub.shelf.close(speaker, made)
        raise
    told = {"url": ask.base + ask.address(made), "name": ask.hub.name(made.id), "id": made.root[:24], "filesCopyPending": False}
    return answer(told)


def _open(ask: Ask, speaker: Speaker, source: Repo, name: str, *, private: bool) -> Repo:
    try:
        return ask.hub.shelf.open(speaker, source.id.kind, name, private=private)
    except RefusedError as e:
        there = ask.named(source.id.kind, f"{ask.hub.namespace(speaker.origin)}/{name}", speaker)
        raise TakenError(f"{e}", ask.base + ask.address(there)) from e


def _fill(ask: Ask, speaker: Speaker, source: Repo, made: Repo, revision: Revision | None, tree: Tree) -> Repo:
    """Gate a new repo as its source is, before it has anything, and let it have the files."""
    shelf = ask.hub.shelf
    if source.gate != "open":
        shelf.configure(speaker, made, source.gate)
    if revision is not None:
        digests = {file.sha256 for file in tree.values()}
        ask.hub.content.renew(digests)
        ask.hub.content.give(made, ask.hub.content.have(source, digests))
        words = f"Duplicate of {ask.hub.name(source.id)} at {revision.oid}"
        shelf.commit(speaker, made, Draft("main", words, put=list(tree.values()), card=revision.commit.card))
    return shelf.find(made.id, speaker)


def large_files(ask: Ask) -> Response:
    """The large files that commits of a repo ever put, for its owner: each once, with the commit that put it first."""
    _, repo = ask.own()
    found: dict[str, tuple[File, Revision]] = {}
    for revision in repo.revisions.values():
        for file in ask.hub.shelf.changes(revision).put:
            if file.large:
                found.setdefault(file.sha256, (file, revision))
    listed = sorted(found.values(), key=_place)
    part, headers = page(ask, listed, PAGE, _place)
    return answer([_told(file, revision) for file, revision in part], headers=headers)


def _place(put: tuple[File, Revision]) -> tuple[int, str]:
    file, revision = put
    return -revision.commit.at, file.sha256


def _told(file: File, revision: Revision) -> dict[str, str | int | None]:
    told: dict[str, str | int | None] = {"fileOid": file.sha256, "oid": file.sha256, "filename": file.path, "size": file.size}
    return told | {"pushedAt": when(revision.commit.at), "ref": revision.commit.ref, "xetHash": file.xet or None}
