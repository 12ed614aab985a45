"""Commits, as clients make them: first they ask how each file is to be sent, then they send a line for each.

    {"key": "header", "value": {"summary": "Add weights", "description": "", "parentCommit": "9f86d081…"}}
    {"key": "file", "value": {"path": "README.md", "content": "IyBX…", "encoding": "base64"}}
    {"key": "lfsFile", "value": {"path": "model.safetensors", "algo": "sha256", "oid": "60303ae2…", "size": 5000000}}
    {"key": "deletedFile", "value": {"path": "old.bin"}}
    {"key": "deletedFolder", "value": {"path": "data/"}}

The lines are taken one by one as they come, so that a commit of many files costs the memory of one.
"""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.responses import Response

from concord.edges.hub import refs
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.failures import OutdatedError, one_line
from concord.edges.hub.shapes import README
from concord.errors import MalformedError, MissingError, StaleError, TooLargeError
from concord.pillars.commons import Card, File, Repo, Revision, attributes
from concord.pillars.commons.card import card, faults, matter
from concord.pillars.commons.tree import check_path, clashes, git_blob, git_oid, odd
from concord.private.people import Speaker
from concord.shelf import Draft, pull_requests

COMMIT_MAX = 4 << 30  # bytes of one commit
LINE_MAX = 16 << 20  # bytes of one line: a file of 10 MB in base64, and its path
LINES_MAX = 200_000
CHANGES_HELD = 500  # files that are given to the repo at once
SHA256_LENGTH = 64


class Sample(msgspec.Struct):
    """The beginning of a file that a client wants to send."""

    path: str
    size: int
    sample: str = ""


class Preupload(msgspec.Struct, rename="camel"):
    """The files that a client wants to send."""

    files: list[Sample]
    git_ignore: str | None = None


class Header(msgspec.Struct, rename="camel"):
    """What is said of a commit."""

    summary: str = ""
    description: str = ""
    parent_commit: str | None = None


class Put(msgspec.Struct):
    """A file that is kept whole."""

    path: str
    content: str
    encoding: str = "utf-8"


class PutLarge(msgspec.Struct):
    """A large file, which was sent before."""

    path: str
    oid: str
    algo: str = "sha256"
    size: int | None = None


class Remove(msgspec.Struct):
    """A file or folder to remove."""

    path: str


class Line(msgspec.Struct):
    """One line of a commit."""

    key: str
    value: msgspec.Raw


class Validated(msgspec.Struct, rename="camel"):
    """A README.md to be looked at."""

    content: str
    repo_type: str | None = None


def preupload(ask: Ask) -> Response:
    """How each file is to be sent, and what stands at its path now.

    StorageError if a large one is to come and there is no room for any: no later answer shows its words to whoever uses a client.
    """
    speaker = ask.publisher()
    repo = ask.repo(speaker)
    tree = ask.hub.shelf.tree(repo, found) if (found := _standing(ask, repo)) else {}
    wanted = ask.json(Preupload)
    patterns = ask.hub.shelf.large_patterns(repo, tree)
    told, coming = [], 0
    for each in wanted.files:
        raw = _decoded(each.sample)
        mode = "lfs" if attributes.is_large(each.path, each.size, raw, patterns) else "regular"
        told.append({"path": each.path, "uploadMode": mode, "shouldIgnore": False} | _now(tree.get(each.path)))
        coming += 0 if mode == "regular" or _is_there(tree.get(each.path), each) else max(0, each.size)
    ask.need(coming, least=1)
    return answer({"files": told}, headers=_tight(coming, ask.hub.content.room()))


def commit(ask: Ask, body: Iterator[bytes]) -> Response:
    """Take a commit."""
    speaker = ask.publisher()
    repo = ask.repo(speaker)
    ref = refs.target(ask, repo)
    taking = Taking(ask, repo)
    for line in lines(body):
        taking.take(line)
    draft = taking.draft(ref, _standing(ask, repo))
    try:
        if ask.flag("create_pr"):
            return _propose(ask, speaker, repo, draft)
        revision = ask.hub.shelf.commit(speaker, repo, draft)
    except StaleError as e:
        raise OutdatedError(f"{e}. Look at what is there now, and commit again", 0) from e
    return answer(_made(ask, repo, revision), headers=ask.provenance(revision) | _warned(ask, repo, revision, draft))


