"""Writes docs/reference.md from the code: commands, settings, record types, errors, statuses. `make reference`.

A test holds the file against what this would write, so that the page is always true.
"""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from concord import errors
from concord.cli.app import app
from concord.config import Settings
from concord.edges.api.door import BASE, OPERATIONS
from concord.ledger.record import tag
from concord.ledger.statements import LEDGER
from concord.node import PILLARS
from concord.server import STATUS

PAGE = Path(__file__).parent / "reference.md"


def text() -> str:
    """The whole page."""
    parts = ["# Reference\n\nWritten by `make reference` from the code, and held against it by a test.\n"]
    parts += [
        _section("Commands", _commands()),
        _section("Settings", _settings()),
        _section("Record types", _records()),
        _section("Errors", _errors()),
        _section("API", _api()),
    ]
    return "\n".join(parts)


def _section(title: str, lines: Iterator[str]) -> str:
    return "\n".join([f"## {title}", *lines, ""])


def _commands() -> Iterator[str]:
    yield "`--home DIR` (or `CONCORD_HOME`; otherwise `var/home`) and `--json` may stand before or after every command.\n"
    yield "| command | what it does |"
    yield "|---|---|"
    for path, command in _walk(typer.main.get_command(app), ("concord",)):
        arguments = " ".join(_argument(parameter) for parameter in command.params if parameter.name not in ("home", "as_json"))
        about = inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ")
        spelled = " ".join((*path, arguments)).strip().replace("|", "\\|")
        yield f"| `{spelled}` | {about} |"


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from _walk(inner, (*path, name))


def _argument(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    name = max(parameter.opts, key=len)
    if parameter.is_flag:
        shown = f"{name}/{parameter.secondary_opts[0]}" if parameter.secondary_opts else name
    else:
        shown = f"{name} {parameter.metavar or parameter.name.upper()}"
    return shown if parameter.required else f"[{shown}]"


def _settings() -> Iterator[str]:
    yield "In `concord.toml` in the home, or in the environment as `CONCORD_` and the name in capitals, which wins.\n"
    yield "| setting | default | what it means |"
    yield "|---|---|---|"
    for each in fields(Settings):
        yield f"| `{each.name}` | `{each.default!r}` | {each.metadata['about']} |"


def _records() -> Iterator[str]:
    yield "| type | who may say it | what it says |"
    yield "|---|---|---|"
    for pillar in (LEDGER, *PILLARS):
        for kind in pillar.handlers:
            about = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            yield f"| `{tag(kind)}` | {pillar.roles[kind]} | {about} |"


def _errors() -> Iterator[str]:
    yield "| error | whose fault | HTTP status | what it is |"
    yield "|---|---|---|---|"
    for name in sorted(errors.__all__):
        kind = getattr(errors, name)
        about = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        status = next(status for parent, status in STATUS if issubclass(kind, parent))
        yield f"| `{name}` | {kind.fault} | {status} | {about} |"


def _api() -> Iterator[str]:
    yield f"The description in full: `{BASE}/openapi.json`.\n"
    yield "| request | what it gives |"
    yield "|---|---|"
    for each in OPERATIONS:
        token = " Needs a token." if each.token else ""
        yield f"| `{each.method} {BASE}{each.path}` | {each.about}{token} |"


if __name__ == "__main__":
    PAGE.write_text(text())
    sys.stdout.write(f"{PAGE.name} written\n")
