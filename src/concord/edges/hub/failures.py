"""What goes wrong at the Hub door, as its clients tell one failure from another: by status, and by the X-Error-Code header."""

from typing import ClassVar

import msgspec
from starlette.responses import PlainTextResponse, Response

from concord.errors import ConcordError, HeldError, MissingError, RefusedError, SignInError, StaleError, UnreachableError

DISABLED = "Access to this resource is disabled."  # word for word: the clients show what is held by it
BAD_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105  word for word: otherwise they say that there is no repo
WORDS_MAX = 500
_BASIC = 'Basic realm="Concord"'
AWAY = 10  # seconds after which it is worth to ask again for a file that is on no node that can be reached


class NoRepoError(MissingError):
    """No such repo, or none that the asker may see: the words are the same."""

    code: ClassVar[str] = "RepoNotFound"


class NoRevisionError(MissingError):
    """The repo has no such branch, tag or commit."""

    code: ClassVar[str] = "RevisionNotFound"


class NoEntryError(MissingError):
    """The revision has no such file or folder, or its bytes are not here. `headers` name the revision."""

    code: ClassVar[str] = "EntryNotFound"

    def __init__(self, message: str, commit: str) -> None:
        super().__init__(message)
        self.headers = {"X-Repo-Commit": commit}


class GatedError(RefusedError):
    """The repo is given to those who ask for it, and this one was not given it."""

    code: ClassVar[str] = "GatedRepo"


class GatedSignInError(SignInError):
    """The same, for somebody who did not say who it is."""

    code: ClassVar[str] = "GatedRepo"


class AwayError(UnreachableError):
    """The bytes are not here, and whoever may have them cannot be reached now. Clients try again after a while."""

    code: ClassVar[str] = "Away"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": str(AWAY)}


class AbsentError(MissingError):
    """The Hub has it, and Concord does not."""

    code: ClassVar[str] = "NotImplemented"


class TakenError(RefusedError):
    """There is one of this name already. `url` is that of the repo, if it is one; `slug` that of the collection."""

    code: ClassVar[str] = "AlreadyExists"

    def __init__(self, message: str, url: str = "", slug: str = "") -> None:
        super().__init__(message)
        self.url, self.slug = url, slug


class OutdatedError(StaleError):
    """The branch is not where whoever commits saw it."""

    code: ClassVar[str] = "Outdated"


# Before the table of the server, which knows the families only.
STATUS: tuple[tuple[type[ConcordError], int], ...] = (
    (AbsentError, 501),
    (TakenError, 409),
    (OutdatedError, 412),
    (AwayError, 503),
)


def tell(error: Exception, status: int, words: str, *, plain: bool = False) -> Response:
    """The answer that tells `error`: as JSON, or, for git, which shows no other, as `plain` text."""
    body = {"error": words, "message": words}
    if isinstance(error, TakenError):
        body |= {name: value for name, value in (("url", error.url), ("slug", error.slug)) if value}
    told = PlainTextResponse(f"{words}\n", status) if plain else None
    answer = told or Response(msgspec.json.encode(body), status, media_type="application/json")
    answer.headers["X-Error-Message"] = one_line(_message(error, words))
    code = getattr(error, "code", None)
    if code is not None:
        answer.headers["X-Error-Code"] = code
    if status == 401:
        answer.headers["WWW-Authenticate"] = _BASIC if plain else "Bearer"  # RFC 9110, section 15.5.2
        answer.headers["LFS-Authenticate"] = _BASIC
    return answer


def _message(error: Exception, words: str) -> str:
    if isinstance(error, HeldError):
        return DISABLED
    if isinstance(error, SignInError) and not isinstance(error, GatedSignInError):
        return BAD_TOKEN
    return words


def one_line(words: str) -> str:
    """Words as a header can carry them."""
    plain = " ".join(words.split()).encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else "?" for char in plain)[:WORDS_MAX]
