"""What the first page of a repo says at a glance, each from the records and files that this node has: which files are new since the
version before, what was said of the repo and by whom, in how much memory it runs, and how much of it is here.

>>> old = {name: File(path=name, size=9, sha256=digit * 64) for name, digit in (("a", "1"), ("b", "2"))}
>>> new = {name: File(path=name, size=9, sha256=digit * 64) for name, digit in (("b", "3"), ("c", "4"))}
>>> found = compare(new, old)
>>> [(file.path, before is None) for file, before in found.rows], found.new, found.changed, found.removed
([('b', False), ('c', True)], 1, 1, 1)
"""

from dataclasses import dataclass
from heapq import nlargest

from concord import reading
from concord.edges.web.records import Days, by_day
from concord.edges.web.repos import Here
from concord.pillars.commons import File, Repo, Revision, Tree
from concord.pillars.commons.measure import MEMORIES, measure, memories_of

FILES_SHOWN = 8
SAID_SHOWN = 6  # records
LOOKED_FOR = 1_000  # files of which it is asked whether they are here


@dataclass(frozen=True)
class Differences:
    """The first files of a tree, those that differ from an earlier tree before the others, and of two that are alike in that the

    larger; each with what it was before, or None. `new`, `changed` and `removed` count all files.
    """

    rows: list[tuple[File, File | None]]
    new: int
    changed: int
    removed: int


@dataclass(frozen=True)
class Since:
    """How the files differ from an earlier version. `version` is its tag, or "" if no tag names it: it is the commit before."""

    version: str
    revision: Revision
    found: Differences


def since(here: Here, tree: Tree) -> Since | None:
    """What is new since the version before; None if this is the first."""
    earlier = here.repo.history(here.revision)[1:] if here.revision else []
    if not earlier:
        return None
    tags = _tags(here.repo)
    then = next((each for each in earlier if each.leaf in tags), earlier[0])
    return Since(tags.get(then.leaf, ""), then, compare(tree, here.shelf.tree(here.repo, then)))


def compare(tree: Tree, before: Tree) -> Differences:
    """How `tree` differs from an earlier one."""
    rows = [(file, before.get(path)) for path, file in tree.items()]
    new = sum(old is None for _, old in rows)
    changed = sum(old is not None and old != file for file, old in rows)
    rows.sort(key=lambda row: (row[0] == row[1], -row[0].size, row[0].path))
    return Differences(rows[:FILES_SHOWN], new, changed, sum(path not in tree for path in before))


def said(here: Here) -> Days:
    """The newest records that tell of the repo, as a list shows them; of a private one none, since no log has any."""
    repo = here.repo
    if repo.private:
        return []
    dated = [(each.commit.at, each.leaf) for each in repo.revisions.values()]
    dated += [(thread.begun.at, thread.leaf) for thread in repo.threads.values()]
    dated += [(answer.record.at, answer.leaf) for thread in repo.threads.values() for answer in thread.answers]
    return by_day(here.page, [reading.find_leaf(here.page.node, leaf) for _, leaf in nlargest(SAID_SHOWN, dated)])


def memory(here: Here, tree: Tree) -> tuple[int, bool] | None:
    """In how many bytes of memory the weights fit, or (with False) that they need more than that; None without weights."""
    if here.revision is None:
        return None
    fit = memories_of(measure(here.revision.commit.card, tree, here.repo.id.kind))
    return (MEMORIES.get(fit[0], max(MEMORIES.values())), fit[0] in MEMORIES) if fit else None


def copied(here: Here, tree: Tree) -> tuple[int, int] | None:
    """How many of the contents are on this node, and of how many; None if that is not for the reader, or too much to look for."""
    wanted = {file.sha256 for file in tree.values()}
    if not here.may_read or not 0 < len(wanted) <= LOOKED_FOR:
        return None
    return len(here.shelf.content.have(here.repo, wanted)), len(wanted)


def _tags(repo: Repo) -> dict[str, str]:
    """The tag that names a commit, by leaf hash; of several the last in order."""
    return {leaf: name for name, (leaf, _) in sorted(repo.tags.items())}
