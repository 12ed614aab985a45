"""Publishing a folder from this machine, without a server between."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from concord.cli.commons import split
from concord.cli.shell import Shell

if TYPE_CHECKING:
    from concord.node import Node
    from concord.operations.publish import Published
    from concord.pillars.commons import RepoId


def publish(
    shell: Shell,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="name, ns/name or datasets/ns/name; opened if there is none.")],
    licence: Annotated[
        str, typer.Option("--license", metavar="SPDX", help="Such as apache-2.0. Not needed if README.md names one.")
    ] = "",
    kind: Annotated[str | None, typer.Option("--type", metavar="KIND", help="model, dataset or space.")] = None,
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public", help="For this member alone; or for all, for good, even what was private. If opened: public."
        ),
    ] = None,
    message: Annotated[str, typer.Option(help="What the commit says.")] = "",
    language: Annotated[list[str], typer.Option(help="A BCP 47 tag; may stand several times.")] = [],  # noqa: B006  typer copies it
    title: Annotated[str, typer.Option(help="The name of the repo in words.")] = "",
    include: Annotated[list[str], typer.Option(metavar="PATTERN", help="Only files that fit; may stand several times.")] = [],  # noqa: B006
    exclude: Annotated[list[str], typer.Option(metavar="PATTERN", help="No files that fit; may stand several times.")] = [],  # noqa: B006
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="For which member of this node.")] = None,
) -> None:
    """Publish a folder as a repo: one commit, signed in the member's log. Works beside a server that runs."""
    from concord.operations.folder import Chosen
    from concord.operations.front_matter import Words
    from concord.operations.publish import publish as bring
    from concord.shelf import Shelf

    node = shell.node()
    target = _target(shell, node, repo, kind, member)
    speaker = shell.speaker(node, target.owner if target.owner in node.holdings.hosted() else None)
    words, chosen = Words(licence, tuple(language), title, message), Chosen(tuple(include), tuple(exclude))
    shelf = Shelf(node)
    with shell.progress("publishing") as progress:
        done = bring(shelf, speaker, (target, bool(private)), folder, words, chosen, progress)
    was_private = done.repo.private
    if private is False:
        done = replace(done, repo=shelf.publish(speaker, done.repo))
    node.cosign()
    _tell(shell, done, was_private=was_private)


def _target(shell: Shell, node: "Node", repo: str, kind: str | None, member: str | None) -> "RepoId":
    """The repo that is meant, of the member that is named one way or the other, or else of the node's first."""
    from concord.errors import MalformedError
    from concord.pillars.commons import RepoId

    kind_, namespace, name = split(repo, kind)
    named = [shell.origin(node, each) for each in (namespace, member) if each]
    if len(set(named)) > 1:
        raise MalformedError(f"{repo} is not a repo of {member}")
    return RepoId(owner=named[0] if named else shell.admin(node).origin, kind=kind_, name=name)


def _tell(shell: Shell, done: "Published", *, was_private: bool) -> None:
    from concord.ledger.identity import label

    repo = done.repo
    told = {
        "repo": f"{label(repo.id.owner)}/{repo.id.name}",
        "type": repo.id.kind,
        "commit": done.revision.oid,
        "opened": done.opened,
        "private": repo.private,
        "changed": done.changed,
        "files": done.files,
        "bytes": done.size,
    }
    what = f"{done.changed} of {done.files} files are new or changed" if done.changed else "nothing changed"
    what += "" if done.changed or repo.private != was_private else ", and nothing was said"
    standing = ", private" if repo.private else ", public from now on" if was_private else ""
    shell.result(told, f"{told['repo']}: {what}; commit {done.revision.oid[:12]}{standing}")
