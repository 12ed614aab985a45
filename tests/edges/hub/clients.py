"""Real clients, as `make clients` prepared them, each in an environment of its own."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from concord.testing.processes import PATIENCE

ROOT = Path(__file__).parents[3]
VERSIONS = sorted(path.stem.removeprefix("clients-") for path in (ROOT / "requirements").glob("clients-[0-9]*.txt"))
WAYS = ("plain", "xet")  # large files whole or in parts (LFS), and chunk by chunk


@dataclass(frozen=True)
class Client:
    """A client library, installed in `place`, and the environment in which it meets the node."""

    place: Path
    env: dict[str, str]

    @property
    def tag(self) -> str:
        """What tells its repos from those of others."""
        return f"{self.place.name.replace('.', '-')}-{self.env['JOURNEY_WAY']}"

    def python(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        return self.run("python", *words)

    def hf(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        return self.run("hf", *words)

    def run(self, program: str, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run one of its programs, which is to do what it is told."""
        done = self.tried(program, *words)
        assert done.returncode == 0, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        return done

    def tried(self, program: str, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run one of its programs, whatever comes of it."""
        return subprocess.run(self.line(program, *words), env=self.env, capture_output=True, timeout=2 * PATIENCE, check=False)

    def started(self, program: str, *words: str | Path) -> subprocess.Popen[bytes]:
        """One of its programs, running; what it writes is lost."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self.line(program, *words), env=self.env, stdout=quiet, stderr=quiet)

    def line(self, program: str, *words: str | Path) -> list[str]:
        return [str(self.place / "bin" / program), *map(str, words)]


def prepared(name: str, kind: str = "clients") -> Path:
    """Where `make clients` put a client, or a peer; the test is skipped if it did not."""
    place = ROOT / ".venv" / kind / name
    if not (place / "bin" / "python").exists():
        pytest.skip(f"the client {name} is not prepared: say `make clients`")
    return place


def meeting(url: str, token: str, folder: Path, way: str) -> dict[str, str]:
    """The environment in which a client meets a node, and leaves nothing but in `folder`."""
    return {
        "HF_ENDPOINT": url,
        "HF_HOME": str(folder / "hf"),
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "0" if way == "xet" else "1",
        "JOURNEY_WAY": way,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
