"""Receipts: check one, with no home and no network."""

from pathlib import Path
from typing import Annotated

import typer

from concord.cli.shell import Shell, command, read_file, when

app = typer.Typer(help="Receipts: check one with nothing but a trust policy.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Receipts: check one with nothing but a trust policy."""


@command(app, "verify")
def verify(
    shell: Shell,
    file: Annotated[Path, typer.Argument(metavar="F", help="The receipt, a .tlog-proof file.")],
    policy: Annotated[Path, typer.Option("--policy", metavar="P", help="Whom to trust: a tlog-policy file (concord log policy).")],
    entry: Annotated[Path | None, typer.Option("--entry", metavar="E", help="The entry, if the receipt does not bring it.")] = None,
) -> None:
    """Check that an entry stands in a log, signed and cosigned by enough of those whom the policy trusts."""
    from concord.errors import MalformedError
    from concord.tlog import merkle
    from concord.tlog import policy as policies
    from concord.tlog import proof as proofs
    from concord.tlog.tile import ENTRY_SIZE_MAX

    receipt = proofs.parse(read_file(file, proofs.PROOF_SIZE_MAX))
    trusted = policies.parse(read_file(policy, policies.POLICY_SIZE_MAX))
    content = read_file(entry, ENTRY_SIZE_MAX) if entry else receipt.extra
    if content is None:
        raise MalformedError(f"{file} does not bring its entry: give it with --entry")
    accepted = proofs.verify(receipt, trusted, merkle.leaf_hash(content))
    checkpoint = accepted.checkpoint
    cosigners = [{"name": seen.key.name, "time": seen.time} for seen in accepted.cosigned]
    told = {
        "ok": True,
        "origin": checkpoint.origin,
        "index": receipt.index,
        "size": checkpoint.size,
        "cosigners": cosigners,
        "entry": content.decode(errors="replace"),
    }
    lines = [
        f"Good: entry {receipt.index} of {checkpoint.size} in the log {checkpoint.origin}",
        *(f"cosigned by {seen.key.name} at {when(seen.time)} UTC" for seen in accepted.cosigned),
        content.decode(errors="replace"),
    ]
    shell.result(told, "\n".join(lines))
