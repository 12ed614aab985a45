"""What pages load besides themselves: one style sheet, one script, one picture.

Each is addressed with a digest of its content, so that a browser keeps it for ever and still sees a new version at once.
"""

from functools import cache
from gzip import compress
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from concord.errors import MissingError

MEDIA = {"concord.css": "text/css", "commons.css": "text/css", "passkey.js": "text/javascript", "mark.svg": "image/svg+xml"}
_FOR_EVER, _FOR_AN_HOUR = "public, max-age=31536000, immutable", "public, max-age=3600"


def address(name: str) -> str:
    """Where a page finds the file `name`."""
    return f"/static/{name}?v={_version(name)}"


def serve(request: Request) -> Response:
    """The file that the address names."""
    name = request.path_params.get("name", "mark.svg")
    if name not in MEDIA:
        raise MissingError("there is nothing at this address")
    known = request.query_params.get("v") == _version(name)
    takes = takes_gzip(request)
    headers = {"Cache-Control": _FOR_EVER if known else _FOR_AN_HOUR, "Vary": "Accept-Encoding"}
    headers |= {"Content-Encoding": "gzip"} if takes else {}
    return Response(_packed(name) if takes else _content(name), headers=headers, media_type=MEDIA[name])


def takes_gzip(request: Request) -> bool:
    """Whether the reader takes what is packed by gzip: over a poor line it comes in a fifth of the time."""
    return "gzip" in request.headers.get("accept-encoding", "")


@cache
def _content(name: str) -> bytes:
    return (files(__package__ or "") / "static" / name).read_bytes()


@cache
def _packed(name: str) -> bytes:
    return compress(_content(name), 9, mtime=0)


@cache
def _version(name: str) -> str:
    return sha256(_content(name)).hexdigest()[:12]
