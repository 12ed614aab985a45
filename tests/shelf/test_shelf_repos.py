"""Which repos are found, and by whom."""

from contextlib import AbstractContextManager
from gc import collect
from weakref import ref

import pytest
from meeting import AMINA, KE, SAMI, TN, file, meet, put
from msgspec import to_builtins
from msgspec.structs import replace
from sqlalchemy import Connection

from concord.edges.peer.pull import pull
from concord.errors import MalformedError, MissingError, RefusedError
from concord.ledger.record import ENCODER
from concord.node import Node
from concord.pillars.commons import Card, Commit, Like, Open
from concord.shelf import Draft, Shelf
from concord.testing import NOW, NodeSource


def test_a_repo_is_found_by_its_root_and_by_whichever_of_its_names(nodes: list[Node], shelf: Shelf) -> None:
    model = shelf.open(AMINA, "model", "words", private=False)
    secret = shelf.open(AMINA, "model", "secret", private=True)
    found = [shelf.named(name).root for name in ("ke/words", f"{KE.origin}/words", "models/ke/words", model.root)]
    assert found == [model.root] * 4
    assert shelf.named("ke/secret").root == secret.root
    assert [repo.root for repo in shelf.open_repos()] == [model.root]
    dataset = shelf.open(AMINA, "dataset", "words", private=False)
    with pytest.raises(MalformedError, match="could be several"):
        shelf.named("ke/words")
    assert shelf.named("datasets/ke/words").root == dataset.root
    shelf.move(AMINA, model, "phrases")
    assert shelf.named("models/ke/words").id.name == "phrases"
    for name in ("words", "ke/", "/words", "datasets/words", ""):
        with pytest.raises(MalformedError, match="no name of a repo"):
            shelf.named(name)
    for name in ("ke/none", "nobody/words", "9f" * 32):
        with pytest.raises(MissingError):
            shelf.named(name)
    shelf.check_open(model)
    shelf.configure(AMINA, dataset, "manual")
    for repo in (secret, shelf.named(dataset.root)):
        with pytest.raises(RefusedError, match="not for everybody"):
            shelf.check_open(repo)


