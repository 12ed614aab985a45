"""Pull requests: changes to a repo that somebody proposes, often a person of another member, and its owner merges.

The commits of a pull request stand in the log of whoever proposes it, beside those of the branch that it is for. What it changes is
told against the tree where it began; if a branch changed the same file otherwise since, it is not merged.
"""

from dataclasses import replace

from concord.errors import RefusedError, StaleError
from concord.pillars.commons import File, Repo, Revision, Thread, Tree
from concord.pillars.commons import tree as trees
from concord.private.people import Speaker
from concord.shelf.commits import Draft
from concord.shelf.files import Reader
from concord.shelf.shelf import Shelf


def propose(shelf: Shelf, speaker: Speaker, repo: Repo, draft: Draft) -> tuple[Thread, Revision]:
    """Begin a pull request onto the ref of `draft`, and commit to it.

    One that the speaker began with the same commit, and that is open, is not begun twice: a client that got no answer asks
    again.
    """
    with shelf.turn:
        repo = shelf.find(repo.id, speaker)
        start = repo.find(draft.parent or draft.ref)
        before = shelf.tree(repo, start)
        wanted = trees.digest(trees.grow(before, draft.put, draft.removed))
        again = _begun_before(repo, draft, speaker, (start.leaf, wanted))
        if again is not None:
            return again
        thread = shelf.discuss(speaker, repo, *draft.words, pull=True, onto=draft.ref)
        revision = shelf.commit(speaker, repo, replace(draft, ref=thread.ref))
        shelf.settle(speaker, repo, thread, "open")
        return shelf.find(repo.id, speaker).thread(thread.number), revision


def _begun_before(repo: Repo, draft: Draft, speaker: Speaker, made: tuple[str, str]) -> tuple[Thread, Revision] | None:
    """The open pull request that `draft` would begin again, with its commit; `made` is what that follows, and the tree it makes."""
    words = (speaker.origin, speaker.spelled, draft.words[0])
    for thread in repo.threads.values():
        head = repo.revisions[thread.head] if thread.head else None
        said = (thread.begun.by, thread.begun.person, thread.begun.title)
        if head and thread.status == "open" and (said, (head.commit.parent, head.commit.tree)) == (words, made):
            return thread, head
    return None


def proposed(reader: Reader, repo: Repo, thread: Thread) -> tuple[list[File], list[str]]:
    """What a pull request puts and removes, against where it began."""
    if thread.head is None:
        return [], []
    base, theirs = began(reader, repo, thread), reader.tree(repo, repo.revisions[thread.head])
    put = [file for path, file in theirs.items() if base.get(path) != file]
    return put, [path for path in base if path not in theirs]


def conflicts(reader: Reader, repo: Repo, thread: Thread) -> list[str]:
    """The files that a pull request changes, and its branch changed otherwise since."""
    if thread.head is None:
        return []
    put, removed = proposed(reader, repo, thread)
    onto = repo.branches.get(thread.begun.onto)
    base, ours = began(reader, repo, thread), reader.tree(repo, repo.revisions[onto]) if onto else {}
    wanted: dict[str, File | None] = {file.path: file for file in put} | dict.fromkeys(removed)
    return [path for path, file in wanted.items() if ours.get(path) not in (base.get(path), file)]


def began(reader: Reader, repo: Repo, thread: Thread) -> Tree:
    """The tree where a pull request began; empty if nothing was committed to it yet."""
    if thread.head is None:
        return {}
    history = repo.history(repo.revisions[thread.head])
    base = next((each for each in history if each.commit.ref != thread.ref), None)
    return reader.tree(repo, base) if base else {}


def merge(shelf: Shelf, speaker: Speaker, repo: Repo, thread: Thread, title: str) -> Revision:
    """Bring the commits of a pull request into the branch that it is for.

    What it changed since it began is put on what the branch has now. StaleError if both changed the same file.
    Its files may be on the node of whoever proposed them: they are brought here first, so that the owner has what its branch
    names. BusyError while they come, UnreachableError or RefusedError if they cannot be had.
    """
    if shelf.courier is not None and speaker.origin == repo.id.owner and thread.status in ("open", "draft"):
        now = shelf.find(repo.id, speaker)
        put, _ = proposed(shelf, now, now.thread(thread.number))
        then = "Make the node of whoever proposed it a peer, or let it be sent again, and merge then"
        shelf.bring(now, put, f", which pull request {thread.number} puts,", then)
    with shelf.turn:
        repo = shelf.find(repo.id, speaker)
        thread = repo.thread(thread.number)
        if thread.head is None or thread.status in ("merged", "closed"):
            raise RefusedError(f"pull request {thread.number} has nothing to merge, or is {thread.status}")
        head, clash = repo.revisions[thread.head], conflicts(shelf, repo, thread)
        if clash:
            raise StaleError(f"{clash[0]} changed on {thread.begun.onto} since pull request {thread.number} began", 0)
        put, gone = proposed(shelf, repo, thread)
        onto = repo.branches.get(thread.begun.onto)
        ours = shelf.tree(repo, repo.revisions[onto]) if onto else {}
        removed = [path for path in gone if path in ours]
        draft = Draft(thread.begun.onto, title, put=put, removed=removed, card=head.commit.card, merges=thread.head)
        return shelf.commit(speaker, repo, draft)
