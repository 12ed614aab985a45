"""What programs ask and get: figures, records and receipts without a token; saying something with one; errors of one shape."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from concord.edges.api.door import BODY_MAX, OPERATIONS
from concord.node import Node
from concord.private import people, secrets
from concord.server import build
from concord.testing import Clock, states
from concord.tlog import merkle, policy, proof

API = "/api/v1"
DAY = 86_400


@pytest.fixture
def lively(client_of: Callable[[str], TestClient]) -> TestClient:
    return client_of("lively")


def bearer(node: Node, person: str = "admin", scopes: tuple[str, ...] = ("read", "clerk"), days: int = 30) -> dict[str, str]:
    """The header of a program that acts for `person`."""
    with node.private_writing() as db:
        return {"Authorization": f"Bearer {secrets.make_token(db, person, 'a program', scopes, node.clock(), days)}"}


def profile(name: str = "Example Institute Kenya") -> dict[str, Any]:
    return {"type": "members.profile", "fields": {"name": name, "country": "KE"}}


# Reading, without a token


def test_the_organisation_is_told_with_its_charter(lively: TestClient) -> None:
    told = lively.get(f"{API}/organisation").json()
    assert (told["name"], told["demonstration"], told["charter"]["name"]) == (
        "Demonstration Assembly",
        True,
        "Demonstration Assembly",
    )
    assert told["members"] == len([seat for seat in lively.get(f"{API}/members").json() if seat["standing"] == "member"])


def test_members_are_found_by_id(lively: TestClient) -> None:
    seats = {seat["id"]: seat for seat in lively.get(f"{API}/members").json()}
    assert seats["ke"]["class"] == "institute"
    assert {seat["standing"] for seat in seats.values()} == {"member", "invited", "applicant"}
    by_id = lively.get(f"{API}/members/ke").json()
    assert by_id["origin"] == seats["ke"]["origin"]


def test_logs_tell_what_is_disputed_and_signed_here(lively: TestClient, node_in: Callable[[str], Node]) -> None:
    logs = {log["origin"].partition(".")[0]: log for log in lively.get(f"{API}/logs").json()}
    assert [name for name, log in logs.items() if log["disputed"]] == ["kz"]
    assert all(log["hosted"] for log in logs.values())
    origin = logs["ke"]["origin"]
    assert logs["ke"]["size"] == node_in("lively").holdings.tree(origin).size


def test_records_are_leafed_through_to_the_end(lively: TestClient) -> None:
    seen: list[tuple[str, int]] = []
    query: dict[str, Any] = {"limit": 7}
    while True:
        page = lively.get(f"{API}/records", params=query).json()
        seen += [(record["origin"], record["index"]) for record in page["records"]]
        if page["after"] is None:
            break
        query["after"] = page["after"]
    sizes = {log["origin"]: log["size"] for log in lively.get(f"{API}/logs").json() if not log["disputed"]}
    assert len(seen) == len(set(seen))
    assert {(origin, index) for origin, size in sizes.items() for index in range(size)} <= set(seen)


def test_records_are_filtered(lively: TestClient) -> None:
    found = lively.get(f"{API}/records", params={"member": "ke", "type": "members.accredit"}).json()["records"]
    assert {record["type"] for record in found} == {"members.accredit"}
    assert {record["origin"].partition(".")[0] for record in found} == {"ke"}
    unreadable = lively.get(f"{API}/records", params={"type": ""}).json()["records"]
    assert unreadable and {record["state"] for record in unreadable} == {"unreadable"}


def test_every_state_of_a_record_is_told(lively: TestClient) -> None:
    records = lively.get(f"{API}/records", params={"limit": 100}).json()["records"]
    assert {record["state"] for record in records} == {"applied", "waiting", "unreadable", "foreign"}
    for record in records:
        whole = lively.get(f"{API}/records/{record['origin'].partition('.')[0]}/{record['index']}").json()
        for by_origin in (record["origin"], quote(record["origin"], safe="")):
            assert lively.get(f"{API}/records/{by_origin}/{record['index']}").json() == whole
        assert whole["leaf"] == record["leaf"]
        assert (whole["wrong"] is not None) == (record["state"] == "unreadable")


def test_a_receipt_is_good_by_the_policy_that_the_node_tells(lively: TestClient) -> None:
    receipt = proof.parse(lively.get(f"{API}/records/ke/1/proof").content)
    trusted = policy.parse(lively.get(f"{API}/members/ke/policy").content)
    entry = lively.get(f"{API}/records/ke/1").json()["entry"].encode()
    assert proof.verify(receipt, trusted, merkle.leaf_hash(entry)).checkpoint.size > 1
    assert receipt.index == 1


def test_every_type_is_told_with_who_may_say_it_and_its_schema(lively: TestClient) -> None:
    types = {each["type"]: each for each in lively.get(f"{API}/types").json()}
    assert types["members.profile"]["role"] == "clerk"
    assert "ledger.identity" in types
    for each in types.values():
        assert each["says"] and each["schema"]["$defs"]


# Saying something, with a token


def test_what_is_said_stands_in_the_log(client: TestClient, node: Node) -> None:
    said = client.post(f"{API}/records", json=profile("A new name"), headers=bearer(node))
    assert said.status_code == 201
    found = client.get(f"{API}/records/ke/{said.json()['index']}").json()
    assert found["leaf"] == said.json()["leaf"]
    assert json.loads(found["entry"])["name"] == "A new name"


def test_a_token_may_no_more_than_it_says(client: TestClient, node: Node) -> None:
    for scopes in (("read",), ("read", "delegate")):
        answer = client.post(f"{API}/records", json=profile(), headers=bearer(node, scopes=scopes))
        assert (answer.status_code, answer.json()["kind"]) == (403, "RefusedError")


def test_a_token_may_no_more_than_its_person_still_may(client: TestClient, node: Node) -> None:
    headers = bearer(node)
    with node.private_writing() as db:
        people.set_roles(db, "admin", [])
    assert client.post(f"{API}/records", json=profile(), headers=headers).status_code == 403
    with node.private_writing() as db:
        people.disable(db, "admin", node.clock())
    assert client.get(f"{API}/me", headers=headers).status_code == 401


def test_a_token_ends(client: TestClient, node: Node, clock: Clock) -> None:
    headers = bearer(node, days=1)
    assert client.get(f"{API}/me", headers=headers).json()["person"] == "admin"
    clock.now += DAY
    assert client.get(f"{API}/me", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer hf_", "Bearer hf_" + "x" * 5000, "Basic YTpi", "Bearer \xff", "hf_token", "Bearer a b"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_no_token_is_told_so(client: TestClient, header: str, method: str) -> None:
    path = {"get": "/me", "post": "/records"}[method]
    answer = client.request(method, API + path, headers={"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["kind"]) == (401, "SignInError")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_cookie_is_no_token(client: TestClient, node: Node, sign_in: Callable[..., str]) -> None:
    """Or else a page of another site could say something for whoever reads it."""
    sign_in(client, node, "admin")
    assert client.post(f"{API}/records", json=profile()).status_code == 401


# Errors


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 400),
        (b"[" * 100_000, 400),
        (b'{"type":"members.profile"}', 400),
        (b'{"type":"members.profile","fields":{},"more":1}', 400),
        (b'{"type":"members.profile","fields":{"name":"","country":"KE"}}', 400),
        (b'{"type":"members.profile","fields":{"name":"x","country":"Kenya"}}', 400),
        (b'{"type":"members.profile","fields":{"name":1.5,"country":"KE"}}', 400),
        (b'{"type":"members.profile","fields":{"name":"x","country":"KE","more":1}}', 400),
        (b'{"type":"no.such","fields":{}}', 404),
        (b'{"type":"members.profile","fields":{"name":"' + b"x" * BODY_MAX + b'","country":"KE"}}', 413),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_cannot_be_said_is_told_so_and_changes_nothing(client: TestClient, node: Node, body: bytes, status: int) -> None:
    before = client.get(f"{API}/logs").json()
    answer = client.post(f"{API}/records", content=body, headers=bearer(node))
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "kind", "fault"}
    assert client.get(f"{API}/logs").json() == before


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/nothing", 404, "MissingError"),
        ("/members/nobody", 404, "MissingError"),
        ("/members/" + "x" * 3000, 404, "MissingError"),
        ("/members/%00%0d%0a", 404, "MissingError"),
        ("/records/ke/99999", 404, "MissingError"),
        ("/records/ke/-1", 400, "MalformedError"),
        ("/records/ke/٣", 400, "MalformedError"),
        ("/records?member=", 404, "MissingError"),
        ("/records?limit=501", 400, "MalformedError"),
        ("/records?limit=1e2", 400, "MalformedError"),
        ("/records?after=1.2.", 400, "MalformedError"),
        ("/records?after=" + "9" * 5000, 400, "MalformedError"),
        ("/me", 401, "SignInError"),
    ],
)
def test_errors_have_one_shape(lively: TestClient, path: str, status: int, kind: str) -> None:
    answer = lively.get(API + path)
    assert (answer.status_code, answer.json()["kind"]) == (status, kind), answer.text
    assert set(answer.json()) == {"error", "kind", "fault"}
    assert len(answer.content) < 1000
    assert answer.headers["content-type"] == "application/json"


def test_communities_are_told_with_the_repos_that_they_name(client_of: Callable[[str], TestClient]) -> None:
    sharing = client_of("sharing")
    told = sharing.get(f"{API}/commons/communities").json()
    assert [(each["name"], each["count"]) for each in told] == [("odd", 3), ("coast", 3)]
    assert sharing.get(f"{API}/commons/communities", params={"member": "ke"}).json() == []
    coast = sharing.get(f"{API}/commons/communities/br/coast").json()
    assert {name: coast[name] for name in told[1]} == told[1]
    assert [(repo["kind"], repo["name"]) for repo in coast["repos"]] == [
        ("model", "sheng-speech"), ("dataset", "corpus"), ("space", "nothing-yet"),
    ]  # fmt: skip
    by_origin = sharing.get(f"{API}/commons/communities/{coast['by']}/coast")
    assert by_origin.json() == coast
    assert sharing.get(f"{API}/commons/communities/ke/coast").status_code == 404


def test_no_method_but_those_of_the_description(lively: TestClient) -> None:
    for each in OPERATIONS:
        answer = lively.request("DELETE", API + each.path.format(member="ke", index="0", kinds="models", name="x"))
        assert answer.status_code == 405 and answer.headers["allow"]


def test_an_empty_node_says_that_it_serves_nobody(client_of: Callable[[str], TestClient]) -> None:
    empty = client_of("empty")
    assert empty.get(f"{API}/organisation").status_code == 404
    assert empty.get(f"{API}/members").json() == []
    assert empty.get(f"{API}/logs").status_code == 200


def test_a_fault_of_ours_gives_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    node = states.empty()
    monkeypatch.setattr(node, "disputes", lambda: 1 // 0)
    answer = TestClient(build(node), raise_server_exceptions=False).get(f"{API}/logs")
    assert (answer.status_code, answer.json()["kind"]) == (500, "HomeError")
    assert "division" not in answer.text
