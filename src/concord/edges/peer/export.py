"""Making a bundle (`concord.edges.peer.bundle`): what one node has and another lacks, in a file or several.

The receiver writes what it wants (`Want`: how far it has each log, which blobs it lacks), the sender makes a bundle against it.
Cosignatures travel in its heads, so that the next bundle back carries them home. The files of repos that are wanted go along
(`concord.edges.peer.cargo`).
"""

import stat
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import msgspec
from sqlalchemy import select

from concord.edges.peer import cargo, heads
from concord.edges.peer.bundle import CARRIED_MAX, VOLUME, Volume
from concord.edges.peer.pieces import FRAME, Piece, counting, of_bytes
from concord.edges.peer.source import Listener, tile_path
from concord.edges.peer.wants import Chosen, Want
from concord.errors import ConcordError, RefusedError, TooLargeError
from concord.ledger.progress import Progress, silent
from concord.ledger.record import ENCODER
from concord.ledger.storage.files import told
from concord.ledger.tree import Tree, folder
from concord.ledger.view import blobs as blob_table
from concord.ledger.view import logs as log_table
from concord.node import Node
from concord.tlog import tile
from concord.tlog.tile import Place

ANSWER_MAX = 1 << 20  # bytes of what a peer answers to a bundle
_DATE = (1980, 1, 1, 0, 0, 0)  # what is in a bundle does not depend on when it was packed


@dataclass(frozen=True)
class Exported:
    """What went into a bundle: entries of logs, blobs, files of repos.

    `left_out` are the digests of blobs and files that fit no volume; `absent` are repos and files that are wanted and cannot be
    had here, by name.
    """

    volumes: tuple[Path, ...]
    entries: int
    blobs: int
    files: int
    left_out: tuple[str, ...]
    absent: tuple[str, ...]


def export(
    node: Node,
    wanted: Want,
    out: Path,
    volume_bytes: int | None = None,
    repos: Sequence[Chosen] = (),
    progress: Progress = silent,
    *,
    with_blobs: bool = True,
) -> Exported:
    """Write to `out` (and `out` with .2, .3, … before its suffix, if it is split) what `wanted` lacks and `node` has.

    `repos` are those that the sender chooses, besides those that are wanted. Without blobs, no files go either.

    RefusedError if they serve different organisations; TooLargeError for more files than a bundle may list; StorageError if the
    disk refuses, DamagedError if it holds something else than was written. Then no file stands.
    """
    if wanted.organisation != node.organisation:
        raise RefusedError("the bundle is wanted for another organisation than this node serves")
    pieces, entries = _log_pieces(node, wanted)
    blobs = _blob_pieces(node, wanted) if with_blobs else []
    fitting = [piece for piece in blobs if piece.fits(volume_bytes)]
    loaded = cargo.load(node, cargo.choose(node, wanted, repos), volume_bytes) if with_blobs else cargo.Cargo()
    every = [*pieces, *fitting, *loaded.pieces]
    if sum(piece.listed for piece in every) > CARRIED_MAX:
        raise TooLargeError(f"a bundle of {len(every)} files, more than anybody would take in. Choose fewer repos")
    left_out = (*(piece.name[-64:] for piece in blobs if not piece.fits(volume_bytes)), *loaded.left_out)
    volumes = _write_all(out, every, volume_bytes, progress)
    return Exported(volumes, entries, len(fitting), loaded.files, left_out, tuple(loaded.absent))


def push(node: Node, source: Listener, wanted: Want) -> tuple[int, bytes]:
    """Send `source` a bundle of what `wanted` lacks, without blobs: the status and the beginning of its answer."""
    try:
        with TemporaryDirectory() as folder_:
            path = Path(folder_) / "push.zip"
            export(node, wanted, path, with_blobs=False)
            return source.post("peer/bundle", path.read_bytes(), ANSWER_MAX)
    except OSError as e:
        raise told(e, Path(gettempdir())) from e


