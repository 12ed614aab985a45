"""Receipts of snapshots beside their files: written when files are fetched, checked offline whenever somebody wants to know.

    DIR/.concord/<oid>.tlog-proof                 beside files in a folder of one's own
    models--ns--name/.concord/<oid>.tlog-proof    in a cache of huggingface_hub, beside its `snapshots` and `blobs`
    … and <oid>.tree beside each                  what is in the two: `concord.pillars.commons.receipt`

Whoever may write to the folder may write the receipt, too, so it counts for nothing until it was verified by a policy that came
another way.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from concord.errors import ConcordError, DamagedError, MissingError, RefusedError, TooLargeError
from concord.ledger.identity import label
from concord.ledger.progress import Progress, silent
from concord.ledger.storage.files import Files
from concord.node import Node
from concord.operations.snapshots import Compared, Digests, Looker, open_regular
from concord.pillars.commons import Repo, RepoId, Revision
from concord.pillars.commons.receipt import FOLDER, LISTING, LISTING_MAX, PROOF, Receipt, Snapshot, Trust, listing, verify
from concord.reading import prove
from concord.shelf import Reader
from concord.tlog.proof import PROOF_SIZE_MAX

SNAPSHOTS, BLOBS = "snapshots", "blobs"
_OID = re.compile(r"[0-9a-f]{40}\Z")
_CACHED = re.compile(r"(model|dataset|space)s--(.+?)--(.+)\Z")  # how a cache calls the folder of a repo


@dataclass(frozen=True)
class Checked:
    """One snapshot that was checked. Without `snapshot`, nothing proves what it is: because of what is `wrong`, or, if nothing

    is, because there is no receipt.
    """

    folder: Path
    oid: str
    snapshot: Snapshot | None = None
    compared: Compared | None = None
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a snapshot lies: its files, its receipt, in a cache the folder of its repo, and whether a receipt may be lacking."""

    folder: Path
    oid: str
    notes: Path
    repo: Path | None = None
    may_lack: bool = False


def save(node: Node, repo: Repo, revision: Revision, folder: Path, *, alone: bool = False) -> None:
    """Write the receipt of a revision into `folder`/.concord: the folder of the files, or, in a cache, that of the repo.

    Each file is there whole, or as it was before. `alone` says that the folder has the files of this revision and of no other, so
    that receipts of others go. RefusedError for a private repo; StorageError if the disk refuses.
    """
    if repo.private or revision.index is None:
        raise RefusedError(
            f"{repo.id.name} is private: its commits stand in no log, so no receipt can prove them. Publish the repo to have one"
        )
    proof = prove(node, revision.commit.by, revision.index)
    content = b"".join(listing(Reader(node).tree(repo, revision)))
    notes = Files(folder / FOLDER)
    notes.write({revision.oid + LISTING: content})
    notes.write({revision.oid + PROOF: bytes(proof)})
    if alone:
        notes.remove(name for name in list(notes.names("")) if name.endswith((PROOF, LISTING)) and name[:40] != revision.oid)


def check(target: Path, trusted: Trust, progress: Progress = silent) -> Iterator[Checked]:
    """Check the snapshots in a folder, in one of a cache, or in a whole cache, each as soon as it was read.

    MissingError if there is no receipt to check by.
    """
    known: dict[str, Digests] = {}
    for place in places(target):
        yield _check(place, trusted, known, progress)


def places(target: Path) -> list[Place]:
    """The snapshots in a folder. MissingError if there is none, or no folder."""
    if not target.is_dir():
        raise MissingError(f"{target} is no folder")
    if target.resolve().parent.name == SNAPSHOTS:
        repo = target.resolve().parents[1]
        return [Place(target.resolve(), target.resolve().name, repo / FOLDER, repo)]
    if (target / SNAPSHOTS).is_dir() and _CACHED.match(target.resolve().name):
        found = _in_repo(target.resolve())
    elif oids := _receipts(target / FOLDER):
        found = [Place(target.resolve(), oid, target / FOLDER) for oid in oids]
    else:
        repos = [path for path in _folders(target) if _CACHED.match(path.name)]
        found = [place for repo in repos for place in _in_repo(target.resolve() / repo.name, may_lack=True)]
    if not found or all(place.may_lack and not _receipts(place.notes) for place in found):
        raise MissingError(
            f"{target} has no receipts, so nothing here says which files these should be. "
            f"`concord pull` writes them; they lie in folders called {FOLDER}"
        )
    return found


def _in_repo(repo: Path, *, may_lack: bool = False) -> list[Place]:
    """The snapshots of a repo in a cache. One of another hub has no receipts, which says nothing against it."""
    lacks = may_lack and not (repo / FOLDER).exists()
    return [Place(path, path.name, repo / FOLDER, repo, lacks) for path in _folders(repo / SNAPSHOTS)]


def _check(place: Place, trusted: Trust, known: dict[str, Digests], progress: Progress) -> Checked:
    if place.may_lack:
        return Checked(place.folder, place.oid)
    try:
        if place.repo is not None and (place.folder.is_symlink() or place.repo.is_symlink()):
            raise DamagedError("the folder is a link, which may lead out of the cache")
        snapshot = verify(place.oid, _read(place), trusted)
        if place.repo is not None:
            _check_name(place.repo.name, snapshot.commit.repo)
        stores = (place.repo / BLOBS, place.repo.parent / BLOBS) if place.repo else ()
        compared = Looker(place.folder, stores, known).compare(snapshot.tree, progress)
    except ConcordError as e:
        return Checked(place.folder, place.oid, wrong=(str(e),))
    return Checked(place.folder, place.oid, snapshot, compared, compared.wrong)


def _check_name(folder: str, repo: RepoId) -> None:
    """A repo may have been renamed since, but it is still of this member, and of this kind."""
    found = _CACHED.match(folder)
    if found is not None and found.groups()[:2] != (repo.kind, label(repo.owner)):
        raise DamagedError(f"the commit is of the {repo.kind} {label(repo.owner)}/{repo.name}, and the folder is called {folder}")


def _read(place: Place) -> Receipt:
    if not _OID.match(place.oid):
        raise MissingError(f"{place.oid[:100]} is not the name of a commit, so there is no receipt of it")
    try:
        proof = _read_file(place.notes / (place.oid + PROOF), PROOF_SIZE_MAX)
        content = _read_file(place.notes / (place.oid + LISTING), LISTING_MAX)
    except MissingError as e:
        raise MissingError("there is no receipt, or half of one, so nothing proves what these files are. Pull them again") from e
    return Receipt(proof, content)


def _read_file(path: Path, most: int) -> bytes:
    with os.fdopen(open_regular(path), "rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise TooLargeError(f"{path}: more than {most} bytes")
    return raw


def _receipts(notes: Path) -> list[str]:
    """The oids that a folder has receipts of."""
    try:
        names = [entry.name for entry in os.scandir(notes)]
    except OSError:
        return []
    return sorted(name.removesuffix(PROOF) for name in names if name.endswith(PROOF) and _OID.match(name.removesuffix(PROOF)))


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, and links, in order."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_symlink() or entry.is_dir())
    except OSError:
        return []
