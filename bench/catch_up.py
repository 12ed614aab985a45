"""The first catch-up: a node that has nothing pulls a log over HTTP, verifies every entry, decodes it and indexes it.

The peer is git, which also copies a history and checks every object's hash: a clone of as many small objects, with
`transfer.fsckObjects` on, over its own local transport.
"""

import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.figure import Figure
from concord import home as homes
from concord.ledger.record import ENCODER
from concord.node import Node
from concord.operations import begin
from concord.operations.upkeep import pull_from
from concord.pillars.members import Profile
from concord.private import peers

GIT_OBJECTS_MAX = 100_000
BATCH = 4096


def run(folder: Path, records: int) -> list[Figure]:
    source = folder / "source"
    node = homes.create(source)
    founder = begin.Member("bench", name="Benchmark", country="KE")
    begin.add_member(node, source, "bench")
    begin.found(node, begin.read_charter(begin.presets()["institutions"], founder), founder)
    _fill(node, records)
    seconds, cpu = _pull(folder, source, node)
    copied = min(records, GIT_OBJECTS_MAX)
    objects = _clone(folder, copied)
    total = node.holdings.tree(node.holdings.hosted()[0]).size
    return [
        Figure(
            "records mirrored, verified, decoded and indexed, one core",
            total / cpu,
            "records/s",
            (">=", 25_000),
            f"git clone, checking, {copied:,} objects",
            objects,
        ),
        Figure(
            f"first catch-up of {total:,} records, over HTTP",
            seconds,
            "s",
            ("<=", 40 * records / 1_000_000),
            "the same, in proportion",
            total / objects,
        ),
    ]


def _fill(node: Node, records: int) -> None:
    """Append so many records of about 490 bytes, as fast as the log takes them."""
    origin = node.holdings.hosted()[0]
    log, now = node.holdings.log(origin), node.clock()
    for start in range(0, records, BATCH):
        said = [
            Profile(by=origin, org=node.organisation, at=now, name=f"Benchmark {number}", country="KE", about="x" * 250)
            for number in range(start, min(start + BATCH, records))
        ]
        log.append([ENCODER.encode(record) for record in said])


def _pull(folder: Path, source: Path, node: Node) -> tuple[float, float]:
    """Seconds on the clock, and seconds of one core, for an empty node to have it all."""
    url, command = f"http://127.0.0.1:{(port := free_port())}", [sys.executable, "-m", "concord", "--home", str(source), "serve"]
    with subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE) as serving:
        try:
            assert serving.stdout is not None
            serving.stdout.readline()
            empty = homes.create(folder / "empty")
            assert node.charter is not None
            empty.adopt(node.charter)
            with empty.private_writing() as db:
                peers.add(db, url, empty.clock())
            before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            pull_from(empty, url)
            seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
            origin = node.holdings.hosted()[0]
            assert empty.view.size(origin) == node.holdings.tree(origin).size
            return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        finally:
            serving.terminate()


def _clone(folder: Path, objects: int) -> float:
    """Objects a second that git clones and checks, of so many."""
    bare = folder / "peer.git"
    git = ["git", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q", "--bare", str(bare)], check=True)
    parts = [b"commit refs/heads/main\ncommitter bench <bench@example.org> 1790000000 +0000\ndata 0\n"]
    for number in range(objects):
        content = b"%d %s" % (number, b"x" * 480)
        parts.append(b"M 644 inline %d/%d\ndata %d\n%s\n" % (number % 256, number, len(content), content))
    subprocess.run([*git, "-C", str(bare), "fast-import", "--quiet"], input=b"".join(parts), check=True)
    began = time.perf_counter()
    clone = [*git, "-c", "transfer.fsckObjects=true", "clone", "-q", "--bare", f"file://{bare}", str(folder / "clone.git")]
    subprocess.run(clone, check=True)
    return objects / (time.perf_counter() - began)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
