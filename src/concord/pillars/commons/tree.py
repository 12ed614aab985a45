"""The tree of a repo: which files a revision has. A pure fold over what each commit changed.

A commit says what it puts and what it removes, and the digest of the whole tree afterwards. So a repo of 100,000 files that
grows by fifty says fifty, whoever has all commits of a branch has the tree, and whoever computed it wrongly notices.

>>> first = File(path="README.md", size=3, sha256="9f" * 32, oid="ab" * 20)
>>> tree = grow({}, [first], [])
>>> [*grow(tree, [], ["README.md"])], digest(tree)[:16]
([], 'f03b942625da3f4b')

Removing `data` removes the file `data`, or everything below the folder. Paths are what every client and every disk can take:
no empty part, no `.` or `..`, no leading or trailing slash, no control character, at most 1,024 bytes and 100 parts, in
Unicode's form C. A tree has at most 200,000 files and as many folders, so that whoever reads it, whoever made it, has the memory.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from concord.errors import MalformedError
from concord.ledger.record import ENCODER, Count, Digest, Part

PATH_MAX = 1024  # bytes
PART_MAX = 255  # bytes of one part of a path: what file systems take
DEPTH_MAX = 100  # parts of a path
FILES_MAX = 200_000  # of a tree; and folders

Path = Annotated[str, Meta(min_length=1, max_length=PATH_MAX, description="the path of a file in a repo")]
GitHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{40}\Z", description="the hash that git gives to the content")]
XetHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="the Xet hash of the content, in its own spelling")]

Tree = Mapping[str, "File"]


class File(Part, frozen=True):
    """One file of a tree. `oid` is git's hash of a file that is kept whole; a large file has none, and is known by `sha256`.

    `xet` is the hash of its chunks, for whoever fetches it chunk by chunk.
    """

    path: Path
    size: Count
    sha256: Digest
    oid: GitHash | None = None
    xet: XetHash | None = None

    @property
    def large(self) -> bool:
        """Whether it is kept as a large file, which git knows only by a pointer."""
        return self.oid is None


_NO_PARTS = {"", ".", ".."}
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
_SIGNS = set('<>:"|?*')
_LINE = msgspec.json.Decoder(File)


def grow(tree: Tree, put: Iterable[File], removed: Iterable[str]) -> dict[str, File]:
    """`tree` without what is `removed`, and then with what is `put`.

    MalformedError for a path that is none, one put twice, one that is a file and a folder at once, one removed that is not there,
    or too many files or folders.
    """
    grown = dict(tree)
    _remove(grown, removed)
    seen: set[str] = set()
    for file in put:
        if check_path(file.path) in seen:
            raise MalformedError(f"{file.path} is put twice")
        seen.add(file.path)
        grown[file.path] = file
    if not seen <= tree.keys():
        _check_shape(grown)
    return grown


def digest(tree: Tree) -> str:
    """SHA-256 (hex) over the listing of the tree."""
    content = sha256()
    for line in listing(tree):
        content.update(line)
    return content.hexdigest()


def listing(tree: Tree) -> Iterator[bytes]:
    """The files in the order of their paths' bytes, each in its canonical spelling on a line of its own."""
    return (ENCODER.encode(tree[path]) + b"\n" for path in sorted(tree, key=str.encode))


def parse_listing(raw: bytes) -> dict[str, File]:
    """The tree whose listing this is. MalformedError unless it is the one listing of a tree that commits can make."""
    tree: dict[str, File] = {}
    last = b""
    for number, line in enumerate(raw.splitlines(keepends=True), 1):
        file = _parse_line(line, number)
        path = check_path(file.path).encode()
        if path <= last:
            raise MalformedError(f"line {number} of a listing: {file.path[:100]!r} is out of order")
        tree[file.path], last = file, path
    _check_shape(tree)
    return tree


def check_path(path: str) -> str:
    """`path`, if it can be one. MalformedError says why it cannot."""
    parts, size = path.split("/"), len(path.encode(errors="replace"))
    if not path or not _NO_PARTS.isdisjoint(parts):
        raise MalformedError(f"{path[:100]!r} is no path: a part of it is empty, '.' or '..'")
    if size > PATH_MAX or (size > PART_MAX and any(len(part.encode(errors="replace")) > PART_MAX for part in parts)):
        raise MalformedError(f"{path[:100]!r} is no path: over {PATH_MAX} bytes, or a part of it over {PART_MAX}")
    if len(parts) > DEPTH_MAX:
        raise MalformedError(f"{path[:100]!r} is no path: it is more than {DEPTH_MAX} parts deep")
    if not _is_plain(path):
        raise MalformedError(f"{path[:100]!r} is no path: it has a control character or a backslash")
    if unicodedata.normalize("NFC", path) != path:
        raise MalformedError(f"{path[:100]!r} is no path: it is not in Unicode's form C, and would look like another")
    if parts[0].casefold() == ".git":
        raise MalformedError(f"{path[:100]!r} is no path: .git is git's own")
    return path


def _is_plain(path: str) -> bool:
    """Whether there is no control character and no backslash in a path. What is ASCII can be printed, or is one."""
    if path.isascii():
        return path.isprintable() and "\\" not in path
    return "\\" not in path and all(unicodedata.category(char) not in ("Cc", "Cs", "Cf") for char in path)


