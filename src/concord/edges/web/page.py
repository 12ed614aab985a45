"""What every page shares: the shell around it, the reader's language and session, and how values are shown.

A page module has functions that take a `Page` (the request, the node, the reader) and answer with `page.render(template, …)`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, cached_property
from gzip import compress
from string import Formatter
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal
from babel.units import format_unit
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from concord import reading
from concord.edges import access
from concord.edges.web import forms, languages, static_files
from concord.edges.web.forms import Sent
from concord.edges.web.languages import LANGUAGES, LOCALES, translations
from concord.edges.web.names import bdi, tame
from concord.errors import RefusedError, SignInError
from concord.ledger.evidence import Evidence
from concord.ledger.identity import label
from concord.ledger.tree import folder
from concord.node import PILLARS, Node
from concord.pillars.members import Roster
from concord.pillars.members.countries import countries
from concord.private import secrets
from concord.private.people import Speaker
from concord.reading import Found, Freshness
from concord.tlog.spelling import decimal

SESSION = "concord_session"
ACCOUNT = "/account"  # where who signed in goes on, if from nowhere else
FORM_MAX = 64 * 1024  # bytes
T = TypeVar("T")
_UNITS = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte")
_YEAR_9999 = 253_402_300_799  # POSIX seconds: the last moment that a calendar here can name


class Page:
    """One request for a page: who reads, in which language, and how to answer."""

    def __init__(self, node: Node, request: Request) -> None:
        self.node = node
        self.request = request
        self.language = languages.chosen(request)
        self.locale = Locale.parse(LOCALES.get(self.language, self.language))
        self.texts = translations(self.language)
        self.secret = request.cookies.get(SESSION, "")
        self.now = node.clock()

    def render(self, template: str, status: int = 200, /, *, bare: bool = False, **values: Any) -> Response:
        """The page that `template` makes of `values`. A `bare` one shows nothing that has to be read from the ledger.

        What is for a session is kept by no cache, and not packed: the size of what is packed would tell of its secrets.
        """
        body = _environment(self.language).get_template(template).render(page=self, bare=bare, **self._shell(), **values).encode()
        packed = not self.secret and static_files.takes_gzip(self.request)
        headers = {
            "Cache-Control": "no-store" if self.secret else "no-cache",
            "Vary": "Cookie, Accept-Language, Accept-Encoding",
            "Content-Language": self.language,
        } | ({"Content-Encoding": "gzip"} if packed else {})
        return Response(compress(body, 6, mtime=0) if packed else body, status, headers, media_type="text/html")

    def redirect(self, path: str) -> Response:
        """Go on to another page of this site."""
        return RedirectResponse(path, 303)

    # Who reads

    @cached_property
    def speaker(self) -> Speaker | None:
        """Who is signed in, or None."""
        if not self.secret:
            return None
        try:
            with self.node.private_reading() as db:
                return secrets.session_speaker(db, self.secret, self.now)
        except SignInError:
            return None

    def require(self) -> Speaker:
        """Who is signed in. SignInError if nobody is."""
        if self.speaker is None:
            raise SignInError("sign in to see this page")
        return self.speaker

    @property
    def csrf(self) -> str:
        """The word that a form of this session carries."""
        return secrets.csrf(self.secret) if self.speaker else ""

    def form(self, body: bytes) -> dict[str, str]:
        """The fields of a form in the body of this request. RefusedError if it is not from one of our own pages."""
        return self.sent(body).fields

    def sent(self, body: bytes) -> Sent:
        """The fields and files of a form, likewise."""
        check_origin(self.request)
        sent = forms.read(self.request.headers.get("content-type", ""), body)
        if self.speaker is not None and sent.fields.get("csrf") != self.csrf:
            raise RefusedError("this form is not of your session any more; load the page again and send it anew")
        return sent

    # What is computed once for a page

    @cached_property
    def roster(self) -> Roster:
        """Who has which standing."""
        return self.node.roster()

    @cached_property
    def fresh(self) -> Freshness:
        """How much of what is shown is fresh."""
        return reading.freshness(self.node, self.roster)

    @cached_property
    def disputes(self) -> dict[str, Evidence]:
        """The logs that are disputed, each with the evidence."""
        return self.node.disputes()

    @cached_property
    def hosted(self) -> frozenset[str]:
        """The origins of the logs that this node signs."""
        return frozenset(self.node.holdings.hosted())

    @cached_property
    def address(self) -> str:
        """Where others reach this node: as its settings say, or else as this reader did."""
        return self.node.settings.url.rstrip("/") or str(self.request.base_url).rstrip("/")

    @cached_property
    def _log_names(self) -> dict[str, str]:
        """What each log is called in an address: its member's id if only one is called so, otherwise the name of its folder.

        Who has a standing has a name, too, even if its log is not here.
        """
        origins = list(dict.fromkeys((*self.node.holdings.origins(), *self.roster.seats)))
        labels = [label(origin) for origin in origins]
        return {origin: name if labels.count(name) == 1 else folder(origin) for origin, name in zip(origins, labels, strict=True)}

    def log_name(self, origin: str) -> str:
        """What a log is called in an address."""
        return self._log_names.get(origin) or folder(origin)

    def origin_of(self, name: str) -> str:
        """The origin that is called `name` in an address. MissingError if none is."""
        by_name = {other: origin for origin, other in self._log_names.items()}
        by_folder = {folder(origin): origin for origin in self._log_names}
        return by_name.get(name) or by_folder.get(name) or reading.resolve(self.node, name)

    def part(self, everything: list[T], most: int) -> tuple[list[T], int | None]:
        """The part of a long list that the address asks for with `start`, and where the next part starts."""
        start = decimal(self.request.query_params.get("start", "0"))
        return everything[start : start + most], start + most if start + most < len(everything) else None

    # How values are shown

    def text(self, message: str) -> str:
        """A message in the reader's language, or as it is."""
        return self.texts.gettext(message)

    def word(self, context: str, text: str) -> str:
        """A word out of `concord.edges.web.words` in the reader's language, or as it is."""
        return str(self.texts.pgettext(context, str(text))) if text else ""

    def time(self, at: int) -> Markup:
        """A moment, to the minute, in UTC, with the machine's form beside it."""
        moment = _moment(at)
        words = str(self.locale.datetime_formats["medium"]).format(
            _clock(moment), format_skeleton("yMMMd", moment, locale=self.locale)
        )
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), words)

    def clock(self, at: int) -> Markup:
        """The same without the day."""
        moment = _moment(at)
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), _clock(moment))

    def day(self, at: int) -> str:
        """A day, in UTC."""
        return format_date(_moment(at).date(), "long", locale=self.locale)

    def number(self, value: int) -> str:
        """A number, grouped as the language does."""
        return format_decimal(value, locale=self.locale)

    def size(self, count: int) -> str:
        """So many bytes, in the unit that reads best."""
        power = min((len(str(count)) - 1) // 3, len(_UNITS) - 1)
        value = count / 1000**power
        rounded = round(value, 1 if power and value < 100 else None)
        name = f"digital-{_UNITS[power]}"
        full = format_unit(rounded, name, "short" if power else "long", locale=self.locale)
        return full if name not in full else format_unit(rounded, name, "short", locale=self.locale)  # Arabic has no long form

    def tongue(self, code: str) -> str:
        """The name of a language in the reader's language, or its code if we know none."""
        return str(self.locale.languages.get(code) or self.locale.languages.get(code.split("-", maxsplit=1)[0].lower()) or code)

    def kind(self, name: str) -> str:
        """What a kind of repo is called: what clients of the Hub call a space is code."""
        return self.word("kind of repo", {"space": "code"}.get(name, name))

    def component(self, name: str) -> str:
        """What a component of the Model Openness Framework is called."""
        return self.word("component", name)

    def country(self, code: str) -> str:
        """The name of a country in the reader's language, or its code if we know none."""
        found = countries().get(code)
        return found.names[self.language] if found else code

    def named(self, names: Mapping[str, str], otherwise: str) -> str:
        """The name in the reader's language, if its owner gave one."""
        return names.get(self.language) or otherwise

    def organisation(self) -> str:
        """What the organisation is called, or that there is none."""
        charter = self.node.charter
        return self.named(charter.names, charter.name) if charter else self.text("No organisation yet")

    def says(self, found: Found, most: int | None = None) -> Markup:
        """The sentence of a record in the reader's language; of each value in it, at most so many characters."""
        template, values = reading.telling(self.node, found)
        return Markup(_Sentence(most).vformat(str(escape(self.text(template))), (), values))  # noqa: S704  values are escaped

    def who(self, origin: str) -> str:
        """What a member is called, or its short name if it has no standing here."""
        seat = self.roster.seats.get(origin)
        return seat.name if seat else label(origin)

    def _shell(self) -> dict[str, Any]:
        url = self.request.url
        back = f"{url.path}?{url.query}" if url.query else url.path
        leads = self.request.method == "GET" and url.path != "/" and not url.path.startswith("/sign-in")
        return {
            "charter": self.node.charter,
            "nav": [pillar.name for pillar in PILLARS],
            "languages": LANGUAGES,
            "label": label,
            "spoken": languages.speaks(self.language),
            "path": url.path,
            "back": back,
            "sign_in": f"/sign-in?back={quote(back, safe='/')}" if leads else "/sign-in",
        }


def sign_in(page: Page, speaker: Speaker, path: str = ACCOUNT) -> Response:
    """Begin a session for `speaker` in place of any that this browser had, and go on to `path`."""
    with page.node.private_writing() as db:
        secrets.end_session(db, page.secret)
        secret = secrets.make_session(db, speaker.person, page.now, page.node.settings.session_days)
    answer = page.redirect(path)
    days = page.node.settings.session_days
    answer.set_cookie(SESSION, secret, max_age=days * 86_400, httponly=True, samesite="lax", secure=is_secure(page))
    return answer


def inside(path: str) -> str:
    """`path` if it stays on this site, otherwise the first page. Browsers read a backslash, and skip control characters."""
    stays = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return quote(path, safe="/?&=%:@!$'()*+,;~-._") if stays else "/"


def is_secure(page: Page) -> bool:
    """Whether readers come by https, so that cookies must never travel without it."""
    return page.request.url.scheme == "https" or page.node.settings.url.startswith("https:")


def check_origin(request: Request) -> None:
    """RefusedError if a form comes from a page of another site."""
    site = request.headers.get("sec-fetch-site")
    source = request.headers.get("origin") or request.headers.get("referer") or ""
    if site is not None and site not in ("same-origin", "none"):
        raise RefusedError("this form was sent from another site")
    if site is None and urlsplit(source).netloc != request.headers.get("host"):
        raise RefusedError("this form does not say that it was sent from this site")


def where_from(page: Page) -> str:
    """The address that the reader comes from, for rate limits."""
    return access.address(page.node, page.request)


class _Sentence(Formatter):
    """Fills in the values of a sentence, each escaped and set apart from the direction of the rest."""

    def __init__(self, most: int | None) -> None:
        self._most = most

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ARG002  sentences have plain fields
        return str(bdi(str(value), self._most))


def _moment(at: int) -> datetime:
    """A claimed time as a moment; one that no calendar here can name is shown as the last that it can."""
    return datetime.fromtimestamp(min(at, _YEAR_9999), UTC)


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {"bdi": bdi, "tame": tame}
    environment.globals["static"] = static_files.address
    return environment
