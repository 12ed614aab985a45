"""Files in a folder against the tree that they should be: whoever gave them, and whatever else lies there.

A folder is what somebody downloaded, or was handed on a disk. So nothing in it is trusted to be a file, to be short, or to lie
where it seems to: what is read is a regular file, inside the folder or the blobs beside it, of exactly the size that the tree says.

What the tree lists and the folder lacks is *missing*: a part of a repo may be all that somebody wanted. What the folder has besides
is *extra*. Both are told, and neither is wrong by itself; an extra file is wrong where it would be taken for a listed one.
"""

import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import Path

from concord.errors import DamagedError, MissingError, TooLargeError
from concord.ledger.progress import Progress, silent
from concord.pillars.commons import File, Tree
from concord.pillars.commons.receipt import FOLDER
from concord.pillars.commons.tree import folders, git_oid

PIECE = 1 << 20  # bytes read at a time
SCANNED_MAX = 1_000_000  # files and folders that are looked at in one folder
_OF_TOOLS = {FOLDER, ".git", ".cache/huggingface"}  # at the top of a folder: what tools note there
_COMPILED = (".pyc", ".so", ".pyd")
_CACHED = "__pycache__"

Digests = tuple[str, str]  # SHA-256, and the hash that git gives to the content


@dataclass(frozen=True)
class Compared:
    """How a folder compares to a tree: so many files, of so many bytes, are as listed. `wrong` are sentences, the others paths."""

    good: int
    size: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass
class Looker:
    """Looks at the files below `folder`, which may be links to files in `stores`: those are called by their hashes.

    A cache has two stores, one of the repo (SHA-256, or the hash that git gives) and one of all repos (the Xet hash). `known`
    remembers what was hashed, so that a blob that many snapshots link to is read once.
    """

    folder: Path
    stores: tuple[Path, ...] = ()
    known: dict[str, Digests] = field(default_factory=dict)

    def compare(self, tree: Tree, progress: Progress = silent) -> Compared:
        """Compare with `tree`."""
        good, size, missing, wrong = 0, 0, list[str](), list[str]()
        for number, (path, file) in enumerate(tree.items()):
            progress(path, number, len(tree))
            try:
                self._check(path, file)
            except MissingError:
                missing.append(path)
            except DamagedError as e:
                wrong.append(f"{path} {e}")
            except OSError as e:
                wrong.append(f"{path} cannot be read: {e.strerror}")
            else:
                good, size = good + 1, size + file.size
        extra = list(self._extra(tree))
        return Compared(good, size, tuple(missing), tuple(extra), (*wrong, *_shadows(tree, extra)))

    def _check(self, path: str, file: File) -> None:
        """DamagedError if what is there is something else."""
        real = self._resolved(path)
        handle = open_regular(real)
        with os.fdopen(handle, "rb") as content:
            size = os.fstat(handle).st_size
            if size != file.size:
                raise DamagedError(f"has {size} bytes, and not {file.size}")
            if real not in self.known:
                self.known[real] = _digests(content.read, size)
        digest, oid = self.known[real]
        if digest != file.sha256:
            raise DamagedError("is not what was committed: it has another SHA-256")
        if file.oid not in (None, oid):
            raise DamagedError("is committed under a hash of git that is not its own")
        if _is_in(real, self.stores) and real.rpartition(os.sep)[2] not in (digest, git_oid(file), file.xet):
            raise DamagedError("lies in the cache under the name of another file")

    def _resolved(self, path: str) -> str:
        """Where a file really lies. MissingError if there is none; DamagedError if that is outside."""
        place = self.folder / path
        try:
            real = os.path.realpath(place, strict=True)
        except (FileNotFoundError, NotADirectoryError) as e:
            if place.is_symlink():
                raise DamagedError("is a link that leads nowhere") from e
            raise MissingError(f"no {path}") from e
        except OSError as e:
            raise DamagedError(f"cannot be found: {e.strerror}") from e
        if not _is_in(real, (self.folder, *self.stores)):
            raise DamagedError("is a link that leads out of here")
        return real

    def _extra(self, tree: Tree) -> Iterator[str]:
        """What lies there and is not listed, as far as it can be read."""
        pending, count, listed = [""], 0, {*tree, *folders(tree), *_OF_TOOLS}
        while pending:
            folder = pending.pop()
            for name, is_folder in _entries(self.folder / folder):
                path, count = f"{folder}{name}", count + 1
                if count > SCANNED_MAX:
                    raise TooLargeError(f"{self.folder} has more than {SCANNED_MAX} files and folders")
                if is_folder and path not in _OF_TOOLS:
                    pending.append(f"{path}/")
                elif path not in listed:
                    yield path


def open_regular(path: str | Path) -> int:
    """A handle to read a regular file by. MissingError if there is none; DamagedError if it is something else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError as e:
        raise MissingError(f"no {path}") from e
    except OSError as e:
        raise DamagedError(f"cannot be read: {e.strerror}") from e
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DamagedError("is no regular file")
    return handle


def _is_in(real: str, roots: Iterable[Path]) -> bool:
    return any(real.startswith(f"{root}{os.sep}") for root in roots)


def _digests(read: Callable[[int], bytes], size: int) -> Digests:
    """The digests of a file of `size` bytes, and of not a byte more."""
    content, git = sha256(), sha1(b"blob %d\0" % size, usedforsecurity=False)
    while size > 0 and (piece := read(min(PIECE, size))):
        content.update(piece)
        git.update(piece)
        size -= len(piece)
    return content.hexdigest(), git.hexdigest()


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """What is in a folder, and whether it is a folder itself; a link is none."""
    try:
        with os.scandir(folder) as found:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    except OSError:
        return []  # its files cannot be read either, which is told of each that is listed


def _shadows(tree: Tree, extra: list[str]) -> Iterator[str]:
    """A sentence for each extra file that would be taken for a listed one: on another disk, or by Python."""
    folded = {_folded(path): path for path in (*tree, *folders(tree))}
    for path in extra:
        if (listed := folded.get(_folded(path))) is not None:
            yield f"{path} is not in the commit, and where disks do not tell the two apart it is taken for {listed}. Remove it"
        elif (module := _module(path)) in tree:
            yield f"{path} is not in the commit, and Python may run it in the place of {module}. Remove it"


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _module(path: str) -> str:
    """The module in whose place Python would take a file, or "" if it would not."""
    folder, _, name = path.rpartition("/")
    stem, _, _ = name.partition(".")
    if stem == "__init__" and folder:
        return f"{folder}.py"
    if not name.endswith(_COMPILED):
        return ""
    home = folder.removesuffix(_CACHED).rstrip("/") if folder.endswith(_CACHED) else folder
    return f"{home}/{stem}.py".lstrip("/")
