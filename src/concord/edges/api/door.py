"""The routes of the JSON API, and the OpenAPI description that is made from them."""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import to_builtins
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import concord
from concord import reading
from concord.edges import access, bodies
from concord.edges.api.commons import Commons
from concord.edges.api.shapes import (
    CommunityShape,
    ErrorShape,
    LogShape,
    MeShape,
    NamedRepoShape,
    OrganisationShape,
    PassportShape,
    RecordShape,
    RecordsShape,
    SaidShape,
    SayShape,
    SeatShape,
    Shape,
    TypeShape,
    WholeCommunityShape,
    WholeRecordShape,
)
from concord.errors import MalformedError, MissingError
from concord.ledger.record import tag
from concord.ledger.statements import LEDGER
from concord.ledger.view import State
from concord.node import PILLARS, Node, kind_of
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.records import KINDS
from concord.pillars.commons.view import Gathering
from concord.reading import Filter, Found, Place
from concord.tlog.spelling import base64, decimal

BASE = "/api/v1"
BODY_MAX = 128 * 1024  # bytes: a record of 65,535 bytes, spelled with escapes
LIMIT_MAX = 500
PARAMETERS: dict[str, dict[str, Any]] = {
    "member": {"type": "string", "minLength": 1, "description": "an id or an origin"},
    "type": {"type": "string", "description": "a record type; empty: records that nobody can read"},
    "kinds": {"enum": list(KINDS)},
    "revision": {"type": "string", "description": "a branch, a tag or a commit; otherwise main"},
    "index": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
    "name": {"type": "string", "minLength": 1, "description": "what the member calls it"},
    "limit": {"type": "integer", "minimum": 0, "maximum": LIMIT_MAX},
    "after": {
        "type": "string",
        "pattern": r"^(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})\.[!-~]+$",
        "description": "where the page before ended, word for word",
    },
}


@dataclass(frozen=True)
class Operation:
    """One thing that a program may ask. `answers` is a shape, a list of one, or None for plain text.

    `token`: it needs one; `private`: with one, it tells what is not public.
    """

    method: str
    path: str
    name: str
    about: str
    answers: Any
    takes: type[Shape] | None = None
    query: tuple[str, ...] = ()
    token: bool = False
    private: bool = False


def _of_repo(name: str, about: str, answers: Any) -> Operation:
    """What a program may ask of a revision of a repo."""
    path = f"/commons/{{kinds}}/{{member}}/{{name}}/{name}"
    return Operation("GET", path, name, about, answers, query=("revision",), private=True)


OPERATIONS = (
    Operation("GET", "/organisation", "organisation", "The organisation and its charter.", OrganisationShape),
    Operation("GET", "/members", "members", "Everybody who has a standing.", list[SeatShape]),
    Operation("GET", "/members/{member}", "member", "One of them, by id or origin: profile, log, keys, people.", dict[str, Any]),
    Operation("GET", "/logs", "logs", "Every log held here.", list[LogShape]),
    Operation("GET", "/records", "records", "Records, the newest first.", RecordsShape, query=("member", "type", "limit", "after")),
    Operation("GET", "/records/{member}/{index}", "record", "One record, whole.", WholeRecordShape),
    Operation("GET", "/records/{member}/{index}/proof", "proof", "A receipt for it (C2SP tlog-proof).", None),
    Operation("GET", "/members/{member}/policy", "policy", "What makes checkpoints of its log good (C2SP tlog-policy).", None),
    Operation("GET", "/types", "types", "The record types: who may say them, and their fields.", list[TypeShape]),
    Operation("GET", "/commons/communities", "communities", "The communities, or those of one member.", list[CommunityShape],
              query=("member",)),
    Operation("GET", "/commons/communities/{member}/{name}", "community", "One of them, with its repos.", WholeCommunityShape),
    _of_repo("passport", "The passport of a revision.", PassportShape),
    _of_repo("bom", "A bill of materials (CycloneDX 1.6).", dict[str, Any]),
    _of_repo("croissant", "A dataset as Croissant 1.0 describes it.", dict[str, Any]),
    _of_repo("signature", "The signature that its owner published (OpenSSF model signing).", dict[str, Any]),
    Operation("POST", "/records", "say", "Say a record for your member.", SaidShape, takes=SayShape, token=True),
    Operation("GET", "/me", "me", "Who the token speaks for.", MeShape, token=True),
)  # fmt: skip


