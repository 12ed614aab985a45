"""Signing in and out without a browser: links, passwords, limits, forms, cookies. Passkeys are in test_browser.py."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markup import parse
from sqlalchemy import insert
from starlette.testclient import TestClient

from concord.config import Settings
from concord.node import Node
from concord.private import people, secrets
from concord.private.tables import passkey
from concord.server import build
from concord.testing import Clock, states
from concord.testing.states import PASSWORD

SESSION = "concord_session"
FORMS = (
    "/sign-out",
    "/account/password",
    "/account/tokens",
    "/account/tokens/revoke",
    "/account/passkeys/begin",
    "/account/passkeys",
    "/account/passkeys/remove",
)
SignIn = Callable[[TestClient, Node, str], str]


def link(node: Node, person: str = "amina", minutes: int = 30) -> str:
    with node.private_writing() as db:
        return f"/sign-in/{secrets.make_link(db, person, node.clock(), minutes)}"


def is_signed_in(client: TestClient) -> bool:
    return client.get("/account").status_code == 200


# Links


def test_a_link_signs_in_once(client: TestClient, node: Node) -> None:
    address = link(node)
    answer = client.post(address)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert is_signed_in(client)
    client.cookies.clear()
    again = client.post(address)
    assert again.status_code == 401
    assert "this link was used already" in again.text
    assert not is_signed_in(client)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_opening_a_link_does_not_use_it_up(client: TestClient, node: Node, method: str) -> None:
    address = link(node)
    assert client.request(method, address).status_code == 200
    assert SESSION not in client.cookies
    assert client.post(address).status_code == 303


def test_a_link_expires(client: TestClient, node: Node, clock: Clock) -> None:
    address = link(node, minutes=30)
    clock.now += 30 * 60
    assert client.post(address).status_code == 401


def test_a_link_of_somebody_disabled_signs_nobody_in(client: TestClient, node: Node) -> None:
    address = link(node)
    with node.private_writing() as db:
        people.disable(db, "amina", node.clock())
    assert client.post(address).status_code == 401


def test_links_cannot_be_guessed_for_long(client: TestClient, node: Node) -> None:
    tried = [client.post(f"/sign-in/guess-{number}").status_code for number in range(12)]
    assert tried == [401] * 10 + [429] * 2


# Passwords


def by_password(client: TestClient, name: str, password: str, **headers: str) -> int:
    return client.post("/sign-in", data={"name": name, "password": password}, headers=headers).status_code


def test_a_password_signs_in_whatever_the_case_of_the_name(client: TestClient) -> None:
    assert by_password(client, " Amina ", PASSWORD) == 303
    assert is_signed_in(client)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("amina", "wrong"),
        ("amina", ""),
        ("nobody", PASSWORD),
        ("admin", ""),
        ("admin", PASSWORD),
        ("", ""),
        ("amina\x00", PASSWORD),
    ],
)
def test_whatever_is_wrong_the_answer_is_the_same(client: TestClient, name: str, password: str) -> None:
    answer = client.post("/sign-in", data={"name": name, "password": password})
    assert answer.status_code == 401
    assert "the name or the password is not right" in answer.text
    assert SESSION not in client.cookies


def test_too_many_failures_stop_even_the_right_password_for_a_while(client: TestClient, clock: Clock) -> None:
    assert [by_password(client, "amina", f"wrong {number}") for number in range(10)] == [401] * 10
    answer = client.post("/sign-in", data={"name": "amina", "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "900"
    assert "Wait 15 minutes" in answer.text
    clock.now += 900
    assert by_password(client, "amina", PASSWORD) == 303


def test_failures_count_by_address_too_and_a_success_forgets_only_the_person(client: TestClient) -> None:
    assert [by_password(client, f"person-{number}", "wrong") for number in range(9)] == [401] * 9
    assert by_password(client, "amina", PASSWORD) == 303
    client.cookies.clear()
    assert by_password(client, "somebody", "wrong") == 401
    assert by_password(client, "amina", PASSWORD) == 429


@pytest.mark.parametrize(("proxies", "status"), [(0, 429), (1, 303)])
def test_a_forwarded_address_is_believed_only_behind_a_proxy(client: TestClient, node: Node, proxies: int, status: int) -> None:
    node.settings = Settings(proxies=proxies)
    for number in range(10):
        by_password(client, f"person-{number}", "wrong", **{"X-Forwarded-For": "198.51.100.7"})
    assert by_password(client, "amina", PASSWORD, **{"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}) == status


def test_a_new_password_is_long_enough_and_counts_at_once(client: TestClient, node: Node, sign_in: SignIn) -> None:
    csrf = sign_in(client, node, "guest")
    short = client.post("/account/password", data={"csrf": csrf, "password": "too short"})
    assert short.status_code == 400
    assert "at least 12 characters" in short.text
    assert client.post("/account/password", data={"csrf": csrf, "password": "twelve signs or more"}).status_code == 303
    client.cookies.clear()
    assert by_password(client, "guest", "twelve signs or more") == 303


# Sessions


def test_signing_out_ends_the_session_and_not_only_the_cookie(client: TestClient, node: Node, sign_in: SignIn) -> None:
    csrf = sign_in(client, node, "amina")
    secret = client.cookies[SESSION]
    assert client.post("/sign-out", data={"csrf": csrf}).status_code == 303
    assert SESSION not in client.cookies
    client.cookies.set(SESSION, secret)
    assert not is_signed_in(client)


def test_signing_in_again_replaces_the_session(client: TestClient, node: Node, sign_in: SignIn) -> None:
    sign_in(client, node, "amina")
    secret = client.cookies[SESSION]
    answer = client.post(link(node, "guest"), data={"csrf": secrets.csrf(secret)})
    assert answer.status_code == 303
    assert client.cookies[SESSION] != secret
    client.cookies.clear()
    client.cookies.set(SESSION, secret)
    assert not is_signed_in(client)


def test_a_session_ends_by_itself(client: TestClient, node: Node, clock: Clock, sign_in: SignIn) -> None:
    sign_in(client, node, "amina")
    clock.now += node.settings.session_days * 86_400
    assert not is_signed_in(client)


@pytest.mark.parametrize(("url", "more"), [("", set()), ("https://concord.example", {"secure"})])
def test_the_cookie_is_for_this_site_and_no_script(client: TestClient, node: Node, url: str, more: set[str]) -> None:
    node.settings = Settings(url=url)
    cookie = client.post(link(node)).headers["set-cookie"]
    flags = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=1209600"} | more == flags


# Forms from elsewhere


ELSEWHERE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
)


def test_a_form_of_another_site_is_refused(client: TestClient) -> None:
    for path in ("/sign-in", "/passkey/begin", "/passkey", "/sign-in/some-link"):
        for headers in ELSEWHERE:
            assert client.post(path, headers=headers).status_code == 403, (path, headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Referer": "http://evil.example/http://testserver/"}, 403),
        ({"Origin": "http://testserver"}, 303),
        ({"Referer": "http://testserver/sign-in"}, 303),
    ],
)
def test_without_fetch_metadata_the_origin_decides(node: Node, headers: dict[str, str], status: int) -> None:
    client = TestClient(build(node), follow_redirects=False)
    sent = {"name": "amina", "password": PASSWORD}
    assert client.post("/sign-in", data=sent, headers=headers).status_code == status


def test_a_form_without_the_word_of_the_session_is_refused(client: TestClient, node: Node, sign_in: SignIn) -> None:
    sign_in(client, node, "amina")
    for path in FORMS:
        for sent in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": secrets.csrf("another")}):
            assert client.post(path, data=sent).status_code == 403, (path, sent)
    assert is_signed_in(client)


def test_what_is_ones_own_needs_a_session(client: TestClient) -> None:
    for path in FORMS:
        if path != "/sign-out":
            answer = client.post(path)
            assert answer.status_code == 401, path
            assert 'href="/sign-in"' in answer.text, "a form leads to no page that could be gone back to"


def test_what_changes_something_is_never_done_by_a_link(client: TestClient) -> None:
    for path in FORMS:
        answer = client.get(path)
        if path != "/account":
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), path


def test_a_form_has_a_size(client: TestClient) -> None:
    assert client.post("/sign-in", data={"name": "a" * 70_000}).status_code == 413
    assert client.post("/sign-in", data={f"field{number}": "" for number in range(60)}).status_code == 400
    assert client.post("/sign-in", content=b"\xff").status_code == 400
    assert client.post("/sign-in", content=b"name=%ff").status_code == 400


# Going back


ELSEWHERE_PATHS = (
    *("//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "evil", ""),
    *("/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "/\r\nSet-Cookie: a=b"),
)


@pytest.mark.parametrize("path", ELSEWHERE_PATHS)
def test_a_language_link_leads_to_no_other_site(client: TestClient, path: str) -> None:
    answer = client.get("/language/fr", params={"back": path})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "a=b" not in str(answer.headers)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/records?member=ke&type=members.accede", "/records?member=ke&type=members.accede"),
        ("/members/كينيا", "/members/%D9%83%D9%8A%D9%86%D9%8A%D8%A7"),
        ("/charter", "/charter"),
    ],
)
def test_a_language_link_leads_back_to_where_the_reader_was(client: TestClient, path: str, location: str) -> None:
    answer = client.get("/language/fr", params={"back": path})
    assert answer.headers["location"] == location
    assert client.get("/").text.startswith('<!doctype html>\n<html lang="fr"')


def test_who_signs_in_with_a_password_goes_on_where_it_was_asked_for(client: TestClient) -> None:
    link = next(each["href"] for each in parse(client.get("/records?member=ke").text).all("a") if "/sign-in" in each["href"])
    form = next(each for each in parse(client.get(link).text).all("form") if each["action"] == "/sign-in")
    kept = {each["name"]: each["value"] for each in form.all("input") if each.get("type") == "hidden"}
    assert kept["back"] == "/records?member=ke"
    wrong = client.post("/sign-in", data={"name": "amina", "password": "wrong", "back": kept["back"]})
    assert wrong.status_code == 401 and 'value="/records?member=ke"' in wrong.text
    answer = client.post("/sign-in", data={"name": "amina", "password": states.PASSWORD, "back": kept["back"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/records?member=ke")


@pytest.mark.parametrize("path", ELSEWHERE_PATHS)
def test_signing_in_leads_to_no_other_site(client: TestClient, path: str) -> None:
    answer = client.post("/sign-in", data={"name": "amina", "password": states.PASSWORD, "back": path})
    assert (answer.status_code, answer.headers["location"]) == (303, "/" if path else "/account")


def test_an_unknown_language_is_not_here(client: TestClient) -> None:
    assert client.get("/language/tlh").status_code == 404


# What a browser's authenticator might send

NAMES = ["id", "rawId", "type", "response", "clientDataJSON", "authenticatorData", "attestationObject", "signature", "challenge"]
junk = st.recursive(
    st.none() | st.integers() | st.text(max_size=20) | st.just("a25vd24"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def shared() -> tuple[TestClient, Clock, str]:
    """A client of one node for all examples, signed in; its clock, so that no limit on failures stands in the way; its word."""
    clock = Clock()
    node = states.young(clock)
    client = TestClient(build(node), headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
    client.post(link(node))
    with node.private_writing() as db:
        db.execute(insert(passkey).values(id="a25vd24", person="amina", label="", key=b"key", count=0, created=0))
    return client, clock, secrets.csrf(client.cookies[SESSION])


@settings(max_examples=50)
@given(answer=junk)
def test_no_answer_of_an_authenticator_is_more_than_refused(shared: tuple[TestClient, Clock, str], answer: object) -> None:
    client, clock, csrf = shared
    clock.now += 1000
    sent = {"csrf": csrf, "answer": json.dumps(answer)}
    assert client.post("/passkey", data=sent).status_code in (401, 403)
    assert client.post("/account/passkeys", data=sent).status_code == 403


@settings(max_examples=50)
@given(response=st.dictionaries(st.sampled_from(NAMES), junk))
def test_nor_is_one_in_the_name_of_a_known_passkey(shared: tuple[TestClient, Clock, str], response: dict[str, object]) -> None:
    client, clock, csrf = shared
    clock.now += 1000
    answer = {"id": "a25vd24", "rawId": "a25vd24", "type": "public-key", "response": response}
    assert client.post("/passkey", data={"csrf": csrf, "answer": json.dumps(answer)}).status_code in (401, 403)


KEYS = [
    b"\xff",
    b"\x80",
    b"\xa0",
    b"\xa1\x01\x01",
    b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + bytes(32) + b"\x22\x58\x20" + bytes(32),
]


@settings(max_examples=50)
@given(tail=st.binary(max_size=40) | st.sampled_from(KEYS), flags=st.sampled_from([0x05, 0x45, 0x85, 0xFF]))
def test_nor_is_one_that_answers_the_challenge(shared: tuple[TestClient, Clock, str], tail: bytes, flags: int) -> None:
    client, clock, csrf = shared
    clock.now += 1000
    signed = sha256(b"testserver").digest() + bytes([flags]) + bytes(4) + bytes(16) + b"\0\4abcd" + tail
    attested = b"\xa3cfmtdnonegattStmt\xa0hauthData" + b"\x59" + len(signed).to_bytes(2, "big") + signed
    for path, kind in (("/passkey", "get"), ("/account/passkeys", "create")):
        begin = "/passkey/begin" if kind == "get" else "/account/passkeys/begin"
        challenge = client.post(begin, data={"csrf": csrf}).json()["challenge"]
        said = {"type": f"webauthn.{kind}", "challenge": challenge, "origin": "http://testserver"}
        parts = {"clientDataJSON": json.dumps(said).encode(), "authenticatorData": signed, "attestationObject": attested}
        response = {name: urlsafe_b64encode(part).decode() for name, part in (*parts.items(), ("signature", b"signed"))}
        id_ = "a25vd24" if kind == "get" else "YWJjZA"
        answer = {"id": id_, "rawId": id_, "type": "public-key", "response": response}
        status = client.post(path, data={"csrf": csrf, "answer": json.dumps(answer)}).status_code
        assert status in (401, 403) or (status == 200 and kind == "create" and tail == KEYS[-1]), (path, status)


@pytest.mark.parametrize("path", ["/passkey", "/account/passkeys"])
def test_a_challenge_is_answered_once_and_in_time_and_by_its_person(
    client: TestClient, node: Node, clock: Clock, sign_in: SignIn, path: str
) -> None:
    csrf = sign_in(client, node, "amina")
    begin = "/passkey/begin" if path == "/passkey" else "/account/passkeys/begin"
    challenge = client.post(begin, data={"csrf": csrf}).json()["challenge"]
    said = b64encode(json.dumps({"challenge": challenge}).encode()).decode()
    sent = {"csrf": csrf, "answer": json.dumps({"id": "none", "response": {"clientDataJSON": said}})}
    assert client.post(path, data=sent).status_code in (401, 403)
    clock.now += 301
    late = client.post("/account/passkeys", data=sent)
    assert late.status_code == 403
    assert "took longer than five minutes" in late.text
