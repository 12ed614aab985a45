"""Pages: rendered on the server, working without JavaScript, under 100 kB each, in six languages.

One module for each pillar, and for what lies across them (home, records, peers, account). Templates and styles are beside.
"""

from collections.abc import Callable
from importlib.resources import files

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from concord.edges.web import account, home, members, peers, records
from concord.edges.web.page import LANGUAGE, LANGUAGES, Page
from concord.errors import MissingError
from concord.node import Node

__all__ = ["error_page", "routes"]

_STATIC = {"concord.css": "text/css", "passkey.js": "text/javascript", "mark.svg": "image/svg+xml"}


def routes(node: Node) -> list[Route]:
    """All pages, in the order in which they are tried."""

    def reads(path: str, show: Callable[[Page], Response]) -> Route:
        return Route(path, lambda request: show(Page(node, request)))

    def writes(path: str, take: Callable[[Page, dict[str, str]], Response]) -> Route:
        async def handle(request: Request) -> Response:
            page = await run_in_threadpool(Page, node, request)
            return await run_in_threadpool(take, page, await page.form())

        return Route(path, handle, methods=["POST"])

    return [
        reads("/", home.show),
        reads("/charter", members.charter),
        reads("/members", members.everybody),
        reads("/members/{member}", members.one),
        reads("/members/{member}/policy", members.policy),
        reads("/records", records.listing),
        reads("/records/{member}/{index}.tlog-proof", records.receipt),
        reads("/records/{member}/{index}", records.one),
        reads("/leaf/{leaf}", records.by_leaf),
        reads("/blobs/{digest}", records.blob),
        reads("/peers", peers.show),
        reads("/sign-in", account.ask),
        writes("/sign-in", account.by_password),
        reads("/sign-in/{link}", account.by_link),
        writes("/sign-out", account.leave),
        reads("/account", account.show),
        writes("/account/password", account.set_password),
        writes("/account/tokens", account.make_token),
        writes("/account/tokens/revoke", account.revoke_token),
        writes("/account/passkeys/begin", account.begin_passkey),
        writes("/account/passkeys", account.add_passkey),
        writes("/account/passkeys/remove", account.remove_passkey),
        writes("/passkey/begin", account.begin_sign_in),
        writes("/passkey", account.by_passkey),
        Route("/language/{language}", _language),
        Route("/static/{name}", _static),
        Route("/favicon.ico", lambda _: _file("mark.svg")),
    ]


def error_page(node: Node, request: Request, status: int, words: str, fault: str, headers: dict[str, str]) -> Response:
    """An error for people: what happened, whose fault it is, what to do."""
    answer = Page(node, request).render("error.html", status, words=words, fault=fault, status=status)
    answer.headers.update(headers)
    return answer


def _language(request: Request) -> Response:
    """Remember a language, and go back to where the reader was."""
    language = request.path_params["language"]
    if language not in LANGUAGES:
        raise MissingError(f"there is no language {language!r}")
    back = request.query_params.get("back", "/")
    answer = Response(status_code=303, headers={"Location": back if back.startswith("/") and not back.startswith("//") else "/"})
    answer.set_cookie(LANGUAGE, language, max_age=365 * 86_400, samesite="lax")
    return answer


def _static(request: Request) -> Response:
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    if name not in _STATIC:
        raise MissingError("there is nothing at this address")
    content = (files(__package__ or "") / "static" / name).read_bytes()
    return Response(content, media_type=_STATIC[name], headers={"Cache-Control": "public, max-age=3600"})
