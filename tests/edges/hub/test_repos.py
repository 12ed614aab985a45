"""Repos at the Hub door: made, renamed, set, given to those who ask, found, liked; and who may do what."""

from collections.abc import Callable
from typing import Any

import pytest
from asking import Person, failure, file, large
from starlette.testclient import TestClient

from concord.node import Node
from concord.pillars.commons import File
from concord.private import secrets
from concord.server import build
from concord.shelf import Draft, Shelf
from concord.testing import Clock, everything


def test_whoami_tells_the_namespace_and_what_the_token_may_do(owner: Person, nobody: Person, person: Callable[..., Person]) -> None:
    told = owner.get("/api/whoami-v2").json()
    assert (told["name"], told["type"], told["auth"]["accessToken"]["role"], told["user"]) == ("ke", "user", "write", "wanjiru@ke")
    assert (told["auth"]["accessToken"]["displayName"], told["auth"]["accessToken"]["createdAt"][:4]) == ("a program", "2026")
    assert person("wanjiru", scopes=("read",)).get("/api/whoami-v2").json()["auth"]["accessToken"]["role"] == "read"
    assert nobody.get("/api/whoami-v2").status_code == 401


def test_when_a_token_was_used_is_noted_once_a_minute(owner: Person, node: Node, clock: Clock) -> None:
    """Each note waits for the disk: a request with a token took three times as long as one without."""
    used = []
    for seconds in (0, 59, 1):
        clock.now += seconds
        owner.get("/api/whoami-v2")
        with node.private_reading() as db:
            used.append(secrets.tokens(db, "wanjiru")[0].used)
    assert used == [clock.now - 60, clock.now - 60, clock.now]


def test_a_repo_begins_with_a_revision_and_is_there_once(owner: Person, nobody: Person) -> None:
    made = owner.post("/api/repos/create", {"name": "words", "type": "dataset"}).json()
    assert made["url"] == "http://testserver/datasets/ke/words"
    told = nobody.get("/api/datasets/ke/words").json()
    assert (told["id"], told["author"], told["private"], told["gated"]) == ("ke/words", "ke", False, False)
    assert [each["rfilename"] for each in told["siblings"]] == [".gitattributes"]
    again = owner.post("/api/repos/create", {"name": "words", "type": "dataset", "organization": "ke"})
    assert (again.status_code, again.json()["url"]) == (409, made["url"])


@pytest.mark.parametrize("name", ["", "a/b/c", "..", "a b", "é", "x" * 97, "a--b", "br/mine", "nowhere/mine", "a\0"])
def test_a_name_that_is_none_or_anothers_makes_no_repo(owner: Person, name: str) -> None:
    assert owner.post("/api/repos/create", {"name": name, "type": "model"}).status_code in (400, 403, 404)


def test_repos_are_changed_by_publishers_of_their_member_alone(
    owner: Person, other: Person, nobody: Person, person: Callable[..., Person]
) -> None:
    repo = owner.open()
    tries: list[tuple[str, str, Any]] = [
        ("DELETE", "/api/repos/delete", {"name": repo, "type": "model"}),
        ("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": "ke/mine", "type": "model"}),
        ("PUT", f"/api/models/{repo}/settings", {"gated": "auto"}),
        ("POST", f"/api/models/{repo}/branch/x", {}),
        ("POST", f"/api/models/{repo}/tag/main", {"tag": "x"}),
        ("POST", f"/api/models/{repo}/super-squash/main", {}),
        ("GET", f"/api/models/{repo}/user-access-request/pending", None),
        ("POST", f"/api/models/{repo}/user-access-request/grant", {"user": "joana"}),
        ("GET", f"/api/models/{repo}/auth-check/write", None),
    ]
    for method, path, body in tries:
        assert nobody.ask(method, path, json=body).status_code == 401
        for stranger in (other, person("wanjiru", scopes=("read",)), person("reader", scopes=("read", "delegate"))):
            assert stranger.ask(method, path, json=body).status_code == 403, path
    assert failure(other.commit(repo, file("a"))) == (403, None)
    assert nobody.get(f"/api/models/{repo}").json()["gated"] is False


