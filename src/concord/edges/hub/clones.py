"""The git objects of repos, kept from one request of git to the next."""

from collections import OrderedDict
from threading import Lock

from concord.errors import ConcordError, MissingError
from concord.pillars.commons import Repo
from concord.pillars.commons.git import SIZE_MAX, Objects, ordered
from concord.shelf import Reader

KEPT = 4  # repos whose objects stay in memory
PULLS_MAX = SIZE_MAX // 2  # bytes of objects after which no more of what others propose is taken in


class Clones:
    """The git objects of the last few repos, because git asks at least twice."""

    def __init__(self, shelf: Reader) -> None:
        self._shelf = shelf
        self._kept: OrderedDict[str, Objects] = OrderedDict()
        self._left: set[str] = set()
        self._turn = Lock()

    def objects(self, repo: Repo) -> Objects:
        """The objects of what the refs of a repo lead to. A pull request that is wrong, too large or not here is left out.

        TooLargeError or DamagedError if what the owner said is so, MissingError if it is not here.
        """
        with self._turn:
            objects = self._kept.pop(repo.root, None) or Objects()
            for leaf in sorted(repo.own()):
                self._add(objects, repo, leaf, SIZE_MAX)
            for leaf in sorted(repo.refs() - repo.own() - self._left):
                try:
                    self._add(objects, repo, leaf, PULLS_MAX)
                except MissingError:
                    pass  # it may come
                except ConcordError:
                    self._left.add(leaf)
            self._kept[repo.root] = objects
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return objects

    def _add(self, objects: Objects, repo: Repo, leaf: str, most: int) -> None:
        """Add a commit, and all that it follows, if together they make the tree that it names."""
        if leaf not in objects.names:
            self._shelf.tree(repo, repo.revisions[leaf])
        for revision in ordered(repo, leaf, objects.names):
            objects.add(revision, self._shelf.changes(revision), most)
