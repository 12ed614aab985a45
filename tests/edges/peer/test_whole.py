"""Small files, one after the other and whole."""

import os
from pathlib import Path

import pytest
from sharing import World, source

from concord.edges.peer import tries
from concord.edges.peer.plan import Wanted
from concord.edges.peer.whole import fetch_whole
from concord.errors import ForgedError
from concord.ledger.blobs import Blobs


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(tries, "PAUSE", 0.001)
    return World()


def test_a_small_file_goes_on_where_it_was_cut(world: World, tmp_path: Path) -> None:
    text = os.urandom(50_000)
    kept = world.shelf.keep(world.repo, "a.txt", text)
    wanted = Wanted(world.repo.root, kept.sha256, kept.size)
    blobs = Blobs(tmp_path / "blobs")
    line = source(world, breaks=[10_000, 1, 0, 20_000])
    fetch_whole(blobs, wanted, [line])
    assert b"".join(blobs.get(kept.sha256)) == text
    assert line.sent["file"] == len(text)
    empty = world.shelf.keep(world.repo, "empty", b"")
    fetch_whole(blobs, Wanted(world.repo.root, empty.sha256, 0), [source(world)])
    assert blobs.have(empty.sha256)


def test_a_small_file_that_is_forged_is_asked_of_somebody_else(world: World, tmp_path: Path) -> None:
    kept = world.shelf.keep(world.repo, "b.txt", b"honest words")
    wanted = Wanted(world.repo.root, kept.sha256, kept.size)
    forger = source(world, forge=lambda path, place: place in (-1, 3))
    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(ForgedError):
        fetch_whole(blobs, wanted, [forger])
    fetch_whole(blobs, wanted, [forger, source(world)])
    assert b"".join(blobs.get(kept.sha256)) == b"honest words"
