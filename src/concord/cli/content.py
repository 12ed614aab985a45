"""Files of repos: pull them into the cache of the usual clients."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from concord.cli.shell import Shell, command, when

if TYPE_CHECKING:
    from concord.edges.peer.source import Carrier
    from concord.operations.cache import Target
    from concord.operations.pulling import Heard


FROM_HELP = (
    "Take from here: the address of a node, the volumes of a bundle, or a folder that one was unzipped into; may be repeated."
)


class KindOf(StrEnum):
    """The kinds of repos."""

    model = "model"
    dataset = "dataset"
    space = "space"


def register(app: typer.Typer) -> None:
    """Put these commands at the top."""
    command(app, "pull")(pull)


def pull(
    shell: Shell,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="ns/name, datasets/ns/name or spaces/ns/name.")],
    revision: Annotated[str, typer.Option(metavar="REV", help="A branch, tag or commit.")] = "main",
    type_: Annotated[KindOf | None, typer.Option("--type", metavar="TYPE", help="model, dataset or space.")] = None,
    include: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Only files like this; may be repeated.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="No files like this; may be repeated.")] = None,
    cache: Annotated[Path | None, typer.Option(metavar="DIR", help="The cache to fill; otherwise the usual one.")] = None,
    local_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="A plain folder in place of a cache.")] = None,
    from_: Annotated[list[str] | None, typer.Option("--from", metavar="WHERE", help=FROM_HELP)] = None,
) -> None:
    """Pull a repo's files from several nodes at once, into the cache that the Hub's clients read, going on where it was cut."""
    from concord.cli.commons import split
    from concord.errors import SettingsError
    from concord.operations import pulling
    from concord.operations.pulling import Wish
    from concord.shelf import Reader

    if cache and local_dir:
        raise SettingsError("fill a cache (--cache) or a folder (--local-dir), not both")
    kind, namespace, name = split(repo, type_.value if type_ else None)
    repo, node = f"{namespace}/{name}" if namespace else name, shell.node()
    with _carried(shell, from_ or ()) as (carried, urls):
        wish = Wish(include or (), exclude or (), urls, carried)
        with shell.progress("hearing") as progress:
            heard = pulling.hear(node, wish, progress)
        _tell(shell, heard)
        courier = pulling.courier_for(node, wish)
        shelf = Reader(node, courier)
        found = pulling.find(shelf, kind, repo, shell.admin(node) if node.holdings.hosted() else None)
        at = found.find(revision)
        target = _target(kind, repo, at.oid, cache, local_dir)
        with shell.progress("pulling") as progress:
            done = pulling.pull(shelf, found, at, target, wish, progress)
            if done.wrong:
                raise pulling.complaint(done)
            pulling.settle(node, courier, found, at, target, None if revision == at.oid else revision)
    for pattern in done.idle:
        shell.note(f"--include {pattern!r} fits no file")
    told = {"repo": repo, "revision": at.oid, "folder": str(target.folder), "files": done.files, "bytes": done.size}
    told |= {"written": done.written, "as_of": heard.as_of}
    shell.result(told, f"{target.folder}\n{done.files} files of {repo} at {at.oid[:12]}, {done.written} of them new here")


@contextmanager
def _carried(shell: Shell, names: list[str] | tuple[()]) -> "Iterator[tuple[list[Carrier], list[str]]]":
    """What can be taken from on this machine, opened; and the names of what is elsewhere."""
    from concord.edges.peer.bundle import opened

    here = [name for name in names if Path(name).exists()]
    with ExitStack() as stack:
        with shell.progress("checking") as progress:
            carried = stack.enter_context(opened(map(Path, here), progress))
        yield carried, [name for name in names if name not in here]


def _target(kind: str, name: str, oid: str, cache: Path | None, local_dir: Path | None) -> "Target":
    import os

    from concord.operations.cache import Cache, Folder, standard

    return Folder(local_dir, oid) if local_dir else Cache(cache or standard(os.environ), kind, name, oid)


def _tell(shell: Shell, heard: "Heard") -> None:
    """Say who did not answer, and, if nobody did, how old what is here is."""
    for url, words in heard.wrong.items():
        shell.note(f"{url}: {words}")
    if not heard.answered:
        shell.note("nobody was heard, so this is as of " + (when(heard.as_of) if heard.as_of else "what is here"))
