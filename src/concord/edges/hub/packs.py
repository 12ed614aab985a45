"""What git's clients and a server say to each other over HTTP when a repo is cloned or fetched, and the pack that is sent then.

Protocol 0 of git, one request after another that each say all: gitprotocol-pack(5), gitprotocol-http(5), gitformat-pack(5).

    client    want <commit> <what it can do> … │ shallow, deepen │ flush │ have <commit> … │ flush or done
    server    what becomes shallow │ flush │ ACK and NAK │ the pack, in packets of channel 1, between words of channel 2

A clone needs one such request. A fetch tells what it has, newest first, and asks again until something is common. Objects are sent
whole, and packed each for itself: what is large is a pointer, and small files of another version are seldom alike.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha1

from concord.errors import ConcordError, HomeError, MalformedError, TooLargeError
from concord.pillars.commons.git import Objects, Oid, closure, contents

SERVICE = "git-upload-pack"
CAPABILITIES = (
    "multi_ack_detailed no-done side-band-64k shallow no-progress allow-reachable-sha1-in-want object-format=sha1 agent=concord"
)
PACKET_MAX = 65_515  # bytes of one packet of a channel, without its length and the channel's number
FLUSH = b"0000"
LINES_MAX = 100_000  # of one request
PIECE = 1 << 18  # bytes that are sent at once, or one object more
_DATA, _WORDS, _ERROR = b"\1", b"\2", b"\3"
_KINDS = {"commit": 1, "tree": 2, "blob": 3}

Read = Callable[[Oid], bytes]
Begin = Callable[[Sequence[Oid]], str]


@dataclass
class Request:
    """What a client wants, what it can do, and what it has. `depth` 0: all.

    `asks`: it waits to hear what of this is common; `done`: it waits for the pack.
    """

    wants: list[Oid] = field(default_factory=list)
    can: frozenset[str] = frozenset()
    shallow: set[Oid] = field(default_factory=set)
    depth: int = 0
    haves: list[Oid] = field(default_factory=list)
    asks: bool = False
    done: bool = False

    @property
    def channels(self) -> bool:
        """Whether it can take words beside the pack."""
        return "side-band-64k" in self.can


def packet(line: bytes) -> bytes:
    """A line with its length before it."""
    return b"%04x%b" % (len(line) + 4, line)


def unzipped(body: bytes, most: int) -> bytes:
    """A body that was sent packed by gzip. MalformedError if it was not; TooLargeError if it is over `most` bytes."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(body, most)
    except zlib.error as e:
        raise MalformedError(f"a body that is not packed by gzip as it says: {e}") from e
    if unpack.unconsumed_tail:
        raise TooLargeError(f"more than {most} bytes, once it is unpacked")
    return plain


def parse(body: bytes) -> Request:
    """What a client says. MalformedError if it is something else."""
    request = Request()
    lines = _lines(body)
    for line in lines:
        if line is None:
            break
        _first(request, line)
    for line in lines:
        word, _, rest = (line or b"").partition(b" ")
        if word == b"have":
            request.haves.append(_oid(rest))
        elif line is None:
            request.asks = True
        elif word == b"done":
            request.done = True
        else:
            raise MalformedError(f"git says {line[:100]!r} where it says what it has")
    if not request.wants:
        raise MalformedError("git wants nothing")
    return request


def advertised(refs: dict[str, Oid], head: str | None) -> bytes:
    """What there is to be had: each ref with its commit. `head` is what HEAD stands for."""
    can = f"{CAPABILITIES} symref=HEAD:{head}" if head in refs else CAPABILITIES
    lines = [(refs[head], "HEAD")] if head in refs else []
    lines += [(oid, ref) for ref, oid in refs.items()]
    lines = lines or [(bytes(20), "capabilities^{}")]
    told = [f"{oid.hex()} {ref}" for oid, ref in lines]
    told[0] += f"\0{can}"
    return packet(f"# service={SERVICE}\n".encode()) + FLUSH + _told(told) + FLUSH


def answer(request: Request, objects: Objects, read: Read, begin: Begin) -> Iterator[bytes]:
    """What is answered to a request, in pieces.

    `read` gives the content of a file; `begin` is told which objects will be sent, and says what to tell of them. What goes wrong
    is told to the client in words, which it shows of no answer but one that went well; what is this node's own fault is raised.
    """
    begun = False
    try:
        for piece in _gathered(_answer(request, objects, read, begin)):
            yield piece
            begun = True
    except HomeError:
        raise
    except ConcordError as e:
        if begun and not request.channels:
            raise
        yield packet(_ERROR + f"{e}\n".encode() if begun else f"ERR {e}".encode())


