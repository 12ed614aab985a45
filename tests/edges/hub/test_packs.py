"""What git's clients say: what is no packet of theirs is refused, and what they have is not sent again."""

import gzip
import zlib
from contextlib import suppress
from hashlib import sha1

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.edges.hub import packs
from concord.edges.hub.packs import CAPABILITIES, FLUSH, LINES_MAX, Request, advertised, answer, packet, parse, unzipped
from concord.errors import ConcordError, HomeError, MalformedError, TooLargeError, UnreachableError
from concord.pillars.commons import Changes, Commit, File, RepoId, Revision
from concord.pillars.commons.git import Objects, Oid
from concord.pillars.commons.tree import git_blob

ORIGIN = f"ke.concord.alt/{'ab' * 16}"
SOME = "ab" * 20
WANT = packet(f"want {SOME} multi_ack_detailed\n".encode())


def history(count: int) -> tuple[Objects, list[Oid]]:
    """So many commits, one after the other, each of which puts a file beside the others."""
    objects, commits = Objects(), list[Oid]()
    for number in range(count):
        content = b"%d" % number
        put = File(path=f"{number}.txt", size=len(content), sha256="0" * 64, oid=git_blob(content))
        commit = Commit(by=ORIGIN, at=1, repo=RepoId(ORIGIN, "model", "words"), ref="main", tree="0" * 64, title=f"Number {number}",
                        parent=f"{number - 1:064x}" if number else None)  # fmt: skip
        commits.append(objects.add(Revision(f"{number:064x}", number, commit), Changes(put=(put,))))
    return objects, commits


def answered(request: Request, objects: Objects) -> bytes:
    return b"".join(
        answer(request, objects, lambda oid: objects.files[oid].path.removesuffix(".txt").encode(), lambda oids: f"{len(oids)}\n")
    )


def unpacked(pack: bytes) -> dict[int, list[bytes]]:
    """What is in a pack, by the kind of object. Its count and its sum are looked at, too."""
    assert pack[:8] == b"PACK\0\0\0\2"
    assert sha1(pack[:-20], usedforsecurity=False).digest() == pack[-20:]
    found, at = dict[int, list[bytes]](), 12
    while at < len(pack) - 20:
        kind, size, shift = pack[at] >> 4 & 7, pack[at] & 15, 4
        while pack[at] & 128:
            at += 1
            size |= (pack[at] & 127) << shift
            shift += 7
        unpack = zlib.decompressobj()
        raw = unpack.decompress(pack[at + 1 :])
        assert len(raw) == size
        found.setdefault(kind, []).append(raw)
        at = len(pack) - len(unpack.unused_data)
    assert sum(map(len, found.values())) == int.from_bytes(pack[8:12])
    return found


def test_a_clone_gets_everything_and_a_fetch_what_is_new() -> None:
    objects, commits = history(4)
    whole = answered(Request(wants=[commits[3]], done=True), objects)
    assert whole.startswith(packet(b"NAK\n") + b"PACK")
    found = unpacked(whole.removeprefix(packet(b"NAK\n")))
    assert (len(found[1]), len(found[2]), sorted(found[3])) == (4, 4, [b"0", b"1", b"2", b"3"])
    can = frozenset(["multi_ack_detailed"])
    rest = answered(Request(wants=[commits[3]], can=can, haves=[b"\1" * 20, commits[1]], done=True), objects)
    found = unpacked(rest[rest.index(b"PACK") :])
    assert (len(found[1]), len(found[2]), sorted(found[3])) == (2, 2, [b"2", b"3"])
    assert rest.startswith(packet(f"ACK {commits[1].hex()} common\n".encode()) + packet(f"ACK {commits[1].hex()}\n".encode()))


def test_what_is_common_is_told_before_the_pack() -> None:
    objects, commits = history(2)
    detailed = frozenset(["multi_ack_detailed"])
    known, strange = commits[0].hex(), [b"\1" * 20]
    ack = [f"ACK {known} common\n", f"ACK {known} ready\n", "NAK\n"]
    told = b"".join(packet(line.encode()) for line in ack)
    wants = [commits[1]]
    assert answered(Request(wants, detailed, haves=strange, asks=True), objects) == packet(b"NAK\n")
    assert answered(Request(wants, detailed, haves=[commits[0]], asks=True), objects) == told
    assert answered(Request(wants, haves=[commits[0]], asks=True), objects) == packet(f"ACK {known}\n".encode())
    assert answered(Request(wants), objects) == b""
    at_once = answered(Request(wants, detailed | {"no-done"}, haves=[commits[0]], asks=True), objects)
    assert at_once.startswith(told + packet(f"ACK {known}\n".encode()) + b"PACK")


