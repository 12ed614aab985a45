"""Bundles: what one node has and another lacks, in a file, for places without a line.

The receiver writes what it wants (`Want`: how far it has each log, which blobs it lacks), the sender makes a bundle against
it: an uncompressed ZIP64 whose names are the paths of a mirror (`concord.edges.peer`), so that unzipped on a stick, any static
web server can serve it. Cosignatures travel in its heads, so that the next bundle back carries them home. A bundle may be
split into volumes; each is a ZIP of its own, and all are needed. The files of repos that are wanted go along
(`concord.edges.peer.cargo`).

A bundle is a source like any other: what is in it is verified like what comes over a line. Before that, the file itself is
held against rules that leave no room for tricks, and read to its end:

1. it ends where a ZIP ends, and does not list more names than it has room for;
2. every name is a path of a mirror, none twice, each a plain file, stored and neither compressed nor encrypted;
3. the files lie one after the other, from the first byte on, and none over another;
4. each has the checksum that is written beside it, so that a damaged stick is found out before a byte is taken in.
"""

import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from os import SEEK_END
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Annotated, BinaryIO, Self, cast

import msgspec
from msgspec import Meta
from sqlalchemy import select

from concord.edges.peer import cargo, heads
from concord.edges.peer.pieces import END, FRAME, LARGE_END, LARGE_LIST, LOCAL, Piece, Progress, of_bytes, silent
from concord.edges.peer.source import PIECE, Carrier, FolderSource, Listener, content_of, tile_path
from concord.edges.peer.wants import Chosen, Want
from concord.errors import ConcordError, MalformedError, MissingError, RefusedError, TooLargeError, UnreachableError
from concord.ledger.record import ENCODER, Count
from concord.ledger.storage.files import told
from concord.ledger.tree import Tree, folder
from concord.ledger.view import blobs as blob_table
from concord.ledger.view import logs as log_table
from concord.node import Node
from concord.tlog import tile
from concord.tlog.tile import Place

ANSWER_MAX = 1 << 20  # bytes of what a peer answers to a bundle
VOLUME = "peer/volume.json"
_NAME = re.compile(
    r"peer/(heads|charter|volume\.json|blobs/[0-9a-f]{64}|logs/[0-9a-f]{64}/(checkpoint|tile/(entries|[0-9]{1,2})/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?)"
    r"|content/[0-9a-f]{64}/([0-9a-f]{64}(\.map)?|xorbs/[0-9a-f]{64}(\.rows)?))\Z"
)
UTF_8 = 0x800  # the one flag that a file in a bundle may have: its name is UTF-8
LIST_MAX = 4 << 20  # bytes that list the files of a bundle that is sent over a line
CARRIED_MAX = 64 << 20  # bytes that list the files of a bundle that is carried, of all volumes together: some 250,000 files
_DATE = (1980, 1, 1, 0, 0, 0)  # what is in a bundle does not depend on when it was packed


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of how many volumes a file is, and of which bundle."""

    bundle: Annotated[str, Meta(max_length=64)]
    number: Count
    of: Count


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


class BundleSource:
    """The volumes of one bundle as a source. Close it when done."""

    ahead = 1

    def __init__(self, paths: list[Path], list_max: int = CARRIED_MAX, progress: Progress = silent) -> None:
        """`list_max`: how many bytes the lists of its names may take together. `progress` tells how far it was checked.

        MalformedError if a file is no bundle, is damaged, or plays tricks; MissingError if a volume is missing.
        """
        self.name = ", ".join(path.name for path in paths)
        self._files: list[zipfile.ZipFile] = []
        self._where: dict[str, tuple[BinaryIO, int, int]] = {}  # the file, where what stands before the content is, and the size
        try:
            check_ends(paths, list_max)
            volumes = [self._open(path, progress) for path in paths]
        except BaseException:
            self.close()
            raise
        first = volumes[0]
        numbers = sorted(volume.number for volume in volumes)
        if any((volume.bundle, volume.of) != (first.bundle, first.of) for volume in volumes):
            self.close()
            raise MalformedError("these volumes are of different bundles")
        if numbers != list(range(1, first.of + 1)):
            missing = ", ".join(str(number) for number in range(1, first.of + 1) if number not in numbers)
            self.close()
            raise MissingError(
                f"this bundle has {first.of} volumes, and {f'number {missing} is missing' if missing else 'one is there twice'}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def get(self, path: str, most: int) -> bytes:
        raw = b"".join(self.stream(path, 0)) if self._size(path) <= most else None
        if raw is None:
            raise TooLargeError(f"{self.name}: {path} is larger than the {most} bytes that there can be")
        return raw

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        return self.part(path, start, self._size(path))

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        if path not in self._where:
            raise MissingError(f"{self.name} has no {path}")
        file, header, size = self._where[path]
        try:
            begin = header + LOCAL + sum(struct.unpack("<2H", os.pread(file.fileno(), 4, header + LOCAL - 4)))
            stop = min(stop, size)
            while start < stop:
                piece = os.pread(file.fileno(), min(PIECE, stop - start), begin + start)
                if not piece:
                    raise MalformedError(f"{self.name}: {path} ends before its end")
                start += len(piece)
                yield piece
        except (OSError, struct.error) as e:
            raise UnreachableError(f"{self.name}: {path} cannot be read any more: {e}") from e

    def contents(self) -> Iterator[tuple[str, str]]:
        return filter(None, map(content_of, self._where))

    @property
    def size(self) -> int:
        """How many bytes all that it holds of the files of repos has."""
        return sum(size for name, (_, _, size) in self._where.items() if name.startswith("peer/content/"))

    def _size(self, path: str) -> int:
        return self._where[path][2] if path in self._where else 0

    def _open(self, path: Path, progress: Progress) -> Volume:
        try:
            file = zipfile.ZipFile(path)
        except OSError as e:
            raise MissingError(f"{path}: {e.strerror}") from e
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as e:
            raise MalformedError(f"{path.name} is not a bundle: {e}") from e
        self._files.append(file)
        check_names(file, path)
        check_places(file, path)
        check_content(file, path, progress)
        for info in file.infolist():
            if info.filename != VOLUME:
                if info.filename in self._where:
                    raise MalformedError(f"{path.name}: {info.filename} stands in two volumes")
                self._where[info.filename] = (cast("BinaryIO", file.fp), info.header_offset, info.file_size)
        try:
            return msgspec.json.decode(file.read(VOLUME), type=Volume)
        except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise MalformedError(f"{path.name} does not say which volume it is") from e


@contextmanager
def opened(paths: Iterable[Path], progress: Progress = silent) -> Iterator[list[Carrier]]:
    """The folders among `paths` as sources, and the files, which are the volumes of one bundle. The errors are those of that."""
    found = list(paths)
    folders: list[Carrier] = [FolderSource(path) for path in found if path.is_dir()]
    volumes = [path for path in found if not path.is_dir()]
    if not volumes:
        yield folders
        return
    with BundleSource(volumes, progress=progress) as source:
        yield [*folders, source]


def check_ends(paths: Iterable[Path], list_max: int) -> None:
    """Rule 1, or MalformedError: what lists the names is read as a whole, and takes twelve times its bytes in memory."""
    listed = 0
    for path in paths:
        try:
            listed += _listed(path)
        except OSError as e:
            raise MissingError(f"{path}: {e.strerror}") from e
    if listed > list_max:
        raise TooLargeError("the bundle holds more files than one may, or than one that is sent over a line may")


def _listed(path: Path) -> int:
    """How many bytes the list of a ZIP takes."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, SEEK_END) - LARGE_LIST - LARGE_END - END, 0))
        tail = file.read()
    end, pointer, larger = tail[-END:], tail[-END - LARGE_END : -END], tail[: -END - LARGE_END]
    if end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise MalformedError(f"{path.name} is not a bundle, or its end is missing")
    if pointer[:4] != b"PK\6\7":
        return int.from_bytes(end[12:16], "little")
    if larger[:4] != b"PK\6\6":
        raise MalformedError(f"{path.name} is not a bundle, or its end is missing")
    return int.from_bytes(larger[40:48], "little")


