"""The bytes of the files of repos: which are here, and for which repo.

A commit names files by SHA-256, and anybody can name any. So bytes are read only as the content of a repo to which somebody
brought them: a commit that names the digest of another's private file, or of a person's particulars, gives nobody the bytes.
Bytes that several repos have are stored once.

Where they are stored is known here and nowhere else: small files as blobs, large ones as chunks, so that what two versions share is
kept once.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from sqlalchemy import delete, insert, select

from concord.errors import MissingError, TooLargeError
from concord.ledger.chunks import Entry
from concord.node import Node
from concord.pillars.commons import Repo
from concord.private.tables import content as table

AT_ONCE = 500  # digests in one question to the database


class Content:
    """The bytes that a node has of the files of repos. Digests are SHA-256 in hexadecimal digits."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def parts(self) -> Path:
        """The folder for parts of what is not whole yet."""
        return self._node.blobs.root / ".parts"

    def have(self, repo: Repo, digests: Iterable[str]) -> set[str]:
        """Which of these are here as content of `repo`."""
        wanted, found = sorted(set(digests)), set()
        with self._node.private_reading() as db:
            for start in range(0, len(wanted), AT_ONCE):
                among = table.c.sha256.in_(wanted[start : start + AT_ONCE])
                found |= set(db.scalars(select(table.c.sha256).where(table.c.repo == repo.root, among)))
        return {digest for digest in found if self._node.blobs.have(digest) or self._entry(digest)}

    def size(self, repo: Repo, digest: str) -> int:
        """How many bytes; the errors are those of `read`."""
        self._check(repo, digest)
        entry = self._entry(digest)
        return entry.size if entry else self._node.blobs.size(digest)

    def read(self, repo: Repo, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes [start, stop) in pieces. MissingError, HeldError or ErasedError if they may not be had."""
        self._check(repo, digest)
        entry = self._entry(digest)
        return self._node.chunks.read(entry.hash, start, stop) if entry else self._node.blobs.get(digest, start, stop)

    def xet(self, digest: str) -> str | None:
        """The Xet hash of a large file that is here, or None."""
        entry = self._entry(digest)
        return entry.hash if entry else None

    def take(self, pieces: Iterable[bytes], expected: str, size_max: int) -> tuple[str, int]:
        """Keep a large file, of which only what is new is stored; its digest and size. A repo has it once it is given it.

        ForgedError if another digest was `expected`; TooLargeError over `size_max` bytes.
        """
        entry = self._node.chunks.ingest(_bounded(pieces, size_max), self._node.clock(), expected)
        return entry.sha256, entry.size

    def keep(self, content: bytes) -> str:
        """Keep bytes that are in memory, unless they are here; their digest."""
        digest = sha256(content).hexdigest()
        if not self._node.blobs.have(digest):
            self._node.blobs.put([content])
        return digest

    def give(self, repo: Repo, digests: Iterable[str]) -> None:
        """Let a repo have bytes that whoever asks was seen to have."""
        new = set(digests)
        new -= self.have(repo, new)
        if new:
            with self._node.private_writing() as db:
                statement = insert(table).prefix_with("OR IGNORE", dialect="sqlite")
                db.execute(statement, [{"repo": repo.root, "sha256": digest} for digest in sorted(new)])

    def forget(self, repo: Repo) -> None:
        """Let a repo have nothing any more, because it is gone."""
        with self._node.private_writing() as db:
            db.execute(delete(table).where(table.c.repo == repo.root))

    def brought(self, digest: str) -> set[str]:
        """The roots of the repos to which somebody brought these bytes, or this xorb."""
        with self._node.private_reading() as db:
            return set(db.scalars(select(table.c.repo).where(table.c.sha256 == digest)))

    def _check(self, repo: Repo, digest: str) -> None:
        if not self.have(repo, [digest]):
            raise MissingError(f"the bytes of {digest} are not on this node")
        self._node.blobs.check_allowed(digest)

    def _entry(self, digest: str) -> Entry | None:
        return self._node.chunks.by_digest(digest)


def _bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > most:
            raise TooLargeError(f"more than {most} bytes")
        yield piece
