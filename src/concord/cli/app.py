"""All commands, in the order in which help shows them."""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from concord.cli import (
    blob,
    bundle,
    charter,
    commons,
    community,
    content,
    export_repo,
    log,
    member,
    node,
    peer,
    person,
    proof,
    record,
    token,
)

app = typer.Typer(
    name="concord",
    help="Concord: the open software of a global AI cooperation organisation.\n\n"
    "Each member keeps its own signed, verifiable log; everything is computed from logs.\n\n"
    "--home DIR (or CONCORD_HOME) and --json may stand before or after every command.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    home: Annotated[Path | None, typer.Option("--home", metavar="DIR", help="The node's home.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  a flag of the command line
) -> None:
    """Remember what stood before the command."""
    ctx.obj = {"home": home, "json": as_json}


node.register(app)
content.register(app)
export_repo.register(commons.app)
for name, group in (
    ("member", member.app),
    ("commons", commons.app),
    ("charter", charter.app),
    ("log", log.app),
    ("record", record.app),
    ("proof", proof.app),
    ("blob", blob.app),
    ("peer", peer.app),
    ("bundle", bundle.app),
    ("person", person.app),
    ("token", token.app),
):
    app.add_typer(group, name=name)


commons.app.add_typer(community.app, name="community")


def main() -> None:
    """The entry point of `concord`. What the terminal cannot show is spelled out, and stops nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="concord")
