"""What is asked at the Hub door: by whom, of which repo and revision, and under which address this node was reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from concord.edges import access
from concord.edges.hub.clones import Clones
from concord.edges.hub.failures import GatedError, GatedSignInError, NoRepoError, NoRevisionError
from concord.edges.hub.outline import Outlines
from concord.edges.hub.readings import Readings
from concord.edges.hub.tickets import Turns
from concord.errors import MalformedError, MissingError, RefusedError, SignInError, StorageError
from concord.ledger.identity import label
from concord.ledger.pillar import Role
from concord.measuring import Measures
from concord.node import Node
from concord.passports import Passports
from concord.pillars.commons import Repo, RepoId, Revision
from concord.pillars.commons.records import KINDS, PREFIXES, Kind
from concord.private.people import Speaker
from concord.shelf import Courier, Shelf

TURNS = 16  # questions of a ticket that are answered with what landed: many files are begun at once, and answers get lost

Shape = TypeVar("Shape")


class Hub:
    """A node as the Hub door has it."""

    def __init__(self, node: Node, courier: Courier | None = None, measures: Measures | None = None) -> None:
        self.node = node
        self.shelf = Shelf(node, courier)
        self.measures = measures or Measures(self.shelf)
        self.content = self.shelf.content
        self.passports = Passports(self.shelf)
        self.outlines = Outlines()
        self.clones = Clones(self.shelf)
        self.readings = Readings(self.shelf)
        self.turns = Turns(TURNS)

    def namespace(self, origin: str) -> str:
        """The first half of the ids of a member's repos."""
        seat = self.node.roster().seats.get(origin)
        return seat.id if seat else label(origin)

    def namer(self) -> Callable[[RepoId], str]:
        """What clients write, for many repos: by a roster that is computed once."""
        seats = self.node.roster().seats
        return lambda repo: f"{seats[repo.owner].id if repo.owner in seats else label(repo.owner)}/{repo.name}"

    def name(self, repo: RepoId) -> str:
        """The id of a repo, as clients write it."""
        return f"{self.namespace(repo.owner)}/{repo.name}"

    def person(self, origin: str, person: str) -> str:
        """A person, as clients are told."""
        return f"{person}@{self.namespace(origin)}"


