"""Measuring the repos of a shelf, each revision once: what a search knows of them beyond their cards.

A measure follows from the tree, and a tree is grown from all commits before it, so thousands cannot be measured while somebody
waits. A few are measured at once, the rest by a thread that ends when it is done; until then they are searched by their cards
alone. What was measured is remembered in node.db, where it may be dropped at any time.
"""

import threading
from collections.abc import Iterable, Mapping
from logging import getLogger

from concord.errors import ConcordError
from concord.pillars.commons.measure import EDITION, Measure, measure
from concord.pillars.commons.search import Entry
from concord.private import measures
from concord.shelf import Reader

logger = getLogger("concord.measuring")
AT_ONCE = 20  # revisions that a search measures before it answers
TOGETHER = 200  # that are remembered in one transaction


class Measures:
    """The measures of what a shelf has, by the leaf hash of the commit, for any number of askers at a time."""

    def __init__(self, shelf: Reader) -> None:
        self._shelf = shelf
        self._known: dict[str, Measure] | None = None
        self._failed: set[str] = set()  # leaf hashes: listed in a blob that is not here, or damaged; tried again after a restart
        self._turn = threading.Lock()

    def of(self, entries: Iterable[Entry]) -> tuple[Mapping[str, Measure], int]:
        """What was measured, and how many of `entries` are still to be."""
        known = self._remembered()
        wanted = [each for each in entries if each.leaf and each.leaf not in known and each.leaf not in self._failed]
        if len(wanted) <= AT_ONCE:
            self.measure(wanted)
        elif not self._turn.locked():
            threading.Thread(target=self.measure, args=(wanted,), name="measuring", daemon=True).start()
            return known, len(wanted)
        known = self._remembered()
        return known, sum(each.leaf not in known and each.leaf not in self._failed for each in wanted)

    def measure(self, wanted: Iterable[Entry]) -> None:
        """Measure these, unless somebody does already."""
        todo = list(wanted)
        if not todo or not self._turn.acquire(blocking=False):
            return
        try:
            for start in range(0, len(todo), TOGETHER):
                found = {each.leaf: one for each in todo[start : start + TOGETHER] if (one := self._one(each)) is not None}
                with self._shelf.node.private_writing() as db:
                    measures.keep(db, EDITION, found)
                self._known = {**self._remembered(), **found}
        except ConcordError as e:
            logger.warning("measuring: %s", e)
        finally:
            self._turn.release()

    def _remembered(self) -> dict[str, Measure]:
        if self._known is None:
            with self._shelf.node.private_reading() as db:
                self._known = measures.known(db, EDITION)
        return self._known

    def _one(self, entry: Entry) -> Measure | None:
        """The measure of a repo's newest commit, or None if it cannot be told."""
        try:
            repo = self._shelf.seen(entry.id)
            revision = repo.revisions[entry.leaf]
            return measure(revision.commit.card, self._shelf.tree(repo, revision), entry.id.kind)
        except (ConcordError, KeyError):  # gone since, not here, or a commit that lost a race
            self._failed.add(entry.leaf)
            return None
