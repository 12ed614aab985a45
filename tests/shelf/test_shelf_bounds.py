"""What a hostile member says of another's repo: it drowns nothing, costs little, and every node leaves out the same of it."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meeting import AMINA, KE, SAMI, TN, meet, put

from concord.errors import RefusedError
from concord.ledger.record import ENCODER, Record
from concord.node import Node
from concord.pillars.commons import Comment, Discussion, Like, Repo, Settle, Thread
from concord.pillars.commons import view as commons_view
from concord.shelf import Draft, Shelf
from concord.testing import NOW, make_organisation
from concord.testing.members import NewMember

ANSWERS, SAID, LIKES = 3, 6, 2


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("ANSWERS_MAX", ANSWERS), ("SAID_MAX", SAID), ("LIKES_MAX", LIKES)):
        monkeypatch.setattr(f"concord.pillars.commons.bounds.{name}", most)


def say(node: Node, member: NewMember, kind: type[Record], *fields: dict[str, Any]) -> None:
    """Say records as a member that runs other software says them."""
    records = [kind(**{"by": member.origin, "at": NOW, **each}) for each in fields]
    node.holdings.log(member.origin).append([ENCODER.encode(record) for record in records])
    node.catch_up()


def comments(thread: Thread, words: Iterable[object], **more: Any) -> list[dict[str, Any]]:
    return [{"discussion": thread.leaf, "text": f"{word}", **more} for word in words]


def texts(repo: Repo, thread: Thread) -> list[str]:
    return [each.record.text for each in repo.thread(thread.number).answers if isinstance(each.record, Comment)]


def discussed(shelf: Shelf) -> tuple[Repo, Thread]:
    repo = shelf.open(AMINA, "model", "words", private=False)
    return repo, shelf.discuss(AMINA, repo, "A question", "", pull=False)


def test_the_first_answers_of_a_member_count_and_nothing_displaces_them(nodes: list[Node], shelf: Shelf) -> None:
    repo, thread = discussed(shelf)
    meet(nodes)
    say(nodes[1], TN, Comment, *comments(thread, range(50)))
    say(nodes[1], TN, Comment, *comments(thread, ["earlier"], at=NOW - 90))
    for number in range(10):
        shelf.answer(AMINA, repo, thread, f"ours {number}")
    meet(nodes)
    for each in (shelf, Shelf(nodes[1])):
        seen = each.find(repo.id, None)
        assert [text for text in texts(seen, thread) if "ours" not in text] == ["0", "1", "2"]
        assert len(texts(seen, thread)) == 13, "the owner is bound by nothing"
        assert seen.thread(thread.number).unheard == 48


def test_what_would_count_for_nobody_is_not_said(nodes: list[Node], shelf: Shelf) -> None:
    repo, thread = discussed(shelf)
    meet(nodes)
    other = Shelf(nodes[1])
    for number in range(ANSWERS):
        other.answer(SAMI, other.find(repo.id, None), thread, f"{number}")
    size = nodes[1].holdings.tree(TN.origin).size
    with pytest.raises(RefusedError, match="tn has said so much in this discussion"):
        other.answer(SAMI, repo, thread, "more")
    assert nodes[1].holdings.tree(TN.origin).size == size
    mine = other.discuss(SAMI, other.find(repo.id, None), "Mine", "", pull=False)
    assert other.answer(SAMI, repo, mine, "there is room in another")


def test_all_that_a_member_says_of_a_repo_is_bounded(nodes: list[Node], shelf: Shelf) -> None:
    repo, _ = discussed(shelf)
    meet(nodes)
    other = Shelf(nodes[1])
    pull_ = other.discuss(SAMI, other.find(repo.id, None), "Better", "", pull=True)
    put(other, repo, "a", ref=pull_.ref, by=SAMI)
    fields = [{"repo": repo.id, "title": f"Spam {number}"} for number in range(40)]
    say(nodes[1], TN, Discussion, *fields)
    meet(nodes)
    seen = shelf.find(repo.id, None)
    assert len(seen.threads) == 1 + SAID - 1, "one of the owner's, and SAID of the other's but for a commit"
    with pytest.raises(RefusedError, match="of ke/words"):
        other.discuss(SAMI, other.find(repo.id, None), "More", "", pull=False)
    with pytest.raises(RefusedError):
        put(other, repo, "b", ref=pull_.ref, by=SAMI)
    shelf.discuss(AMINA, seen, "Ours", "", pull=False)


def test_likes_of_made_up_people_are_bounded_and_members_come_first() -> None:
    """Of two repos, the one that people of two members like stands before the one that a member's made-up people like."""
    (node,) = make_organisation([[KE, TN]])
    shelf = Shelf(node)
    loved, pushed = (shelf.open(AMINA, "model", name, private=False) for name in ("loved", "pushed"))
    say(node, TN, Like, *({"repo": pushed.id, "person": f"p{number}"} for number in range(40)))
    shelf.like(AMINA, loved, liked=True)
    shelf.like(SAMI, loved, liked=True)
    entries = {each.id.name: each for each in shelf.catalogue(None)}
    assert [(entries[name].likes, entries[name].members) for name in ("loved", "pushed")] == [(2, 2), (LIKES, 1)]
    assert entries["loved"].liked > entries["pushed"].liked
    with pytest.raises(RefusedError):
        shelf.like(SAMI, shelf.find(pushed.id, None), liked=True)
    shelf.like(AMINA, shelf.find(pushed.id, None), liked=True)