def _log_pieces(node: Node, wanted: Want) -> tuple[list[Piece], int]:
    """The heads, the charter, and of each log what is new: checkpoint, tiles, entry bundles. And how many entries that is."""
    said = heads.of(node)
    pieces = [of_bytes("peer/heads", heads.write(said))]
    if node.charter is not None:
        pieces.append(of_bytes("peer/charter", ENCODER.encode(node.charter)))
    entries, packed = 0, set()
    for head in said.heads:
        origin, size = head.checkpoint.origin, head.checkpoint.size
        tree, have = node.holdings.tree(origin), wanted.sizes.get(origin, 0)
        if origin in packed or not have < size <= tree.size or tree.root_at(size) != head.checkpoint.root:
            continue
        packed.add(origin)
        entries += size - have
        pieces.append(of_bytes(f"peer/logs/{folder(origin)}/checkpoint", bytes(head.note)))
        pieces += [_tree_piece(tree, place) for place in (*tile.places(have, size), *tile.bundle_places(have, size))]
    return pieces, entries


def _tree_piece(tree: Tree, place: Place) -> Piece:
    """A tile or entry bundle, read once for its size and again when it is written: a large log does not fit in memory."""
    return Piece(tile_path(folder(tree.origin), place), len(tree.read(place)), lambda: (tree.read(place),))


def _blob_pieces(node: Node, wanted: Want) -> list[Piece]:
    """The blobs that the receiver asks for, and those that the new records name."""
    named = select(blob_table.c.blob, log_table.c.origin, blob_table.c.index).join(log_table, log_table.c.log == blob_table.c.log)
    with node.reading() as db:
        rows = list(db.execute(named.where(blob_table.c.salted == 0)))
    new = {digest for digest, origin, index in rows if index >= wanted.sizes.get(origin, 0)}
    public = {digest for digest, _, _ in rows}
    pieces = []
    for digest in sorted(new | (set(wanted.blobs) & public)):
        if node.personal(digest):
            continue
        try:
            pieces.append(Piece(f"peer/blobs/{digest}", node.blobs.size(digest), partial(node.blob, digest)))
        except ConcordError:
            continue  # not here, held or erased: not ours to hand on
    return sorted(pieces, key=lambda piece: piece.size)


def _name(pieces: list[Piece]) -> str:
    """What tells this bundle from others, and is the same whenever it is packed: the heads, and what is in it."""
    content = sha256(b"".join(pieces[0].read()))
    for piece in pieces:
        content.update(f"{piece.name} {piece.size}\n".encode())
    return content.hexdigest()[:16]


def _split(pieces: list[Piece], most: int | None) -> list[list[Piece]]:
    """Groups of pieces, in order, each a file of at most `most` bytes (a piece alone may be larger than that)."""
    groups: list[list[Piece]] = [[]]
    size = FRAME
    for piece in pieces:
        if most is not None and groups[-1] and size + piece.weight > most:
            groups.append([])
            size = FRAME
        groups[-1].append(piece)
        size += piece.weight
    return groups


def _write_all(out: Path, pieces: list[Piece], most: int | None, progress: Progress) -> tuple[Path, ...]:
    """Write the pieces into as many volumes as are needed: all of these, or none."""
    groups, name = _split(pieces, most), _name(pieces)
    paths = [out if number == 1 else out.with_name(f"{out.stem}.{number}{out.suffix}") for number in range(1, len(groups) + 1)]
    written, told_of = list[Path](), counting(sum(piece.size for piece in pieces), progress)
    try:
        for number, (path, group) in enumerate(zip(paths, groups, strict=True), 1):
            written.append(path)
            _write(path, Volume(name, number, len(groups)), group, told_of)
    except BaseException as e:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(e, OSError):
            raise told(e, out) from e
        raise
    return tuple(paths)


def _write(path: Path, volume: Volume, pieces: list[Piece], more: Callable[[str, int], None]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as file:
        for piece in (of_bytes(VOLUME, msgspec.json.encode(volume)), *pieces):
            info = zipfile.ZipInfo(piece.name, _DATE)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.file_size = piece.size
            with file.open(info, "w", force_zip64=piece.size >= 1 << 31) as target:
                for part in piece.read():
                    target.write(part)
                    more(path.name, len(part))
