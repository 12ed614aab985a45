"""The commons: what members share. Search it, look at a repo, clear away what nobody needs."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from concord.cli.shell import Shell, command, one_line, printable, when

if TYPE_CHECKING:
    from concord.node import Node
    from concord.pillars.commons import Repo
    from concord.pillars.commons.search import Entry
    from concord.private.people import Speaker
    from concord.shelf import Reader

app = typer.Typer(help="The commons: models, datasets and code that members share.", no_args_is_help=True)

RepoArgument = Annotated[str, typer.Argument(metavar="REPO", help="ns/name, datasets/ns/name or spaces/ns/name.")]
KindOption = Annotated[str | None, typer.Option("--type", metavar="KIND", help="model, dataset or space.")]
MemberOption = Annotated[str | None, typer.Option("--member", metavar="ORIGIN", help="Only of this member.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]
COLUMNS = ["type", "repo", "license", "task", "languages", "changed", "likes"]
COMMITS_SHOWN = 5
FILES_SHOWN = 20
CARD_SHOWN = 2000  # characters of a card
_SAID = (("task", "task"), ("library", "library"), ("languages", "languages"), ("built on", "base"), ("access", "access"))


@command(app, "search")
def search(
    shell: Shell,
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="In any script; each must be found.")],
    kind: KindOption = None,
    task: Annotated[str | None, typer.Option(help="Such as automatic-speech-recognition.")] = None,
    language: Annotated[str | None, typer.Option(help="A BCP 47 tag, such as sw.")] = None,
    licence: Annotated[str | None, typer.Option("--license", metavar="SPDX", help="As cards name it, such as apache-2.0.")] = None,
    member: MemberOption = None,
    sort: Annotated[str, typer.Option(help="fit, changed, likes or name.")] = "fit",
    limit: LimitOption = 20,
) -> None:
    """Repos whose name, title, tags or card have these words; those of others too, and our own private ones."""
    node = shell.node()
    facets = {"kind": _kind(kind), "task": task, "language": language, "license": licence.lower() if licence else None}
    _list(shell, node, " ".join(words), {name: value for name, value in facets.items() if value}, member, sort, limit)


@command(app, "list")
def list_(shell: Shell, kind: KindOption = None, member: MemberOption = None, limit: LimitOption = 100) -> None:
    """All repos, those first that changed last."""
    found = _kind(kind)
    _list(shell, shell.node(), "", {"kind": found} if found else {}, member, "changed", limit)


@command(app, "show")
def show(
    shell: Shell,
    repo: RepoArgument,
    revision: Annotated[str, typer.Option(help="A branch, tag or commit.")] = "main",
    kind: KindOption = None,
) -> None:
    """A repo: its card, licence and openness, files and whether they are here, last commits, and where it comes from."""
    from concord.operations.describe import describe
    from concord.shelf import Reader

    shelf = Reader(shell.node())
    told = describe(shelf, find(shell, shelf, repo, kind), revision)
    shell.result(told, "\n".join(_words(told)))


@command(app, "gc")
def gc(
    shell: Shell,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and let it be.")] = False,  # noqa: FBT002
    older_than: Annotated[int, typer.Option(metavar="HOURS", min=7, help="What came later stays: it may be an upload.")] = 72,
) -> None:
    """Clear away the bytes of files that no repo has, no hold keeps, and no upload under way may need."""
    from concord.operations.garbage import collect

    node = shell.node()
    with shell.progress("looking at") as progress:
        found = collect(node, older_than * 3600, dry_run=dry_run, progress=progress)
    told = {
        "files": list(found.files),
        "xorbs": list(found.xorbs),
        "bytes": found.size,
        "kept": list(found.kept),
        "dry_run": dry_run,
    }
    lines = [*(f"file {digest}" for digest in found.files), *(f"xorb {name}" for name in found.xorbs)] if dry_run else []
    verb = "would go" if dry_run else "went"
    lines.append(f"{len(found.files)} files and {len(found.xorbs)} xorbs {verb}, {found.size} bytes")
    shell.result(told, "\n".join(lines))
    for words in found.kept:
        shell.note(words)


def find(shell: Shell, shelf: "Reader", name: str, kind: str | None = None) -> "Repo":
    """The repo that is called so, for whoever sits at the machine. MissingError if there is none."""
    from concord.pillars.commons import RepoId

    kind_, namespace, short = split(name, kind)
    owner = shell.origin(shelf.node, namespace) if namespace else shell.admin(shelf.node).origin
    return shelf.find(RepoId(owner=owner, kind=kind_, name=short), asker(shell, shelf.node, owner))


def split(name: str, kind: str | None) -> tuple[Any, str, str]:
    """Kind, namespace (may be empty) and name of a repo as it is written. MalformedError if it is none."""
    from concord.errors import MalformedError
    from concord.pillars.commons.records import KINDS

    first, _, rest = name.partition("/")
    said, wanted = KINDS.get(first) if rest else None, _kind(kind)
    if said is not None and wanted not in (None, said):
        raise MalformedError(f"{name[:100]} is no {wanted}")
    namespace, slash, short = (rest if said else name).rpartition("/")
    if not short or bool(slash) != bool(namespace):
        raise MalformedError(f"{name[:100]!r} is no repo: say ns/name, datasets/ns/name or spaces/ns/name")
    return said or wanted or "model", namespace, short


def asker(shell: Shell, node: "Node", owner: str) -> "Speaker | None":
    """Whoever sits at the machine, who may see what the members of this node see."""
    hosted = node.holdings.hosted()
    if not hosted:
        return None
    return replace(shell.admin(node), origin=owner if owner in hosted else hosted[0])


def _kind(kind: str | None) -> str | None:
    from concord.errors import MalformedError
    from concord.pillars.commons.records import KINDS

    if kind not in (None, *KINDS.values()):
        raise MalformedError(f"there is no type {kind!r}; there are model, dataset and space")
    return kind


def _list(shell: Shell, node: "Node", text: str, facets: dict[str, str], member: str | None, sort: str, limit: int) -> None:
    from concord.errors import MalformedError
    from concord.pillars.commons.search import SORTS, Question
    from concord.pillars.commons.search import search as look
    from concord.shelf import Reader

    if sort not in SORTS:
        raise MalformedError(f"there is no order {sort!r}; there are {', '.join(SORTS)}")
    if member is not None:
        facets["member"] = shell.origin(node, member)
    shelf, known = Reader(node), dict[Any, "Entry"]()
    for owner in node.holdings.hosted() or [""]:
        known |= {each.id: each for each in shelf.catalogue(asker(shell, node, owner))}
    found = look(known.values(), Question(text, facets, sort)).entries
    rows = [_row(each) for each in found[:limit]]
    if not shell.json:
        rows = [row | {"changed": when(row["changed"])} for row in rows]
    shell.table(rows, COLUMNS, "No repo fits." if text or facets else "No repos here yet.")
    if len(found) > limit:
        shell.note(f"{len(found) - limit} more: see --limit")


def _row(entry: "Entry") -> dict[str, Any]:
    from concord.ledger.identity import label

    card = entry.card
    return {
        "type": entry.id.kind,
        "repo": f"{label(entry.id.owner)}/{entry.id.name}",
        "owner": entry.id.owner,
        "title": card.title,
        "license": card.license,
        "task": card.task,
        "languages": list(card.languages),
        "tags": list(card.tags),
        "opened": entry.opened,
        "changed": entry.changed,
        "likes": entry.likes,
        "private": entry.private,
    }


def _words(told: dict[str, Any]) -> list[str]:
    """What is told of a repo, for a terminal."""
    openness, licence, asked, files = told["openness"], told["license"], told["discussions"], told["files"]
    lines = [one_line(f"{told['repo']} ({told['type']}{', private' if told['private'] else ''}) {told['title']}".rstrip())]
    lines.append(f"licence   {one_line(licence['said']) or 'none is named'}{_terms(licence)}")
    lines.append(f"openness  {_openness(openness)}")
    lines += [f"{name:9} {_line(told[key])}" for name, key in _SAID if told[key] and told[key] != "open"]
    lines.append(f"size      {told['size']} bytes in {len(files)} files, of which {told['size_here']} bytes are here")
    lines.append(f"talk      {asked['open']} discussions, {asked['pull_requests_open']} pull requests open; {told['likes']} likes")
    for each in told["commits"][:COMMITS_SHOWN]:
        lines.append(f"commit    {each['commit'][:12]} {when(each['at'])} {one_line(each['title'])}")
    lines.append(f"from      {_provenance(told['provenance'])}")
    for each in files[:FILES_SHOWN]:
        lines.append(f"{each['size']:>14}  {'' if each['here'] else '(not here) '}{one_line(each['path'])}")
    if len(files) > FILES_SHOWN:
        lines.append(f"{'':14}  and {len(files) - FILES_SHOWN} more: see --json")
    if told["card"]:
        lines += ["", printable(told["card"][:CARD_SHOWN]) + ("…" if len(told["card"]) > CARD_SHOWN else "")]
    return lines


def _line(value: Any) -> str:
    return one_line(", ".join(value) if isinstance(value, list) else str(value))


def _terms(licence: dict[str, Any]) -> str:
    if licence["id"] is None:
        return " (no identifier of the SPDX list that is known here)" if licence["said"] else ""
    return f" ({licence['name']}{', an open licence' if licence['open'] else ''})"


def _openness(openness: dict[str, Any]) -> str:
    reached = f"class {openness['class']} of the Model Openness Framework" if openness["class"] else "no class reached"
    if openness["next"] is None:
        return reached
    lacking = [*openness["missing"], *([] if openness["licensed"] else ["an open licence"])]
    return f"{reached}; for class {openness['next']} there lack {', '.join(lacking) or 'nothing'}"


def _provenance(found: dict[str, Any] | None) -> str:
    if found is None:
        return "no log: nobody else can check it"
    return f"entry {found['index']} of {found['log']}, {'well cosigned' if found['cosigned'] else 'not cosigned by enough yet'}"
