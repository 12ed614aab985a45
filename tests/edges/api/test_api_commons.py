"""The commons in the JSON API: passports and exports, for whom they are."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from concord.node import Node
from concord.private import secrets

MODEL, CORPUS = "/api/v1/commons/models/ke/sheng-speech", "/api/v1/commons/datasets/id/corpus"


@pytest.fixture
def sharing(client_of: Callable[[str], TestClient]) -> TestClient:
    return client_of("sharing")


@pytest.fixture
def token(node_in: Callable[[str], Node]) -> Callable[[str], dict[str, str]]:
    """The header of a program of a person of a member."""

    def token(person: str) -> dict[str, str]:
        node = node_in("sharing")
        with node.private_writing() as db:
            return {"Authorization": f"Bearer {secrets.make_token(db, person, 'tests', ['read'], node.clock(), 30)}"}

    return token


def test_a_passport_tells_everything_with_reasons(sharing: TestClient) -> None:
    told = sharing.get(f"{MODEL}/passport").json()
    assert (told["name"], told["kind"], told["licence"]["id"]) == ("ke/sheng-speech", "model", "Apache-2.0")
    assert (told["openness"]["reached"], told["openness"]["next"]) == (None, "III")
    here = {each["id"] for each in told["openness"]["components"] if each["found"] or each["named"]}
    assert told["openness"]["missing"] and not here & set(told["openness"]["missing"])
    assert [each["path"] for each in told["weights"]] == ["model.safetensors"]
    kin = {each["name"]: (each["step"], each["here"]) for each in told["kin"]}
    assert kin["ke/sheng-speech"] == (0, True) and kin["elsewhere/unknown"] == (-1, False) and kin["br/hostile"] == (-1, True)
    assert {"of": "id/corpus", "of_kind": "dataset", "made": "ke/sheng-speech", "how": "dataset"} in told["links"]
    assert sharing.get(told["receipt"].removeprefix("http://testserver")).status_code == 200


def test_exports_are_of_the_revision_that_is_asked_for(sharing: TestClient) -> None:
    newest, first = sharing.get(f"{MODEL}/bom").json(), sharing.get(f"{MODEL}/bom?revision=v1").json()
    assert newest["serialNumber"] != first["serialNumber"]
    assert "results/eval.json" in str(newest) and "results/eval.json" not in str(first)
    told = sharing.get(f"{CORPUS}/croissant").json()
    assert [each["name"] for each in told["recordSet"]] == ["odd-broken", "odd-rows", "rows"]
    assert sharing.get(told["distribution"][0]["contentUrl"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/commons/models/ke/nothing/passport", 404), ("/commons/models/nobody/x/passport", 404),
        ("/commons/things/ke/sheng-speech/bom", 404), ("/commons/models/ke/sheng-speech/croissant", 404),
        ("/commons/models/ke/sheng-speech/signature", 404), ("/commons/models/ke/sheng-speech/bom?revision=v9", 404),
        ("/commons/models/ke/secret/passport", 404), ("/commons/models/ke/secret/bom", 404),
        ("/commons/models/id/gated/bom", 403), ("/commons/models/id/gated/signature", 403),
        ("/commons/spaces/ke/nothing-yet/passport", 404),
    ],
)  # fmt: skip
def test_what_is_not_there_or_not_for_everybody_is_told(sharing: TestClient, path: str, status: int) -> None:
    assert sharing.get(f"/api/v1{path}").status_code == status


def test_a_private_passport_is_for_people_of_its_member(sharing: TestClient, token: Callable[[str], dict[str, str]]) -> None:
    told = sharing.get("/api/v1/commons/models/ke/secret/passport", headers=token("admin"))
    assert told.status_code == 200 and told.json()["index"] is None and told.json()["receipt"] is None
    assert sharing.get("/api/v1/commons/models/ke/secret/bom", headers={"Authorization": "Bearer hf_nothing"}).status_code == 401


def test_the_hub_door_has_croissant_where_its_clients_look(sharing: TestClient) -> None:
    answer = sharing.get("/api/datasets/id/corpus/croissant")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/ld+json")
    assert answer.json()["conformsTo"] == "http://mlcommons.org/croissant/1.0" and "provenance" in answer.headers["link"]
    assert sharing.get("/api/datasets/ke/sheng-speech/croissant").status_code == 404
    assert sharing.get("/api/models/id/gated/croissant").status_code in (404, 501)
