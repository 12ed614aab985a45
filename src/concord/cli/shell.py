"""What every command shares: where the home is, how results and errors are printed, how long work shows that it goes on.

A command is a function whose first parameter is a `Shell`. `command` registers it and adds `--home` and `--json`, which may
also stand before the command. Results go to the standard output, everything else to the standard error. An error is one line
and a status other than 0.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from concord.ledger.progress import Progress
    from concord.node import Node
    from concord.private.people import Speaker

HomeOption = Annotated[Path | None, typer.Option("--home", metavar="DIR", help="The node's home.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass
class Shell:
    """How one command talks: `home` is the node's home, `json` whether results are printed as JSON."""

    home: Path
    json: bool

    def node(self) -> "Node":
        """The node in the home, its view up to date."""
        from concord.home import open_home

        node = open_home(self.home)
        node.catch_up()
        return node

    def admin(self, node: "Node") -> "Speaker":
        """Whoever sits at the machine: may say everything for the node's first member."""
        from concord.errors import SettingsError
        from concord.ledger.pillar import PERSONAL_ROLES
        from concord.private.people import Speaker

        hosted = node.holdings.hosted()
        if not hosted:
            raise SettingsError("this node hosts no member. Say `concord init --member ID --name … --country …`")
        return Speaker("admin", "Local administrator", hosted[0], frozenset(PERSONAL_ROLES))

    def speaker(self, node: "Node", member: str | None) -> "Speaker":
        """The same, for `member` if one is named."""
        admin = self.admin(node)
        return replace(admin, origin=self.origin(node, member)) if member else admin

    def origin(self, node: "Node", name: str) -> str:
        """The origin that `name` means: an origin, or the id of a member."""
        from concord.reading import resolve

        return resolve(node, name)

    def result(self, value: Any, text: str | None = None) -> None:
        """Print a result: as JSON, or as `text` (the value itself if there is none)."""
        if self.json:
            print(as_json(value, indent=2))
        else:
            print(printable(str(value) if text is None else text))

    def table(self, rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
        """Print rows: as a JSON list, or the named columns side by side, or the sentence `empty`."""
        if self.json:
            print(as_json(list(rows), indent=2))
        elif rows:
            lines = [[column.upper() for column in columns], *([_cell(row[column]) for column in columns] for row in rows)]
            widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                print("  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip())
        else:
            print(empty)

    def note(self, text: str) -> None:
        """Say something besides the result."""
        print(one_line(text), file=sys.stderr)

    @contextmanager
    def progress(self, what: str) -> Iterator["Progress"]:
        """A function to call with (name, how many done, how many in all) while long work goes on; shown on a terminal only."""
        from concord.ledger.progress import silent

        if self.json or not sys.stderr.isatty():
            yield silent
            return
        from rich.console import Console
        from rich.progress import Progress as Bar

        with Bar(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda name, done, total: bar.update(task, description=f"{what} {printable(name)}", completed=done, total=total)


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as the command `name` of `app`, with `--home` and `--json` besides its own parameters."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def run(ctx: typer.Context, *, home: Path | None, as_json: bool, **values: Any) -> None:
            before = ctx.find_root().obj or {}
            shell = Shell(home or before.get("home") or _default_home(), as_json or before.get("json", False))
            with errors(shell):
                function(shell, **values)

        own = list(inspect.signature(function).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
                *(parameter.replace(kind=keyword) for parameter in own),
                inspect.Parameter("home", keyword, default=None, annotation=HomeOption),
                inspect.Parameter("as_json", keyword, default=False, annotation=JsonOption),
            ]
        )
        app.command(name)(run)
        return run

    return register


@contextmanager
def errors(shell: Shell) -> Iterator[None]:
    """Tell an error in one line, and end with status 1."""
    from concord.tlog.errors import ConcordError

    try:
        yield
    except ConcordError as e:
        told = {"error": str(e), "kind": type(e).__name__, "fault": e.fault}
        print(as_json(told) if shell.json else f"concord: {one_line(str(e))}", file=sys.stderr)
        raise typer.Exit(1) from e
    except BrokenPipeError as e:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from e


def printable(text: str) -> str:
    """`text` without what could steer a terminal: control characters, but for line breaks, become U+FFFD."""
    return "".join(char if _is_harmless(char) else "\N{REPLACEMENT CHARACTER}" for char in text)


def one_line(text: str) -> str:
    """`text` without what could steer a terminal or pass for another line."""
    return printable(text.rstrip("\n")).replace("\n", " ")


def as_json(value: Any, indent: int | None = None) -> str:
    """`value` as JSON that people can read in their own script, and that cannot steer a terminal either."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(char if _is_harmless(char) else json.dumps(char)[1:-1] for char in text)


def when(at: int | None) -> str:
    """A time (POSIX seconds) for people: UTC, to the minute."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") if at is not None else "never"


def write_file(path: Path, content: bytes) -> None:
    """Write a file that the user asked for. StorageError if it cannot be written."""
    from concord.errors import StorageError

    try:
        path.write_bytes(content)
    except OSError as e:
        raise StorageError(f"{path} cannot be written: {e.strerror}") from e


def read_file(path: Path, most: int) -> bytes:
    """Read a file that the user named, at most `most` bytes. MissingError or TooLargeError if it cannot be."""
    from concord.errors import MissingError, TooLargeError

    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as e:
        raise MissingError(f"{path}: {e.strerror}") from e
    if len(raw) > most:
        raise TooLargeError(f"{path}: more than {most} bytes")
    return raw


def _is_harmless(char: str) -> bool:
    """Whether a terminal only shows it. Scripts of Asia need the joiners, those written from the right the marks."""
    return (
        char.isprintable() or char in "\n\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
    )


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list() | tuple():
            return ", ".join(map(_cell, value))
        case _:
            return one_line(str(value))


def _width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _default_home() -> Path:
    return Path(os.environ.get("CONCORD_HOME") or "var/home")
