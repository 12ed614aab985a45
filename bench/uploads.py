"""A large file coming in by Xet, from the client that people use; and again, from somebody who has almost the same file.

The first upload is measured by the time of the server's processor, the others by what the client sends: everything on the line
counts, hellos and questions, too. Each is from a client with nothing in its caches, to another repo of the same owner. The peer
is a plain LFS server, to which a file goes whole or not at all.
"""

import random
from pathlib import Path

from bench.figure import Figure
from bench.serving import Client, Server, counted, node, prepared, write_noise

SIZE_MAX = 256 << 20  # bytes
EACH = 550  # bytes for each record that is asked for
EDITS = 8  # places that are changed
CHANGED = 1000  # one byte in so many is

TARGET = 15.0  # percent


def run(folder: Path, records: int) -> list[Figure]:
    if not prepared():
        return [Figure("upload by Xet", 0, "MB/s a core", (">=", 150), "not measured: make clients prepares the client", None)]
    size = min(SIZE_MAX, records * EACH)
    source, edited = folder / "large.bin", folder / "edited.bin"
    write_noise(source, size)
    _edit(source, edited, size)
    with node(folder) as (ours, token):
        before = ours.cpu()
        seconds = _upload(folder, ours.url, token, source, "first")
        spent = max(ours.cpu() - before, 0.01)
        again = _sent(folder, ours, token, source, "second")
        almost = _sent(folder, ours, token, edited, "third")
    whole, rate = "a plain LFS server", size / 1e6
    return [
        Figure("upload by Xet", rate / spent, "MB/s a core", (">=", 150), "by the clock, with the client's work", rate / seconds),
        Figure("the same file again, sent", 100 * again / size, "%", ("<=", TARGET), whole, 100),
        Figure("a file 99.9 % the same, sent", 100 * almost / size, "%", ("<=", TARGET), whole, 100),
    ]


def _edit(source: Path, target: Path, size: int) -> None:
    """The same bytes, one in CHANGED of them changed, in EDITS runs."""
    content, length = bytearray(source.read_bytes()), size // CHANGED // EDITS
    places = random.Random(0)
    for _ in range(EDITS):
        start = places.randrange(size - length)
        content[start : start + length] = places.randbytes(length)
    target.write_bytes(content)


def _upload(folder: Path, url: str, token: str, file: Path, repo: str) -> float:
    return Client(folder / "client", url, token, xet=True).hf("upload", f"bench/{repo}", file, "large.bin")


def _sent(folder: Path, ours: Server, token: str, file: Path, repo: str) -> int:
    with counted(ours.url) as (url, sent):
        _upload(folder, url, token, file, repo)
    return sum(sent)
