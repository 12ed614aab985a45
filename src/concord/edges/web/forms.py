"""What a form sent: fields and files, out of the two encodings that browsers use (HTML, form submission; RFC 7578).

>>> read("application/x-www-form-urlencoded", b"name=two+words&empty=").fields
{'name': 'two words', 'empty': ''}
>>> parts = b'--x\\r\\nContent-Disposition: form-data; name="f"; filename="a.txt"\\r\\n\\r\\nhello\\r\\n--x--\\r\\n'
>>> read("multipart/form-data; boundary=x", parts).files
[('a.txt', b'hello')]
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from concord.errors import MalformedError

FIELDS_MAX = 50  # fields and files together
_BOUNDARY = re.compile(r'multipart/form-data;\s*boundary=("?)([A-Za-z0-9\'()+_,./:=? -]{1,70})\1\s*\Z')
_NAME = re.compile(rb'(?i)content-disposition:\s*form-data;\s*name="([^"\r\n]*)"(?:;\s*filename="([^"\r\n]*)")?')
_END = b"\r\n"


@dataclass(frozen=True)
class Sent:
    """Fields by name, and files, each with the name that it has where it comes from. A field sent twice counts once."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)


def read(media: str, body: bytes) -> Sent:
    """What a form sent. MalformedError if it is none."""
    try:
        if not media.startswith("multipart/"):
            return Sent(dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)))
        return _parts(media, body)
    except ValueError as e:
        raise MalformedError("this is not a form") from e


def _parts(media: str, body: bytes) -> Sent:
    boundary = _BOUNDARY.match(media)
    if boundary is None:
        raise MalformedError("a form in parts that does not say what is between them")
    between = _END + b"--" + boundary[2].encode()
    first, *parts = (_END + body).split(between, FIELDS_MAX + 1)
    if first or not parts or parts[-1].rstrip(_END) != b"--":
        raise MalformedError(f"a form in parts that has no end, or more than {FIELDS_MAX} of them")
    sent = Sent()
    for part in parts[:-1]:
        head, blank, content = part.removeprefix(_END).partition(_END + _END)
        named = _NAME.search(head)
        if named is None or not blank:
            raise MalformedError("a form with a part that has no name")
        if named[2] is None:
            sent.fields[named[1].decode()] = content.decode()
        elif named[2]:
            sent.files.append((named[2].decode().replace("%22", '"'), content))
    return sent
