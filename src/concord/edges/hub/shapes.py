"""How the Hub's clients are told of repos, files and commits.

>>> when(1790000000)
'2026-09-21T14:13:20.000Z'
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from concord.edges.hub.asking import Hub
from concord.pillars.commons import File, Repo, Revision
from concord.pillars.commons.card import MATTER_MAX, matter
from concord.pillars.commons.labels import claimed
from concord.pillars.commons.repo import oid
from concord.pillars.commons.search import Line
from concord.pillars.commons.tree import git_oid, pointer

LATEST = 253_402_300_799  # POSIX seconds: the end of the year 9999, beyond which clients read no date
README = "README.md"
UNSCANNED = {"status": "unscanned", "avScan": None, "pickleImportScan": None}


def when(at: int) -> str:
    """A time as the Hub spells it."""
    return datetime.fromtimestamp(min(at, LATEST), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def large(file: File) -> dict[str, Any]:
    """What git knows of a large file."""
    return {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer(file))}


def entry(file: File, last: Revision | None = None) -> dict[str, Any]:
    """A file in a listing; with the commit that put it, if that is asked for."""
    told: dict[str, Any] = {"type": "file", "oid": git_oid(file), "size": file.size, "path": file.path}
    if file.large:
        told["lfs"] = large(file)
    if file.xet:
        told["xetHash"] = file.xet
    return told | expanded(last, scanned=True)


def expanded(last: Revision | None, *, scanned: bool) -> dict[str, Any]:
    """What a listing says more of an entry, once it is asked for."""
    if last is None:
        return {}
    commit = {"id": last.oid, "title": last.commit.title, "date": when(last.commit.at)}
    return {"lastCommit": commit, **({"securityFileStatus": UNSCANNED} if scanned else {})}


def sibling(file: File, *, blobs: bool) -> dict[str, Any]:
    """A file in what is told of a repo."""
    if not blobs:
        return {"rfilename": file.path}
    told: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": git_oid(file)}
    if file.large:
        told["lfs"] = {"size": file.size, "sha256": file.sha256, "pointerSize": len(pointer(file))}
    return told


def brief(line: Line, name: str) -> dict[str, Any]:
    """A repo in a list, which clients call `name`."""
    entry = line.entry
    told: dict[str, Any] = {
        "_id": entry.root[:24],
        "id": name,
        "author": name.partition("/")[0],
        "sha": oid(entry.leaf) or None,
        "lastModified": when(entry.changed),
        "createdAt": when(entry.opened),
        "private": entry.private,
        "gated": False if entry.gate == "open" else entry.gate,
        "disabled": False,
        "downloads": 0,
        "likes": entry.likes,
        "trendingScore": 0,
        "tags": line.labels(),
    }
    return told | _of_kind(line, name)


def _of_kind(line: Line, name: str) -> dict[str, Any]:
    card = line.entry.card
    match line.entry.id.kind:
        case "model":
            named = (("pipeline_tag", card.task), ("library_name", card.library))
            return {"modelId": name} | {field: value for field, value in named if value}
        case "space":
            sdk = claimed(card, "sdk")
            return {"models": claimed(card, "models"), "datasets": card.datasets, **({"sdk": sdk[0]} if sdk else {})}
        case "dataset":
            return {}


def front_matter(hub: Hub, repo: Repo, tree: Mapping[str, File]) -> dict[str, Any]:
    """What the front matter of README.md says; nothing where it cannot be read, or is not here."""
    readme = tree.get(README)
    if readme is None:
        return {}
    return hub.readings.of(
        "card", repo, [readme], lambda: matter(hub.shelf.peek(repo, readme, 0, min(readme.size, MATTER_MAX + 8)))
    )


def ordered(tree: Mapping[str, File]) -> Sequence[File]:
    """The files of a tree by path."""
    return [tree[path] for path in sorted(tree, key=str.encode)]