def test_a_token_that_is_not_good_is_told_as_the_hub_tells_it(
    owner: Person, person: Callable[..., Person], client: TestClient, clock: Clock
) -> None:
    repo = owner.open()
    late = person("late", days=1)
    clock.now += 86_400
    basic = Person(client, "ke", {"Authorization": "Basic !!!"})
    foreign = Person(client, "ke", {"Authorization": "Bearer hf_foreign"})
    for stranger in (late, basic, foreign):
        answer = stranger.get(f"/api/models/{repo}")
        assert answer.status_code == 401
        assert answer.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
        assert "X-Error-Code" not in answer.headers


# What is private


def test_a_private_repo_is_told_like_one_that_never_was(owner: Person, other: Person, nobody: Person) -> None:
    owner.open("secret", private=True)
    owner.commit("ke/secret", file("a"))
    oid = owner.get("/api/models/ke/secret").json()["sha"]
    paths = [
        ("GET", "/api/models/ke/{}"),
        ("GET", "/api/models/ke/{}/revision/main"),
        ("GET", "/api/models/ke/{}/tree/main"),
        ("GET", "/api/models/ke/{}/refs"),
        ("GET", "/api/models/ke/{}/commits/main"),
        ("GET", "/api/models/ke/{}/discussions"),
        ("GET", "/api/models/ke/{}/discussions/1"),
        ("GET", "/api/models/ke/{}/likers"),
        ("GET", "/api/models/ke/{}/auth-check"),
        ("POST", "/api/models/ke/{}/paths-info/main"),
        ("GET", "/ke/{}/resolve/main/a"),
        ("HEAD", "/ke/{}/resolve/" + oid + "/a"),
        ("POST", "/api/models/ke/{}/like"),
        ("POST", "/api/models/ke/{}/preupload/main"),
        ("POST", "/api/models/ke/{}/commit/main"),
        ("POST", "/api/models/ke/{}/discussions"),
        ("POST", "/ke/{}/ask-access"),
        ("POST", "/ke/{}.git/info/lfs/objects/batch"),
        ("PUT", "/api/models/ke/{}/settings"),
        ("GET", "/api/models/ke/{}/xet-read-token/main"),
    ]
    body = {"title": "x", "operation": "download", "objects": [], "files": []}
    for stranger in (nobody, other):
        for method, path in paths:
            answers = [
                stranger.ask(method, path.format(name), json=body if method == "POST" else None) for name in ("secret", "never")
            ]
            told = [(each.status_code, each.text.replace("secret", "never"), sorted(each.headers)) for each in answers]
            assert told[0] == told[1], path
            assert told[0][0] in (401, 404, 501), path
        assert stranger.get("/api/models").json() == []
    assert failure(nobody.get("/api/models/ke/secret")) == (404, "RepoNotFound")
    assert [each["id"] for each in owner.get("/api/models").json()] == ["ke/secret"]


def test_publishing_makes_a_repo_public_for_good(owner: Person, nobody: Person) -> None:
    repo = owner.open("secret", visibility="private")
    oid = owner.commit(repo, file("a")).json()["commitOid"]
    assert "Link" not in owner.get(f"/{repo}/resolve/main/a").headers
    assert owner.get(f"/{repo}/resolve/main/a").headers["Cache-Control"] == "private, no-store"
    assert owner.put(f"/api/models/{repo}/settings", {"visibility": "public"}).json()["private"] is False
    assert nobody.get(f"/{repo}/resolve/{oid}/a").text == "text"
    assert owner.put(f"/api/models/{repo}/settings", {"private": True}).status_code == 403
    assert owner.put(f"/api/models/{repo}/settings", {"visibility": "protected"}).status_code == 501


def test_of_a_repo_that_is_deleted_nothing_is_served(owner: Person) -> None:
    repo = owner.open("secret", private=True)
    owner.commit(repo, file("a"))
    assert owner.ask("DELETE", "/api/repos/delete", json={"name": "secret", "type": "model"}).status_code == 200
    assert failure(owner.get(f"/{repo}/resolve/main/a")) == (404, "RepoNotFound")
    owner.open("secret")
    assert failure(owner.get(f"/{repo}/resolve/main/a")) == (404, "EntryNotFound")


