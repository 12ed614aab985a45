"""Reads the head of a Parquet file, in a process of its own with little memory and time: `concord.edges.web.parquet` starts it.

It is given no file. It asks for bytes on its standard output, a line `read START STOP` at a time, and has them on its standard
input; what it found goes out as two lines of JSON, `columns` and `rows`. It imports nothing of Concord, so that it starts soon.
"""

import io
import json
import resource
import sys

MEMORY_MAX = 3 << 30  # bytes of address space, of which most is never touched
SECONDS_MAX = 8  # of processor time
COLUMNS_MAX, ROWS_MAX, CELL_MAX = 100, 20, 200
SHOWN_MAX = 30  # columns of which values are read


class Asked(io.RawIOBase):
    """A file whose bytes are asked for."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, count: int = -1) -> bytes:
        stop = self._size if count < 0 else min(self._at + count, self._size)
        if stop <= self._at:
            return b""
        tell(f"read {self._at} {stop}")
        found = sys.stdin.buffer.read(stop - self._at)
        if len(found) != stop - self._at:
            raise EOFError("no more bytes are given")
        self._at = stop
        return found


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def limit() -> None:
    """Take from this process what it does not need."""
    limits = (
        (resource.RLIMIT_AS, MEMORY_MAX),
        (resource.RLIMIT_CPU, SECONDS_MAX),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, most in limits:
        resource.setrlimit(kind, (most, most))


def word(value: object) -> str:
    """A cell as words."""
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return ("" if value is None else str(value))[:CELL_MAX]


def main(size: int) -> None:
    import pyarrow as pa  # noqa: PLC0415  only now: the limits hold for it, too
    from pyarrow import parquet  # noqa: PLC0415  likewise

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    file = parquet.ParquetFile(pa.PythonFile(Asked(size), mode="r"), buffer_size=1 << 16, pre_buffer=False)
    schema, about = file.schema_arrow, file.metadata
    columns = [[str(each.name)[:CELL_MAX], str(each.type)[:CELL_MAX]] for each in list(schema)[:COLUMNS_MAX]]
    tell(
        "columns " + json.dumps({"columns": columns, "count": len(schema), "rows": about.num_rows, "groups": about.num_row_groups})
    )
    names = [name for name in schema.names if "." not in name][:SHOWN_MAX]
    for batch in file.iter_batches(batch_size=ROWS_MAX, columns=names, use_threads=False):
        tell("rows " + json.dumps({"names": names, "rows": [[word(row.get(name)) for name in names] for row in batch.to_pylist()]}))
        break


if __name__ == "__main__":
    limit()
    main(int(sys.argv[1]))
