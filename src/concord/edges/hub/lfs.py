"""Large files, as Git LFS sends them: one request tells which are to be sent and where, then each is sent, whole or in parts.

Where a file is to be sent is an address that carries a *ticket*: what may be sent there, for which repo, until when, with a seal
that only this node can make. Whoever has the address can send these very bytes, and nothing else; a sealed address is no token.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from concord.edges.hub import tickets
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.tickets import Ticket, What
from concord.edges.ranges import ranged
from concord.errors import ForgedError, MalformedError, MissingError, StorageError
from concord.ledger.record import Digest
from concord.pillars.commons import File, Repo
from concord.shelf import Where

MEDIA = "application/vnd.git-lfs+json"
SIZE_MAX = 1 << 40  # bytes of one file
OBJECTS_MAX = 1000
PART_MIN = 16 << 20  # bytes
PARTS = 1000  # at most so many parts; a larger file has larger ones
XET = "xet"  # the transfer of clients that can send chunk by chunk (`concord.edges.hub.cas`)
STALE = 2 * 86_400  # seconds after which parts of an upload that was given up are cleared away


class Object(msgspec.Struct):
    """A large file."""

    oid: Digest
    size: int


class Batch(msgspec.Struct):
    """What a client wants to send or have."""

    operation: Literal["upload", "download"]
    objects: list[Object]
    transfers: list[str] = msgspec.field(default_factory=lambda: ["basic"])
    hash_algo: str = "sha256"


class Part(msgspec.Struct, rename="camel"):
    """A part that was sent."""

    part_number: int
    etag: str


class Complete(msgspec.Struct):
    """All parts of a file."""

    oid: str
    parts: list[Part]


class Target(msgspec.Struct):
    """A repo, as clients name it."""

    type: Literal["model", "dataset", "space"]
    name: str


class Copied(msgspec.Struct):
    """A large file of another repo."""

    sha256: Digest
    filename: str = ""


class Duplicate(msgspec.Struct):
    """What is to be had in another repo, too."""

    target: Target
    files: list[Copied]


def batch(ask: Ask) -> Response:
    """Which large files are to be sent, and where; or where they are to be had."""
    wanted = ask.json(Batch)
    if len(wanted.objects) > OBJECTS_MAX or wanted.hash_algo != "sha256":
        raise MalformedError(f"at most {OBJECTS_MAX} large files at a time, known by sha256")
    if wanted.operation == "download":
        repo = ask.served_to_git()
        told = [_download(ask, repo, each) for each in wanted.objects]
        return _answer({"transfer": "basic", "objects": told, "hash_algo": "sha256"})
    repo = ask.repo(ask.publisher())
    _clear(ask)
    here = ask.hub.content.whole(repo, {each.oid for each in wanted.objects})
    ask.need(sum(max(0, each.size) for each in wanted.objects if each.oid not in here), least=1)
    if XET in wanted.transfers:
        return _answer({"transfer": XET, "objects": [{"oid": each.oid, "size": each.size} for each in wanted.objects]})
    multipart = "multipart" in wanted.transfers and any(each.size > 2 * PART_MIN for each in wanted.objects)
    told = [_upload(ask, repo, each, multipart=multipart, here=each.oid in here) for each in wanted.objects]
    return _answer({"transfer": "multipart" if multipart else "basic", "objects": told, "hash_algo": "sha256"})


def upload(ask: Ask, body: Iterator[bytes]) -> Response:
    """Take a large file whole. ForgedError if it is another one than the ticket says, StorageError if there is no room for it."""
    ticket = _ticket(ask, "upload")
    ask.need(ticket.size)
    digest, size = ask.hub.content.take(body, ticket.oid, ticket.size)
    _given(ask, ticket, size)
    return Response(status_code=200, headers={"ETag": f'"{digest}"'})


def part(ask: Ask, body: Iterator[bytes]) -> Response:
    """Take one part, and keep it beside the store until the file is whole. StorageError if there is no room for it."""
    ticket = _ticket(ask, "part")
    ask.need(ticket.size)
    folder = _folder(ask, ticket)
    folder.mkdir(parents=True, exist_ok=True)
    path, content, size = folder / f"{token_hex(8)}.tmp", sha256(), 0
    try:
        with path.open("xb") as file:
            for piece in body:
                size += len(piece)
                if size > ticket.size:
                    raise MalformedError(f"part {ticket.part} has more than its {ticket.size} bytes")
                content.update(piece)
                file.write(piece)
        if size != ticket.size:
            raise MalformedError(f"part {ticket.part} has {size} bytes, and not {ticket.size}")
        path.replace(folder / f"{ticket.part}.{content.hexdigest()}")
    finally:
        path.unlink(missing_ok=True)
    return Response(status_code=200, headers={"ETag": f'"{content.hexdigest()}"'})


def complete(ask: Ask) -> Response:
    """Make a file of its parts. MalformedError if some are missing, ForgedError if they are not the file of the ticket."""
    ticket = _ticket(ask, "upload")
    wanted = ask.json(Complete)
    folder = _folder(ask, ticket)
    parts = sorted(wanted.parts, key=lambda each: each.part_number)
    paths = [folder / f"{each.part_number}.{each.etag.strip(chr(34))}" for each in parts]
    numbers = [each.part_number for each in parts]
    count = -(-ticket.size // part_size(ticket.size))
    known = set(folder.iterdir()) if folder.is_dir() else set()
    if wanted.oid != ticket.oid or numbers != list(range(1, count + 1)) or not set(paths) <= known:
        raise MalformedError(f"not all of the {count} parts of {ticket.oid} are here")
    _, size = ask.hub.content.take(_joined(paths), ticket.oid, ticket.size)
    _given(ask, ticket, size)
    shutil.rmtree(folder, ignore_errors=True)
    return answer({"success": True})


def verify(ask: Ask) -> Response:
    """Whether a file is here, as a client asks when it has sent it."""
    ticket = _ticket(ask, "verify")
    wanted = ask.json(Object)
    repo = _repo(ask, ticket)
    if wanted.oid != ticket.oid or ask.hub.content.size(repo, ticket.oid) != wanted.size:
        raise MalformedError(f"{wanted.oid} is not here with {wanted.size} bytes")
    return answer({})


def download(ask: Ask) -> Response:
    """The bytes of a large file."""
    ticket = _ticket(ask, "download")
    repo, shelf = _repo(ask, ticket), ask.hub.shelf
    file = File(path=ticket.oid, size=ticket.size, sha256=ticket.oid)
    file = file if shelf.have(repo, file) else _elsewhere(ask, repo, ticket.oid, ticket.size) or file
    return ranged(ask.request, file.size, lambda start, stop: shelf.flow(repo, file, start, stop), ticket.oid)


def duplicate(ask: Ask) -> Response:
    """Let another repo have large files of this one, without sending them again."""
    speaker = ask.publisher()
    source = ask.served(speaker)
    wanted = ask.json(Duplicate)
    target = ask.named(wanted.target.type, wanted.target.name, speaker)
    ask.hub.content.renew(each.sha256 for each in wanted.files)
    here = ask.hub.content.have(source, {each.sha256 for each in wanted.files})
    ask.hub.content.give(target, here)
    failed = [{"sha256": each.sha256, "error": "not on this node"} for each in wanted.files if each.sha256 not in here]
    return answer({"failed": failed})


def part_size(size: int) -> int:
    """How large the parts of a file are.

    >>> part_size(10), part_size(1 << 35) * PARTS >= 1 << 35
    (16777216, True)
    """
    return max(PART_MIN, -(-size // PARTS >> 20) + 1 << 20) if size > PART_MIN * PARTS else PART_MIN


def _upload(ask: Ask, repo: Repo, each: Object, *, multipart: bool, here: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"oid": each.oid, "size": each.size, "authenticated": True}
    if here:
        return told
    if not 0 <= each.size <= SIZE_MAX:
        return told | {"error": {"code": 422, "message": f"a file has at most {SIZE_MAX} bytes"}}
    try:
        ask.need(each.size)
    except StorageError as e:
        return told | {"error": {"code": 507, "message": str(e)}}
    send: dict[str, Any] = {"href": _address(ask, repo, "upload", each, each.size), "expires_in": tickets.LIVES["upload"]}
    if multipart and each.size > 2 * PART_MIN:
        length = part_size(each.size)
        sizes = [min(length, each.size - start) for start in range(0, each.size, length)]
        parts = {f"{number:05}": _address(ask, repo, "part", each, size, number) for number, size in enumerate(sizes, 1)}
        send["header"] = {"chunk_size": str(length), **parts}
    return told | {"actions": {"upload": send, "verify": {"href": _address(ask, repo, "verify", each, each.size)}}}


def _download(ask: Ask, repo: Repo, each: Object) -> dict[str, Any]:
    told: dict[str, Any] = {"oid": each.oid, "size": each.size, "authenticated": True}
    try:
        if ask.hub.content.have(repo, [each.oid]) or not _elsewhere(ask, repo, each.oid, each.size):
            told["size"] = ask.hub.content.size(repo, each.oid)
    except MissingError as e:
        return told | {"error": {"code": 404, "message": str(e)}}
    return told | {"actions": {"download": {"href": _address(ask, repo, "download", each, told["size"])}}}


def _elsewhere(ask: Ask, repo: Repo, oid: str, size: int) -> File | None:
    """The large file of a branch or tag that is called so, if it can be asked for elsewhere."""
    shelf = ask.hub.shelf
    named = (file for leaf in repo.refs() for file in shelf.tree(repo, repo.revisions[leaf]).values())
    found = next((file for file in named if file.large and (file.sha256, file.size) == (oid, size)), None)
    return found if found is not None and shelf.where(repo, found) is not Where.NOWHERE else None


def _address(ask: Ask, repo: Repo, what: What, each: Object, size: int, number: int = 0) -> str:
    """Where to send, verify or have a file, or a part of one."""
    return f"{ask.base}/lfs/{what}/{tickets.write(ask.hub.node, what, repo, each.oid, size, number)}"


def _ticket(ask: Ask, what: What) -> Ticket:
    return tickets.read(ask.hub.node, ask.words["ticket"], what)


def _repo(ask: Ask, ticket: Ticket) -> Repo:
    return tickets.repo(ask.hub.shelf, ticket)


def _given(ask: Ask, ticket: Ticket, size: int) -> None:
    if size != ticket.size:
        raise ForgedError(f"{ticket.oid} has {size} bytes, and not {ticket.size}")
    ask.hub.content.give(_repo(ask, ticket), [ticket.oid])


def _folder(ask: Ask, ticket: Ticket) -> Path:
    return ask.hub.content.parts / f"{ticket.place.root[:32]}-{ticket.oid}"


def _joined(paths: Iterable[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece


def _clear(ask: Ask) -> None:
    """Clear away the parts of uploads that were given up."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(ask.hub.content.parts):
            if entry.stat().st_mtime < ask.hub.node.clock() - STALE:
                shutil.rmtree(entry.path, ignore_errors=True)


def _answer(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type=MEDIA)
