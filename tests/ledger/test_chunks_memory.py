"""Large files come and go in memory that does not grow with them."""

import subprocess
import sys
import tracemalloc
from hashlib import sha256
from pathlib import Path

import pytest

from concord.ledger.chunks import Chunks
from concord.ledger.chunks.disk import Disk
from concord.ledger.chunks.writer import Weave, Writer
from concord.testing.processes import environment
from concord.xet.hashes import chunk_hash, file_hash, range_hash, root_of, spell, unspell
from concord.xet.shard import File, Shard, Term, Xorb
from concord.xet.xorb import CHUNKS_MAX, seal

SIZE = 2 << 30  # bytes of the file
BLOCK = 48 << 20  # random bytes, of which it consists, over and over: the disk is not filled
GROWTH_MAX = 64 << 10  # KiB

# In a process of its own, whose memory is what this takes.
PROGRAM = f"""
import asyncio, resource, sys
from hashlib import sha256
from pathlib import Path
from random import Random

from concord.edges.ranges import Flow
from concord.ledger.chunks import Chunks

block = Random(0).randbytes({BLOCK})
chunks = Chunks(Path(sys.argv[1]))

def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def pieces():
    for start in range(0, {SIZE}, 1 << 20):
        yield block[start % {BLOCK} : start % {BLOCK} + (1 << 20)]

before, sent = resident(), 0
entry = chunks.ingest(pieces(), 0)

async def receive():
    await asyncio.Future()

async def send(message):
    global sent
    sent += len(message.get("body", b""))

asyncio.run(Flow(chunks.flow(entry.hash), 200, {{}}, "x")({{"type": "http"}}, receive, send))
print(entry.size, sent, resident() - before)
"""


def test_a_file_of_gigabytes_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    line = [sys.executable, "-c", PROGRAM, str(tmp_path / "chunks")]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    size, sent, growth = map(int, done.stdout.split())
    assert size == sent == SIZE
    assert growth < GROWTH_MAX
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2 * BLOCK


def test_what_a_file_is_woven_of_is_forgotten_once_it_has_landed(tmp_path: Path) -> None:
    """The hashes and places of the chunks of every xorb: 220 bytes a chunk, 4 MB for each GB of what is new."""
    disk, weave = Disk(tmp_path), Weave()
    tracemalloc.start()
    try:
        with Writer(disk, lambda new: new.finish(0), ".tmp") as writer:
            for number in range(8 * CHUNKS_MAX):
                chunk = sha256(b"%d" % number).digest()
                weave.add(*writer.put(chunk, b"x", 1), chunk, 1)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(list(weave.terms())) == 8
    assert kept < CHUNKS_MAX * 64  # the hashes of the last xorb, whose term is not closed


CONTENTS = [b"%d" % number for number in range(500)]
LISTED = tuple((chunk_hash(content), len(content)) for content in CONTENTS)
NAME = root_of(LISTED)
TURNS = 40  # times that a file has all of them, each chunk for itself


def in_terms_of_one_chunk() -> File:
    """A file that takes as much of a shard for each of its chunks as can be."""
    terms = tuple(Term(NAME, size, number, number + 1) for number, (_, size) in enumerate(LISTED))
    ranges = tuple(range_hash(chunk) for chunk, _ in LISTED)
    return File(file_hash(LISTED * TURNS), terms * TURNS, ranges * TURNS)


def test_a_shard_is_taken_in_little_more_memory_than_its_bytes(tmp_path: Path) -> None:
    """As objects, its chunks and terms take three to five times as much."""
    chunks, name = Chunks(tmp_path), spell(NAME)
    chunks.put_xorb(name, map(seal, CONTENTS), 0)
    raw = bytes(Shard((in_terms_of_one_chunk(),), (Xorb(NAME, LISTED),)))
    chunks.put_shard(bytes(Shard((), (Xorb(NAME, LISTED),))), 0)  # what is kept of the xorb, whatever comes
    tracemalloc.start()
    try:
        (entry,) = chunks.put_shard(raw, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(raw)
    assert chunks.shard(entry.hash)[48:80] == unspell(entry.hash)
    assert b"".join(chunks.read(entry.hash)) == b"".join(CONTENTS * TURNS)


@pytest.mark.parametrize("of", ["xorbs", "files"])
def test_a_shard_of_very_many_parts_is_read_in_little_more_memory_than_its_bytes(of: str) -> None:
    names = [sha256(b"%d" % number).digest() for number in range(20_000)]
    xorbs, files = [Xorb(name, ((name, 5),)) for name in names], [File(name, (Term(name, 5, 0, 1),), (name,)) for name in names]
    raw = bytes(Shard((), xorbs) if of == "xorbs" else Shard(files))
    tracemalloc.start()
    try:
        read = Shard.parse(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (read.xorbs if of == "xorbs" else read.files) == tuple(xorbs if of == "xorbs" else files)
    assert peak < 2 * len(raw)
