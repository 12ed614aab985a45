"""Charters: read, check, choose."""

from pathlib import Path
from typing import Annotated

import typer

from concord.cli.shell import Shell, command, read_file

app = typer.Typer(help="Charters: the constitution of an organisation, as data.", no_args_is_help=True)


@command(app, "show")
def show(shell: Shell) -> None:
    """The charter of the organisation that this node serves."""
    import json

    from msgspec import to_builtins

    from concord.errors import MissingError

    node = shell.node()
    if node.charter is None:
        raise MissingError("this node serves no organisation yet")
    told = to_builtins(node.charter)
    shell.result(told, f"organisation {node.organisation}\n{json.dumps(told, ensure_ascii=False, indent=2)}")


@command(app, "presets")
def presets(shell: Shell) -> None:
    """The charters that come with Concord, to found with or to start a file from."""
    from concord.pillars.members.charter import load
    from concord.pillars.members.charter import presets as known

    rows = [{"preset": name, "name": load(raw).name} for name, raw in sorted(known().items())]
    shell.table(rows, ["preset", "name"], "")


@command(app, "print")
def print_(shell: Shell, preset: Annotated[str, typer.Argument(help="One of `concord charter presets`.")]) -> None:
    """A preset as TOML, to change."""
    from concord.errors import MissingError
    from concord.pillars.members.charter import presets as known

    raw = known().get(preset)
    if raw is None:
        raise MissingError(f"there is no preset {preset!r}; there are {', '.join(sorted(known()))}")
    shell.result({"toml": raw.decode()}, raw.decode().rstrip())


@command(app, "check")
def check(shell: Shell, file: Annotated[Path, typer.Argument(metavar="FILE", help="A charter in TOML.")]) -> None:
    """Whether a charter can be read and its parts fit together."""
    from concord.pillars.members.charter import check as fits
    from concord.pillars.members.charter import load

    charter = fits(load(read_file(file, 1 << 20)))
    shell.result({"ok": True, "name": charter.name, "digest": charter.digest()}, f"Good: {charter.name}, {charter.digest()}")


@command(app, "schema")
def schema(shell: Shell) -> None:
    """The JSON Schema of charters."""
    import json

    import msgspec

    from concord.pillars.members.charter import Charter

    told = msgspec.json.schema(Charter)
    shell.result(told, json.dumps(told, indent=2))
