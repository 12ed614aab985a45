"""Checking a home: that what it holds is what was signed, and that what it shows is what follows.

1. the pillars keep the laws that every pillar must keep, and the view reads every log;
2. every log's checkpoint is signed by its own key, and cosigned as its signatures say; so is the last that was well cosigned;
3. the tiles make its root (quick), or: every entry is read, every leaf and every tile is computed again, and the identities
   that are kept apart are those that stand in the log (deep);
4. the view is computed anew beside the one there is, and every table's digest agrees (deep);
5. every blob is read, held or not, and has the digest that it goes by; so are the chunks of large files (deep);
6. what is noted as here of repos is here (deep).

Of one repo (`verify_repo`): its commits stand in logs, under signed checkpoints; they make the trees that they name; and what is
here of its files is here whole, or, deep, is what was committed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from concord.content import Content
from concord.errors import ConcordError, DamagedError
from concord.ledger.conformance import pillar_laws
from concord.ledger.identity import IDENTITY_MARK
from concord.ledger.mirror import signed_by
from concord.ledger.progress import Progress, silent
from concord.ledger.statements import LEDGER
from concord.ledger.storage.database import open_database
from concord.ledger.tree import Head, Tree
from concord.ledger.view import View
from concord.node import PILLARS, Node
from concord.pillars.commons import File, Repo, Revision
from concord.pillars.commons.receipt import Trust
from concord.reading import prove
from concord.shelf import Reader
from concord.tlog import merkle, tile
from concord.tlog.note import verify as verify_note
from concord.tlog.policy import Policy
from concord.tlog.proof import verify as verify_proof
from concord.tlog.tile import WIDTH, Place


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: what it is, and what is wrong with it (empty if nothing is)."""

    what: str
    wrong: str = ""


def verify(node: Node, *, deep: bool = False, set_aside: bool = False, progress: Progress = silent) -> Iterator[Finding]:
    """Check the node's home; each finding as soon as it is known.

    With `set_aside`, damaged xorbs are found no more, so that they can come again.
    """
    yield _finding("laws of the pillars", lambda: pillar_laws((LEDGER, *PILLARS)))  # 1
    view = _finding("view", node.catch_up)
    yield view
    for origin in node.holdings.origins():
        yield _finding(f"log {origin}", partial(_check_log, node, origin, progress if deep else None))
    if deep and not view.wrong:
        yield from _check_view(node)  # 4
    if deep:
        for digest in node.blobs.digests():
            yield _finding(f"blob {digest}", partial(node.blobs.check, digest))  # 5
        yield from _check_chunks(node, progress, set_aside=set_aside)
        yield from _check_content(node)  # 6


def verify_repo(shelf: Reader, repo: Repo, *, deep: bool = False, progress: Progress = silent) -> Iterator[Finding]:
    """Check a repo of the home: commits, trees, and the bytes that are here; those of a private repo stand in no log."""
    files: dict[str, File] = {}
    policy = shelf.node.policies()
    for revision in repo.revisions.values():
        if not repo.private:
            yield _finding(f"commit {revision.oid}", partial(_check_commit, shelf.node, policy, revision))
        tree = _finding(f"tree of {revision.oid}", partial(shelf.tree, repo, revision))
        yield tree
        if not tree.wrong:
            files |= {file.sha256: file for file in shelf.changes(revision).put}
    here = shelf.content.have(repo, files)
    for number, digest in enumerate(sorted(here)):
        progress(repo.id.name, number, len(here))
        check = partial(shelf.content.check, digest, files[digest].size, deep=deep)
        yield _finding(f"file {files[digest].path} ({digest})", check)
    yield Finding(f"{len(here)} of {len(files)} files here")


def _check_commit(node: Node, policy: Trust, revision: Revision) -> None:
    """That a commit stands in its log, under a checkpoint that the log signed."""
    assert revision.index is not None
    proof = prove(node, revision.commit.by, revision.index)
    assert proof.extra is not None
    leaf = merkle.leaf_hash(proof.extra)
    if leaf.hex() != revision.leaf:
        raise DamagedError(f"entry {revision.index} of {revision.commit.by} is not this commit")
    verify_proof(proof, Policy(policy(revision.commit.by).logs), leaf)