def test_a_private_repo_is_nobody_elses(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    put(shelf, repo, "a")
    sizes = [nodes[0].holdings.tree(KE.origin).size, nodes[0].view.size(KE.origin)]
    for asker in (None, SAMI):
        with pytest.raises(MissingError) as hidden:
            shelf.find(repo.id, asker)
        with pytest.raises(MissingError) as never:
            shelf.find(replace(repo.id, name="never"), asker)
        assert str(hidden.value).replace("secret", "never") == str(never.value)
        assert shelf.listed(asker) == []
    assert shelf.listed(AMINA) == [repo.id]
    pull(nodes[1], NodeSource(nodes[0]))
    assert [nodes[1].holdings.tree(KE.origin).size, nodes[1].view.size(KE.origin)] == sizes


def test_the_root_of_a_repo_stays(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    moved = shelf.move(AMINA, repo, "better")
    public = shelf.publish(AMINA, moved)
    assert repo.root == moved.root == public.root
    assert shelf.rooted(KE.origin, "model", "secret", repo.root) == public
    assert shelf.rooted(KE.origin, "model", "secret", "0" * 64) is None
    assert shelf.rooted(KE.origin, "model", "never", repo.root) is None


def test_the_catalogue_has_the_newest_card_likes_and_names(nodes: list[Node], shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    assert [each.card for each in shelf.catalogue(None)] == [Card()]
    for version in ("old", "new"):
        card = Card(license=version, tags=(version, "speech"), languages=("sw",), base=("a/b",), datasets=("c/d",))
        shelf.commit(AMINA, repo, Draft("main", "Card", put=[file("README.md", version.encode())], card=card))
    thread = shelf.discuss(AMINA, repo, "Try", "", pull=True)
    shelf.commit(AMINA, repo, Draft(thread.ref, "Other", put=[file("x")], card=Card(license="proposed")))
    meet(nodes)
    other = Shelf(nodes[1])
    other.like(SAMI, other.find(repo.id, None), liked=True)
    shelf.move(AMINA, repo, "better")
    meet(nodes)
    (found,) = shelf.catalogue(None)
    assert (found.id.name, found.card, found.likes) == ("better", card, 1)
    other.like(SAMI, other.find(found.id, None), liked=False)
    assert [each.likes for each in other.catalogue(None)] == [0]
    shelf.close(AMINA, shelf.find(found.id, None))
    shelf.open(AMINA, "model", "better", private=False)
    assert [(each.likes, each.card) for each in shelf.catalogue(None)] == [(0, Card())]
    shelf.close(AMINA, shelf.find(found.id, None))
    assert shelf.catalogue(None) == []


def test_a_private_repo_is_in_the_catalogue_of_its_owner_only(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    shelf.commit(AMINA, repo, Draft("main", "Card", put=[file("README.md")], card=Card(license="mit")))
    assert shelf.catalogue(None) == shelf.catalogue(SAMI) == []
    assert [(each.id.name, each.private, each.card.license) for each in shelf.catalogue(AMINA)] == [("secret", True, "mit")]


def test_upkeep_sees_all_repos_of_all_members(shelf: Shelf) -> None:
    named = {"public": False, "private": True, "later": True}
    for name, private in named.items():
        shelf.open(AMINA, "model", name, private=private)
    found = iter(shelf.everything())
    first = next(found)
    assert first.private
    shelf.publish(AMINA, shelf.find(replace(first.id, name="later"), AMINA))
    assert {first.id.name, *(each.id.name for each in found)} == set(named)


def test_the_catalogue_counts_the_likes_that_the_repo_has(nodes: list[Node], shelf: Shelf) -> None:
    """Also of a member that dates its words backwards, and of a repo that was closed and opened again."""
    repo = shelf.open(AMINA, "model", "words", private=False)
    meet(nodes)
    words = [("a", True, 30), ("a", False, 20), ("b", False, 30), ("b", True, 20), ("c", True, -5), ("c", True, 40)]
    said = [Like(by=TN.origin, at=NOW + at, repo=repo.id, person=person, liked=liked) for person, liked, at in words]
    nodes[1].holdings.log(TN.origin).append([ENCODER.encode(each) for each in said])
    nodes[1].catch_up()
    meet(nodes)

    def counted() -> tuple[int, int]:
        return len(shelf.find(repo.id, None).likes), shelf.catalogue(None)[0].likes

    assert counted() == (2, 2)
    shelf.close(AMINA, shelf.find(repo.id, AMINA))
    shelf.node.say_composed(AMINA, [Open(by=KE.origin, at=NOW + 35, kind="model", name="words")])
    assert counted() == (1, 1)


def test_lists_know_repos_as_they_stand_whether_they_are_read_at_once_or_one_by_one(
    nodes: list[Node], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns of a story that tables alone do not tell: a branch put back, renamed, closed and opened again, none called main."""
    for name in ("plain", "back", "moved", "again", "beside", "gated", "empty"):
        repo = shelf.open(AMINA, "model", name, private=False)
        if name not in ("empty", "beside"):
            put(shelf, repo, "a", "b")
    back = shelf.find(shelf.repo_id("model", AMINA.origin, "back"), None)
    first = back.history(back.find("main"))[-1]
    put(shelf, back, "c")
    shelf.point(AMINA, back, "branch", "main", first)
    shelf.move(AMINA, shelf.find(shelf.repo_id("model", AMINA.origin, "moved"), None), "better")
    shelf.configure(AMINA, shelf.find(shelf.repo_id("model", AMINA.origin, "gated"), None), "auto")
    shelf.close(AMINA, shelf.find(shelf.repo_id("model", AMINA.origin, "again"), None))
    shelf.open(AMINA, "model", "again", private=False)
    beside = shelf.find(shelf.repo_id("model", AMINA.origin, "beside"), None)
    shelf.commit(AMINA, beside, Draft("dev", "Beside main", put=[file("a")]))
    plain = shelf.find(shelf.repo_id("model", AMINA.origin, "plain"), None)
    second = put(shelf, plain, "c")
    late = {"repo": to_builtins(plain.id), "ref": "main", "parent": plain.find("main").leaf, "tree": "9f" * 32, "title": "Late"}
    nodes[0].say(AMINA, Commit, late)
    by_one = {each.id: each for each in Shelf(nodes[0]).catalogue(None)}
    monkeypatch.setattr("concord.shelf.repos.FOLDED_MAX", 0)
    at_once = {each.id: each for each in Shelf(nodes[0]).catalogue(None)}
    assert at_once == by_one == {each.id: each for each in shelf.catalogue(None)}
    for id_, each in by_one.items():
        repo = shelf.find(id_, None)
        head = repo.head()
        assert (each.root, each.gate, each.leaf) == (repo.root, repo.gate, head.leaf if head else "")
    assert (by_one[back.id].leaf, by_one[plain.id].leaf) == (first.leaf, second.leaf)
    assert {each.id.name for each in by_one.values() if not each.leaf} == {"empty", "again"}


def test_what_was_found_is_found_without_asking_until_something_is_said(
    nodes: list[Node], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says it: this shelf, another one of the node, or a peer."""
    repo = shelf.open(AMINA, "model", "words", private=False)
    other = Shelf(nodes[0])
    known, asked = other.find(repo.id, None), list[str]()
    reading = Node.reading

    def counted(node: Node) -> AbstractContextManager[Connection]:
        asked.append("the view")
        return reading(node)

    monkeypatch.setattr(Node, "reading", counted)
    assert other.find(repo.id, None) is known
    assert not asked
    revision = put(shelf, repo, "a")
    assert other.find(repo.id, None).head() == revision
    shelf.move(AMINA, repo, "phrases")
    assert other.find(repo.id, None).id.name == "phrases"
    nodes[1].say(SAMI, Like, {"repo": to_builtins(repo.id), "liked": True, "person": "sami"})
    meet(nodes)
    assert len(other.find(repo.id, None).likes) == 1
    shelf.close(AMINA, shelf.find(repo.id, AMINA))
    with pytest.raises(MissingError):
        other.find(repo.id, None)


# What is remembered


@pytest.mark.parametrize("private", [False, True])
def test_of_a_repo_that_changes_one_version_is_remembered(shelf: Shelf, private: bool) -> None:  # noqa: FBT001
    repo = shelf.open(AMINA, "model", "words", private=private)
    versions = []
    for number in range(4):
        put(shelf, shelf.find(repo.id, AMINA), f"{number}")
        versions.append(ref(shelf.find(repo.id, AMINA)))
    collect()
    assert [each() is None for each in versions] == [True, True, True, False]


def test_repos_are_remembered_by_how_much_was_said_of_them(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    repos = [shelf.open(AMINA, "model", name, private=False) for name in ("one", "two", "three")]
    for repo in repos:
        put(shelf, repo, "a")
        put(shelf, repo, "b")
    monkeypatch.setattr("concord.shelf.repos.RECORDS_KEPT", 5)
    other = Shelf(shelf.node)
    found = [ref(other.find(repo.id, None)) for repo in repos]
    collect()
    assert [each() is None for each in found] == [True, False, False], "two repos of two commits each"
    monkeypatch.setattr("concord.shelf.repos.RECORDS_KEPT", 1)
    assert other.find(repos[0].id, None) is other.find(repos[0].id, None), "the one in use is remembered, however long"


def test_of_a_repo_that_grows_only_what_is_new_is_read(nodes: list[Node], shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    for number in range(5):
        put(shelf, repo, f"{number}")
    pull(nodes[1], NodeSource(nodes[0]))
    other, read, reads = Shelf(nodes[1]), nodes[1].read, list[bytes]()
    monkeypatch.setattr(nodes[1], "read", lambda entry: (reads.append(entry), read(entry))[1])
    assert len(other.find(repo.id, None).revisions) == 5
    assert len(reads) == 6
    put(shelf, repo, "more")
    pull(nodes[1], NodeSource(nodes[0]))
    reads.clear()
    again = other.find(repo.id, None)
    assert (len(again.revisions), len(reads)) == (6, 1)
    assert again == Shelf(nodes[1]).find(repo.id, None)
