"""The trees and the bytes of repos."""

import pytest
from meeting import AMINA, file
from msgspec import to_builtins

from concord.errors import MalformedError, MissingError
from concord.pillars.commons import Commit
from concord.shelf import Shelf


def test_bytes_of_a_file_are_read_where_they_are(shelf: Shelf) -> None:
    repo, other = (shelf.open(AMINA, "model", name, private=False) for name in ("words", "other"))
    here, gone = shelf.keep(repo, "a", b"some bytes"), file("b", b"other")
    assert shelf.have(repo, here)
    assert (b"".join(shelf.read(repo, here)), b"".join(shelf.read(repo, here, 2, 4))) == (b"some bytes", b"me")
    for elsewhere, file_ in ((repo, gone), (other, here)):
        assert not shelf.have(elsewhere, file_)
        with pytest.raises(MissingError):
            shelf.read(elsewhere, file_)


def test_a_list_of_changes_that_is_none_is_malformed(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    listing = shelf.node.blobs.detach(b"[" * 100_000, "application/json")
    fields = {"repo": to_builtins(repo.id), "ref": "main", "tree": "9f" * 32, "title": "Odd", "listing": to_builtins(listing)}
    shelf.node.say(AMINA, Commit, fields)
    repo = shelf.find(repo.id, None)
    with pytest.raises(MalformedError, match="is no list of changes"):
        shelf.tree(repo, repo.find("main"))


def test_a_list_of_changes_that_nobody_has_the_memory_for_is_not_read(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    listing = shelf.node.blobs.detach(b'{"put":[],"removed":[]}', "application/json")
    fields = {"repo": to_builtins(repo.id), "ref": "main", "tree": "9f" * 32, "title": "Much", "listing": to_builtins(listing)}
    shelf.node.say(AMINA, Commit, fields)
    found = shelf.find(repo.id, None).find("main")
    assert shelf.changes(found).put == ()
    monkeypatch.setattr("concord.shelf.files.LISTING_MAX", listing.size - 1)
    with pytest.raises(MalformedError, match="lists its changes in"):
        shelf.changes(found)
