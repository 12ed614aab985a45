"""The bytes of repos: read through a repo that has them, and through no other."""

from hashlib import sha256

import pytest

from concord.content import Content
from concord.errors import DamagedError, ForgedError, HeldError, MissingError, TooLargeError
from concord.ledger.blobs import Hold, Tombstone
from concord.shelf import Shelf
from concord.testing import Clock, everything, states


@pytest.mark.parametrize("large", [False, True])
def test_bytes_are_read_through_a_repo_that_has_them(large: bool) -> None:  # noqa: FBT001
    node = states.young(Clock())
    shelf, content = Shelf(node), Content(node)
    speaker = everything(node.holdings.hosted()[0])
    one, two = (shelf.open(speaker, "model", name, private=False) for name in ("one", "two"))
    digest = sha256(b"bytes").hexdigest()
    if large:
        assert content.take([b"by", b"tes"], digest, 5) == (digest, 5)
    else:
        assert content.keep(b"bytes") == digest
    assert (content.xet(digest) is not None) == large
    for repo in (one, two):
        with pytest.raises(MissingError, match="not on this node"):
            content.size(repo, digest)
    content.give(one, [digest])
    content.give(one, [digest, "ab" * 32])
    assert content.have(one, [digest, "ab" * 32]) == {digest}
    assert (content.size(one, digest), b"".join(content.read(one, digest, 1, 3))) == (5, b"yt")
    with pytest.raises(MissingError):
        content.read(two, digest)
    node.blobs.hold(digest, Hold(by="safety", reason="it harms", at=1))
    with pytest.raises(HeldError):
        content.read(one, digest)
    node.blobs.release(digest, "safety")
    content.forget(one)
    assert content.have(one, [digest]) == set()


def test_what_is_not_as_expected_is_not_kept() -> None:
    content = Content(states.young(Clock()))
    with pytest.raises(ForgedError):
        content.take([b"other"], sha256(b"bytes").hexdigest(), 5)
    with pytest.raises(TooLargeError):
        content.take([b"bytes"], sha256(b"bytes").hexdigest(), 4)


def test_many_digests_are_asked_for_at_once() -> None:
    node = states.young(Clock())
    content, speaker = Content(node), everything(node.holdings.hosted()[0])
    repo = Shelf(node).open(speaker, "model", "many", private=True)
    digests = [content.keep(b"%d" % number) for number in range(1200)]
    content.give(repo, digests)
    assert content.have(repo, digests) == set(digests)


def test_what_lacks_a_part_is_sent_again() -> None:
    node = states.young(Clock())
    content, speaker = Content(node), everything(node.holdings.hosted()[0])
    repo = Shelf(node).open(speaker, "model", "words", private=False)
    large, _ = content.take([b"bytes"], None, 5)
    small = content.keep(b"small")
    content.give(repo, [large, small])
    assert content.whole(repo, [large, small, "ab" * 32]) == {large, small}
    for digest in (large, small):
        content.check(digest, 5, deep=True)
        with pytest.raises(DamagedError, match="were committed"):
            content.check(digest, 6, deep=False)
    entry = node.chunks.by_digest(large)
    assert entry is not None
    plan = node.chunks.reconstruction(entry.hash)
    assert plan is not None
    node.chunks.set_aside(plan.spans[0].xorb)
    assert content.have(repo, [large]) == {large}
    assert content.whole(repo, [large, small]) == {small}
    with pytest.raises(DamagedError, match="parts are not here"):
        content.check(large, 5, deep=False)


def test_a_note_goes_with_the_bytes_or_with_the_repo() -> None:
    node = states.young(Clock())
    content, speaker = Content(node), everything(node.holdings.hosted()[0])
    repo = Shelf(node).open(speaker, "model", "words", private=False)
    gone, here = "ab" * 32, content.keep(b"here")
    content.give(repo, [gone, here])
    assert (content.noted(), content.gone()) == ({repo.root: {gone, here}}, [(repo.root, gone)])
    node.blobs.erase(gone, Tombstone(by=speaker.origin, reason="asked for", at=1, size=1))
    assert content.gone() == []
    content.drop_gone(repo.root, [gone, here])
    assert content.noted() == {repo.root: {here}}
    content.drop(repo.root, [here])
    assert content.noted() == {}
    assert node.blobs.have(here)