def check_names(file: zipfile.ZipFile, path: Path) -> None:
    """Rule 2, or MalformedError."""
    infos = file.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        raise MalformedError(f"{path.name}: a name stands twice")
    for info in infos:
        if not _NAME.match(info.filename) or info.orig_filename != info.filename:
            raise MalformedError(f"{path.name}: {info.filename[:80]!r} is not the name of anything in a bundle")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & ~UTF_8:
            raise MalformedError(f"{path.name}: {info.filename} is compressed or encrypted, and a bundle is neither")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise MalformedError(f"{path.name}: {info.filename} is a link or another thing than a file")


def check_places(file: zipfile.ZipFile, path: Path) -> None:
    """Rule 3, or MalformedError."""
    infos = sorted(file.infolist(), key=lambda info: info.header_offset)
    if infos and infos[0].header_offset:
        raise MalformedError(f"{path.name} begins with something else than a file")
    end = 0
    for info in infos:
        if info.header_offset < end:
            raise MalformedError(f"{path.name}: {info.filename} lies over another file")
        end = info.header_offset + LOCAL + len(info.filename) + info.file_size
    if end > file.start_dir:
        raise MalformedError(f"{path.name} claims more bytes than it has")


def check_content(file: zipfile.ZipFile, path: Path, progress: Progress) -> None:
    """Rule 4, or MalformedError."""
    infos = file.infolist()
    more = _counting(sum(info.file_size for info in infos), progress)
    for info in infos:
        try:
            with file.open(info) as content:
                while piece := content.read(PIECE):
                    more(path.name, len(piece))
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as e:
            raise MalformedError(f"{path.name}: {info.filename} is damaged. Copy the bundle again, or have it made again") from e


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
            pieces.append(Piece(f"peer/blobs/{digest}", node.blobs.size(digest), partial(node.blobs.get, digest)))
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
    written, told_of = list[Path](), _counting(sum(piece.size for piece in pieces), progress)
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


def _counting(total: int, progress: Progress) -> Callable[[str, int], None]:
    """Tells of progress each time that some bytes more are done."""
    done = 0

    def more(name: str, count: int) -> None:
        nonlocal done
        done += count
        progress(name, done, total)

    return more


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
