"""Measuring the repos of a shelf, each revision once: what a search knows of them beyond their cards.

A measure follows from the tree, and a tree is grown from all commits before it, so thousands cannot be measured while somebody
waits. A few are measured at once, the rest by a thread that ends when it is done; until then they are searched by their cards
alone. What was measured is remembered in node.db, where it may be dropped at any time.

How many parameters a model has stands in its files. If they are elsewhere that is not known, and is looked for again once files
of the repo have come.
"""

import threading
from collections.abc import Iterable, Mapping
from logging import getLogger

from concord.errors import ConcordError
from concord.pillars.commons import File, Repo
from concord.pillars.commons.measure import EDITION, Measure, measure
from concord.pillars.commons.passport import Read
from concord.pillars.commons.search import Catalogue, Entry, Line
from concord.private import measures
from concord.private.people import Speaker
from concord.shelf import Reader

logger = getLogger("concord.measuring")
AT_ONCE = 20  # revisions that a search measures before it answers
TOGETHER = 200  # that are remembered in one transaction
PATIENCE = 60  # seconds between two looks for files that came


class Measures:
    """The measures of what a shelf has, by the leaf hash of the commit, for any number of askers at a time."""

    def __init__(self, shelf: Reader) -> None:
        self._shelf = shelf
        self._kept: dict[str, tuple[Measure, int]] | None = None
        self._known: dict[str, Measure] = {}
        self._failed: set[str] = set()  # leaf hashes: listed in a blob that is not here, or damaged; tried again after a restart
        self._looked = 0
        self._turn = threading.Lock()
        self._public: tuple[tuple[list[Entry], Mapping[str, Measure], Mapping[str, str]], Catalogue] = (([], {}, {}), Catalogue())

    def catalogue(self, asker: Speaker | None) -> tuple[Catalogue, int]:
        """What `asker` may see, ready to be searched, and how much of it is still to be measured."""
        public, mine = self._shelf.public(), self._shelf.own_private(asker)
        measures, left = self.of([*public, *mine])
        countries = {seat.origin: seat.country for seat in self._shelf.node.roster().seats.values()}
        made_of, found = (public, measures, countries), self._public[1]
        if any(new is not old and new != old for new, old in zip(made_of, self._public[0], strict=True)):
            found = found.follow(_line(each, measures, countries) for each in public)
            self._public = (made_of, found)
        return (found.joined(_line(each, measures, countries) for each in mine) if mine else found), left

    def of(self, entries: Iterable[Entry]) -> tuple[Mapping[str, Measure], int]:
        """What was measured, and how many of `entries` are still to be."""
        known, listed = self._remembered(), list(entries)
        wanted = [each for each in listed if each.leaf and each.leaf not in known and each.leaf not in self._failed]
        came = self._came(listed)
        if len(wanted) <= AT_ONCE and not came:
            self.measure(wanted)
        elif not self._turn.locked():
            threading.Thread(target=self.measure, args=([*wanted, *came],), name="measuring", daemon=True).start()
            return known, len(wanted)
        known = self._remembered()
        return known, sum(each.leaf not in known and each.leaf not in self._failed for each in wanted)

    def measure(self, wanted: Iterable[Entry]) -> None:
        """Measure these, unless somebody does already."""
        todo = list(wanted)
        if not todo or not self._turn.acquire(blocking=False):
            return
        try:
            brought = self._shelf.content.counts()
            for start in range(0, len(todo), TOGETHER):
                found = {each.leaf: (one, brought.get(each.root, 0))
                         for each in todo[start : start + TOGETHER] if (one := self._one(each)) is not None}  # fmt: skip
                with self._shelf.node.private_writing() as db:
                    measures.keep(db, EDITION, found)
                self._remember({**(self._kept or {}), **found})
        except ConcordError as e:
            logger.warning("measuring: %s", e)
        finally:
            self._turn.release()

    def _came(self, entries: Iterable[Entry]) -> list[Entry]:
        """The models of which files were elsewhere when they were measured, and more have come since."""
        now, kept = self._shelf.node.clock(), self._kept or {}
        if now < self._looked + PATIENCE:
            return []
        self._looked = now
        unread = [each for each in entries if each.leaf in kept and kept[each.leaf][0].unread]
        brought = self._shelf.content.counts() if unread else {}
        return [each for each in unread if brought.get(each.root, 0) > kept[each.leaf][1]]

    def _remembered(self) -> dict[str, Measure]:
        if self._kept is None:
            with self._shelf.node.private_reading() as db:
                self._remember(measures.known(db, EDITION))
        return self._known

    def _remember(self, kept: dict[str, tuple[Measure, int]]) -> None:
        self._known = {leaf: found for leaf, (found, _) in kept.items()}
        self._kept = kept

    def _one(self, entry: Entry) -> Measure | None:
        """The measure of a repo's newest commit, or None if it cannot be told."""
        try:
            repo = self._shelf.seen(entry.id)
            revision = repo.revisions[entry.leaf]
            return measure(revision.commit.card, self._shelf.tree(repo, revision), entry.id.kind, self._reader(repo))
        except (ConcordError, KeyError):  # gone since, not here, or a commit that lost a race
            self._failed.add(entry.leaf)
            return None

    def _reader(self, repo: Repo) -> Read:
        """Reads files of a repo that are here: None for what is not, or cannot be read now."""

        def read(file: File, start: int, stop: int) -> bytes | None:
            if not self._shelf.have(repo, file):
                return None
            try:
                return b"".join(self._shelf.content.read(repo, file.sha256, start, min(stop, file.size)))
            except ConcordError:
                return None

        return read


def _line(entry: Entry, measures: Mapping[str, Measure], countries: Mapping[str, str]) -> Line:
    return Line(entry, measures.get(entry.leaf), countries.get(entry.id.owner, ""))
