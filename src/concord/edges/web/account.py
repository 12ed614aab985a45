"""Signing in and out, and what is one's own: password, passkeys, tokens."""

import json
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import Response

from concord.edges.web.page import ACCOUNT, SESSION, Page, inside, sign_in, where_from
from concord.errors import RefusedError, SignInError
from concord.ledger.pillar import Role
from concord.ledger.record import tag
from concord.ledger.statements import LEDGER
from concord.node import PILLARS
from concord.private import attempts, passkeys, people, secrets
from concord.private.people import Speaker
from concord.tlog.errors import ConcordError
from concord.tlog.spelling import decimal


def ask(page: Page) -> Response:
    """The ways to sign in; `back` in the address is where to go on after it."""
    return _ask(page, back=page.request.query_params.get("back", ""))


def ask_by_link(page: Page) -> Response:
    """The button that uses a one-time link. Opening the link does not: mail programs open links before people do."""
    return page.render("sign-in-link.html")


def by_link(page: Page, _: dict[str, str]) -> Response:
    """A one-time link."""
    secret = page.request.path_params["link"]
    try:
        return _attempt(page, (f"link {where_from(page)}",), lambda: _use_link(page, secret))
    except SignInError as e:
        return _ask(page, wrong=str(e), status=401)


def by_password(page: Page, sent: dict[str, str]) -> Response:
    """Name and password."""
    name = sent.get("name", "").strip().lower()[:64]
    keys, back = (f"person {name}", f"address {where_from(page)}"), sent.get("back", "")
    try:
        return _attempt(page, keys, lambda: _check_password(page, name, sent.get("password", "")), back)
    except SignInError as e:
        return _ask(page, wrong=str(e), status=401, back=back)


def by_passkey(page: Page, sent: dict[str, str]) -> Response:
    """What the browser's authenticator signed."""
    keys = (f"passkey {where_from(page)}",)
    return _attempt(page, keys, lambda: _check_passkey(page, sent.get("answer", "")))


def begin_sign_in(page: Page, _: dict[str, str]) -> Response:
    """What the browser's authenticator is to sign."""
    with page.node.private_writing() as db:
        return _json(passkeys.begin_sign_in(db, _site(page), page.now))


def leave(page: Page, _: dict[str, str]) -> Response:
    """Sign out."""
    with page.node.private_writing() as db:
        secrets.end_session(db, page.secret)
    answer = page.redirect("/")
    answer.delete_cookie(SESSION)
    return answer


def show(page: Page) -> Response:
    """What is one's own."""
    return _own(page)


def set_password(page: Page, sent: dict[str, str]) -> Response:
    """Set or change the password."""
    speaker = page.require()
    try:
        with page.node.private_writing() as db:
            people.set_password(db, speaker.person, sent.get("password", ""))
    except RefusedError as e:
        return _own(page, wrong=str(e), status=400)
    return page.redirect("/account#password")


def make_token(page: Page, sent: dict[str, str]) -> Response:
    """A token, shown this once."""
    speaker = page.require()
    scopes = [name.removeprefix("scope-") for name in sent if name.startswith("scope-")]
    try:
        days = decimal(sent.get("days", "") or str(page.node.settings.token_days))
        with page.node.private_writing() as db:
            made = secrets.make_token(db, speaker.person, sent.get("label", ""), scopes or [people.READ], page.now, days)
    except ConcordError as e:
        return _own(page, wrong=str(e), status=400)
    return _own(page, token=made)


def revoke_token(page: Page, sent: dict[str, str]) -> Response:
    """End one of one's tokens."""
    speaker = page.require()
    with page.node.private_writing() as db:
        secrets.revoke(db, sent.get("id", ""), speaker.person)
    return page.redirect("/account")


def begin_passkey(page: Page, _: dict[str, str]) -> Response:
    """What the browser's authenticator is to make a key for."""
    speaker = page.require()
    with page.node.private_writing() as db:
        return _json(passkeys.begin(db, _site(page), speaker.person, speaker.name, page.now))


