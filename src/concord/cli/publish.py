"""Publishing a folder from this machine, without a server between."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from concord.cli.commons import split
from concord.cli.shell import Shell


def publish(
    shell: Shell,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="name, ns/name or datasets/ns/name; opened if there is none.")],
    licence: Annotated[
        str, typer.Option("--license", metavar="SPDX", help="Such as apache-2.0. Not needed if README.md names one.")
    ] = "",
    kind: Annotated[str | None, typer.Option("--type", metavar="KIND", help="model, dataset or space.")] = None,
    private: Annotated[bool, typer.Option("--private", help="A repo that is opened is for this member alone.")] = False,  # noqa: FBT002
    message: Annotated[str, typer.Option(help="What the commit says.")] = "",
    language: Annotated[list[str], typer.Option(help="A BCP 47 tag; may stand several times.")] = [],  # noqa: B006  typer copies it
    title: Annotated[str, typer.Option(help="The name of the repo in words.")] = "",
    include: Annotated[list[str], typer.Option(metavar="PATTERN", help="Only files that fit; may stand several times.")] = [],  # noqa: B006
    exclude: Annotated[list[str], typer.Option(metavar="PATTERN", help="No files that fit; may stand several times.")] = [],  # noqa: B006
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="For which member of this node.")] = None,
) -> None:
    """Publish a folder as a repo: one commit, signed in the member's log. Works beside a server that runs."""
    from concord.errors import MalformedError
    from concord.ledger.identity import label
    from concord.operations.publish import Chosen, Words
    from concord.operations.publish import publish as bring
    from concord.pillars.commons import RepoId
    from concord.shelf import Shelf

    node = shell.node()
    speaker = shell.admin(node)
    kind_, namespace, name = split(repo, kind)
    named = shell.origin(node, namespace) if namespace else None
    chosen = shell.origin(node, member) if member else None
    if named and chosen and named != chosen:
        raise MalformedError(f"{repo} is not a repo of {label(chosen)}")
    owner = chosen or named or speaker.origin
    if owner in node.holdings.hosted():
        speaker = replace(speaker, origin=owner)
    words = Words(licence, tuple(language), title, message)
    target = RepoId(owner=owner, kind=kind_, name=name), private
    with shell.progress("publishing") as progress:
        done = bring(Shelf(node), speaker, target, folder, words, Chosen(tuple(include), tuple(exclude)), progress)
    node.cosign()
    told = {
        "repo": f"{label(owner)}/{name}",
        "type": kind_,
        "commit": done.revision.oid,
        "opened": done.opened,
        "private": done.repo.private,
        "changed": done.changed,
        "files": done.files,
        "bytes": done.size,
    }
    what = f"{done.changed} of {done.files} files are new or changed" if done.changed else "nothing changed, and nothing was said"
    text = f"{told['repo']}: {what}; commit {done.revision.oid[:12]}{', private' if done.repo.private else ''}"
    shell.result(told, text)
