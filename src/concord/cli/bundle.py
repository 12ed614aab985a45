"""Bundles: carry logs and blobs where there is no line."""

from pathlib import Path
from typing import Annotated

import typer

from concord.cli.shell import Shell, command, read_file, write_file

app = typer.Typer(help="Bundles: carry logs and blobs on a stick, where there is no line.", no_args_is_help=True)


@command(app, "want")
def want(shell: Shell, file: Annotated[Path, typer.Argument(metavar="F", help="Where to write it.")]) -> None:
    """Write down what this node has, for whoever makes a bundle for it."""
    import msgspec

    from concord.edges.peer import wants

    node = shell.node()
    wanted = wants.want(node)
    write_file(file, msgspec.json.encode(wanted))
    shell.result({"file": str(file), "logs": len(wanted.sizes), "blobs": len(wanted.blobs)}, f"{file}: take it to the other node")


@command(app, "export")
def export(
    shell: Shell,
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The bundle to write.")],
    want: Annotated[Path, typer.Option("--want", metavar="F", help="What the receiver has (concord bundle want).")],
    volume: Annotated[int | None, typer.Option(metavar="MB", help="Split into volumes of so many megabytes.", min=1)] = None,
    blobs: Annotated[bool, typer.Option("--blobs/--no-blobs", help="With blobs, or records only.")] = True,  # noqa: FBT002
) -> None:
    """Make a bundle of what this node has and the receiver lacks."""
    from concord.edges.peer import bundle, wants

    node = shell.node()
    wanted = wants.read_want(read_file(want, wants.WANT_SIZE_MAX))
    done = bundle.export(node, wanted, out, volume * 1_000_000 if volume else None, with_blobs=blobs)
    told = {
        "volumes": [str(path) for path in done.volumes],
        "entries": done.entries,
        "blobs": done.blobs,
        "left_out": list(done.left_out),
    }
    shell.result(told, f"{done.entries} entries and {done.blobs} blobs in {', '.join(map(str, done.volumes))}")
    for digest in done.left_out:
        shell.note(f"blob {digest} is larger than a volume, and was left out")


@command(app, "import")
def import_(
    shell: Shell,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="OUT.zip…", help="The bundle: all of its volumes, or the folder that it was unzipped into."),
    ],
) -> None:
    """Take in a bundle. It is checked as a whole before a byte is taken, and each log as if it came over a line."""
    from contextlib import nullcontext

    from concord.edges.peer.bundle import BundleSource
    from concord.edges.peer.pull import pull
    from concord.edges.peer.source import FolderSource

    node = shell.node()
    folder = files[0] if len(files) == 1 and files[0].is_dir() else None
    opened = nullcontext(FolderSource(folder)) if folder else BundleSource(list(files))
    with opened as source, shell.progress("taking in") as progress:
        report = pull(node, source, progress)
    wrong = {name: str(error) for name, error in report.wrong.items()}
    told = {"entries": report.total, "logs": report.entries, "blobs": report.blobs, "wrong": wrong}
    shell.result(told, f"{report.total} entries and {report.blobs} blobs taken in")
    for name, words in wrong.items():
        shell.note(f"{name}: {words}")
    if wrong and not report.total:
        raise typer.Exit(1)
