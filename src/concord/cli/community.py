"""Communities: repos of several members, gathered by one of them."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from concord.cli.commons import split
from concord.cli.shell import Shell, command, when

if TYPE_CHECKING:
    from concord.pillars.commons import RepoId
    from concord.pillars.commons.view import Gathering
    from concord.shelf import Shelf

app = typer.Typer(help="Communities: repos of several members, gathered for one purpose.", no_args_is_help=True)

COLUMNS = ["community", "title", "repos", "changed"]


@command(app, "list")
def list_(
    shell: Shell, member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="Only what this member gathers.")] = None
) -> None:
    """The communities that there are."""
    from concord.pillars.commons import view

    node = shell.node()
    by = shell.origin(node, member) if member is not None else None
    with node.reading() as db:
        rows = [_row(found) for found in view.communities(db, by)]
    if not shell.json:
        rows = [row | {"changed": when(row["changed"])} for row in rows]
    shell.table(rows, COLUMNS, "Nobody gathers anything yet.")


@command(app, "show")
def show(shell: Shell, community: Annotated[str, typer.Argument(metavar="MEMBER/NAME", help="Whose, and which.")]) -> None:
    """A community, with its repos."""
    from concord.shelf import Shelf, communities

    shelf = Shelf(shell.node())
    member, _, name = community.rpartition("/")
    origin = shell.origin(shelf.node, member) if member else shell.admin(shelf.node).origin
    _tell(shell, shelf, communities.find(shelf.node, origin, name))


@command(app, "gather")
def gather(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="NAME", help="a-z, 0-9 and hyphens.")],
    repos: Annotated[list[str], typer.Argument(metavar="REPO", help="ns/name, datasets/ns/name or spaces/ns/name; all of them.")],
    title: Annotated[str, typer.Option(help="What it is called.")],
    about: Annotated[str, typer.Option(help="What it is for, in Markdown.")] = "",
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="For which member of this node.")] = None,
) -> None:
    """Say which repos a community has. It replaces what was said of it before."""
    from concord.shelf import Shelf, communities

    shelf = Shelf(shell.node())
    speaker = shell.speaker(shelf.node, member)
    made = communities.gather(shelf, speaker, name, title, about, [_repo(shell, shelf, each) for each in repos])
    shelf.node.cosign()
    _tell(shell, shelf, made)


def _repo(shell: Shell, shelf: "Shelf", written: str) -> "RepoId":
    from concord.pillars.commons import RepoId

    kind, namespace, name = split(written, None)
    owner = shell.origin(shelf.node, namespace) if namespace else shell.admin(shelf.node).origin
    return RepoId(owner=owner, kind=kind, name=name)


def _row(found: "Gathering") -> dict[str, Any]:
    from concord.ledger.identity import label

    return {"community": f"{label(found.by)}/{found.name}", "title": found.title, "repos": found.count, "changed": found.at}


def _tell(shell: Shell, shelf: "Shelf", found: "Gathering") -> None:
    """The community, and of each repo whether it is here for everybody."""
    from concord.ledger.identity import label
    from concord.shelf import communities

    gathered = communities.repos_of(shelf, found, None)
    repos = [{"owner": repo.owner, "kind": repo.kind, "name": repo.name, "here": entry is not None} for repo, entry in gathered]
    lines = [f"{label(found.by)}/{found.name}: {found.title}", *([found.about] if found.about else [])]
    for repo, entry in gathered:
        lines.append(f"  {repo.kind} {label(repo.owner)}/{repo.name}{'' if entry else ' (not here)'}")
    shell.result(asdict(found) | {"repos": repos}, "\n".join(lines))