def test_the_bytes_of_others_are_not_had_by_naming_their_digest(owner: Person, other: Person, node: Node) -> None:
    """Not those of a private repo, nor those of anything else that this node keeps."""
    secret = owner.open("secret", private=True)
    line = owner.send(secret, b"\0secret")
    owner.commit(secret, line)
    theirs = other.open("mine")
    assert other.commit(theirs, line).status_code == 400
    personal = node.blobs.detach(b"a name", "text/plain", b"s" * 32)
    forged = {"key": "lfsFile", "value": {"path": "x", "algo": "sha256", "oid": personal.digest, "size": personal.size}}
    assert other.commit(theirs, forged).status_code == 400
    (told,) = other.batch(theirs, b"\0secret").json()["objects"]
    assert "actions" in told, "whether bytes are here is told to nobody who was not seen to have them"


def test_the_bytes_of_others_are_not_had_by_saying_their_digest_in_ones_own_log(other: Person, nobody: Person, node: Node) -> None:
    """Whoever has a log can say any commit in it, past this door; other nodes read it."""
    theirs = other.open("mine")
    personal = node.blobs.detach(b"a name", "text/plain", b"s" * 32)
    shelf = Shelf(node)
    repo = shelf.find(shelf.repo_id("model", "br", "mine"), None)
    named = File(path="x", size=personal.size, sha256=personal.digest)
    shelf.commit(everything(repo.id.owner), repo, Draft("main", "Forged", put=[named]))
    assert [each["path"] for each in nobody.get(f"/api/models/{theirs}/tree/main").json()] == [".gitattributes", "x"]
    for person in (nobody, other):
        answer = person.get(f"/{theirs}/resolve/main/x")
        assert failure(answer) == (404, "EntryNotFound")
        assert "not on this node" in answer.json()["error"]
    copied = {"key": "lfsFile", "value": {"path": "y", "algo": "sha256", "oid": personal.digest}}
    other.commit(theirs, copied)
    assert failure(nobody.get(f"/{theirs}/resolve/main/y")) == (404, "EntryNotFound")
    asked = {"operation": "download", "objects": [{"oid": personal.digest, "size": 1}]}
    (told,) = nobody.post(f"/{theirs}.git/info/lfs/objects/batch", asked).json()["objects"]
    assert told["error"]["code"] == 404


# Gates


def test_a_gated_repo_is_given_to_those_who_ask(owner: Person, other: Person, nobody: Person) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"))
    assert other.post(f"/{repo}/ask-access").status_code == 400
    owner.put(f"/api/models/{repo}/settings", {"gated": "manual"})
    path = f"/{repo}/resolve/main/a"
    assert failure(nobody.get(path)) == (401, "GatedRepo")
    assert failure(other.get(path)) == (403, "GatedRepo")
    assert nobody.get(f"/api/models/{repo}").json()["gated"] == "manual"
    assert other.post(f"/{repo}/ask-access").json() == {"status": "pending"}
    requests = f"/api/models/{repo}/user-access-request"
    (asked,) = owner.get(f"{requests}/pending").json()
    assert (asked["user"]["user"], asked["status"]) == ("joana@br", "pending")
    assert failure(other.get(path)) == (403, "GatedRepo")
    assert owner.post(f"{requests}/handle", {"requestId": asked["requestId"], "status": "accepted"}).status_code == 200
    assert owner.post(f"{requests}/handle", {"user": "joana@br", "status": "accepted"}).status_code == 400
    assert owner.post(f"{requests}/handle", {"user": "nobody", "status": "accepted"}).status_code == 404
    assert owner.post(f"{requests}/grant", {"user": "joana"}).status_code == 400
    assert owner.get(f"{requests}/strange").status_code == 400
    assert other.get(path).text == "text"
    assert other.get(path).headers["Cache-Control"] == "private, no-store"
    owner.post(f"{requests}/handle", {"user": "joana@br", "status": "rejected"})
    assert failure(other.get(f"/api/models/{repo}/auth-check")) == (403, "GatedRepo")
    assert failure(other.get(f"/api/models/{repo}/safetensors-metadata/model.safetensors")) == (403, "GatedRepo")
    body = {"operation": "download", "objects": []}
    assert failure(other.post(f"/{repo}.git/info/lfs/objects/batch", body)) == (403, "GatedRepo")


def test_a_gate_that_opens_by_itself_opens_for_whoever_asks(owner: Person, other: Person) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"))
    owner.put(f"/api/models/{repo}/settings", {"gated": "auto"})
    assert other.post(f"/{repo}/ask-access").json() == {"status": "accepted"}
    assert other.get(f"/{repo}/resolve/main/a").status_code == 200


# Moving, liking, finding