def validate(ask: Ask) -> Response:
    """What is wrong with the front matter of a README.md."""
    try:
        wrong = faults(matter(ask.json(Validated).content.encode()))
    except MalformedError as e:
        return answer({"error": str(e), "errors": [{"message": str(e)}], "warnings": []}, 400)
    return answer({"errors": [], "warnings": [{"message": each} for each in wrong]})


class Taking:
    """A commit that is being taken, line by line."""

    def __init__(self, ask: Ask, repo: Repo) -> None:
        self._ask = ask
        self._repo = repo
        self._header: Header | None = None
        self._put: list[File] = []
        self._large: list[PutLarge] = []
        self._removed: list[str] = []
        self._new: set[str] = set()
        self._card: Card | None = None

    def take(self, raw: bytes) -> None:
        """Take one line. MalformedError if it is none."""
        line = _read(raw, Line)
        if (line.key == "header") == (self._header is not None):
            raise MalformedError("a commit begins with its one header")
        match line.key:
            case "header":
                self._header = _read(line.value, Header)
            case "file":
                self._take_file(_read(line.value, Put))
            case "lfsFile":
                large = _read(line.value, PutLarge)
                check_path(large.path)
                self._large.append(large)
            case "deletedFile" | "deletedFolder":
                self._removed.append(check_path(_read(line.value, Remove).path.rstrip("/")))
            case _:
                raise MalformedError(f"a commit has no lines {line.key[:50]!r}")

    def draft(self, ref: str, standing: Revision | None) -> Draft:
        """What is to be committed. MalformedError if it names a large file that is not here."""
        if self._header is None:
            raise MalformedError("a commit begins with its header, and this one is empty")
        self._ask.hub.content.give(self._repo, self._new)
        put = [*self._put, *self._larges(standing)]
        touched = {*self._removed, *(file.path for file in put)}
        said = self._card if self._card is not None else Card() if README in touched else None
        return Draft(
            ref,
            self._header.summary,
            self._header.description,
            put=put,
            removed=self._removed,
            parent=self._header.parent_commit or None,
            card=said,
        )

    def _take_file(self, said: Put) -> None:
        check_path(said.path)
        content = _content(said)
        if len(content) > attributes.REGULAR_MAX or attributes.is_binary(content, len(content)):
            raise MalformedError(f"{said.path}: files over 10 MB, and files that are not text, are sent as large files (LFS)")
        digest = self._ask.hub.content.keep(content)
        self._new.add(digest)
        if len(self._new) >= CHANGES_HELD:
            self._ask.hub.content.give(self._repo, self._new)
            self._new.clear()
        self._put.append(File(path=said.path, size=len(content), sha256=digest, oid=git_blob(content)))
        if said.path == README:
            self._card = card(content)

    def _larges(self, standing: Revision | None) -> list[File]:
        """The large files: of those that were sent for this repo, or stand in it already."""
        if not self._large:
            return []
        named = {each.oid for each in self._large if _is_digest(each.oid)}
        self._ask.hub.content.renew(named)
        here = self._ask.hub.content.have(self._repo, named)
        tree = self._ask.hub.shelf.tree(self._repo, standing) if standing else {}
        sizes = {file.sha256: file.size for file in tree.values() if file.large}
        sizes |= {digest: self._ask.hub.content.size(self._repo, digest) for digest in here}
        found = []
        for each in self._large:
            size = sizes.get(each.oid)
            if each.algo != "sha256" or size is None:
                raise MalformedError(f"{each.path}: the large file {each.oid[:64]} was not sent to this repo")
            if each.size not in (None, size):
                raise MalformedError(f"{each.path}: the large file {each.oid} has {size} bytes, and not {each.size}")
            found.append(File(path=each.path, size=size, sha256=each.oid, xet=self._ask.hub.content.xet(each.oid)))
        return found


