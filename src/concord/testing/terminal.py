"""The command line in this very process: the words and answers of a shell, as quick as a call.

>>> done = run("charter", "presets")
>>> done.status, done.out.split()[:2]
(0, ['PRESET', 'NAME'])
"""

from collections.abc import Mapping
from pathlib import Path

from typer.testing import CliRunner

from concord.cli.app import app
from concord.testing.processes import Done


def run(*words: str | Path, home: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
    """Run `concord` with `words`, in an environment that names no home but that of `env`. What is no error of ours is raised."""
    placed = ["--home", str(home)] if home else []
    line = [*placed, *map(str, words)]
    ran = CliRunner().invoke(app, line, env={"CONCORD_HOME": None} | dict(env or {}), catch_exceptions=False, prog_name="concord")
    return Done(ran.exit_code, ran.stdout, ran.stderr)
