"""Members: who takes part, and what our own member says of its membership."""

from typing import Annotated, Any, get_args

import typer

from concord.cli.shell import Shell, command

app = typer.Typer(help="Members: who takes part.", no_args_is_help=True)

ForOption = Annotated[str | None, typer.Option("--member", metavar="ORIGIN", help="For which member of this node.")]


@command(app, "list")
def list_(shell: Shell) -> None:
    """Everybody who has a standing: members, founders that are invited, applicants."""
    node = shell.node()
    rows = [_row(seat) for seat in node.roster().seats.values()]
    shell.table(rows, ["id", "name", "country", "class", "standing"], "No organisation here yet.")


@command(app, "show")
def show(shell: Shell, id: Annotated[str, typer.Argument(metavar="ID", help="Member or origin.")]) -> None:  # noqa: A002  the id it is
    """One of them: standing, log, keys, who acts for it."""
    from concord.reading import describe_member

    node = shell.node()
    told = describe_member(node, shell.origin(node, id))
    lines = [f"{told['name']} ({told['id']}), {told['country']}, {told['class']}: {told['standing']}"]
    lines += [f"{key:9} {told[key]}" for key in ("origin", "size", "cosigned", "about", "site") if told.get(key)]
    lines += [f"cosigner  {name}" for name in told["cosigners"]]
    lines += [f"person    {person['person']}: {', '.join(person['roles'])}" for person in told["people"]]
    shell.result(told, "\n".join(lines))


@command(app, "accede")
def accede(shell: Shell, member: ForOption = None) -> None:
    """Accept the charter, for a member of this node."""
    _say(shell, member, "members.accede", lambda node: {"charter": node.organisation})


@command(app, "profile")
def profile(
    shell: Shell,
    name: Annotated[str, typer.Option(help="Full name.")],
    country: Annotated[str, typer.Option(metavar="CC", help="ISO 3166-1: two capital letters.")],
    about: Annotated[str, typer.Option(help="Who it is, in a few sentences.")] = "",
    site: Annotated[str | None, typer.Option(metavar="URL", help="Its own site.")] = None,
    contact: Annotated[str | None, typer.Option(help="How to reach it.")] = None,
    node_url: Annotated[str | None, typer.Option("--node", metavar="URL", help="Where its node is reached.")] = None,
    member: ForOption = None,
) -> None:
    """How a member of this node presents itself. The last one stands, whole."""
    said = {"name": name, "country": country, "about": about, "site": site, "contact": contact, "node": node_url}
    _say(shell, member, "members.profile", lambda _: {key: value for key, value in said.items() if value})


@command(app, "sponsor")
def sponsor(
    shell: Shell,
    applicant: Annotated[str, typer.Argument(metavar="APPLICANT", help="Id or origin of an applicant.")],
    statement: Annotated[str, typer.Option(help="Why.")] = "",
    member: ForOption = None,
) -> None:
    """Support an application."""
    from concord.reading import application

    def fields(node: Any) -> dict[str, Any]:
        asked = application(node, shell.origin(node, applicant))
        return {"application": asked.leaf, "applicant": asked.origin, "statement": statement}

    _say(shell, member, "members.sponsor", fields)


@command(app, "leave")
def leave(
    shell: Shell,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    days: Annotated[int, typer.Option(help="In how many days it takes effect.", min=0)] = 0,
    member: ForOption = None,
) -> None:
    """Leave the organisation, for a member of this node."""
    _say(shell, member, "members.leave", lambda node: {"effective": node.clock() + days * 86_400, "reason": reason})


@command(app, "rotate")
def rotate(
    shell: Shell,
    what: Annotated[str, typer.Argument(metavar="KEY", help="log, witness, office or root.")],
    member: ForOption = None,
) -> None:
    """Change a key of a member of this node. Its root keys have to be in keys/ for it (for root: the next-… keys)."""
    from concord.errors import SettingsError
    from concord.operations import keys

    key = next((each for each in get_args(keys.What) if each == what), None)
    if key is None:
        raise SettingsError(f"there is no key {what!r} to change; there are log, witness, office and root")
    node = shell.node()
    origin = shell.origin(node, member) if member else shell.admin(node).origin
    said = keys.rotate(node, shell.home, origin, key)
    node.cosign()
    shell.result({"origin": said.origin, "index": said.index, "leaf": said.leaf}, f"{what} key changed: {said.origin} {said.index}")


@command(app, "retire")
def retire(shell: Shell, member: ForOption = None) -> None:
    """Leave only the newest log key of a member of this node, once all peers have seen the change."""
    from concord.operations import keys

    node = shell.node()
    origin = shell.origin(node, member) if member else shell.admin(node).origin
    said = keys.retire(node, shell.home, origin)
    node.cosign()
    shell.result({"origin": said.origin, "index": said.index, "leaf": said.leaf}, f"one log key left: {said.origin} {said.index}")


def _say(shell: Shell, member: str | None, kind: str, fields: Any) -> None:
    from concord.node import kind_of

    node = shell.node()
    speaker = shell.speaker(node, member)
    said = node.say(speaker, kind_of(kind), fields(node))
    node.cosign()
    shell.result({"origin": said.origin, "index": said.index, "leaf": said.leaf}, f"{kind} said: {said.origin} {said.index}")


def _row(seat: Any) -> dict[str, Any]:
    return {
        "id": seat.id,
        "name": seat.name,
        "country": seat.country,
        "class": seat.class_,
        "standing": str(seat.standing),
        "votes": seat.votes,
        "origin": seat.origin,
    }
