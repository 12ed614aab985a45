"""A disk without room for large files: clients are told before they send any, in words, and small files still go."""

import os
from base64 import b64encode

import pytest
from asking import Cas, Person, described, file, large, packed
from httpx2 import Response

from concord.config import Settings
from concord.edges.hub import lfs
from concord.node import Node

ALL = 1 << 62  # bytes: more than any disk has
HUGE = 1 << 40  # bytes: more than the disk of a test has, and no more than a file may have
CONTENT = b"\0" + os.urandom(100_000)
FULL = "the disk of this node is full"


@pytest.fixture
def repo(owner: Person) -> str:
    """A repo with one large file."""
    name = owner.open()
    assert owner.commit(name, owner.send(name, CONTENT)).status_code == 200
    return name


@pytest.fixture
def full(node: Node, repo: str) -> None:
    node.settings = Settings(reserve_bytes=ALL)


def preupload(person: Person, repo: str, *files: tuple[str, int]) -> Response:
    told = [{"path": path, "size": size, "sample": b64encode(b"\0").decode()} for path, size in files]
    return person.post(f"/api/models/{repo}/preupload/main", {"files": told})


@pytest.mark.usefixtures("full")
def test_whoever_asks_how_to_send_a_large_file_is_told_that_there_is_no_room(repo: str, owner: Person) -> None:
    answer = preupload(owner, repo, ("new.bin", 3_000_000))
    assert answer.status_code == 507
    assert FULL in answer.json()["error"]
    assert "3.0 MB are to come, and 0.0 MB are left" in answer.headers["X-Error-Message"]
    assert preupload(owner, repo, ("large.bin", len(CONTENT) + 1)).status_code == 507


@pytest.mark.usefixtures("full")
def test_what_needs_no_room_goes_on(repo: str, owner: Person) -> None:
    there = preupload(owner, repo, ("large.bin", len(CONTENT)), ("empty.bin", 0))
    assert there.status_code == 200
    assert "X-HF-Warning" not in there.headers
    (told,) = owner.batch(repo, CONTENT).json()["objects"]
    assert "actions" not in told
    assert owner.commit(repo, large("copy.bin", CONTENT), file("notes.txt")).status_code == 200
    assert owner.get(f"/{repo}/resolve/main/copy.bin").content == CONTENT


@pytest.mark.parametrize("transfers", [["basic"], ["basic", "multipart"], ["basic", "multipart", "xet"]])
@pytest.mark.usefixtures("full")
def test_a_batch_is_refused_in_words(transfers: list[str], repo: str, owner: Person) -> None:
    answer = owner.batch(repo, CONTENT, b"\0new", transfers=transfers)
    assert answer.status_code == 507
    assert FULL in answer.json()["message"]


def test_one_file_that_is_too_large_is_refused_and_the_others_are_not(repo: str, owner: Person) -> None:
    objects = [{"oid": "ab" * 32, "size": HUGE}, {"oid": "cd" * 32, "size": 5}]
    huge, small = owner.post(f"/{repo}.git/info/lfs/objects/batch", {"operation": "upload", "objects": objects}).json()["objects"]
    assert huge["error"]["code"] == 507
    assert FULL in huge["error"]["message"]
    assert "actions" in small


def test_files_that_may_not_fit_are_warned_of(repo: str, owner: Person) -> None:
    """They are not refused: how much of them is here already is known only once their chunks are."""
    answer = preupload(owner, repo, ("new.bin", HUGE))
    assert answer.status_code == 200
    assert answer.headers["X-HF-Warning"].startswith("space; ")


def test_what_comes_after_all_is_refused_before_it_is_read(
    repo: str, owner: Person, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lfs, "PART_MIN", 1000)
    content = os.urandom(2500)
    (whole,) = owner.batch(repo, b"\0whole").json()["objects"]
    (parts,) = owner.batch(repo, content, transfers=["multipart"]).json()["objects"]
    cas, (name, raw, table) = Cas(owner, repo), packed(content)
    node.settings = Settings(reserve_bytes=ALL)
    assert owner.ask("PUT", whole["actions"]["upload"]["href"], content=b"\0whole").status_code == 507
    assert owner.ask("PUT", parts["actions"]["upload"]["header"]["00001"], content=content[:1000]).status_code == 507
    assert cas.ask("POST", f"xorbs/default/{name}", content=raw).status_code == 507
    node.settings = Settings(reserve_bytes=0)
    assert cas.ask("POST", f"xorbs/default/{name}", content=raw).json() == {"was_inserted": True}
    node.settings = Settings(reserve_bytes=ALL)
    assert cas.ask("POST", f"xorbs/default/{name}", content=b"").json() == {"was_inserted": False}
    assert cas.ask("POST", "shards", content=described(content, table)).status_code == 200
