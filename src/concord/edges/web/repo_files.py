"""The files of a repo: a folder, one file as far as a page can show it, its bytes. They were written by strangers."""

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from concord.edges.ranges import ranged
from concord.edges.web import parquet, preview
from concord.edges.web.page import Page
from concord.edges.web.repos import NOT_NOW, Here, find, show
from concord.errors import MissingError, RefusedError
from concord.pillars.commons import File, Revision, Tree
from concord.shelf import Shelf

FILES_MAX = 150  # of a folder on one page
PARQUET = parquet.Heads()
SAFE = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin"}


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
    return show(
        here,
        "repo-file.html",
        "files",
        file=file,
        file_name=name,
        seen=seen,
        head=head,
        extra=parquet.EXTRA,
        crumbs=_crumbs(folder),
        last=_last_change(here, file.path),
        downloadable=here.may_read and (seen is not None or shelf.have(here.repo, file)),
    )


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


def _seen(here: Here, file: File) -> preview.Preview | None:
    """What a page can show of a file, or None if its bytes are not to be had now."""
    try:
        return preview.look(file.path, file.size, lambda start, stop: here.shelf.peek(here.repo, file, start, stop))
    except NOT_NOW:
        return None


def _parquet(here: Here, file: File) -> parquet.Head | None:
    """The head of a Parquet file; None if nobody here can read one, others are being read, or its bytes are not to be had now."""
    if not PARQUET.offered:
        return None
    try:
        return PARQUET.of(file.sha256, file.size, lambda start, stop: here.shelf.peek(here.repo, file, start, stop))
    except NOT_NOW:
        return None


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


def _last_change(here: Here, path: str) -> Revision | None:
    """The newest commit that put the file, if it is among the last hundred."""
    for revision in here.repo.history(here.revision)[:100] if here.revision else []:
        changes = here.changes(revision)
        if changes and any(file.path == path for file in changes.put):
            return revision
    return None