def test_a_repo_that_moved_is_found_under_both_names(owner: Person, other: Person) -> None:
    repo = owner.open()
    move = {"fromRepo": repo, "toRepo": "ke/better", "type": "model"}
    assert owner.post("/api/repos/move", move).json()["url"] == "http://testserver/ke/better"
    assert {owner.get(f"/api/models/ke/{name}").json()["id"] for name in ("words", "better")} == {"ke/better"}
    owner.open("third")
    taken = owner.post("/api/repos/move", {"fromRepo": "ke/third", "toRepo": "ke/words", "type": "model"})
    assert taken.status_code == 409
    assert owner.post("/api/repos/move", {"fromRepo": "ke/third", "toRepo": "br/third", "type": "model"}).status_code == 403


def test_likes_are_peoples(owner: Person, other: Person, nobody: Person) -> None:
    repo = owner.open()
    for liker in (owner, other, other):
        assert liker.post(f"/api/models/{repo}/like").status_code == 200
    assert [each["user"] for each in nobody.get(f"/api/models/{repo}/likers").json()] == ["joana@br", "wanjiru@ke"]
    assert owner.ask("DELETE", f"/api/models/{repo}/like").status_code == 200
    assert nobody.get(f"/api/models/{repo}").json()["likes"] == 1
    assert [each["repo"] for each in nobody.get("/api/users/joana@br/likes").json()] == [{"name": repo, "type": "model"}]
    assert nobody.get("/api/users/ke/likes").json() == []
    assert nobody.get("/api/users/never/likes").status_code == 404
    assert nobody.get("/api/users/ke/overview").json()["numModels"] == 1


README = "---\nlicense: mit\nlanguage: [sw]\ntags: [speech]\npipeline_tag: text-classification\n---\n# Words\n"


def test_repos_are_found_by_words_tags_and_owners_in_pages(owner: Person, other: Person, nobody: Person, clock: Clock) -> None:
    for number, person in enumerate((owner, other, owner)):
        clock.now += 1
        repo = person.open(f"words-{number}")
        person.commit(repo, file("README.md", README.replace("mit", ("mit", "apache-2.0", "mit")[number]).encode()))

    def found(query: str) -> list[str]:
        return [each["id"] for each in nobody.get(f"/api/models?{query}").json()]

    assert found("") == ["br/words-1", "ke/words-0", "ke/words-2"]
    assert found("author=ke") == found("filter=license:mit&filter=sw") == found("filter=license:mit,speech") == found("search=KE/w")
    assert found("search=words-1") == found("filter=license:apache-2.0") == ["br/words-1"]
    assert found("author=never") == found("search=never") == found("gated=true") == []
    assert found("sort=createdAt&direction=-1") == found("sort=lastModified") == ["ke/words-2", "br/words-1", "ke/words-0"]
    assert nobody.get("/api/models?sort=beauty").status_code == 400
    assert nobody.get("/api/datasets").json() == []
    first = nobody.get("/api/models?limit=2&pipeline_tag=text-classification")
    link = first.links["next"]["url"]
    assert link.startswith("http://testserver/api/models?limit=2&pipeline_tag=text-classification&cursor=")
    assert [each["id"] for each in nobody.get(link).json()] == ["ke/words-2"]
    full = nobody.get("/api/models?full=True&search=words-1").json()[0]
    assert ({each["rfilename"] for each in full["siblings"]}, full["cardData"]["license"]) == (
        {".gitattributes", "README.md"},
        "apache-2.0",
    )
    assert set(nobody.get("/api/models?expand=likes&expand=sha&search=words-1").json()[0]) == {
        "_id",
        "id",
        "modelId",
        "likes",
        "sha",
    }
    config = b'{"architectures": ["Words"], "model_type": "words", "hidden_size": 8}'
    owner.commit("ke/words-0", file("config.json", config))
    known = {"architectures": ["Words"], "model_type": "words"}
    assert [each.get("config") for each in nobody.get("/api/models?config=True&author=ke").json()] == [known, None]
    expanded = nobody.get("/api/models?expand=config,safetensors&search=words-0").json()[0]
    assert expanded == {"_id": expanded["_id"], "id": "ke/words-0", "modelId": "ke/words-0", "config": known}
    for narrowing in ("inference=warm", "apps=anything", "inference_provider=all"):
        refused = nobody.get(f"/api/models?{narrowing}")
        assert (refused.status_code, refused.headers["X-Error-Code"]) == (501, "NotImplemented")
    tags = nobody.get("/api/models-tags-by-type").json()
    assert [each["id"] for each in tags["license"]] == ["license:mit", "license:apache-2.0"]
    assert nobody.get("/api/datasets-tags-by-type").json() == {}
    for bad in ("cursor=x", "cursor=-1", "cursor=" + "x" * 5000, "limit=x", "expand=beauty", "num_parameters=7B"):
        assert nobody.get(f"/api/models?{bad}").status_code == 400


