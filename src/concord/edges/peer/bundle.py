"""Bundles: what one node has and another lacks, in a file, for places without a line.

It is an uncompressed ZIP64 whose names are the paths of a mirror (`concord.edges.peer`), so that unzipped on a stick, any static
web server can serve it. It may be split into volumes; each is a ZIP of its own, and all are needed. How one is made, tells
`concord.edges.peer.export`.

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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import SEEK_END
from pathlib import Path
from typing import Annotated, BinaryIO, Self, cast

import msgspec
from msgspec import Meta

from concord.edges.peer.pieces import END, LARGE_END, LARGE_LIST, LOCAL, counting
from concord.edges.peer.source import PIECE, Carrier, FolderSource, content_of
from concord.errors import MalformedError, MissingError, TooLargeError, UnreachableError
from concord.ledger.progress import Progress, silent
from concord.ledger.record import Count

VOLUME = "peer/volume.json"
_NAME = re.compile(
    r"peer/(heads|charter|volume\.json|blobs/[0-9a-f]{64}|logs/[0-9a-f]{64}/(checkpoint|tile/(entries|[0-9]{1,2})/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?)"
    r"|content/[0-9a-f]{64}/([0-9a-f]{64}(\.map)?|xorbs/[0-9a-f]{64}(\.rows)?))\Z"
)
UTF_8 = 0x800  # the one flag that a file in a bundle may have: its name is UTF-8
LIST_MAX = 4 << 20  # bytes that list the files of a bundle that is sent over a line
CARRIED_MAX = 64 << 20  # bytes that list the files of a bundle that is carried, of all volumes together: some 250,000 files


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of how many volumes a file is, and of which bundle."""

    bundle: Annotated[str, Meta(max_length=64)]
    number: Count
    of: Count


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
    more = counting(sum(info.file_size for info in infos), progress)
    for info in infos:
        try:
            with file.open(info) as content:
                while piece := content.read(PIECE):
                    more(path.name, len(piece))
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as e:
            raise MalformedError(f"{path.name}: {info.filename} is damaged. Copy the bundle again, or have it made again") from e
