"""Logs: their standing, their trust policy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from concord.cli.shell import Shell, command, when, write_file

if TYPE_CHECKING:
    from concord.private.damages import Damage

app = typer.Typer(help="Logs: where each stands, and what makes its checkpoints good.", no_args_is_help=True)


@command(app, "status")
def status(shell: Shell) -> None:
    """Each log held here: how long it is, its root, who cosigned it; and what the disk lost, if anything."""
    from concord.ledger.identity import label
    from concord.private import damages
    from concord.reading import doubts
    from concord.tlog.spelling import base64

    node = shell.node()
    disputed = node.disputes()
    rows: list[dict[str, Any]] = []
    for origin in node.holdings.origins():
        head, good = node.holdings.tree(origin).head, node.holdings.cosigned(origin)
        rows.append(
            {
                "member": label(origin),
                "origin": origin,
                "size": head.checkpoint.size if head else 0,
                "root": base64(head.checkpoint.root) if head else "",
                "cosigners": [line.name for line in head.note.signatures if line.name != origin] if head else [],
                "cosigned": good.checkpoint.size if good else 0,
                "hosted": origin in node.holdings.hosted(),
                "paused": node.holdings.log(origin).paused if origin in node.holdings.hosted() else None,
                "disputed": origin in disputed,
            }
        )
    if not shell.json:
        rows = [row | {"cosigners": str(len(row["cosigners"])), "root": row["root"][:16] + "…"} for row in rows]
    shell.table(rows, ["member", "size", "cosigned", "cosigners", "root", "origin"], "No logs here yet.")
    for url, words in doubts(node):
        shell.note(f"{url}: {words}")
    with node.private_reading() as db:
        found = damages.everything(db)
    for each in found:
        shell.note(_told(each))


def _told(each: "Damage") -> str:
    """A damage and what became of it, in a line."""
    what = f"{each.kind} {each.name[:16]}…, found damaged {when(each.found)}"
    if each.mended is not None:
        return f"{what}, mended {when(each.mended)}{(each.why and f': {each.why}') or ''}"
    return f"{what}: {each.reason}. Not mended{(each.why and f': {each.why}') or ' yet'}"


@command(app, "policy")
def policy(
    shell: Shell,
    origin: Annotated[str, typer.Argument(metavar="ORIGIN", help="Origin or member.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="F", help="Write to this file.")] = None,
) -> None:
    """The trust policy for a log: its keys, and how many of which witnesses make a checkpoint good."""
    node = shell.node()
    text = str(node.policy(shell.origin(node, origin)))
    if out is not None:
        write_file(out, text.encode())
        shell.result({"file": str(out)}, f"written to {out}")
    else:
        shell.result({"policy": text}, text.rstrip())


@command(app, "resume")
def resume(shell: Shell) -> None:
    """Let the logs of a home that was moved sign again, although no peer said what it knows of them."""
    from concord.operations.upkeep import resume as go_on

    node = shell.node()
    go_on(node, shell.home)
    shell.result({"resumed": node.holdings.hosted()}, "The logs of this home sign again.")
