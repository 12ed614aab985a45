"""Peers: whom to pull from."""

import re
from typing import Annotated, Any

import typer

from concord.cli.shell import Shell, command, when

app = typer.Typer(help="Peers: the nodes and mirrors to pull from.", no_args_is_help=True)

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Address of a node or of a static mirror.")]


RateOption = Annotated[
    str | None, typer.Option(metavar="RATE", help="Take files from it at so many bytes a second, such as 100k or 2M; 0: any.")
]
WindowOption = Annotated[
    str | None,
    typer.Option(metavar="FROM-TO", help="Fetch files that nobody waits for within these hours (UTC), such as 22:00-06:00."),
]


@command(app, "add")
def add(shell: Shell, url: UrlArgument, rate: RateOption = None, window: WindowOption = None) -> None:
    """Pull from this node or mirror from now on."""
    from concord.private import peers

    node, most = shell.node(), _rate(rate)
    with node.private_writing() as db:
        kept = peers.add(db, url, node.clock())
        if rate is not None or window is not None:
            peers.limit(db, kept, most, window)
    shell.result({"url": kept}, f"{kept} is a peer now. Say `concord peer pull` to pull at once.")


@command(app, "limit")
def limit(shell: Shell, url: UrlArgument, rate: RateOption = None, window: WindowOption = None) -> None:
    """Set how fast files are taken from a peer, and when. What is left out is without limit from now on."""
    from concord.private import peers

    node, most = shell.node(), _rate(rate)
    with node.private_writing() as db:
        peers.limit(db, url, most, window)
    speed = f"at {most} bytes a second" if most else "as fast as it sends"
    hours = f"within {window} UTC" if window else "at any hour"
    told = {"url": url.rstrip("/"), "rate": most, "window": window}
    shell.result(told, f"Files are taken from {url} {speed}, and those that nobody waits for {hours}.")


@command(app, "remove")
def remove(shell: Shell, url: UrlArgument) -> None:
    """Pull from it no more. What was pulled stays."""
    from concord.private import peers

    node = shell.node()
    with node.private_writing() as db:
        peers.remove(db, url)
    shell.result({"removed": url}, f"{url} is a peer no more.")


@command(app, "list")
def list_(shell: Shell) -> None:
    """The peers, and how the last pulls went."""
    from concord.private import peers

    node = shell.node()
    with node.private_reading() as db:
        found = peers.everyone(db)
    rows: list[dict[str, Any]] = [
        {
            "url": peer.url,
            "answered": peer.answered,
            "asked": peer.asked,
            "error": peer.error,
            "skew": peer.skew,
            "rate": peer.rate,
            "window": peer.window,
        }
        for peer in found
    ]
    if not shell.json:
        rows = [row | {"answered": when(row["answered"]), "asked": when(row["asked"])} for row in rows]
    shell.table(rows, ["url", "answered", "asked", "rate", "window", "error"], "No peers. Say `concord peer add URL`.")


@command(app, "pull")
def pull(
    shell: Shell,
    url: Annotated[str | None, typer.Argument(metavar="[URL]", help="Only from this peer.")] = None,
) -> None:
    """Pull from the peers now: all of them, or one."""
    from concord import home
    from concord.errors import ConcordError, MissingError, UnreachableError
    from concord.operations.upkeep import pull_from, recover
    from concord.private import peers

    node = shell.node()
    with node.private_reading() as db:
        everyone = [peer.url for peer in peers.everyone(db)]
    chosen = [kept for kept in everyone if url is None or kept == url.rstrip("/")]
    if not chosen:
        raise MissingError(f"{url} is not a peer of this node" if url else "this node has no peers. Say `concord peer add URL`")
    if home.moved_since(node, shell.home) is not None and recover(node, shell.home):
        shell.note("Peers have said what they know of the logs of this home, and these sign again.")
    rows, failed = list[dict[str, Any]](), 0
    for one in chosen:
        try:
            with shell.progress("pulling") as progress:
                report = pull_from(node, one, progress)
        except ConcordError as e:
            failed += 1
            rows.append({"peer": one, "entries": 0, "blobs": 0, "wrong": {"": str(e)}})
            continue
        failed += any(isinstance(error, UnreachableError) for error in report.wrong.values())
        wrong = {name: str(error) for name, error in report.wrong.items()}
        rows.append({"peer": one, "entries": report.total, "blobs": report.blobs, "wrong": wrong})
    if shell.json:
        shell.result(rows)
    for row in rows if not shell.json else ():
        print(f"{row['peer']}: {row['entries']} entries, {row['blobs']} blobs")
        for name, words in row["wrong"].items():
            shell.note(f"  {name or row['peer']}: {words}")
    if failed == len(chosen):
        raise typer.Exit(1)


def _rate(text: str | None) -> int | None:
    """Bytes a second, or None for any. MalformedError if it is no rate."""
    from concord.errors import MalformedError

    found = re.fullmatch(r"([0-9]{1,9})([kMG]?)", text or "0", re.ASCII)
    if found is None:
        raise MalformedError(f"{text!r} is no rate, such as 100k or 2M (bytes a second)")
    return int(found[1]) * {"": 1, "k": 1000, "M": 10**6, "G": 10**9}[found[2]] or None
