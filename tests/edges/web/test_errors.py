"""What a page says when something goes wrong: what happened, whose fault it is, what to do; and that it always can say it."""

import logging
from collections.abc import Callable
from hashlib import sha256

import pytest
from markup import parse
from starlette.testclient import TestClient

from concord import errors
from concord.edges.web import words
from concord.edges.web.languages import LANGUAGES
from concord.errors import ConcordError, DamagedError, StorageError, UnreachableError
from concord.node import Node
from concord.server import STATUS, build, status_of
from concord.testing import states

CASES = (
    ("/records?until=the-other-day", 400),
    ("/members?start=-1", 400),
    ("/records?after=nonsense", 400),
    ("/account", 401),
    ("/nothing", 404),
    ("/members/nobody", 404),
    ("/records/ke/99999999", 404),
    ("/records/ke/x", 404),
    ("/records/ke/007", 404),
    ("/records/ke/99999999999999999999", 404),
    ("/leaf/xyz", 404),
    ("/leaf/" + "0" * 64, 404),
    ("/blobs/" + "0" * 64, 404),
    ("/blobs/..%2f..%2fetc", 404),
    ("/static/..%2fpage.py", 404),
    ("/static/page.py", 404),
)


@pytest.fixture
def lively(client_of: Callable[[str], TestClient]) -> TestClient:
    return client_of("lively")


@pytest.mark.parametrize(("path", "status"), CASES)
def test_each_error_is_a_whole_page(lively: TestClient, path: str, status: int) -> None:
    answer = lively.get(path)
    assert answer.status_code == status
    root = parse(answer.text)
    assert len(list(root.all("h1"))) == 1
    assert f"Status {status}; the fault is" in root.one("main").text
    assert "demonstration" in root.one("header").text
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(("name", "status", "said"), [("erased.txt", 410, "was erased"), ("held.txt", 451, "a hold stops it")])
def test_a_blob_that_is_gone_says_why(lively: TestClient, name: str, status: int, said: str) -> None:
    answer = lively.get(f"/blobs/{sha256(name.encode()).hexdigest()}")
    assert answer.status_code == status
    assert said in answer.text


def test_what_somebody_put_into_the_address_is_not_markup(lively: TestClient) -> None:
    for path in (f"/members/{states.SCRIPT}", f"/records?member={states.SCRIPT}", f"/leaf/{states.SCRIPT}", f"/{states.SCRIPT}"):
        answer = lively.get(path)
        assert answer.status_code in (400, 404)
        assert states.SCRIPT not in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_speaks_the_reader_s_language(lively: TestClient, language: str) -> None:
    answer = lively.get("/members/nobody", headers={"Accept-Language": language})
    root = parse(answer.text)
    assert root.one("html")["lang"] == language
    foreign = [element["lang"] for element in root.one("main").all() if element.get("lang")]
    assert foreign == ([] if language == "en" else ["en"]), "the exact words stay English, and say so"


class Broken:
    """Stands in for a part of the node that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> object:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DamagedError("a tile is gone from the disk"), 500),
        (UnreachableError("nothing came"), 502),
        (errors.BusyError("another process holds it"), 503),
        (StorageError("the disk is full"), 507),
        (ZeroDivisionError("nobody expected this"), 500),
    ],
)
def test_a_node_that_cannot_read_its_own_ledger_still_answers(
    node: Node, caplog: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    client = TestClient(build(node), raise_server_exceptions=False)
    node.holdings = Broken(error)  # type: ignore[assignment]
    page = client.get("/")
    assert page.status_code == status
    root = parse(page.text)
    assert "demonstration" in root.one("header").text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    program = client.get("/api/v1/logs")
    assert program.status_code == status
    assert set(program.json()) == {"error", "kind", "fault"}
    assert len(caplog.records) == 2 and all(record.levelno == logging.ERROR for record in caplog.records)
    if isinstance(error, ZeroDivisionError):
        assert "nobody expected this" not in page.text + program.text
        assert caplog.records[0].exc_info


def test_a_full_disk_says_so_and_loses_nothing(client: TestClient, node: Node, sign_in: Callable[..., str]) -> None:
    csrf = sign_in(client, node, "admin")

    def full() -> None:
        raise StorageError("node.db: the disk is full")

    node.private_writing = full  # type: ignore[method-assign,assignment]
    answer = client.post("/account/tokens", data={"csrf": csrf, "label": "laptop"})
    assert answer.status_code in (400, 507)
    assert "disk is full" in answer.text


def test_no_method_but_those_of_a_page(lively: TestClient) -> None:
    answer = lively.put("/members")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert "Not in this way" in answer.text


@pytest.mark.parametrize("host", ["[", "a b", "[::1", "<script>", "x" * 300, "", "localhost:notaport", "\xff", "a:123456", "[x]"])
def test_no_host_header_breaks_a_page(lively: TestClient, host: str) -> None:
    for path in ("/", "/sign-in", "/nothing"):
        answer = lively.get(path, headers={"Host": host.encode("latin-1")})
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8600", "[::1]:8600", "concord.example", "xn--c1yn36f.example:443"])
def test_a_host_is_a_name_or_a_number_and_a_port(lively: TestClient, host: str) -> None:
    assert lively.get("/sign-in", headers={"Host": host}).status_code == 200


def test_every_error_has_a_status_and_a_fault_that_is_translated() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ConcordError)]
    assert len(kinds) > 15
    for kind in kinds:
        assert ("the fault is", kind.fault) in words.WORDS
        assert any(issubclass(kind, listed) for listed, _ in STATUS)
    assert status_of(DamagedError("")) == 500
