"""What the benchmarks of large files share: a node and its peers in processes of their own, the processor time of such a process
with its children, clients with a home of their own, and a line that counts."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from concord import home as homes
from concord.operations import begin
from concord.testing.processes import Serving, concord, free_port, serve, until

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / ".venv" / "clients" / "2.4" / "bin"
OLAH = ROOT / ".venv" / "peers" / "olah" / "bin" / "olah-cli"
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 300  # seconds for one command
LINE = 1 << 18  # bytes that the counting line takes at once


@dataclass(frozen=True)
class Server:
    """A server on loopback: its address, and the process whose time counts, with its children."""

    url: str
    pid: int

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return sum(map(_cpu, _tree(self.pid)))


@contextmanager
def node(folder: Path) -> Iterator[tuple[Server, str]]:
    """A node of one member, and a token of its admin."""
    home = folder / "home"
    made = homes.create(home)
    founder = begin.Member("bench", name="Benchmark", country="KE")
    begin.add_member(made, home, "bench")
    begin.found(made, begin.read_charter(begin.presets()["institutions"], founder), founder)
    token = concord("token", "create", home=home).out.strip()
    with serve(home, pull_every=0) as serving:
        yield _server(serving), token


def _server(serving: Serving) -> Server:
    return Server(serving.url, serving.process.pid)


@contextmanager
def nginx(folder: Path, root: Path, headers: dict[str, str]) -> Iterator[Server | None]:
    """nginx that sends the files below `root` with sendfile, and `headers` with each; None where it is not installed."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    port, place = free_port(), folder / "nginx"
    place.mkdir()
    lines = "\n".join(f"add_header {name} '{value}';" for name, value in headers.items())
    kept = "\n".join(f"{kind}_temp_path {place}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (place / "nginx.conf").write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} worker_processes 1; pid {place}/pid; error_log {place}/log; events {{}}\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream; {kept}\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}; etag off; {lines} }} }}\n"
    )
    line = [program, "-p", str(place), "-e", str(place / "log"), "-c", str(place / "nginx.conf"), "-g", "daemon off;"]
    with _running(line, port) as pid:
        yield Server(f"http://127.0.0.1:{port}", pid)


@contextmanager
def olah(folder: Path, source: str) -> Iterator[Server | None]:
    """olah, a mirror that keeps what it fetched from `source`; None where it is not prepared."""
    if not OLAH.exists():
        yield None
        return
    port, place = free_port(), folder / "olah"
    place.mkdir()
    here, there = f"127.0.0.1:{port}", source.removeprefix("http://")
    line = [str(OLAH), "--host", "127.0.0.1", "--port", str(port), "--hf-scheme", "http", "--mirror-scheme", "http"]
    line += ["--hf-netloc", there, "--hf-lfs-netloc", there, "--mirror-netloc", here, "--mirror-lfs-netloc", here]
    line += ["--repos-path", str(place / "repos"), "--log-path", str(place / "logs")]
    with _running(line, port, cwd=place) as pid:
        yield Server(f"http://{here}", pid)


@contextmanager
def _running(line: list[str], port: int, cwd: Path | None = None) -> Iterator[int]:
    process = subprocess.Popen(line, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or _listens(port), f"{line[0]} to listen")
        if process.poll() is not None:
            raise RuntimeError(f"{line[0]} ended at once")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _tree(pid: int) -> Iterator[int]:
    """A process and those that it started."""
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _tree(int(child))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@dataclass(frozen=True)
class Client:
    """`hf` of PyPI with nothing in its caches."""

    place: Path
    url: str
    token: str
    xet: bool

    def hf(self, *words: str | Path) -> float:
        """Run it; how many seconds it takes."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        env = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.place / "hf"),
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_XET": "0" if self.xet else "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HOME": str(self.place),
            "PATH": os.environ["PATH"],
        }
        began = time.perf_counter()
        done = subprocess.run([CLIENT / "hf", *words], env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise RuntimeError(f"hf {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return time.perf_counter() - began


def prepared() -> bool:
    """Whether the client is there."""
    return (CLIENT / "hf").exists()


def curl(url: str) -> float:
    """Seconds that a download takes which is kept nowhere."""
    line = ["curl", "-sSfL", "-o", os.devnull, "-w", "%{time_total}", url]
    return float(subprocess.run(line, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout)


def write_noise(path: Path, size: int) -> None:
    """A file of random bytes."""
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, size, 1 << 24):
            file.write(random.bytes(min(1 << 24, size - start)))


@contextmanager
def counted(url: str) -> Iterator[tuple[str, list[int]]]:
    """A line to the server at `url` under another address, and how many bytes were sent on it, one number for each connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    sent: list[int] = []

    lines: list[threading.Thread] = []

    def begin(work: Callable[..., None], *words: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=words, daemon=True)
        thread.start()
        return thread

    def carry(source: socket.socket, target: socket.socket, place: int | None) -> None:
        with suppress(OSError):
            while piece := source.recv(LINE):
                target.sendall(piece)
                if place is not None:
                    sent[place] += len(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def join(near: socket.socket, place: int) -> None:
        with near, socket.create_connection((host, int(port))) as far:
            back = begin(carry, far, near, None)
            carry(near, far, place)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                sent.append(0)
                lines.append(begin(join, near, len(sent) - 1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = begin(accept)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", sent
        listener.shutdown(socket.SHUT_RDWR)
        for thread in (accepting, *lines):
            thread.join(PATIENCE)
