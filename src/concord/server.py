"""The doors in one ASGI application, the one table from errors to HTTP status, and the process that serves it."""

import asyncio
import fcntl
import gc
import os
import re
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import IO

import msgspec
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from concord.config import Settings
from concord.edges import api, hub, peer, web
from concord.edges.peer.source import GRACE
from concord.errors import (
    BusyError,
    ConcordError,
    ErasedError,
    ForgedError,
    HeldError,
    HomeError,
    MalformedError,
    MissingError,
    RefusedError,
    SignInError,
    SlowError,
    StaleError,
    StorageError,
    TooLargeError,
    TooManyError,
    UnreachableError,
)
from concord.measuring import Measures
from concord.node import Node
from concord.operations import begin
from concord.operations.courier import Courier
from concord.operations.upkeep import Upkeep
from concord.private import secrets
from concord.shelf import Shelf

logger = getLogger("concord.server")

# The first line that fits counts, so what is special stands before what is general.
STATUS: tuple[tuple[type[ConcordError], int], ...] = (
    *hub.STATUS,
    (TooLargeError, 413),
    (MalformedError, 400),
    (ForgedError, 422),
    (SignInError, 401),
    (TooManyError, 429),
    (RefusedError, 403),
    (ErasedError, 410),
    (HeldError, 451),
    (MissingError, 404),
    (StaleError, 409),
    (SlowError, 408),
    (UnreachableError, 502),
    (BusyError, 503),
    (StorageError, 507),
    (HomeError, 500),
    (ConcordError, 500),
)

POLICY = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "media-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
_HOST = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?\Z")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", "; ".join(POLICY).encode()),
)


def status_of(error: ConcordError) -> int:
    """The HTTP status that tells `error`."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def build(node: Node, courier: Courier | None = None) -> ASGIApp:
    """The application: all doors of one node. Files of other nodes come by the courier, from peers unless another is given."""
    courier = courier or Courier(node)
    doors = [*peer.door.Door(node, courier).routes(), *api.door.Door(node).routes()]
    measures = Measures(Shelf(node, courier))
    routes = [*doors, *hub.routes(node, courier, measures), *web.routes(node, courier, measures)]
    handlers = dict.fromkeys((ConcordError, HTTPException, Exception), _tell(node))
    patience = Middleware(_Patience, node.settings)
    return _Gate(Starlette(routes=routes, exception_handlers=handlers, middleware=[patience]))


def _tell(node: Node) -> Callable[[Request, Exception], Awaitable[Response]]:
    """An error in the form that the asker reads: text for peers, JSON for programs, a page for people."""

    async def tell(request: Request, error: Exception) -> Response:
        status, words, kind = _explained(error)
        wait = error.wait if isinstance(error, TooManyError) else 0
        if status >= 500 and status != 501:  # what is not offered is nobody's failure
            expected = isinstance(error, ConcordError | HTTPException)
            logger.error("%s %s: %s", request.method, request.url.path, words, exc_info=None if expected else error)
        words = within(node.blobs.root.parent, words)
        if request.url.path.startswith("/peer/"):
            answer: Response = PlainTextResponse(f"{words}\n", status)
        elif hub.asked(request.scope):
            answer = hub.tell(error, status, words, plain=hub.git.asked(request.scope))
        elif request.url.path.startswith("/api/"):
            body = msgspec.json.encode({"error": words, "kind": kind.__name__, "fault": kind.fault})
            answer = Response(body, status, media_type="application/json")
            answer.headers.update({"WWW-Authenticate": "Bearer"} if status == 401 else {})  # RFC 9110, section 15.5.2
        else:
            answer = await run_in_threadpool(web.error_page, node, request, status, words, kind.fault, wait)
        answer.headers.update(getattr(error, "headers", None) or {})
        if wait:
            answer.headers["Retry-After"] = str(wait)
        if isinstance(error, SlowError):
            answer.headers["Connection"] = "close"
        return answer

    return tell


def within(home: Path, words: str) -> str:
    """Words of an error as strangers read them: what lies in the home is named, and not where the home is.

    >>> within(Path("/srv/concord"), "/srv/concord/node.db: the disk is full")
    'node.db: the disk is full'
    """
    return words.replace(f"{home}{os.sep}", "").replace(str(home), "the home")


def _explained(error: Exception) -> tuple[int, str, type[ConcordError]]:
    """The status that tells `error`, what to say of it, and which class of ours says whose fault it is."""
    match error:
        case ConcordError():
            return status_of(error), str(error), type(error)
        case HTTPException(status_code=404):
            return 404, "there is nothing at this address", MissingError
        case HTTPException():
            return error.status_code, error.detail.lower(), MissingError
        case _:
            return 500, "something went wrong here that should not; this node's log says what", HomeError


class _Gate:
    """Lets in nobody whose Host header is no host, and sends with every answer what tells browsers to be careful."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        hosts = [value for name, value in scope.get("headers", ()) if name == b"host"]
        good = all(map(_HOST.match, hosts)) and len(hosts) <= 1
        app = self._app if good else PlainTextResponse("the Host header names no host\n", 400)
        await app(scope, receive, careful)


