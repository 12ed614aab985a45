"""The files of the repos of a node: the trees that commits make, and the bytes, from here or from elsewhere."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from enum import Enum
from threading import RLock

import msgspec

from concord.content import Content
from concord.errors import ConcordError, DamagedError, ErasedError, HeldError, MalformedError, MissingError, RefusedError
from concord.node import Node
from concord.pillars.commons import Changes, File, Repo, Revision, Tree, attributes
from concord.pillars.commons import tree as trees
from concord.private import damages, kept
from concord.shelf.courier import Courier, Sound
from concord.shelf.repos import Finder, remember

LISTING_MAX = 128 << 20  # bytes of a list of changes that is read: 200,000 files with long names
TREES_KEPT = 16
BRING_WAIT = 20  # seconds that whoever needs files of another node waits for them
TREE_FILES_KEPT = 500_000  # of all trees that are kept: 400 bytes each


class Where(Enum):
    """Where the bytes of a file are: here, on a node that can be asked, or on none that this one knows."""

    HERE = "here"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"


class Reader(Finder):
    """The repos of a node, for any number of readers at a time. It changes none.

    With a `courier`, files that are elsewhere are read as if they were here.
    """

    def __init__(self, node: Node, courier: Courier | None = None) -> None:
        super().__init__(node)
        self.courier = courier
        self.content = Content(node)
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self.turn = RLock()  # of whoever looks and then changes, or grows a tree

    # Trees

    def tree(self, repo: Repo, revision: Revision) -> Tree:
        """The files of a revision. DamagedError if its commits do not make the tree that it names."""
        with self.turn:
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
                self._keep_tree(revision.leaf, grown)
            self._trees.move_to_end(revision.leaf)
            return grown

    def _keep_tree(self, leaf: str, tree: Tree) -> None:
        remember(self._trees, leaf, tree, TREES_KEPT)
        while len(self._trees) > 1 and sum(map(len, self._trees.values())) > TREE_FILES_KEPT:
            self._trees.popitem(last=False)

    def changes(self, revision: Revision) -> Changes:
        """What a commit changes. MissingError if that is listed in a blob which is not here, MalformedError if it is no list."""
        listing = revision.commit.listing
        if listing is None:
            return revision.commit.changes
        if listing.size > LISTING_MAX:
            raise MalformedError(f"the commit {revision.oid} lists its changes in {listing.size} bytes, over {LISTING_MAX}")
        try:
            return msgspec.json.decode(self.node.attached(listing), type=Changes)
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

    # Bytes

    def bring(self, repo: Repo, files: Iterable[File], which: str = "", then: str = "Make a node that has it a peer") -> None:
        """Have all of these files of a repo here.

        BusyError while they come, UnreachableError or RefusedError if they cannot be had; `which` and `then` are of its words.
        """
        wanted, end = list(files), time.monotonic() + BRING_WAIT
        here = self.content.have(repo, {file.sha256 for file in wanted})
        for file in [file for file in wanted if file.sha256 not in here]:
            try:
                if self.courier is None:
                    raise MissingError("this node asks nobody")
                self.courier.bring(repo, file, max(end - time.monotonic(), 0))
            except MissingError as e:
                if isinstance(e, HeldError | ErasedError):
                    raise
                raise RefusedError(f"{file.path}{which} is not here, and no peer of this node gives it ({e}). {then}") from e

    def have(self, repo: Repo, file: File) -> bool:
        """Whether the bytes of a file are here, as content of the repo."""
        return bool(self.content.have(repo, [file.sha256]))

    def where(self, repo: Repo, file: File) -> Where:
        """Where the bytes of a file can be had. HeldError or ErasedError if they may not be, DamagedError if the disk lost them."""
        self.node.blobs.check_allowed(file.sha256)
        if self.have(repo, file):
            return Where.HERE
        if self.courier is not None and self.courier.may(repo):
            return Where.ELSEWHERE
        self._check_lost(repo, file, "nobody can be asked for it")
        return Where.NOWHERE

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
            return self._from_elsewhere(self.courier, repo, file, start, end)
        with self.node.private_reading() as db:
            due = kept.due(db, repo.root, file.sha256, self.node.clock())
        if due:
            with self.node.private_writing() as db:
                kept.touch(db, repo.root, file.sha256, self.node.clock())
        return Sound(self.content, self.courier, repo, file, start, end)

    def _from_elsewhere(self, courier: Courier, repo: Repo, file: File, start: int, end: int) -> Iterator[bytes]:
        try:
            return courier.read(repo, file, start, end)
        except (HeldError, ErasedError):
            raise
        except MissingError as e:
            self._check_lost(repo, file, str(e))
            raise

    def _check_lost(self, repo: Repo, file: File, why: str) -> None:
        """DamagedError if the disk lost what the repo had of a file, which is not the same as that it never came."""
        with self.node.private_reading() as db:
            lost = damages.is_open(db, "file", file.sha256)
        if lost and repo.root in self.content.brought(file.sha256):
            raise DamagedError(f"{file.path} was damaged on this disk, and cannot be had again now: {why}")

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
