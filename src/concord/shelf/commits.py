"""A commit that is to be made: what it changes, which revision it follows, and whether the speaker may make it there."""

from collections.abc import Sequence
from dataclasses import dataclass

from concord.errors import MissingError, RefusedError, StaleError
from concord.ledger.identity import label
from concord.pillars.commons import Card, File, Repo, Revision, Thread
from concord.private.people import Speaker

TITLE_MAX = 300
MESSAGE_MAX = 20_000


@dataclass(frozen=True)
class Draft:
    """A commit to be made: on which ref, with which words, and what it changes.

    `parent` is the oid that the ref must have (None: whatever it has). `card` is what the README.md says afterwards (None: as
    before).
    """

    ref: str
    title: str
    message: str = ""
    put: Sequence[File] = ()
    removed: Sequence[str] = ()
    parent: str | None = None
    card: Card | None = None
    merges: str | None = None

    @property
    def words(self) -> tuple[str, str]:
        """The title and the message, as a record carries them."""
        return " ".join(self.title.split())[:TITLE_MAX] or "A commit", self.message[:MESSAGE_MAX]


def followed(repo: Repo, draft: Draft, speaker: Speaker) -> Revision | None:
    """The revision that a commit to the ref of `draft` follows; of a pull request's first commit, that of its branch.

    RefusedError if the speaker may not commit there, MissingError if there is no such branch, StaleError if it is elsewhere.
    """
    thread = next((each for each in repo.threads.values() if each.ref == draft.ref), None)
    _check(repo, draft, thread, speaker)
    if thread is not None and thread.head is None and draft.parent is not None:
        return repo.find(draft.parent)
    leaf = repo.branches.get(draft.ref) if thread is None else thread.head or repo.branches.get(thread.begun.onto)
    head = repo.revisions[leaf] if leaf else None
    if draft.parent is not None and (head is None or not head.leaf.startswith(draft.parent)):
        raise StaleError(f"{draft.ref} is at {head.oid if head else 'nothing'}, and not at {draft.parent[:40]}", 0)
    return head


def _check(repo: Repo, draft: Draft, thread: Thread | None, speaker: Speaker) -> None:
    if thread is not None and speaker.origin not in (thread.begun.by, repo.id.owner):
        raise RefusedError(f"commits to pull request {thread.number} are for whoever began it, or for the owner of the repo")
    if thread is not None and thread.merged is not None:
        raise RefusedError(f"pull request {thread.number} is merged, and takes no more commits: begin another")
    if thread is None and speaker.origin != repo.id.owner:
        raise RefusedError(f"{label(speaker.origin)} commits to its own repos; to this one it proposes a pull request")
    if thread is None and draft.ref not in repo.branches and repo.branches:
        raise MissingError(f"{repo.id.name} has no branch {draft.ref!r}")
