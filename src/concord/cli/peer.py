"""Peers: whom to pull from."""

from typing import Annotated

import typer

from concord.cli.shell import Shell, command, when

app = typer.Typer(help="Peers: the nodes and mirrors to pull from.", no_args_is_help=True)

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Address of a node or of a static mirror.")]


@command(app, "add")
def add(shell: Shell, url: UrlArgument) -> None:
    """Pull from this node or mirror from now on."""
    from concord.private import peers

    node = shell.node()
    with node.private_writing() as db:
        kept = peers.add(db, url, node.clock())
    shell.result({"url": kept}, f"{kept} is a peer now. Say `concord peer pull` to pull at once.")


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
    rows = [
        {"url": peer.url, "answered": peer.answered, "asked": peer.asked, "error": peer.error, "skew": peer.skew} for peer in found
    ]
    if not shell.json:
        rows = [row | {"answered": when(row["answered"]), "asked": when(row["asked"])} for row in rows]  # type: ignore[arg-type]
    shell.table(rows, ["url", "answered", "asked", "error"], "No peers. Say `concord peer add URL`.")


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
    rows, failed = [], 0
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
        for name, words in row["wrong"].items():  # type: ignore[attr-defined]
            shell.note(f"  {name or row['peer']}: {words}")
    if failed == len(chosen):
        raise typer.Exit(1)
