"""Records: list, show, prove, say."""

import json
from pathlib import Path
from typing import Annotated

import typer

from concord.cli.shell import Shell, command, when, write_file

app = typer.Typer(help="Records: list, show, prove and say them.", no_args_is_help=True)

OriginArgument = Annotated[str, typer.Argument(metavar="ORIGIN", help="Origin or member.")]
IndexArgument = Annotated[int, typer.Argument(metavar="INDEX", help="Which entry of the log, from 0.", min=0)]


@command(app, "list")
def list_(
    shell: Shell,
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="Only of this log: origin or member.")] = None,
    kind: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only of this type.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1, max=10_000)] = 50,
) -> None:
    """The newest records, as their speakers dated them."""
    from concord.ledger.identity import label
    from concord.reading import Filter, list_records, sentence

    node = shell.node()
    wanted = Filter(origin=shell.origin(node, member) if member else None, type=kind)
    rows = [
        {
            "at": when(found.at) if found.at else "",
            "member": label(found.origin),
            "index": found.index,
            "type": found.type,
            "says": sentence(node, found),
            "state": found.state.name.lower(),
            "origin": found.origin,
            "leaf": found.leaf,
        }
        for found in list_records(node, wanted, limit)
    ]
    shell.table(rows, ["at", "member", "index", "type", "says"], "No records.")


@command(app, "show")
def show(shell: Shell, origin: OriginArgument, index: IndexArgument) -> None:
    """One record, as it stands in the log."""
    from concord.reading import find_record, sentence

    node = shell.node()
    found = find_record(node, shell.origin(node, origin), index)
    entry = node.holdings.tree(found.origin).entry(index)
    told = {
        "origin": found.origin,
        "index": index,
        "leaf": found.leaf,
        "state": found.state.name.lower(),
        "type": found.type,
        "says": sentence(node, found),
        "entry": entry.decode(errors="replace"),
    }
    try:
        pretty = json.dumps(json.loads(entry), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        pretty = str(told["entry"])
    shell.result(told, f"{found.origin} {index}, {told['state']}\nleaf {found.leaf}\n{pretty}")


@command(app, "prove")
def prove(
    shell: Shell,
    origin: OriginArgument,
    index: IndexArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="F.tlog-proof", help="Where to write the receipt.")],
) -> None:
    """A receipt that the record stands in the log, to be checked anywhere, offline."""
    from concord.reading import prove as make

    node = shell.node()
    receipt = make(node, shell.origin(node, origin), index)
    write_file(out, bytes(receipt))
    size = receipt.checkpoint.text.split("\n")[1]
    told = {"file": str(out), "size": int(size), "signatures": len(receipt.checkpoint.signatures)}
    shell.result(told, f"{out}: entry {index} of {size}\nCheck it anywhere: concord proof verify {out} --policy P")


@command(app, "say")
def say(
    shell: Shell,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="Such as members.profile.")],
    fields: Annotated[str, typer.Argument(metavar="JSON", help='The fields, such as \'{"name": "…"}\'.')],
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="For which member of this node.")] = None,
) -> None:
    """Say a record of any type for a member of this node."""
    from concord.errors import MalformedError
    from concord.node import kind_of

    node = shell.node()
    try:
        values = json.loads(fields)
    except (ValueError, RecursionError) as e:
        raise MalformedError(f"the fields are not JSON: {e}") from e
    if not isinstance(values, dict):
        raise MalformedError('the fields are a JSON object, such as {"name": "…"}')
    said = node.say(shell.speaker(node, member), kind_of(kind), values)
    told = {"origin": said.origin, "index": said.index, "leaf": said.leaf}
    shell.result(told, f"{said.origin} {said.index}")
