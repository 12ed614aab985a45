"""Real nodes in processes of their own, and the real command line, for tests that must see what a user sees.

done = concord("init", "--member", "ke", "--name", "Kenya", "--country", "KE", home=home)
done.status, done.out, done.err

with serve(home) as node:
    node.url                              http://127.0.0.1:43111
    node.get("/peer/heads").status        200
    node.kill()                           as when the power fails
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import concord as package

PATIENCE = 60  # seconds after which a test gives up on a process
STEP = 0.02  # seconds between two looks
GREETING = "Concord serves"


@dataclass(frozen=True)
class Done:
    """What a command left behind: its status, and what it wrote to its two outputs."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def concord(*words: str | Path, home: Path | None = None, env: Mapping[str, str] | None = None, **options: Any) -> Done:
    """Run `concord` with `words` in a process of its own. `env` is added to an environment that names no home and no setting."""
    placed = ["--home", str(home)] if home else []
    line = [*command(), *placed, *map(str, words)]
    ran = subprocess.run(  # noqa: S603  our own program
        line, capture_output=True, env=environment(env), timeout=PATIENCE, check=False, **options
    )
    return Done(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))


def command() -> list[str]:
    """How `concord` is started from this very source."""
    return [sys.executable, "-m", "concord"]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process without what steers Concord, with this source on the path, and `more`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CONCORD_")}
    return plain | {"PYTHONPATH": str(Path(package.__file__).parents[1])} | dict(more or {})


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def copy_home(home: Path, to: Path) -> Path:
    """A copy of a home that nobody changes. What SQLite keeps beside an open database may go at any moment, and is left out."""
    return shutil.copytree(home, to, ignore=shutil.ignore_patterns("*.db-wal", "*.db-shm"))


def mount(*words: str | Path) -> bool:
    """Mount something; whether that worked, which it does only where one may."""
    program = shutil.which("mount")
    line = [str(program), *map(str, words)]
    return program is not None and subprocess.run(line, capture_output=True, check=False).returncode == 0  # noqa: S603  mount, found


def until(happened: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """What `happened` answers once that is true. AssertionError if it is not after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        answer = happened()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {patience} seconds in vain: {what}"
        time.sleep(STEP)


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Serving:
    """`concord serve` in a process of its own. What it wrote stands in `log`."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def request(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask it something; `path` is sent as it stands."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as line:
            line.request(method, path, body, dict(headers or {}))
            answer = line.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def get(self, path: str, **headers: str) -> Answer:
        """GET; the names of headers are given with underscores."""
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def say(self, token: str, kind: str, fields: dict[str, Any]) -> Answer:
        """Say a record through the API."""
        body = json.dumps({"type": kind, "fields": fields}).encode()
        return self.request("POST", "/api/v1/records", body, {"Authorization": f"Bearer {token}"})

    def logs(self) -> dict[str, Any]:
        """The logs that it holds, by origin."""
        return {log["origin"]: log for log in self.get("/api/v1/logs").json()}

    def stop(self) -> int:
        """Ask it to end, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it as a failing machine would."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def serve(home: Path, *words: str, port: int | None = None, **settings: object) -> Iterator[Serving]:
    """A node that serves `home`, ready. `settings` go into its environment; it is stopped at the end, if it still runs."""
    node = start(home, *words, port=port, **settings)
    try:
        until(lambda: GREETING in node.said() or node.process.poll() is not None, "a node that serves")
        assert node.process.poll() is None, f"the node ended at once: {node.said()}"
        yield node
    finally:
        if node.process.poll() is None:
            node.kill()


def start(home: Path, *words: str, port: int | None = None, **settings: object) -> Serving:
    """The same, not yet ready, and not stopped at the end."""
    port = port or free_port()
    log = home.with_name(f"{home.name}.{port}.log")
    env = environment({f"CONCORD_{name.upper()}": str(value) for name, value in settings.items()})
    line = [*command(), "--home", str(home), "serve", "--port", str(port), *words]
    with log.open("wb") as out:
        process = subprocess.Popen(line, stdout=out, stderr=subprocess.STDOUT, env=env)  # noqa: S603  our own program
    return Serving(home, port, process, log)
