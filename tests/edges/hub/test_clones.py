"""The git objects of repos: what others propose stops nobody, and few wait for what takes long."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from concord.edges.hub import clones as module
from concord.edges.hub.clones import KEPT, WAITING, Clones
from concord.errors import BusyError
from concord.node import Node
from concord.pillars.commons import Changes, Repo, Revision
from concord.pillars.commons.git import Objects
from concord.shelf import Shelf
from concord.testing.nodes import everything
from concord.testing.processes import until
from concord.testing.repos import put


@pytest.fixture
def shelf(node: Node) -> Shelf:
    return Shelf(node)


def made(shelf: Shelf, name: str, **contents: bytes) -> Repo:
    origin = min(shelf.node.holdings.hosted())
    repo = shelf.open(everything(origin), "model", name, private=False)
    put(shelf, origin, repo, contents or {"a": b"a"}, "Begin")
    return shelf.find(repo.id, None)


def test_what_is_kept_is_kept_and_grows(shelf: Shelf) -> None:
    clones, repo = Clones(shelf), made(shelf, "words")
    first = clones.objects(repo)
    assert clones.objects(repo) is first
    put(shelf, repo.id.owner, repo, {"b": b"b"}, "More")
    assert clones.objects(shelf.find(repo.id, None)) is first
    assert len(first.commits) == 2
    for number in range(KEPT):
        clones.objects(made(shelf, f"other-{number}"))
    assert clones.objects(repo) is not first


def test_a_proposal_that_is_too_large_is_left_out(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PULLS_MAX", 100)
    repo = made(shelf, "words")
    thread = shelf.discuss(everything(repo.id.owner), repo, "Mine", "", pull=True)
    put(shelf, repo.id.owner, repo, {"b": b"b"}, "Mine", ref=thread.ref)
    repo = shelf.find(repo.id, None)
    objects = Clones(shelf).objects(repo)
    assert set(objects.names) == repo.own()


def test_few_wait_and_the_others_are_told_to_come_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    clones, repo, known = Clones(shelf), made(shelf, "words"), made(shelf, "known")
    clones.objects(known)
    go, begun = Event(), Event()
    add = Objects.add

    def slowly(self: Objects, revision: Revision, changes: Changes, most: int) -> bytes:
        begun.set()
        assert go.wait(30)
        return add(self, revision, changes, most)

    monkeypatch.setattr(Objects, "add", slowly)
    with ThreadPoolExecutor(WAITING) as threads:
        waiting = [threads.submit(clones.objects, repo) for _ in range(WAITING)]
        try:
            assert begun.wait(30)
            until(lambda: clones._places._value == 0, "all places taken")
            with pytest.raises(BusyError, match="try again in a moment"):
                clones.objects(repo)
            assert clones.objects(known).commits
        finally:
            go.set()
        assert len({id(each.result()) for each in waiting}) == 1
