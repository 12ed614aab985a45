"""Pull requests between members: begun, told of, merged."""

import pytest
from meeting import AMINA, SAMI, TN, file, meet, paths, put
from msgspec.structs import replace

from concord.errors import RefusedError, StaleError
from concord.ledger.record import ENCODER
from concord.node import Node
from concord.shelf import Draft, Shelf, pull_requests


def test_a_person_of_one_member_opens_a_pull_request_on_the_repo_of_another_who_merges_it(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    put(shelf, repo, "README.md", "old")
    meet(nodes)
    other = Shelf(nodes[1])
    thread = other.discuss(SAMI, other.find(repo.id, None), "Better", "See within.", pull=True)
    proposed = other.commit(SAMI, other.find(repo.id, None), Draft(thread.ref, "New", put=[file("new")], removed=["old"]))
    other.commit(SAMI, other.find(repo.id, None), Draft(thread.ref, "Newer", put=[file("newer")]))
    put(shelf, repo, "meanwhile")
    meet(nodes)
    theirs = shelf.find(repo.id, None).threads[thread.number]
    assert (theirs.status, theirs.title, theirs.begun.by) == ("draft", "Better", TN.origin)
    assert paths(shelf, repo, thread.ref) == {"README.md", "new", "newer"}
    merged = pull_requests.merge(shelf, AMINA, shelf.find(repo.id, None), theirs, "Merge")
    assert merged.commit.merges == theirs.head != proposed.leaf
    meet(nodes)
    for each in (shelf, other):
        assert paths(each, repo) == {"README.md", "new", "newer", "meanwhile"}
        assert each.find(repo.id, None).threads[thread.number].status == "merged"
    assert nodes[0].view.digests() == nodes[1].view.digests()


def test_a_merged_pull_request_takes_no_more_commits(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    put(shelf, repo, "a")
    meet(nodes)
    other = Shelf(nodes[1])
    thread = other.discuss(SAMI, other.find(repo.id, None), "Better", "", pull=True)
    put(other, other.find(repo.id, None), "b", ref=thread.ref, by=SAMI)
    meet(nodes)
    pull_requests.merge(shelf, AMINA, shelf.find(repo.id, None), thread, "Merge")
    meet(nodes)
    with pytest.raises(RefusedError, match="is merged, and takes no more commits"):
        put(other, other.find(repo.id, None), "c", ref=thread.ref, by=SAMI)


def test_a_pull_request_that_touches_what_changed_since_is_not_merged(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    put(shelf, repo, "a")
    meet(nodes)
    other = Shelf(nodes[1])
    thread = other.discuss(SAMI, other.find(repo.id, None), "Better", "", pull=True)
    put(other, other.find(repo.id, None), "a", content=b"theirs", ref=thread.ref, by=SAMI)
    put(shelf, repo, "a", content=b"ours")
    meet(nodes)
    with pytest.raises(StaleError, match="a changed on main"):
        pull_requests.merge(shelf, AMINA, shelf.find(repo.id, None), thread, "Merge")


def test_a_stranger_commits_neither_to_a_branch_nor_to_the_pull_request_of_another(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    thread = shelf.discuss(AMINA, repo, "Ours", "", pull=True)
    meet(nodes)
    forged = [
        replace(first.commit, by=TN.origin, ref=ref, parent=first.leaf, at=first.commit.at + 1) for ref in ("main", thread.ref)
    ]
    nodes[1].holdings.log(TN.origin).append([ENCODER.encode(commit) for commit in forged])
    nodes[1].catch_up()
    meet(nodes)
    for each in (shelf, Shelf(nodes[1])):
        found = each.find(repo.id, None)
        assert (found.find("main").oid, found.threads[thread.number].head) == (first.oid, None)


def test_a_pull_request_that_was_proposed_is_not_proposed_again_by_whoever_got_no_answer(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    put(shelf, repo, "b")
    asked = [("Better", None), ("Better", None), ("Earlier", first.oid)]
    drafts = [Draft("main", title, put=[file("c")], parent=parent) for title, parent in asked]
    threads = [pull_requests.propose(shelf, AMINA, repo, draft)[0] for draft in drafts]
    assert threads[0].number == threads[1].number != threads[2].number
    assert [thread.status for thread in threads] == ["open"] * 3
    assert paths(shelf, repo, threads[0].ref) == {"a", "b", "c"}
    assert paths(shelf, repo, threads[2].ref) == {"a", "c"}


def test_a_pull_request_tells_what_it_changes_and_what_clashes(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    put(shelf, repo, "a", "b")
    thread, _ = pull_requests.propose(shelf, AMINA, repo, Draft("main", "Better", put=[file("a", b"theirs")], removed=["b"]))
    found = shelf.find(repo.id, None)
    assert pull_requests.proposed(shelf, found, thread) == ([file("a", b"theirs")], ["b"])
    assert pull_requests.conflicts(shelf, found, thread) == []
    put(shelf, repo, "a", content=b"ours")
    assert pull_requests.conflicts(shelf, shelf.find(repo.id, None), thread) == ["a"]
