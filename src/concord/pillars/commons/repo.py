"""A repo: the pure fold of all that was said of it, by its owner and by others.

What the owner said counts in the order of its log. It opens the repo, moves its branches, merges. What others said (in their
own logs, which come in any order) counts by what it refers to: a commit of a pull request follows its parent, an answer its
discussion. So every node that has the same records has the same repo.

A commit is known by its *oid*, the first 40 of the 64 hexadecimal digits of its leaf hash: as long as git's, and whoever has it
finds the record, and its proof. A discussion is known by its *number*, made of the first ten digits of its leaf hash, because no
node is there to count; which one a record means, its whole leaf hash says.

1. An owner's commit moves its branch if its parent is the branch's last commit, or if it has none (the branch begins, or begins
   anew: a squash). Any other lost a race, and changes nothing.
2. A commit to `refs/pr/<number>` counts if it is said by the one who began that pull request, or by the owner, and its parent
   is the ref's last commit, or, for the first, any commit of the repo. The pull request is merged, and ends there, where a
   commit of the owner to a branch says so; that anybody else says so, or calls it merged, counts for nothing.
3. What is said of a repo after it was closed counts for nothing, until it is opened again, empty.
4. What is said in discussions, and who likes a repo, counts in the order in which it is dated, whoever says it; what one member
   says within a second, in the order of its log.
5. Ten digits are looked for in hours. Of discussions that have them in common, the one that the owner began or took part in keeps
   its number. If that is none, or several, all have numbers of thirteen digits. A commit to a ref that could be of several pull
   requests goes to the one whose last commit it follows, or to its speaker's.
6. Of what one member says of another's repo so much counts, and no more (`concord.pillars.commons.bounds`). Whoever gathers what
   was said leaves out the rest, and notes of each discussion how much that is.
"""

from collections import Counter, defaultdict
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
    """A discussion or pull request, with what was answered, in order. `head` is the last commit of a pull request.

    `unheard`: how many answers do not count, because their members said too much (rule 6).
    """

    number: int
    leaf: str
    begun: Discussion
    status: Status = "open"
    title: str = ""
    head: str | None = None
    merged: str | None = None
    answers: list[Said] = field(default_factory=list)
    unheard: int = 0

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

    def thread(self, number_: int) -> Thread:
        """The discussion of a number. MissingError if there is none, or several could be meant."""
        found = self.threads.get(number_)
        if found is not None:
            return found
        alike = sorted(each.number for each in self.threads.values() if number(each.leaf) == number_)
        several = f", but those of the numbers {', '.join(map(str, alike))}, which begin alike" if alike else ""
        raise MissingError(f"{self.id.name} has no discussion {number_}{several}")

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


def long_number(leaf: str) -> int:
    """The number of a discussion that has its first digits in common with another: none of ten digits, and below 2**53.

    >>> number("0a1b2c3d4e" + "9f" * 27), long_number("0a1b2c3d4e" + "9f" * 27)
    (43405557070, 4681388789131769)
    """
    return int("1" + leaf[:13], 16)


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
    begun = _begin_threads(repo, late, mine)
    _follow_pulls(repo, late)
    for answer in late:
        _answer(repo, begun, answer)
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


def _begin_threads(repo: Repo, late: Iterable[Said], mine: Iterable[Said]) -> dict[str, Thread]:
    """Let all discussions begin, each under its number (rule 5); by leaf hash."""
    begun = {said.leaf: said.record for said in late if isinstance(said.record, Discussion)}
    alike = Counter(map(number, begun))
    known = {leaf for leaf in map(_discussion, mine) if leaf in begun}
    known_alike = Counter(map(number, known))
    found: dict[str, Thread] = {}
    for leaf, record in begun.items():
        short = number(leaf)
        alone = alike[short] == 1 or (leaf in known and known_alike[short] == 1)
        found[leaf] = Thread(short if alone else long_number(leaf), leaf, record, "draft" if record.pull else "open", record.title)
        repo.threads.setdefault(found[leaf].number, found[leaf])
        repo.changed = max(repo.changed, record.at)
    return found


def _discussion(said: Said) -> str | None:
    """The leaf hash of the discussion that is begun, or taken part in."""
    match said.record:
        case Comment(discussion=leaf) | Settle(discussion=leaf):
            return leaf
        case Discussion():
            return said.leaf
    return None


def _answer(repo: Repo, begun: Mapping[str, Thread], said: Said) -> None:
    match said.record:
        case Comment(discussion=leaf) if leaf in begun:
            begun[leaf].answers.append(said)
        case Settle(discussion=leaf) as settled if leaf in begun:
            thread = begun[leaf]
            if settled.by in (repo.id.owner, thread.begun.by) and (thread.merged or settled.status != "merged"):
                thread.answers.append(said)
                _settle(thread, settled)
        case Like(by=by, person=person, liked=liked):
            (repo.likes.add if liked else repo.likes.discard)((by, person))


def _settle(thread: Thread, settled: Settle) -> None:
    thread.title = settled.title or thread.title
    if thread.merged is None:
        thread.status = settled.status


def _follow_pulls(repo: Repo, commits: Iterable[Said]) -> None:
    """Rules 2 and 5. Of what could follow, the first in the order of `commits` does, whatever the order of other dates."""
    threads = _pulls(repo)
    merged: dict[str | None, str] = {each.commit.merges: leaf for leaf, each in repo.revisions.items() if each.commit.merges}
    after: dict[str | None, list[tuple[int, Said, Commit]]] = defaultdict(list)
    for turn, said in enumerate(commits):
        if isinstance(said.record, Commit) and said.record.ref in threads:
            after[said.record.parent].append((turn, said, said.record))
    ready = [each for parent in (None, *repo.revisions) for each in after.pop(parent, ())]
    heapify(ready)
    while ready:
        _, said, commit = heappop(ready)
        thread = next((each for each in _meant(threads[commit.ref], commit) if _follows(repo, each, commit, merged)), None)
        if thread is not None:
            repo.revisions[said.leaf] = Revision(said.leaf, said.index, commit)
            thread.head = said.leaf
            for each in after.pop(said.leaf, ()):
                heappush(ready, each)
    for thread in repo.threads.values():
        if thread.head in merged:
            thread.status, thread.merged = "merged", merged[thread.head]


def _pulls(repo: Repo) -> dict[str, list[Thread]]:
    """The pull requests that a ref could be of: each has had the short number until another came that has it, too."""
    found: dict[str, list[Thread]] = defaultdict(list)
    for thread in repo.threads.values():
        if thread.begun.pull:
            for number_ in {number(thread.leaf), thread.number}:
                found[f"{_PULLS}{number_}"].append(thread)
    return found


def _meant(threads: Iterable[Thread], commit: Commit) -> list[Thread]:
    """Pull requests that a commit may be for, in the order in which it could be meant."""
    return sorted(threads, key=lambda each: (each.head != commit.parent, each.begun.by != commit.by, each.leaf))


def _follows(repo: Repo, thread: Thread, commit: Commit, merged: Mapping[str | None, str]) -> bool:
    """Whether a commit, whose parent is there, is the next one of a pull request."""
    if commit.by not in (thread.begun.by, repo.id.owner) or thread.head in merged:
        return False
    return thread.head in (None, commit.parent)
