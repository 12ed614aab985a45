"""What every page shares: the shell around it, the reader's language and session, and how values are shown.

A page module has functions that take a `Page` (the request, the node, the reader) and answer with `page.render(template, …)`.
"""

from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.resources import files
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from concord import reading
from concord.edges import access
from concord.errors import RefusedError, SignInError
from concord.ledger.identity import label
from concord.ledger.tree import folder
from concord.node import PILLARS, Node
from concord.pillars.members import Roster
from concord.pillars.members.countries import countries
from concord.private import secrets
from concord.private.people import Speaker

# Each language by its own name, in the order in which the United Nations lists its six.
LANGUAGES = {"ar": "العربية", "zh": "中文", "en": "English", "fr": "Français", "ru": "Русский", "es": "Español"}
SESSION = "concord_session"
LANGUAGE = "concord_language"


class Page:
    """One request for a page: who reads, in which language, and how to answer."""

    def __init__(self, node: Node, request: Request) -> None:
        self.node = node
        self.request = request
        self.language = _language(request)
        self.locale = Locale.parse(self.language)
        self.texts = _translations(self.language)
        self.secret = request.cookies.get(SESSION, "")
        self.speaker = self._speaker()
        self.now = node.clock()

    def render(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """The page that `template` makes of `values`."""
        environment = _environment(self.language)
        body = environment.get_template(template).render(page=self, **self._shell(), **values)
        return HTMLResponse(
            body, status, {"Cache-Control": "no-store" if self.speaker else "no-cache", "Vary": "Cookie, Accept-Language"}
        )

    def redirect(self, path: str) -> Response:
        """Go on to another page of this site."""
        return RedirectResponse(path, 303)

    def require(self) -> Speaker:
        """Who is signed in. SignInError if nobody is."""
        if self.speaker is None:
            raise SignInError(self.texts.gettext("sign in to see this page"))
        return self.speaker

    async def form(self) -> dict[str, str]:
        """The fields of a form that was sent from one of our own pages. RefusedError if it came from elsewhere."""
        check_origin(self.request)
        sent = await self.request.form(max_files=0, max_fields=50)
        fields = {name: value for name, value in sent.items() if isinstance(value, str)}
        if self.speaker is not None and fields.get("csrf") != secrets.csrf(self.secret):
            raise RefusedError(
                self.texts.gettext("this form is not of your session any more; load the page again and send it anew")
            )
        return fields

    @cached_property
    def roster(self) -> Roster:
        """Who has which standing, computed once for this page."""
        return self.node.roster()

    @property
    def csrf(self) -> str:
        """The word that a form of this session carries."""
        return secrets.csrf(self.secret) if self.speaker else ""

    # How values are shown

    def time(self, at: int) -> Markup:
        """A moment, to the minute, in UTC, with the machine's form beside it."""
        if not at:
            return Markup("")
        moment = datetime.fromtimestamp(min(at, 253_402_300_799), UTC)
        words = format_datetime(moment, "d MMM y, HH:mm", tzinfo=UTC, locale=self.locale)
        return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(moment.isoformat(), words, words)

    def day(self, at: int) -> str:
        """A day."""
        return format_date(datetime.fromtimestamp(at, UTC).date(), "d MMMM y", locale=self.locale)

    def number(self, value: int) -> str:
        """A number, grouped as the language does."""
        return format_decimal(value, locale=self.locale)

    def country(self, code: str) -> str:
        """The name of a country in the reader's language, or its code if we know none."""
        found = countries().get(code)
        return found.names[self.language] if found else code

    def says(self, found: reading.Found) -> str:
        """The sentence of a record in the reader's language."""
        template, values = reading.telling(self.node, found)
        return self.texts.gettext(template).format_map(values)

    def who(self, origin: str) -> str:
        """What a member is called, or its short name if it has no standing here."""
        seat = self.roster.seats.get(origin)
        return seat.name if seat else label(origin)

    def log_name(self, origin: str) -> str:
        """What a log is called in an address: its member's id if only one is called so, otherwise the name of its folder."""
        name = label(origin)
        same = [other for other in self.node.holdings.origins() if label(other) == name]
        return name if len(same) == 1 else folder(origin)

    def origin_of(self, name: str) -> str:
        """The origin that is called `name` in an address. MissingError if none is."""
        by_folder = {folder(origin): origin for origin in self.node.holdings.origins()}
        return by_folder.get(name) or reading.resolve(self.node, name)

    def _shell(self) -> dict[str, Any]:
        charter = self.node.charter
        return {
            "charter": charter,
            "fresh": reading.freshness(self.node, self.roster),
            "roster": self.roster,
            "nav": [pillar.name for pillar in PILLARS],
            "languages": LANGUAGES,
            "label": label,
            "here": self.request.url.path,
        }

    def _speaker(self) -> Speaker | None:
        if not self.secret:
            return None
        try:
            with self.node.private_reading() as db:
                return secrets.session_speaker(db, self.secret, self.node.clock())
        except SignInError:
            return None


def sign_in(page: Page, speaker: Speaker, path: str = "/account") -> Response:
    """Begin a session for `speaker`, and go on to `path`."""
    with page.node.private_writing() as db:
        secret = secrets.make_session(db, speaker.person, page.now, page.node.settings.session_days)
    answer = page.redirect(path)
    secure = page.request.url.scheme == "https" or page.node.settings.url.startswith("https:")
    days = page.node.settings.session_days
    answer.set_cookie(SESSION, secret, max_age=days * 86_400, httponly=True, samesite="lax", secure=secure)
    return answer


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


def _language(request: Request) -> str:
    """The language that was chosen, or the first that the browser asks for and that has a catalogue, or English."""
    chosen = request.cookies.get(LANGUAGE, "")
    if chosen in LANGUAGES:
        return chosen
    for part in request.headers.get("accept-language", "")[:200].split(","):
        code = part.split(";")[0].strip().lower().split("-")[0]
        if code == "en" or (code in LANGUAGES and _catalogue(code) is not None):
            return code
    return "en"


def _catalogue(language: str) -> bytes | None:
    """The catalogue of a language, as it lies in the package, or None if there is none yet."""
    path = files(__package__ or "") / "translations" / f"{language}.po"
    return path.read_bytes() if path.is_file() else None


@cache
def _translations(language: str) -> NullTranslations:
    raw = _catalogue(language)
    if raw is None:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(raw), locale=language))
    compiled.seek(0)
    return Translations(compiled)


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
    environment.install_gettext_translations(_translations(language), newstyle=True)  # type: ignore[attr-defined]
    return environment
