"""Large files: cutting, verified ingest, verification of a xorb, and reading, by processor time, so that it is per core.

The content is what packs worst (random bytes), and weights as models have them (normally distributed, 16 bits).
"""

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.figure import Figure
from concord.ledger.chunks import Chunks
from concord.xet.chunker import cut
from concord.xet.hashes import chunk_hash

SIZE_MAX = 256 << 20  # bytes
EACH = 2000  # bytes for each record that is asked for
PIECE = 1 << 20
UNIT = "MB/s a core"
TURNS = 3

Peer = tuple[str, float | None]


def run(folder: Path, records: int) -> list[Figure]:
    size = min(SIZE_MAX, records * EACH) & -4
    random = np.random.default_rng(0)
    plain, weights = random.bytes(size), _weights(random, size)
    hashes = _rate(size, lambda _: [(hashlib.sha256(piece), chunk_hash(piece)) for piece in _pieces(plain, 1 << 16)])
    hashing = "SHA-256 and BLAKE3 alone", hashes
    cutting = _rate(size, lambda _: [None for _ in cut(_pieces(plain))])
    figures = [Figure("cutting into chunks", cutting, UNIT, (">=", 150), *hashing)]
    for name, content, peer in (("random bytes", plain, _git(folder, plain)), ("16-bit weights", weights, hashing)):
        figures += _figures(folder / name.replace(" ", "-"), name, content, peer, hashing)
    return figures


def _figures(folder: Path, name: str, content: bytes, peer: Peer, hashing: Peer) -> list[Figure]:
    """How fast one file comes in, goes from node to node, and is read."""

    def ingest(turn: int) -> None:
        Chunks(folder / f"{turn}").ingest(_pieces(content), 0)

    ingested = _rate(len(content), ingest)
    store = Chunks(folder / "0")
    xorbs = [(path.name, path.read_bytes()) for path in sorted((store.root / "xorbs").rglob("*")) if path.is_file()]
    entry = store.by_digest(hashlib.sha256(content).hexdigest())
    assert entry is not None

    def upload(turn: int) -> None:
        other = Chunks(folder / f"upload-{turn}")
        for xorb, raw in xorbs:
            other.put_xorb(xorb, _pieces(raw), 0)

    uploaded = _rate(len(content), upload)
    read = _rate(len(content), lambda _: [None for _ in store.read(entry.hash)])
    return [
        Figure(f"verified ingest of a file, {name}", ingested, UNIT, (">=", 150), *peer),
        Figure(f"verified upload of its xorbs, {name}", uploaded, UNIT, (">=", 150), *hashing),
        Figure(f"verified reading of a file, {name}", read, UNIT, (">=", 300), *hashing),
    ]


def _weights(random: np.random.Generator, size: int) -> bytes:
    """The upper halves of 32-bit floats: bfloat16."""
    return random.normal(0, 0.02, size // 2).astype("<f4").view("<u2")[1::2].tobytes()


def _pieces(content: bytes, size: int = PIECE) -> Iterator[bytes]:
    yield from (content[start : start + size] for start in range(0, len(content), size))


def _rate(size: int, work: Callable[[int], object]) -> float:
    """Millions of bytes for each second of the processor; the best of several turns."""
    best = float("inf")
    for turn in range(TURNS):
        began = time.process_time()
        work(turn)
        best = min(best, time.process_time() - began)
    return size / max(best, 1e-6) / 1e6


def _git(folder: Path, content: bytes) -> Peer:
    """git, which stores the content under its SHA-1, packed."""
    subprocess.run(["git", "init", "-q", folder / "git"], check=True)
    before = os.times()
    subprocess.run(["git", "hash-object", "-w", "--stdin"], input=content, cwd=folder / "git", check=True, capture_output=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return "git hash-object -w", len(content) / max(spent, 0.01) / 1e6
