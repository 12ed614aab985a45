"""The Xet protocol: large files come and go chunk by chunk, so that what is here already is not sent again.

A client asks the Hub door for a ticket to read or write the files of one repo, and shows it at the addresses below `/cas`. What it
sends is verified to the last chunk before anything of it counts (`concord.ledger.chunks`). The newer addresses of the protocol (v2)
are not there, and clients fall back.

Three answers reach further than they must. Who asks for a chunk is told all that surrounds it, so that the next question need not
be asked. What an upload that was cut had brought counts for the next try, for the same repo; and because clients ask for the first
chunk of a file, and then for one in a thousand, a publisher of the repo's owner is told what landed at the first questions, even if
none of the chunks asked for did. And a xorb that is here is answered before it is sent.

Nobody learns of chunks by asking: only those of files that were brought to the repo of the ticket, or to an open one, are told. A
publisher of another member, who may propose changes, is told of open repos only, and reads nothing of a gated one by such a ticket.
"""

from collections.abc import Iterator

import msgspec
from starlette.responses import Response

from concord.edges.hub import tickets
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.tickets import Ticket, What
from concord.edges.ranges import UnsatisfiableError, parse_range, ranged
from concord.errors import MalformedError, MissingError, RefusedError, SignInError
from concord.ledger.chunks import Entry, Fetch, Reconstruction
from concord.pillars.commons import Repo

SHARD_MAX = 32 << 20  # bytes: one of a terabyte's upload has fewer
FILE_MAX = 1 << 40  # bytes of one file
WRITE: tuple[What, ...] = ("xet-own", "xet-write")  # tickets to send files to a repo of one's own member, or of another


class Word(msgspec.Struct, rename="camel"):
    """What a client needs to speak the protocol."""

    cas_url: str
    access_token: str
    exp: int


def read_token(ask: Ask) -> Response:
    """A ticket to read the files of a repo."""
    repo = ask.served(ask.asker())
    ask.revision(repo)
    return _token(ask, repo, "xet-read")


def write_token(ask: Ask) -> Response:
    """A ticket to send files to a repo."""
    speaker = ask.publisher()
    repo = ask.repo(speaker)
    return _token(ask, repo, "xet-own" if speaker.origin == repo.id.owner else "xet-write")


def put_xorb(ask: Ask, body: Iterator[bytes]) -> Response:
    """Take a xorb. Only one that is new was brought by whoever sent it: of another, the name alone may have been known."""
    repo = tickets.repo(ask.hub.shelf, _shown(ask, *WRITE))
    name = ask.words["hash"]
    length = ask.request.headers.get("content-length", "")
    if length.isdecimal() and not ask.hub.node.chunks.has_xorb(name):
        ask.need(int(length))
    new = ask.hub.node.chunks.put_xorb(name, body, ask.hub.node.clock())
    if new:
        ask.hub.content.give(repo, [name])
    return answer({"was_inserted": new})


def put_shard(ask: Ask) -> Response:
    """Take the files of a shard, which are content of the repo from then on."""
    repo = tickets.repo(ask.hub.shelf, _shown(ask, *WRITE))
    if len(ask.body) > SHARD_MAX:
        raise MalformedError(f"a shard of {len(ask.body)} bytes, over {SHARD_MAX}")
    entries = ask.hub.node.chunks.put_shard(ask.body, ask.hub.node.clock(), FILE_MAX)
    ask.hub.content.give(repo, [entry.sha256 for entry in entries])
    return answer({"result": 1})


def reconstruction(ask: Ask) -> Response:
    """How to put a file, or a range of it, together."""
    ticket = _shown(ask, "xet-read", *WRITE)
    repo = tickets.repo(ask.hub.shelf, ticket)
    if not (ticket.what == "xet-read" or _is_told(ask, ticket, repo)):
        raise RefusedError("this ticket is to send files. Ask for one to read them")
    chunks = ask.hub.node.chunks
    entry = _entry(ask, repo, ask.words["hash"])
    size = ask.hub.content.size(repo, entry.sha256)
    try:
        start, stop = parse_range(ask.request.headers.get("range"), size) or (0, size)
    except UnsatisfiableError as e:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{e.size}"})
    found = chunks.reconstruction(entry.hash, start, stop)
    return Response(status_code=416) if found is None else answer(_told(ask, repo, entry.sha256, found))