def _pattern(path: str) -> str:
    """The pattern of an operation's path: a member may be named by its origin."""
    return path.replace("{member}", "{member:path}")


class Door:
    """The API of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> list[Route]:
        """A route for each operation, and the description of them all."""
        longest_first = sorted(OPERATIONS, key=lambda each: -each.path.count("/"))  # an origin has a slash, and takes the rest
        rooms = (self, Commons(self._node))
        made = [Route(BASE + _pattern(each.path), _handler(rooms, each.name), methods=[each.method]) for each in longest_first]
        return [Route(f"{BASE}/openapi.json", self.openapi), *made]

    def openapi(self, _: Request) -> Response:
        return _json(describe(self._node.settings.url))

    def organisation(self, _: Request) -> Response:
        charter, roster = self._node.charter, self._node.roster()
        if charter is None:
            raise MissingError("this node serves no organisation yet")
        shape = OrganisationShape(
            organisation=self._node.organisation,
            name=charter.name,
            demonstration=charter.demonstration,
            in_force=roster.in_force,
            members=len(roster.members()),
            charter=to_builtins(charter),
        )
        return _json(shape)

    def members(self, _: Request) -> Response:
        seats = self._node.roster().seats.values()
        names = ("id", "origin", "name", "country", "class_", "standing", "votes")
        return _json([SeatShape(**{name: getattr(seat, name) for name in names}) for seat in seats])

    def member(self, request: Request) -> Response:
        return _json(reading.describe_member(self._node, self._origin(request)))

    def logs(self, _: Request) -> Response:
        holdings, disputed = self._node.holdings, self._node.disputes()
        shapes = []
        for origin in holdings.origins():
            tree, good = holdings.tree(origin), holdings.cosigned(origin)
            shape = LogShape(
                origin=origin,
                size=tree.size,
                root=base64(tree.root),
                cosigners=[line.name for line in tree.head.note.signatures if line.name != origin] if tree.head else [],
                cosigned=good.checkpoint.size if good else 0,
                hosted=origin in holdings.hosted(),
                disputed=origin in disputed,
            )
            shapes.append(shape)
        return _json(shapes)

    def records(self, request: Request) -> Response:
        asked = request.query_params
        limit = decimal(asked.get("limit", str(reading.PAGE)), LIMIT_MAX)
        member = asked.get("member")
        wanted = Filter(None if member is None else reading.resolve(self._node, member), asked.get("type"))
        found = reading.list_records(self._node, wanted, limit, read_after(asked.get("after")))
        after = write_after(found[-1]) if found and len(found) == limit else None
        return _json(RecordsShape(records=[self._shape(one) for one in found], after=after))

    def record(self, request: Request) -> Response:
        found = self._found(request)
        entry = self._node.holdings.tree(found.origin).entry(found.index)
        unreadable = found.state is State.UNREADABLE
        shape = WholeRecordShape(
            **to_builtins(self._shape(found)),
            entry=entry.decode(errors="replace"),
            cosigned=reading.well_cosigned(self._node, found),
            wrong=reading.why_unreadable(self._node, found) if unreadable else None,
        )
        return _json(shape)

    def proof(self, request: Request) -> Response:
        found = self._found(request)
        return PlainTextResponse(bytes(reading.prove(self._node, found.origin, found.index)))

    def policy(self, request: Request) -> Response:
        return PlainTextResponse(str(self._node.policy(self._origin(request))))

    def types(self, _: Request) -> Response:
        shapes = []
        for pillar in (LEDGER, *PILLARS):
            for kind in pillar.handlers:
                schema = msgspec.json.schema(kind)
                shapes.append(TypeShape(type=tag(kind), role=str(pillar.roles[kind]), says=kind.SAYS, schema=schema))
        return _json(shapes)

    def communities(self, request: Request) -> Response:
        member = request.query_params.get("member")
        by = reading.resolve(self._node, member) if member is not None else None
        with self._node.reading() as db:
            found = commons_view.communities(db, by)
        return _json([CommunityShape(**_told(each)) for each in found])

    def community(self, request: Request) -> Response:
        by, name = self._origin(request), request.path_params["name"]
        with self._node.reading() as db:
            found = commons_view.communities(db, by, name)
            repos = commons_view.repos_in(db, found[0]) if found else []
        if not found:
            raise MissingError(f"{by} gathers no community {name[:100]!r}")
        return _json(WholeCommunityShape(**_told(found[0]), repos=[NamedRepoShape(**to_builtins(repo)) for repo in repos]))

    async def say(self, request: Request) -> Response:
        speaker = await run_in_threadpool(access.required, self._node, request)
        body = await bodies.whole(request, BODY_MAX)
        try:
            asked = msgspec.json.decode(body, type=SayShape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise MalformedError(f"not something to say: {e}") from e
        said = await run_in_threadpool(self._node.say, speaker, kind_of(asked.type), asked.fields)
        return _json(SaidShape(origin=said.origin, index=said.index, leaf=said.leaf), 201)

    def me(self, request: Request) -> Response:
        speaker = access.required(self._node, request)
        roles = sorted(map(str, speaker.roles))
        scopes = sorted(speaker.scopes or ())
        return _json(MeShape(person=speaker.person, name=speaker.name, origin=speaker.origin, roles=roles, scopes=scopes))

    def _origin(self, request: Request) -> str:
        return reading.resolve(self._node, request.path_params["member"])

    def _found(self, request: Request) -> Found:
        return reading.find_record(self._node, self._origin(request), decimal(request.path_params["index"]))

    def _shape(self, found: Found) -> RecordShape:
        return RecordShape(
            origin=found.origin,
            index=found.index,
            type=found.type,
            at=found.at,
            state=found.state.name.lower(),
            leaf=found.leaf,
            says=reading.sentence(self._node, found),
        )


def _told(found: Gathering) -> dict[str, Any]:
    return {name: getattr(found, name) for name in CommunityShape.__struct_fields__}


def _handler(rooms: tuple[object, ...], name: str) -> Any:
    """What answers an operation."""
    return next(getattr(room, name) for room in rooms if hasattr(room, name))


def write_after(found: Found) -> str:
    """Where a listing goes on after `found`, as text."""
    return f"{found.at}.{found.index}.{found.origin}"


def read_after(text: str | None) -> Place | None:
    """The place that `text` names. MalformedError if it names none."""
    if text is None:
        return None
    at, _, rest = text.partition(".")
    index, _, origin = rest.partition(".")
    if not origin:
        raise MalformedError(f"not where a page ended: {text[:100]!r}")
    return Place(decimal(at), origin, decimal(index))


def describe(url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of the operations."""
    kinds = [each.answers for each in OPERATIONS if each.answers] + [each.takes for each in OPERATIONS if each.takes] + [ErrorShape]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = dict(zip(map(str, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(BASE + each.path, {})[each.method.lower()] = _operation(each, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Concord", "version": concord.__version__, "description": __doc__},
        "servers": [{"url": url or "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(each: Operation, by_kind: dict[str, Any]) -> dict[str, Any]:
    answer = {"schema": by_kind[str(each.answers)]} if each.answers else {"schema": {"type": "string"}}
    good = {"application/json" if each.answers else "text/plain": answer}
    bad = {"description": "What went wrong.", "content": {"application/json": {"schema": by_kind[str(ErrorShape)]}}}
    names = [part[1:-1] for part in each.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": PARAMETERS[name]} for name in names]
    parameters += [{"name": name, "in": "query", "required": False, "schema": PARAMETERS[name]} for name in each.query]
    described: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.about,
        "parameters": parameters,
        "responses": {"201" if each.method == "POST" else "200": {"description": each.about, "content": good}, "default": bad},
    }
    if each.takes:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": by_kind[str(each.takes)]}}}
    if each.token or each.private:
        described["security"] = [*([{}] if each.private else []), {"token": []}]
    return described


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