def lines(body: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a body. TooLargeError for one that is too long, or too many.

    >>> list(lines(iter([b"a\\nb", b"c\\n\\n", b"d"])))
    [b'a', b'bc', b'd']
    """
    held = bytearray()
    count = 0
    for piece in body:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            held += line
            if held:
                count += 1
                yield _checked(bytes(held), count)
            held.clear()
        held += rest
        _checked(held, count)
    if held:
        yield _checked(bytes(held), count + 1)


def _checked(line: Any, count: int) -> Any:
    if len(line) > LINE_MAX or count > LINES_MAX:
        raise TooLargeError(f"a commit has at most {LINES_MAX} lines of at most {LINE_MAX} bytes")
    return line


def _standing(ask: Ask, repo: Repo) -> Revision | None:
    """The revision that a commit to the path's ref would follow, if there is one."""
    number = refs.pull_number(ask.words["rev"])
    name = ask.words["rev"]
    if number is not None and (thread := repo.threads.get(number)) and thread.head is None:
        name = thread.begun.onto
    try:
        return repo.find(name)
    except MissingError:
        return None


def _propose(ask: Ask, speaker: Speaker, repo: Repo, draft: Draft) -> Response:
    """Commit to a pull request of its own. One that was just proposed in these very words is not proposed twice."""
    onto = draft.ref
    thread, revision = pull_requests.propose(ask.hub.shelf, speaker, repo, draft)
    told = _made(ask, repo, revision)
    url = f"{ask.base}{ask.address(repo)}/discussions/{thread.number}"
    return answer(told | {"pullRequestUrl": url, "pullRequestNum": thread.number, "base": onto})


def _made(ask: Ask, repo: Repo, revision: Revision) -> dict[str, Any]:
    url = f"{ask.base}{ask.address(repo)}/commit/{revision.oid}"
    return {"success": True, "commitOid": revision.oid, "commitUrl": url, "hookOutput": ""}


def _warned(ask: Ask, repo: Repo, revision: Revision, draft: Draft) -> dict[str, str]:
    """What the client logs, if what was put differs from another file in capitals alone, or has a name that some disk refuses."""
    found = clashes(ask.hub.shelf.tree(repo, revision), [file.path for file in draft.put])
    refused = next((file.path for file in draft.put if odd(file.path)), None)
    if found:
        words = f"{found[0][0]} and {found[0][1]} differ in capitals alone. Many disks take them for one file, and keep the last"
    elif refused is not None:
        words = f"{refused!r} cannot be downloaded to a Windows disk, which takes no such name"
    return {"X-HF-Warning": one_line(f"paths; {words}")} if found or refused is not None else {}


def _is_there(file: File | None, sample: Sample) -> bool:
    """Whether a file stands at its path already, for all that is known before it is sent."""
    return file is not None and file.size == sample.size


def _tight(coming: int, room: int) -> dict[str, str]:
    """What the client logs, if files may not have room: how much of them is here already is not known yet."""
    if coming <= room:
        return {}
    words = f"these files have {coming / 1e6:,.1f} MB, and this node has {room / 1e6:,.1f} MB left. What is not here may not fit"
    return {"X-HF-Warning": one_line(f"space; {words}")}


def _now(file: File | None) -> dict[str, str]:
    """What stands at a path, so that clients do not send it again."""
    return {} if file is None else {"oid": file.sha256 if file.large else git_oid(file)}


def _content(said: Put) -> bytes:
    if said.encoding not in ("base64", "utf-8"):
        raise MalformedError(f"{said.path}: a file is spelled in base64 or utf-8")
    return _decoded(said.content) if said.encoding == "base64" else said.content.encode()


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as e:
        raise MalformedError("a file that is not spelled in base64") from e


def _is_digest(text: str) -> bool:
    return len(text) == SHA256_LENGTH and set(text) <= set("0123456789abcdef")


def _read(raw: Any, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"a line of a commit that cannot be read: {e}") from e
