"""What may be said of repos: models, datasets and code that members publish, and what others say of them.

A repo belongs to the member in whose log it was opened. Only that member commits to its branches; everybody may discuss it,
propose commits to it (a pull request) and like it, each in the own member's log. Nothing here carries the bytes of a file:
a commit names them by digest.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from concord.ledger.record import Detached, Digest, Language, Line, Name, Origin, Part, Record, Ref, Text, says
from concord.pillars.commons.tree import FILES_MAX, File, Path

Kind = Literal["model", "dataset", "space"]
KINDS: dict[str, Kind] = {"models": "model", "datasets": "dataset", "spaces": "space"}  # by what they are called in an address
PLURALS: dict[Kind, str] = {kind: plural for plural, kind in KINDS.items()}
PREFIXES: dict[Kind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}  # of what repos are called
RepoName = Annotated[
    str,
    Meta(
        pattern=r"^(?!.*(--|\.\.))[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?\Z",
        description="the name of a repo, as on the Hub",
    ),
]
RefName = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=r"^(?!.*(//|\.\.|@\{|\.lock(/|\Z)|/\.))[A-Za-z0-9_][A-Za-z0-9._/+-]*(?<![./])\Z",
        description="the name of a branch or tag",
    ),
]
Gate = Literal["open", "auto", "manual"]
Status = Literal["open", "closed", "merged", "draft"]
Relation = Literal["", "finetune", "adapter", "merge", "quantized"]
Tag = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\n]+\Z")]

CHANGES_MAX = FILES_MAX  # files that one commit puts, or removes: a branch can begin anew with the whole of a tree


class RepoId(Part, frozen=True):
    """A repo: whose it is, of which kind, under which name."""

    owner: Origin
    kind: Kind
    name: RepoName


class Card(Part, frozen=True):
    """What the front matter of a README.md says, as far as lists and searches use it. The publisher's claims.

    `relation` is how it was made of `base` ("": not said).
    """

    license: Annotated[str, Meta(max_length=100)] = ""
    languages: Annotated[tuple[Language, ...], Meta(max_length=200)] = ()
    tags: Annotated[tuple[Tag, ...], Meta(max_length=100)] = ()
    task: Annotated[str, Meta(max_length=100)] = ""
    library: Annotated[str, Meta(max_length=100)] = ""
    base: Annotated[tuple[Tag, ...], Meta(max_length=20)] = ()
    relation: Relation = ""
    datasets: Annotated[tuple[Tag, ...], Meta(max_length=100)] = ()
    title: Annotated[str, Meta(max_length=300)] = ""


class Open(Record, frozen=True, tag="commons.open"):
    """The speaker opens a repo of its own, or opens one again that it closed."""

    SAYS: ClassVar[str] = says("opens the {kind} {name}")

    kind: Kind
    name: RepoName
    person: Name = "node"


class Configure(Record, frozen=True, tag="commons.configure"):
    """The speaker says how a repo of its own may be had: openly, or once access was asked for (`auto`) or given (`manual`)."""

    SAYS: ClassVar[str] = says("sets the {kind} {name} to {gate}")

    kind: Kind
    name: RepoName
    gate: Gate
    person: Name = "node"


class Move(Record, frozen=True, tag="commons.move"):
    """The speaker gives a repo of its own another name. Under the old one it is still found."""

    SAYS: ClassVar[str] = says("renames the {kind} {name} to {to}")

    kind: Kind
    name: RepoName
    to: RepoName
    person: Name = "node"


class Close(Record, frozen=True, tag="commons.close"):
    """The speaker takes a repo of its own out of the commons. What was said of it stays in the logs."""

    SAYS: ClassVar[str] = says("closes the {kind} {name}")

    kind: Kind
    name: RepoName
    person: Name = "node"


class Changes(Part, frozen=True):
    """What a commit changes: the files that it puts, and the paths that it removes, files or folders."""

    put: Annotated[tuple[File, ...], Meta(max_length=CHANGES_MAX)] = ()
    removed: Annotated[tuple[Path, ...], Meta(max_length=CHANGES_MAX)] = ()


class Commit(Record, frozen=True, tag="commons.commit"):
    """The speaker commits to a ref of a repo: to a branch of its own, or to a pull request that it made.

    `parent` is the commit before (none: the ref begins here), `tree` the digest of the whole tree afterwards
    (`concord.pillars.commons.tree`). What it changes stands in `changes`, or, if that is much, in the blob `listing`. `card` is
    what the README.md of the new tree says. `merges` names the last commit of a pull request that this one brings in.
    """

    SAYS: ClassVar[str] = says("commits to {repo[name]}: {title}")

    repo: RepoId
    ref: RefName
    tree: Digest
    title: Line
    parent: Ref | None = None
    changes: Changes = Changes()
    listing: Detached | None = None
    message: Text = ""
    card: Card = Card()
    merges: Ref | None = None
    person: Name = "node"


class Point(Record, frozen=True, tag="commons.point"):
    """The speaker lets a branch or tag of its own repo name a commit, or nothing any more."""

    SAYS: ClassVar[str] = says("points {ref} of {name} to another commit")

    kind: Kind
    name: RepoName
    what: Literal["branch", "tag"]
    ref: RefName
    target: Ref | None = None
    message: Text = ""
    person: Name = "node"


class Discussion(Record, frozen=True, tag="commons.discussion"):
    """The speaker begins a discussion of a repo, or, with `pull`, proposes commits to its branch `onto`."""

    SAYS: ClassVar[str] = says("on {repo[name]}: {title}")

    repo: RepoId
    title: Line
    text: Text = ""
    pull: bool = False
    onto: RefName = "main"
    person: Name = "node"


class Comment(Record, frozen=True, tag="commons.comment"):
    """The speaker answers in a discussion."""

    SAYS: ClassVar[str] = says("answers in a discussion: {text}")

    discussion: Ref
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    person: Name = "node"


class Settle(Record, frozen=True, tag="commons.settle"):
    """The speaker closes, opens again or retitles a discussion. It counts if the repo or the discussion is the speaker's."""

    SAYS: ClassVar[str] = says("sets a discussion to {status}")

    discussion: Ref
    status: Status
    title: Annotated[str, Meta(max_length=300)] = ""
    text: Text = ""
    person: Name = "node"


class Like(Record, frozen=True, tag="commons.like"):
    """A person of the speaker likes a repo, or no longer does."""

    SAYS: ClassVar[str] = says("likes {repo[name]}")

    repo: RepoId
    person: Name
    liked: bool = True


class Community(Record, frozen=True, tag="commons.community"):
    """The speaker gathers repos of several members under one name and purpose. The last statement stands, whole."""

    SAYS: ClassVar[str] = says("gathers the community {title}")

    name: Name
    title: Line
    about: Text = ""
    repos: Annotated[tuple[RepoId, ...], Meta(max_length=200)] = ()
    person: Name = "node"
