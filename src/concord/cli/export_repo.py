"""Exporting a revision of a repo in the formats of others: a command of the group `commons`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from concord.cli import commons
from concord.cli.shell import Shell, command, write_file

if TYPE_CHECKING:
    from concord.node import Node
    from concord.passports import Passports
    from concord.pillars.commons import Repo, Revision
    from concord.private.people import Speaker


def register(app: typer.Typer) -> None:
    """Add the command to its group."""
    command(app, "export")(export)


def export(
    shell: Shell,
    repo: commons.RepoArgument,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="cyclonedx, croissant or model-signing.")] = "cyclonedx",
    revision: Annotated[str, typer.Option(help="A branch, tag or commit.")] = "main",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="F", help="Where to write it; otherwise it is printed.")
    ] = None,
    publish: Annotated[bool, typer.Option("--publish", help="model-signing: publish the signature in your log, too.")] = False,  # noqa: FBT002
) -> None:
    """Write a revision as a CycloneDX bill of materials or a Croissant description, or sign it (OpenSSF model signing)."""
    from concord.passports import Passports
    from concord.shelf import Reader

    node = shell.node()
    shelf = Reader(node)
    passports = Passports(shelf)
    found = commons.find(shell, shelf, repo)
    speaker = commons.asker(shell, node, found.id.owner)
    at = found.find(revision)
    if form == "model-signing":
        body, words = _sign(shell, node, passports, speaker, found, at, publish=publish)
    else:
        body, words = passports.export(form, found, at, speaker, node.settings.url), f"{form} of {repo} at {at.oid}"
    if out is None:
        print(body.decode())
        return
    write_file(out, body)
    shell.result({"file": str(out), "format": form, "revision": at.oid}, f"{out}: {words}")


def _sign(
    shell: Shell, node: "Node", passports: "Passports", speaker: "Speaker | None", repo: "Repo", at: "Revision", *, publish: bool
) -> tuple[bytes, str]:
    """The signature of a revision, and what to tell of it: the key is made, and published, when it is first needed."""
    import msgspec

    from concord.errors import RefusedError
    from concord.operations import sign

    if speaker is None:
        raise RefusedError("this node signs no log, and a repo is signed where its owner's log is")
    edition = passports.edition(repo, at, speaker)
    signed = sign.sign(node, shell.home, speaker, edition)
    body = msgspec.json.encode(signed.bundle)
    if publish:
        sign.publish(node, speaker, edition, body)
    return body, f"signature of {edition.name} at {at.oid}. The public key: concord blob get {signed.key} -o key.pem"
