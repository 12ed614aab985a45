"""Checking a home: that what it holds is what was signed, and that what it shows is what follows.

1. every log's checkpoint is signed by its own key, and cosigned as its signatures say;
2. the tiles make its root (quick), or: every entry is read, every leaf and every tile is computed again (deep);
3. the view is computed anew beside the one there is, and every table's digest agrees (deep);
4. every blob is read and has the digest that it goes by (deep);
5. the pillars keep the laws that every pillar must keep.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from concord.errors import ConcordError, DamagedError
from concord.ledger.conformance import pillar_laws
from concord.ledger.mirror import signed_by
from concord.ledger.statements import LEDGER
from concord.ledger.storage.database import open_database
from concord.ledger.tree import Tree
from concord.ledger.view import View
from concord.node import PILLARS, Node
from concord.tlog import merkle, tile
from concord.tlog.tile import WIDTH, Place

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: what it is, and what is wrong with it (empty if nothing is)."""

    what: str
    wrong: str = ""


def verify(node: Node, *, deep: bool = False, progress: Progress = lambda _what, _done, _all: None) -> Iterator[Finding]:
    """Check the node's home; each finding as soon as it is known."""
    yield _finding("laws of the pillars", lambda: pillar_laws((LEDGER, *PILLARS)))
    for origin in node.holdings.origins():
        yield _finding(f"log {origin}", lambda origin=origin: _check_log(node, origin, progress if deep else None))  # type: ignore[misc]
    if deep:
        yield from _check_view(node)
        for digest in node.blobs.digests():
            yield _finding(f"blob {digest}", lambda digest=digest: node.blobs.check(digest))  # type: ignore[misc]


def _check_log(node: Node, origin: str, progress: Progress | None) -> None:
    tree = node.holdings.tree(origin)
    head = tree.head
    if head is None:
        return
    signed_by(head.note, origin, tree.identities())  # 1
    if progress is None:  # 2
        if tree.edge().root() != head.checkpoint.root:
            raise DamagedError(f"the tiles of {origin} do not make the root that it signed")
    else:
        _check_entries(tree, progress)


def _check_entries(tree: Tree, progress: Progress) -> None:
    """Read every entry; compare every hash of every level with the stored tiles, and the root with the signed one."""
    size, root = tree.size, tree.root
    edge = tile.EMPTY_EDGE
    for place in tile.bundle_places(0, size):
        entries = tile.parse_bundle(tree.read(place), place.width)
        edge, full = tile.grow(edge, [merkle.leaf_hash(entry) for entry in entries])
        for part in full:
            _compare(tree, part.place, bytes(part))
        progress(tree.origin, edge.size, size)
    for part in edge.tiles():
        _compare(tree, part.place, bytes(part))
    if edge.root() != root:
        raise DamagedError(f"the entries of {tree.origin} do not make the root that it signed")


def _compare(tree: Tree, place: Place, expected: bytes) -> None:
    if tree.read(place) != expected:
        first = place.index * WIDTH ** ((place.level or 0) + 1)
        raise DamagedError(f"{place} of {tree.origin} (from entry {first}) is not what its entries make")


def _check_view(node: Node) -> Iterator[Finding]:
    """Compute the view anew, in a file of its own, and compare."""
    node.catch_up()
    with TemporaryDirectory() as folder:
        engine = open_database(Path(folder) / "view.db", durable=False)
        anew = View(engine, PILLARS, node.organisation)
        sizes, kept = node.view.moment()
        anew.catch_up({origin: (node.holdings.tree(origin), size) for origin, size in sizes.items()})
        for name, digest in anew.digests().items():
            wrong = "" if kept[name] == digest else "is not what the logs make. Delete view.db and start again"
            yield Finding(f"table {name}", wrong)
        engine.dispose()


def _finding(what: str, check: Callable[[], None]) -> Finding:
    try:
        check()
    except (ConcordError, AssertionError) as e:
        return Finding(what, str(e))
    return Finding(what)
