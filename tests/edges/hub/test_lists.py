"""Lists of the Hub door: cursors that hold while a list changes, labels of all kinds, and what may not be seen through them."""

from collections.abc import Callable

import pytest
from asking import Person, failure, file
from hypothesis import given
from hypothesis import strategies as st

from concord.edges.hub import paging
from concord.edges.hub.door import ABSENT, OF_SPACES
from concord.errors import MalformedError
from concord.node import Node
from concord.shelf import Shelf
from concord.testing import Clock

PLACES = st.lists(st.integers(-(2**53), 2**53) | st.text(max_size=20), max_size=4).map(tuple)


@given(PLACES, st.text(max_size=20))
def test_a_cursor_says_a_place_in_its_list_alone(place: tuple[int | str, ...], name: str) -> None:
    cursor = paging.write(name, place)
    assert paging.read(name, cursor) == place
    for other in (cursor + "A", cursor[:-1], cursor + "=", "", " " + cursor):
        with pytest.raises(MalformedError, match="from its beginning"):
            paging.read(name, other)
    with pytest.raises(MalformedError):
        paging.read(name + "x", cursor)


def walk(person: Person, path: str, between: Callable[[int], None] = lambda _: None) -> list[str]:
    """The ids or paths of all pages; `between` is called after each."""
    found, count = [], 0
    while path:
        answer = person.get(path)
        assert answer.status_code == 200, answer.text
        found += [each.get("id") or each["path"] for each in answer.json()]
        between(count)
        path, count = answer.links.get("next", {}).get("url", ""), count + 1
    return found


def test_a_list_that_changes_while_it_is_read_repeats_and_misses_nothing_that_stays(owner: Person, clock: Clock) -> None:
    for name in ("b", "d", "f", "h"):
        clock.now += 1
        owner.open(name)

    def change(count: int) -> None:
        for name in (("a", "e"), ("x",), ())[count]:  # before, between and after what was read
            clock.now += 1
            owner.open(name)

    assert walk(owner, "/api/models?limit=2", change) == ["ke/b", "ke/d", "ke/e", "ke/f", "ke/h", "ke/x"]
    gone = iter(("x", "z"))
    found = walk(owner, "/api/models?limit=3&sort=createdAt", lambda _: owner.ask(
        "DELETE", "/api/repos/delete", json={"name": next(gone, "never"), "type": "model"}))  # fmt: skip
    assert [each.removeprefix("ke/") for each in found] == ["x", "e", "a", "h", "f", "d", "b"]


def test_every_order_leads_through_all_pages(owner: Person, other: Person, clock: Clock) -> None:
    for number in range(5):
        clock.now += number % 2
        repo = (owner, other)[number % 2].open(f"words-{number}")
        if number % 3 == 0:
            owner.post(f"/api/models/{repo}/like")
    everything = set(walk(owner, "/api/models"))
    for order in ("lastModified", "createdAt", "likes", "downloads", "trendingScore", "last_modified", "trending_score"):
        for direction in ("", "&direction=-1", "&direction=1"):
            found = walk(owner, f"/api/models?limit=2&sort={order}{direction}")
            assert (len(found), set(found)) == (5, everything)
    liked = owner.get("/api/models?sort=likes&direction=1").json()
    assert [each["likes"] for each in liked] == sorted(each["likes"] for each in liked)


