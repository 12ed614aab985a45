"""Passkeys (WebAuthn): signing in with a key that never leaves the authenticator.

A challenge is made, kept for five minutes under its hash, and used once. The public key and the signature counter are kept;
a counter that goes backwards means that the key was copied, and is refused.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from concord.errors import MissingError, RefusedError, SignInError
from concord.private import people
from concord.private.people import Speaker
from concord.private.tables import challenge, passkey

MINUTES = 5
NAME = "Concord"


@dataclass(frozen=True)
class Site:
    """What a passkey is bound to: the host's name, and the whole origin of the page (scheme, host, port)."""

    host: str
    origin: str


@dataclass(frozen=True)
class Passkey:
    """A passkey of a person; its id in base64url. Times in POSIX seconds."""

    id: str
    label: str
    created: int
    used: int | None


def begin(db: Connection, site: Site, person: str, name: str, now: int) -> str:
    """What a browser needs to make a passkey, as JSON."""
    import webauthn
    from webauthn.helpers import structs

    others = [structs.PublicKeyCredentialDescriptor(id=_unbase64(key.id)) for key in of(db, person)]
    options = webauthn.generate_registration_options(
        rp_id=site.host,
        rp_name=NAME,
        user_id=sha256(person.encode()).digest(),
        user_name=person,
        user_display_name=name,
        exclude_credentials=others,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED, user_verification=structs.UserVerificationRequirement.REQUIRED
        ),
    )
    _remember(db, options.challenge, person, now)
    return webauthn.options_to_json(options)


def add(db: Connection, site: Site, person: str, label: str, answer: str, now: int) -> None:
    """Keep the passkey that a browser made. RefusedError if it does not answer our challenge."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        sent = json.loads(answer)
        verified = webauthn.verify_registration_response(
            credential=sent,
            expected_challenge=_recall(db, sent, person, now),
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (ValueError, LookupError, TypeError, WebAuthnException) as e:
        raise RefusedError(f"this passkey was not made for this page: {e}") from e
    id_ = _base64(verified.credential_id)
    if db.execute(select(passkey.c.id).where(passkey.c.id == id_)).first():
        raise RefusedError("this passkey is known here already")
    values = {"id": id_, "key": verified.credential_public_key, "count": verified.sign_count}
    db.execute(insert(passkey).values(person=person, label=label.strip()[:100] or "passkey", created=now, **values))


def begin_sign_in(db: Connection, site: Site, now: int) -> str:
    """What a browser needs to sign in with any passkey of this site, as JSON."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_authentication_options(
        rp_id=site.host, user_verification=structs.UserVerificationRequirement.REQUIRED
    )
    _remember(db, options.challenge, None, now)
    return webauthn.options_to_json(options)


def check(db: Connection, site: Site, answer: str, now: int) -> Speaker:
    """Who signed our challenge. SignInError if nobody known did."""
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        sent = json.loads(answer)
        row = db.execute(select(passkey).where(passkey.c.id == str(sent["id"]))).mappings().first()
        if row is None:
            raise SignInError("this passkey is not known here")
        verified = webauthn.verify_authentication_response(
            credential=sent,
            expected_challenge=_recall(db, sent, None, now),
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=row["key"],
            credential_current_sign_count=row["count"],
            require_user_verification=True,
        )
    except (ValueError, LookupError, TypeError, WebAuthnException) as e:
        raise SignInError(f"this passkey does not sign in here: {e}") from e
    db.execute(update(passkey).where(passkey.c.id == row["id"]).values(count=verified.new_sign_count, used=now))
    return people.speaker(db, row["person"])


def of(db: Connection, person: str) -> list[Passkey]:
    """The passkeys of a person, the oldest first."""
    rows = db.execute(select(passkey).where(passkey.c.person == person).order_by(passkey.c.created, passkey.c.id)).mappings()
    return [Passkey(row["id"], row["label"], row["created"], row["used"]) for row in rows]


def remove(db: Connection, person: str, id: str) -> None:  # noqa: A002  the id it is
    """Forget a passkey of a person. MissingError if there is none."""
    if db.execute(delete(passkey).where(passkey.c.id == id, passkey.c.person == person)).rowcount == 0:
        raise MissingError("no such passkey")


def _remember(db: Connection, content: bytes, person: str | None, now: int) -> None:
    db.execute(delete(challenge).where(challenge.c.expires <= now))
    values = {"hash": sha256(content).hexdigest(), "content": content, "person": person, "expires": now + MINUTES * 60}
    db.execute(insert(challenge).values(values))


def _recall(db: Connection, sent: dict[str, Any], person: str | None, now: int) -> bytes:
    """The challenge that an answer answers, used up. RefusedError if it is none of ours, or too old."""
    said = json.loads(_unbase64(sent["response"]["clientDataJSON"]))
    content = _unbase64(said["challenge"])
    mine = (challenge.c.hash == sha256(content).hexdigest()) & (challenge.c.expires > now)
    mine &= challenge.c.person.is_(None) if person is None else challenge.c.person == person
    if db.execute(delete(challenge).where(mine)).rowcount == 0:
        raise RefusedError("this took longer than five minutes, or was not asked for; try again")
    return content


def _base64(raw: bytes) -> str:
    from webauthn.helpers import bytes_to_base64url

    return bytes_to_base64url(raw)


def _unbase64(text: str) -> bytes:
    from webauthn.helpers import base64url_to_bytes

    return base64url_to_bytes(text)
