"""What there is to know of a repo, for whoever looks at it without a browser."""

from typing import Any

from concord.errors import ConcordError, DamagedError, MissingError
from concord.ledger.identity import label
from concord.pillars.commons import Card, File, Repo, Revision, Tree
from concord.pillars.commons.card import body
from concord.pillars.commons.openness import Openness
from concord.pillars.commons.passport import issue
from concord.reading import find_leaf, well_cosigned
from concord.shelf import Reader

README = "README.md"
CARD_MAX = 1 << 20  # bytes of a card that are read
COMMITS_MAX = 20  # that are told


def describe(shelf: Reader, repo: Repo, name: str = "main") -> dict[str, Any]:
    """The repo at a revision: card, licence, openness, files and whether they are here, commits, discussions, where it comes from.

    MissingError if the revision is not there; a repo without commits has no revision, and no files.
    """
    revision = repo.find(name) if repo.revisions else None
    tree = shelf.tree(repo, revision) if revision else {}
    card = revision.commit.card if revision else Card()
    found = issue(card, tree, _reader(shelf, repo))
    here = shelf.content.have(repo, [file.sha256 for file in tree.values()])
    return {
        "type": repo.id.kind,
        "repo": f"{label(repo.id.owner)}/{repo.id.name}",
        "title": card.title,
        "private": repo.private,
        "access": repo.gate,
        "license": {"said": found.licence.said, "id": found.licence.id, "name": found.licence.name, "open": found.licence.open},
        "openness": _openness(found.openness),
        "task": card.task,
        "library": card.library,
        "languages": list(card.languages),
        "tags": list(card.tags),
        "base": list(card.base),
        "datasets": list(card.datasets),
        "formats": dict(found.formats),
        "parameters": found.parameters.total if found.parameters else None,
        "likes": len(repo.likes),
        "discussions": _discussions(repo),
        "size": found.size,
        "size_here": sum(file.size for file in tree.values() if file.sha256 in here),
        "files": [_file(file, here) for file in tree.values()],
        "commits": [_commit(each) for each in repo.history(revision)[:COMMITS_MAX]] if revision else [],
        "branches": {branch: repo.revisions[leaf].oid for branch, leaf in repo.branches.items()},
        "tags_of_commits": {tag: repo.revisions[leaf].oid for tag, (leaf, _) in repo.tags.items()},
        "provenance": _provenance(shelf, revision),
        "card": _card(shelf, repo, tree),
    }


def _reader(shelf: Reader, repo: Repo) -> Any:
    def read(file: File, start: int, stop: int) -> bytes | None:
        try:
            return b"".join(shelf.read(repo, file, start, stop))
        except ConcordError:
            return None

    return read


def _openness(found: Openness) -> dict[str, Any]:
    missing = [each.id for each in found.missing(found.next)] if found.next else []
    return {"class": found.reached, "next": found.next, "missing": missing, "licensed": found.licensed}


def _discussions(repo: Repo) -> dict[str, int]:
    pulls = [thread.begun.pull for thread in repo.threads.values() if thread.status in ("open", "draft")]
    return {"all": len(repo.threads), "open": len(pulls) - sum(pulls), "pull_requests_open": sum(pulls)}


def _file(file: File, here: set[str]) -> dict[str, Any]:
    return {"path": file.path, "size": file.size, "sha256": file.sha256, "large": file.large, "here": file.sha256 in here}


def _commit(revision: Revision) -> dict[str, Any]:
    commit = revision.commit
    return {"commit": revision.oid, "title": commit.title, "by": commit.by, "person": commit.person, "at": commit.at}


def _provenance(shelf: Reader, revision: Revision | None) -> dict[str, Any] | None:
    """Where the commit stands, and whether enough others cosigned that; None for what is private."""
    if revision is None or revision.index is None:
        return None
    found = find_leaf(shelf.node, revision.leaf)
    return {"log": found.origin, "index": found.index, "leaf": revision.leaf, "cosigned": well_cosigned(shelf.node, found)}


def _card(shelf: Reader, repo: Repo, tree: Tree) -> str | None:
    """The words of the card, or None if it is not here, or damaged."""
    file = tree.get(README)
    if file is None:
        return None
    try:
        return body(b"".join(shelf.read(repo, file, 0, CARD_MAX))).decode(errors="replace").strip()
    except (MissingError, DamagedError):
        return None
