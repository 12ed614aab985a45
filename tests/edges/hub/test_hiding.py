"""What is not for the asker: on every route of the door it is told as if it were not there. And who was let in, is in."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asking import Person, file, large
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from concord.edges.hub.door import OPERATIONS
from concord.node import Node
from concord.testing import Clock

WORDS = {
    "ns": "ke",
    "rev": "main",
    "path*": "a",
    "branch": "dev",
    "number": "1",
    "status": "pending",
    "hash": "ab" * 32,
    "sha": "ab" * 32,
    "id": "ab" * 32,
    "rest*": "main",
    "item": "9f" * 12,
}
BODY: dict[str, Any] = {
    "title": "x",
    "description": "x",
    "comment": "x",
    "status": "closed",
    "operation": "upload",
    "objects": [{"oid": "ab" * 32, "size": 9}],
    "files": [],
    "paths": ["a"],
    "user": "joana@br",
    "target": {"type": "model", "name": "br/theirs"},
    "private": False,
    "gated": "auto",
    "tag": "v1",
    "item": {"type": "model", "id": "br/theirs"},
}
LINES = b'{"key":"header","value":{"summary":"x"}}\n{"key":"deletedFile","value":{"path":"a"}}\n'


def routes() -> Iterator[tuple[str, str]]:
    """Every route that names a repo of a member: method, and path with {name} left to fill."""
    for operation in OPERATIONS:
        if "{ns}" not in operation.path:
            continue
        path = operation.path.replace("{type}", "models")
        for word, value in WORDS.items():
            path = path.replace(f"{{{word}}}", value)
        assert re.findall(r"{[^}]*}", path) == ["{name}"], path
        methods = operation.methods.split()
        yield from ((method, path) for method in [*methods, *(["HEAD"] if "GET" in methods else [])])


ROUTES = sorted(set(routes()))


@pytest.fixture
def secret(owner: Person) -> str:
    """A private repo, with all that a stranger could ask after."""
    repo = owner.open("secret", private=True)
    owner.commit(repo, file("a"), owner.send(repo, b"\0large"))
    owner.post(f"/api/models/{repo}/discussions", {"title": "Ours"})
    return repo


def asked(person: Person, method: str, path: str) -> tuple[int, str, list[tuple[str, str]]]:
    """All that an answer tells, but for the length of what differs by the name."""
    more: dict[str, Any] = {"content": LINES} if "/commit/" in path else {"json": BODY}
    answer = person.ask(method, path, **(more if method in ("POST", "PUT") else {}))
    headers = [(name, value.replace("secret", "never0")) for name, value in answer.headers.items()]
    return answer.status_code, answer.text.replace("secret", "never0"), sorted(headers)


def test_a_private_repo_is_told_like_one_that_never_was_on_every_route(
    secret: str, other: Person, nobody: Person, person: Callable[..., Person]
) -> None:
    other.open("theirs")
    for stranger in (nobody, other, person("otieno", "br", scopes=("read",))):
        for method, path in ROUTES:
            told = asked(stranger, method, path.format(name="secret"))
            assert told == asked(stranger, method, path.format(name="never0")), (method, path)
            assert told[0] in (401, 403, 404, 501), (method, path)  # 501: not offered, of any repo


def test_the_work_done_for_a_stranger_tells_nothing_of_a_private_repo(secret: str, other: Person, nobody: Person) -> None:
    """What takes another time is another question to the databases, so the questions are compared."""
    asked_of: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, _values: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001  SQLAlchemy's
        asked_of.append(statement)

    def questions(person: Person, path: str) -> list[str]:
        asked_of.clear()
        person.get(path)
        return [*asked_of]

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for path in ("/api/models/ke/{}", "/ke/{}/resolve/main/a", "/ke/{}", "/api/v1/commons/models/ke/{}/passport"):
            for stranger in (nobody, other):
                questions(stranger, path.format("never1"))  # what is remembered once is
                never = questions(stranger, path.format("never0"))
                assert questions(stranger, path.format("secret")) == never == questions(stranger, path.format("never0"))
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/repos/create", {"name": "ke/{}", "type": "model"}),
        ("DELETE", "/api/repos/delete", {"name": "ke/{}", "type": "model"}),
        ("POST", "/api/repos/move", {"fromRepo": "ke/{}", "toRepo": "ke/x", "type": "model"}),
        ("POST", "/api/repos/move", {"fromRepo": "br/theirs", "toRepo": "ke/{}", "type": "model"}),
        ("POST", "/api/models/br/theirs/lfs-files/duplicate", {"target": {"type": "model", "name": "ke/{}"}, "files": []}),
    ],
)
def test_a_private_repo_in_a_body_is_told_like_one_that_never_was(
    secret: str, other: Person, nobody: Person, method: str, path: str, body: dict[str, Any]
) -> None:
    other.open("theirs")

    def told(stranger: Person, name: str) -> tuple[int, str]:
        filled = {key: value.format(name) if isinstance(value, str) else value for key, value in body.items()}
        if "target" in filled:
            filled["target"] = {"type": "model", "name": f"ke/{name}"}
        answer = stranger.ask(method, path, json=filled)
        return answer.status_code, answer.text.replace("secret", "never0")

    for stranger in (nobody, other):
        assert told(stranger, "secret") == told(stranger, "never0")
        assert told(stranger, "secret")[0] >= 400


def test_a_token_that_ran_out_and_one_of_another_node_open_nothing_on_any_route(
    owner: Person, person: Callable[..., Person], client: TestClient, clock: Clock
) -> None:
    owner.commit(owner.open("words"), file("a"))
    late = person("late", days=1)
    clock.now += 86_400
    for stranger in (late, Person(client, "ke", {"Authorization": "Bearer hf_" + "a" * 40})):
        for method, path in ROUTES:
            status, _, headers = asked(stranger, method, path.format(name="words"))
            words = dict(headers)["x-error-message"]
            assert status == 501 or (status, words) == (401, "Invalid credentials in Authorization header"), (method, path)


def test_a_token_that_runs_out_while_files_are_sent_commits_nothing(
    owner: Person, person: Callable[..., Person], clock: Clock
) -> None:
    late = person("late", days=1)
    repo = owner.open("words")
    line = late.send(repo, b"\0large")
    clock.now += 86_400
    assert late.commit(repo, line).status_code == 401
    assert owner.commit(repo, line).status_code == 200


# Who was let in


def test_whom_the_owner_let_in_has_the_files_at_the_door_and_on_the_pages(
    owner: Person,
    other: Person,
    nobody: Person,
    node: Node,
    client: TestClient,
    sign_in: Callable[[TestClient, Node, str], str],
) -> None:
    repo, content = owner.open("given"), b"\0weights"
    owner.commit(repo, file("a"), owner.send(repo, content))
    owner.put(f"/api/models/{repo}/settings", {"gated": "manual"})
    other.post(f"/{repo}/ask-access")
    sign_in(client, node, "joana")
    pages = [f"/commons/models/{repo}/{part}" for part in ("raw?path=a", "raw?path=large.bin")]
    doors = [f"/{repo}/resolve/main/a", f"/{repo}/resolve/main/large.bin", f"/api/models/{repo}/xet-read-token/main"]
    download = {"operation": "download", "objects": [{"oid": large("x", content)["value"]["oid"], "size": len(content)}]}

    def had() -> list[int]:
        batch = other.post(f"/{repo}.git/info/lfs/objects/batch", download)
        return (
            [client.get(page).status_code for page in pages] + [other.get(door).status_code for door in doors] + [batch.status_code]
        )

    assert set(had()) == {403}
    requests = f"/api/models/{repo}/user-access-request"
    assert owner.post(f"{requests}/handle", {"user": "joana@br", "status": "accepted"}).status_code == 200
    assert set(had()) == {200}
    assert other.get(doors[1]).content == client.get(pages[1]).content == content
    assert "The owner gives it" not in client.get(f"/commons/models/{repo}/file?path=a").text
    assert owner.post(f"{requests}/handle", {"user": "joana@br", "status": "rejected"}).status_code == 200
    assert set(had()) == {403}
    client.cookies.clear()
    assert {client.get(page).status_code for page in pages} == {403}
    assert nobody.get(doors[0]).status_code == 401