def _answer(request: Request, objects: Objects, read: Read, begin: Begin) -> Iterator[bytes]:
    closure(objects, request.wants)
    cut = frozenset(request.shallow)
    if request.depth:
        cut, lines = _deepened(request, objects)
        yield lines
    common = [oid for oid in request.haves if oid in objects.commits]
    agreed, lines = _agreed(request, common)
    yield lines
    if agreed:
        missing = _missing(request, objects, common, cut)
        words, content = begin(missing), pack(objects, missing, read)
        yield from _channels(request, words, _gathered(content)) if request.channels else content


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same in fewer pieces: an object may have a few bytes, and each piece that is sent costs a change of threads."""
    held: list[bytes] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        if count >= PIECE:
            yield b"".join(held)
            held, count = [], 0
    yield b"".join(held)


def pack(objects: Objects, oids: Sequence[Oid], read: Read) -> Iterator[bytes]:
    """These objects as one pack, each as it is read."""
    total = sha1(usedforsecurity=False)
    head = struct.pack(">4sII", b"PACK", 2, len(oids))
    for oid in oids:
        total.update(head)
        yield head
        kind, raw = _object(objects, oid, read)
        head = _size(_KINDS[kind], len(raw)) + zlib.compress(raw)
    total.update(head)
    yield head + total.digest()


def _object(objects: Objects, oid: Oid, read: Read) -> tuple[str, bytes]:
    if oid in objects.commits:
        return "commit", objects.commits[oid]
    if oid in objects.folders:
        return "tree", objects.folders[oid]
    return "blob", read(oid)


def _size(kind: int, size: int) -> bytes:
    """The kind and the size of an object as a pack has them: four bits, then seven and seven, the least first."""
    parts = [kind << 4 | size & 15]
    size >>= 4
    while size:
        parts[-1] |= 128
        parts.append(size & 127)
        size >>= 7
    return bytes(parts)


def _missing(request: Request, objects: Objects, common: Iterable[Oid], cut: frozenset[Oid]) -> list[Oid]:
    """What is wanted and not there yet: commits, then folders and files."""
    there = closure(objects, common, frozenset(request.shallow))
    wanted = closure(objects, request.wants, cut)
    commits = sorted(wanted - there)
    edge = {parent for commit in commits for parent in objects.parents[commit]} & there
    known: set[Oid] = set()
    for _ in contents(objects, [objects.trees[commit] for commit in edge.union(common)], known):
        pass
    return [*commits, *contents(objects, [objects.trees[commit] for commit in commits], known)]


def _deepened(request: Request, objects: Objects) -> tuple[frozenset[Oid], bytes]:
    """Behind which commits nothing is sent, and the lines that tell what becomes shallow, and what no longer is."""
    level, within, cut = set(request.wants), set[Oid](), set[Oid]()
    for left in range(request.depth, 0, -1):
        within |= level
        behind = {parent for commit in level for parent in objects.parents[commit]} - within
        if left == 1:
            cut = {commit for commit in level if objects.parents[commit]}
        if not behind:
            break
        level = behind
    told = [b"shallow " + oid.hex().encode() for oid in sorted(cut - request.shallow)]
    told += [b"unshallow " + oid.hex().encode() for oid in sorted(request.shallow & within - cut)]
    return frozenset(cut), b"".join(map(packet, told)) + FLUSH


def _agreed(request: Request, common: Sequence[Oid]) -> tuple[bool, bytes]:
    """Whether it is time for the pack, and the lines that say what is common."""
    detailed, last = "multi_ack_detailed" in request.can, common[-1].hex() if common else ""
    lines = [f"ACK {oid.hex()} common" for oid in common] if detailed else [f"ACK {oid.hex()}" for oid in common[:1]]
    if request.done:
        lines += [f"ACK {last}"] if detailed and common else [] if common else ["NAK"]
        return True, _told(lines)
    if not request.asks:
        return False, b""
    lines += [f"ACK {last} ready"] if detailed and common else []
    lines += ["NAK"] if detailed or not common else []
    agreed = detailed and bool(common) and "no-done" in request.can
    return agreed, _told([*lines, f"ACK {last}"] if agreed else lines)


def _told(lines: Iterable[str]) -> bytes:
    return b"".join(packet(f"{line}\n".encode()) for line in lines)


def _channels(request: Request, words: str, content: Iterable[bytes]) -> Iterator[bytes]:
    if "no-progress" not in request.can:
        yield packet(_WORDS + words.encode())
    for piece in content:
        yield b"".join(packet(_DATA + piece[at : at + PACKET_MAX]) for at in range(0, len(piece), PACKET_MAX))
    yield FLUSH


def _first(request: Request, line: bytes) -> None:
    """One line of those that say what is wanted."""
    word, _, rest = line.partition(b" ")
    if word == b"want":
        oid, _, can = rest.partition(b" ")
        request.wants.append(_oid(oid))
        request.can = request.can or frozenset(can.decode("latin-1").split())
    elif word == b"shallow":
        request.shallow.add(_oid(rest))
    elif word == b"deepen" and rest.isdigit() and len(rest) <= 10:
        request.depth = int(rest)
    else:
        raise MalformedError(f"git says {line[:100]!r} where it says what it wants")


def _oid(digits: bytes) -> Oid:
    try:
        oid = bytes.fromhex(digits.decode("ascii"))
    except ValueError as e:
        raise MalformedError(f"{digits[:100]!r} is no hash of git's") from e
    if len(oid) != 20:
        raise MalformedError(f"{digits[:100]!r} is no hash of git's")
    return oid


def _lines(body: bytes) -> Iterator[bytes | None]:
    """The lines of a body without their ends; None for a flush."""
    at = 0
    for _ in range(LINES_MAX):
        if at == len(body):
            return
        try:
            size = int(body[at : at + 4].decode("ascii"), 16)
        except ValueError as e:
            raise MalformedError("a body that is not in git's packets") from e
        if size in (1, 2, 3) or at + max(size, 4) > len(body):
            raise MalformedError("a packet of git's that ends too early")
        yield body[at + 4 : at + size].rstrip(b"\n") if size else None
        at += max(size, 4)
    raise TooLargeError(f"more than {LINES_MAX} lines")
