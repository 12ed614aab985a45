"""Collections at the Hub door: the communities of members, listed, read, made and changed as clients do."""

from typing import Any

import pytest
from asking import Person, failure
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from concord.edges.hub.collections import SLUG_MAX, slug
from concord.ledger.record import Name


def made(owner: Person, title: str = "Words of the coast") -> str:
    done = owner.post("/api/collections", {"title": title, "namespace": "ke", "description": "For speech."})
    assert done.status_code == 200, done.text
    return str(done.json()["slug"])


def add(person: Person, slug: str, repo: str, kind: str = "model", **more: Any) -> Any:
    return person.post(f"/api/collections/{slug}/items", {"item": {"id": repo, "type": kind}, **more})


def has(person: Person, slug: str) -> list[str]:
    return [each["id"] for each in person.get(f"/api/collections/{slug}").json()["items"]]


def test_a_collection_is_made_filled_read_and_emptied(owner: Person, other: Person, nobody: Person) -> None:
    collection, mine, theirs = made(owner), owner.open(), other.open("small", "dataset")
    assert collection == "ke/words-of-the-coast"
    assert add(owner, collection, mine).status_code == 200
    told = add(owner, collection, theirs, "dataset").json()
    assert [(each["id"], each["type"], each["position"]) for each in told["items"]] == [(mine, "model", 0), (theirs, "dataset", 1)]
    assert nobody.get(f"/api/collections/{collection}").json() == told
    assert (told["title"], told["description"], told["owner"], told["private"]) == (
        "Words of the coast",
        "For speech.",
        "ke",
        False,
    )
    item = f"/api/collections/{collection}/items/{told['items'][0]['_id']}"
    assert [each["id"] for each in owner.ask("DELETE", item).json()["items"]] == [theirs]
    assert owner.ask("DELETE", item).status_code == 404
    page = nobody.get(f"/collections/{collection}", follow_redirects=False)
    assert nobody.get(page.headers["Location"]).status_code == 200


def test_what_is_there_already_is_told_with_its_slug(owner: Person) -> None:
    collection, repo = made(owner), owner.open()
    add(owner, collection, repo)
    again = owner.post("/api/collections", {"title": "Words of the coast"})
    assert (again.status_code, again.json()["slug"]) == (409, collection)
    assert failure(add(owner, collection, repo)) == (409, "AlreadyExists")


def test_lists_are_narrowed_by_owner_and_item_and_read_in_pages(owner: Person, other: Person, nobody: Person) -> None:
    repo = owner.open()
    slugs = {made(owner, f"List {number}") for number in range(3)}
    add(owner, "ke/list-1", repo)

    def listed(query: str) -> list[str]:
        return [each["slug"] for each in nobody.get(f"/api/collections?{query}").json()]

    assert slugs <= set(listed("owner=ke"))
    assert listed("owner=br&item=models/ke/words") == listed("owner=nobody") == listed("item=papers/2307.09288") == []
    assert listed(f"item=models/{repo}") == ["ke/list-1"]
    first = nobody.get("/api/collections?owner=ke&limit=2&sort=lastModified")
    second = nobody.get(first.links["next"]["url"]).json()
    both = [each["slug"] for each in [*first.json(), *second]]
    assert len(first.json()) == 2
    assert len(both) == len(set(both))
    assert both[:3] == listed("owner=ke&sort=lastModified")[:3]
    assert nobody.get("/api/collections?sort=taste").status_code == 400


def test_words_are_changed_and_the_repos_stay(owner: Person) -> None:
    collection, repo = made(owner), owner.open()
    add(owner, collection, repo)
    told = owner.ask("PATCH", f"/api/collections/{collection}", json={"title": "Other words"}).json()["data"]
    assert (told["slug"], told["title"], told["description"]) == (collection, "Other words", "For speech.")
    assert has(owner, collection) == [repo]


def test_what_the_record_has_no_place_for_is_refused_and_nothing_is_said(owner: Person) -> None:
    collection, repo = made(owner), owner.open()
    tries: list[tuple[str, str, Any]] = [
        ("POST", "/api/collections", {"title": "Hidden", "private": True}),
        ("POST", "/api/collections", {"title": "Grouped", "resourceGroupId": "9f"}),
        ("PATCH", f"/api/collections/{collection}", {"theme": "pink"}),
        ("PATCH", f"/api/collections/{collection}", {"position": 1}),
        ("PATCH", f"/api/collections/{collection}", {"private": True}),
        ("PATCH", f"/api/collections/{collection}/items/9f", {"note": "x"}),
        ("POST", f"/api/collections/{collection}/items", {"item": {"id": repo, "type": "model"}, "note": "x"}),
        ("POST", f"/api/collections/{collection}/items", {"item": {"id": "2307.09288", "type": "paper"}}),
        ("DELETE", f"/api/collections/{collection}", {}),
    ]
    before = owner.get("/api/collections?owner=ke").json()
    for method, path, body in tries:
        assert failure(owner.ask(method, path, json=body)) == (501, "NotImplemented"), (method, path)
    assert owner.get("/api/collections?owner=ke").json() == before


def test_only_publishers_of_the_member_change_it(owner: Person, other: Person, nobody: Person) -> None:
    collection, repo = made(owner), owner.open()
    for person, status in ((other, 403), (nobody, 401)):
        assert add(person, collection, repo).status_code == status
        assert person.ask("PATCH", f"/api/collections/{collection}", json={"title": "Mine"}).status_code == status
        assert person.post("/api/collections", {"title": "New", "namespace": "ke"}).status_code == status
    assert has(nobody, collection) == []


def test_a_private_repo_is_not_gathered_and_looks_like_none(owner: Person) -> None:
    collection = made(owner)
    owner.open("secret", private=True)
    tries = [add(owner, collection, f"ke/{name}") for name in ("secret", "never")]
    assert [failure(each) for each in tries] == [(404, "RepoNotFound")] * 2
    assert tries[0].text == tries[1].text.replace("never", "secret")


def test_a_repo_that_is_gone_does_not_stop_changes(owner: Person, nobody: Person) -> None:
    collection = made(owner)
    for name in ("one", "two"):
        add(owner, collection, owner.open(name))
    owner.ask("DELETE", "/api/repos/delete", json={"name": "one", "type": "model"})
    assert has(nobody, collection) == ["ke/two"]
    assert add(owner, collection, owner.open("three")).status_code == 200
    assert has(nobody, collection) == ["ke/two", "ke/three"]


@pytest.mark.parametrize("path", ["ke/never", "nobody/x", "ke/%00"])
def test_a_collection_that_is_not_there_is_told(nobody: Person, path: str) -> None:
    assert nobody.get(f"/api/collections/{path}").status_code == 404


@given(st.text())
def test_every_title_gives_a_name_that_a_record_takes(title: str) -> None:
    found = slug(title)
    assert convert(found, Name) == found
    assert len(found) <= SLUG_MAX
