"""What was read in files for those who ask, kept by what the files are: bytes with a digest never say anything else.

Whether somebody may know it is looked at each time: the files must be here for the repo that was asked for, and not be held.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from concord.errors import ConcordError
from concord.pillars.commons import File, Repo
from concord.shelf import Reader

KEPT = 500


class Readings:
    """The last few hundred things that were read."""

    def __init__(self, shelf: Reader) -> None:
        self._shelf = shelf
        self._kept: OrderedDict[tuple[str, ...], dict[str, Any]] = OrderedDict()

    def of(self, what: str, repo: Repo, files: Sequence[File], read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `read` finds in files of a repo; nothing if there are none, one is not here, or they cannot be read."""
        digests = [file.sha256 for file in files]
        key = (what, *digests)
        try:
            if not files or self._shelf.content.have(repo, digests) != set(digests):
                return {}
            for digest in digests:
                self._shelf.node.blobs.check_allowed(digest)
            if key not in self._kept:
                self._keep(key, read())
            return self._kept[key]
        except (ConcordError, KeyError):  # KeyError: it was the oldest, and has gone since
            return {}

    def _keep(self, key: tuple[str, ...], found: dict[str, Any]) -> None:
        self._kept[key] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
