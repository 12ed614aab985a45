"""`git clone` and `git fetch` of a repo, over HTTP. What is to be changed is changed by `hf upload`: git cannot sign a record."""

from collections.abc import Iterable, Sequence

from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from concord.edges.hub import packs
from concord.edges.hub.asking import Ask
from concord.edges.hub.failures import AbsentError, one_line
from concord.edges.ranges import Flow
from concord.pillars.commons.git import Oid, refs
from concord.pillars.commons.records import KINDS
from concord.pillars.commons.repo import MAIN
from concord.pillars.commons.tree import pointer

BODY_MAX = 8 << 20  # bytes of a request, unpacked
ADDRESSES = ("/info/refs", "/git-upload-pack", "/git-receive-pack")
FRESH = {"Cache-Control": "no-cache"}


def asked(scope: Scope) -> bool:
    """Whether it is git that asks."""
    return str(scope["path"]).endswith(ADDRESSES)


def info(ask: Ask) -> Response:
    """Which branches, tags and pull requests there are to be cloned or fetched."""
    service = ask.query("service")
    if service == "git-receive-pack":
        return push(ask)
    if service != packs.SERVICE:
        raise AbsentError("this needs git 1.6.6 or newer, which says what it wants")
    repo = ask.served_to_git()
    branch = MAIN if MAIN in repo.branches else next(iter(repo.branches), MAIN)
    told = packs.advertised(refs(repo, ask.hub.clones.objects(repo).names), f"refs/heads/{branch}")
    return Response(told, headers=FRESH, media_type=f"application/x-{packs.SERVICE}-advertisement")


def upload_pack(ask: Ask) -> Response:
    """The pack that a client lacks, or what is common so far. HeldError or ErasedError if a file in it may not be given."""
    repo = ask.served_to_git()
    body = packs.unzipped(ask.body, BODY_MAX) if ask.request.headers.get("content-encoding") == "gzip" else ask.body
    objects, shelf = ask.hub.clones.objects(repo), ask.hub.shelf

    def read(oid: Oid) -> bytes:
        file = objects.files[oid]
        return pointer(file) if file.large else b"".join(shelf.read(repo, file))

    def begin(oids: Sequence[Oid]) -> str:
        files = [objects.files[oid] for oid in oids if oid in objects.files]
        for file in files:
            if not file.large:
                shelf.node.blobs.check_allowed(file.sha256)
        large = sum(file.large for file in files)
        more = f" {large} are pointers to large files: git lfs pull, or hf download {ask.hub.name(repo.id)}" if large else ""
        return f"{len(oids)} objects.{more}\n"

    pieces = packs.answer(packs.parse(body), objects, read, begin)
    return Flow(pieces, 200, FRESH, f"application/x-{packs.SERVICE}-result")


def push(ask: Ask) -> Response:
    """What to do in its place. Git shows the words of an answer in plain text, and of no other."""
    name, kind = f"{ask.words['ns']}/{ask.words['name']}", KINDS[ask.words.get("type", "models")]
    option = "" if kind == "model" else f" --repo-type {kind}"
    words = (
        "Git clones and fetches, and cannot push: each commit here is a signed record of a member, which git cannot make.",
        f"To send files: hf upload {name} FOLDER{option}",
        "A Git repository elsewhere can keep its large files here: set lfs.url in its .lfsconfig.",
    )
    headers = {"X-Error-Code": AbsentError.code, "X-Error-Message": one_line(words[0])}
    return PlainTextResponse(_lines(words), 501, headers)


def _lines(words: Iterable[str]) -> str:
    return "".join(f"{one_line(line)}\n" for line in words)
