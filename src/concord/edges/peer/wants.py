"""What a node lacks: how far it has each log, which blobs it would take, and the files of which repos. A bundle is made against it.

A want without repos is in the format `concord-want/1`, as it always was. One that names repos is `concord-want/2`, which an
older node refuses, so that nobody carries a stick in vain. For each repo it says what is here of it, for the sender to leave
out: the SHA-256 of its files, from which a sender that has them knows every chunk, and the xorbs that they are made of, which
need not even be described then. What does not fit in a want is only carried once more.

>>> raw = write(Want("a" * 64, {}, repos=[Chosen("nairobi/words")]))
>>> read_want(raw).format, read_want(raw).chosen()[0].revision
('concord-want/2', 'main')
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select

from concord.errors import MalformedError, MissingError, TooLargeError
from concord.ledger.record import Count, Digest, Origin
from concord.ledger.view import blobs as blob_table
from concord.node import Node
from concord.pillars.commons.repo import MAIN
from concord.shelf import Reader

WANT_FORMAT, REPOS_FORMAT = "concord-want/1", "concord-want/2"
WANT_SIZE_MAX = 4 << 20  # bytes
REPOS_MAX = 2000
HAD_MAX = 30_000  # files and xorbs that a want says are here, of all repos together: 2 MB


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A repo whose files are wanted, by its root, or by a name that the node does not know yet; and what the node has of it.

    `files` are SHA-256 of files, `xorbs` hashes of xorbs in the spelling of the Xet protocol.
    """

    repo: Annotated[str, Meta(max_length=300)]
    revision: Annotated[str, Meta(max_length=300)] = MAIN
    files: Annotated[list[Digest], Meta(max_length=HAD_MAX)] = []
    xorbs: Annotated[list[Digest], Meta(max_length=HAD_MAX)] = []


class Want(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node has: of each log so many entries. `blobs` are those that it lacks and would take.

    `repos` are those whose files it would take; with `every`, also those of all other open repos.
    """

    organisation: Annotated[str, Meta(max_length=64)]
    sizes: Annotated[dict[Origin, Count], Meta(max_length=2000)]
    blobs: Annotated[list[Digest], Meta(max_length=20_000)] = []
    format: str = WANT_FORMAT
    repos: Annotated[list[Chosen], Meta(max_length=REPOS_MAX)] | UnsetType = UNSET
    every: bool | UnsetType = UNSET

    def chosen(self) -> list[Chosen]:
        """The repos that it names."""
        return [] if self.repos is UNSET else self.repos


class _Any(msgspec.Struct):
    format: str = WANT_FORMAT


def want(node: Node, repos: Sequence[str] = (), revision: str = MAIN, *, every: bool = False) -> Want:
    """What `node` has and lacks; with files of `repos` as of `revision`, and with `every`, of all open repos.

    RefusedError for a repo that is private or not open; MalformedError for what is no name of a repo.
    """
    sizes = {origin: node.holdings.tree(origin).size for origin in node.holdings.origins()}
    plain = Want(node.organisation, sizes, [digest for digest, _ in wanted_blobs(node)])
    if not repos and not every:
        return plain
    shelf = Reader(node)
    named = dict.fromkeys(_root(shelf, name) for name in repos)
    others = [repo.root for repo in shelf.open_repos()] if every else []
    chosen = list(_had(node, shelf, [*named, *(root for root in others if root not in named)], revision))
    listed = [each for each in chosen if each.repo in named or each.files][:REPOS_MAX]
    return msgspec.structs.replace(plain, format=REPOS_FORMAT, repos=listed, every=every or UNSET)


def write(wanted: Want) -> bytes:
    """The JSON form."""
    of_repos = wanted.repos is not UNSET or wanted.every is not UNSET
    return msgspec.json.encode(msgspec.structs.replace(wanted, format=REPOS_FORMAT if of_repos else WANT_FORMAT))


def read_want(raw: bytes) -> Want:
    """The want in a file. MalformedError if it is none."""
    if len(raw) > WANT_SIZE_MAX:
        raise TooLargeError(f"a want of {len(raw)} bytes, over {WANT_SIZE_MAX}")
    try:
        said = msgspec.json.decode(raw, type=_Any).format
        if said not in (WANT_FORMAT, REPOS_FORMAT):
            raise MalformedError(f"a want in the format {said[:40]!r}; this version reads {WANT_FORMAT} and {REPOS_FORMAT}")
        read = msgspec.json.decode(raw, type=Want)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"not what `concord bundle want` writes: {e}") from e
    if said == WANT_FORMAT and (read.repos is not UNSET or read.every is not UNSET):
        raise MalformedError(f"a want in the format {WANT_FORMAT} names no repos")
    return read


def wanted_blobs(node: Node) -> list[tuple[str, int]]:
    """Digest and size of each blob that records name, that is neither here nor erased nor personal nor too large."""
    named = select(blob_table.c.blob, blob_table.c.size).where(blob_table.c.salted == 0).distinct()
    with node.reading() as db:
        rows = [(digest, size) for digest, size in db.execute(named.order_by(blob_table.c.size, blob_table.c.blob))]
    return [
        (digest, size)
        for digest, size in rows
        if size <= node.settings.blob_bytes and not node.blobs.have(digest) and node.blobs.erased(digest) is None
    ]


def _root(shelf: Reader, name: str) -> str:
    """The root of a repo, or the name itself if the repo is not known here: the sender may know it."""
    try:
        repo = shelf.named(name)
    except MissingError:
        return name
    shelf.check_open(repo)
    return repo.root


def _had(node: Node, shelf: Reader, roots: Sequence[str], revision: str) -> Iterator[Chosen]:
    """What is here of each repo: large files first, as far as there is room for them, small files in the room that is left."""
    here = {root: shelf.content.all_of(root) for root in roots}
    large = {root: list(_large(node, digests)) for root, digests in here.items()}
    files = {root: [digest for digest, _ in found] for root, found in large.items()}
    room = iter(range(HAD_MAX))
    xorbs = {root: _within(room, list(dict.fromkeys(xorb for _, some in large[root] for xorb in some))) for root in roots}
    told = {root: _within(room, files[root]) for root in roots}
    for root in roots:
        small = _within(room, sorted(here[root] - set(files[root])))
        yield Chosen(root, revision, told[root] + small, xorbs[root])


def _within(room: Iterator[int], some: list[str]) -> list[str]:
    """As many of these as there is room for."""
    return [each for each, _ in zip(some, room, strict=False)]


def _large(node: Node, digests: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Those of the files that are here as chunks, none missing, each with its xorbs."""
    for digest in sorted(digests):
        entry = node.chunks.by_digest(digest)
        if entry is not None and not node.chunks.missing(entry.hash):
            yield digest, node.chunks.xorbs_of(entry.hash)
