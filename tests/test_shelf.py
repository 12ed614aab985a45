"""Repos at a node: who may see and change what, and that every node comes to the same."""

from hashlib import sha256

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from concord.edges.peer.pull import pull
from concord.errors import MalformedError, MissingError, RefusedError, StaleError
from concord.ledger.pillar import PERSONAL_ROLES, Role
from concord.ledger.record import ENCODER
from concord.node import Node
from concord.pillars.commons import Card, Commit, File, Repo, Revision
from concord.pillars.commons.tree import git_blob
from concord.private.people import Speaker
from concord.shelf import INLINE_MAX, Draft, Shelf
from concord.testing import NodeSource, make_member, make_organisation

KE, TN = make_member("ke"), make_member("tn")
AMINA = Speaker("amina", "Amina", KE.origin, frozenset(PERSONAL_ROLES))
SAMI = Speaker("sami", "Sami", TN.origin, frozenset(PERSONAL_ROLES))


def file(path: str, content: bytes = b"x") -> File:
    return File(path=path, size=len(content), sha256=sha256(content).hexdigest(), oid=git_blob(content))


@pytest.fixture
def nodes() -> list[Node]:
    return make_organisation([[KE], [TN]])


@pytest.fixture
def shelf(nodes: list[Node]) -> Shelf:
    return Shelf(nodes[0])


def put(
    shelf: Shelf, repo: Repo, *paths: str, content: bytes = b"x", ref: str = "main", by: Speaker = AMINA, **more: str
) -> Revision:
    return shelf.commit(by, repo, Draft(ref, "Add files", put=[file(path, content) for path in paths], **more))


def paths(shelf: Shelf, repo: Repo, revision: str = "main", asker: Speaker | None = None) -> set[str]:
    found = shelf.find(repo.id, asker)
    return set(shelf.tree(found, found.find(revision)))


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


# Who may see it


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


def test_a_private_repo_that_is_deleted_leaves_nothing(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    shelf.close(AMINA, repo)
    assert shelf.listed(AMINA) == []
    assert shelf.open(AMINA, "model", "secret", private=False).revisions == {}


# Who may change it


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


# Members who meet


def meet(nodes: list[Node]) -> None:
    pull(nodes[0], NodeSource(nodes[1]))
    pull(nodes[1], NodeSource(nodes[0]))


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
    merged = shelf.merge(AMINA, shelf.find(repo.id, None), theirs, "Merge")
    assert merged.commit.merges == theirs.head != proposed.leaf
    meet(nodes)
    for each in (shelf, other):
        assert paths(each, repo) == {"README.md", "new", "newer", "meanwhile"}
        assert each.find(repo.id, None).threads[thread.number].status == "merged"
    assert nodes[0].view.digests() == nodes[1].view.digests()


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
        shelf.merge(AMINA, shelf.find(repo.id, None), thread, "Merge")


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


# What clients need


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


def test_the_root_of_a_repo_stays(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "secret", private=True)
    moved = shelf.move(AMINA, repo, "better")
    public = shelf.publish(AMINA, moved)
    assert repo.root == moved.root == public.root
    assert shelf.rooted(KE.origin, "model", "secret", repo.root) == public
    assert shelf.rooted(KE.origin, "model", "secret", "0" * 64) is None
    assert shelf.rooted(KE.origin, "model", "never", repo.root) is None


def test_a_commit_that_was_made_is_not_made_again_by_whoever_got_no_answer(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    second = put(shelf, repo, "b", parent=first.oid)
    assert put(shelf, repo, "b", parent=first.oid).oid == second.oid
    for more in ({"content": b"y"}, {"by": Speaker("other", "Other", KE.origin, frozenset(PERSONAL_ROLES))}):
        with pytest.raises(StaleError):
            put(shelf, repo, "b", parent=first.oid, **more)


def test_a_pull_request_that_was_proposed_is_not_proposed_again_by_whoever_got_no_answer(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    first = put(shelf, repo, "a")
    put(shelf, repo, "b")
    asked = [("Better", None), ("Better", None), ("Earlier", first.oid)]
    drafts = [Draft("main", title, put=[file("c")], parent=parent) for title, parent in asked]
    threads = [shelf.propose(AMINA, repo, draft)[0] for draft in drafts]
    assert threads[0].number == threads[1].number != threads[2].number
    assert [thread.status for thread in threads] == ["open"] * 3
    assert paths(shelf, repo, threads[0].ref) == {"a", "b", "c"}
    assert paths(shelf, repo, threads[2].ref) == {"a", "c"}


def test_a_pull_request_tells_what_it_changes_and_what_clashes(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    put(shelf, repo, "a", "b")
    thread, _ = shelf.propose(AMINA, repo, Draft("main", "Better", put=[file("a", b"theirs")], removed=["b"]))
    found = shelf.find(repo.id, None)
    assert shelf.proposed(found, thread) == ([file("a", b"theirs")], ["b"])
    assert shelf.conflicts(found, thread) == []
    put(shelf, repo, "a", content=b"ours")
    assert shelf.conflicts(shelf.find(repo.id, None), thread) == ["a"]


# Searching


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


def test_bytes_of_a_file_are_read_where_they_are(shelf: Shelf) -> None:
    repo, other = (shelf.open(AMINA, "model", name, private=False) for name in ("words", "other"))
    here, gone = shelf.keep(repo, "a", b"some bytes"), file("b", b"other")
    assert shelf.have(repo, here)
    assert (b"".join(shelf.read(repo, here)), b"".join(shelf.read(repo, here, 2, 4))) == (b"some bytes", b"me")
    for elsewhere, file_ in ((repo, gone), (other, here)):
        assert not shelf.have(elsewhere, file_)
        with pytest.raises(MissingError):
            shelf.read(elsewhere, file_)


def test_upkeep_sees_all_repos_of_all_members(shelf: Shelf) -> None:
    named = {"public": False, "private": True, "later": True}
    for name, private in named.items():
        shelf.open(AMINA, "model", name, private=private)
    found = iter(shelf.everything())
    first = next(found)
    assert first.private
    shelf.publish(AMINA, shelf.find(replace(first.id, name="later"), AMINA))
    assert {first.id.name, *(each.id.name for each in found)} == set(named)


def test_a_list_of_changes_that_is_none_is_malformed(shelf: Shelf) -> None:
    repo = shelf.open(AMINA, "model", "words", private=False)
    listing = shelf.node.blobs.detach(b"[" * 100_000, "application/json")
    fields = {"repo": to_builtins(repo.id), "ref": "main", "tree": "9f" * 32, "title": "Odd", "listing": to_builtins(listing)}
    shelf.node.say(AMINA, Commit, fields)
    repo = shelf.find(repo.id, None)
    with pytest.raises(MalformedError, match="is no list of changes"):
        shelf.tree(repo, repo.find("main"))
