"""Where files that were pulled go: the cache that the clients of the Hugging Face Hub read, or a folder of one's own.

    <cache>/models--nairobi--words/blobs/<etag>                the bytes, under git's hash (small) or the SHA-256 (large)
                                  /snapshots/<commit>/<path>   a relative link to them
                                  /refs/main                   the commit that the branch has
                                  /.concord/                   receipts (`concord.operations.receipts`)

A file has its name only once all of it is there: what is half is called `<name>.….incomplete`, and the next run makes it anew from
the store of the node, which asks peers only for what is not here. A ref is written last, so that a snapshot that a client finds
by it is whole.

>>> folder_name("model", "nairobi/words")
'models--nairobi--words'
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Protocol

from concord.errors import DamagedError, MalformedError
from concord.ledger.storage.files import told
from concord.pillars.commons import File
from concord.pillars.commons.tree import git_oid

INCOMPLETE = ".incomplete"
_TAKEN = (".concord", ".cache/huggingface")  # what of a folder of one's own is not for the files of a repo
_CLIENT = Path(".cache", "huggingface", "download")  # where clients note what they know of the files of a folder

Came = Callable[[int], None]


def folder_name(kind: str, name: str) -> str:
    """What a cache calls the folder of a repo."""
    return f"{kind}s--{name.replace('/', '--')}"


def standard(environment: Mapping[str, str]) -> Path:
    """The cache that clients with this environment read.

    >>> standard({"HF_HOME": "/data/hf"}), standard({"HF_HUB_CACHE": "/c", "HF_HOME": "/data/hf"})
    (PosixPath('/data/hf/hub'), PosixPath('/c'))
    """
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environment.get(name):
            return Path(environment[name]).expanduser()
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]).expanduser() / "hub"
    return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


class Target(Protocol):
    """Where the files of one revision go. `notes` is the folder for its receipt; `alone`: files of others do not go there."""

    folder: Path
    notes: Path
    alone: bool

    def has(self, file: File) -> bool:
        """Whether all of a file is there."""

    def put(self, file: File, pieces: Iterable[bytes], came: Came) -> None:
        """Write a file; `came` is told how many bytes were. DamagedError if they are not those of the file."""

    def link(self, file: File) -> None:
        """Let the revision have a file that is there."""

    def finish(self, ref: str | None) -> None:
        """Let `ref` name the revision, now that all of it is there."""


class Halves:
    """What earlier runs left half of files, by the file. Each folder is looked through once: it may have a hundred thousand."""

    def __init__(self) -> None:
        self._found: dict[Path, dict[str, list[Path]]] = {}
        self._turn = Lock()

    def of(self, path: Path) -> list[Path]:
        """The halves of one file."""
        with self._turn:
            if path.parent not in self._found:
                self._found[path.parent] = self._listed(path.parent)
            return self._found[path.parent].get(path.name[-200:], [])

    def _listed(self, folder: Path) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(INCOMPLETE):
                    name = entry.name.removesuffix(INCOMPLETE).rpartition(".")[0]
                    found.setdefault(name, []).append(Path(entry.path))
        return found


class Cache:
    """A revision in a cache."""

    alone = False

    def __init__(self, cache: Path, kind: str, name: str, oid: str) -> None:
        self.notes = cache / folder_name(kind, name)
        self.folder = self.notes / "snapshots" / oid
        self._oid, self._halves = oid, Halves()

    def has(self, file: File) -> bool:
        with suppress(OSError):
            return self._blob(file).stat().st_size == file.size
        return False

    def put(self, file: File, pieces: Iterable[bytes], came: Came) -> None:
        write(self._blob(file), file, pieces, came, self._halves)

    def link(self, file: File) -> None:
        path = inside(self.folder, file.path)
        target = os.path.relpath(self._blob(file), path.parent)
        try:
            if path.is_symlink() and path.readlink() == Path(target):
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{os.urandom(8).hex()}")
            beside.symlink_to(target)
            beside.replace(path)
        except OSError as e:
            raise told(e, path) from e

    def finish(self, ref: str | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if ref is not None and ref != self._oid:
            path = inside(self.notes / "refs", ref)
            _replace(path, self._oid.encode())

    def _blob(self, file: File) -> Path:
        return self.notes / "blobs" / (file.sha256 if file.large else git_oid(file))


class Folder:
    """A revision in a folder of one's own, with the notes by which clients know what they find there."""

    alone = True

    def __init__(self, folder: Path, oid: str) -> None:
        self.folder = self.notes = folder
        self._oid, self._halves = oid, Halves()

    def has(self, file: File) -> bool:
        path = self._place(file)
        with suppress(OSError):
            return path.stat().st_size == file.size and _digest(path) == file.sha256
        return False

    def put(self, file: File, pieces: Iterable[bytes], came: Came) -> None:
        write(self._place(file), file, pieces, came, self._halves)

    def link(self, file: File) -> None:
        etag = file.sha256 if file.large else git_oid(file)
        note = inside(self.folder / _CLIENT, f"{file.path}.metadata")
        _replace(note, f"{self._oid}\n{etag}\n{time.time()}\n".encode())

    def finish(self, ref: str | None) -> None:  # noqa: ARG002  a folder has one revision, and no refs
        self.folder.mkdir(parents=True, exist_ok=True)

    def _place(self, file: File) -> Path:
        """Where a file goes. MalformedError if that is where receipts and clients' notes are, whose place no file may take."""
        taken = next((each for each in _TAKEN if f"{file.path}/".casefold().startswith(f"{each}/")), None)
        if taken:
            raise MalformedError(
                f"{taken} is where notes of what was pulled are kept in a folder, and not for files of a repo. "
                f"Pull it into a cache, or leave it out with --exclude '{taken}/*'"
            )
        return inside(self.folder, file.path)


def inside(folder: Path, path: str) -> Path:
    """Where a path of a repo is in a folder. MalformedError if it, or a link on the way to it, leads out of the folder."""
    target = folder / path
    parts = Path(path).parts
    ways_out = Path(path).is_absolute() or ".." in parts or not parts
    if ways_out or any((folder / Path(*parts[:count])).is_symlink() for count in range(1, len(parts))):
        raise MalformedError(f"{path[:200]!r} leads out of {folder}")
    return target


def write(path: Path, file: File, pieces: Iterable[bytes], came: Came, halves: Halves) -> None:
    """Write a file under its name once all of it is there. DamagedError if it is not the file."""
    half = path.with_name(f"{path.name[-200:]}.{os.urandom(4).hex()}{INCOMPLETE}")
    digest = sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(halves.of(path))
        with half.open("xb") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            for piece in pieces:
                digest.update(piece)
                out.write(piece)
                came(len(piece))
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != file.sha256:
            raise DamagedError(f"{file.path}: what is stored here of it is not what was committed; say `concord verify --deep`")
        half.replace(path)
    except OSError as e:
        raise told(e, path) from e
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


def _clear(halves: Iterable[Path]) -> None:
    """Remove what runs that were killed left half of a file; what another process writes now stays."""
    for half in halves:
        with suppress(OSError), half.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            half.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    """Write a small file: there afterwards, or as it was before."""
    beside = path.with_name(f".{os.urandom(8).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as e:
        raise told(e, path) from e


def _digest(path: Path) -> str:
    digest = sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
