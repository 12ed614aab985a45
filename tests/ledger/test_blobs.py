"""Blobs: what is found under a digest is what the digest says, whole, and only to whom it may be served."""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import (
    BusyError,
    DamagedError,
    ErasedError,
    ForgedError,
    HeldError,
    MalformedError,
    MissingError,
    StorageError,
    TooLargeError,
    UnreachableError,
)
from concord.ledger.blobs import PIECE, SALT_SIZE, Blobs, Hold, Tombstone, unsalted
from concord.testing import NOW

CONTENT = bytes(range(256)) * 5000  # more than one piece
DIGEST = sha256(CONTENT).hexdigest()
NOWHERE = "ab" * 32
MARK = Hold(by="safety", reason="an advisory", at=NOW)
TOMBSTONE = Tombstone(by="ke.example/0", reason="asked for by the person", at=NOW, size=3)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def whole(blobs: Blobs, digest: str) -> bytes:
    return b"".join(blobs.get(digest))


def pieces(content: bytes, size: int = 100_000) -> Iterator[bytes]:
    yield from (content[start : start + size] for start in range(0, len(content), size))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


# Put and get


def test_what_is_put_is_got_by_its_digest(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.put(pieces(CONTENT)) == (DIGEST, len(CONTENT))
    assert blobs.have(DIGEST)
    assert blobs.size(DIGEST) == len(CONTENT)
    assert whole(blobs, DIGEST) == CONTENT == blobs.open(DIGEST).read_bytes()
    assert max(map(len, blobs.get(DIGEST))) == PIECE
    assert list(blobs.digests()) == [DIGEST]
    assert files(tmp_path) == {DIGEST}
    blobs.check(DIGEST)


def test_putting_the_same_again_changes_nothing(blobs: Blobs, tmp_path: Path) -> None:
    for size in (1, 7, 5000):
        assert blobs.put(pieces(CONTENT[:5000], size))[0] == sha256(CONTENT[:5000]).hexdigest()
    assert len(files(tmp_path)) == 1


def test_the_empty_blob_is_a_blob(blobs: Blobs) -> None:
    digest, size = blobs.put([])
    assert (digest, size, whole(blobs, digest)) == (sha256().hexdigest(), 0, b"")


@given(st.integers(0, 3000), st.integers(0, 3000) | st.none())
def test_any_range_can_be_read(tmp_path_factory: pytest.TempPathFactory, start: int, stop: int | None) -> None:
    blobs = Blobs(tmp_path_factory.getbasetemp() / "ranges")
    digest, _ = blobs.put([CONTENT[:2000]])
    assert b"".join(blobs.get(digest, start, stop)) == CONTENT[:2000][start:stop]


def test_what_is_not_here_is_missing(blobs: Blobs) -> None:
    assert not blobs.have(NOWHERE)
    for ask in (blobs.size, blobs.get, blobs.open):
        with pytest.raises(MissingError):
            ask(NOWHERE)
    assert list(blobs.digests()) == []


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "..",
        "../../../etc/passwd",
        f"../{'a' * 61}",
        f"/{'a' * 63}",
        "A" * 64,
        "g" * 64,
        "a" * 63,
        "a" * 65,
        "a" * 63 + "\n",
        "ａ" * 64,
    ],
)
def test_what_is_no_digest_leads_nowhere(blobs: Blobs, digest: str) -> None:
    received = partial(blobs.received, size=1)
    for ask in (blobs.have, blobs.size, blobs.get, blobs.open, blobs.check, blobs.holds, blobs.erased, received):
        with pytest.raises(MalformedError):
            ask(digest)
    with pytest.raises(MalformedError):
        blobs.hold(digest, MARK)
    with pytest.raises(MalformedError):
        blobs.erase(digest, TOMBSTONE)
    with pytest.raises(MalformedError):
        blobs.receive(digest, [b"x"], 1)


def test_too_much_is_refused_and_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.put(pieces(CONTENT), len(CONTENT))[0] == DIGEST
    with pytest.raises(TooLargeError):
        blobs.put([b"x", *pieces(CONTENT)], len(CONTENT))
    assert files(tmp_path) == {DIGEST}


