"""Signing a revision for tools outside (OpenSSF Model Signing): the key, the bundle, and their place in the log.

The key is made when it is first needed. Its private half stays in the home, `keys/<member>.model-signing.pem`, readable by its
owner only; its public half is published in the member's log, so that whoever trusts the log finds the key that belongs to it. A
repo is signed by its owner, on a node that signs the owner's log, and by nobody else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from concord.errors import DamagedError, RefusedError, SettingsError
from concord.ledger.identity import label
from concord.ledger.keyring import write
from concord.ledger.statements import Deposit
from concord.node import Node
from concord.pillars.commons import signing
from concord.pillars.commons.edition import Edition
from concord.private.people import Speaker
from concord.reading import deposited

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ABOUT_KEY = "The public key (P-256) that this member signs revisions with, for verifiers of OpenSSF Model Signing."
ABOUT_BUNDLE = "A signature over every file of the revision, for verifiers of OpenSSF Model Signing."


@dataclass(frozen=True)
class Signed:
    """A bundle, and the digest of the blob that is the public key."""

    bundle: dict[str, Any]
    key: str


def sign(node: Node, home: Path, speaker: Speaker, edition: Edition) -> Signed:
    """Sign a revision for its owner, whose key is made and published if it is not yet. RefusedError if it is another's."""
    if edition.repo.owner != speaker.origin or speaker.origin not in node.holdings.hosted():
        raise RefusedError(f"{edition.name} is signed by its owner, on the node that signs the owner's log")
    key = _key(home, speaker.origin)
    public = public_pem(key)
    payload = signing.statement(edition.name, edition.tree)
    return Signed(
        signing.bundle(payload, _signature(key, payload), public), _publish(node, speaker, signing.KEY, public, ABOUT_KEY)
    )


def publish(node: Node, speaker: Speaker, edition: Edition, bundle: bytes) -> str:
    """Publish a bundle in the owner's log, so that every node can hand it out; the digest. RefusedError for a private repo."""
    if edition.revision.index is None:
        raise RefusedError(f"{edition.name} is private, and a signature in the log would tell of it")
    return _publish(node, speaker, signing.published_as(edition.repo.name, edition.revision.oid), bundle, ABOUT_BUNDLE)


def public_pem(key: "EllipticCurvePrivateKey") -> bytes:
    """The public half, as PEM text."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _signature(key: "EllipticCurvePrivateKey", payload: bytes) -> bytes:
    """ECDSA with SHA-256, in which nothing is random (RFC 6979): the same revision has the same signature."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    return key.sign(signing.pae(payload), ECDSA(SHA256(), deterministic_signing=True))


def _key(home: Path, origin: str) -> "EllipticCurvePrivateKey":
    """The member's key; made if there is none. SettingsError if others may read it; DamagedError if it is none."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = home / "keys" / f"{label(origin)}.model-signing.pem"
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path}: others may read this private key. Say: chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as e:
        raise DamagedError(f"{path}: this is no private key") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise DamagedError(f"{path}: this is no private key on the curve P-256")
    return key


def _make(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = generate_private_key(SECP256R1())
    write(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _publish(node: Node, speaker: Speaker, name: str, content: bytes, about: str) -> str:
    """Publish bytes under a name, unless the member did; their digest."""
    digest, size = node.blobs.put([content])
    known = {(row["origin"], row["name"], row["blob"]) for row in deposited(node)}
    if (speaker.origin, name, digest) not in known:
        media = "application/json" if name.endswith(".json") else "application/x-pem-file"
        blob = {"digest": digest, "size": size, "media": media}
        node.say(speaker, Deposit, msgspec.to_builtins({"name": name, "blob": blob, "about": about}))
        node.cosign()
    return digest
