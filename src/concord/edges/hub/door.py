"""The routes of the Hub door: one table, tried in its order against the path as it was sent."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from concord.edges import bodies
from concord.edges.hub import cas, collections, commits, copies, files, git, lfs, people, refs, repos, search, talk
from concord.edges.hub.asking import Ask, Hub
from concord.edges.hub.failures import AbsentError, NoRepoError
from concord.xet.xorb import STORED_MAX

BODY_MAX = 8 << 20  # bytes of a body that is read whole
Handler = Callable[[Ask], Response]
Taker = Callable[[Ask, Iterator[bytes]], Response]


@dataclass(frozen=True)
class Operation:
    """One thing that clients ask. A `{name}` in `path` is one segment, `{name*}` all that is left.

    `handler` has the body in its `Ask`; `taker` gets it as it comes, up to `most` bytes.
    """

    methods: str
    path: str
    handler: Handler | None = None
    taker: Taker | None = None
    most: int = BODY_MAX
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spelled = re.sub(r"\\\{(\w+)\\\*\\\}", r"(?P<\1>.*)", re.escape(self.path))
        spelled = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+?)", spelled)
        spelled = spelled.replace("(?P<type>[^/]+?)", "(?P<type>models|datasets|spaces)")
        object.__setattr__(self, "pattern", re.compile(spelled + r"\Z"))


def not_here(words: str = "Concord does not have this part of the Hub") -> Handler:
    """What the Hub has and Concord does not: why, or what to do in its place."""

    def absent(_: Ask) -> Response:
        raise AbsentError(words)

    return absent


def no_repo(ask: Ask) -> Response:
    """A repo whose id is one word: here every repo is a member's."""
    raise NoRepoError(f"there is no repo {ask.words['name'][:200]} here: ids are member/name")


def nothing(_: Ask) -> Response:
    """What need not be answered."""
    return Response(status_code=204)


_RUNS = "spaces are kept here as code, and do not run"
_SERVES = "no node of Concord runs models for others"
UNSAID = (
    "what a commit put can be asked for by the commit's name for good, and a log is not rewritten. Delete the repo to take all "
    "of it out of the commons (its bytes are cleared away then), or squash its history to let a branch begin anew without the file"
)
SAID = "what was said in a discussion stands in a log, and is neither edited nor hidden: say what is to be said in another comment"
GATHERED = "what a member gathered stands in its log: take the repos out of the community, or say in its title that it is over"
PICTURES = "pictures are files of a repo here: commit them there, and name them in your words"
OF_SPACES = {
    "semantic-search": "spaces are found by words here: GET /api/spaces?search=",
    "templates": "there are no templates of spaces here",
    "hardware": _RUNS,
    "zero-gpu/quota": _RUNS,
}
ABSENT = {  # what the Hub has besides, by the beginning of its address, and what is to be said of it
    **dict.fromkeys(("jobs", "scheduled-jobs"), "no node of Concord runs jobs"),
    "buckets": "Concord has no buckets: files belong to repos",
    "collections": "members gather repos in communities here: /commons/communities, for programs /api/v1/commons/communities",
    **dict.fromkeys(("papers", "daily_papers"), "Concord keeps no list of papers: a card names them"),
    "settings": "there are no webhooks or other settings by program here: what is yours to set is on your page, /account",
    "kernels": "Concord has models, datasets and spaces, and no kernels",
    **dict.fromkeys(("inference", "inference-providers", "partners"), _SERVES),
    "spaces": _RUNS,
    **dict.fromkeys(("models", "datasets"), "Concord does not have this part of the Hub"),
    **dict.fromkeys(("users", "organizations"), "nobody follows anybody here"),
    "resource-groups": "there are no groups of repos within a member here",
}

_REPO = "/api/{type}/{ns}/{name}"
_COLLECTION = "/api/collections/{ns}/{name}"
_PAGE = ("/{ns}/{name}", "/{type}/{ns}/{name}")
_GIT = (".git", "")

