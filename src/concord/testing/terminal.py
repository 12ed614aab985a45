"""The command line in this very process: the words and answers of a shell, as quick as a call.

>>> done = run("charter", "presets")
>>> done.status, done.out.split()[:2]
(0, ['PRESET', 'NAME'])
"""

import re
from collections.abc import Mapping
from pathlib import Path

from typer.testing import CliRunner

from concord.cli.app import app
from concord.testing.processes import Done

FOUNDERS = (("ke", "KE"), ("tn", "TN"), ("br", "BR"))


def run(*words: str | Path, home: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
    """Run `concord` with `words`, in an environment that names no home but that of `env`. What is no error of ours is raised."""
    placed = ["--home", str(home)] if home else []
    line = [*placed, *map(str, words)]
    ran = CliRunner().invoke(app, line, env={"CONCORD_HOME": None} | dict(env or {}), catch_exceptions=False, prog_name="concord")
    return Done(ran.exit_code, ran.stdout, ran.stderr)


def found_together(folder: Path) -> list[Path]:
    """Three homes, of `FOUNDERS`, whose members found one organisation together, each having acceded in its own log."""
    homes = [folder / name for name, _ in FOUNDERS]
    origins: list[str] = []
    for home, (name, country) in zip(homes, FOUNDERS, strict=True):
        made = run("init", "--member", name, "--name", f"Example {country}", "--country", country, "--json", home=home)
        origins += made.json()["members"]
    (folder / "charter.toml").write_text(_charter(origins))
    for home in homes:
        done = run("init", "--charter", folder / "charter.toml", home=home)
        assert (done.status, done.err) == (0, ""), done.err
    return homes


def _charter(origins: list[str]) -> str:
    """A charter that these logs of the founders accede to."""
    charter = run("charter", "print", "institutions").out
    kind = re.search(r'\[\[classes\]\]\s+id = "([^"]+)"', charter)
    assert kind is not None
    for (name, country), origin in zip(FOUNDERS, origins, strict=True):
        charter += f'\n[[founders]]\nid = "{name}"\nname = "Example {country}"\ncountry = "{country}"\n'
        charter += f'class = "{kind[1]}"\norigin = "{origin}"\n'
    return charter
