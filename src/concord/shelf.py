"""Repos as a node has them: those that stand in the logs it holds, and the private ones of its own members.

A `Shelf` finds a repo, reads its trees, and lets a speaker change it. What is public is said in the speaker's log; what is
private is made of the very same records, kept in node.db until the repo is published, and then said all at once: the commits
keep their names, and nothing of what was private is left behind.

A private repo is seen by people of its owner only. To everybody else it is not there, in so many words: the error is the same as
for a repo that never was.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any, Protocol

import msgspec

from concord.content import Content
from concord.errors import (
    ConcordError,
    DamagedError,
    ErasedError,
    HeldError,
    MalformedError,
    MissingError,
    RefusedError,
    StaleError,
)
from concord.ledger.chunks import Stream
from concord.ledger.identity import label
from concord.ledger.pillar import Role
from concord.ledger.record import ENCODER, Detached, Record
from concord.node import Node
from concord.pillars.commons import (
    Card,
    Changes,
    Close,
    Comment,
    Commit,
    Community,
    Configure,
    Discussion,
    File,
    Like,
    Move,
    Open,
    Point,
    Repo,
    RepoId,
    Revision,
    Said,
    Settle,
    Thread,
    Tree,
    attributes,
    fold,
)
from concord.pillars.commons import tree as trees
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.records import Gate, Kind, RepoName, Status
from concord.pillars.commons.repo import MAIN
from concord.pillars.commons.search import Entry
from concord.private import drafts, gates, kept
from concord.private.people import Speaker
from concord.reading import resolve
from concord.tlog.merkle import leaf_hash

INLINE_MAX = 40_000  # bytes of changes that a commit carries itself; more are listed in a blob beside the log
TREES_KEPT = 16
REPOS_KEPT = 64
TITLE_MAX = 300
MERGE_WAIT = 20  # seconds that whoever merges waits for files that are on another node
PLURALS: dict[str, Kind] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_ROOT = re.compile(r"[0-9a-f]{64}\Z")


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


class Courier(Protocol):
    """Whoever brings files that are not here, or are damaged, from elsewhere (`concord.operations.courier`)."""

    def may(self, repo: Repo) -> bool:
        """Whether files of the repo can be asked for at all."""

    def bring(self, repo: Repo, file: File, seconds: float | None = None) -> None:
        """Bring a file. MissingError if nobody has it, UnreachableError if some could not be asked.

        BusyError if it is not here after so many seconds; it goes on coming then.
        """

    def read(self, repo: Repo, file: File, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of a file while it comes. The errors are those of `bring`, before the first byte."""

    def peek(self, repo: Repo, file: File, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file, and no more than is needed for them, soon or not at all."""

    def repair(self, repo: Repo, file: File, place: int | None = None) -> None:
        """Bring what is lost of a file, or, at `place`, is not what was written. DamagedError if nobody has it."""


class Shelf:
    """The repos of a node, for any number of askers at a time. What it remembers can be forgotten at any time.

    With a `courier`, files that are elsewhere are read as if they were here, and are brought here before they are merged.
    """

    def __init__(self, node: Node, courier: Courier | None = None) -> None:
        self.node = node
        self.courier = courier
        self.content = Content(node)
        self._repos: OrderedDict[tuple[RepoId, int, int], Repo | None] = OrderedDict()
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self._open: tuple[int, dict[RepoId, commons_view.Shelved], dict[RepoId, RepoId]] | None = None
        self._catalogue: tuple[int, list[Entry]] | None = None
        self._turn = RLock()

    # Finding

    def keep(self, repo: Repo, path: str, content: bytes) -> File:
        """Keep a small file that somebody brought to a repo; what a commit says of it."""
        digest = self.content.keep(content)
        self.content.give(repo, [digest])
        return File(path=path, size=len(content), sha256=digest, oid=trees.git_blob(content))

    def find(self, repo: RepoId, asker: Speaker | None) -> Repo:
        """A repo that `asker` may see. MissingError if there is none, or none for this asker; of one renamed, the new one."""
        if self._is_private(repo):
            if asker is None or asker.origin != repo.owner:
                raise self._missing(repo)
            return self._private(repo)
        shelved, renamed = self._shelves()
        known = shelved.get(repo) or shelved.get(renamed.get(repo, repo))
        found = self._public(known) if known is not None else None
        if found is None:
            raise self._missing(repo)
        return found

    def repo_id(self, kind: Kind, namespace: str, name: str) -> RepoId:
        """The repo `namespace/name`; the namespace is the id of a member, or an origin. MissingError if there is no such member."""
        return RepoId(owner=resolve(self.node, namespace), kind=kind, name=name)

    def names(self, repo: RepoId) -> set[str]:
        """What a public repo is called, and was before."""
        known = self._shelves()[0].get(repo)
        return {repo.name, *(known.aliases if known else ())}

    def taken(self, repo: RepoId) -> bool:
        """Whether a repo is called so, or was, before it was renamed."""
        return self._is_private(repo) or any(repo in names for names in self._shelves())

    def seen(self, repo: RepoId) -> Repo:
        """A repo of this name, whoever asks, for what is told to nobody. MissingError if there is none."""
        return self._private(repo) if self._is_private(repo) else self.find(repo, None)

    def rooted(self, owner: str, kind: Kind, name: str, root: str) -> Repo | None:
        """The repo that was opened by the record `root` and was called `name` once, whoever asks; None if it is gone."""
        repo = RepoId(owner=owner, kind=kind, name=name)
        found = self._whoever_asks(repo)
        return found if found and found.root == root else None

    def opened(self, root: str) -> Repo | None:
        """The repo that the record `root` of some log opened, under whatever name it has now; None if it is gone."""
        with self.node.reading() as db:
            repo = commons_view.opened_by(db, root)
        return self.rooted(repo.owner, repo.kind, repo.name, root) if repo else None

    def is_open(self, root: str) -> bool:
        """Whether the repo that the record `root` opened is public, and given to everybody."""
        found = self.opened(root)
        return found is not None and not found.private and found.gate == "open"

    def open_repos(self) -> list[Repo]:
        """All repos that are public, and given to everybody."""
        found = [self.find(repo, None) for repo in self.listed(None)]
        return [repo for repo in found if repo.gate == "open"]

    def named(self, name: str) -> Repo:
        """The repo that `name` means, whoever asks: a root, or `namespace/name`, with `datasets/` or the like before it if need be.

        MissingError if it is not known here; MalformedError if it is no name, or could mean two repos.
        """
        if _ROOT.match(name):
            found = [self.opened(name)]
        else:
            kinds, namespace, last = _parts(name)
            found = [self._whoever_asks(self.repo_id(kind, namespace, last)) for kind in kinds]
        known = [repo for repo in found if repo is not None]
        if len(known) > 1:
            raise MalformedError(f"{name!r} could be several repos: put {' or '.join(f'{each}/' for each in PLURALS)} before it")
        if not known:
            raise MissingError(f"there is no repo {name[:200]!r} here")
        return known[0]

    def check_open(self, repo: Repo) -> None:
        """RefusedError unless a repo is public, and given to everybody."""
        if repo.private or repo.gate != "open":
            raise RefusedError(f"{label(repo.id.owner)}/{repo.id.name} is not for everybody, so its files are not handed on")

    def _whoever_asks(self, repo: RepoId) -> Repo | None:
        try:
            return self.seen(repo)
        except MissingError:
            return None

    def listed(self, asker: Speaker | None, owner: str | None = None) -> list[RepoId]:
        """All repos that `asker` may see, or those of one owner, in the order of owner, kind and name."""
        public = [repo for repo in self._shelves()[0] if owner in (None, repo.owner)]
        with self.node.private_reading() as db:
            private = [RepoId(owner=by, kind=_kind(kind), name=name) for by, kind, name in drafts.repos(db)]
        mine = [repo for repo in private if asker and asker.origin == repo.owner and owner in (None, repo.owner)]
        return sorted([*public, *mine], key=lambda repo: (repo.owner, repo.kind, repo.name))

    def everything(self) -> Iterator[Repo]:
        """All repos that there are here, whoever may see them: for upkeep, and for nobody to be told of.

        Private ones come first: one that is published meanwhile comes a second time, and none is passed over.
        """
        with self.node.private_reading() as db:
            private = [RepoId(owner=by, kind=_kind(kind), name=name) for by, kind, name in drafts.repos(db)]
        for each in private:
            with suppress(MissingError):
                yield self._private(each)
        self.node.catch_up()
        with self.node.reading() as db:
            public = commons_view.shelved(db)
        yield from filter(None, map(self._public, public.values()))

    def catalogue(self, asker: Speaker | None) -> list[Entry]:
        """The repos that `asker` may see as searches know them, in no order."""
        with self.node.reading() as db:
            stamp = commons_view.stamp_of(db)
            if self._catalogue is None or self._catalogue[0] != stamp:
                before = {entry.id: entry for entry in self._catalogue[1]} if self._catalogue else {}
                now = commons_view.listings(db)  # an entry that is as it was is kept, because it knows its words
                self._catalogue = (stamp, [old if (old := before.get(entry.id)) == entry else entry for entry in now])
        with self.node.private_reading() as db:
            private = [(by, kind, name) for by, kind, name in drafts.repos(db) if asker and asker.origin == by]
        mine = [self._private(RepoId(owner=by, kind=_kind(kind), name=name)) for by, kind, name in private]
        return [*self._catalogue[1], *map(_entry, mine)]

    def may_read(self, repo: Repo, asker: Speaker | None) -> bool:
        """Whether the files of a repo that `asker` may see are for `asker` to have, too."""
        if repo.gate == "open" or (asker is not None and asker.origin == repo.id.owner):
            return True
        if asker is None:
            return False
        with self.node.private_reading() as db:
            return gates.status(db, repo.root, asker.origin, asker.person) == "accepted"

    def have(self, repo: Repo, file: File) -> bool:
        """Whether the bytes of a file are here, as content of the repo."""
        return bool(self.content.have(repo, [file.sha256]))

    def may_have(self, repo: Repo, file: File) -> bool:
        """Whether the bytes of a file are here, or can at least be asked for. HeldError or ErasedError if they may not be had."""
        self.node.blobs.check_allowed(file.sha256)
        return self.have(repo, file) or (self.courier is not None and self.courier.may(repo))

    def read(self, repo: Repo, file: File, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes of a file, or those in [start, stop), in pieces; from elsewhere while they come, if there is a courier.

        MissingError, HeldError or ErasedError if they are not to be had, UnreachableError if whoever may have them is not reached.
        """
        return map(bytes, self.flow(repo, file, start, stop))

    def flow(self, repo: Repo, file: File, start: int = 0, stop: int | None = None) -> Iterator[bytes | bytearray]:
        """The same for whoever is done with a piece before asking for the next: they may all be one, filled anew."""
        if self.courier is None:
            return self.content.flow(repo, file.sha256, start, stop)
        end = file.size if stop is None else min(stop, file.size)
        if not self.have(repo, file):
            return self.courier.read(repo, file, start, end)
        with self.node.private_reading() as db:
            due = kept.due(db, repo.root, file.sha256, self.node.clock())
        if due:
            with self.node.private_writing() as db:
                kept.touch(db, repo.root, file.sha256, self.node.clock())
        return _Sound(self.content, self.courier, repo, file, start, end)

    def peek(self, repo: Repo, file: File, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file, for a page that shows a little of it. The errors are those of `read`."""
        if self.courier is None or self.have(repo, file):
            return b"".join(self.read(repo, file, start, stop))
        return self.courier.peek(repo, file, start, min(stop, file.size))

    def sealed(self, root: str, xorb: str, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of a xorb as stored, for files of the repo that the record `root` opened.

        DamagedError in the place of a chunk that is not what was written; it is brought again then, for whoever asks the next time.
        """
        try:
            yield from self.node.chunks.sealed(xorb, start, stop)
        except DamagedError:
            self.node.chunks.set_aside(xorb)
            self._mend(root, xorb)
            raise

    def _mend(self, root: str, xorb: str) -> None:
        """Bring a damaged xorb again, if a file of the repo has chunks of it. DamagedError if nobody has it."""
        repo = self.opened(root)
        if self.courier is None or repo is None:
            return
        for digest in sorted(self.content.have(repo, self.node.chunks.users(xorb)))[:1]:
            entry = self.node.chunks.by_digest(digest)
            if entry is not None:
                self.courier.repair(repo, File(path=digest, size=entry.size, sha256=digest, xet=entry.hash))

    def tree(self, repo: Repo, revision: Revision) -> Tree:
        """The files of a revision. DamagedError if its commits do not make the tree that it names."""
        with self._turn:
            pending: list[Revision] = []
            for each in repo.history(revision):
                if each.leaf in self._trees:
                    break
                pending.append(each)
            start = repo.history(pending[-1])[1:2] if pending else [revision]
            grown: Tree = self._trees[start[0].leaf] if start else {}
            for each in reversed(pending):
                changes = self.changes(each)
                grown = trees.grow(grown, changes.put, changes.removed)
            if pending:
                if trees.digest(grown) != revision.commit.tree:
                    raise DamagedError(f"the commits before {revision.oid} do not make the tree that it names")
                _keep(self._trees, revision.leaf, grown, TREES_KEPT)
            self._trees.move_to_end(revision.leaf)
            return grown

    def changes(self, revision: Revision) -> Changes:
        """What a commit changes. MissingError if that is listed in a blob which is not here, MalformedError if it is no list."""
        listing = revision.commit.listing
        if listing is None:
            return revision.commit.changes
        try:
            return msgspec.json.decode(self.node.blobs.attached(listing), type=Changes)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise MalformedError(f"what the commit {revision.oid} names as its changes is no list of changes: {e}") from e

    def large_patterns(self, repo: Repo, tree: Tree) -> list[str]:
        """Which paths are kept as large files: by the repo's own .gitattributes, or, if it has none, by that of a new repo."""
        file = tree.get(attributes.NAME)
        if file is None or file.size > attributes.REGULAR_MAX:
            return attributes.large_patterns(attributes.ATTRIBUTES)
        try:
            return attributes.large_patterns(b"".join(self.read(repo, file)))
        except ConcordError:
            return attributes.large_patterns(attributes.ATTRIBUTES)

    # Changing

    def open(self, speaker: Speaker, kind: Kind, name: str, *, private: bool) -> Repo:
        """Open a repo of the speaker's member. RefusedError if there is one, or was one that is called otherwise now."""
        repo = RepoId(owner=speaker.origin, kind=kind, name=_name(name))
        with self._turn:
            if self.taken(repo):
                raise RefusedError(f"there is a {kind} {label(repo.owner)}/{name} already")
            fields = {"kind": kind, "name": name, "person": _person(speaker)}
            if private:
                self._draft(repo, [self.node.compose(speaker, Open, fields)])
            else:
                self.node.say(speaker, Open, fields)
            return self.find(repo, speaker)

    def commit(self, speaker: Speaker, repo: Repo, draft: Draft) -> Revision:
        """Commit; if nothing would change, or this very commit stands already, the revision that stands.

        StaleError if the ref is not where `draft` says, or somebody else was faster; RefusedError for a branch of another's
        repo.
        """
        with self._turn:
            repo = self.find(repo.id, speaker)
            again = self._made_before(repo, draft, speaker)
            if again is not None:
                return again
            head = self._head(repo, draft, speaker)
            before = self.tree(repo, head) if head else {}
            put = [file for file in draft.put if before.get(file.path) != file]
            after = trees.grow(before, put, draft.removed)
            if head is not None and after == before and draft.merges is None:
                return head
            return self._commit(speaker, repo, draft, head, put, after)

    def point(self, speaker: Speaker, repo: Repo, what: str, ref: str, target: Revision | None, message: str = "") -> None:
        """Let a branch or tag name a revision, or nothing any more."""
        fields = {"what": what, "ref": ref, "target": target.leaf if target else None, "message": message}
        self._say_own(speaker, repo, Point, fields)

    def squash(self, speaker: Speaker, repo: Repo, ref: str, title: str) -> Revision:
        """Let a branch begin anew with the tree that it has."""
        with self._turn:
            repo = self.find(repo.id, speaker)
            head = repo.find(ref)
            after = self.tree(repo, head)
            draft = Draft(ref, title, card=head.commit.card)
            return self._commit(speaker, repo, draft, None, list(after.values()), after)

    def configure(self, speaker: Speaker, repo: Repo, gate: Gate) -> None:
        """Say how a repo may be had."""
        self._say_own(speaker, repo, Configure, {"gate": gate})

    def move(self, speaker: Speaker, repo: Repo, to: str) -> Repo:
        """Give a repo another name."""
        with self._turn:
            target = RepoId(owner=repo.id.owner, kind=repo.id.kind, name=_name(to))
            if self.taken(target):
                raise RefusedError(f"there is a {target.kind} {label(target.owner)}/{to} already")
            self._say_own(speaker, repo, Move, {"to": to})
            if repo.private:
                with self.node.private_writing() as db:
                    drafts.rename(db, repo.id.owner, repo.id.kind, repo.id.name, to)
            return self.find(target, speaker)

    def close(self, speaker: Speaker, repo: Repo) -> None:
        """Take a repo out of the commons; of a private one nothing stays."""
        if repo.private:
            self._authorise(speaker, repo)
            with self.node.private_writing() as db:
                drafts.remove(db, repo.id.owner, repo.id.kind, repo.id.name)
        else:
            self._say_own(speaker, repo, Close, {})

    def publish(self, speaker: Speaker, repo: Repo) -> Repo:
        """Say all that was said of a private repo in the log of its owner, at once. From then on it is public, for good."""
        with self._turn:
            self._authorise(speaker, repo)
            if repo.private:
                said = [self.node.read(entry) for entry in self._drafted(repo.id)]
                self.node.say_composed(speaker, said)
                with self.node.private_writing() as db:
                    drafts.remove(db, repo.id.owner, repo.id.kind, repo.id.name)
            return self.find(repo.id, speaker)

    # Taking part

    def discuss(self, speaker: Speaker, repo: Repo, title: str, text: str, *, pull: bool, onto: str = MAIN) -> Thread:
        """Begin a discussion or a pull request.

        Two pull requests that one person begins in the same words within a second are two, so the second is dated a second later.
        """
        fields = {"repo": repo.id, "title": title, "text": text, "pull": pull, "onto": onto}
        with self._turn:
            record, begun = self._composed(speaker, Discussion, fields), self.find(repo.id, speaker).threads.values()
            while pull and self._leaf(record) in {thread.leaf for thread in begun}:
                record = msgspec.structs.replace(record, at=record.at + 1)
            leaf = self._said(speaker, repo, record)
            found = self.find(repo.id, speaker)
        return next(thread for thread in found.threads.values() if thread.leaf == leaf)

    def answer(self, speaker: Speaker, repo: Repo, thread: Thread, text: str) -> str:
        """Answer in a discussion; the leaf hash of the answer."""
        return self._say(speaker, repo, Comment, {"discussion": thread.leaf, "text": text})

    def settle(self, speaker: Speaker, repo: Repo, thread: Thread, status: Status, title: str = "", text: str = "") -> str:
        """Close, open or retitle a discussion; the leaf hash. RefusedError unless it, or the repo, is the speaker's member's."""
        if speaker.origin not in (repo.id.owner, thread.begun.by):
            raise RefusedError("a discussion is settled by whoever began it, or by the owner of the repo")
        return self._say(speaker, repo, Settle, {"discussion": thread.leaf, "status": status, "title": title, "text": text})

    def propose(self, speaker: Speaker, repo: Repo, draft: Draft) -> tuple[Thread, Revision]:
        """Begin a pull request onto the ref of `draft`, and commit to it.

        One that the speaker began with the same commit, and that is open, is not begun twice: a client that got no answer asks
        again.
        """
        with self._turn:
            repo = self.find(repo.id, speaker)
            start = repo.find(draft.parent or draft.ref)
            before = self.tree(repo, start)
            wanted = trees.digest(trees.grow(before, draft.put, draft.removed))
            again = next(
                (each for each in repo.threads.values() if self._proposes(repo, each, speaker, draft, start, wanted)), None
            )
            if again is not None and again.head is not None:
                return again, repo.revisions[again.head]
            thread = self.discuss(speaker, repo, _title(draft), draft.message[:20_000], pull=True, onto=draft.ref)
            revision = self.commit(speaker, repo, replace(draft, ref=thread.ref))
            self.settle(speaker, repo, thread, "open")
            return self.find(repo.id, speaker).threads[thread.number], revision

    def proposed(self, repo: Repo, thread: Thread) -> tuple[list[File], list[str]]:
        """What a pull request puts and removes, against where it began."""
        if thread.head is None:
            return [], []
        base, theirs = self._base(repo, thread), self.tree(repo, repo.revisions[thread.head])
        put = [file for path, file in theirs.items() if base.get(path) != file]
        return put, [path for path in base if path not in theirs]

    def conflicts(self, repo: Repo, thread: Thread) -> list[str]:
        """The files that a pull request changes, and its branch changed otherwise since."""
        if thread.head is None:
            return []
        put, removed = self.proposed(repo, thread)
        onto = repo.branches.get(thread.begun.onto)
        base, ours = self._base(repo, thread), self.tree(repo, repo.revisions[onto]) if onto else {}
        wanted: dict[str, File | None] = {file.path: file for file in put} | dict.fromkeys(removed)
        return [path for path, file in wanted.items() if ours.get(path) not in (base.get(path), file)]

    def merge(self, speaker: Speaker, repo: Repo, thread: Thread, title: str) -> Revision:
        """Bring the commits of a pull request into the branch that it is for.

        What it changed since it began is put on what the branch has now. StaleError if both changed the same file.
        Its files may be on the node of whoever proposed them: they are brought here first, so that the owner has what its branch
        names. BusyError while they come, UnreachableError or RefusedError if they cannot be had.
        """
        if self.courier is not None and speaker.origin == repo.id.owner and thread.status in ("open", "draft"):
            self._bring_proposed(self.courier, self.find(repo.id, speaker), thread.number)
        with self._turn:
            repo = self.find(repo.id, speaker)
            thread = repo.threads[thread.number]
            if thread.head is None or thread.status in ("merged", "closed"):
                raise RefusedError(f"pull request {thread.number} has nothing to merge, or is {thread.status}")
            head, clash = repo.revisions[thread.head], self.conflicts(repo, thread)
            if clash:
                raise StaleError(f"{clash[0]} changed on {thread.begun.onto} since pull request {thread.number} began", 0)
            put, gone = self.proposed(repo, thread)
            onto = repo.branches.get(thread.begun.onto)
            ours = self.tree(repo, repo.revisions[onto]) if onto else {}
            removed = [path for path in gone if path in ours]
            draft = Draft(thread.begun.onto, title, put=put, removed=removed, card=head.commit.card, merges=thread.head)
            return self.commit(speaker, repo, draft)

    def _bring_proposed(self, courier: Courier, repo: Repo, number: int) -> None:
        """Have what a pull request puts. The errors are those of `merge`."""
        put, _ = self.proposed(repo, repo.threads[number])
        here, end = self.content.have(repo, {file.sha256 for file in put}), time.monotonic() + MERGE_WAIT
        for file in [file for file in put if file.sha256 not in here]:
            try:
                courier.bring(repo, file, max(end - time.monotonic(), 0))
            except MissingError as e:
                if isinstance(e, HeldError | ErasedError):
                    raise
                raise RefusedError(
                    f"{file.path}, which pull request {number} puts, is not here, and no peer of this node gives it ({e}). "
                    "Make the node of whoever proposed it a peer, or let it be sent again, and merge then"
                ) from e

    def like(self, speaker: Speaker, repo: Repo, *, liked: bool) -> None:
        """Let the speaker like a repo, or no longer."""
        if ((speaker.origin, _person(speaker)) in repo.likes) != liked:
            self._say(speaker, repo, Like, {"repo": repo.id, "liked": liked})

    # Communities

    def gather(self, speaker: Speaker, name: str, title: str, about: str, repos: Sequence[RepoId]) -> commons_view.Gathering:
        """Say which repos a community of the speaker's member has; what was said of it before counts no more.

        Each must be public, because the record says its name to everybody. MissingError if one is not there.
        """
        found = [self.find(repo, None).id for repo in dict.fromkeys(repos)]
        fields = {"name": name, "title": title, "about": about, "repos": msgspec.to_builtins(list(dict.fromkeys(found)))}
        self.node.say(speaker, Community, {**fields, "person": _person(speaker)})
        return self.community(speaker.origin, name)

    def community(self, by: str, name: str) -> commons_view.Gathering:
        """The community that a member calls so. MissingError if there is none."""
        with self.node.reading() as db:
            found = commons_view.communities(db, by, name)
        if not found:
            raise MissingError(f"{label(by)} gathers no community {name[:100]!r}")
        return found[0]

    def gathered(self, gathering: commons_view.Gathering, asker: Speaker | None) -> list[tuple[RepoId, Entry | None]]:
        """The repos that a community names; None for what is gone, or not for `asker` to see, which look the same."""
        with self.node.reading() as db:
            named = commons_view.repos_in(db, gathering)
        known, moved = {entry.id: entry for entry in self.catalogue(asker)}, self._shelves()[1]
        return [(repo, known.get(repo) or known.get(moved.get(repo, repo))) for repo in named]

    def began(self, repo: Repo, thread: Thread) -> Tree:
        """The tree where a pull request began; empty if nothing was committed to it yet."""
        return self._base(repo, thread) if thread.head is not None else {}

    # Inside

    def _base(self, repo: Repo, thread: Thread) -> Tree:
        """The tree where a pull request began."""
        assert thread.head is not None
        history = repo.history(repo.revisions[thread.head])
        base = next((each for each in history if each.commit.ref != thread.ref), None)
        return self.tree(repo, base) if base else {}

    def _head(self, repo: Repo, draft: Draft, speaker: Speaker) -> Revision | None:
        """The revision that a commit to the ref of `draft` follows; of a pull request's first commit, that of its branch."""
        thread = next((each for each in repo.threads.values() if each.ref == draft.ref), None)
        if thread is not None and speaker.origin not in (thread.begun.by, repo.id.owner):
            raise RefusedError(f"commits to pull request {thread.number} are for whoever began it, or for the owner of the repo")
        if thread is None and speaker.origin != repo.id.owner:
            raise RefusedError(f"{label(speaker.origin)} commits to its own repos; to this one it proposes a pull request")
        if thread is None and draft.ref not in repo.branches and repo.branches:
            raise MissingError(f"{repo.id.name} has no branch {draft.ref!r}")
        if thread is not None and thread.head is None and draft.parent is not None:
            return repo.find(draft.parent)
        leaf = repo.branches.get(draft.ref) if thread is None else thread.head or repo.branches.get(thread.begun.onto)
        head = repo.revisions[leaf] if leaf else None
        if draft.parent is not None and (head is None or not head.leaf.startswith(draft.parent)):
            raise StaleError(f"{draft.ref} is at {head.oid if head else 'nothing'}, and not at {draft.parent[:40]}", 0)
        return head

    def _proposes(self, repo: Repo, thread: Thread, speaker: Speaker, draft: Draft, start: Revision, tree: str) -> bool:
        """Whether an open pull request is the one that `draft` would begin."""
        head = repo.revisions[thread.head] if thread.head else None
        mine = (thread.begun.by, thread.begun.person) == (speaker.origin, _person(speaker))
        same = head is not None and (head.commit.parent, head.commit.tree) == (start.leaf, tree)
        return mine and same and (thread.status, thread.begun.title) == ("open", _title(draft))

    def _made_before(self, repo: Repo, draft: Draft, speaker: Speaker) -> Revision | None:
        """The last commit of the ref, if it is what `draft` says: a client that got no answer asks again."""
        leaf = repo.branches.get(draft.ref)
        head = repo.revisions[leaf] if leaf else None
        if head is None or draft.parent is None or head.commit.parent is None or not head.commit.parent.startswith(draft.parent):
            return None
        said = (head.commit.by, head.commit.person, head.commit.title, head.commit.message)
        if said != (speaker.origin, _person(speaker), _title(draft), draft.message[:20_000]):
            return None
        before = self.tree(repo, repo.revisions[head.commit.parent])
        return head if trees.digest(trees.grow(before, draft.put, draft.removed)) == head.commit.tree else None

    def _commit(
        self, speaker: Speaker, repo: Repo, draft: Draft, head: Revision | None, put: Sequence[File], after: Tree
    ) -> Revision:
        changes = Changes(put=tuple(put), removed=tuple(draft.removed))
        card = draft.card if draft.card is not None else head.commit.card if head else Card()
        fields = {
            "repo": repo.id,
            "ref": draft.ref,
            "parent": head.leaf if head else None,
            "tree": trees.digest(after),
            "title": _title(draft),
            "message": draft.message[:20_000],
            "card": card,
            "merges": draft.merges,
            **self._carried(changes),
        }
        leaf = self._say(speaker, repo, Commit, fields)
        found = self.find(repo.id, speaker).revisions.get(leaf)
        if found is None:
            raise StaleError(f"somebody else committed to {draft.ref} at the same moment", 0)
        _keep(self._trees, leaf, after, TREES_KEPT)
        return found

    def _carried(self, changes: Changes) -> dict[str, Changes | Detached]:
        """Changes as a commit carries them: in itself, or in a blob."""
        raw = ENCODER.encode(changes)
        return {"changes": changes} if len(raw) <= INLINE_MAX else {"listing": self.node.blobs.detach(raw, "application/json")}

    def _say_own(self, speaker: Speaker, repo: Repo, kind: type[Record], fields: Mapping[str, Any]) -> None:
        self._authorise(speaker, repo)
        self._say(speaker, repo, kind, {"kind": repo.id.kind, "name": repo.id.name, **fields})

    def _say(self, speaker: Speaker, repo: Repo, kind: type[Record], fields: Mapping[str, Any]) -> str:
        """Say something of a repo where what is said of it stands; the leaf hash."""
        return self._said(speaker, repo, self._composed(speaker, kind, fields))

    def _composed(self, speaker: Speaker, kind: type[Record], fields: Mapping[str, Any]) -> Record:
        return self.node.compose(speaker, kind, {**msgspec.to_builtins(fields), "person": _person(speaker)})

    def _said(self, speaker: Speaker, repo: Repo, record: Record) -> str:
        if repo.private:
            self._draft(repo.id, [record])
            return self._leaf(record)
        return self.node.say_composed(speaker, [record])[0].leaf

    def _leaf(self, record: Record) -> str:
        return leaf_hash(self.node.view.codec.encode(record)).hex()

    def _authorise(self, speaker: Speaker, repo: Repo) -> None:
        if speaker.origin != repo.id.owner or not speaker.may(Role.PUBLISHER):
            raise RefusedError(f"{repo.id.name} is changed by a publisher of {label(repo.id.owner)}")

    def _draft(self, repo: RepoId, records: Iterable[Record]) -> None:
        entries = [self.node.view.codec.encode(record) for record in records]
        with self.node.private_writing() as db:
            drafts.add(db, repo.owner, repo.kind, repo.name, entries)

    def _drafted(self, repo: RepoId) -> list[bytes]:
        with self.node.private_reading() as db:
            return drafts.entries(db, repo.owner, repo.kind, repo.name)

    def _shelves(self) -> tuple[Mapping[RepoId, commons_view.Shelved], Mapping[RepoId, RepoId]]:
        """All open repos, and what each of their earlier names leads to; read again once one is opened, renamed or closed."""
        with self.node.reading() as db:
            stamp = commons_view.stamp_of(db, *commons_view.NAMING)
            if self._open is None or self._open[0] != stamp:
                shelved = commons_view.shelved(db)
                self._open = (stamp, shelved, commons_view.renamed(shelved))
            return self._open[1:]

    def _missing(self, repo: RepoId) -> MissingError:
        """That there is no such repo here, and which public ones of other types are called so."""
        shelved, name = self._shelves()[0], f"{label(repo.owner)}/{repo.name}"
        others = [plural for plural, kind in PLURALS.items() if msgspec.structs.replace(repo, kind=kind) in shelved]
        hint = f". Do you mean {' or '.join(f'{plural}/{name}' for plural in others)}?" if others else ""
        return MissingError(f"there is no {repo.kind} {name}{hint}")

    def _is_private(self, repo: RepoId) -> bool:
        return bool(self._drafted(repo))

    def _private(self, repo: RepoId) -> Repo:
        said = [Said(leaf_hash(entry).hex(), None, self.node.read(entry)) for entry in self._drafted(repo)]
        own = [each for each in said if each.record.by == repo.owner]
        found = fold(repo, own, [each for each in said if each.record.by != repo.owner])
        if found is None:
            raise self._missing(repo)
        found.private = True
        return found

    def _public(self, shelved: commons_view.Shelved) -> Repo | None:
        repo, names = shelved.id, {shelved.id.name, *shelved.aliases}
        size = self.node.view.size(repo.owner)
        with self.node.reading() as db:
            key = (repo, commons_view.version(db, repo, names), size)
            if key in self._repos:
                self._repos.move_to_end(key)
                return self._repos[key]
            pointers = commons_view.pointers(db, repo, names)
        said = [(each.origin, Said(each.leaf, each.index, self.node.read(entry))) for each, entry in self._entries(pointers)]
        own = [each for origin, each in said if origin == repo.owner]
        found = fold(repo, own, [each for origin, each in said if origin != repo.owner])
        _keep(self._repos, key, found, REPOS_KEPT)
        return found

    def _entries(self, pointers: Sequence[commons_view.Pointer]) -> Iterable[tuple[commons_view.Pointer, bytes]]:
        for pointer in pointers:
            yield pointer, self.node.holdings.tree(pointer.origin).entry(pointer.index)


def _entry(repo: Repo) -> Entry:
    main = repo.branches.get(MAIN)
    card = repo.revisions[main].commit.card if main else Card()
    return Entry(repo.id, card, repo.opened, repo.changed, len(repo.likes), repo.private, main or "")


def _name(name: str) -> str:
    try:
        found: str = msgspec.convert(name, RepoName)
    except msgspec.ValidationError as e:
        raise MalformedError(
            f"{name[:100]!r} is no name of a repo: letters, digits, '.', '_' and '-', no two hyphens or dots together, at most 96"
        ) from e
    return found


def _title(draft: Draft) -> str:
    """The title of a commit as its record carries it."""
    return " ".join(draft.title.split())[:TITLE_MAX] or "A commit"


def _parts(name: str) -> tuple[list[Kind], str, str]:
    """The kinds that a repo of this name may have, its namespace, and its name."""
    before, _, last = name.rpartition("/")
    plural, slash, rest = before.partition("/")
    kinds, namespace = ([PLURALS[plural]], rest) if slash and plural in PLURALS else (list(PLURALS.values()), before)
    if not namespace or not last or before in PLURALS:
        raise MalformedError(f"{name[:200]!r} is no name of a repo, such as nairobi/words or datasets/nairobi/words")
    return kinds, namespace, last


def _kind(kind: str) -> Kind:
    found: Kind = msgspec.convert(kind, Kind)
    return found


def _person(speaker: Speaker) -> str:
    """The person as a record names it."""
    return speaker.person.replace(".", "-")


class _Sound(Iterator[bytes | bytearray]):
    """Bytes [start, stop) of a file that is here; what is damaged on the disk is brought again on the way."""

    def __init__(self, content: Content, courier: Courier, repo: Repo, file: File, start: int, stop: int) -> None:
        self._content, self._courier, self._repo, self._file = content, courier, repo, file
        self._place, self._stop, self._mended = start, stop, -1
        self._pieces: Iterator[bytes | bytearray] | None = None
        content.size(repo, file.sha256)  # held or erased: said before the first byte

    def __next__(self) -> bytes | bytearray:
        while True:
            try:
                return self._counted(next(self._opened()))
            except (DamagedError, MissingError) as e:
                if isinstance(e, HeldError | ErasedError) or self._place in (self._mended, self._stop):
                    raise
                self._courier.repair(self._repo, self._file, self._place)
                self._mended, self._pieces = self._place, None

    def at_once(self) -> bytes | bytearray | None:
        """The next piece, if it is in memory already and sound; what is not comes with the next call of `next`."""
        if not isinstance(self._pieces, Stream):
            return None
        try:
            piece = self._pieces.at_once()
        except DamagedError:
            return None
        return None if piece is None else self._counted(piece)

    def _opened(self) -> Iterator[bytes | bytearray]:
        if self._pieces is None:
            self._pieces = self._content.flow(self._repo, self._file.sha256, self._place, self._stop)
        return self._pieces

    def _counted(self, piece: bytes | bytearray) -> bytes | bytearray:
        self._place += len(piece)
        return piece


def _keep(kept: OrderedDict[Any, Any], key: object, value: object, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
