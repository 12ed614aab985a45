"""Publishing a folder: its files become one commit of a repo, on the home itself, with or without a server beside it.

1. All is looked at before anything is said: the paths, whether they can stand on every disk, the licence, the card.
2. The repo is opened if there is none.
3. The files are kept, the large ones chunk by chunk, by the same rule as at the Hub door (`attributes`). What stands in the repo
   already, and is here, is only read.
4. One commit says them all. If nothing changed there is none.

A file that the repo has and the folder lacks stays. The folder is not written to: where its README.md names no licence, the card
that is committed does.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from concord.errors import MalformedError, MissingError, RefusedError
from concord.ledger.identity import label
from concord.ledger.progress import Progress, silent
from concord.operations.folder import ALL, Chosen, check_case, check_names, listed, open_file, small
from concord.operations.front_matter import README, Words, completed, with_matter
from concord.operations.snapshots import PIECE
from concord.pillars.commons import File, Repo, RepoId, Revision, Tree, attributes
from concord.pillars.commons.card import card
from concord.pillars.commons.tree import git_blob
from concord.private.people import Speaker
from concord.shelf import Draft, Shelf

GIVEN = 500  # files that the repo is given at once
_RESERVED = {"models", "datasets", "spaces", "api", "resolve"}  # as names of repos they would be taken for parts of an address


@dataclass(frozen=True)
class Published:
    """What came of it: the repo, the revision that stands, whether the repo was opened, and how many files changed."""

    repo: Repo
    revision: Revision
    opened: bool
    changed: int
    files: int
    size: int


def publish(
    shelf: Shelf,
    speaker: Speaker,
    target: tuple[RepoId, bool],
    folder: Path,
    words: Words,
    chosen: Chosen = ALL,
    progress: Progress = silent,
) -> Published:
    """Publish `folder` as the repo of `target`, which is made private if the second half says so, and there is none.

    MalformedError says what about the folder or the words cannot be; RefusedError if the speaker may not.
    """
    identity, private = target
    before = _standing(shelf, speaker, identity)
    if before is not None and private and not before.private:
        raise RefusedError(f"{identity.name} is public already, and what was public stays public")
    if before is None and identity.name.lower() in _RESERVED:
        raise MalformedError(f"{identity.name!r} is no name for a repo here: it would be taken for a part of an address")
    head = before.find("main") if before is not None and before.branches else None
    tree = shelf.tree(before, head) if before is not None and head is not None else {}
    paths = listed(folder, chosen)
    standing = _standing_card(shelf, before, tree)
    readme = small(paths[README], README) if README in paths else standing
    told = with_matter(readme, completed(words, readme, standing), identity.name, ours=README in paths)
    check_names(paths)
    check_case({*paths, README, *tree})
    repo = before or shelf.open(speaker, identity.kind, identity.name, private=private)
    files = list(_Keeper(shelf, repo, tree, paths, progress).keep(told))
    title = words.message or f"Publish {len(files)} files"
    draft = Draft("main", title, put=files, parent=head.oid if head else None, card=card(told))
    done = shelf.commit(speaker, repo, draft)
    changed = sum(tree.get(file.path) != file for file in files)
    return Published(shelf.find(repo.id, speaker), done, before is None, changed, len(files), sum(file.size for file in files))


def _standing(shelf: Shelf, speaker: Speaker, identity: RepoId) -> Repo | None:
    """The repo, if it is there. RefusedError if it is not the speaker's to publish."""
    if identity.owner != speaker.origin:
        raise RefusedError(
            f"{label(identity.owner)}/{identity.name} is published by {label(identity.owner)}, whose log is not signed here. "
            "Propose your files with `hf upload --create-pr`"
        )
    try:
        return shelf.find(identity, speaker)
    except MissingError:
        return None


def _standing_card(shelf: Shelf, repo: Repo | None, tree: Tree) -> bytes | None:
    """The card of the repo as it stands."""
    return b"".join(shelf.read(repo, tree[README])) if repo is not None and README in tree else None


class _Keeper:
    """Keeps the files of a publication, and says what a commit says of each."""

    def __init__(self, shelf: Shelf, repo: Repo, tree: Tree, paths: dict[str, Path], progress: Progress) -> None:
        self._shelf, self._repo, self._tree, self._paths, self._progress = shelf, repo, tree, paths, progress
        self._given: list[str] = []

    def keep(self, readme: bytes) -> Iterator[File]:
        """All files, the card as it is to be."""
        patterns = self._patterns()
        yield self._small(README, readme)
        if attributes.NAME not in {**self._tree, **self._paths}:
            yield self._small(attributes.NAME, attributes.ATTRIBUTES)
        for number, (path, real) in enumerate(self._paths.items()):
            self._progress(path, number, len(self._paths))
            if path != README:
                yield self._keep(path, real, patterns)
        self._give()

    def _patterns(self) -> list[str]:
        if attributes.NAME in self._paths:
            return attributes.large_patterns(small(self._paths[attributes.NAME], attributes.NAME))
        return self._shelf.large_patterns(self._repo, self._tree)

    def _keep(self, path: str, real: Path, patterns: Sequence[str]) -> File:
        with os.fdopen(open_file(real, path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            sample = file.read(attributes.SAMPLE)
            file.seek(0)
            if not attributes.is_large(path, size, sample, patterns):
                raw = file.read(attributes.REGULAR_MAX + 1)
                if len(raw) != size:
                    raise MalformedError(f"{path} changed while it was read. Publish it again")
                return self._small(path, raw)
            standing = self._tree.get(path)
            if standing is not None and standing.size == size and self._stands(standing, iter(lambda: file.read(PIECE), b"")):
                return standing
            file.seek(0)
            return self._take(path, iter(lambda: file.read(PIECE), b""), size)

    def _stands(self, standing: File, pieces: Iterator[bytes]) -> bool:
        """Whether a large file is the one that the repo has, and is here."""
        content = sha256()
        for piece in pieces:
            content.update(piece)
        same = standing.large and content.hexdigest() == standing.sha256
        return same and bool(self._shelf.content.whole(self._repo, [standing.sha256]))

    def _take(self, path: str, pieces: Iterator[bytes], size: int) -> File:
        digest, taken = self._shelf.content.take(pieces, None, size)
        self._give(digest)
        return File(path=path, size=taken, sha256=digest, xet=self._shelf.content.xet(digest))

    def _small(self, path: str, raw: bytes) -> File:
        digest = self._shelf.content.keep(raw)
        self._give(digest)
        return File(path=path, size=len(raw), sha256=digest, oid=git_blob(raw))

    def _give(self, *digests: str) -> None:
        """Let the repo have these, and, many at a time, those before them."""
        self._given += digests
        if len(self._given) >= GIVEN or not digests:
            self._shelf.content.give(self._repo, self._given)
            self._given.clear()
