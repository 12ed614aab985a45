"""The node itself: make one, found or join an organisation, serve it, check it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from concord.cli.publish import publish
from concord.cli.shell import Shell, command, read_file
from concord.cli.verify import verify

if TYPE_CHECKING:
    from concord.node import Node

CHARTER_SIZE_MAX = 1 << 20  # bytes


def register(app: typer.Typer) -> None:
    """Put these commands at the top."""
    commands: dict[str, Callable[..., None]] = {
        "init": init,
        "demo": demo,
        "serve": serve,
        "publish": publish,
        "verify": verify,
        "export": export,
    }
    for name, function in commands.items():
        command(app, name)(function)


def init(
    shell: Shell,
    member: Annotated[str | None, typer.Option(metavar="ID", help="Short name of the member: a-z, 0-9, hyphens.")] = None,
    name: Annotated[str | None, typer.Option(help="Full name of the member.")] = None,
    country: Annotated[str | None, typer.Option(metavar="CC", help="Its country, ISO 3166-1: two capital letters.")] = None,
    class_: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Its class in the charter; otherwise the first that votes.")
    ] = None,
    charter: Annotated[str | None, typer.Option(metavar="FILE|PRESET", help="Found an organisation with this charter.")] = None,
    join: Annotated[str | None, typer.Option(metavar="URL", help="Apply to the organisation that this node serves.")] = None,
    organisation: Annotated[str | None, typer.Option(metavar="DIGEST", help="Join only the organisation with this digest.")] = None,
    domain: Annotated[str, typer.Option(help="What the member's origin continues with.")] = "concord.alt",
) -> None:
    """Make a node: with a member of its own, founding an organisation or applying to one."""
    from concord.errors import SettingsError
    from concord.operations import begin

    if member and not (name and country):
        raise SettingsError("a member has a name and a country: --member ID --name … --country CC")
    _check_ways(charter, join, organisation)
    who = begin.Member(member, domain, name, country, class_)
    begin.check_member(who)
    wanted = None
    if charter:
        presets = begin.presets()
        wanted = begin.read_charter(presets[charter] if charter in presets else _charter_file(charter), who)
    elif join:
        wanted = begin.ask_charter(shell.home, join, organisation, who)
    node = begin.node_at(shell.home)
    begin.check_free(node, wanted)
    if member:
        begin.add_member(node, shell.home, member, domain)
    if charter and wanted:
        begin.found(node, wanted, who)
    elif join and wanted:
        begin.join(node, join, wanted, who)
    elif member:
        begin.introduce(node, who)
    shell.result(_told(shell, node), _words(shell, node))


def _check_ways(charter: str | None, join: str | None, organisation: str | None) -> None:
    """That somebody founds an organisation, or joins one, or does neither."""
    from concord.errors import SettingsError

    if charter and join:
        raise SettingsError("found an organisation (--charter) or join one (--join), not both")
    if organisation and not join:
        raise SettingsError("--organisation says which one to join: it goes with --join URL")


def demo(shell: Shell) -> None:
    """Found the demonstration in an empty home: six example institutes, none of them real."""
    from concord.operations import demonstrate

    node = demonstrate.found(shell.home)
    shell.result(_told(shell, node), _words(shell, node))


def serve(
    shell: Shell,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 8600,
    demo: Annotated[bool, typer.Option("--demo", help="Found the demonstration first, if the home is empty.")] = False,  # noqa: FBT002
) -> None:
    """Serve pages, peers and programs until interrupted."""
    from concord import home
    from concord.operations import demonstrate
    from concord.server import run

    if demo and home.is_empty(shell.home):
        shell.note("Founding a demonstration organisation: example institutes, none of them real.")
        demonstrate.found(shell.home)
    node = shell.node()
    run(node, shell.home, host, port, lambda text: print(text, flush=True))


def export(
    shell: Shell,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or new folder.")],
    log: Annotated[str, typer.Option("--log", metavar="ORIGIN", help="Origin or member.")],
) -> None:
    """Write a log as static tlog-tiles files, with the keys to verify it: log key first, then the cosigners."""
    from concord.operations.export import export as write

    node = shell.node()
    done = write(node, shell.origin(node, log), directory)
    shell.result(done, f"{done['size']} entries of {done['origin']} in {directory}, {done['files']} files")


def _charter_file(name: str) -> bytes:
    from concord.errors import MissingError
    from concord.operations import begin

    path = Path(name)
    if not path.exists():
        raise MissingError(f"{name} is neither a file nor a preset; the presets are {', '.join(sorted(begin.presets()))}")
    return read_file(path, CHARTER_SIZE_MAX)


def _told(shell: Shell, node: "Node") -> dict[str, object]:
    return {"home": str(shell.home), "members": node.holdings.hosted(), "organisation": node.organisation}


def _words(shell: Shell, node: "Node") -> str:
    lines = [f"A node in {shell.home}."]
    lines += [f"It signs the log of {origin}" for origin in node.holdings.hosted()]
    if node.charter:
        lines += [f"It serves {node.charter.name}", f"organisation {node.organisation}"]
    if node.holdings.hosted() and not (node.charter and node.charter.demonstration):
        lines += [
            f"The root keys are in {shell.home}/keys/…/root-* and next-*: take them away from this machine, to different places.",
            "They are needed only to change keys. Whoever has two of the three speaks for the member.",
        ]
    return "\n".join([*lines, "Next: concord serve"])
