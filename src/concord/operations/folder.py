"""A folder as it is brought into a repo: which of its files, and whether each can stand in a repo and on every disk.

Links are followed as far as they stay inside. Two paths that are one on some disk, and names that some disk does not take, are told
before anything is brought.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from concord.errors import DamagedError, MalformedError, MissingError
from concord.operations.snapshots import open_regular
from concord.pillars.commons import attributes
from concord.pillars.commons.tree import check_path, odd

FILES_MAX = 100_000
IGNORED = {".git", ".cache", ".concord", "__pycache__"}


@dataclass(frozen=True)
class Chosen:
    """Which files of a folder: those that fit `include` (all, if there is none), but for those that fit `exclude`."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def takes(self, path: str) -> bool:
        """Whether a file is chosen. A pattern is one of a shell; one that ends in a slash means all below."""
        fits = [any(fnmatchcase(path, _whole(each)) for each in some) for some in (self.include, self.exclude)]
        return (fits[0] or not self.include) and not fits[1]


ALL = Chosen()


def listed(folder: Path, chosen: Chosen = ALL) -> dict[str, Path]:
    """The files of a folder that can be published: the path that each has in a repo, and where it really lies.

    MalformedError for none, too many, a path that cannot stand in a repo, a link that leads out, or what is no file.
    """
    if not folder.is_dir():
        raise MissingError(f"{folder} is no folder")
    root, found = folder.resolve(), dict[str, Path]()
    for path, real in _walk(root):
        if chosen.takes(path):
            if path in found:
                raise MalformedError(f"{path} is there twice: two spellings of one name")
            found[check_path(path)] = real
        if len(found) > FILES_MAX:
            raise MalformedError(f"{folder} has more than {FILES_MAX} files: publish it in parts, as several repos")
    if not found:
        raise MalformedError(f"{folder} has no files to publish")
    return found


def small(real: Path, path: str) -> bytes:
    """The bytes of a small file, such as a card. MalformedError if it is none."""
    with os.fdopen(open_file(real, path), "rb") as file:
        raw = file.read(attributes.REGULAR_MAX + 1)
    if len(raw) > attributes.REGULAR_MAX:
        raise MalformedError(f"{path}: a card has at most {attributes.REGULAR_MAX} bytes")
    return raw


def open_file(real: Path, path: str) -> int:
    """A handle on a regular file; `path` is for messages. MissingError if it is none any more."""
    try:
        return open_regular(real)
    except (DamagedError, MissingError) as e:
        raise MissingError(f"{path} {e}") from e


def check_names(paths: Iterable[str]) -> None:
    """That every disk takes these names."""
    for path in paths:
        if (part := odd(path)) is not None:
            raise MalformedError(f"{path}: no Windows disk takes the name {part!r}. Give it another")


def check_case(paths: Iterable[str]) -> None:
    """That no two files or folders are one on some disk."""
    seen: dict[str, str] = {}
    for path in sorted(paths):
        for end in (*(at for at, char in enumerate(path) if char == "/"), len(path)):
            spelled = path[:end]
            other = seen.setdefault(spelled.casefold(), spelled)
            if other != spelled:
                raise MalformedError(f"{spelled} and {other} are one on disks that do not tell large letters from small ones")


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder, links followed as far as they stay inside, without what tools keep there."""
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as e:
            raise MissingError(f"{root / folder} cannot be read: {e.strerror}") from e
        for entry in entries:
            path = f"{folder}{entry.name}"
            if entry.name in IGNORED:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{path}/")
            else:
                yield unicodedata.normalize("NFC", path), _real(root, path)


def _real(root: Path, path: str) -> Path:
    """Where a file really lies. MalformedError if that is no file, or outside."""
    try:
        real = Path(os.path.realpath(root / path, strict=True))
    except OSError as e:
        raise MalformedError(f"{path} is a link that leads nowhere: {e.strerror}") from e
    if not real.is_relative_to(root):
        raise MalformedError(f"{path} is a link that leads out of the folder: copy the file into it")
    if not real.is_file():
        raise MalformedError(f"{path} is no file: a link to a folder, a pipe or a device cannot be published")
    return real


def _whole(pattern: str) -> str:
    return f"{pattern}*" if pattern.endswith("/") else pattern
