"""One repo: its card, files, history and discussions. What is in it was written by strangers, and is shown as nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from posixpath import join, normpath
from typing import Any
from urllib.parse import quote, unquote

from starlette.responses import Response

from concord.edges.ranges import ranged
from concord.edges.web import commons, communities, markdown, parquet, preview, usage
from concord.edges.web.names import spell
from concord.edges.web.page import Page
from concord.errors import BusyError, DamagedError, ForgedError, MalformedError, MissingError, RefusedError, UnreachableError
from concord.passports import Passports
from concord.pillars.commons import Changes, Comment, File, Repo, RepoId, Revision, Said, Settle, Thread, Tree
from concord.pillars.commons import card as cards
from concord.pillars.commons.passport import Passport
from concord.pillars.commons.records import KINDS, Kind
from concord.pillars.commons.repo import MAIN
from concord.private.people import Speaker
from concord.shelf import Shelf, pull_requests
from concord.tlog.spelling import decimal

README = "README.md"
PER_PAGE = 30  # commits, discussions
FILES_MAX = 150  # of a folder on one page
NAMED_MAX = 4  # files of a commit that the history names
README_MAX = 400_000  # bytes
DIFF_MAX = 20_000  # bytes of a text that is compared
DIFF_LINES = 120
ANSWER_MAX = 8_000  # characters of markup of one answer
ANSWERS_MAX = 40_000  # of all that one page shows
PARQUET = parquet.Heads()
SAFE = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin"}


@dataclass(frozen=True)
class Here:
    """What a page about a repo is about. `asked` is the revision as the address has it ("": main); `revision` None: no commit."""

    page: Page
    shelf: Shelf
    repo: Repo
    asked: str
    revision: Revision | None

    def at(self, part: str = "", **query: str) -> str:
        """Where another page about the repo is, at the same revision."""
        of_revision = part in ("", "files", "file", "raw", "history", "passport") or part.startswith("export/")
        revision = {"revision": self.asked} if self.asked and of_revision else {}
        return commons.address(self.page, self.repo.id, part, **revision, **query)

    def plain(self, part: str = "", **query: str) -> str:
        """Where another page about the repo is, at main."""
        return commons.address(self.page, self.repo.id, part, **query)

    @property
    def tree(self) -> Tree:
        """The files of the revision."""
        return self.shelf.tree(self.repo, self.revision) if self.revision else {}

    @property
    def name(self) -> str:
        """What clients call the repo."""
        return f"{self.page.log_name(self.repo.id.owner)}/{self.repo.id.name}"

    @property
    def speaker(self) -> Speaker | None:
        return self.page.speaker

    @property
    def ours(self) -> bool:
        """Whether the reader acts for the member whose repo it is."""
        return self.speaker is not None and self.speaker.origin == self.repo.id.owner

    @property
    def may_take_part(self) -> bool:
        """Whether the reader may discuss it, propose to it and like it."""
        return commons.may_open(self.page)

    @property
    def may_change(self) -> bool:
        """Whether the reader may commit to it and merge."""
        return self.ours and self.may_take_part

    @property
    def passports(self) -> bool:
        """Whether there is something to have a passport."""
        return self.revision is not None

    @property
    def liked(self) -> bool:
        """Whether the reader likes it."""
        return self.speaker is not None and (self.speaker.origin, self.speaker.spelled) in self.repo.likes

    @property
    def may_read(self) -> bool:
        """Whether the reader may have the files."""
        return self.shelf.may_read(self.repo, self.speaker)


@dataclass(frozen=True)
class Compared:
    """What changed: the files with what they were before, the paths removed, the lines that differ by path, how many more files."""

    rows: list[tuple[File, File | None]]
    removed: list[str]
    lines: dict[str, list[str]]
    more: int


def find(page: Page, shelf: Shelf) -> Here:
    """What the address names. MissingError if it is nothing, or nothing for this reader."""
    params = page.request.path_params
    kind = KINDS.get(params["kinds"])
    if kind is None:
        raise MissingError("there is nothing at this address")
    repo_id = RepoId(owner=page.origin_of(params["member"]), kind=kind, name=params["name"])
    repo = shelf.find(repo_id, page.speaker)
    asked = page.request.query_params.get("revision", "")
    if asked in ("", MAIN):
        return Here(page, shelf, repo, "", repo.find(MAIN) if MAIN in repo.branches else None)
    return Here(page, shelf, repo, asked, repo.find(asked))


def card_page(page: Page, shelf: Shelf) -> Response:
    """The card, how to use it, and what it is at a glance."""
    here = find(page, shelf)
    tree = here.tree
    readme = tree.get(README)
    shown, wrong = _card(here, readme) if readme else (None, "")
    return show(
        here,
        "repo.html",
        "card",
        card=shown,
        wrong=wrong,
        readme=readme,
        size=sum(file.size for file in tree.values()),
        files=len(tree),
        lineage=_lineage(here),
        passport=_passport(here),
        communities=[] if here.repo.private else communities.of_repo(page, shelf, here.repo.id),
        ways=_ways(here, tree),
        can_discard=here.may_change and here.repo.private,
    )


def files_page(page: Page, shelf: Shelf) -> Response:
    """A folder."""
    here = find(page, shelf)
    folder = page.request.query_params.get("at", "").strip("/")
    rows = _level(here.tree, folder)
    if not rows and folder:
        raise MissingError("there is no such folder in this revision")
    shown, more = page.part(rows, FILES_MAX)
    next_ = here.at("files", **({"at": folder} if folder else {}), start=str(more)) if more else ""
    return show(here, "repo-files.html", "files", rows=shown, count=len(rows), folder=folder, crumbs=_crumbs(folder), more=next_,
                total=len(here.tree), size=sum(file.size for file in here.tree.values()))  # fmt: skip


def file_page(page: Page, shelf: Shelf) -> Response:
    """One file, as far as a page can show it."""
    here = find(page, shelf)
    file = _file(here)
    seen = _seen(here, file) if here.may_read else None
    head = _parquet(here, file) if seen is not None and seen.kind == "parquet" else None
    folder, _, name = file.path.rpartition("/")
    return show(here, "repo-file.html", "files", file=file, seen=seen, head=head, extra=parquet.EXTRA, crumbs=_crumbs(folder),
                file_name=name, last=_last_change(here, file.path))  # fmt: skip


def raw(page: Page, shelf: Shelf) -> Response:
    """The bytes of a file. Whatever they are, a browser takes them for a download."""
    here = find(page, shelf)
    file = _file(here)
    if not here.may_read:
        raise RefusedError(f"the files of {here.repo.id.name} are given to those whom its owner admits")
    head = shelf.peek(here.repo, file, 0, min(file.size, preview.HEAD))
    media = preview.media_of(head) or "application/octet-stream"
    answer = ranged(page.request, file.size, lambda start, stop: shelf.flow(here.repo, file, start, stop), file.sha256, media)
    name = quote(file.path.rpartition("/")[2], safe="")
    answer.headers.update(SAFE | {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})
    answer.headers["Cache-Control"] = "no-store" if page.secret else "no-cache"
    return answer


def history_page(page: Page, shelf: Shelf) -> Response:
    """The commits, the newest first, each with what it changed."""
    here = find(page, shelf)
    history = here.repo.history(here.revision) if here.revision else []
    shown, more = page.part(history, PER_PAGE)
    rows = [(revision, _changes(here, revision)) for revision in shown]
    return show(here, "repo-history.html", "history", rows=rows, named=NAMED_MAX, count=len(history),
                more=here.at("history", start=str(more)) if more else "")  # fmt: skip


def commit_page(page: Page, shelf: Shelf) -> Response:
    """One commit, with what it changed, line by line where that can be told."""
    here = find(page, shelf)
    revision = here.repo.find(page.request.path_params["oid"])
    changes = _changes(here, revision)
    parent = here.repo.revisions.get(revision.commit.parent or "")
    before = shelf.tree(here.repo, parent) if parent else {}
    compared = _compared(here, before, changes.put, changes.removed) if changes else None
    return show(here, "repo-commit.html", "history", revision=revision, parent=parent, compared=compared)


def threads_page(page: Page, shelf: Shelf) -> Response:
    """The discussions and pull requests, the newest first."""
    here = find(page, shelf)
    threads = sorted(here.repo.threads.values(), key=lambda thread: (-thread.begun.at, thread.number))
    shown, more = page.part(threads, PER_PAGE)
    return show(
        here, "repo-discussions.html", "discussions", threads=shown, more=here.at("discussions", start=str(more)) if more else ""
    )


def thread_page(page: Page, shelf: Shelf, wrong: str = "", status: int = 200) -> Response:
    """A discussion with its answers, or a pull request with its commits and all that they change; `wrong`: what was not done."""
    here = find(page, shelf)
    thread = thread_of(here)
    said: list[tuple[Said, markdown.Rendered | None]] = []
    room = ANSWERS_MAX
    for answer in thread.answers:
        words = _words(here, answer.record.text, f"said-{len(said)}", room) if isinstance(answer.record, Comment | Settle) else None
        said.append((answer, words))
        room -= len(words.markup) if words else 0
        if room <= 0:
            break
    text = _words(here, thread.begun.text, "begun", ANSWERS_MAX)
    settles = here.may_take_part and here.speaker is not None and here.speaker.origin in (here.repo.id.owner, thread.begun.by)
    merging = _merging(here, thread)
    return show(here, "repo-discussion.html", "discussions", status, thread=thread, text=text, wrong=wrong, **merging, said=said,
                unshown=len(thread.answers) - len(said), commits=_proposed(here, thread), may_settle=settles,
                is_settle={answer.leaf: isinstance(answer.record, Settle) for answer, _ in said})  # fmt: skip


def thread_of(here: Here) -> Thread:
    """The discussion that the address names."""
    try:
        return here.repo.threads[decimal(here.page.request.path_params["number"])]
    except (MalformedError, KeyError) as e:
        raise MissingError("there is no such discussion") from e


def show(here: Here, template: str, tab: str, status: int = 200, /, **values: Any) -> Response:
    """A page about a repo, under its head and tabs."""
    return here.page.render(template, status, here=here, repo=here.repo, tab=tab, **values)


def _card(here: Here, readme: File) -> tuple[markdown.Rendered | None, str]:
    """The card as markup (None if it is not here), and what is wrong with its front matter."""
    raw_ = _little(here, readme, README_MAX)
    if raw_ is None:
        return None, ""
    text = cards.body(raw_).decode(errors="replace")
    try:
        wrong = "; ".join(cards.faults(cards.matter(raw_)))
    except MalformedError as e:
        wrong = str(e)
    return markdown.render(text, _linker(here), _painter(here)), wrong


def _seen(here: Here, file: File) -> preview.Preview | None:
    """What a page can show of a file, or None if its bytes are not to be had now."""
    try:
        return preview.look(file.path, file.size, lambda start, stop: here.shelf.peek(here.repo, file, start, stop))
    except (MissingError, UnreachableError, ForgedError, BusyError, DamagedError):
        return None


def _little(here: Here, file: File, most: int) -> bytes | None:
    """The first `most` bytes of a file, or None if they are not to be had now."""
    try:
        return here.shelf.peek(here.repo, file, 0, min(file.size, most))
    except (MissingError, UnreachableError, ForgedError, BusyError, DamagedError):
        return None


def _passport(here: Here) -> Passport | None:
    return Passports(here.shelf).passport(here.repo, here.revision, here.speaker) if here.revision else None


def _words(here: Here, text: str, prefix: str, room: int) -> markdown.Rendered:
    return markdown.render(text, _linker(here), top=3, prefix=prefix, room=min(room, ANSWER_MAX))


def _linker(here: Here) -> Any:
    tree = here.tree

    def link(target: str) -> str | None:
        path = _inside(target)
        if path in tree:
            return here.at("file", path=path)
        return here.at("files", at=path) if path and any(name.startswith(f"{path}/") for name in tree) else None

    return link


def _painter(here: Here) -> Any:
    tree = here.tree

    def image(target: str) -> str | None:
        file = tree.get(_inside(target))
        if file is None or file.size > preview.IMAGE_MAX or not _here_to_read(here, file):
            return None
        head = b"".join(here.shelf.read(here.repo, file, 0, min(file.size, preview.HEAD)))
        return here.at("raw", path=file.path) if (preview.media_of(head) or "").startswith("image/") else None

    return image


def _inside(target: str) -> str:
    """The path in a repo that a relative link means, or "" if it leads out of it."""
    path = normpath(join("/", unquote(target.partition("#")[0].partition("?")[0])))
    return path.strip("/")


def _level(tree: Tree, folder: str) -> list[dict[str, Any]]:
    """What is directly in a folder: its folders, then its files."""
    prefix = f"{folder}/" if folder else ""
    folders: dict[str, list[int]] = {}
    files: list[dict[str, Any]] = []
    for path, file in tree.items():
        name, slash, _ = path.removeprefix(prefix).partition("/")
        if path.startswith(prefix) and slash:
            folders.setdefault(name, []).append(file.size)
        elif path.startswith(prefix):
            files.append({"name": name, "path": path, "size": file.size, "file": file, "count": 0})
    rows: list[dict[str, Any]] = [
        {"name": name, "path": prefix + name, "size": sum(sizes), "file": None, "count": len(sizes)}
        for name, sizes in folders.items()
    ]
    return sorted(rows, key=lambda row: row["name"]) + sorted(files, key=lambda row: row["name"])


def _crumbs(folder: str) -> list[tuple[str, str]]:
    parts = folder.split("/") if folder else []
    return [(part, "/".join(parts[: number + 1])) for number, part in enumerate(parts)]


def _file(here: Here) -> File:
    path = here.page.request.query_params.get("path", "")
    file = here.tree.get(path)
    if file is None:
        raise MissingError("there is no such file in this revision")
    return file


def _here_to_read(here: Here, file: File) -> bool:
    return here.may_read and here.shelf.have(here.repo, file) and not here.page.node.blobs.holds(file.sha256)


def _parquet(here: Here, file: File) -> parquet.Head | None:
    """The head of a Parquet file; None if nobody here can read one, others are being read, or its bytes are not to be had now."""
    if not PARQUET.offered:
        return None
    try:
        return PARQUET.of(file.sha256, file.size, lambda start, stop: here.shelf.peek(here.repo, file, start, stop))
    except (MissingError, UnreachableError, ForgedError, BusyError, DamagedError):
        return None


def _changes(here: Here, revision: Revision) -> Changes | None:
    """What a commit changed, or None if that is listed in a blob which is not here."""
    try:
        return here.shelf.changes(revision)
    except MissingError:
        return None


def _last_change(here: Here, path: str) -> Revision | None:
    """The newest commit that put the file, if it is among the last hundred."""
    for revision in here.repo.history(here.revision)[:100] if here.revision else []:
        changes = _changes(here, revision)
        if changes and any(file.path == path for file in changes.put):
            return revision
    return None


def _diff(here: Here, old: File | None, new: File) -> list[str]:
    """The lines that differ, or none if they cannot be told: a file that is large, not text, or not here."""
    if old is None or max(old.size, new.size) > DIFF_MAX or not (_here_to_read(here, old) and _here_to_read(here, new)):
        return []
    texts: list[list[str]] = []
    for file in (old, new):
        try:
            text = b"".join(here.shelf.read(here.repo, file)).decode()
        except UnicodeDecodeError:
            return []
        texts.append([spell(line)[:500] for line in text.split("\n")])
    if "\0" in "".join(map("".join, texts)) or max(map(len, texts)) > 1000:
        return []
    return list(unified_diff(texts[0], texts[1], n=2, lineterm=""))[2 : DIFF_LINES + 2]


def _merging(here: Here, thread: Thread) -> dict[str, Any]:
    """What a pull request changes against where it began, and what stands in the way of merging it."""
    if thread.head is None or thread.status == "merged":
        return {"compared": None, "clash": []}
    try:
        put, removed = pull_requests.proposed(here.shelf, here.repo, thread)
        before = pull_requests.began(here.shelf, here.repo, thread)
        onto = pull_requests.conflicts(here.shelf, here.repo, thread)
    except MissingError:  # a commit before it lists its files in a blob which is not here
        return {"compared": None, "clash": []}
    return {"compared": _compared(here, before, put, removed), "clash": onto}


def _compared(here: Here, before: Tree, put: Sequence[File], removed: Sequence[str]) -> Compared:
    """What was put and removed, against the tree before."""
    rows = [(file, before.get(file.path)) for file in put]
    lines, room = {}, DIFF_LINES * 2
    for file, old in rows[:FILES_MAX] if here.may_read else []:
        found = _diff(here, old, file) if room > 0 else []
        if found:
            lines[file.path] = found
            room -= len(found)
    return Compared(rows[:FILES_MAX], list(removed)[:FILES_MAX], lines, max(len(rows) - FILES_MAX, 0))


def _proposed(here: Here, thread: Thread) -> list[tuple[Revision, Changes | None]]:
    """The commits of a pull request, the newest first."""
    if thread.head is None:
        return []
    history = here.repo.history(here.repo.revisions[thread.head])
    return [(each, _changes(here, each)) for each in history if each.commit.ref == thread.ref][:PER_PAGE]


def _ways(here: Here, tree: Tree) -> list[usage.Way]:
    """How the revision is used with each client."""
    if here.revision is None:
        return []
    card = here.revision.commit.card
    of = (here.page.address, here.name, here.repo.id.kind, here.revision.oid, tuple(sorted(tree)), card.library, card.task)
    return usage.ways(usage.Subject(*of))


def _lineage(here: Here) -> list[tuple[str, str, str | None]]:
    """What the card names as base model or dataset, and where that is, if it is here."""
    card = here.revision.commit.card if here.revision else None
    if card is None:
        return []
    named: list[tuple[str, str, Kind]] = [("base", name, "model") for name in card.base]
    named += [("dataset", name, "dataset") for name in card.datasets[:20]]
    return [(what, name, commons.known(here.page, here.shelf, name, kind)) for what, name, kind in named]