def _check_chunks(node: Node, progress: Progress, *, set_aside: bool) -> Iterator[Finding]:
    """What is kept as chunks, if anything is. What to do about it stands in the reason."""
    if not node.has_chunks:
        return
    wrong = False
    for damage in node.chunks.verify(deep=True, progress=progress):
        wrong = True
        if damage.kind == "xorb" and set_aside:
            node.chunks.set_aside(damage.hash)
            yield Finding(f"xorb {damage.hash}", "is damaged, and is set aside now. Pull the repos that need it again")
        elif damage.kind == "xorb":
            yield Finding(f"xorb {damage.hash}", f"{damage.reason}. `concord verify --deep --set-aside` sets it aside")
        else:
            yield Finding(f"file in chunks {damage.hash}", f"{damage.reason}. Pull it again, or send it again")
    if wrong and set_aside:
        node.chunks.salvage(node.clock())  # what is sound in them is not lost with the rest
    if not wrong:
        yield Finding("chunks")


def _check_content(node: Node) -> Iterator[Finding]:
    """That the bytes are here which repos are noted to have."""
    gone = Content(node).gone()
    for root, digest in gone:
        what = "is noted as here, and its bytes are gone. Pull it or send it again; `concord commons gc` forgets what nobody needs"
        yield Finding(f"content {digest} of the repo {root[:24]}", what)
    if not gone:
        yield Finding("content")


def _check_log(node: Node, origin: str, progress: Progress | None) -> None:
    tree = node.holdings.tree(origin)
    head = tree.head
    if head is None:
        return
    signed_by(head.note, origin, tree.identities())  # 2
    _check_cosignatures(node, tree, head)
    if progress is None:  # 3
        if tree.edge().root() != head.checkpoint.root:
            raise DamagedError(f"the tiles of {origin} do not make the root that it signed")
    else:
        _check_entries(tree, progress)


def _check_cosignatures(node: Node, tree: Tree, head: Head) -> None:
    """Those of the checkpoint, and of the last that was well cosigned, which is of the same tree unless the log is disputed."""
    policy = node.policy(tree.origin)
    keys = (*policy.logs, *policy.witnesses.values())
    verify_note(head.note, keys)
    good = node.holdings.cosigned(tree.origin)
    if good is None:
        return
    verify_note(good.note, keys)
    size = good.checkpoint.size
    if tree.origin not in node.disputes() and (size > tree.size or tree.root_at(size) != good.checkpoint.root):
        raise DamagedError(f"what was well cosigned of {tree.origin}, at size {size}, is not what is held of it")


def _check_entries(tree: Tree, progress: Progress) -> None:
    """Read every entry; compare every hash of every level with the stored tiles, and the root with the signed one."""
    size, root = tree.size, tree.root
    edge, identities = tile.EMPTY_EDGE, []
    for place in tile.bundle_places(0, size):
        entries = tile.parse_bundle(tree.read(place), place.width)
        identities += [entry for entry in entries if IDENTITY_MARK in entry]
        edge, full = tile.grow(edge, [merkle.leaf_hash(entry) for entry in entries])
        for part in full:
            _compare(tree, part.place, bytes(part))
        progress(tree.origin, edge.size, size)
    for part in edge.tiles():
        _compare(tree, part.place, bytes(part))
    if edge.root() != root:
        raise DamagedError(f"the entries of {tree.origin} do not make the root that it signed")
    if identities != tree.identities():
        raise DamagedError(f"the identities that are kept of {tree.origin} are not those in the log")


def _compare(tree: Tree, place: Place, expected: bytes) -> None:
    if tree.read(place) != expected:
        first = place.index * WIDTH ** ((place.level or 0) + 1)
        raise DamagedError(f"{place} of {tree.origin} (from entry {first}) is not what its entries make")


def _check_view(node: Node) -> Iterator[Finding]:
    """Compute the view anew, in a file of its own, and compare."""
    with TemporaryDirectory() as folder:
        engine = open_database(Path(folder) / "view.db", durable=False)
        anew = View(engine, PILLARS, node.organisation)
        sizes, kept = node.view.moment()
        logs = {origin: (node.holdings.tree(origin), size) for origin, size in sizes.items()}
        made = _finding("tables", lambda: anew.catch_up(logs))
        if made.wrong:
            yield made
        else:
            yield from _compare_tables(kept, anew.digests())
        engine.dispose()


def _compare_tables(kept: dict[str, str], anew: dict[str, str]) -> Iterator[Finding]:
    for name, digest in anew.items():
        wrong = "" if kept[name] == digest else "is not what the logs make. Delete view.db and start again"
        yield Finding(f"table {name}", wrong)


def _finding(what: str, check: Callable[[], object]) -> Finding:
    """What `check` finds. A law that a pillar breaks is told as an assertion, or by the view that stops it."""
    try:
        check()
    except (ConcordError, AssertionError, RuntimeError) as e:
        return Finding(what, str(e))
    return Finding(what)
