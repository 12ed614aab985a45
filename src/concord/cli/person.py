"""People who act for the members of this node."""

from typing import TYPE_CHECKING, Annotated

import typer

from concord.cli.shell import Shell, command

if TYPE_CHECKING:
    from concord.ledger.pillar import Role

app = typer.Typer(help="People who act for the members of this node.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Short name of the person.")]
ROLES = "delegate, publisher, officer, safety, clerk or admin; may stand several times."
RolesOption = Annotated[list[str], typer.Option("--role", metavar="ROLE", help=ROLES)]


@command(app, "add")
def add(
    shell: Shell,
    id: IdArgument,  # noqa: A002  the id it is
    name: Annotated[str, typer.Option(help="Full name.")],
    role: RolesOption = [],  # noqa: B006  typer copies it
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="For which member of this node.")] = None,
) -> None:
    """Add a person, and print a link that signs them in, once."""
    from concord.private import people, secrets

    node = shell.node()
    origin = shell.origin(node, member) if member else shell.admin(node).origin
    node.holdings.log(origin)
    with node.private_writing() as db:
        people.add(db, id, name, origin, _roles(role), node.clock())
        link = secrets.make_link(db, id, node.clock(), node.settings.link_minutes)
    told = {"id": id, "name": name, "origin": origin, "roles": role, "link": f"/sign-in/{link}"}
    shell.result(told, f"{id} may act for {origin}. Good once, for {node.settings.link_minutes} minutes: /sign-in/{link}")


@command(app, "list")
def list_(shell: Shell) -> None:
    """The people of this node, and their roles."""
    from concord.private import people

    node = shell.node()
    with node.private_reading() as db:
        rows = [
            {
                "id": person.id,
                "name": person.name,
                "origin": person.origin,
                "roles": [str(role) for role in person.roles],
                "disabled": person.disabled,
            }
            for person in people.everybody(db)
        ]
    shell.table(rows, ["id", "name", "roles", "origin"], "Nobody yet. Say `concord person add ID --name …`.")


@command(app, "grant")
def grant(shell: Shell, id: IdArgument, role: RolesOption) -> None:  # noqa: A002  the id it is
    """Give a person these roles, and no others."""
    from concord.private import people

    node = shell.node()
    with node.private_writing() as db:
        people.set_roles(db, id, _roles(role))
    shell.result({"id": id, "roles": role}, f"{id}: {', '.join(role)}")


@command(app, "link")
def link(shell: Shell, id: IdArgument) -> None:  # noqa: A002  the id it is
    """Print a link that signs a person in, once."""
    from concord.private import secrets

    node = shell.node()
    with node.private_writing() as db:
        made = secrets.make_link(db, id, node.clock(), node.settings.link_minutes)
    shell.result({"link": f"/sign-in/{made}"}, f"{node.settings.url}/sign-in/{made}")


@command(app, "disable")
def disable(shell: Shell, id: IdArgument) -> None:  # noqa: A002  the id it is
    """End a person's sign-ins and tokens at once."""
    from concord.private import people

    node = shell.node()
    with node.private_writing() as db:
        people.disable(db, id, node.clock())
    shell.result({"id": id, "disabled": True}, f"{id} may no longer sign in.")


def _roles(names: list[str]) -> "list[Role]":
    from concord.errors import SettingsError
    from concord.ledger.pillar import PERSONAL_ROLES, Role

    for name in names:
        if name not in PERSONAL_ROLES:
            raise SettingsError(f"there is no role {name!r}; there are {', '.join(PERSONAL_ROLES)}")
    return [Role(name) for name in names]