def test_what_breaks_off_while_it_is_put_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield CONTENT
        raise UnreachableError("the line broke")

    with pytest.raises(UnreachableError):
        blobs.put(breaking())
    assert files(tmp_path) == set()


def test_a_place_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    blobs = Blobs(tmp_path / "file")
    with pytest.raises(StorageError):
        blobs.put([b"x"])
    with pytest.raises(StorageError):
        blobs.receive(NOWHERE, [b"x"], 1)


# Receiving


def breaking_after(content: bytes, count: int) -> Iterator[bytes]:
    yield from pieces(content[:count], 1000)
    raise UnreachableError("the line broke")


def test_a_transfer_that_breaks_goes_on_where_it_broke(blobs: Blobs, tmp_path: Path) -> None:
    sent = 0
    for stop in (0, 1, 100_000, 100_001, 1_000_000):
        with pytest.raises(UnreachableError):
            blobs.receive(DIGEST, breaking_after(CONTENT[sent:], stop - sent), len(CONTENT))
        sent = blobs.received(DIGEST, len(CONTENT))
        assert sent == stop
        assert not blobs.have(DIGEST)
    blobs.receive(DIGEST, pieces(CONTENT[sent:]), len(CONTENT))
    assert whole(blobs, DIGEST) == CONTENT
    assert blobs.received(DIGEST, len(CONTENT)) == 0
    assert files(tmp_path) == {DIGEST}


def test_less_than_all_waits_for_the_rest(blobs: Blobs) -> None:
    blobs.receive(DIGEST, [CONTENT[:10]], len(CONTENT))
    assert (blobs.received(DIGEST, len(CONTENT)), blobs.have(DIGEST)) == (10, False)


@pytest.mark.parametrize("sent", [0, 10])
def test_forged_content_leaves_nothing(blobs: Blobs, tmp_path: Path, sent: int) -> None:
    blobs.receive(DIGEST, [CONTENT[:sent]], len(CONTENT))
    with pytest.raises(ForgedError):
        blobs.receive(DIGEST, [bytes(len(CONTENT) - sent)], len(CONTENT))
    assert files(tmp_path) == set()
    blobs.receive(DIGEST, [CONTENT], len(CONTENT))
    assert whole(blobs, DIGEST) == CONTENT


@pytest.mark.parametrize("size", [3, 4])
def test_more_than_was_said_leaves_nothing(blobs: Blobs, tmp_path: Path, size: int) -> None:
    digest = sha256(b"12345").hexdigest()
    with pytest.raises(MalformedError, match="more than"):
        blobs.receive(digest, [b"123", b"45"], size)
    assert files(tmp_path) == set()


