"""Pages: rendered on the server, working without JavaScript, under 100 kB each, in six languages.

One module for each pillar, and for what lies across them (home, records, peers, account). Templates and styles are beside.
"""

from collections.abc import Callable
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from concord.edges import bodies
from concord.edges.web import (
    account,
    commons,
    communities,
    home,
    hub_addresses,
    members,
    passports,
    peers,
    records,
    repo_card,
    repo_files,
    repo_forms,
    repo_history,
    repo_settings,
    repo_threads,
    static_files,
)
from concord.edges.web.forms import Sent
from concord.edges.web.languages import LANGUAGE, LANGUAGES
from concord.edges.web.page import FORM_MAX, Page, inside, is_secure
from concord.errors import MissingError
from concord.measuring import Measures
from concord.node import Node
from concord.passports import Passports
from concord.shelf import Courier, Shelf

__all__ = ["error_page", "routes"]


class _Maker:
    """Makes the routes of pages: of those that read and those that are sent a form, with the shelf or without."""

    def __init__(self, node: Node, shelf: Shelf) -> None:
        self._node, self._shelf = node, shelf

    def reads(self, path: str, show: Callable[[Page], Response]) -> Route:
        return Route(path, lambda request: show(Page(self._node, request)))

    def shows(self, path: str, show: Callable[[Page, Shelf], Response]) -> Route:
        return Route(path, lambda request: show(Page(self._node, request), self._shelf))

    def writes(self, path: str, take: Callable[[Page, dict[str, str]], Response]) -> Route:
        return self._sent(path, lambda page, body: take(page, page.form(body)), FORM_MAX)

    def takes(self, path: str, take: Callable[[Page, Shelf, Sent], Response], most: int = FORM_MAX) -> Route:
        return self._sent(path, lambda page, body: take(page, self._shelf, page.sent(body)), most)

    def _sent(self, path: str, take: Callable[[Page, bytes], Response], most: int) -> Route:
        """What is sent is read here, at most `most` bytes; the rest is done in a thread."""

        async def handle(request: Request) -> Response:
            body = await bodies.whole(request, most)
            return await run_in_threadpool(lambda: take(Page(self._node, request), body))

        return Route(path, handle, methods=["POST"])


def routes(node: Node, courier: Courier | None = None, measures: Measures | None = None) -> list[Route]:
    """All pages, in the order in which they are tried. Files that are not here are brought by the courier, if there is one."""
    shelf = Shelf(node, courier)
    measured = measures or Measures(shelf)
    make = _Maker(node, shelf)
    reads, shows, writes, takes = make.reads, make.shows, make.writes, make.takes
    pages = [
        shows("/", home.show),
        reads("/charter", members.charter),
        reads("/members", members.everybody),
        shows("/members/{member}", members.one),
        reads("/members/{member}/policy", members.policy),
        reads("/records", records.listing),
        reads("/records/{member}/{index}.tlog-proof", records.receipt),
        reads("/records/{member}/{index}.entry", records.entry),
        reads("/records/{member}/{index}", records.one),
        reads("/leaf/{leaf}", records.by_leaf),
        reads("/blobs/{digest}", records.blob),
        *_commons(shelf, measured, shows, takes),
        reads("/peers", peers.show),
        reads("/sign-in", account.ask),
        writes("/sign-in", account.by_password),
        reads("/sign-in/{link}", account.ask_by_link),
        writes("/sign-in/{link}", account.by_link),
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
        reads("/language/{language}", _language),
        Route("/static/{name}", static_files.serve),
        Route("/favicon.ico", static_files.serve),
    ]
    own = hub_addresses.DOORS | {page.path.split("/")[1] for page in pages}
    lead = shows(hub_addresses.PATHS[0], hub_addresses.lead).endpoint
    return [*pages, *(hub_addresses.Leading(path, lead, own) for path in hub_addresses.PATHS)]


def _commons(shelf: Shelf, measures: Measures, shows: Callable[..., Route], takes: Callable[..., Route]) -> list[Route]:
    """The pages of repos and communities, likewise in order; `shows` and `takes` make a route that reads, and one that writes."""
    shared = Passports(shelf)
    repo, community = "/commons/{kinds}/{member}/{name}", "/commons/communities/{member}/{community}"
    return [
        shows("/commons", lambda page, shelf: commons.search_page(page, shelf, measures)),
        shows("/commons/new", commons.ask_new),
        takes("/commons/new", commons.open_new),
        shows("/commons/help", commons.help_page),
        shows("/commons/communities", communities.listing),
        shows("/commons/communities/new", communities.ask_new),
        takes("/commons/communities/new", communities.gather, repo_forms.TEXT_MAX),
        shows(community, communities.one),
        shows(f"{community}/change", communities.ask_change),
        takes(f"{community}/change", communities.change, repo_forms.TEXT_MAX),
        shows(repo, repo_card.card_page),
        shows(f"{repo}/passport", partial(passports.passport_page, shared)),
        shows(f"{repo}/export/{{form}}", partial(passports.export, shared)),
        shows(f"{repo}/files", repo_files.files_page),
        shows(f"{repo}/file", repo_files.file_page),
        shows(f"{repo}/raw", repo_files.raw),
        shows(f"{repo}/history", repo_history.history_page),
        shows(f"{repo}/commit/{{oid}}", repo_history.commit_page),
        shows(f"{repo}/discussions", repo_threads.threads_page),
        shows(f"{repo}/discussions/{{number}}", repo_threads.thread_page),
        shows(f"{repo}/upload", repo_forms.ask_upload),
        takes(f"{repo}/upload", repo_forms.upload, repo_forms.UPLOAD_MAX),
        takes(f"{repo}/remove", repo_forms.remove),
        takes(f"{repo}/discussions", repo_forms.discuss, repo_forms.TEXT_MAX),
        takes(f"{repo}/discussions/{{number}}", repo_forms.take_part, repo_forms.TEXT_MAX),
        takes(f"{repo}/like", repo_forms.like),
        takes(f"{repo}/publish", repo_forms.publish),
        takes(f"{repo}/ask", repo_settings.ask),
        shows(f"{repo}/settings", repo_settings.settings_page),
        takes(f"{repo}/settings", repo_settings.change),
    ]


def error_page(node: Node, request: Request, status: int, words: str, fault: str, wait: int = 0) -> Response:
    """An error for people: what happened, whose fault it is, what to do; `wait` in seconds if waiting helps."""
    page = Page(node, request)
    minutes = -(-wait // 60)
    return page.render("error.html", status, bare=status >= 500, words=words, fault=fault, status=status, minutes=minutes)


def _language(page: Page) -> Response:
    """Remember a language, and go back to where the reader was."""
    language = page.request.path_params["language"]
    if language not in LANGUAGES:
        raise MissingError("there is nothing at this address")
    answer = page.redirect(inside(page.request.query_params.get("back", "/")))
    answer.set_cookie(LANGUAGE, language, max_age=365 * 86_400, httponly=True, samesite="lax", secure=is_secure(page))
    return answer
