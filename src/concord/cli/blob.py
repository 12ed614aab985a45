"""Blobs: publish, fetch, hold, erase."""

from pathlib import Path
from typing import Annotated

import typer

from concord.cli.shell import Shell, command

app = typer.Typer(help="Blobs: large bytes, published by a record, addressed by their digest.", no_args_is_help=True)

DigestArgument = Annotated[str, typer.Argument(metavar="DIGEST", help="SHA-256, 64 hexadecimal digits.")]


@command(app, "list")
def list_(shell: Shell) -> None:
    """The blobs that members published under a name, and whether they are here."""
    from concord.ledger.identity import label
    from concord.reading import deposited

    node = shell.node()
    rows = [row | {"member": label(row["origin"])} for row in deposited(node)]
    shell.table(rows, ["name", "member", "size", "here", "blob"], "No blobs.")


@command(app, "put")
def put(
    shell: Shell,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to publish.")],
    name: Annotated[str | None, typer.Option(help="Its name; otherwise that of the file.")] = None,
    about: Annotated[str, typer.Option(help="What it is.")] = "",
    media: Annotated[str, typer.Option(help="Its media type.")] = "application/octet-stream",
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="For which member of this node.")] = None,
) -> None:
    """Publish a file: keep its bytes, and say so in the member's log."""
    from concord.errors import MissingError
    from concord.ledger.blobs import PIECE
    from concord.ledger.statements import Deposit

    node = shell.node()
    speaker = shell.speaker(node, member)
    try:
        with file.open("rb") as content:
            digest, size = node.blobs.put(iter(lambda: content.read(PIECE), b""))
    except OSError as e:
        raise MissingError(f"{file}: {e.strerror}") from e
    blob = {"digest": digest, "size": size, "media": media}
    said = node.say(speaker, Deposit, {"name": name or file.name, "blob": blob, "about": about})
    node.cosign()
    shell.result({"blob": digest, "size": size, "origin": said.origin, "index": said.index}, f"{digest} ({size} bytes)")


@command(app, "get")
def get(
    shell: Shell,
    digest: DigestArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="F", help="Where to write it.")],
) -> None:
    """Write a blob to a file."""
    from concord.ledger.storage.files import told

    node = shell.node()
    pieces = node.blobs.get(digest)
    node.blobs.check(digest)
    try:
        with out.open("wb") as file:
            for piece in pieces:
                file.write(piece)
    except OSError as e:
        raise told(e, out) from e
    shell.result({"blob": digest, "file": str(out)}, f"{out}: {digest}, checked")


@command(app, "erase")
def erase(
    shell: Shell,
    digest: DigestArgument,
    reason: Annotated[str, typer.Option(help="Why; it stays in the log for ever.")],
    member: Annotated[str | None, typer.Option(metavar="ORIGIN", help="For which member of this node.")] = None,
) -> None:
    """Erase a blob that a member of this node published, and ask all others to do the same. A tombstone stays."""
    from concord.ledger.statements import Erase

    node = shell.node()
    speaker = shell.speaker(node, member)
    said = node.say(speaker, Erase, {"blob": digest, "reason": reason})
    node.cosign()
    gone = node.blobs.erased(digest) is not None
    text = f"{digest} is erased here" if gone else f"{digest} stays: another member publishes it, or {speaker.origin} never did"
    shell.result({"blob": digest, "erased": gone, "origin": said.origin, "index": said.index}, text)


@command(app, "hold")
def hold(
    shell: Shell,
    digest: DigestArgument,
    reason: Annotated[str, typer.Option(help="Why; whoever asks for the blob is told.")],
) -> None:
    """Stop serving a blob from this node. Nothing is erased."""
    from concord.ledger.blobs import Hold

    node = shell.node()
    node.blobs.hold(digest, Hold(by="operator", reason=reason, at=node.clock()))
    shell.result({"blob": digest, "held": True}, f"{digest} is held")


@command(app, "release")
def release(shell: Shell, digest: DigestArgument) -> None:
    """Serve a blob again that was held by hand."""
    node = shell.node()
    node.blobs.release(digest, "operator")
    shell.result({"blob": digest, "held": bool(node.blobs.holds(digest))}, f"{digest} is released")
