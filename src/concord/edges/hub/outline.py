"""A tree as listings show it: folders and files in one order, from which any page can be cut.

>>> tree = {path: File(path=path, size=1, sha256="9f" * 32, oid="ab" * 20) for path in ("b", "a/c", "a/d/e")}
>>> outline = Outline(tree)
>>> [each.path for each in outline.inside("", recursive=False)], [each.path for each in outline.inside("a", recursive=True)]
(['a', 'b'], ['a/c', 'a/d', 'a/d/e'])
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from concord.pillars.commons import File, Revision
from concord.pillars.commons.tree import git_folders

KEPT = 4


@dataclass(frozen=True)
class Folder:
    """A folder of a tree, with the hash that git would give to it."""

    path: str
    oid: str


Entry = File | Folder


class Outline:
    """A tree as listings show it: folders and files in one order, all of them and by folder."""

    def __init__(self, tree: Mapping[str, File]) -> None:
        oids = git_folders(tree)
        folders = [Folder(path, oid) for path, oid in oids.items() if path]
        self.all: list[Entry] = sorted([*tree.values(), *folders], key=_order)
        self._keys = [_order(each) for each in self.all]
        self._inside: dict[str, list[Entry]] = {path: [] for path in oids}
        for each in self.all:
            self._inside[each.path.rpartition("/")[0]].append(each)

    def inside(self, folder: str, *, recursive: bool) -> Sequence[Entry] | None:
        """What is in a folder ("": the whole), or None if there is no such folder."""
        if folder not in self._inside:
            return None
        if not recursive:
            return self._inside[folder]
        if not folder:
            return self.all
        start = bisect_left(self._keys, folder.encode() + b"/")
        return self.all[start : bisect_left(self._keys, folder.encode() + b"0")]  # "0" follows "/"

    def find(self, path: str) -> Entry | None:
        """The file or folder at a path."""
        at = bisect_left(self._keys, path.encode())
        return self.all[at] if at < len(self.all) and self.all[at].path == path else None


class Outlines:
    """The outlines of the last few trees, because a long listing is asked for page by page."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Outline] = OrderedDict()
        self._turn = Lock()

    def of(self, revision: Revision, tree: Mapping[str, File]) -> Outline:
        """The outline of a revision whose tree this is."""
        with self._turn:
            found = self._kept.pop(revision.commit.tree, None) or Outline(tree)
            self._kept[revision.commit.tree] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found


def _order(each: Entry) -> bytes:
    return each.path.encode()
