"""Files of a POSIX system: temp file, fsync, rename, fsync of the folder.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as home:
...     files = Files(Path(home))
...     files.write({"logs/a/checkpoint": b"3"})
...     files.read("logs/a/checkpoint"), files.read("logs/b"), list(files.names("logs"))
(b'3', None, ['logs/a/checkpoint'])
"""

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock, get_ident
from weakref import WeakValueDictionary

from concord.errors import StorageError

_serial = count()


class Files:
    """Storage in a folder. Several threads and processes may use one folder at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._locks: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as e:
            raise told(e, self.root / name) from e

    def write(self, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        targets = [self.root / name for name in files]
        ready = [(_temporary(target) if durable else target, target) for target in targets]
        try:
            for (temporary, _), content in zip(ready, files.values(), strict=True):
                _write(temporary, content)
            if durable:
                sync(temporary for temporary, _ in ready)
                for temporary, target in ready:
                    temporary.replace(target)
                sync({target.parent for target in targets})
        except OSError as e:
            for temporary, _ in ready:
                with suppress(OSError):
                    temporary.unlink()
            raise told(e, self.root) from e

    def settle(self) -> None:
        os.sync()  # for many files at once this costs less than a sync for each

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self.root / name
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as e:
                raise told(e, path) from e
            with suppress(OSError):  # a folder that is not empty stays
                path.parent.rmdir()

    def names(self, prefix: str) -> Iterator[str]:
        for folder, _, files in os.walk(self.root / prefix):
            for file in files:
                if not file.endswith(TEMPORARY):
                    yield Path(folder, file).relative_to(self.root).as_posix()

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        lock = self._locks.setdefault(name, Lock())
        with lock:
            try:
                handle = _take_lock(self.root / name)
            except OSError as e:
                raise told(e, self.root / name) from e
            try:
                yield
            finally:
                os.close(handle)


TEMPORARY = ".new"


def free(folder: Path) -> int:
    """How many bytes the disk that has this folder may still take."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def told(error: OSError, path: Path) -> StorageError:
    """The system's error as ours: what happened, and what to do."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            said = "the disk is full; nothing acknowledged is lost. Free some space, then do it again"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            said = "the home may not be written. Give its owner the right to write, or choose another with --home"
        case errno.ENOENT | errno.ENOTDIR | errno.EISDIR | errno.EEXIST:
            said = f"nothing can be written there ({error.strerror}). Choose another place"
        case _:
            said = f"the disk does not do what it should ({error.strerror}). Check it before anything else"
    return StorageError(f"{path}: {said}")


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{get_ident()}.{next(_serial)}{TEMPORARY}")


def _write(path: Path, content: bytes) -> None:
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
    try:
        handle = os.open(path, flags, 0o644)
    except FileNotFoundError:
        make_folder(path.parent)
        handle = os.open(path, flags, 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, each durable in the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync([folder.parent])


def sync(paths: Iterable[Path]) -> None:
    """Make durable what was written to these files, or the names in these folders."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _take_lock(path: Path) -> int:
    """A handle on the locked file; of the one that stands there now, if another was removed while we waited for it."""
    while True:
        make_folder(path.parent)
        with suppress(FileNotFoundError):  # the folder was removed in between
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, path):
                return handle
            os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False