WHAT = st.sampled_from(["comment", "settle", "like", "discussion"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.tuples(WHAT, st.integers(0, 5), st.integers(-9, 9)), max_size=30), rest=st.data())
def test_every_node_leaves_out_the_same(
    words: list[tuple[str, int, int]], rest: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = make_organisation([[KE], [TN]])
    shelf = Shelf(nodes[0])
    repo, thread = discussed(shelf)
    meet(nodes)
    for what, number, at in words:
        match what:
            case "comment":
                say(nodes[1], TN, Comment, *comments(thread, [number], at=NOW + at))
            case "settle":
                say(nodes[1], TN, Settle, {"discussion": thread.leaf, "status": "closed", "at": NOW + at})
            case "like":
                say(nodes[1], TN, Like, {"repo": repo.id, "person": f"p{number}", "liked": number > 2, "at": NOW + at})
            case _:
                say(nodes[1], TN, Discussion, {"repo": repo.id, "title": f"T{number}", "at": NOW + at})
        if rest.draw(st.booleans()):
            meet(nodes)
    meet(nodes)
    here, there = shelf.find(repo.id, None), Shelf(nodes[1]).find(repo.id, None)
    assert here == there
    assert len(here.thread(thread.number).answers) <= ANSWERS
    liked = [number for what, number, _ in words if what == "like"][:LIKES]
    assert {person for _, person in here.likes} <= {f"p{number}" for number in liked}
    one_by_one = Shelf(nodes[0]).catalogue(None)
    with monkeypatch.context() as patched:
        patched.setattr("concord.shelf.repos.FOLDED_MAX", 0)
        assert Shelf(nodes[0]).catalogue(None) == one_by_one


def test_what_counts_is_the_same_whether_bounds_are_looked_for_or_not(
    nodes: list[Node], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, thread = discussed(shelf)
    shelf.commit(AMINA, repo, Draft("main", "Begin", put=[]))
    meet(nodes)
    say(nodes[1], TN, Comment, *comments(thread, range(3)))
    say(nodes[1], TN, Like, {"repo": repo.id, "person": "sami"})
    meet(nodes)
    with nodes[0].reading() as db:
        looked = commons_view.pointers(db, repo.id, {"words"})
        monkeypatch.setattr("concord.pillars.commons.bounds.ANSWERS_MAX", 100)
        monkeypatch.setattr("concord.pillars.commons.bounds.SAID_MAX", 100)
        monkeypatch.setattr("concord.pillars.commons.bounds.LIKES_MAX", 100)
        assert commons_view.pointers(db, repo.id, {"words"}) == looked