class _Patience:
    """Lets nobody keep a request open by sending its body too slowly, or not at all: SlowError, wherever it is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waited, count, whole = 0.0, 0, False

        async def measured() -> Message:
            nonlocal waited, count, whole
            if whole:
                return await receive()  # until the asker goes away
            began = time.monotonic()
            message = await self._next(receive)
            waited += time.monotonic() - began
            count += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if waited > GRACE * self._settings.pull_timeout + count / self._settings.pull_rate:
                raise SlowError(f"the request comes too slowly: {count} bytes in {waited:.0f} seconds")
            return message

        await self._app(scope, measured, send)

    async def _next(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._settings.pull_timeout):
                return await receive()
        except TimeoutError as e:
            raise SlowError(f"the request comes too slowly: nothing in {self._settings.pull_timeout} seconds") from e


def run(node: Node, home: Path, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve until interrupted. `tell` prints the address, and a link that signs the local admin in, once.

    BusyError if the port or the home is taken by another process.
    """
    with _alone(home):
        _check_port(host, port)
        upkeep = Upkeep(node, home)
        upkeep.start()
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        try:
            asyncio.run(_serve(node, host, port, lambda: _greet(node, address, tell)))
        finally:
            upkeep.stop()


def _greet(node: Node, address: str, tell: Callable[[str], None]) -> None:
    words = f"Concord serves {node.charter.name if node.charter else 'no organisation yet'} on {address}"
    if node.holdings.hosted():
        with node.private_writing() as db:
            link = secrets.make_link(db, begin.local_admin(db, node), node.clock(), node.settings.link_minutes)
        words += f"\nSign in as local admin, once, within {node.settings.link_minutes} minutes: {address}/sign-in/{link}"
    tell(words)


async def _serve(node: Node, host: str, port: int, ready: Callable[[], None]) -> None:
    heads = HTTP1Settings(header_read_timeout=1000 * node.settings.pull_timeout)
    server = Server(
        build(node),
        host,
        port,
        interface="asginl",  # type: ignore[arg-type]
        log_enabled=False,
        websockets=False,
        http1_settings=heads,
    )
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, server.stop)
    serving = loop.create_task(server.serve())
    while not serving.done() and not await asyncio.to_thread(_answers, host, port):
        await asyncio.sleep(0.02)
    gc.collect()
    gc.freeze()  # what is here now lives as long as the server, and need not be looked through again and again
    if not serving.done():
        ready()
    await serving


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host if host not in ("0.0.0.0", "::") else "localhost", port), timeout=1):  # noqa: S104
            return True
    except OSError:
        return False


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            raise BusyError(f"cannot listen on {host}, port {port}: {e.strerror}. Choose another with --host and --port") from e


@contextmanager
def _alone(home: Path) -> Iterator[IO[str]]:
    """One server for each home."""
    with (home / "serve.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            file.seek(0)
            raise BusyError(f"{home} is served by another process already ({file.read().strip() or 'unknown'})") from e
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield file
