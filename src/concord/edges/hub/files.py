"""The files of a revision: listed, told of one by one, and sent."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec
from starlette.responses import Response

from concord.edges.hub import weights
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import AwayError, NoEntryError
from concord.edges.hub.outline import Entry
from concord.edges.hub.paging import page
from concord.edges.hub.shapes import entry, expanded
from concord.edges.ranges import ranged
from concord.errors import BusyError, ErasedError, HeldError, MalformedError, MissingError, UnreachableError
from concord.pillars.commons import File, Repo, Revision
from concord.pillars.commons.tree import git_oid
from concord.shelf import Where

PAGE = 1000
PAGE_EXPANDED = 50
PATHS_MAX = 20_000
PRIVATE = {"Cache-Control": "private, no-store"}
PUBLIC = {"Cache-Control": "public, max-age=0, must-revalidate"}
INERT = {"Content-Security-Policy": "sandbox; default-src 'none'"}  # a browser that opens a file runs nothing in it
FIXED = {"Cache-Control": "public, max-age=31536000, immutable"}


class Paths(msgspec.Struct):
    """Which paths a client asks for."""

    paths: list[str]
    expand: bool = False


def tree(ask: Ask) -> Response:
    """What is in a folder of a revision, in pages."""
    repo = ask.repo(ask.asker())
    revision = ask.revision(repo)
    folder = ask.words.get("path", "").strip("/")
    found = ask.hub.outlines.of(revision, ask.hub.shelf.tree(repo, revision)).inside(folder, recursive=ask.flag("recursive"))
    if found is None:
        raise NoEntryError(f"{ask.hub.name(repo.id)} has no folder {folder[:200]!r}", revision.oid)
    expand = ask.flag("expand")
    part, headers = page(ask, found, PAGE_EXPANDED if expand else PAGE, lambda each: (each.path,))
    return answer(_told(ask, repo, revision, part, expand=expand), headers=headers)


def paths_info(ask: Ask) -> Response:
    """The files and folders among the paths that are asked for. What is not there is passed over."""
    repo = ask.repo(ask.asker())
    revision = ask.revision(repo)
    wanted = _paths(ask)
    outline = ask.hub.outlines.of(revision, ask.hub.shelf.tree(repo, revision))
    found = [each for path in dict.fromkeys(wanted.paths) if (each := outline.find(path.strip("/"))) is not None]
    return answer(_told(ask, repo, revision, found, expand=wanted.expand))


def resolve(ask: Ask) -> Response:
    """The bytes of a file, whole or in part."""
    repo = ask.served(ask.asker())
    revision = ask.revision(repo)
    file = ask.hub.shelf.tree(repo, revision).get(ask.words["path"])
    if file is None:
        raise NoEntryError(f"{ask.hub.name(repo.id)} has no file {ask.words['path'][:200]!r} at {revision.oid}", revision.oid)
    shelf = ask.hub.shelf
    where = shelf.where(repo, file)
    if where is Where.NOWHERE:
        raise NoEntryError(f"the bytes of {file.path} are not on this node", revision.oid)
    etag = file.sha256 if file.large else git_oid(file)
    media = "application/octet-stream" if file.large else "text/plain; charset=utf-8"
    headers = _headers(ask, repo, revision, file, here=where is Where.HERE)
    try:
        return ranged(ask.request, file.size, lambda start, stop: shelf.flow(repo, file, start, stop), etag, media, headers)
    except (HeldError, ErasedError):
        raise
    except MissingError as e:
        raise NoEntryError(f"neither this node nor any that it can ask has the bytes of {file.path}", revision.oid) from e
    except (UnreachableError, BusyError) as e:
        raise AwayError(f"{file.path} is on no node that can be reached now: {e}") from e


def safetensors(ask: Ask) -> Response:
    """The headers of the safetensors files that an index names, or of one such file."""
    repo = ask.served(ask.asker())
    revision = ask.revision(repo, ask.query("revision") or "main")
    files = ask.hub.shelf.tree(repo, revision)
    file = files.get(ask.words["path"])
    if file is None:
        raise NoEntryError(f"{ask.hub.name(repo.id)} has no file {ask.words['path'][:200]!r}", revision.oid)
    if file.path.endswith(".json"):
        return answer(weights.sharded(ask.hub.shelf, repo, files, file))
    return answer({"index": {}, "headers": {file.path: weights.read(ask.hub.shelf, repo, file)}})


def _headers(ask: Ask, repo: Repo, revision: Revision, file: File, *, here: bool) -> dict[str, str]:
    """Until the file is `here`, clients are sent its bytes as they come, and not chunk by chunk."""
    fixed = revision.oid == ask.words["rev"]
    caching = PRIVATE if repo.private or repo.gate != "open" else FIXED if fixed else PUBLIC
    name = quote(file.path.rpartition("/")[2])
    headers = {"X-Repo-Commit": revision.oid, "Content-Disposition": f"inline; filename*=UTF-8''{name}", **caching, **INERT}
    if file.large:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    xet = _xet_link(ask, repo, revision, file) if here else None
    links = [link for link in (ask.provenance(revision).get("Link"), xet) if link]
    headers |= {"X-Xet-Hash": file.xet} if file.xet and here else {}
    return headers | ({"Link": ", ".join(links)} if links else {})


def _xet_link(ask: Ask, repo: Repo, revision: Revision, file: File) -> str | None:
    """Where a client gets the ticket to have the file chunk by chunk."""
    address = f"{ask.base}/api/{repo.id.kind}s/{quote(ask.hub.name(repo.id))}/xet-read-token/{revision.oid}"
    return f'<{address}>; rel="xet-auth"' if file.xet else None


def _told(ask: Ask, repo: Repo, revision: Revision, found: Iterable[Entry], *, expand: bool) -> list[dict[str, Any]]:
    found = list(found)
    last = _last(ask, repo, revision, found) if expand else {}
    told = []
    for each in found:
        if isinstance(each, File):
            told.append(entry(each, last.get(each.path)))
        else:
            folder = {"type": "directory", "oid": each.oid, "size": 0, "path": each.path}
            told.append(folder | expanded(last.get(each.path), scanned=False))
    return told


def _last(ask: Ask, repo: Repo, revision: Revision, found: Iterable[Entry]) -> dict[str, Revision]:
    """The commit that last changed each of these."""
    wanted = {each.path for each in found}
    last: dict[str, Revision] = {}
    for each in repo.history(revision):
        if not wanted:
            break
        changes = ask.hub.shelf.changes(each)
        for path in (*(file.path for file in changes.put), *changes.removed):
            for touched in _upward(path):
                if touched in wanted:
                    wanted.discard(touched)
                    last[touched] = each
    return last


def _upward(path: str) -> Iterable[str]:
    """A path, and the folders that it is in."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _paths(ask: Ask) -> Paths:
    """What the body asks for, as a form or as JSON."""
    if ask.request.headers.get("content-type", "").startswith("application/json"):
        return ask.json(Paths)
    try:
        form = parse_qs(ask.body.decode(), max_num_fields=PATHS_MAX)
    except ValueError as e:
        raise MalformedError(f"a form that cannot be read: {e}") from e
    return Paths(form.get("paths", []), form.get("expand", [""])[0].lower() in ("1", "true"))
