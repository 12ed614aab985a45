"""What is one's own: tokens, passkeys, the password, and what one may say."""

import re
from collections.abc import Callable

import pytest
from markup import parse
from starlette.testclient import TestClient

from concord.config import Settings
from concord.node import Node
from concord.testing import Clock, states

SignIn = Callable[[TestClient, Node, str], str]
DAY = 86_400


def make(client: TestClient, csrf: str, **fields: str) -> str:
    """A token made on the page."""
    answer = client.post("/account/tokens", data={"csrf": csrf, "label": "laptop", "days": "30"} | fields)
    assert answer.status_code == 200, answer.text
    (secret,) = set(re.findall(r"hf_[A-Za-z0-9]+", answer.text))
    return str(secret)


def me(client: TestClient, token: str) -> int:
    return client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_is_shown_once_works_and_ends_when_told(client: TestClient, node: Node, sign_in: SignIn) -> None:
    csrf = sign_in(client, node, "amina")
    token = make(client, csrf)
    assert token.startswith("hf_")
    page = client.get("/account").text
    assert token not in page
    assert me(client, token) == 200
    (id_,) = re.findall(r'name="id" value="([0-9a-f]+)"', page)
    assert client.post("/account/tokens/revoke", data={"csrf": csrf, "id": id_}).status_code == 303
    assert me(client, token) == 401
    assert client.post("/account/tokens/revoke", data={"csrf": csrf, "id": id_}).status_code == 404


def test_a_token_expires(client: TestClient, node: Node, clock: Clock, sign_in: SignIn) -> None:
    token = make(client, sign_in(client, node, "amina"), days="1")
    clock.now += DAY - 1
    assert me(client, token) == 200
    assert "expired" not in client.get("/account").text
    clock.now += 1
    assert me(client, token) == 401
    assert "expired" in client.get("/account").text


def test_a_token_is_not_kept_but_its_digest_is(client: TestClient, node: Node, sign_in: SignIn) -> None:
    token = make(client, sign_in(client, node, "amina"))
    with node.private_reading() as db:
        dumped = "\n".join(db.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert token not in dumped
    assert client.cookies["concord_session"] not in dumped
    assert states.PASSWORD not in dumped


@pytest.mark.parametrize(
    "fields",
    [{"days": "0"}, {"days": "367"}, {"days": "-1"}, {"days": "ten"}, {"days": "9" * 30}, {"label": " "}, {"label": "x" * 101},
     {"scope-admin": "on"}, {"scope-node": "on"}, {"scope-": "on"}],
)  # fmt: skip
def test_no_token_beyond_what_is_allowed(client: TestClient, node: Node, sign_in: SignIn, fields: dict[str, str]) -> None:
    csrf = sign_in(client, node, "amina")
    answer = client.post("/account/tokens", data={"csrf": csrf, "label": "laptop"} | fields)
    assert answer.status_code == 400
    assert "hf_" not in answer.text
    assert parse(answer.text).one("main").text.count("laptop") == 0


def test_a_token_has_the_scopes_that_were_ticked(client: TestClient, node: Node, sign_in: SignIn) -> None:
    csrf = sign_in(client, node, "amina")
    token = make(client, csrf, **{"scope-clerk": "on"})
    shown = client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert (shown["scopes"], shown["roles"]) == (["clerk"], ["clerk", "delegate"])
    reading = make(client, csrf)
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {reading}"}).json()["scopes"] == ["read"]


def test_nobody_ends_or_removes_what_is_another_s(client: TestClient, node: Node, sign_in: SignIn) -> None:
    token = make(client, sign_in(client, node, "amina"))
    (id_,) = re.findall(r'name="id" value="([0-9a-f]+)"', client.get("/account").text)
    client.cookies.clear()
    csrf = sign_in(client, node, "guest")
    assert client.post("/account/tokens/revoke", data={"csrf": csrf, "id": id_}).status_code == 404
    assert client.post("/account/passkeys/remove", data={"csrf": csrf, "id": id_}).status_code == 404
    assert me(client, token) == 200


def test_it_says_what_one_may_say(client: TestClient, node: Node, sign_in: SignIn) -> None:
    sign_in(client, node, "amina")
    page = client.get("/account").text
    assert "members.accede" in page and "members.profile" in page
    assert "members.accredit" not in page
    client.cookies.clear()
    sign_in(client, node, "guest")
    assert "You may read everything." in client.get("/account").text


def test_the_name_of_a_person_is_not_markup(client: TestClient, node: Node, sign_in: SignIn) -> None:
    sign_in(client, node, "amina")
    for path in ("/", "/account", "/sign-in", "/nothing"):
        assert states.SCRIPT not in client.get(path).text


@pytest.mark.parametrize(
    ("host", "url", "there"),
    [
        ("127.0.0.1:8600", "", "http://localhost:8600/account"),
        ("[::1]:8600", "", "http://localhost:8600/account"),
        ("192.0.2.7", "", None),
        ("concord.example", "", ""),
        ("127.0.0.1:8600", "https://concord.example", ""),
    ],
)
def test_passkeys_are_offered_where_they_can_work(
    client: TestClient, node: Node, sign_in: SignIn, host: str, url: str, there: str | None
) -> None:
    sign_in(client, node, "amina")
    node.settings = Settings(url=url)
    main = parse(client.get("/account", headers={"Host": host}).text).one("main")
    offered = [element for element in main.all("div") if element.get("data-passkey") == "add"]
    assert len(offered) == (there == "")
    assert [link["href"] for link in main.all("a") if "://" in link["href"]] == ([there] if there else [])


def test_every_form_of_a_page_that_is_signed_in_carries_its_word(client: TestClient, node: Node, sign_in: SignIn) -> None:
    csrf = sign_in(client, node, "amina")
    make(client, csrf)
    for path in ("/account", "/sign-in", "/sign-in/some-link"):
        forms = [form for form in parse(client.get(path).text).all("form") if form.get("method") == "post"]
        assert forms
        for form in forms:
            assert [field["value"] for field in form.all("input") if field.get("name") == "csrf"] == [csrf]
