"""Version 2 of a model from node to node, over a line of 1 Mbit/s that breaks every 1.5 MB or so.

Every byte that goes over the line counts, in both directions: the logs, the heads of requests, the map and the rows, and what a
break costs. It is set against the stored (packed) bytes of the chunks that version 2 has and version 1 has not: what would have to
come over a perfect line. The peer is rsync with --inplace, which also sends differences and goes on where it was; where it is not
installed, it is a download over HTTP, which begins the file anew.
"""

import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import numpy as np

from bench.figure import Figure
from concord import home as homes
from concord.ledger.pillar import PERSONAL_ROLES
from concord.node import Node
from concord.operations import begin, pulling
from concord.operations.cache import Cache
from concord.operations.pulling import Wish
from concord.pillars.commons import File
from concord.private.people import Speaker
from concord.shelf import Draft, Shelf
from concord.testing.processes import free_port, serve, until
from concord.testing.proxy import PoorLine

SIZE_MAX, EACH = 24 << 20, 2000  # bytes: the most, and for each record that is asked for
RATE, EVERY = 125_000, 700_000  # bytes a second, bytes between breaks
TRIES = 20
REPO = "bench/model"


def run(folder: Path, records: int) -> list[Figure]:
    one = np.random.default_rng(0).bytes(min(SIZE_MAX, records * EACH))
    two = _changed(one)
    source, me = _found(folder / "source")
    _share(source, me, one)
    with serve(folder / "source", pull_every=0) as serving:
        node = homes.create(folder / "mine")
        assert source.charter is not None
        node.adopt(source.charter)
        _pull(node, folder / "cache", serving.url)
        missing = _share(source, me, two)
        with PoorLine(serving.port, RATE, EVERY) as line:
            assert _pull(node, folder / "cache", line.url) == two
            wire = line.bytes
    peer, beside = _rsync(folder, one, two) or ("a download over HTTP, whole", len(two))
    what = "version 2 over a poor line: bytes on the wire, for each stored byte of its new chunks"
    return [Figure(what, wire / missing, "", ("<=", 1.03), peer, beside / missing)]


def _changed(one: bytes) -> bytes:
    """Three fortieths of it are others: at the beginning, in the middle, and at the end."""
    two, part, random = bytearray(one), len(one) // 40, np.random.default_rng(1)
    for place in (0, len(one) // 2, len(one) - part):
        two[place : place + part] = random.bytes(part)
    return bytes(two)


def _found(home: Path) -> tuple[Node, Speaker]:
    node = homes.create(home)
    founder = begin.Member("bench", name="Benchmark", country="KE")
    begin.add_member(node, home, "bench")
    begin.found(node, begin.read_charter(begin.presets()["institutions"], founder), founder)
    return node, Speaker("admin", "Benchmark", node.holdings.hosted()[0], frozenset(PERSONAL_ROLES))


def _share(node: Node, me: Speaker, content: bytes) -> int:
    """Commit the content as the next version; how many bytes its chunks take as stored that were not there before."""
    shelf = Shelf(node)
    before = _stored(node)
    repos = shelf.listed(None)
    repo = shelf.find(repos[0], me) if repos else shelf.open(me, "model", "model", private=False)
    digest, size = shelf.content.take([content], sha256(content).hexdigest(), SIZE_MAX)
    shelf.content.give(repo, [digest])
    file = File(path="model.bin", size=size, sha256=digest, xet=shelf.content.xet(digest))
    shelf.commit(me, repo, Draft("main", "The next version", put=[file]))
    return _stored(node) - before


def _stored(node: Node) -> int:
    """Bytes that all chunks take as stored."""
    names = [path.name for path in (node.chunks.root / "xorbs").glob("??/*")]
    return sum(node.chunks.table(name).stops[-1] for name in names)


def _pull(node: Node, cache: Path, url: str) -> bytes:
    """The content of main, pulled from one address, in as many tries as it takes."""
    wish = Wish(sources=[url])
    for _ in range(TRIES):
        pulling.hear(node, wish, lambda _name, _done, _all: None)
        shelf = Shelf(node, pulling.courier_for(node, wish))
        repo = pulling.find(shelf, "model", REPO, None)
        revision = repo.find("main")
        target = Cache(cache, "model", REPO, revision.oid)
        done = pulling.pull(shelf, repo, revision, target, wish, lambda _name, _done, _all: None)
        if not done.wrong:
            return (target.folder / "model.bin").read_bytes()
    raise RuntimeError(f"{TRIES} tries were not enough: {done.wrong}")


def _rsync(folder: Path, one: bytes, two: bytes) -> tuple[str, int] | None:
    """Bytes that rsync needs for the same over the same line, in as many tries as it takes; None if it is not installed."""
    rsync = shutil.which("rsync")
    if rsync is None:
        return None
    for name, content in (("there", two), ("here", one)):
        (folder / name).mkdir()
        (folder / name / "model.bin").write_bytes(content)
    port = free_port()
    (folder / "rsyncd.conf").write_text(f"use chroot = no\n[there]\npath = {folder / 'there'}\n")
    daemon = [rsync, "--daemon", "--no-detach", f"--port={port}", "--address=127.0.0.1", f"--config={folder / 'rsyncd.conf'}"]
    with subprocess.Popen(daemon) as serving, PoorLine(port, RATE, EVERY) as line:
        address = f"rsync://127.0.0.1:{line.url.rpartition(':')[2]}/there/model.bin"
        ask = [rsync, "-q", "--inplace", "--partial", "--no-whole-file", "--ignore-times", "--timeout=20"]
        here = folder / "here" / "model.bin"

        def is_there() -> bool:
            subprocess.run([*ask, address, here], check=False, stderr=subprocess.DEVNULL)
            return here.read_bytes() == two

        try:
            until(is_there, "rsync that is done")
            return "rsync --inplace", line.bytes
        finally:
            serving.terminate()
