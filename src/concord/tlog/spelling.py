"""The one spelling of numbers and bytes in the text formats.

Python's own readers are too kind for trust code: `int` takes "+5", " 5", "1_0", "007" and Arabic digits, and
`b64decode` skips junk. These refuse whatever they would not write themselves.

>>> decimal("70000")
70000
>>> decimal("007")
Traceback (most recent call last):
concord.tlog.errors.MalformedError: not a decimal number: '007'
>>> unbase64("AAEC") == bytes(range(3))
True
"""

from base64 import b64decode, b64encode
from binascii import Error

from concord.tlog.errors import MalformedError

DIGITS_MAX = 19  # decimal digits of 2**63 - 1


def decimal(text: str, most: int = 2**63 - 1) -> int:
    """The number that `text` spells in ASCII digits without leading zero. MalformedError if it does not, or is over `most`."""
    if not (text.isascii() and text.isdigit()) or len(text) > DIGITS_MAX or (text[0] == "0" and text != "0"):
        raise MalformedError(f"not a decimal number: {text[:40]!r}")
    number = int(text)
    if number > most:
        raise MalformedError(f"{number} is over {most}")
    return number


def base64(raw: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return b64encode(raw).decode()


def unbase64(text: str, size: int | None = None) -> bytes:
    """The bytes that `text` spells in standard base64. MalformedError for another spelling or another size in bytes."""
    try:
        raw = b64decode(text, validate=True)
    except (Error, ValueError) as e:
        raise MalformedError(f"not base64: {text[:40]!r}") from e
    if base64(raw) != text:
        raise MalformedError(f"not canonical base64: {text[:40]!r}")
    if size is not None and len(raw) != size:
        raise MalformedError(f"{len(raw)} bytes where {size} belong")
    return raw
