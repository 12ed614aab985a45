"""The files of a revision: listed, told of one by one, and sent."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec
from starlette.responses import Response

from concord.edges.hub import weights
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import NoEntryError
from concord.edges.hub.paging import page
from concord.edges.hub.shapes import entry, expanded
from concord.edges.ranges import ranged
from concord.errors import ErasedError, HeldError, MalformedError, MissingError
from concord.ledger.record import Digest
from concord.pillars.commons import File, Repo, Revision
from concord.pillars.commons.tree import git_folders, git_oid

PAGE = 1000
PAGE_EXPANDED = 50
PATHS_MAX = 20_000
OUTLINES_KEPT = 4
PRIVATE = {"Cache-Control": "private, no-store"}
PUBLIC = {"Cache-Control": "public, max-age=0, must-revalidate"}
FIXED = {"Cache-Control": "public, max-age=31536000, immutable"}


class Paths(msgspec.Struct):
    """Which paths a client asks for."""

    paths: list[str]
    expand: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder of a tree, with the hash that git would give to it."""

    path: str
    oid: str


Entry = File | Folder


class Outline:
    """A tree as listings show it: folders and files in one order, all of them and by folder."""

    def __init__(self, tree: Mapping[str, File]) -> None:
        oids = git_folders(tree)
        folders = [Folder(path, oid) for path, oid in oids.items() if path]
        self.all: list[Entry] = sorted([*tree.values(), *folders], key=_order)
        self._keys = [_order(each) for each in self.all]
        self._inside: dict[str, list[Entry]] = {path: [] for path in oids}
        for each in self.all:
            self._inside[each.path.rpartition("/")[0]].append(each)

    def inside(self, folder: str, *, recursive: bool) -> Sequence[Entry] | None:
        """What is in a folder ("": the whole), or None if there is no such folder."""
        if folder not in self._inside:
            return None
        if not recursive:
            return self._inside[folder]
        if not folder:
            return self.all
        start = bisect_left(self._keys, folder.encode() + b"/")
        return self.all[start : bisect_left(self._keys, folder.encode() + b"0")]  # "0" follows "/"

    def find(self, path: str) -> Entry | None:
        """The file or folder at a path."""
        at = bisect_left(self._keys, path.encode())
        return self.all[at] if at < len(self.all) and self.all[at].path == path else None


_outlines: OrderedDict[Digest, Outline] = OrderedDict()


def tree(ask: Ask) -> Response:
    """What is in a folder of a revision, in pages."""
    repo = ask.repo(ask.asker())
    revision = ask.revision(repo)
    folder = ask.words.get("path", "").strip("/")
    found = _outline(ask, repo, revision).inside(folder, recursive=ask.flag("recursive"))
    if found is None:
        raise NoEntryError(f"{ask.hub.name(repo.id)} has no folder {folder[:200]!r}", revision.oid)
    expand = ask.flag("expand")
    part, headers = page(ask, found, PAGE_EXPANDED if expand else PAGE)
    return answer(_told(ask, repo, revision, part, expand=expand), headers=headers)


def paths_info(ask: Ask) -> Response:
    """The files and folders among the paths that are asked for. What is not there is passed over."""
    repo = ask.repo(ask.asker())
    revision = ask.revision(repo)
    wanted = _paths(ask)
    outline = _outline(ask, repo, revision)
    found = [each for path in dict.fromkeys(wanted.paths) if (each := outline.find(path.strip("/"))) is not None]
    return answer(_told(ask, repo, revision, found, expand=wanted.expand))


def resolve(ask: Ask) -> Response:
    """The bytes of a file, whole or in part."""
    repo = ask.served(ask.asker())
    revision = ask.revision(repo)
    file = ask.hub.shelf.tree(repo, revision).get(ask.words["path"])
    if file is None:
        raise NoEntryError(f"{ask.hub.name(repo.id)} has no file {ask.words['path'][:200]!r} at {revision.oid}", revision.oid)
    try:
        size = ask.hub.content.size(repo, file.sha256)
    except (HeldError, ErasedError):
        raise
    except MissingError as e:
        raise NoEntryError(f"the bytes of {file.path} are not on this node", revision.oid) from e
    etag = file.sha256 if file.large else git_oid(file)
    media = "application/octet-stream" if file.large else "text/plain; charset=utf-8"
    read = ask.hub.content.read
    headers = _headers(ask, repo, revision, file)
    return ranged(ask.request, size, lambda start, stop: read(repo, file.sha256, start, stop), etag, media, headers)


def safetensors(ask: Ask) -> Response:
    """The headers of the safetensors files that an index names, or of one such file."""
    repo = ask.served(ask.asker())
    revision = ask.revision(repo, ask.query("revision") or "main")
    files = ask.hub.shelf.tree(repo, revision)
    file = files.get(ask.words["path"])
    if file is None:
        raise NoEntryError(f"{ask.hub.name(repo.id)} has no file {ask.words['path'][:200]!r}", revision.oid)
    if file.path.endswith(".json"):
        return answer(weights.sharded(ask.hub.content, repo, files, file))
    return answer({"index": {}, "headers": {file.path: weights.read(ask.hub.content, repo, file)}})


def _headers(ask: Ask, repo: Repo, revision: Revision, file: File) -> dict[str, str]:
    fixed = revision.oid == ask.words["rev"]
    caching = PRIVATE if repo.private or repo.gate != "open" else FIXED if fixed else PUBLIC
    name = quote(file.path.rpartition("/")[2])
    headers = {"X-Repo-Commit": revision.oid, "Content-Disposition": f"inline; filename*=UTF-8''{name}", **caching}
    if file.large:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    return headers | ask.provenance(revision)


def _outline(ask: Ask, repo: Repo, revision: Revision) -> Outline:
    """The outline of a revision. The last few are kept, because a long listing is asked for page by page."""
    known = _outlines.get(revision.commit.tree)
    if known is None:
        known = Outline(ask.hub.shelf.tree(repo, revision))
        _outlines[revision.commit.tree] = known
        while len(_outlines) > OUTLINES_KEPT:
            _outlines.popitem(last=False)
    return known


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


def _order(each: Entry) -> bytes:
    return each.path.encode()
