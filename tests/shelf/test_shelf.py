"""Repos at a node: who may change what, and that every node comes to the same."""

import pytest
from meeting import AMINA, KE, SAMI, TN, file, meet, paths, put
from msgspec.structs import replace

from concord.edges.peer.pull import pull
from concord.errors import MalformedError, MissingError, RefusedError, StaleError
from concord.ledger.pillar import PERSONAL_ROLES, Role
from concord.ledger.record import ENCODER
from concord.node import Node
from concord.pillars.commons import Card
from concord.private import drafts
from concord.private.people import Speaker
from concord.shelf import Draft, Shelf
from concord.shelf.shelf import INLINE_MAX
from concord.testing import NodeSource


def test_commits_make_a_tree_that_every_node_reads(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a", "data/b")
    second = shelf.commit(AMINA, repo, Draft("main", "Remove", removed=["data"]))
    pull(nodes[1], NodeSource(nodes[0]))
    other = Shelf(nodes[1])
    for each in (shelf, other):
        assert paths(each, repo) == {"a"}
        assert paths(each, repo, first.oid) == {"a", "data/b"}
        assert [revision.oid for revision in each.find(repo.id, None).history(second)] == [second.oid, first.oid]
    assert nodes[0].view.digests() == nodes[1].view.digests()


def test_a_commit_that_changes_nothing_is_none(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    assert put(shelf, repo, "a").oid == first.oid
    assert put(shelf, repo, "a", content=b"y").oid != first.oid


def test_of_two_commits_on_one_parent_the_second_is_refused(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    put(shelf, repo, "b", parent=first.oid)
    with pytest.raises(StaleError, match="main is at"):
        put(shelf, repo, "c", parent=first.oid)
    assert paths(shelf, repo) == {"a", "b"}


def test_a_commit_that_lost_a_race_changes_nothing(shelf: Shelf) -> None:
    """Two processes may both say one on the same parent; the log has an order."""
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    second = put(shelf, repo, "b")
    late = replace(second.commit, parent=first.leaf, title="Late")
    shelf.node.say_composed(AMINA, [late])
    assert shelf.find(repo.id, None).find("main").oid == second.oid


def test_much_is_listed_beside_the_log(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "dataset", "many", private=False)
    revision = put(shelf, repo, *(f"data/{number:04}.parquet" for number in range(1000)))
    assert revision.commit.listing is not None
    assert len(ENCODER.encode(revision.commit)) < INLINE_MAX
    assert len(paths(shelf, repo)) == 1000
    pull(nodes[1], NodeSource(nodes[0]))
    assert len(paths(Shelf(nodes[1]), repo)) == 1000


def test_branches_tags_and_squashes(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first, second = put(shelf, repo, "a"), put(shelf, repo, "b")
    shelf.point(AMINA, repo, "branch", "dev/x", first)
    shelf.point(AMINA, repo, "tag", "v1", first, "the first")
    put(shelf, repo, "c", ref="dev/x")
    assert paths(shelf, repo, "dev/x") == {"a", "c"}
    assert paths(shelf, repo, "v1") == paths(shelf, repo, "refs/tags/v1") == {"a"}
    squashed = shelf.squash(AMINA, repo, "main", "Squashed")
    found = shelf.find(repo.id, None)
    assert found.history(squashed) == [squashed]
    assert paths(shelf, repo) == {"a", "b"}
    assert found.find(second.oid).oid == second.oid
    shelf.point(AMINA, repo, "tag", "v1", None)
    for name in ("v1", "nothing", "0" * 40, "a", ""):
        with pytest.raises(MissingError, match="has no revision"):
            shelf.find(repo.id, None).find(name)
    with pytest.raises(MissingError, match="no branch 'gone'"):
        put(shelf, repo, "d", ref="gone")


def test_a_private_repo_is_made_of_what_was_said_once_and_again_when_something_is_said(shelf: Shelf) -> None:
    """Otherwise each file that is asked for costs as much as the whole history."""
    repo = shelf.open(AMINA, "model", "secret", private=True)
    put(shelf, repo, "a")
    first = shelf.find(repo.id, AMINA)
    assert shelf.find(repo.id, AMINA) is first
    second = put(shelf, repo, "b")
    assert shelf.find(repo.id, AMINA).find("main") == second
    shelf.close(AMINA, shelf.find(repo.id, AMINA))
    shelf.open(AMINA, "model", "secret", private=True)
    assert shelf.find(repo.id, AMINA).branches == {}


def test_publishing_says_all_at_once_and_commits_keep_their_names(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    first, second = put(shelf, repo, "a"), put(shelf, repo, "b")
    repo = shelf.move(AMINA, shelf.find(repo.id, AMINA), "better")
    third = put(shelf, repo, "c")
    public = shelf.publish(AMINA, repo)
    assert not public.private
    assert [each.oid for each in public.history(public.find("main"))] == [third.oid, second.oid, first.oid]
    assert all(each.index is not None for each in public.revisions.values())
    pull(nodes[1], NodeSource(nodes[0]))
    assert paths(Shelf(nodes[1]), public) == {"a", "b", "c"}
    assert shelf.find(replace(repo.id, name="secret"), None).id.name == "better"


@pytest.mark.parametrize("more", [False, True])
def test_what_was_published_when_the_machine_stopped_is_not_said_again(nodes: list[Node], shelf: Shelf, *, more: bool) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    last = put(shelf, repo, "a")
    with nodes[0].private_reading() as db:
        drafted = drafts.entries(db, repo.id.owner, repo.id.kind, repo.id.name)
    nodes[0].say_composed(AMINA, [nodes[0].read(entry) for entry in drafted])
    size = nodes[0].holdings.tree(KE.origin).size
    last = put(shelf, shelf.find(repo.id, AMINA), "b") if more else last
    public = shelf.publish(AMINA, shelf.find(repo.id, AMINA))
    assert nodes[0].holdings.tree(KE.origin).size == size + more
    assert (public.private, public.find("main").oid) == (False, last.oid)


def test_a_private_repo_that_is_deleted_leaves_nothing(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    shelf.close(AMINA, repo)
    assert shelf.listed(AMINA) == []
    assert shelf.open(AMINA, "model", "secret", private=False).revisions == {}


def test_only_publishers_of_the_owner_change_a_repo(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    put(shelf, repo, "a")
    reader = Speaker("reader", "Reader", KE.origin, frozenset({Role.DELEGATE}))
    for stranger in (SAMI, reader, AMINA.narrowed(["read"])):
        for change in (
            lambda by: put(shelf, repo, "b", by=by),
            lambda by: shelf.configure(by, repo, "manual"),
            lambda by: shelf.move(by, repo, "mine"),
            lambda by: shelf.close(by, repo),
            lambda by: shelf.point(by, repo, "branch", "x", repo.find("main") if repo.branches else None),
        ):
            with pytest.raises(RefusedError):
                change(stranger)
    assert paths(shelf, repo) == {"a"}


@pytest.mark.parametrize("name", ["", "a/b", "..", "a--b", "a..b", "-a", "a ", "é", "x" * 97, "a.", ".a"])
def test_a_name_that_the_hub_would_not_take_is_refused(shelf: Shelf, name: str) -> None:
    with pytest.raises(MalformedError):
        shelf.open(AMINA, "model", name, private=False)


def test_a_name_is_taken_while_the_repo_or_one_renamed_from_it_stands(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    shelf.open(AMINA, "dataset", "words", private=False)
    moved = shelf.move(AMINA, repo, "better")
    for name in ("words", "better"):
        for private in (False, True):
            with pytest.raises(RefusedError, match="already"):
                shelf.open(AMINA, "model", name, private=private)
    assert shelf.find(repo.id, None).id == moved.id
    shelf.close(AMINA, moved)
    with pytest.raises(MissingError):
        shelf.find(moved.id, None)
    assert shelf.open(AMINA, "model", "better", private=False).branches == {}


def test_discussions_likes_and_who_may_settle_them(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    meet(nodes)
    other = Shelf(nodes[1])
    thread = other.discuss(SAMI, other.find(repo.id, None), "A question", "How?", pull=False)
    other.like(SAMI, other.find(repo.id, None), liked=True)
    other.like(SAMI, other.find(repo.id, None), liked=True)
    meet(nodes)
    found = shelf.find(repo.id, None)
    shelf.answer(AMINA, found, found.threads[thread.number], "Like this.")
    shelf.settle(AMINA, found, found.threads[thread.number], "closed", "An answered question")
    meet(nodes)
    for each in (shelf, other):
        seen = each.find(repo.id, None)
        assert seen.likes == {(TN.origin, "sami")}
        settled = seen.threads[thread.number]
        assert (settled.status, settled.title, len(settled.answers)) == ("closed", "An answered question", 2)
    mine = shelf.discuss(AMINA, found, "Ours", "", pull=False)
    meet(nodes)
    with pytest.raises(RefusedError, match="settled by whoever began it"):
        other.settle(SAMI, other.find(repo.id, None), mine, "closed")


def test_a_commit_carries_what_the_card_says_and_keeps_it(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    said = Card(license="mit", languages=("sw",), tags=("speech",))
    first = shelf.commit(AMINA, repo, Draft("main", "Card", put=[file("README.md")], card=said))
    assert (first.commit.card, put(shelf, repo, "b").commit.card) == (said, said)


def test_everything_of_a_shelf_survives_a_rebuild(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    put(shelf, repo, "a")
    before = nodes[0].view.digests()
    nodes[0].view.rebuild()
    nodes[0].catch_up()
    assert nodes[0].view.digests() == before
    assert paths(Shelf(nodes[0]), repo) == {"a"}


def test_what_one_member_says_within_a_second_counts_in_the_order_of_its_log(nodes: list[Node], shelf: Shelf) -> None:
    """The clock stands still here, so all of it is of one second."""
    repo = shelf.open(AMINA, "model", "words", private=False)
    thread = shelf.discuss(AMINA, repo, "A question", "", pull=False)
    statuses = ("closed", "open", "closed", "open", "closed")
    for status in statuses:
        shelf.settle(AMINA, repo, thread, status)
    for liked in (True, False, True, False):
        shelf.like(AMINA, shelf.find(repo.id, None), liked=liked)
    pull(nodes[1], NodeSource(nodes[0]))
    for each in (shelf, Shelf(nodes[1])):
        seen = each.find(repo.id, None)
        assert (seen.threads[thread.number].status, seen.likes) == ("closed", set())


def test_what_others_said_of_a_repo_opened_again_counts(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    meet(nodes)
    other = Shelf(nodes[1])
    other.like(SAMI, other.find(repo.id, None), liked=True)
    shelf.close(AMINA, repo)
    for node in nodes:
        node.clock.now += 1
    again = shelf.open(AMINA, "model", "words", private=False)
    meet(nodes)
    assert again.root != repo.root
    assert shelf.find(repo.id, None).likes == set()
    other.like(SAMI, other.find(repo.id, None), liked=True)
    meet(nodes)
    assert shelf.find(repo.id, None).likes == {(TN.origin, "sami")}


def test_a_commit_that_was_made_is_not_made_again_by_whoever_got_no_answer(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    second = put(shelf, repo, "b", parent=first.oid)
    assert put(shelf, repo, "b", parent=first.oid).oid == second.oid
    for more in ({"content": b"y"}, {"by": Speaker("other", "Other", KE.origin, frozenset(PERSONAL_ROLES))}):
        with pytest.raises(StaleError):
            put(shelf, repo, "b", parent=first.oid, **more)
