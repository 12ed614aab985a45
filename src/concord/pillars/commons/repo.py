"""A repo: the pure fold of all that was said of it, by its owner and by others.

What the owner said counts in the order of its log. It opens the repo, moves its branches, merges. What others said (in their
own logs, which come in any order) counts by what it refers to: a commit of a pull request follows its parent, an answer its
discussion. So every node that has the same records has the same repo.

A commit is known by its *oid*, the first 40 of the 64 hexadecimal digits of its leaf hash: as long as git's, and whoever has it
finds the record, and its proof. A discussion is known by its *number*, made of the first ten digits of its leaf hash, because no
node is there to count.

1. An owner's commit moves its branch if its parent is the branch's last commit, or if it has none (the branch begins, or begins
   anew: a squash). Any other lost a race, and changes nothing.
2. A commit to `refs/pr/<number>` counts if it is said by the one who began that pull request, or by the owner, and its parent
   is the ref's last commit, or, for the first, any commit of the repo. The pull request is merged, and ends there, where a
   commit of the owner to a branch says so; that anybody else says so, or calls it merged, counts for nothing.
3. What is said of a repo after it was closed counts for nothing, until it is opened again, empty.
4. What is said in discussions, and who likes a repo, counts in the order in which it is dated, whoever says it; what one member
   says within a second, in the order of its log.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from concord.errors import MissingError
from concord.ledger.record import Record
from concord.pillars.commons.records import (
    Close,
    Comment,
    Commit,
    Configure,
    Discussion,
    Gate,
    Like,
    Move,
    Open,
    Point,
    RepoId,
    Settle,
    Status,
)

MAIN = "main"
OID_LENGTH = 40
_PULLS = "refs/pr/"


@dataclass(frozen=True, slots=True)
class Said:
    """A record and where it stands. `leaf` is hex; `index` None for what is private and stands in no log."""

    leaf: str
    index: int | None
    record: Record


@dataclass(frozen=True)
class Revision:
    """One commit of a repo."""

    leaf: str
    index: int | None
    commit: Commit

    @property
    def oid(self) -> str:
        """Its name for clients: 40 hexadecimal digits."""
        return oid(self.leaf)


@dataclass
class Thread:
    """A discussion or pull request, with what was answered, in order. `head` is the last commit of a pull request."""

    number: int
    leaf: str
    begun: Discussion
    status: Status = "open"
    title: str = ""
    head: str | None = None
    merged: str | None = None
    answers: list[Said] = field(default_factory=list)

    @property
    def ref(self) -> str:
        """The ref that commits of the pull request go to."""
        return f"{_PULLS}{self.number}"


@dataclass
class Repo:
    """A repo as it stands. `branches`, `tags` and threads name commits by leaf hash.

    `root` is the leaf hash of the record that opened it: the same for ever, under whatever name.
    """

    id: RepoId
    root: str = ""
    opened: int = 0
    changed: int = 0
    gate: Gate = "open"
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, tuple[str, str]] = field(default_factory=dict)
    revisions: dict[str, Revision] = field(default_factory=dict)
    threads: dict[int, Thread] = field(default_factory=dict)
    likes: set[tuple[str, str]] = field(default_factory=set)
    private: bool = False

    def find(self, revision: str) -> Revision:
        """The commit that a branch, tag, pull request or oid (whole, or 7 digits at least) names. MissingError if none does."""
        leaf = self.branches.get(revision.removeprefix("refs/heads/"))
        if leaf is None and revision.removeprefix("refs/tags/") in self.tags:
            leaf = self.tags[revision.removeprefix("refs/tags/")][0]
        if leaf is None and revision.startswith(_PULLS):
            leaf = next((thread.head for thread in self.threads.values() if thread.ref == revision), None)
        if leaf is None and 7 <= len(revision) <= len("9f" * 32):
            leaf = self._begins(revision)
        if leaf is None:
            raise MissingError(f"{self.id.name} has no revision {revision[:100]!r}")
        return self.revisions[leaf]

    def _begins(self, digits: str) -> str | None:
        """The one commit that begins so. Others can propose commits that begin like one of the owner, which is meant then."""
        found = [each for leaf, each in self.revisions.items() if leaf.startswith(digits)]
        own = [each for each in found if not each.commit.ref.startswith(_PULLS)]
        return next((some[0].leaf for some in (own, found) if len(some) == 1), None)

    def head(self) -> Revision | None:
        """The revision that a repo is known by: of main, or of its first branch."""
        leaf = self.branches.get(MAIN) or next(iter(self.branches.values()), None)
        return self.revisions[leaf] if leaf else None

    def history(self, revision: Revision) -> list[Revision]:
        """`revision` and all before it, newest first."""
        found = [revision]
        while (parent := found[-1].commit.parent) is not None and parent in self.revisions:
            found.append(self.revisions[parent])
        return found

    def refs(self) -> set[str]:
        """The leaf hashes of all commits that a branch, tag or pull request names."""
        return self.own() | {thread.head for thread in self.threads.values() if thread.head}

    def own(self) -> set[str]:
        """The same of branches and tags, which are the owner's."""
        return {*self.branches.values(), *(leaf for leaf, _ in self.tags.values())}


def oid(leaf: str) -> str:
    """The name of a commit for clients."""
    return leaf[:OID_LENGTH]


