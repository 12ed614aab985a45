"""Tokens: what programs sign in with."""

from typing import Annotated, Any

import typer

from concord.cli.shell import Shell, command, when

app = typer.Typer(help="Tokens: what programs sign in with.", no_args_is_help=True)


@command(app, "create")
def create(
    shell: Shell,
    person: Annotated[str | None, typer.Option(metavar="ID", help="For whom; otherwise the local admin.")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    scope: Annotated[list[str], typer.Option("--scope", metavar="SCOPE", help="read, or a role of the person.")] = [],  # noqa: B006
    days: Annotated[int | None, typer.Option(help="For how many days it is good.", min=1, max=366)] = None,
) -> None:
    """Make a token and print it. It is shown this once."""
    from concord.operations.begin import local_admin
    from concord.private import people, secrets

    node = shell.node()
    with node.private_writing() as db:
        id_ = person or local_admin(db, node)
        scopes = scope or [people.READ, *map(str, people.find(db, id_).roles)]
        made = secrets.make_token(db, id_, label, scopes, node.clock(), days or node.settings.token_days)
    shell.result({"token": made}, made)


@command(app, "list")
def list_(shell: Shell) -> None:
    """The tokens that were made; not what they are."""
    from concord.private import secrets

    node = shell.node()
    with node.private_reading() as db:
        rows: list[dict[str, Any]] = [
            {
                "id": token.id,
                "person": token.person,
                "label": token.label,
                "scopes": list(token.scopes),
                "created": token.created,
                "expires": token.expires,
                "used": token.used,
            }
            for token in secrets.tokens(db)
        ]
    if not shell.json:
        rows = [row | {"expires": when(row["expires"]), "used": when(row["used"])} for row in rows]
    shell.table(rows, ["id", "person", "label", "scopes", "expires", "used"], "No tokens.")


@command(app, "revoke")
def revoke(shell: Shell, id: Annotated[str, typer.Argument(metavar="ID", help="As `concord token list` shows it.")]) -> None:  # noqa: A002
    """End a token at once."""
    from concord.private import secrets

    node = shell.node()
    with node.private_writing() as db:
        secrets.revoke(db, id)
    shell.result({"revoked": id}, f"{id} is ended.")
