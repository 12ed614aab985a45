"""What peers may ask of a running node. Everything here is public, and reading it needs no account."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import mkstemp

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from concord.edges import access, bodies
from concord.edges.peer import bundle, content, heads, wants
from concord.edges.peer.copies import compare
from concord.edges.peer.giving import Given, Giving
from concord.edges.peer.pull import pull
from concord.edges.ranges import ranged
from concord.errors import ForgedError, ForkedError, MissingError, RefusedError, StaleError
from concord.ledger import witness
from concord.ledger.record import ENCODER
from concord.ledger.tree import Tree, folder
from concord.node import Node
from concord.private import attempts
from concord.reading import public_blob
from concord.shelf import Courier
from concord.tlog.tile import Place

IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
BRIEF = {"Cache-Control": "public, max-age=2"}
PUSHES = 20  # bundles from one address within a quarter of an hour


class Door:
    """The routes of the peer door for one node."""

    def __init__(self, node: Node, courier: Courier | None = None) -> None:
        self._node = node
        self._shared = content.Shared(node, courier)
        self._giving = Giving(lambda: node.settings)

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/peer/heads", self.heads),
            Route("/peer/charter", self.charter),
            Route("/peer/want", self.want),
            Route("/peer/bundle", self.bundle, methods=["POST"]),
            Route("/peer/witness/add-checkpoint", self.add_checkpoint, methods=["POST"]),
            Route("/peer/witness/{log}/checkpoint", self.witnessed),
            Route("/peer/logs/{log}/checkpoint", self.checkpoint),
            Route("/peer/logs/{log}/{tile:path}", self.tile),
            Route("/peer/blobs/{digest}", self.blob),
            Route("/peer/content/{root}/{name:path}", self.content),
        ]

    def heads(self, _: Request) -> Response:
        return Response(heads.write(heads.of(self._node)), media_type="application/json", headers=BRIEF)

    def charter(self, _: Request) -> Response:
        if self._node.charter is None:
            raise MissingError("this node serves no organisation yet")
        return Response(ENCODER.encode(self._node.charter), media_type="application/json", headers=BRIEF)

    def want(self, _: Request) -> Response:
        return Response(msgspec.json.encode(wants.want(self._node)), media_type="application/json", headers=BRIEF)

    def checkpoint(self, request: Request) -> Response:
        head = self._tree(request).head
        if head is None:
            raise MissingError("this log has no checkpoint yet")
        return PlainTextResponse(bytes(head.note), headers=BRIEF)

    def tile(self, request: Request) -> Response:
        place = Place.parse(request.path_params["tile"])
        return Response(self._tree(request).read(place), media_type="application/octet-stream", headers=IMMUTABLE)

    def blob(self, request: Request) -> Response:
        """A blob that some record names. What is personal leaves only through its own member's pages."""
        digest = request.path_params["digest"]
        public_blob(self._node, digest)
        return ranged(request, self._node.blobs.size(digest), partial(self._node.blob, digest), digest)

    async def content(self, request: Request) -> Given:
        """The files of repos that are public and open (`concord.edges.peer.content`), no more than is to be given."""
        share = self._giving.admit(access.address(self._node, request))
        try:
            return Given(await run_in_threadpool(content.answer, self._shared, request), share)
        except BaseException:
            share.leave()
            raise

    async def add_checkpoint(self, request: Request) -> Response:
        """The witness (C2SP tlog-witness), with the statuses of its specification."""
        body = await bodies.whole(request, witness.REQUEST_SIZE_MAX)
        return await run_in_threadpool(self._add_checkpoint, body)

    def witnessed(self, request: Request) -> Response:
        """The last head cosigned here, with the log's signature and ours."""
        origin = self._origin(request)
        last = self._node.memory.last(origin)
        if last is None:
            raise MissingError(f"{origin} was never cosigned here")
        keys = {witness_key.name for hosted in self._node.holdings.hosted() if (witness_key := self._node.holdings.witness(hosted))}
        heads_held = (self._node.holdings.tree(origin).head, self._node.holdings.cosigned(origin))
        lines = [line for head in heads_held if head and head.checkpoint == last.checkpoint for line in head.note.signatures]
        signed = last.note.with_signatures(line for line in lines if line.name in keys)
        return PlainTextResponse(bytes(signed), headers=BRIEF)

    async def bundle(self, request: Request) -> Response:
        """Take in a bundle that was pushed here, such as the first log of an applicant. What is in it is verified as always."""
        await run_in_threadpool(self._count_push, access.address(self._node, request))
        handle, name = mkstemp(suffix=".zip")
        try:
            with os.fdopen(handle, "wb") as file:
                async for piece in bodies.pieces(request, self._node.settings.bundle_bytes):
                    file.write(piece)
            return await run_in_threadpool(self._take_in, Path(name))
        finally:
            Path(name).unlink()

    def _take_in(self, path: Path) -> Response:
        with bundle.BundleSource([path], bundle.LIST_MAX) as source:
            report = pull(self._node, source)
        wrong = {name: str(error) for name, error in report.wrong.items()}
        body = msgspec.json.encode({"entries": report.entries, "blobs": report.blobs, "wrong": wrong})
        return Response(body, media_type="application/json")

    def _count_push(self, address: str) -> None:
        key, now = f"push {address}", self._node.clock()
        with self._node.private_writing() as db:
            attempts.check(db, (key,), now, PUSHES)
            attempts.failed(db, (key,), now)

    def _add_checkpoint(self, body: bytes) -> Response:
        asked = witness.parse(body)
        try:
            lines = self._node.cosign_for(asked)
        except StaleError as e:
            return Response(f"{e.size}\n", 409, {"Content-Type": "text/x.tlog.size"})  # word for word, without a charset
        except ForkedError as e:
            with suppress(ForgedError):
                compare(self._node, asked.head)  # signed and inconsistent: that is evidence, if we can show it
            return PlainTextResponse(f"{e}\n", 422)
        except (ForgedError, RefusedError) as e:
            return PlainTextResponse(f"{e}\n", 403)
        if not lines:
            raise MissingError("no member has its witness here")
        return PlainTextResponse("".join(map(str, lines)))

    def _tree(self, request: Request) -> Tree:
        return self._node.holdings.tree(self._origin(request))

    def _origin(self, request: Request) -> str:
        """The origin of a log that is held here, by the name of its folder."""
        name = request.path_params["log"]
        origin = next((origin for origin in self._node.holdings.origins() if folder(origin) == name), None)
        if origin is None:
            raise MissingError("no such log here")
        return origin
