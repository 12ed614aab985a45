"""What a person waits for: the command's help, the first page, the start; and what a node at rest takes of memory.

The peer is datasette, which also serves pages from SQLite with Python; for the help, pip.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from bench.catch_up import free_port
from bench.figure import Figure

REQUESTS = 100
RUNS_MAX = 11


def run(folder: Path, records: int) -> list[Figure]:
    home = folder / "home"
    concord = [sys.executable, "-m", "concord"]
    subprocess.run([*concord, "--home", str(home), "demo"], check=True, stdout=subprocess.DEVNULL)
    ours = _serve([*concord, "--home", str(home), "serve", "--port"])
    theirs = None
    datasette = Path(sys.executable).parent / "datasette"
    if datasette.exists():
        shutil.copy(home / "view.db", folder / "peer.db")
        theirs = _serve([str(datasette), "serve", str(folder / "peer.db"), "--port"])
    peer = "datasette, the same tables" if theirs else "datasette (not installed; make bench does)"
    ready, page, memory = theirs or (None, None, None)
    runs = min(RUNS_MAX, max(1, records // 100))
    help_ = _median_run([str(Path(sys.executable).parent / "concord"), "--help"], runs)
    pip = _median_run([sys.executable, "-m", "pip", "--help"], runs)
    return [
        Figure("concord --help", help_, "s", ("<=", 0.25), "pip --help", pip),
        Figure("first page, as its reader waits for it", ours[1], "ms", ("<=", 20), peer, page),
        Figure("ready to answer after the start", ours[0], "s", ("<=", 3), peer, ready),
        Figure("memory at rest", ours[2], "MB", ("<=", 150), peer, memory),
    ]


def _median_run(command: Sequence[str], runs: int) -> float:
    """Seconds that a command takes, the median of so many runs."""
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return median(taken)


def _serve(command: list[str]) -> tuple[float, float, float]:
    """Seconds until it answers, milliseconds for its first page (median), megabytes resident afterwards."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port):
            time.sleep(0.01)
        ready = time.perf_counter() - began
        taken = []
        with closing(HTTPConnection("127.0.0.1", port)) as line:
            for _ in range(REQUESTS):
                asked = time.perf_counter()
                line.request("GET", "/")
                line.getresponse().read()
                taken.append(time.perf_counter() - asked)
        return ready, median(taken) * 1000, _resident(process.pid)
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as line:
        try:
            line.request("GET", "/")
            answer = line.getresponse()
            answer.read()
        except OSError:
            return False
        return answer.status == 200


def _resident(pid: int) -> float:
    """Megabytes that a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not say how much memory a process has")
