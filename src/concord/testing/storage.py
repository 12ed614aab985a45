"""Storage in memory that can crash, fill up and be restored from a backup, and blobs on a disk that crash."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from concord.errors import StorageError
from concord.ledger.blobs import Blobs


class CrashError(BaseException):
    """The machine goes down here. Not an Exception: nothing that runs on it may catch and survive it."""


class Crash:
    """The machine goes down at the `left`-th of the steps that are counted."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise CrashError


class CrashingBlobs(Blobs):
    """Blobs whose machine goes down before, or after, one of them is removed."""

    def __init__(self, root: Path, step: Crash) -> None:
        super().__init__(root)
        self.step = step

    def discard(self, digest: str, before: int) -> bool:
        self.step()
        done = super().discard(digest, before)
        self.step()
        return done


class MemoryStorage:
    """Storage whose files are in `files`. Laws as in `concord.ledger.storage.Storage`.

    `crash(names)` is asked before a write of `names`: it answers how many of them land before the machine goes down, or None
    for all and no crash. `room` is how many bytes fit (None: any number).
    """

    def __init__(self, files: Mapping[str, bytes] | None = None, room: int | None = None) -> None:
        self.files: dict[str, bytes] = dict(files or {})
        self.room = room
        self.crash: Callable[[list[str]], int | None] = lambda _: None
        self._unsettled: dict[str, bytes | None] = {}
        self._lock = RLock()

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        landed = self.crash(list(files))
        if landed is not None:
            self.files |= dict(list(files.items())[:landed])
            raise CrashError
        if self.room is not None and sum(map(len, self.files.values())) + sum(map(len, files.values())) > self.room:
            raise StorageError("the disk is full; nothing acknowledged is lost. Free some space, then do it again")
        for name in files:
            if durable:
                self._unsettled.pop(name, None)
            else:
                self._unsettled.setdefault(name, self.files.get(name))
        self.files |= files

    def settle(self) -> None:
        self._unsettled.clear()

    def cut_power(self, lost: Callable[[str], bool]) -> None:
        """Lose what was never settled: each file for which `lost` says so is as it was before."""
        for name, before in self._unsettled.items():
            if lost(name) and before is None:
                self.files.pop(name, None)
            elif lost(name) and before is not None:
                self.files[name] = before
        self._unsettled.clear()

    def remove(self, names: Iterable[str]) -> None:
        for name in list(names):
            self.files.pop(name, None)

    def names(self, prefix: str) -> Iterator[str]:
        yield from [name for name in self.files if name.startswith(f"{prefix.rstrip('/')}/")]

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:  # noqa: ARG002  one lock serves for all names
        with self._lock:
            yield

    def backup(self) -> dict[str, bytes]:
        """The files as they are now, to make another storage from."""
        return dict(self.files)
