"""Bundles: carry logs, blobs and the files of repos where there is no line."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from concord.cli.shell import Shell, command, read_file, write_file

app = typer.Typer(help="Bundles: carry logs, blobs and files on a stick, where there is no line.", no_args_is_help=True)

REPO_HELP = "A repo whose files are wanted: its root, or a name such as nairobi/words or datasets/nairobi/words; may be repeated."
NOTES_MAX = 20  # lines about what did not go


@command(app, "want")
def want(
    shell: Shell,
    file: Annotated[Path, typer.Argument(metavar="F", help="Where to write it.")],
    repo: Annotated[list[str] | None, typer.Option(metavar="NAME", help=REPO_HELP)] = None,
    revision: Annotated[str, typer.Option(metavar="REV", help="Of these, a branch, tag or commit.")] = "main",
    all_repos: Annotated[bool, typer.Option("--all-repos", help="The files of all open repos.")] = False,  # noqa: FBT002
) -> None:
    """Write down what this node has, for whoever makes a bundle for it; and of which repos it would take the files."""
    from concord.edges.peer import wants

    node = shell.node()
    wanted = wants.want(node, repo or (), revision, every=all_repos)
    write_file(file, wants.write(wanted))
    told = {"file": str(file), "logs": len(wanted.sizes), "blobs": len(wanted.blobs), "repos": len(wanted.chosen())}
    shell.result(told, f"{file}: take it to the other node")


@command(app, "export")
def export(
    shell: Shell,
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The bundle to write.")],
    want: Annotated[Path, typer.Option("--want", metavar="F", help="What the receiver has (concord bundle want).")],
    repo: Annotated[list[str] | None, typer.Option(metavar="NAME", help=f"{REPO_HELP} Besides those in F.")] = None,
    revision: Annotated[str, typer.Option(metavar="REV", help="Of these, a branch, tag or commit.")] = "main",
    volume: Annotated[int | None, typer.Option(metavar="MB", help="Split into volumes of so many megabytes.", min=1)] = None,
    blobs: Annotated[bool, typer.Option("--blobs/--no-blobs", help="With blobs and files, or records only.")] = True,  # noqa: FBT002
) -> None:
    """Make a bundle of what this node has and the receiver lacks."""
    from concord.edges.peer import wants
    from concord.edges.peer.export import export as pack

    node = shell.node()
    wanted = wants.read_want(read_file(want, wants.WANT_SIZE_MAX))
    chosen = [wants.Chosen(name, revision) for name in repo or ()]
    most = volume * 1_000_000 if volume else None
    with shell.progress("writing") as progress:
        done = pack(node, wanted, out, most, chosen, progress, with_blobs=blobs)
    told = {
        "volumes": [str(path) for path in done.volumes],
        "entries": done.entries,
        "blobs": done.blobs,
        "files": done.files,
        "left_out": list(done.left_out),
        "absent": list(done.absent),
    }
    brought = f"{done.entries} entries, {done.blobs} blobs and {done.files} files of repos"
    shell.result(told, f"{brought} in {', '.join(map(str, done.volumes))}")
    _notes(shell, [f"{digest} is larger than a volume, and was left out" for digest in done.left_out])
    _notes(shell, [f"{name} is wanted, and cannot be had here" for name in done.absent])


@command(app, "import")
def import_(
    shell: Shell,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="OUT.zip…", help="The bundle: all of its volumes, or the folder that it was unzipped into."),
    ],
) -> None:
    """Take in a bundle. It is checked as a whole before a byte is taken, each log and file as if it came over a line.

    After a cut, the same bundle brings the rest.
    """
    from concord.edges.peer.bundle import opened
    from concord.edges.peer.pull import pull
    from concord.errors import MalformedError
    from concord.operations.unload import unload

    node = shell.node()
    with ExitStack() as stack:
        with shell.progress("checking") as progress:
            sources = stack.enter_context(opened(files, progress))
        if len(sources) != 1:
            raise MalformedError("take in one bundle at a time: all of its volumes, or the folder that it was unzipped into")
        progress = stack.enter_context(shell.progress("taking in"))
        report = pull(node, sources[0], progress)
        unloaded = unload(node, sources[0], progress)
    wrong = {name: str(error) for name, error in (report.wrong | unloaded.wrong).items()}
    told = {"entries": report.total, "logs": report.entries, "blobs": report.blobs, "files": unloaded.files, "wrong": wrong}
    shell.result(told, f"{report.total} entries, {report.blobs} blobs and {unloaded.files} files of repos taken in")
    _notes(shell, [f"{name}: {words}" for name, words in wrong.items()])
    if wrong and not report.total and not unloaded.files:
        raise typer.Exit(1)


def _notes(shell: Shell, notes: Sequence[str]) -> None:
    """Say these besides the result, and how many more there are."""
    for note in notes[:NOTES_MAX]:
        shell.note(note)
    if len(notes) > NOTES_MAX:
        shell.note(f"… and {len(notes) - NOTES_MAX} more; --json lists all")