OPERATIONS: tuple[Operation, ...] = (
    # Who
    Operation("GET", "/api/whoami-v2", people.whoami),
    Operation("GET", "/api/users/{user}/likes", people.likes),
    Operation("GET", "/api/users/{user}/overview", people.overview),
    Operation("GET", "/api/organizations/{user}/overview", people.organization),
    Operation("GET", "/api/organizations/{user}/members", people.members),
    Operation("GET", "/api/organizations/{user}/settings/repositories", people.storage),
    Operation("GET", "/api/settings/repositories", people.storage),
    Operation("POST", "/api/telemetry/{rest*}", nothing),
    Operation("GET", "/api/telemetry/{rest*}", nothing),
    Operation("POST", "/api/validate-yaml", commits.validate),
    # Repos
    Operation("POST", "/api/repos/create", repos.create),
    Operation("DELETE", "/api/repos/delete", repos.delete),
    Operation("POST", "/api/repos/move", repos.move),
    *(Operation("GET", f"/api/spaces/{what}", not_here(words)) for what, words in OF_SPACES.items()),
    Operation("GET", "/api/models-tags-by-type", search.tags),
    Operation("GET", "/api/datasets-tags-by-type", search.tags),
    Operation("GET", "/api/{type}", search.listing),
    Operation("PUT", f"{_REPO}/settings", repos.settings),
    Operation("GET", f"{_REPO}/auth-check", repos.auth_check),
    Operation("GET", f"{_REPO}/auth-check/write", repos.auth_check_write),
    Operation("POST", f"{_REPO}/duplicate", copies.duplicate),
    Operation("POST", f"{_REPO}/like", repos.like),
    Operation("DELETE", f"{_REPO}/like", repos.unlike),
    Operation("GET", f"{_REPO}/likers", repos.likers),
    Operation("GET", "/api/datasets/{ns}/{name}/croissant", repos.croissant),
    Operation("POST", f"{_REPO}/user-access-request/handle", repos.handle_access),
    Operation("POST", f"{_REPO}/user-access-request/grant", repos.grant_access),
    Operation("GET", f"{_REPO}/user-access-request/{{status}}", repos.access_requests),
    *(Operation("POST", f"{page}/ask-access", repos.ask_access) for page in _PAGE),
    # Collections, which are communities here
    Operation("GET", "/api/collections", collections.listing),
    Operation("POST", "/api/collections", collections.create),
    Operation("GET", _COLLECTION, collections.one),
    Operation("PATCH", _COLLECTION, collections.update),
    Operation("DELETE", _COLLECTION, not_here(GATHERED)),
    Operation("POST", f"{_COLLECTION}/items", collections.add),
    Operation("DELETE", f"{_COLLECTION}/items/{{item}}", collections.remove),
    Operation("PATCH", f"{_COLLECTION}/items/{{item}}", not_here(collections.ONLY_REPOS)),
    Operation("GET", "/collections/{ns}/{name}", collections.page_of),
    # Refs and commits
    Operation("GET", f"{_REPO}/refs", refs.refs),
    Operation("POST", f"{_REPO}/branch/{{branch}}", refs.create_branch),
    Operation("DELETE", f"{_REPO}/branch/{{branch}}", refs.delete_branch),
    Operation("POST", f"{_REPO}/tag/{{rev}}", refs.create_tag),
    Operation("DELETE", f"{_REPO}/tag/{{rev}}", refs.delete_tag),
    Operation("GET", f"{_REPO}/commits/{{rev}}", refs.history),
    Operation("POST", f"{_REPO}/super-squash/{{rev}}", refs.squash),
    Operation("POST", f"{_REPO}/preupload/{{rev}}", commits.preupload),
    Operation("POST", f"{_REPO}/commit/{{rev}}", taker=commits.commit, most=commits.COMMIT_MAX),
    # Files
    Operation("GET", f"{_REPO}/tree/{{rev}}", files.tree),
    Operation("GET", f"{_REPO}/tree/{{rev}}/{{path*}}", files.tree),
    Operation("POST", f"{_REPO}/paths-info/{{rev}}", files.paths_info),
    Operation("GET", f"{_REPO}/safetensors-metadata/{{path*}}", files.safetensors),
    *(Operation("GET", f"{page}/{how}/{{rev}}/{{path*}}", files.resolve) for page in _PAGE for how in ("resolve", "raw")),
    Operation("GET", "/{name}/resolve/{rev}/{path*}", no_repo),
    # Large files
    *(Operation("POST", f"{page}.git/info/lfs/objects/batch", lfs.batch) for page in _PAGE),
    Operation("POST", "/lfs/verify/{ticket}", lfs.verify),
    Operation("PUT", "/lfs/upload/{ticket}", taker=lfs.upload, most=lfs.SIZE_MAX),
    Operation("PUT", "/lfs/part/{ticket}", taker=lfs.part, most=lfs.SIZE_MAX),
    Operation("POST", "/lfs/upload/{ticket}", lfs.complete),
    Operation("GET", "/lfs/download/{ticket}", lfs.download),
    Operation("POST", f"{_REPO}/lfs-files/duplicate", lfs.duplicate),
    Operation("GET", f"{_REPO}/lfs-files", copies.large_files),
    Operation("POST", f"{_REPO}/lfs-files/batch", not_here(UNSAID)),
    Operation("DELETE", f"{_REPO}/lfs-files/{{sha}}", not_here(UNSAID)),
    # Git
    *(Operation("GET", f"{page}{end}/info/refs", git.info) for page in _PAGE for end in _GIT),
    *(Operation("POST", f"{page}{end}/git-upload-pack", git.upload_pack) for page in _PAGE for end in _GIT),
    *(Operation("POST", f"{page}{end}/git-receive-pack", git.push) for page in _PAGE for end in _GIT),
    # Chunk by chunk
    Operation("GET", f"{_REPO}/xet-read-token/{{rev}}", cas.read_token),
    Operation("GET", f"{_REPO}/xet-write-token/{{rev}}", cas.write_token),
    Operation("POST", "/cas/v1/xorbs/default/{hash}", taker=cas.put_xorb, most=STORED_MAX),
    Operation("POST", "/cas/v1/shards", cas.put_shard, most=cas.SHARD_MAX),
    Operation("GET", "/cas/v1/reconstructions/{hash}", cas.reconstruction),
    Operation("GET", "/cas/v1/chunks/default-merkledb/{hash}", cas.chunk),
    Operation("GET", "/cas/v1/chunks/default/{hash}", cas.chunk),  # what hf_xet asks since 1.8
    Operation("GET", "/cas/xorbs/{ticket}", cas.xorb),
    Operation("POST", "/cas/v1/telemetry", nothing),
    # Discussions
    Operation("GET", f"{_REPO}/discussions", talk.listing),
    Operation("POST", f"{_REPO}/discussions", talk.begin),
    Operation("GET", f"{_REPO}/discussions/{{number}}", talk.details),
    Operation("POST", f"{_REPO}/discussions/{{number}}/comment", talk.comment),
    *(Operation("POST", f"{_REPO}/discussions/{{number}}/comment/{{id}}/{what}", not_here(SAID)) for what in ("edit", "hide")),
    Operation("POST", f"{_REPO}/discussions/{{number}}/status", talk.status),
    Operation("POST", f"{_REPO}/discussions/{{number}}/title", talk.title),
    Operation("POST", f"{_REPO}/discussions/{{number}}/merge", talk.merge),
    # Info, last of what begins with a repo, because what comes before is longer
    Operation("GET", f"{_REPO}/revision/{{rev}}", repos.info),
    Operation("GET", _REPO, repos.info),
    Operation("GET", "/api/{type}/{name}", no_repo),
    *(Operation("GET POST", f"/api/{{type}}/{{name}}/{what}/{{rest*}}", no_repo) for what in ("tree", "revision", "paths-info")),
    *(Operation("GET POST", f"/api/{{type}}/{{name}}/{what}/{{rest*}}", no_repo) for what in ("commits", "commit", "preupload")),
    # What the Hub has besides
    Operation("GET", "/papers/{paper}.md", not_here(ABSENT["papers"])),
    Operation("GET POST", "/buckets/{rest*}", not_here(ABSENT["buckets"])),
    Operation("POST", "/uploads", not_here(PICTURES)),
    *(
        Operation("GET POST PUT PATCH DELETE", f"/api/{what}{rest}", not_here(words))
        for what, words in ABSENT.items()
        for rest in ("", "/{rest*}")
    ),
)