def test_cursors_of_trees_and_histories_say_paths_and_commits(owner: Person) -> None:
    repo = owner.open()
    for number in range(4):
        owner.commit(repo, file(f"{number}.txt"), summary=f"{number}")
    first = owner.get(f"/api/models/{repo}/tree/main?limit=2")
    assert [each["path"] for each in first.json()] == [".gitattributes", "0.txt"]
    owner.commit(repo, file("00.txt"), {"key": "deletedFile", "value": {"path": "0.txt"}})
    assert walk(owner, first.links["next"]["url"]) == ["00.txt", "1.txt", "2.txt", "3.txt"]
    history = owner.get(f"/api/models/{repo}/commits/main?limit=2")
    owner.commit(repo, file("late.txt"), summary="late")
    rest = owner.get(history.links["next"]["url"]).json()
    assert [each["title"] for each in (*history.json(), *rest)] == ["A change", "3", "2", "1"]
    assert owner.get(f"/api/models/{repo}/commits/main?cursor=x").status_code == 400
    stolen = first.links["next"]["url"].rpartition("cursor=")[2]
    assert owner.get(f"/api/models?cursor={stolen}").status_code == 400


def test_what_is_private_is_counted_and_found_by_its_owner_only(owner: Person, other: Person, nobody: Person) -> None:
    secret = owner.open("secret", private=True)
    card = b"---\nbase_model: br/words\nlicense: mit\nbase_model_relation: merge\n---\n"
    owner.commit(secret, file("README.md", card), file("a.gguf"))
    other.open("words")
    for query in ("filter=license:mit", "filter=gguf", "search=secret", "filter=base_model:br/words", "author=ke", "gated=false"):
        assert "ke/secret" in walk(owner, f"/api/models?{query}")
        assert "ke/secret" not in walk(other, f"/api/models?{query}") + walk(nobody, f"/api/models?{query}")
    for asker, count in ((owner, {"merge": 1}), (other, {}), (nobody, {})):
        assert asker.get("/api/models/br/words?expand=childrenModelCount").json()["childrenModelCount"] == count
    assert "license" not in nobody.get("/api/models-tags-by-type").json()
    assert [each["id"] for each in owner.get("/api/settings/repositories").json()] == ["ke/secret"]
    assert owner.get("/api/settings/repositories").json()[0]["visibility"] == "private"
    assert other.get("/api/organizations/ke/settings/repositories").status_code == 403
    assert nobody.get("/api/settings/repositories").status_code == 401


def test_the_people_of_a_member_are_those_who_took_part_in_public(owner: Person, other: Person, nobody: Person) -> None:
    owner.commit(owner.open("secret", private=True), file("a"))
    assert nobody.get("/api/organizations/ke/members").json() == []
    owner.commit(owner.open(), file("a"))
    assert [each["user"] for each in nobody.get("/api/organizations/ke/members").json()] == ["wanjiru@ke"]


# Duplicates


def test_a_duplicate_has_the_files_and_the_gate_of_the_first(owner: Person, other: Person, nobody: Person) -> None:
    repo = owner.open()
    line = owner.send(repo, b"\0" * 100)
    owner.commit(repo, line, file("README.md", b"---\nlicense: mit\n---\n"))
    told = other.post(f"/api/models/{repo}/duplicate", {"repository": "br/again"})
    assert told.json()["url"] == "http://testserver/br/again" and told.json()["filesCopyPending"] is False
    assert nobody.get("/br/again/resolve/main/large.bin").content == b"\0" * 100
    (commit,) = nobody.get("/api/models/br/again/commits/main").json()
    assert commit["title"].startswith("Duplicate of ke/words at ")
    assert "license:mit" in nobody.get("/api/models/br/again").json()["tags"]
    taken = other.post(f"/api/models/{repo}/duplicate", {"repository": "br/again"})
    assert (taken.status_code, taken.json()["url"]) == (409, "http://testserver/br/again")
    assert other.post(f"/api/models/{repo}/duplicate", {"repository": "ke/mine"}).status_code == 403
    assert nobody.post(f"/api/models/{repo}/duplicate", {"repository": "br/x"}).status_code == 401
    owner.put(f"/api/models/{repo}/settings", {"gated": "manual"})
    assert failure(other.post(f"/api/models/{repo}/duplicate", {"repository": "br/third"})) == (403, "GatedRepo")
    other.post(f"/{repo}/ask-access")
    owner.post(f"/api/models/{repo}/user-access-request/handle", {"user": "joana@br", "status": "accepted"})
    assert other.post(f"/api/models/{repo}/duplicate", {"repository": "br/third"}).status_code == 200
    assert failure(nobody.get("/br/third/resolve/main/large.bin")) == (401, "GatedRepo")


