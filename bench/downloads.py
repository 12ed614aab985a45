"""A large file going out: to curl, and to the client that people use, beside nginx and olah.

The file is random bytes, which no server can make shorter. nginx sends the same bytes as one plain file with sendfile, which is as
little as a server can do; to `hf` it says what a Hub says. olah is a mirror of Hubs that keeps what it fetched: it fetches the
file from us, and what is measured is the second time, from its cache.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figure import Figure
from bench.serving import Client, Server, curl, nginx, node, olah, prepared, write_noise

SIZE_MAX = 1 << 30  # bytes
EACH = 1100  # bytes for each record that is asked for
TURNS = 3
LARGE = 16 << 20  # bytes of a file that is worth measuring more than once
REPO = "bench/large"
FILE = "large.bin"
PATH = f"{REPO}/resolve/main/{FILE}"
MISSING = "(not installed)"


@dataclass(frozen=True)
class Sent:
    """The best of several downloads: seconds that it took, and seconds of the server's processor."""

    seconds: float
    cpu: float


def run(folder: Path, records: int) -> list[Figure]:
    size = min(SIZE_MAX, records * EACH)
    source = folder / FILE
    write_noise(source, size)
    root = folder / "root"
    (root / PATH).parent.mkdir(parents=True)
    os.link(source, root / PATH)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    headers = {"ETag": f'"{digest}"', "X-Repo-Commit": "0" * 39 + "1", "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(size)}
    with node(folder) as (ours, token), nginx(folder, root, headers) as plain:
        figures = []
        if prepared() and shutil.which("curl"):
            Client(folder / "up", ours.url, token, xet=False).hf("upload", REPO, source, FILE)
            figures = [*_raw(ours, plain, size), *_clients(folder, ours, plain, token, size)]
            figures.append(_mirrored(folder, ours, size))
    return figures or [
        Figure("download by curl", 0, "MB/s", (">=", 800), "not measured: make clients prepares what fills the node", None)
    ]


def _raw(ours: Server, plain: Server | None, size: int) -> list[Figure]:
    sent, other = _both(lambda server: curl(f"{server.url}/{PATH}"), ours, plain, _turns(size))
    peer = "nginx, sendfile" if other else f"nginx {MISSING}"
    gigabytes, megabytes = size / 1e9, size / 1e6
    return [
        Figure(
            f"download of {_told(size)} by curl",
            megabytes / sent.seconds,
            "MB/s",
            (">=", 800),
            peer,
            megabytes / other.seconds if other else None,
        ),
        Figure(
            "processor time of the server for it",
            sent.cpu / gigabytes,
            "s/GB",
            ("<=", 0.5),
            peer,
            max(other.cpu / gigabytes, 0.001) if other else None,
        ),
    ]


def _clients(folder: Path, ours: Server, plain: Server | None, token: str, size: int) -> list[Figure]:
    def download(server: Server, *, xet: bool = False) -> float:
        return Client(folder / "down", server.url, token, xet=xet).hf("download", REPO, FILE)

    sent, other = _both(download, ours, plain, _turns(size))
    chunks = min(download(ours, xet=True) for _ in range(_turns(size)))
    peer = "from nginx" if other else f"nginx {MISSING}"
    bound = 1.1 * other.seconds if other else 1.1 * (1 + size / 100e6)
    return [
        Figure(f"hf download of {_told(size)}, whole", sent.seconds, "s", ("<=", bound), peer, other.seconds if other else None),
        Figure(f"hf download of {_told(size)}, by Xet", chunks, "s", ("<=", 2 * bound), "from us, whole", sent.seconds),
    ]


def _mirrored(folder: Path, ours: Server, size: int) -> Figure:
    with olah(folder, ours.url) as mirror:
        if mirror:
            curl(f"{mirror.url}/{PATH}")
        sent, other = _both(lambda server: curl(f"{server.url}/{PATH}"), ours, mirror, _turns(size))
    rate = size / 1e6 / other.seconds if other else None
    peer = "olah, from its cache" if other else "olah (make bench prepares it)"
    return Figure("download by curl, beside a mirror", size / 1e6 / sent.seconds, "MB/s", (">=", rate or 800), peer, rate)


def _both(download: Callable[[Server], float], ours: Server, other: Server | None, turns: int) -> tuple[Sent, Sent | None]:
    """In turns, so that what else the machine does falls on both."""
    mine, theirs = list[Sent](), list[Sent]()
    for _ in range(turns):
        for server, sent in ((ours, mine), (other, theirs)):
            if server:
                before = server.cpu()
                sent.append(Sent(download(server), server.cpu() - before))
    return _best(mine), (_best(theirs) if theirs else None)


def _best(sent: list[Sent]) -> Sent:
    return Sent(min(each.seconds for each in sent), min(each.cpu for each in sent))


def _turns(size: int) -> int:
    return TURNS if size > LARGE else 1


def _told(size: int) -> str:
    return f"{size / (1 << 20):,.4g} MiB"