class Door(BaseRoute):
    """The whole table as one route."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the Hub is asked for anything."""
        return (Match.FULL, {}) if asked(scope) else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        request = Request(scope, receive)
        found = _find(scope)
        assert found is not None
        response = await self._answer(request, *found)
        await response(scope, receive, send)

    async def _answer(self, request: Request, operation: Operation, words: dict[str, str]) -> Response:
        if operation.taker is not None:
            take, ask = operation.taker, Ask(self._hub, request, words)
            return await bodies.taken(request, operation.most, lambda body: take(ask, body))
        assert operation.handler is not None
        body = b"" if request.method in ("GET", "HEAD") else await bodies.whole(request, operation.most)
        return await run_in_threadpool(operation.handler, Ask(self._hub, request, words, body))


def asked(scope: Scope) -> bool:
    """Whether a request is for this door."""
    return scope["type"] == "http" and _find(scope) is not None


def _find(scope: Scope) -> tuple[Operation, dict[str, str]] | None:
    """What is asked, and the parts of the path, decoded."""
    path = scope.get("raw_path", b"").decode("latin-1")
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    for operation in OPERATIONS:
        if method in operation.methods.split() and (match := operation.pattern.match(path)):
            return operation, {name: _decoded(value) for name, value in match.groupdict().items()}
    return None


def _decoded(part: str) -> str:
    """A part of a path as it is meant. What is no UTF-8 keeps marks that no name has."""
    return unquote_to_bytes(part).decode(errors="replace")
