"""The git objects of repos, kept from one request of git to the next.

To compute them takes seconds for a long history, and a stranger can ask for many. So one repo is computed at a time, few
requests wait for it, and the others are told to come again; who asks for what is kept waits for nobody.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock

from concord.errors import BusyError, ConcordError
from concord.pillars.commons import Repo
from concord.pillars.commons.git import SIZE_MAX, Objects, ordered
from concord.shelf import Reader

KEPT = 4  # repos whose objects stay in memory
WAITING = 4  # requests that wait for objects to be computed, or compute them
PULLS_MAX = SIZE_MAX // 2  # bytes of objects after which no more of what others propose is taken in


@dataclass
class Kept:
    """The objects of one repo, and the heads of pull requests that are left out of them, by leaf hash."""

    objects: Objects = field(default_factory=Objects)
    left: set[str] = field(default_factory=set)

    def knows(self, repo: Repo) -> bool:
        """Whether nothing is to be added for the repo as it stands."""
        return all(leaf in self.objects.names or leaf in self.left for leaf in repo.refs())


class Clones:
    """The git objects of the last few repos."""

    def __init__(self, shelf: Reader) -> None:
        self._shelf = shelf
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._turn = Lock()
        self._places = BoundedSemaphore(WAITING)

    def objects(self, repo: Repo) -> Objects:
        """The objects of what the refs of a repo lead to. A pull request that is wrong, too large or not here is left out.

        TooLargeError or DamagedError if what the owner said is so, MissingError if it is not here, BusyError if others wait.
        """
        kept = self._kept.get(repo.root)
        if kept is not None and kept.knows(repo):
            return kept.objects
        if not self._places.acquire(blocking=False):
            raise BusyError("other repos are being made ready for git; try again in a moment")
        try:
            with self._turn:
                return self._computed(repo)
        finally:
            self._places.release()

    def _computed(self, repo: Repo) -> Objects:
        kept = self._kept.pop(repo.root, None) or Kept()
        for leaf in sorted(repo.own()):
            self._add(kept.objects, repo, leaf, SIZE_MAX)
        for leaf in sorted(repo.refs() - repo.own()):
            try:
                self._add(kept.objects, repo, leaf, PULLS_MAX)
            except ConcordError:
                kept.left.add(leaf)
        self._kept[repo.root] = kept
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept.objects

    def _add(self, objects: Objects, repo: Repo, leaf: str, most: int) -> None:
        """Add a commit, and all that it follows, if together they make the tree that it names."""
        if leaf not in objects.names:
            self._shelf.tree(repo, repo.revisions[leaf])
        for revision in ordered(repo, leaf, objects.names):
            objects.add(revision, self._shelf.changes(revision), most)