def test_a_duplicate_of_what_is_private_is_private_unless_it_is_said(owner: Person, other: Person, nobody: Person) -> None:
    secret = owner.open("secret", private=True)
    owner.commit(secret, file("a"))
    assert failure(other.post(f"/api/models/{secret}/duplicate", {"repository": "br/x"})) == (404, "RepoNotFound")
    assert owner.post(f"/api/models/{secret}/duplicate", {"repository": "ke/one"}).status_code == 200
    assert failure(nobody.get("/api/models/ke/one")) == (404, "RepoNotFound")
    owner.post(f"/api/models/{secret}/duplicate", {"repository": "ke/two", "visibility": "public"})
    assert nobody.get("/ke/two/resolve/main/a").text == "text"
    for more in ({"secrets": [{"key": "A", "value": "b"}]}, {"hardware": "cpu-basic"}, {"visibility": "protected"}):
        assert failure(owner.post(f"/api/models/{secret}/duplicate", {"repository": "ke/z", **more})) == (501, "NotImplemented")


def test_large_files_are_listed_for_their_owner_and_stay(owner: Person, other: Person) -> None:
    repo = owner.open()
    owner.commit(repo, owner.send(repo, b"\0" * 100))
    content = owner.get(f"/api/models/{repo}/lfs-files").json()
    assert [(each["filename"], each["size"]) for each in content] == [("large.bin", 100)]
    assert other.get(f"/api/models/{repo}/lfs-files").status_code == 403
    deleted = owner.post(f"/api/models/{repo}/lfs-files/batch", {"deletions": {"sha": [content[0]["fileOid"]]}})
    assert failure(deleted) == (501, "NotImplemented") and "not rewritten" in deleted.json()["error"]


def test_a_duplicate_whose_bytes_cannot_be_had_is_not_begun(owner: Person, other: Person, node: Node) -> None:
    repo = owner.open()
    line = owner.send(repo, b"\0" * 100)
    owner.commit(repo, line)
    shelf = Shelf(node)
    shelf.content.forget(shelf.find(shelf.repo_id("model", "ke", "words"), None))
    refused = other.post(f"/api/models/{repo}/duplicate", {"repository": "br/again"})
    assert refused.status_code == 403 and "is not here" in refused.json()["error"]
    assert failure(other.get("/api/models/br/again")) == (404, "RepoNotFound")


# What is not offered


@pytest.mark.parametrize("path", [*(f"/api/{what}/x" for what in ABSENT), *(f"/api/spaces/{what}" for what in OF_SPACES)])
def test_what_is_not_offered_says_so_in_words(nobody: Person, path: str) -> None:
    answer = nobody.get(path)
    if failure(answer) == (404, "RepoNotFound"):  # what has the form of a repo's address
        assert path in ("/api/models/x", "/api/datasets/x", "/api/spaces/x")
        return
    assert failure(answer) == (501, "NotImplemented")
    assert len(answer.json()["error"].split()) > 3


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/papers/2307.09288.md"), ("POST", "/uploads"), ("GET", "/buckets/ke/x/resolve/a")]
)
def test_neither_is_what_stands_beside_the_api(nobody: Person, method: str, path: str) -> None:
    assert failure(nobody.ask(method, path)) == (501, "NotImplemented")


def test_a_type_of_repos_that_concord_has_not_is_told(owner: Person) -> None:
    for path, body in (
        ("create", {"name": "x", "type": "kernel"}),
        ("move", {"fromRepo": "a/b", "toRepo": "a/c", "type": "bucket"}),
    ):
        assert failure(owner.post(f"/api/repos/{path}", body)) == (501, "NotImplemented")