def test_a_size_that_was_said_wrong_is_no_blob(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(ForgedError):
        blobs.receive(sha256(b"12345").hexdigest(), [b"123"], 3)
    assert files(tmp_path) == set()


def test_two_transfers_of_one_blob_do_not_mix(blobs: Blobs) -> None:
    """The second finds the first under way, as a scheduled pull may find one that somebody asked for."""

    def interrupted() -> Iterator[bytes]:
        yield CONTENT[:1000]
        with pytest.raises(BusyError):
            blobs.receive(DIGEST, pieces(CONTENT), len(CONTENT))
        yield CONTENT[1000:]

    blobs.receive(DIGEST, interrupted(), len(CONTENT))
    blobs.check(DIGEST)


def test_a_transfer_of_what_came_meanwhile_changes_nothing(blobs: Blobs) -> None:
    blobs.put([CONTENT])
    blobs.receive(DIGEST, pieces(CONTENT), len(CONTENT))
    blobs.check(DIGEST)


# Holds


def test_a_blob_that_is_held_is_here_and_not_served(blobs: Blobs) -> None:
    blobs.put([CONTENT])
    blobs.hold(DIGEST, MARK)
    blobs.hold(DIGEST, Hold(by="court", reason="an order", at=NOW))
    assert blobs.have(DIGEST)
    for ask in (blobs.size, blobs.get, blobs.open):
        with pytest.raises(HeldError, match="an advisory; an order"):
            ask(DIGEST)
    blobs.check(DIGEST)  # it is whole, whoever may have it
    blobs.release(DIGEST, "safety")
    with pytest.raises(HeldError, match="held: an order"):
        blobs.get(DIGEST)
    blobs.release(DIGEST, "court")
    blobs.release(DIGEST, "court")
    assert whole(blobs, DIGEST) == CONTENT
    assert blobs.holds(DIGEST) == []


def test_a_mark_by_the_same_name_is_replaced(blobs: Blobs) -> None:
    blobs.hold(NOWHERE, MARK)
    blobs.hold(NOWHERE, msgspec.structs.replace(MARK, reason="another"))
    assert [mark.reason for mark in blobs.holds(NOWHERE)] == ["another"]


def test_a_hold_may_come_before_the_blob(blobs: Blobs) -> None:
    blobs.hold(DIGEST, MARK)
    blobs.put([CONTENT])
    with pytest.raises(HeldError):
        blobs.get(DIGEST)


# Erasing


def test_an_erased_blob_leaves_a_tombstone_and_nothing_else(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put([CONTENT])
    blobs.receive(NOWHERE, [b"x"], 5)
    for digest in (DIGEST, NOWHERE):
        blobs.erase(digest, TOMBSTONE)
        assert blobs.erased(digest) == TOMBSTONE
        assert not blobs.have(digest)
        with pytest.raises(ErasedError, match="asked for by the person"):
            blobs.get(digest)
    assert files(tmp_path) == {f"{DIGEST}.erased", f"{NOWHERE}.erased"}
    assert list(blobs.digests()) == []


# Detached content


@pytest.mark.parametrize("salt", [b"", bytes(range(SALT_SIZE))], ids=["plain", "salted"])
@pytest.mark.parametrize("content", [b"", b"Amina", CONTENT], ids=["empty", "short", "long"])
def test_what_is_detached_is_attached_again(blobs: Blobs, content: bytes, salt: bytes) -> None:
    part = blobs.detach(content, "text/plain", salt)
    assert unsalted(part, whole(blobs, part.digest)) == content
    assert (part.digest, part.size, part.salted) == (sha256(salt + content).hexdigest(), len(salt) + len(content), bool(salt))


def test_a_salt_hides_the_content_and_is_whole(blobs: Blobs) -> None:
    salted = blobs.detach(b"Amina", "text/plain", bytes(SALT_SIZE))
    assert salted.digest != sha256(b"Amina").hexdigest()
    assert salted.digest != blobs.detach(b"Amina", "text/plain", bytes([1]) * SALT_SIZE).digest
    for salt in (b"x", bytes(SALT_SIZE - 1), bytes(SALT_SIZE + 1)):
        with pytest.raises(RuntimeError):
            blobs.detach(b"Amina", "text/plain", salt)


@pytest.mark.parametrize("media", ["", "text", "text/plain\n", "Text/Plain", "text/plain; charset=utf-8", "x/" + "y" * 100])
def test_what_is_no_media_type_is_refused_and_leaves_nothing(blobs: Blobs, tmp_path: Path, media: str) -> None:
    with pytest.raises(MalformedError):
        blobs.detach(b"Amina", media)
    assert files(tmp_path) == set()


# Damage


@pytest.mark.parametrize("damage", ["flipped", "cut-off", "longer"])
def test_a_check_finds_what_is_not_what_was_written(blobs: Blobs, damage: str) -> None:
    blobs.put([CONTENT])
    path = blobs.open(DIGEST)
    raw = bytearray(path.read_bytes())
    match damage:
        case "flipped":
            raw[len(raw) // 2] ^= 1
        case "cut-off":
            raw.pop()
        case _:
            raw.append(0)
    path.write_bytes(raw)
    with pytest.raises(DamagedError, match=str(path)):
        blobs.check(DIGEST)


@pytest.mark.parametrize("place", [0, PIECE - 1, PIECE, -1])
@pytest.mark.parametrize("known", [False, True], ids=["read for the first time", "read before"])
def test_a_flipped_byte_never_leaves_whatever_part_is_asked_for(blobs: Blobs, place: int, known: bool) -> None:  # noqa: FBT001
    blobs.put([CONTENT])
    if known:
        assert whole(blobs, DIGEST) == CONTENT
    raw = bytearray(CONTENT)
    raw[place] ^= 1
    blobs.open(DIGEST).write_bytes(raw)
    came, at = bytearray(), place % len(CONTENT)
    for span in ((at, at + 1), (0, None)):
        with pytest.raises(DamagedError, match=DIGEST):
            came.extend(byte for piece in blobs.get(DIGEST, *span) for byte in piece)
    assert CONTENT.startswith(bytes(came))


@pytest.mark.parametrize("damage", [b"", b"wor", b"words and more"], ids=["emptied", "cut off", "longer"])
def test_a_blob_of_another_length_never_leaves(blobs: Blobs, damage: bytes) -> None:
    digest, _ = blobs.put([b"words"])
    blobs.open(digest).write_bytes(damage)
    for span in ((0, 5), (0, None), (1, 2)):
        with pytest.raises(DamagedError, match=digest):
            list(blobs.get(digest, *span))


@given(start=st.integers(0, len(CONTENT) + 5), length=st.integers(0, len(CONTENT) + 5))
def test_any_part_of_a_sound_blob_is_that_part(tmp_path_factory: pytest.TempPathFactory, start: int, length: int) -> None:
    blobs = Blobs(tmp_path_factory.getbasetemp() / "parts")
    if not blobs.have(DIGEST):
        blobs.put([CONTENT])
    assert b"".join(blobs.get(DIGEST, start, start + length)) == CONTENT[start : start + length]


@pytest.mark.parametrize("suffix", [".hold", ".erased"])
def test_a_blob_whose_note_cannot_be_read_is_not_served(blobs: Blobs, tmp_path: Path, suffix: str) -> None:
    digest, _ = blobs.put([b"words"])
    note = next(tmp_path.rglob(digest)).with_name(f"{digest}{suffix}")
    note.write_bytes(b"\xff nonsense")
    with pytest.raises(DamagedError, match="Take it from a backup"):
        blobs.get(digest)


def test_bytes_that_are_not_those_expected_leave_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest, _ = blobs.put([b"right"], expected=sha256(b"right").hexdigest())
    with pytest.raises(ForgedError, match="something else"):
        blobs.put([b"wrong"], expected=digest)
    assert list(blobs.digests()) == [digest]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / digest[:2] / digest]


# Clearing away


def test_what_nobody_needs_goes_after_its_time(blobs: Blobs, tmp_path: Path) -> None:
    digest, _ = blobs.put([b"words"], at=NOW)
    assert (blobs.kept(digest), blobs.kept(NOWHERE)) == (5, None)
    assert not blobs.is_older(digest, NOW)
    assert not blobs.discard(digest, NOW)
    assert whole(blobs, digest) == b"words"
    assert blobs.is_older(digest, NOW + 1)
    assert blobs.discard(digest, NOW + 1)
    assert blobs.discard(digest, NOW + 1)
    assert not blobs.is_older(digest, NOW + 1)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert blobs.put([b"words"]) == (digest, 5)


def test_what_is_needed_again_is_young_again_and_never_older(blobs: Blobs) -> None:
    digest, _ = blobs.put([b"words"], at=NOW)
    assert blobs.renew(digest, NOW + 10)
    assert not blobs.discard(digest, NOW + 10)
    assert blobs.renew(digest, NOW)
    assert not blobs.discard(digest, NOW + 10)
    assert not blobs.renew(NOWHERE, NOW)
    blobs.discard(digest, NOW + 11)
    assert not blobs.renew(digest, NOW + 11)


def test_what_is_held_can_be_listed(blobs: Blobs) -> None:
    digest, _ = blobs.put([b"words"])
    for each in (digest, NOWHERE):
        blobs.hold(each, MARK)
    assert list(blobs.held()) == sorted([digest, NOWHERE])
    blobs.release(digest, MARK.by)
    assert list(blobs.held()) == [NOWHERE]


def test_a_damaged_blob_is_set_aside_and_comes_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest, _ = blobs.put([b"words"])
    blobs.open(digest).write_bytes(b"wards")
    with pytest.raises(DamagedError):
        list(blobs.checking(digest))
    blobs.set_aside(digest, 100)
    assert (blobs.have(digest), list(blobs.digests())) == (False, [])
    assert blobs.put([b"words"])[0] == digest
    blobs.check(digest)
    blobs.clear_aside(100)
    assert len(list(tmp_path.glob("??/*.damaged"))) == 1
    blobs.clear_aside(101)
    assert not list(tmp_path.glob("??/*.damaged"))