def test_the_address_of_the_node_is_that_of_its_settings_or_of_the_request(owner: Person, node: Node) -> None:
    owner.open("a")
    owner.open("b")
    assert (
        owner.get("/api/models?limit=1", headers={"Host": "hub.example:81"})
        .links["next"]["url"]
        .startswith("http://hub.example:81/")
    )
    object.__setattr__(node.settings, "url", "https://concord.example/")
    assert owner.get("/api/models?limit=1").links["next"]["url"].startswith("https://concord.example/api/models?")


def test_info_names_what_is_asked_for(owner: Person, nobody: Person) -> None:
    repo = owner.open()
    header = b'{"w":{"dtype":"BF16","shape":[4,5],"data_offsets":[0,40]}}'
    weights = len(header).to_bytes(8, "little") + header + bytes(40)
    owner.send(repo, weights)
    config = b'{"model_type": "bert", "architectures": ["B"], "secret": 1}'
    lines = [file("README.md", README.encode()), file("config.json", config)]
    owner.commit(repo, *lines, large("model.safetensors", weights))
    told = nobody.get(f"/api/models/{repo}?blobs=1&securityStatus=1").json()
    assert told["safetensors"] == {"parameters": {"BF16": 20}, "total": 20}
    assert told["config"] == {"model_type": "bert", "architectures": ["B"]}
    assert (told["cardData"]["license"], told["pipeline_tag"]) == ("mit", "text-classification")
    assert {"license:mit", "sw", "speech", "text-classification", "safetensors"} == set(told["tags"])
    sizes = {each["rfilename"]: (each["size"], each.get("lfs", {}).get("size")) for each in told["siblings"]}
    assert sizes["model.safetensors"] == (len(weights), len(weights))
    assert told["xetEnabled"]
    assert set(nobody.get(f"/api/models/{repo}?expand[]=sha&expand[]=tags").json()) == {"_id", "id", "modelId", "sha", "tags"}
    assert failure(nobody.get(f"/api/models/{repo}/revision/never")) == (404, "RevisionNotFound")


# What the Hub has besides


@pytest.mark.parametrize(
    "path",
    [
        "jobs/x",
        "buckets",
        "collections/a/b/c/d",
        "settings/webhooks",
        "spaces/ke/x/runtime",
        "kernels",
    ],
)
def test_what_concord_does_not_have_is_told(nobody: Person, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert failure(nobody.ask(method, f"/api/{path}")) == (501, "NotImplemented")


@pytest.mark.parametrize("page", ["/ke/words.git", "/ke/words", "/datasets/ke/words.git", "/datasets/ke/words"])
def test_git_is_told_in_plain_text_that_it_cannot_push(page: str, nobody: Person) -> None:
    told = nobody.get(f"{page}/info/refs?service=git-receive-pack")
    assert failure(told) == (501, "NotImplemented")
    assert told.headers["Content-Type"].startswith("text/plain")  # git shows no other


def test_what_need_not_be_answered_as_the_hub_does(nobody: Person) -> None:
    assert nobody.get("/api/agent-harnesses").status_code == 404
    assert nobody.get("/api/telemetry/x").status_code == 204
    for path in ("/api/models/gpt2", "/api/models/gpt2/tree/main", "/gpt2/resolve/main/config.json"):
        assert failure(nobody.get(path)) == (404, "RepoNotFound")


def test_the_provenance_of_a_revision_is_its_receipt(owner: Person, nobody: Person) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"))
    for path in (f"/api/models/{repo}", f"/{repo}/resolve/main/a"):
        link = nobody.get(path).links["provenance"]["url"]
        assert nobody.get(link).text.startswith("c2sp.org/tlog-proof@v1")


def test_the_door_is_built_for_a_node_without_organisation(node_in: Callable[[str], Node]) -> None:
    assert TestClient(build(node_in("empty"))).get("/api/models").json() == []
