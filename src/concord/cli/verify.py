"""Checking: a home, a repo of it, or files that somebody downloaded, with or without a node."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from concord.cli.shell import Shell, printable, read_file

if TYPE_CHECKING:
    from concord.ledger.progress import Progress
    from concord.operations.receipts import Checked
    from concord.operations.verify import Finding
    from concord.pillars.commons.receipt import Trust

NOTHING: Mapping[str, object] = MappingProxyType({})
NAMED_MAX = 10  # files that are named in words; JSON has them all
TARGET = "A folder with receipts, or a repo of the home (ns/name, datasets/ns/name). Without it, the home."


def verify(
    shell: Shell,
    target: Annotated[str | None, typer.Argument(metavar="[DIR|REPO]", help=TARGET)] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every entry, blob and chunk, and compute the view anew.")] = False,  # noqa: FBT002
    policy: Annotated[
        list[Path],
        typer.Option("--policy", metavar="P", help="Whom to trust: a file by `concord log policy`; one a member."),
    ] = [],  # noqa: B006  typer copies it
    whole: Annotated[bool, typer.Option("--whole", help="A file that a folder lacks is wrong, too.")] = False,  # noqa: FBT002
    set_aside: Annotated[bool, typer.Option("--set-aside", help="Set damaged xorbs aside, so that they can come again.")] = False,  # noqa: FBT002
    kind: Annotated[str | None, typer.Option("--type", metavar="KIND", help="TARGET is a repo: model, dataset or space.")] = None,
) -> None:
    """Check that what is held is what was signed: by the home, of one repo, or in a folder of files that were downloaded."""
    if target is not None and kind is None and (policy or target.startswith(("/", ".")) or Path(target).is_dir()):
        _verify_folder(shell, Path(target), policy, whole=whole)
    elif target is not None:
        _verify_repo(shell, target, kind, deep=deep)
    else:
        _verify_home(shell, deep=deep, set_aside=set_aside)


def _verify_home(shell: Shell, *, deep: bool, set_aside: bool) -> None:
    from concord.home import open_home
    from concord.operations.verify import verify as check
    from concord.xet.kernel import kernel

    node = open_home(shell.home)
    if kernel().name != "compiled":
        shell.note("native.c was not compiled when Concord was installed: large files are cut by numpy, ten times as slowly")
    _tell(shell, lambda progress: check(node, deep=deep, set_aside=set_aside, progress=progress), {"kernel": kernel().name})


def _verify_repo(shell: Shell, name: str, kind: str | None, *, deep: bool) -> None:
    from concord.cli.commons import find
    from concord.operations.verify import verify_repo
    from concord.shelf import Reader

    shelf = Reader(shell.node())
    repo = find(shell, shelf, name, kind)
    _tell(shell, lambda progress: verify_repo(shelf, repo, deep=deep, progress=progress))


def _tell(shell: Shell, check: "Callable[[Progress], Iterable[Finding]]", more: Mapping[str, object] = NOTHING) -> None:
    """Tell findings as they come, and `more` in JSON, and end with status 1 if any is wrong."""
    findings = []
    with shell.progress("checking") as progress:
        for finding in check(progress):
            findings.append(finding)
            if finding.wrong:
                shell.note(f"{finding.what}: {finding.wrong}")
    wrong = [finding for finding in findings if finding.wrong]
    rows = [{"what": finding.what, "wrong": finding.wrong} for finding in findings]
    text = f"{len(findings)} checks, {len(wrong)} wrong" if wrong else f"{len(findings)} checks, nothing wrong"
    shell.result({"ok": not wrong, "findings": rows, **more}, text)
    if wrong:
        raise typer.Exit(1)


def _verify_folder(shell: Shell, folder: Path, policy: Sequence[Path], *, whole: bool) -> None:
    from concord.operations.receipts import check

    trusted = _trusted(shell, policy)
    good, rows = True, []
    with shell.progress("checking") as progress:
        for checked in check(folder, trusted, progress):
            lacking = checked.compared.missing if whole and checked.compared else ()
            wrong = [*checked.wrong, *(f"{path} is missing" for path in lacking)]
            good = good and not wrong
            rows.append(_row(checked, wrong))
            for words in wrong:
                shell.note(f"{checked.folder}: {words}")
            if not shell.json:
                print(printable("\n".join(_words(checked, wrong))))
    if shell.json:
        shell.result({"ok": good, "snapshots": rows})
    if not good:
        raise typer.Exit(1)


def _trusted(shell: Shell, policy: Sequence[Path]) -> "Trust":
    """Whom to trust about each log: what the file that names it says, or the node in the home."""
    from concord.errors import SettingsError
    from concord.home import is_empty
    from concord.tlog import policy as policies

    if policy:
        read = [policies.parse(read_file(path, policies.POLICY_SIZE_MAX)) for path in policy]
        return lambda origin: next((each for each in read if any(key.name == origin for key in each.logs)), read[0])
    if is_empty(shell.home):
        raise SettingsError(
            "whom to trust? There is no node here to know. Give a policy with --policy: `concord log policy MEMBER -o FILE` "
            "writes one on a node that you trust"
        )
    return shell.node().policy


def _row(checked: "Checked", wrong: list[str]) -> dict[str, object]:
    row: dict[str, object] = {"folder": str(checked.folder), "commit": checked.oid, "wrong": wrong}
    if checked.snapshot is not None and checked.compared is not None:
        commit, compared = checked.snapshot.commit, checked.compared
        row |= {
            "type": commit.repo.kind,
            "owner": commit.repo.owner,
            "name": commit.repo.name,
            "ref": commit.ref,
            "by": commit.by,
            "cosigners": [{"name": seen.key.name, "time": seen.time} for seen in checked.snapshot.accepted.cosigned],
            "good": compared.good,
            "size": compared.size,
            "missing": list(compared.missing),
            "extra": list(compared.extra),
        }
    return row


def _words(checked: "Checked", wrong: list[str]) -> Iterator[str]:
    """What holds of a snapshot, in words."""
    from concord.ledger.identity import label
    from concord.tlog.policy import tally

    if checked.snapshot is None or checked.compared is None:
        yield f"{checked.folder}: nothing is proved" if wrong else f"{checked.folder}: no receipt, and not checked"
        return
    commit, compared = checked.snapshot.commit, checked.compared
    cosigned, counted = tally(checked.snapshot.policy, checked.snapshot.accepted)
    yield (
        f"{checked.folder}: {_count(compared.good)} those of commit {checked.oid[:12]} of the {commit.repo.kind} "
        f"{label(commit.repo.owner)}/{commit.repo.name}, by {label(commit.by)}, "
        + (f"cosigned by {cosigned} of {counted}" if counted else "whose policy asks for no cosignature")
    )
    if commit.by != commit.repo.owner:
        yield "  the commit was proposed, and is not the owner's"
    if compared.missing:
        yield f"  not here: {_named(compared.missing)}"
    if compared.extra:
        yield f"  not of the commit: {_named(compared.extra)}"
    if wrong:
        yield f"  wrong: {len(wrong)}"


def _count(files: int) -> str:
    return "1 file is" if files == 1 else f"{files} files are"


def _named(paths: tuple[str, ...]) -> str:
    from concord.cli.shell import one_line

    named = ", ".join(one_line(path) for path in paths[:NAMED_MAX])
    return named if len(paths) <= NAMED_MAX else f"{named} and {len(paths) - NAMED_MAX} more"