def add_passkey(page: Page, sent: dict[str, str]) -> Response:
    """Keep the public side of a passkey that was just made."""
    speaker = page.require()
    with page.node.private_writing() as db:
        passkeys.add(db, _site(page), speaker.person, sent.get("label", ""), sent.get("answer", ""), page.now)
    return _json("{}")


def remove_passkey(page: Page, sent: dict[str, str]) -> Response:
    """Forget a passkey."""
    speaker = page.require()
    with page.node.private_writing() as db:
        passkeys.remove(db, speaker.person, sent.get("id", ""))
    return page.redirect("/account")


def _ask(page: Page, wrong: str = "", status: int = 200, back: str = "") -> Response:
    by_name, hosted = _named(_site(page)), sorted(map(page.who, page.hosted))
    return page.render("sign-in.html", status, wrong=wrong, by_name=by_name, hosted=hosted, after=inside(back) if back else "")


def _own(page: Page, wrong: str = "", token: str = "", status: int = 200) -> Response:
    speaker = page.require()
    with page.node.private_reading() as db:
        person = people.find(db, speaker.person)
        tokens, keys = secrets.tokens(db, speaker.person), passkeys.of(db, speaker.person)
    return page.render(
        "account.html",
        status,
        person=person,
        tokens=tokens,
        passkeys=keys,
        wrong=wrong,
        token=token,
        may_say=_may_say(speaker),
        by_name=_named(_site(page)),
    )


def _may_say(speaker: Speaker) -> dict[str, list[str]]:
    """The record types that are open to the speaker, under the role that each takes."""
    roles = {kind: role for pillar in (LEDGER, *PILLARS) for kind, role in pillar.roles.items()}
    mine = {str(role): [tag(kind) for kind in roles if roles[kind] is role] for role in Role if speaker.may(role)}
    return {role: kinds for role, kinds in mine.items() if kinds}


def _attempt(page: Page, keys: tuple[str, ...], check: Callable[[], Speaker], back: str = "") -> Response:
    """Sign in whoever `check` finds, if there were not too many failures of late, and go on to `back`; a failure is counted."""
    most = page.node.settings.attempts
    with page.node.private_writing() as db:
        attempts.check(db, keys, page.now, most)
    try:
        speaker = check()
    except SignInError:
        with page.node.private_writing() as db:
            attempts.failed(db, keys, page.now)
        raise
    with page.node.private_writing() as db:
        attempts.forget(db, f"person {speaker.person}")
    return sign_in(page, speaker, inside(back) if back else ACCOUNT)


def _use_link(page: Page, secret: str) -> Speaker:
    with page.node.private_writing() as db:
        return secrets.use_link(db, secret, page.now)


def _check_password(page: Page, name: str, password: str) -> Speaker:
    with page.node.private_reading() as db:
        return people.check_password(db, name, password)


def _check_passkey(page: Page, answer: str) -> Speaker:
    with page.node.private_writing() as db:
        return passkeys.check(db, _site(page), answer, page.now)


def _site(page: Page) -> passkeys.Site:
    """The site that a passkey is bound to: the address that others reach us at, or else the one in the browser's bar."""
    url = page.node.settings.url or f"{page.request.url.scheme}://{page.request.headers.get('host', 'localhost')}"
    parts = urlsplit(url)
    return passkeys.Site(parts.hostname or "localhost", f"{parts.scheme}://{parts.netloc}")


def _named(site: passkeys.Site) -> str:
    """Empty if passkeys work at the address in the browser's bar; otherwise, if we know one, the address where they do.

    A passkey is bound to a name, never to a number: at 127.0.0.1 there are none, at localhost there are.
    """
    try:
        number = ip_address(site.host)
    except ValueError:
        return ""
    return site.origin.replace(f"[{site.host}]" if number.version == 6 else site.host, "localhost") if number.is_loopback else "?"


def _json(content: str) -> Response:
    json.loads(content)
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})
