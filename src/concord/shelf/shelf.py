"""Changing the repos of a node: what a speaker may, each time in a record that says so.

What is public is said in the speaker's log. What is private is made of the very same records, kept in node.db until the repo is
published, and then said all at once: the commits keep their names, and nothing of what was private is left behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from concord.errors import MalformedError, RefusedError, StaleError
from concord.ledger.identity import label
from concord.ledger.pillar import Role
from concord.ledger.record import ENCODER, Detached, Record
from concord.pillars.commons import (
    Card,
    Changes,
    Close,
    Comment,
    Commit,
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
    Settle,
    Thread,
    Tree,
    attributes,
)
from concord.pillars.commons import tree as trees
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.records import Gate, Kind, RepoName, Status
from concord.pillars.commons.repo import MAIN
from concord.private import drafts
from concord.private.people import Speaker
from concord.shelf.commits import Draft, followed
from concord.shelf.files import Reader
from concord.tlog.merkle import leaf_hash

FIRST = "initial commit"  # as the Hub calls it
INLINE_MAX = 40_000  # bytes of changes that a commit carries itself; more are listed in a blob beside the log


class Shelf(Reader):
    """The repos of a node, for any number of people at a time who read them and change them."""

    def keep(self, repo: Repo, path: str, content: bytes) -> File:
        """Keep a small file that somebody brought to a repo; what a commit says of it."""
        digest = self.content.keep(content)
        self.content.give(repo, [digest])
        return File(path=path, size=len(content), sha256=digest, oid=trees.git_blob(content))

    # Changing

    def open(self, speaker: Speaker, kind: Kind, name: str, *, private: bool) -> Repo:
        """Open a repo of the speaker's member. RefusedError if there is one, or was one that is called otherwise now."""
        repo = RepoId(owner=speaker.origin, kind=kind, name=_name(name))
        with self.turn:
            if self.taken(repo):
                raise RefusedError(f"there is a {kind} {label(repo.owner)}/{name} already")
            fields = {"kind": kind, "name": name, "person": speaker.spelled}
            if private:
                self._draft(repo, [self.node.compose(speaker, Open, fields)])
            else:
                self.node.say(speaker, Open, fields)
            return self.find(repo, speaker)

    def begin(self, speaker: Speaker, kind: Kind, name: str, *, private: bool) -> Repo:
        """Open a repo, with the list of what is kept as a large file in it, so that it has a revision. RefusedError as `open`."""
        repo = self.open(speaker, kind, name, private=private)
        self.commit(speaker, repo, Draft("main", FIRST, put=[self.keep(repo, attributes.NAME, attributes.ATTRIBUTES)]))
        return self.find(repo.id, speaker)

    def commit(self, speaker: Speaker, repo: Repo, draft: Draft) -> Revision:
        """Commit; if nothing would change, or this very commit stands already, the revision that stands.

        StaleError if the ref is not where `draft` says, or somebody else was faster; RefusedError for a branch of another's
        repo.
        """
        with self.turn:
            repo = self.find(repo.id, speaker)
            again = self._made_before(repo, draft, speaker)
            if again is not None:
                return again
            head = followed(repo, draft, speaker)
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
        with self.turn:
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
        with self.turn:
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
        """Say all that was said of a private repo in the log of its owner, at once. From then on it is public, for good.

        What was said, and not forgotten here because the machine stopped in between, is not said again.
        """
        with self.turn:
            self._authorise(speaker, repo)
            if repo.private:
                drafted = {leaf_hash(entry).hex(): self.node.read(entry) for entry in self._drafted(repo.id)}
                with self.node.reading() as db:
                    stands = commons_view.standing(db, repo.id.owner, drafted)
                rest = [record for leaf, record in drafted.items() if leaf not in stands]
                if rest:
                    self.node.say_composed(speaker, rest)
                with self.node.private_writing() as db:
                    drafts.remove(db, repo.id.owner, repo.id.kind, repo.id.name)
            return self.find(repo.id, speaker)

    # Taking part

    def discuss(self, speaker: Speaker, repo: Repo, title: str, text: str, *, pull: bool, onto: str = MAIN) -> Thread:
        """Begin a discussion or a pull request.

        Two pull requests that one person begins in the same words within a second are two, so the second is dated a second later.
        """
        fields = {"repo": repo.id, "title": title, "text": text, "pull": pull, "onto": onto}
        with self.turn:
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

    def like(self, speaker: Speaker, repo: Repo, *, liked: bool) -> None:
        """Let the speaker like a repo, or no longer."""
        if ((speaker.origin, speaker.spelled) in repo.likes) != liked:
            self._say(speaker, repo, Like, {"repo": repo.id, "liked": liked})

    # Inside

    def _made_before(self, repo: Repo, draft: Draft, speaker: Speaker) -> Revision | None:
        """The last commit of the ref, if it is what `draft` says: a client that got no answer asks again."""
        leaf = repo.branches.get(draft.ref)
        head = repo.revisions[leaf] if leaf else None
        if head is None or draft.parent is None or head.commit.parent is None or not head.commit.parent.startswith(draft.parent):
            return None
        said = (head.commit.by, head.commit.person, head.commit.title, head.commit.message)
        if said != (speaker.origin, speaker.spelled, *draft.words):
            return None
        before = self.tree(repo, repo.revisions[head.commit.parent])
        return head if trees.digest(trees.grow(before, draft.put, draft.removed)) == head.commit.tree else None

    def _commit(
        self, speaker: Speaker, repo: Repo, draft: Draft, head: Revision | None, put: Sequence[File], after: Tree
    ) -> Revision:
        changes = Changes(put=tuple(put), removed=tuple(draft.removed))
        title, message = draft.words
        card = draft.card if draft.card is not None else head.commit.card if head else Card()
        fields = {
            "repo": repo.id,
            "ref": draft.ref,
            "parent": head.leaf if head else None,
            "tree": trees.digest(after),
            "title": title,
            "message": message,
            "card": card,
            "merges": draft.merges,
            **self._carried(changes),
        }
        leaf = self._say(speaker, repo, Commit, fields)
        found = self.find(repo.id, speaker).revisions.get(leaf)
        if found is None:
            raise StaleError(f"somebody else committed to {draft.ref} at the same moment", 0)
        self._keep_tree(leaf, after)
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
        return self.node.compose(speaker, kind, {**msgspec.to_builtins(fields), "person": speaker.spelled})

    def _said(self, speaker: Speaker, repo: Repo, record: Record) -> str:
        if repo.private:
            self._draft(repo.id, [record])
            return self._leaf(record)
        self._check_room(repo, record)
        return self.node.say_composed(speaker, [record])[0].leaf

    def _check_room(self, repo: Repo, record: Record) -> None:
        """RefusedError if a member has said so much of another's repo that nothing more of it counts."""
        if record.by == repo.id.owner:
            return
        discussion = None if isinstance(record, Like) else record.discussion if isinstance(record, Comment | Settle) else ""
        with self.node.reading() as db:
            if commons_view.has_room(db, repo.id, self.names(repo.id), record.by, discussion):
                return
        where = "in this discussion" if discussion else f"of {label(repo.id.owner)}/{repo.id.name}"
        raise RefusedError(f"{label(record.by)} has said so much {where} that no more of it would be heard by anybody")

    def _leaf(self, record: Record) -> str:
        return leaf_hash(self.node.view.codec.encode(record)).hex()

    def _authorise(self, speaker: Speaker, repo: Repo) -> None:
        if speaker.origin != repo.id.owner or not speaker.may(Role.PUBLISHER):
            raise RefusedError(f"{repo.id.name} is changed by a publisher of {label(repo.id.owner)}")

    def _draft(self, repo: RepoId, records: Iterable[Record]) -> None:
        entries = [self.node.view.codec.encode(record) for record in records]
        with self.node.private_writing() as db:
            drafts.add(db, repo.owner, repo.kind, repo.name, entries)


def _name(name: str) -> str:
    try:
        found: str = msgspec.convert(name, RepoName)
    except msgspec.ValidationError as e:
        raise MalformedError(
            f"{name[:100]!r} is no name of a repo: letters, digits, '.', '_' and '-', no two hyphens or dots together, at most 96"
        ) from e
    return found
