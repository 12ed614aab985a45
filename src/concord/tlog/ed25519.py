"""One answer to the question whether an Ed25519 signature is good.

Libraries disagree: of 914 published edge cases (C2SP/CCTV), OpenSSL accepts 165 that libsodium rejects, and whoever owns
a genuine key can make such a signature on purpose, so that half of a federation accepts it and half does not. Here is
the only function that decides. It is strict on three counts:

1. the public key is the canonical encoding of a point of prime order;
2. R, the first half of the signature, is none of the 14 encodings of points of low order;
3. libsodium verifies: S is below the group order, and R is the very encoding that it computes.

>>> seed = bytes(32)
>>> accepts(public_key(seed), b"hello", sign(seed, b"hello"))
True
>>> accepts(public_key(seed), b"hello", sign(seed, b"other"))
False
"""

from functools import lru_cache

from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

KEY_SIZE = 32
SIGNATURE_SIZE = 64
SEED_SIZE = 32

_P = 2**255 - 19
_ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SIGN_BIT = 1 << 255


def _low_order_encodings() -> frozenset[bytes]:
    """Every encoding of a point of order 1, 2, 4 or 8: y and its non-canonical twin y + p, with either sign bit."""
    low = (0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y, _P, _P + 1)
    return frozenset((y | sign).to_bytes(32, "little") for y in low for sign in (0, _SIGN_BIT))


LOW_ORDER = _low_order_encodings()


def public_key(seed: bytes) -> bytes:
    """The 32-byte public key of a 32-byte seed (RFC 8032, 5.1.5)."""
    public, _ = crypto_sign_seed_keypair(seed)
    return bytes(public)


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64-byte signature of `message` (RFC 8032, 5.1.6)."""
    _, secret = _pair(seed)
    return bytes(crypto_sign(message, secret)[:SIGNATURE_SIZE])


def accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) by `public` (32 bytes) on `message` is good; the module docstring says what that takes."""
    if len(signature) != SIGNATURE_SIZE or not is_public_key(public) or signature[:32] in LOW_ORDER:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True


@lru_cache(maxsize=4096)
def is_public_key(public: bytes) -> bool:
    """Whether `public` is the canonical encoding of a point of prime order."""
    return len(public) == KEY_SIZE and bool(crypto_core_ed25519_is_valid_point(public))


@lru_cache(maxsize=64)
def _pair(seed: bytes) -> tuple[bytes, bytes]:
    return crypto_sign_seed_keypair(seed)
