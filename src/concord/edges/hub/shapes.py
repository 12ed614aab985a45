"""How the Hub's clients are told of repos, files and commits.

>>> when(1790000000)
'2026-09-21T14:13:20.000Z'
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from concord.edges.hub.asking import Hub
from concord.errors import ConcordError
from concord.pillars.commons import Card, File, Repo, Revision
from concord.pillars.commons.card import MATTER_MAX, matter
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


def head(repo: Repo) -> Revision | None:
    """The revision that a repo is known by: of main, or of its first branch."""
    leaf = repo.branches.get("main") or next(iter(repo.branches.values()), None)
    return repo.revisions[leaf] if leaf else None


def tags(card: Card) -> list[str]:
    """What a repo is found by."""
    found = [*card.tags, *card.languages]
    found += [word for word in (card.library, card.task) if word]
    found += [f"license:{card.license}"] if card.license else []
    found += [f"base_model:{name}" for name in card.base]
    found += [f"dataset:{name}" for name in card.datasets]
    return list(dict.fromkeys(found))


def brief(hub: Hub, repo: Repo, revision: Revision | None) -> dict[str, Any]:
    """A repo in a list."""
    card = revision.commit.card if revision else Card()
    told: dict[str, Any] = {
        "_id": repo.root[:24],
        "id": hub.name(repo.id),
        "author": hub.namespace(repo.id.owner),
        "sha": revision.oid if revision else None,
        "lastModified": when(revision.commit.at if revision else repo.changed),
        "createdAt": when(repo.opened),
        "private": repo.private,
        "gated": False if repo.gate == "open" else repo.gate,
        "disabled": False,
        "downloads": 0,
        "likes": len(repo.likes),
        "trendingScore": 0,
        "tags": tags(card),
    }
    if repo.id.kind == "model":
        told["modelId"] = told["id"]
        told |= {name: value for name, value in (("pipeline_tag", card.task), ("library_name", card.library)) if value}
    return told


def front_matter(hub: Hub, repo: Repo, tree: Mapping[str, File]) -> dict[str, Any]:
    """What the front matter of README.md says; nothing where it cannot be read, or is not here."""
    readme = tree.get(README)
    if readme is None or not hub.shelf.have(repo, readme):
        return {}
    try:
        return matter(hub.shelf.peek(repo, readme, 0, min(readme.size, MATTER_MAX + 8)))
    except ConcordError:
        return {}


def ordered(tree: Mapping[str, File]) -> Sequence[File]:
    """The files of a tree by path."""
    return [tree[path] for path in sorted(tree, key=str.encode)]
