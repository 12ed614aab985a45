"""Large files come and go in memory that does not grow with them."""

import subprocess
import sys
from pathlib import Path

from concord.testing.processes import environment

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