def xorb(ask: Ask) -> Response:
    """The bytes of a xorb that the address is good for, as long as the file that they are content of may be had."""
    ticket = tickets.read(ask.hub.node, ask.words["ticket"], "xorb")
    ask.hub.content.size(tickets.repo(ask.hub.shelf, ticket), ticket.file)
    size = ask.hub.node.chunks.table(ticket.oid).stops[-1]
    start, stop = parse_range(ask.request.headers.get("range"), size) or (0, size)
    if start < ticket.part or stop > ticket.part + ticket.size:
        raise RefusedError("this address is for other bytes of this xorb")

    def read(first: int, end: int) -> Iterator[bytes]:
        return ask.hub.shelf.sealed(ticket.place.root, ticket.oid, first, end)

    return ranged(ask.request, size, read, ticket.oid)


def chunk(ask: Ask) -> Response:
    """What surrounds a chunk that the client has and may build on, as a shard."""
    ticket = _shown(ask, *WRITE)
    repo = tickets.repo(ask.hub.shelf, ticket)
    node, content = ask.hub.node, ask.hub.content
    own = content.names(repo) if _is_told(ask, ticket, repo) else set[str]()

    def may_see(name: str) -> bool:
        entry = node.chunks.by_hash(name)
        return entry is not None and (entry.sha256 in own or any(map(ask.hub.shelf.is_open, content.brought(entry.sha256))))

    turn = ask.hub.turns.take(ticket) if ticket.what == "xet-own" else None
    life = tickets.LIVES[ticket.what]
    found = node.chunks.neighbourhood(ask.words["hash"], may_see, own.__contains__, node.clock(), life, turn)
    if found is None:
        raise MissingError("no such chunk here")
    return Response(found, media_type="application/octet-stream")


def _entry(ask: Ask, repo: Repo, name: str) -> Entry:
    """A file of the repo by its Xet hash, brought here if it is elsewhere or damaged. MissingError if there is none."""
    shelf, chunks = ask.hub.shelf, ask.hub.node.chunks
    entry = chunks.by_hash(name)
    if shelf.courier is not None and (entry is None or chunks.missing(entry.hash) or not shelf.content.have(repo, [entry.sha256])):
        named = (file for leaf in repo.refs() for file in shelf.tree(repo, repo.revisions[leaf]).values() if file.xet == name)
        file = next(named, None)
        if file is not None:
            (shelf.courier.repair if shelf.have(repo, file) else shelf.courier.bring)(repo, file)
            entry = chunks.by_hash(name)
    if entry is None:
        raise MissingError(f"no file {name} here")
    return entry


def _token(ask: Ask, repo: Repo, what: What) -> Response:
    node = ask.hub.node
    word = Word(f"{ask.base}/cas", tickets.write(node, what, repo), node.clock() + tickets.LIVES[what])
    headers = {
        "X-Xet-Cas-Url": word.cas_url,
        "X-Xet-Access-Token": word.access_token,
        "X-Xet-Token-Expiration": str(word.exp),
        "Cache-Control": "private, no-store",
    }
    return answer(word, headers=headers)


def _is_told(ask: Ask, ticket: Ticket, repo: Repo) -> bool:
    """Whether the holder of a ticket to write may read what the repo has, too."""
    return ticket.what == "xet-own" or ask.hub.shelf.is_open(repo.root)


def _shown(ask: Ask, *what: What) -> Ticket:
    """The ticket that the client shows in place of a token."""
    kind, _, sealed = ask.request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not sealed:
        raise SignInError("show the ticket that the Hub door gave")
    return tickets.read(ask.hub.node, sealed, *what)


def _told(ask: Ask, repo: Repo, file: str, found: Reconstruction) -> dict[str, object]:
    return {
        "offset_into_first_range": found.skip,
        "terms": [
            {"hash": span.xorb, "unpacked_length": span.size, "range": {"start": span.start, "end": span.stop}}
            for span in found.spans
        ],
        "fetch_info": {name: [_fetch(ask, repo, file, name, each) for each in some] for name, some in found.fetches.items()},
    }


def _fetch(ask: Ask, repo: Repo, file: str, name: str, each: Fetch) -> dict[str, object]:
    """Where to fetch bytes of the xorb `name`, as content of the file of this digest."""
    sealed = tickets.write(ask.hub.node, "xorb", repo, name, each.end - each.first, each.first, file)
    return {
        "range": {"start": each.start, "end": each.stop},
        "url": f"{ask.base}/cas/xorbs/{sealed}",
        "url_range": {"start": each.first, "end": each.end - 1},
    }
