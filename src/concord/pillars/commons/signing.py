"""A signature of a whole revision for tools outside: the bundle of OpenSSF Model Signing 1.0.

1. The manifest lists every file with its SHA-256, by path, part by part, and the subject is the SHA-256 of all these digests, one
   after another.
2. It stands in an in-toto statement (Statement v1) of the predicate type `https://model_signing/signature/v1.0`.
3. The statement is signed as DSSE says: over `DSSEv1 <length of type> <type> <length> <statement>`.
4. Statement and signature go into a Sigstore bundle 0.3, which names the key by a hint: the SHA-256 of its PEM text.

Verifiers of that format take keys on the curves P-256, P-384 and P-521, and not the Ed25519 keys that logs are signed with, so a
member has a key of its own for it, published in its log. What the signature says is less than what the log says: that these bytes
were signed by that key. When, and whether it was taken back, the log knows.

>>> statement("sheng-speech", {"a.txt": File(path="a.txt", size=1, sha256="9f" * 32)})[:52]
b'{"_type":"https://in-toto.io/Statement/v1","predicat'
>>> pae(b"{}")
b'DSSEv1 28 application/vnd.in-toto+json 2 {}'
"""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from concord.ledger.record import ENCODER
from concord.pillars.commons.tree import File, Tree

PAYLOAD = "application/vnd.in-toto+json"
PREDICATE = "https://model_signing/signature/v1.0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IGNORED = (".cache", ".concord", ".git", ".gitattributes", ".github", ".gitignore")  # what clients and git put beside a model


KEY = "model-signing-key.pem"  # the name under which a member publishes the key


def published_as(repo: str, oid: str) -> str:
    """The name under which the owner of a repo publishes the bundle of a revision."""
    return f"{repo}-{oid}.model-signing.json"


def statement(name: str, tree: Tree) -> bytes:
    """Steps 1 and 2: what is signed of a revision with these files. `name` is informative only."""
    files = sorted((file for file in tree.values() if not _ignored(file)), key=lambda file: file.path.split("/"))
    resources = [{"name": file.path, "algorithm": "sha256", "digest": file.sha256} for file in files]
    root = sha256(b"".join(bytes.fromhex(file.sha256) for file in files)).hexdigest()
    serialization = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": list(IGNORED)}
    return ENCODER.encode(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": root}}],
            "predicateType": PREDICATE,
            "predicate": {"serialization": serialization, "resources": resources},
        }
    )


def pae(payload: bytes) -> bytes:
    """Step 3: the bytes that a signature is over (DSSE v1, "pre-authentication encoding")."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def bundle(payload: bytes, signature: bytes, key: bytes) -> dict[str, Any]:
    """Step 4: the bundle of a statement, its signature (ECDSA, DER), and the public key as PEM text."""
    return {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": sha256(key).hexdigest()}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": b64encode(payload).decode(),
            "payloadType": PAYLOAD,
            "signatures": [{"sig": b64encode(signature).decode(), "keyid": ""}],
        },
    }


def _ignored(file: File) -> bool:
    return any(file.path == name or file.path.startswith(f"{name}/") for name in IGNORED)
