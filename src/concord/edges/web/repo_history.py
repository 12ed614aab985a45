"""The commits of a repo, and what each changed, line by line where that can be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff

from starlette.responses import Response

from concord.edges.web.names import spell
from concord.edges.web.page import Page
from concord.edges.web.repos import Here, find, show
from concord.errors import DamagedError
from concord.pillars.commons import File, Tree
from concord.shelf import Shelf

PER_PAGE = 30  # commits
FILES_MAX = 150  # that a commit changed, on one page
NAMED_MAX = 4  # files of a commit that the history names
DIFF_MAX = 20_000  # bytes of a text that is compared
DIFF_LINES = 120


@dataclass(frozen=True)
class Compared:
    """What changed: the files with what they were before, the paths removed, the lines that differ by path, how many more files."""

    rows: list[tuple[File, File | None]]
    removed: list[str]
    lines: dict[str, list[str]]
    more: int


def history_page(page: Page, shelf: Shelf) -> Response:
    """The commits, the newest first, each with what it changed."""
    here = find(page, shelf)
    history = here.repo.history(here.revision) if here.revision else []
    shown, more = page.part(history, PER_PAGE)
    rows = [(revision, here.changes(revision)) for revision in shown]
    return show(here, "repo-history.html", "history", rows=rows, named=NAMED_MAX, count=len(history),
                more=here.at("history", start=str(more)) if more else "")  # fmt: skip


def commit_page(page: Page, shelf: Shelf) -> Response:
    """One commit, with what it changed, line by line where that can be told."""
    here = find(page, shelf)
    revision = here.repo.find(page.request.path_params["oid"])
    changes = here.changes(revision)
    parent = here.repo.revisions.get(revision.commit.parent or "")
    before = shelf.tree(here.repo, parent) if parent else {}
    compared = compare(here, before, changes.put, changes.removed) if changes else None
    return show(here, "repo-commit.html", "history", revision=revision, parent=parent, compared=compared)


def compare(here: Here, before: Tree, put: Sequence[File], removed: Sequence[str]) -> Compared:
    """What was put and removed, against the tree before."""
    rows = [(file, before.get(file.path)) for file in put]
    lines, room = {}, DIFF_LINES * 2
    for file, old in rows[:FILES_MAX] if here.may_read else []:
        found = _diff(here, old, file) if room > 0 else []
        if found:
            lines[file.path] = found
            room -= len(found)
    return Compared(rows[:FILES_MAX], list(removed)[:FILES_MAX], lines, max(len(rows) - FILES_MAX, 0))


def _diff(here: Here, old: File | None, new: File) -> list[str]:
    """The lines that differ, or none if they cannot be told: a file that is large, not text, damaged, or not here."""
    if old is None or max(old.size, new.size) > DIFF_MAX or not (here.has(old) and here.has(new)):
        return []
    texts: list[list[str]] = []
    for file in (old, new):
        try:
            text = b"".join(here.shelf.read(here.repo, file)).decode()
        except (UnicodeDecodeError, DamagedError):
            return []
        texts.append([spell(line)[:500] for line in text.split("\n")])
    if "\0" in "".join(map("".join, texts)) or max(map(len, texts)) > 1000:
        return []
    return list(unified_diff(texts[0], texts[1], n=2, lineterm=""))[2 : DIFF_LINES + 2]
