"""Clearing away the bytes of files that nobody needs any more, and nothing else.

What is needed:

1. of every repo known here, private or not, each file that any commit of it puts, as far as the repo was brought its bytes:
   whatever branch, tag or pull request names the commit, and if none does, for it can still be asked for by its name;
2. whatever is held: a hold stops bytes from being served, and keeps them;
3. what came, or was last offered to somebody to build on, less than `age` seconds ago: it may be an upload that goes on;
4. blobs that a record names, or one of a private repo: deposits, lists of changes, particulars;
5. what is not understood: a repo whose commits cannot be read, or whose owner is disputed, or that no log here opens.

What was erased by right is not needed, whatever else names it.

The steps are in an order in which each can be cut off: first large files with their chunks (`Chunks.gc`), then small ones, then the
notes of which repo has what. What was left undone is done the next time. A note goes only when the bytes are gone, or the repo is.
Who builds on bytes that are here without sending them again says so first (`Content.renew`), and then looks whether they are here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import select

from concord.content import AT_ONCE, Content
from concord.errors import ConcordError, MalformedError, RefusedError
from concord.ledger.progress import Progress, silent
from concord.ledger.record import Detached, detached_fields
from concord.ledger.view import blobs
from concord.node import Node
from concord.pillars.commons import Repo
from concord.pillars.commons import view as commons_view
from concord.private import drafts
from concord.shelf import Shelf

AGE_MIN = 7 * 3600  # seconds: an address for an upload is good for six hours
AGE = 72 * 3600  # seconds, unless said otherwise: an upload over a poor line takes days


@dataclass(frozen=True)
class Cleared:
    """What went, or would go: SHA-256 of files, names of xorbs, bytes on the disk. `kept` says what was not understood, a sentence

    each.
    """

    files: tuple[str, ...]
    xorbs: tuple[str, ...]
    size: int
    kept: tuple[str, ...] = ()


@dataclass
class Needs:
    """Which bytes are needed, and which notes are not: `gone` repos have nothing any more, `unnamed` is what no commit names."""

    live: set[str] = field(default_factory=set)
    gone: dict[str, set[str]] = field(default_factory=dict)
    unnamed: dict[str, set[str]] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


def collect(node: Node, age: int, *, dry_run: bool = False, progress: Progress = silent) -> Cleared:
    """Clear away what came more than `age` seconds ago and is not needed. May be called by several at once, and beside a server.

    RefusedError for a home that may lack what its logs said; MalformedError for an age within which an upload may still go on.
    """
    if age < AGE_MIN:
        raise MalformedError(f"what came within {AGE_MIN // 3600} hours may be an upload that goes on, and is not cleared away")
    _check_whole(node)
    before = node.clock() - age
    needs = _needs(node, before, progress)
    progress("chunks", 0, 3)
    files, xorbs, size = _clear_chunks(node, needs.live, before, dry_run=dry_run)
    progress("blobs", 1, 3)
    small, small_size = _clear_blobs(node, needs, before, dry_run=dry_run)
    progress("notes", 2, 3)
    if not dry_run:
        node.blobs.clear_aside(before)
        _clear_notes(node, needs)
    return Cleared((*files, *small), xorbs, size + small_size, tuple(needs.kept))


def _check_whole(node: Node) -> None:
    """That this home has all that its own logs said, so that what no record names is named by none."""
    for origin in node.holdings.hosted():
        reason = node.holdings.log(origin).paused
        if reason is not None:
            raise RefusedError(f"nothing is cleared away while {origin} may not sign, because records may be missing: {reason}")


def _needs(node: Node, before: int, progress: Progress) -> Needs:
    """What is needed. What is noted is read before what the repos say, so that no repo is opened in between and passed over."""
    shelf, disputed, needs = Shelf(node), node.disputes(), Needs()
    noted = shelf.content.noted()
    rest = dict(noted)
    for number, repo in enumerate(shelf.everything()):
        progress(repo.id.name, number, len(noted))
        mine = rest.pop(repo.root, None)
        if mine is not None:
            named = None if repo.id.owner in disputed else _named(shelf, repo)
            needs.live |= mine if named is None else mine & named
            needs.unnamed[repo.root] = set() if named is None else mine - named
            if named is None:
                needs.kept.append(
                    f"all that {repo.id.name} ({repo.root[:24]}) has is kept: not all of its commits can be read here"
                )
    for root, mine in rest.items():
        _weigh_gone(node, needs, root, mine, before)
    held = {digest for digest in node.blobs.held() if node.blobs.holds(digest)}
    needs.live = {digest for digest in needs.live if node.blobs.erased(digest) is None} | held
    return needs


def _named(shelf: Shelf, repo: Repo) -> set[str] | None:
    """The digests of all files that commits of the repo put; None if one of its commits cannot be read."""
    found: set[str] = set()
    try:
        for revision in repo.revisions.values():
            found.update(file.sha256 for file in shelf.changes(revision).put)
    except ConcordError:
        return None
    return found


def _weigh_gone(node: Node, needs: Needs, root: str, mine: set[str], before: int) -> None:
    """A repo that is not there: closed a while ago, or only now, or never heard of."""
    with node.reading() as db:
        opened = commons_view.opened_by(db, root)
        closed = commons_view.last_closed(db, opened.owner) if opened else 0
    if opened is None or opened.owner in node.disputes():
        needs.live |= mine
        needs.kept.append(f"{len(mine)} files of the repo {root[:24]} are kept: whether it is gone cannot be seen here")
    elif closed >= before:
        needs.live |= mine
    else:
        needs.gone[root] = mine


def _clear_chunks(node: Node, live: set[str], before: int, *, dry_run: bool) -> tuple[list[str], tuple[str, ...], int]:
    if not node.has_chunks:
        return [], (), 0
    digests = {entry.hash: entry.sha256 for entry in node.chunks.entries()}
    wanted = {name for name, digest in digests.items() if digest in live}
    garbage = node.chunks.gc(wanted, (), before, dry_run=dry_run)
    return [digests.get(name, name) for name in garbage.files], garbage.xorbs, garbage.size


def _clear_blobs(node: Node, needs: Needs, before: int, *, dry_run: bool) -> tuple[list[str], int]:
    """Small files: those that are noted, and those that nobody names, unless records may stand where nobody reads them."""
    went, size = list[str](), 0
    known = set().union(*needs.gone.values(), *needs.unnamed.values()) if node.disputes() else None
    candidates = (digest for digest in node.blobs.digests() if digest not in needs.live and (known is None or digest in known))
    drafted = _drafted(node)
    for some in _batches(candidates):
        for digest in sorted(set(some) - _recorded(node, some) - drafted):
            weight = node.blobs.kept(digest) or 0
            if node.blobs.is_older(digest, before) if dry_run else node.blobs.discard(digest, before):
                went.append(digest)
                size += weight
    return went, size


def _clear_notes(node: Node, needs: Needs) -> None:
    content = Content(node)
    for root, names in needs.gone.items():
        content.drop(root, names)
    for root, names in needs.unnamed.items():
        content.drop_gone(root, names)


def _recorded(node: Node, digests: list[str]) -> set[str]:
    """Those that a record names."""
    with node.reading() as db:
        return set(db.scalars(select(blobs.c.blob).where(blobs.c.blob.in_(digests)).distinct()))


def _drafted(node: Node) -> set[str]:
    """The blobs that records of private repos name."""
    found: set[str] = set()
    with node.private_reading() as db:
        entries = [entry for repo in drafts.repos(db) for entry in drafts.entries(db, *repo)]
    for entry in entries:
        record = node.read(entry)
        parts = [getattr(record, name) for name in detached_fields(type(record))]
        found.update(part.digest for part in parts if isinstance(part, Detached))
    return found


def _batches(digests: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for digest in digests:
        batch.append(digest)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
