"""Two members on a node each, a person of either, and what these do to repos."""

from hashlib import sha256

from concord.edges.peer.pull import pull
from concord.ledger.pillar import PERSONAL_ROLES
from concord.node import Node
from concord.pillars.commons import File, Repo, Revision
from concord.pillars.commons.tree import git_blob
from concord.private.people import Speaker
from concord.shelf import Draft, Reader, Shelf
from concord.testing import NodeSource, make_member

KE, TN = make_member("ke"), make_member("tn")
AMINA = Speaker("amina", "Amina", KE.origin, frozenset(PERSONAL_ROLES))
SAMI = Speaker("sami", "Sami", TN.origin, frozenset(PERSONAL_ROLES))


def file(path: str, content: bytes = b"x") -> File:
    return File(path=path, size=len(content), sha256=sha256(content).hexdigest(), oid=git_blob(content))


def put(
    shelf: Shelf, repo: Repo, *paths: str, content: bytes = b"x", ref: str = "main", by: Speaker = AMINA, **more: str
) -> Revision:
    return shelf.commit(by, repo, Draft(ref, "Add files", put=[file(path, content) for path in paths], **more))


def paths(shelf: Reader, repo: Repo, revision: str = "main", asker: Speaker | None = None) -> set[str]:
    found = shelf.find(repo.id, asker)
    return set(shelf.tree(found, found.find(revision)))


def meet(nodes: list[Node]) -> None:
    pull(nodes[0], NodeSource(nodes[1]))
    pull(nodes[1], NodeSource(nodes[0]))
