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

from sqlalchemy import bindparam, delete, func, insert, select

from concord.errors import DamagedError, MissingError, TooLargeError
from concord.ledger.chunks import Entry
from concord.ledger.storage.files import free
from concord.node import Node
from concord.pillars.commons import Repo
from concord.private.tables import content as table

AT_ONCE = 500  # digests in one question to the database
_AMONG = select(table.c.sha256).where(table.c.repo == bindparam("root"), table.c.sha256.in_(bindparam("names", expanding=True)))
_DROP = delete(table).where(table.c.repo == bindparam("root"), table.c.sha256 == bindparam("name"))


class Content:
    """The bytes that a node has of the files of repos. Digests are SHA-256 in hexadecimal digits."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def parts(self) -> Path:
        """The folder for parts of what is not whole yet."""
        return self._node.blobs.root / ".parts"

    def room(self) -> int:
        """How many bytes large files may still take: what is free on the disk, but for what the settings reserve."""
        return max(0, free(self._node.blobs.root) - self._node.settings.reserve_bytes)

    def have(self, repo: Repo, digests: Iterable[str]) -> set[str]:
        """Which of these are here as content of `repo`."""
        return self.here(repo.root, digests)

    def here(self, root: str, digests: Iterable[str]) -> set[str]:
        """The same, of the repo that the record `root` opened."""
        wanted, found = sorted(set(digests)), set()
        with self._node.private_reading() as db:
            for start in range(0, len(wanted), AT_ONCE):
                found |= set(db.scalars(_AMONG, {"root": root, "names": wanted[start : start + AT_ONCE]}))
        return {digest for digest in found if self._node.blobs.have(digest) or self._entry(digest)}

    def all_of(self, root: str) -> set[str]:
        """All that is here as content of the repo that the record `root` opened."""
        with self._node.private_reading() as db:
            brought = db.scalars(select(table.c.sha256).where(table.c.repo == root)).all()
        return self.here(root, brought)

    def size(self, repo: Repo, digest: str) -> int:
        """How many bytes; the errors are those of `read`."""
        return self.size_of(repo.root, digest)

    def size_of(self, root: str, digest: str) -> int:
        """The same, of the repo that the record `root` opened."""
        self._check(root, digest)
        entry = self._entry(digest)
        return entry.size if entry else self._node.blobs.size(digest)

    def read(self, repo: Repo, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes [start, stop) in pieces. MissingError, HeldError or ErasedError if they may not be had."""
        return map(bytes, self.flow(repo, digest, start, stop))

    def flow(self, repo: Repo, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes | bytearray]:
        """The same for whoever is done with a piece before asking for the next: they may all be one, filled anew."""
        return self.flow_of(repo.root, digest, start, stop)

    def flow_of(self, root: str, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes | bytearray]:
        """The same, of the repo that the record `root` opened."""
        self._check(root, digest)
        entry = self._entry(digest)
        return self._node.chunks.flow(entry.hash, start, stop) if entry else self._node.blob(digest, start, stop)

    def xet(self, digest: str) -> str | None:
        """The Xet hash of a large file that is here, or None."""
        entry = self._entry(digest)
        return entry.hash if entry else None

    def take(self, pieces: Iterable[bytes], expected: str | None, size_max: int) -> tuple[str, int]:
        """Keep a large file, of which only what is new is stored; its digest and size. A repo has it once it is given it.

        ForgedError if another digest was `expected`; TooLargeError over `size_max` bytes.
        """
        entry = self._node.chunks.ingest(_bounded(pieces, size_max), self._node.clock(), expected)
        return entry.sha256, entry.size

    def keep(self, content: bytes) -> str:
        """Keep bytes that are in memory, unless they are here; their digest."""
        digest = sha256(content).hexdigest()
        if not self._node.blobs.renew(digest, self._node.clock()):
            self._node.blobs.put([content], at=self._node.clock())
        return digest

    def give(self, repo: Repo, digests: Iterable[str]) -> None:
        """Let a repo have bytes that whoever asks was seen to have. It is noted even if it stands: it might be about to go."""
        given = sorted(set(digests))
        if given:
            with self._node.private_writing() as db:
                statement = insert(table).prefix_with("OR IGNORE", dialect="sqlite")
                db.execute(statement, [{"repo": repo.root, "sha256": digest} for digest in given])

    def renew(self, digests: Iterable[str]) -> None:
        """Let bytes that an upload builds on, and does not send again, count as young, so that nobody clears them away."""
        wanted, now = sorted(set(digests)), self._node.clock()
        if wanted and self._node.has_chunks:
            self._node.chunks.renew(wanted, now)
        for digest in wanted:
            self._node.blobs.renew(digest, now)

    def forget(self, repo: Repo) -> None:
        """Let a repo have nothing any more, because it is gone."""
        with self._node.private_writing() as db:
            db.execute(delete(table).where(table.c.repo == repo.root))

    def whole(self, repo: Repo, digests: Iterable[str]) -> set[str]:
        """Which of these need not be sent again: they are here as content of `repo`, whole, and stay for now."""
        wanted = set(digests)
        self.renew(wanted)
        entries = {digest: self._entry(digest) for digest in self.have(repo, wanted)}
        return {digest for digest, entry in entries.items() if entry is None or not self._node.chunks.missing(entry.hash)}

    def noted(self, prefix: str = "") -> dict[str, set[str]]:
        """What is noted as here: of each repo, by its root, the digests of bytes and the names of xorbs (that begin so)."""
        found: dict[str, set[str]] = {}
        with self._node.private_reading() as db:
            wanted = table.c.sha256.startswith(prefix, autoescape=True)
            for root, name in db.execute(select(table.c.repo, table.c.sha256).where(wanted)):
                found.setdefault(root, set()).add(name)
        return found

    def counts(self) -> dict[str, int]:
        """How many files and xorbs are noted as here, of each repo, by its root."""
        with self._node.private_reading() as db:
            return dict(map(tuple, db.execute(select(table.c.repo, func.count()).group_by(table.c.repo))))

    def drop(self, root: str, names: Iterable[str]) -> None:
        """Let a repo that is gone have these no more, in whatever repos else they are."""
        with self._node.private_writing() as db:
            db.execute(_DROP, [{"root": root, "name": name} for name in names])

    def drop_gone(self, root: str, names: Iterable[str]) -> None:
        """Let a repo have those of these no more whose bytes are not here. Who brings them now notes it before or after."""
        with self._node.private_writing() as db:
            gone = [{"root": root, "name": name} for name in names if not self._is_here(name)]
            if gone:
                db.execute(_DROP, gone)

    def names(self, repo: Repo) -> set[str]:
        """The digests of bytes, and the names of xorbs, that somebody brought to `repo`, whether or not they are here now."""
        with self._node.private_reading() as db:
            return set(db.scalars(select(table.c.sha256).where(table.c.repo == repo.root)))

    def brought(self, digest: str) -> set[str]:
        """The roots of the repos to which somebody brought these bytes, or this xorb."""
        with self._node.private_reading() as db:
            return set(db.scalars(select(table.c.repo).where(table.c.sha256 == digest)))

    def check(self, digest: str, size: int, *, deep: bool) -> None:
        """That bytes are here whole, held or not; if `deep`, that they are what the digest says.

        DamagedError or MissingError if not; the reason says what to do.
        """
        entry = self._entry(digest)
        found = entry.size if entry else self._node.blobs.kept(digest)
        if found != size:
            raise DamagedError(f"{found} bytes are here, and {size} were committed. Pull it again, or send it again")
        if entry is None:
            return self._node.blobs.check(digest) if deep else None
        if lost := self._node.chunks.missing(entry.hash):
            raise DamagedError(f"{len(lost)} of its parts are not here. Pull it again, or send it again")
        if deep and _hash(self._node.chunks.read(entry.hash)) != digest:
            raise DamagedError("the bytes are not those that were committed. Pull it again, or send it again")
        return None

    def gone(self, prefix: str = "") -> list[tuple[str, str]]:
        """The roots of repos, and the digests of bytes, that are noted as here and are not; but for those that were erased.

        Or only those digests that begin with `prefix`.
        """
        rows = sorted((name, root) for root, names in self.noted(prefix).items() for name in names)
        return [(root, name) for name, root in rows if not self._is_here(name) and self._node.blobs.erased(name) is None]

    def _is_here(self, name: str) -> bool:
        """Whether bytes are here that go by this digest, or a xorb of this name."""
        if self._node.blobs.have(name):
            return True
        return self._node.has_chunks and (self._entry(name) is not None or self._node.chunks.has_xorb(name))

    def _check(self, root: str, digest: str) -> None:
        if not self.here(root, [digest]):
            raise MissingError(f"the bytes of {digest} are not on this node")
        self._node.blobs.check_allowed(digest)

    def _entry(self, digest: str) -> Entry | None:
        return self._node.chunks.by_digest(digest)


def _hash(pieces: Iterable[bytes]) -> str:
    content = sha256()
    for piece in pieces:
        content.update(piece)
    return content.hexdigest()


def _bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > most:
            raise TooLargeError(f"more than {most} bytes")
        yield piece
