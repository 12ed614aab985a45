"""The first catch-up: a node that has nothing pulls a log over HTTP, verifies every entry, decodes it and indexes it.

Others on the machine make it slower and never faster. So an empty node does it twice: of the time on the clock the shorter counts,
and beside it stands how many cores others kept busy meanwhile; of the processor time the shorter counts, too.

The peer is git, which also copies a history and checks every object's hash: a clone of as many small objects, with
`transfer.fsckObjects` on, over its own local transport.
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

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
TRIES = 2


class Try(NamedTuple):
    """One catch-up: seconds on the clock, seconds of one core, and how many cores others kept busy meanwhile."""

    seconds: float
    cpu: float
    others: float


def run(folder: Path, records: int) -> list[Figure]:
    source = folder / "source"
    node = homes.create(source)
    founder = begin.Member("bench", name="Benchmark", country="KE")
    begin.add_member(node, source, "bench")
    begin.found(node, begin.read_charter(begin.presets()["institutions"], founder), founder)
    _fill(node, records)
    tries = [_try(folder, source, node) for _ in range(TRIES)]
    best = min(tries)
    copied = min(records, GIT_OBJECTS_MAX)
    objects = _clone(folder, copied)
    total = node.holdings.tree(node.holdings.hosted()[0]).size
    return [
        Figure(
            "records mirrored, verified, decoded and indexed, one core",
            total / min(each.cpu for each in tries),
            "records/s",
            (">=", 25_000),
            f"git clone, checking, {copied:,} objects",
            objects,
        ),
        Figure(
            f"first catch-up of {total:,} records, over HTTP",
            best.seconds,
            "s",
            ("<=", 40 * records / 1_000_000),
            "the same, in proportion",
            total / objects,
            note=f"the better of {TRIES}, others keeping {best.others:.1f} cores busy",
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


def _try(folder: Path, source: Path, node: Node) -> Try:
    """One catch-up, and who else was at work during it and the start of its server."""
    began, busy, own = time.perf_counter(), _busy(), sum(map(_used, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    seconds, cpu = _pull(folder / "empty", source, node)
    shutil.rmtree(folder / "empty")
    ours = sum(map(_used, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))) - own
    return Try(seconds, cpu, max(_busy() - busy - ours, 0) / (time.perf_counter() - began))


def _pull(home: Path, source: Path, node: Node) -> tuple[float, float]:
    """Seconds on the clock, and seconds of one core, for an empty node to have it all."""
    url, command = f"http://127.0.0.1:{(port := free_port())}", [sys.executable, "-m", "concord", "--home", str(source), "serve"]
    with subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE) as serving:
        try:
            assert serving.stdout is not None
            serving.stdout.readline()
            empty = homes.create(home)
            assert node.charter is not None
            empty.adopt(node.charter)
            with empty.private_writing() as db:
                peers.add(db, url, empty.clock())
            before, began = _used(resource.RUSAGE_SELF), time.perf_counter()
            pull_from(empty, url)
            seconds, cpu = time.perf_counter() - began, _used(resource.RUSAGE_SELF) - before
            origin = node.holdings.hosted()[0]
            assert empty.view.size(origin) == node.holdings.tree(origin).size
            return seconds, cpu
        finally:
            serving.terminate()


def _used(whose: int) -> float:
    """Seconds of one core that this process, or its children that ended, have used."""
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _busy() -> float:
    """Seconds that the cores of this machine have worked, or been lent to others, since it started."""
    user, nice, system, _idle, _waiting, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


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
