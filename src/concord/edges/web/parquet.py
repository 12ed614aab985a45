"""The head of a Parquet file: its columns, and the first rows, read by pyarrow if it is installed (extra `analytics`).

The file is a stranger's, and the library is written in a language in which a crafted file may do harm. So it reads in a process
of its own (`parquet_child`), with limits of memory and time, without environment, files or a way to write one. Bytes are handed
to it as it asks, up to a limit, so that a file of gigabytes costs no more than its head. What it says is bounded and escaped like
all else. One file is read at a time; what was read is remembered by the file's digest.
"""

import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import msgspec

from concord.edges.web.preview import Read, Table, bounded
from concord.errors import BusyError

GIVEN_MAX = 24 << 20  # bytes of a file that are given
READS_MAX = 500
WAIT = 10  # seconds until the process is ended, and that one waits for another
LINE_MAX = 1 << 20  # bytes of what it says
KEPT = 64  # files whose heads are remembered
EXTRA = "analytics"
_CHILD = Path(__file__).with_name("parquet_child.py")


class Columns(msgspec.Struct, frozen=True):
    """What the process says first: names and types of columns (of `count`), how many rows and groups of rows there are."""

    columns: list[tuple[str, str]]
    count: int
    rows: int
    groups: int


class Rows(msgspec.Struct, frozen=True):
    """What it says then: the first rows, of the columns that it names."""

    names: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Head:
    """What was found. `schema` None: the file cannot be read as Parquet; `table` None: its rows cannot, within the limits."""

    schema: Columns | None = None
    fields: Table | None = None
    table: Table | None = None


class Heads:
    """The heads of Parquet files, by digest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Head] = OrderedDict()
        self._turn = threading.Lock()

    @property
    def offered(self) -> bool:
        """Whether the library is here."""
        return find_spec("pyarrow") is not None

    def of(self, digest: str, size: int, read: Read) -> Head:
        """The head of a file of `size` bytes. BusyError if others are being read for too long; the errors of `read` besides."""
        known = self._kept.get(digest)
        if known is not None:
            return known
        if not self._turn.acquire(timeout=WAIT):
            raise BusyError("other Parquet files are being read; try again in a moment")
        try:
            found, late = _head(size, read)
            if not late:
                self._kept[digest] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        finally:
            self._turn.release()
        return found


def _head(size: int, read: Read) -> tuple[Head, bool]:
    """The head, and whether it was ended before its time."""
    command = [sys.executable, "-I", str(_CHILD), str(size)]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env={}, cwd="/") as child:  # noqa: S603  our own file
        timer = threading.Timer(WAIT, child.kill)
        timer.start()
        try:
            assert child.stdin and child.stdout
            columns, rows = _talk(child.stdin, child.stdout, read)
        finally:
            late = not timer.is_alive()
            timer.cancel()
            child.kill()
    if columns is None:
        return Head(), late
    fields, _ = bounded(["", ""], [list(each) for each in columns.columns])
    return Head(columns, fields, bounded(rows.names, rows.rows)[0] if rows else None), late


def _talk(stdin: IO[bytes], stdout: IO[bytes], read: Read) -> tuple[Columns | None, Rows | None]:
    """Give what is asked for, until it says what it found, or asks for too much."""
    columns, given = None, 0
    try:
        for _ in range(READS_MAX):
            what, _, rest = stdout.readline(LINE_MAX).partition(b" ")
            match what:
                case b"read":
                    start, stop = (int(each) for each in rest.split())
                    given += stop - start
                    if given > GIVEN_MAX or not 0 <= start < stop:
                        break
                    stdin.write(read(start, stop))
                    stdin.flush()
                case b"columns":
                    columns = msgspec.json.decode(rest, type=Columns)
                case b"rows":
                    return columns, msgspec.json.decode(rest, type=Rows)
                case _:
                    break
    except (BrokenPipeError, ValueError, msgspec.DecodeError):
        pass  # it was ended, or says what it never would
    return columns, None
