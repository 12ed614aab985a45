"""Who asks: by a token of a program. (Browsers have sessions, which are the web door's.)"""

from base64 import b64decode

from starlette.requests import Request

from concord.errors import SignInError
from concord.node import Node
from concord.private import secrets
from concord.private.people import Speaker

BEARER = "bearer "
BASIC = "basic "


def bearer(node: Node, request: Request) -> Speaker | None:
    """The speaker whose token the request carries, or None if it carries none. SignInError if the token is not good."""
    header = request.headers.get("authorization", "")
    if not header:
        return None
    secret = _secret(header)
    now = node.clock()
    with node.private_reading() as db:
        speaker = secrets.token_speaker(db, secret, now)
        noted = secrets.is_noted(db, secret, now)
    if not noted:
        with node.private_writing() as db:
            secrets.note_use(db, secret, now)
    return speaker


def required(node: Node, request: Request) -> Speaker:
    """The same, and SignInError if there is no token."""
    speaker = bearer(node, request)
    if speaker is None:
        raise SignInError("this needs a token: Authorization: Bearer hf_…")
    return speaker


def token(node: Node, request: Request) -> secrets.Token | None:
    """What is known of the token that the request carries."""
    with node.private_reading() as db:
        return secrets.known(db, _secret(request.headers.get("authorization", "")))


def _secret(header: str) -> str:
    """The token in an Authorization header. Git and its companions send it as the password that goes with any name."""
    if header.lower().startswith(BEARER):
        return header[len(BEARER) :].strip()
    if not header.lower().startswith(BASIC):
        raise SignInError("send a token: Authorization: Bearer hf_…")
    try:
        return b64decode(header[len(BASIC) :].strip(), validate=True).decode().partition(":")[2]
    except ValueError as e:
        raise SignInError("an Authorization header that cannot be read") from e


def address(node: Node, request: Request) -> str:
    """Where the request comes from. X-Forwarded-For is believed only as far as the settings say proxies stand before us."""
    direct = request.client.host if request.client else ""
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    proxies = node.settings.proxies
    return hops[-proxies] if 0 < proxies <= len(hops) else direct