def number(leaf: str) -> int:
    """The number of a discussion."""
    return int(leaf[:10], 16)


def fold(identity: RepoId, own: Iterable[Said], others: Iterable[Said] = ()) -> Repo | None:
    """The repo, or None if it is not open. `own` is what its owner said, under this and earlier names, in the order of its log;

    `others` come in any order.
    """
    repo: Repo | None = None
    mine: list[Said] = []
    closed = False
    for said in own:
        closed = closed or isinstance(said.record, Close)
        repo = _owner_said(identity, repo, said, mine)
    if repo is None:
        return None
    theirs = [said for said in others if not closed or said.record.at >= repo.opened]
    late = sorted([*theirs, *mine], key=_turn)
    for begun in late:
        _begin_thread(repo, begun)
    _follow_pulls(repo, late)
    for answer in late:
        _answer(repo, answer)
    return repo


def _turn(said: Said) -> tuple[int, str, int, str]:
    """When it counts: as it is dated; of one second, one log after another, each in its own order.

    What stands in no log yet is in its order already, and stays so.
    """
    return said.record.at, said.record.by, said.index or 0, "" if said.index is None else said.leaf


def _owner_said(identity: RepoId, repo: Repo | None, said: Said, late: list[Said]) -> Repo | None:
    match said.record:
        case Open(at=at):
            return repo or Repo(identity, said.leaf, opened=at, changed=at)
        case Close():
            late.clear()
            return None
        case _ if repo is None:
            return None
        case Configure(gate=gate):
            repo.gate = gate
        case Commit() as commit if not commit.ref.startswith(_PULLS):
            _commit(repo, said, commit)
        case Point() as point:
            _point(repo, point)
        case Move():
            pass  # whoever gathers what was said knows the names
        case _:
            late.append(said)  # the owner takes part like everybody else
    return repo


def _commit(repo: Repo, said: Said, commit: Commit) -> None:
    """Rule 1."""
    if commit.parent is not None and commit.parent != repo.branches.get(commit.ref):
        return
    repo.revisions[said.leaf] = Revision(said.leaf, said.index, commit)
    repo.branches[commit.ref] = said.leaf
    repo.changed = max(repo.changed, commit.at)


def _point(repo: Repo, point: Point) -> None:
    if point.target is None:
        (repo.branches if point.what == "branch" else repo.tags).pop(point.ref, None)
    elif point.target in repo.revisions and point.what == "branch":
        repo.branches[point.ref] = point.target
    elif point.target in repo.revisions:
        repo.tags[point.ref] = (point.target, point.message)


def _begin_thread(repo: Repo, said: Said) -> None:
    if isinstance(said.record, Discussion):
        begun = Thread(number(said.leaf), said.leaf, said.record, title=said.record.title)
        begun.status = "draft" if said.record.pull else "open"
        repo.threads.setdefault(begun.number, begun)
        repo.changed = max(repo.changed, said.record.at)


def _answer(repo: Repo, said: Said) -> None:
    match said.record:
        case Comment(discussion=leaf) | Settle(discussion=leaf):
            thread = repo.threads.get(number(leaf))
            if thread is None or thread.leaf != leaf:
                return  # a number has few digits, and somebody may have looked for another discussion that has it, too
            if isinstance(said.record, Comment):
                thread.answers.append(said)
            elif said.record.by in (repo.id.owner, thread.begun.by) and (thread.merged or said.record.status != "merged"):
                thread.answers.append(said)
                _settle(thread, said.record)
        case Like(by=by, person=person, liked=liked):
            (repo.likes.add if liked else repo.likes.discard)((by, person))


def _settle(thread: Thread, settled: Settle) -> None:
    thread.title = settled.title or thread.title
    if thread.merged is None:
        thread.status = settled.status


def _follow_pulls(repo: Repo, commits: Iterable[Said]) -> None:
    """Rule 2. Of what could follow, the first in the order of `commits` does, whatever the order in which others are dated."""
    threads = {thread.ref: thread for thread in repo.threads.values() if thread.begun.pull}
    merged: dict[str | None, str] = {each.commit.merges: leaf for leaf, each in repo.revisions.items() if each.commit.merges}
    after: dict[str | None, list[tuple[int, Said, Commit]]] = defaultdict(list)
    for turn, said in enumerate(commits):
        if isinstance(said.record, Commit) and said.record.ref in threads:
            after[said.record.parent].append((turn, said, said.record))
    ready = [each for parent in (None, *repo.revisions) for each in after.pop(parent, ())]
    heapify(ready)
    while ready:
        _, said, commit = heappop(ready)
        if _follows(repo, threads[commit.ref], commit, merged):
            repo.revisions[said.leaf] = Revision(said.leaf, said.index, commit)
            threads[commit.ref].head = said.leaf
            for each in after.pop(said.leaf, ()):
                heappush(ready, each)
    for thread in threads.values():
        if thread.head in merged:
            thread.status, thread.merged = "merged", merged[thread.head]


def _follows(repo: Repo, thread: Thread, commit: Commit, merged: Mapping[str | None, str]) -> bool:
    """Whether a commit, whose parent is there, is the next one of a pull request."""
    if commit.by not in (thread.begun.by, repo.id.owner) or thread.head in merged:
        return False
    return thread.head in (None, commit.parent)