def fits(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path, in small letters, is like one of these patterns, in which `*` is anything.

    >>> fits("docs/LICENSE.txt", ["license*", "*/license*"])
    True
    """
    return _matcher(tuple(patterns))(path.lower()) is not None


class Paths:
    """The paths of a tree, made ready for asking many times which of them fit.

    Of 100,000 paths most fit nothing. So a pattern is left out if its longest word is nowhere in any of them, and what is left
    becomes one expression.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._lowered = [(path, path.lower()) for path in paths]
        self._text = "\n".join(lowered for _, lowered in self._lowered)

    def like(self, patterns: Iterable[str]) -> list[str]:
        """The paths that fit, in their order.

        >>> Paths(["docs/LICENSE.txt", "a.py"]).like(["license*", "*/license*"])
        ['docs/LICENSE.txt']
        """
        kept = tuple(pattern for pattern in patterns if _word(pattern) in self._text)
        matches = _matcher(kept)
        return [path for path, lowered in self._lowered if matches(lowered)] if kept else []


@lru_cache(maxsize=1000)
def _matcher(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """What tells whether a path in small letters is like one of these patterns: None if it is not."""
    return re.compile("|".join(map(translate, patterns)) if patterns else r"(?!)").match


def _word(pattern: str) -> str:
    """The longest run of letters that is in whatever is like this pattern. A choice in brackets is not looked into."""
    return max(re.split(r"[*?]", "" if "[" in pattern else pattern), key=len)


def clashes(tree: Tree, paths: Iterable[str]) -> list[tuple[str, str]]:
    """Which of these paths differ from others of the tree in capitals alone. They are two files, which many disks take for one.

    >>> clashes(dict.fromkeys(["README.md", "readme.md", "a"]), ["readme.md", "a"])
    [('README.md', 'readme.md')]
    """
    folded = {path.casefold(): path for path in paths}
    return [(path, folded[alike]) for path in tree if folded.get(alike := path.casefold(), path) != path]


def odd(path: str) -> str | None:
    """The part of a path that no Windows disk takes as a name, or None.

    That is one of a device, one with a sign of its own, or one with an end that it drops.

    >>> odd("data/aux.txt"), odd("what?"), odd("data/auxiliary.txt")
    ('aux.txt', 'what?', None)
    """
    for part in path.split("/"):
        if part.partition(".")[0].rstrip(" ").lower() in _DEVICES or part.endswith((" ", ".")) or _SIGNS & set(part):
            return part
    return None


def git_blob(content: bytes) -> str:
    """The hash that git gives to a file of this content (hex): git's objects, chapter 10.2 of its book."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def pointer(file: File) -> bytes:
    """What git keeps in place of a large file: a pointer of Git LFS, version 1."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.sha256}\nsize {file.size}\n".encode()


def git_oid(file: File) -> str:
    """The hash under which git knows the file: of its content, or of the pointer to it."""
    return file.oid or git_blob(pointer(file))


def folders(tree: Iterable[str]) -> set[str]:
    """All folders that the paths of a tree name. MalformedError for more than FILES_MAX."""
    found: set[str] = set()
    for path in tree:
        while "/" in path and (path := path.rpartition("/")[0]) not in found:
            found.add(path)
        if len(found) > FILES_MAX:
            raise MalformedError(f"a tree with more than {FILES_MAX} folders: make several repos of it")
    return found


def git_folders(tree: Tree) -> dict[str, str]:
    """All folders of a tree ("": the whole), each with the hash that git gives to it.

    >>> git_folders({})
    {'': '4b825dc642cb6eb9a060e54bf8d69288fbee4904'}
    """
    inside: dict[str, list[tuple[bytes, bytes]]] = {path: [] for path in ("", *folders(tree))}
    for path, file in tree.items():
        folder, _, name = path.rpartition("/")
        inside[folder].append((name.encode(), b"100644 %b\0%b" % (name.encode(), bytes.fromhex(git_oid(file)))))
    oids: dict[str, str] = {}
    for path in sorted(inside, key=lambda path: path.count("/") if path else -1, reverse=True):
        content = b"".join(line for _, line in sorted(inside[path]))
        oids[path] = sha1(b"tree %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        folder, _, name = path.rpartition("/")
        if path:  # git orders a folder as if its name ended with a slash
            inside[folder].append((name.encode() + b"/", b"40000 %b\0%b" % (name.encode(), bytes.fromhex(oids[path]))))
    return oids


def _parse_line(line: bytes, number: int) -> File:
    try:
        file = _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"line {number} of a listing is no file: {e}") from e
    if ENCODER.encode(file) + b"\n" != line:
        raise MalformedError(f"line {number} of a listing is not in its canonical spelling")
    return file


def _remove(tree: dict[str, File], removed: Iterable[str]) -> None:
    """Take out files, and folders with what is below. The paths are put in order once, however many folders go."""
    ordered: list[str] = []
    for path in removed:
        if tree.pop(path, None) is not None:
            continue
        ordered = ordered or sorted(tree)
        first, last = (bisect_left(ordered, f"{path}{mark}") for mark in "/0")  # "0" is what follows "/"
        below = [name for name in ordered[first:last] if tree.pop(name, None) is not None]
        if not below:
            raise MalformedError(f"{path[:100]!r} is removed, and is not there")


def _check_shape(tree: Tree) -> None:
    """MalformedError for too many files or folders, or a path that is both."""
    if len(tree) > FILES_MAX:
        raise MalformedError(f"a tree of {len(tree)} files, over {FILES_MAX}: make several repos of them")
    both = next((path for path in folders(tree) if path in tree), None)
    if both is not None:
        raise MalformedError(f"{both} would be a file and a folder at once")