def test_a_shallow_clone_ends_where_it_was_asked_to_and_goes_deeper_later() -> None:
    objects, commits = history(4)
    shallow = answered(Request([commits[3]], depth=2, done=True), objects)
    assert shallow.startswith(packet(f"shallow {commits[2].hex()}".encode()) + FLUSH + packet(b"NAK\n"))
    found = unpacked(shallow[shallow.index(b"PACK") :])
    assert (len(found[1]), len(found[3])) == (2, 4)
    deeper = answered(Request([commits[3]], shallow={commits[2]}, haves=[commits[3]], depth=9, done=True), objects)
    assert deeper.startswith(packet(f"unshallow {commits[2].hex()}".encode()) + FLUSH)
    assert len(unpacked(deeper[deeper.index(b"PACK") :])[1]) == 2
    one = answered(Request([commits[0]], depth=1, done=True), objects)
    assert one.startswith(FLUSH + packet(b"NAK\n"))


def test_the_pack_and_the_words_go_by_channels() -> None:
    objects, commits = history(1)
    told = answered(Request([commits[0]], frozenset(["side-band-64k"]), done=True), objects)
    assert told.startswith(packet(b"NAK\n") + packet(b"\x023\n"))
    assert told.endswith(FLUSH)
    quiet = answered(Request([commits[0]], frozenset(["side-band-64k", "no-progress"]), done=True), objects)
    assert b"\x023\n" not in quiet


def test_what_was_never_offered_is_not_given() -> None:
    objects, _ = history(1)
    assert answered(Request([b"\1" * 20], done=True), objects) == packet(f"ERR this repo has no commit {'01' * 20}".encode())


@pytest.mark.parametrize("channels", [True, False])
@pytest.mark.parametrize("error", [UnreachableError("nobody has it"), HomeError("the disk has a fault")])
def test_what_cannot_be_read_ends_the_pack(error: ConcordError, channels: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """In words that the client shows, unless the fault is this node's, or the client takes no words."""
    monkeypatch.setattr(packs, "PIECE", 1)
    objects, commits = history(1)

    def read(_: Oid) -> bytes:
        raise error

    request = Request([commits[0]], frozenset(["side-band-64k"] if channels else []), done=True)
    pieces = answer(request, objects, read, lambda _: "1\n")
    if channels and not isinstance(error, HomeError):
        assert list(pieces)[-1] == packet(b"\3nobody has it\n")
    else:
        with pytest.raises(type(error)):
            list(pieces)


def test_a_repo_without_commits_offers_nothing_and_says_what_it_can() -> None:
    assert packet(f"{'0' * 40} capabilities^{{}}\0{CAPABILITIES}\n".encode()) in advertised({}, "refs/heads/main")
    some = advertised({"refs/heads/dev": b"\1" * 20}, "refs/heads/dev")
    assert b" HEAD\0" in some
    assert b"symref=HEAD:refs/heads/dev" in some


def test_what_a_client_says_is_understood() -> None:
    body = WANT + packet(b"shallow " + SOME.encode()) + packet(b"deepen 3") + FLUSH + packet(b"have " + SOME.encode() + b"\n")
    oid = bytes.fromhex(SOME)
    assert parse(body) == Request([oid], frozenset(["multi_ack_detailed"]), {oid}, 3, [oid])
    assert parse(body + FLUSH).asks
    assert parse(body + packet(b"done\n")).done


@pytest.mark.parametrize(
    "body",
    [
        b"",
        FLUSH,
        b"want",
        b"zzzzwant",
        b"0001",
        b"0003abc",
        b"00ffwant",
        b"-004",
        packet(b"want 12"),
        packet(b"want " + b"zz" * 20),
        packet(b"want \xff" + b"a" * 39),
        packet(b"have " + SOME.encode()),
        WANT + packet(b"deepen -1"),
        WANT + packet(b"deepen " + b"9" * 11),
        WANT + packet(b"filter blob:none"),
        WANT + FLUSH + packet(b"want " + SOME.encode()),
        WANT + FLUSH + packet(b"have x"),
    ],
)
def test_what_git_does_not_say_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(body)


@given(st.binary(max_size=60) | st.lists(st.binary(max_size=60).map(packet)).map(b"".join))
def test_whatever_comes_is_understood_or_refused(body: bytes) -> None:
    with suppress(ConcordError):
        parse(body)


def test_a_body_is_bounded_in_lines_and_unpacked() -> None:
    with pytest.raises(TooLargeError):
        parse(WANT + FLUSH * (LINES_MAX + 1))
    assert unzipped(gzip.compress(b"abc"), 3) == b"abc"
    with pytest.raises(TooLargeError):
        unzipped(gzip.compress(bytes(1 << 20)), 1000)
    with pytest.raises(MalformedError):
        unzipped(b"abc", 1000)
