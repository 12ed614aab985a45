"""The files of repos as peers have them from each other: what is served, and where.

    peer/content/<root>/<SHA-256>            the bytes of a file, with ranges
    peer/content/<root>/<SHA-256>.map        of a large file: its shard, which chunks of which xorbs it is (`concord.xet.shard`)
    peer/content/<root>/xorbs/<xorb>         the chunks of a xorb as stored, one after the other, with ranges
    peer/content/<root>/xorbs/<xorb>.rows    where each of them is, 44 bytes a chunk, with ranges (`concord.ledger.chunks.rows`)

`<root>` is the leaf hash of the record that opened the repo. All of it are plain bytes under names that do not change, so the
same paths stand in a folder or a bundle; who has no xorbs there has the file whole.

What leaves is only of repos that are public and open, and of files that somebody brought to the very repo and that are neither
held nor erased. A xorb may hold chunks of a private file beside those of a public one: rows of chunks that no such file has are
zeros, and bytes that reach into one are not here.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from concord.edges.ranges import ranged
from concord.errors import ErasedError, HeldError, MissingError
from concord.ledger.chunks import rows
from concord.node import Node
from concord.shelf import Courier, Reader

MAP, ROWS, XORBS = ".map", ".rows", "xorbs"
_HASH = re.compile(r"[0-9a-f]{64}\Z")

Read = Callable[[int, int], Iterator[bytes | bytearray]]


def file_path(root: str, sha256: str) -> str:
    """Where the bytes of a file of a repo are."""
    return f"peer/content/{root}/{sha256}"


def map_path(root: str, sha256: str) -> str:
    """Where it stands which chunks of which xorbs a large file is."""
    return f"{file_path(root, sha256)}{MAP}"


def xorb_path(root: str, xorb: str) -> str:
    """Where the chunks of a xorb are, as stored."""
    return f"peer/content/{root}/{XORBS}/{xorb}"


def rows_path(root: str, xorb: str) -> str:
    """Where it stands where each chunk of a xorb is."""
    return f"{xorb_path(root, xorb)}{ROWS}"


class Shared:
    """What a node serves of the files of repos. MissingError for all that it does not, whatever the reason."""

    def __init__(self, node: Node, courier: Courier | None = None) -> None:
        self._node = node
        self._shelf = Reader(node, courier)

    def file(self, root: str, sha256: str) -> int:
        """How many bytes a file has that may be read."""
        self._check_open(root)
        if not self._may(root, [sha256]):
            raise MissingError("no such file here")
        return self._shelf.content.size_of(root, sha256)

    def read(self, root: str, sha256: str, start: int, stop: int) -> Iterator[bytes | bytearray]:
        """Bytes [start, stop) of it, for whoever is done with a piece before asking for the next."""
        return self._shelf.content.flow_of(root, sha256, start, stop)

    def map(self, root: str, sha256: str) -> bytes:
        """The shard of a large file."""
        self.file(root, sha256)
        entry = self._node.chunks.by_digest(sha256)
        if entry is None:
            raise MissingError("no such large file here")
        return self._node.chunks.shard(entry.hash)

    def shown(self, root: str, xorb: str) -> list[tuple[int, int]]:
        """Which chunks of a xorb may be had for files of the repo: [start, stop) in order, none next to another."""
        self._check_open(root)
        users = self._node.chunks.users(xorb)
        allowed = self._may(root, users)
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(span for digest in allowed for span in users[digest]):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            else:
                merged.append((start, stop))
        if not merged:
            raise MissingError("no such xorb here")
        return merged

    def xorb(self, root: str, xorb: str) -> tuple[int, Read]:
        """How many bytes a xorb has as stored, and how to read some: MissingError unless all of them may be had."""
        shown, table = self.shown(root, xorb), self._node.chunks.table(xorb)
        allowed = [table.place(*span) for span in shown]

        def read(start: int, stop: int) -> Iterator[bytes]:
            if not any(first <= start and stop <= last for first, last in allowed):
                raise MissingError("some of these bytes are not for everybody")
            return self._shelf.sealed(root, xorb, start, stop)

        return table.stops[-1], read

    def rows(self, root: str, xorb: str) -> bytes:
        """The rows of a xorb; those of chunks that may not be had are zeros."""
        shown = self.shown(root, xorb)
        return rows.write(self._node.chunks.table(xorb), shown)

    def _check_open(self, root: str) -> None:
        if not _HASH.match(root) or not self._shelf.is_open(root):
            raise MissingError("no such repo here")

    def _may(self, root: str, digests: Iterable[str]) -> set[str]:
        """Those of the files that were brought to the repo, and are neither held nor erased."""
        may = set()
        for digest in self._shelf.content.here(root, [digest for digest in digests if _HASH.match(digest)]):
            with suppress(HeldError, ErasedError):
                self._node.blobs.check_allowed(digest)
                may.add(digest)
        return may


def find(shared: Shared, root: str, name: str) -> tuple[int, Read]:
    """How many bytes stand at a path below `peer/content/<root>/`, and how to read those in [start, stop)."""
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.partition(".")
    if not _HASH.match(stem) or folder not in ("", XORBS) or bool(slash) != bool(folder):
        raise MissingError("there is nothing at this address")
    match folder, dot + suffix:
        case "", "":
            return shared.file(root, stem), lambda first, end: shared.read(root, stem, first, end)
        case "", ".map":
            return _bytes(shared.map(root, stem))
        case "xorbs", ".rows":
            return _bytes(shared.rows(root, stem))
        case "xorbs", "":
            return shared.xorb(root, stem)
    raise MissingError("there is nothing at this address")


def answer(shared: Shared, request: Request) -> Response:
    """What a peer is sent for one of the paths above."""
    root, name = request.path_params["root"], request.path_params["name"]
    size, read = find(shared, root, name)
    if "." not in name:
        return ranged(request, size, read, name)
    told = sha256(b"".join(read(0, size))).hexdigest()  # what is told of a xorb changes with what may be had of it
    return ranged(request, size, read, told, more={"Cache-Control": "no-cache"})


def _bytes(raw: bytes) -> tuple[int, Read]:
    return len(raw), lambda start, stop: iter([raw[start:stop]])