@dataclass(frozen=True)
class Ask:
    """One request. `words` are the parts of its path, decoded; `body` is empty where the handler takes it as it comes."""

    hub: Hub
    request: Request
    words: Mapping[str, str]
    body: bytes = b""

    @property
    def base(self) -> str:
        """The address of this node: as it is set, or as the request names it."""
        url = self.hub.node.settings.url.rstrip("/")
        if url:
            return url
        forwarded = self.request.headers.get("x-forwarded-proto", "") if self.hub.node.settings.proxies else ""
        scheme = forwarded if forwarded in ("http", "https") else self.request.url.scheme
        return f"{scheme}://{self.request.headers.get('host', 'localhost')}"

    def query(self, name: str) -> str | None:
        """A parameter of the query."""
        return self.request.query_params.get(name)

    def flag(self, name: str) -> bool:
        """Whether a parameter of the query is on."""
        return (self.query(name) or "").lower() in ("1", "true", "yes", "on")

    def several(self, name: str) -> list[str]:
        """All values of a parameter, which clients repeat, or write with brackets, or with commas between."""
        found = [*self.request.query_params.getlist(name), *self.request.query_params.getlist(f"{name}[]")]
        return [part for value in found for part in value.split(",") if part]

    def json(self, kind: type[Shape]) -> Shape:
        """The body, as JSON of this shape. MalformedError if it is something else."""
        try:
            return msgspec.json.decode(self.body or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise MalformedError(f"a body that is not as expected: {e}") from e

    # Who

    def asker(self) -> Speaker | None:
        """Who asks, if that was said."""
        return access.bearer(self.hub.node, self.request)

    def speaker(self) -> Speaker:
        """The same. SignInError if it was not said."""
        return access.required(self.hub.node, self.request)

    def publisher(self) -> Speaker:
        """The same, who may say something of repos. RefusedError if not."""
        speaker = self.speaker()
        if not speaker.may(Role.PUBLISHER):
            raise RefusedError(f"this needs the role publisher, and a token that extends to it; {speaker.person} has not both")
        return speaker

    # What

    def repo(self, asker: Speaker | None) -> Repo:
        """The repo that the path names. NoRepoError if there is none that `asker` may see."""
        kind = KINDS[self.words.get("type", "models")]
        return self.named(kind, f"{self.words['ns']}/{self.words['name']}", asker)

    def named(self, kind: Kind, name: str, asker: Speaker | None) -> Repo:
        """The repo of this kind that clients call `name`. NoRepoError likewise."""
        namespace, _, rest = name.rpartition("/")
        try:
            return self.hub.shelf.find(self.hub.shelf.repo_id(kind, namespace, rest), asker)
        except (MissingError, msgspec.ValidationError) as e:
            raise NoRepoError(f"there is no {kind} {name[:200]} here, or none that you may see") from e

    def served(self, asker: Speaker | None, repo: Repo | None = None) -> Repo:
        """The repo that the path names, or `repo`, if its files are for `asker` to have. GatedError if they are not."""
        repo = repo or self.repo(asker)
        if self.hub.shelf.may_read(repo, asker):
            return repo
        if asker is None:
            raise GatedSignInError("this repo is given to those who ask for it: sign in first")
        raise GatedError(f"this repo is given to those who ask for it: POST {self.base}{self.address(repo)}/ask-access")

    def served_to_git(self) -> Repo:
        """The repo that the path names. SignInError if there is none and nobody said who asks: only then git and git-lfs say it."""
        asker = self.asker()
        try:
            return self.served(asker)
        except NoRepoError as e:
            if asker is None:
                raise SignInError("there is no such repo for those who are not signed in") from e
            raise

    def own(self) -> tuple[Speaker, Repo]:
        """Who asks and the repo, of which that must be a publisher. RefusedError if not."""
        speaker = self.publisher()
        repo = self.repo(speaker)
        if speaker.origin != repo.id.owner:
            raise RefusedError(f"this is for a publisher of {self.hub.namespace(repo.id.owner)}")
        return speaker, repo

    def need(self, size: int, least: int | None = None) -> None:
        """StorageError if large files of `size` bytes are to come, and there is no room for `least` of these, or for all."""
        room = self.hub.content.room()
        if (size if least is None else min(size, least)) > room:
            raise StorageError(
                f"the disk of this node is full: {size / 1e6:,.1f} MB are to come, and {room / 1e6:,.1f} MB are left for large "
                "files. Whoever runs the node can free some space. Nothing that was acknowledged is lost"
            )

    def revision(self, repo: Repo, name: str | None = None) -> Revision:
        """The revision that the path names, or `name`. NoRevisionError if there is none."""
        wanted = name if name is not None else self.words.get("rev", "main")
        try:
            return repo.find(wanted)
        except MissingError as e:
            raise NoRevisionError(f"{repo.id.name} has no revision {wanted[:200]!r}") from e

    def address(self, repo: Repo) -> str:
        """The path of a repo on this node."""
        return f"/{PREFIXES[repo.id.kind]}{quote(self.hub.name(repo.id))}"

    def provenance(self, revision: Revision) -> dict[str, str]:
        """The header that leads to the receipt of a commit; a private one has none."""
        if revision.index is None:
            return {}
        member = quote(self.hub.namespace(revision.commit.by))
        return {"Link": f'<{self.base}/api/v1/records/{member}/{revision.index}/proof>; rel="provenance"'}


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON."""
    return Response(msgspec.json.encode(value), status, dict(headers or {}), media_type="application/json")
