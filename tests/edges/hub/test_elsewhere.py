"""Files of repos whose bytes are on another node: read at every door as if they were here."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from asking import Person, failure, file, large
from starlette.testclient import TestClient

from concord.config import Settings
from concord.edges.peer import tries
from concord.edges.peer.pull import pull
from concord.edges.peer.source import FolderSource
from concord.errors import DamagedError, RefusedError
from concord.ledger.blobs import Hold
from concord.node import Node
from concord.operations import courier as couriers
from concord.operations.courier import Courier
from concord.operations.scrub import scrub
from concord.pillars.commons import File
from concord.private import damages, kept
from concord.server import build
from concord.shelf import Draft, Shelf, pull_requests
from concord.testing import NOW, Clock, NodeSource, everything, states
from concord.testing.lines import Line
from concord.testing.processes import until

WEIGHTS = os.urandom(1_500_000)
CARD = b"---\nlicense: mit\n---\n# Words\nof another node\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "PAUSE", 0.001)
    monkeypatch.setattr(couriers, "AGAIN", 0)


@pytest.fixture
def repo(owner: Person) -> str:
    """A repo on the first node, with a small file and a large one."""
    repo = owner.open()
    line = owner.send(repo, WEIGHTS)
    done = owner.commit(repo, large("w.bin", WEIGHTS), file("README.md", CARD), line)
    assert done.status_code == 200, done.text
    return repo


class Elsewhere:
    """A second node, the lines on which it reaches others, and somebody who asks it."""

    def __init__(self, other: Node, clock: Clock) -> None:
        self.other, self.node = other, states.watching(other, clock)
        self.lines = [Line(NodeSource(other), name="the first node")]
        self.courier = Courier(self.node, lambda _repo, _settings, _patience: list(self.lines))
        self.nobody = Person(TestClient(build(self.node, self.courier)))

    def get(self, path: str, **more: Any) -> Any:
        return self.nobody.get(path, **more)

    def settled(self) -> None:
        until(lambda: not self.courier.busy, "files that have landed")


@pytest.fixture
def elsewhere(node: Node, repo: str, clock: Clock) -> Elsewhere:
    return Elsewhere(node, clock)


def test_a_head_is_answered_from_the_commit_and_fetches_nothing(elsewhere: Elsewhere, repo: str, owner: Person) -> None:
    there = elsewhere.nobody.ask("HEAD", f"/{repo}/resolve/main/w.bin")
    here = owner.ask("HEAD", f"/{repo}/resolve/main/w.bin")
    for name in ("ETag", "X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size", "Content-Length"):
        assert there.headers[name] == here.headers[name]
    assert "X-Xet-Hash" in here.headers and "X-Xet-Hash" not in there.headers
    assert elsewhere.lines[0].sent == {}


def test_files_are_had_through_another_node_and_then_from_it(elsewhere: Elsewhere, repo: str) -> None:
    assert elsewhere.get(f"/{repo}/resolve/main/README.md").content == CARD
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin").content == WEIGHTS
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin", headers={"Range": "bytes=7-99"}).content == WEIGHTS[7:100]
    elsewhere.settled()
    elsewhere.lines.clear()
    there = elsewhere.get(f"/{repo}/resolve/main/w.bin")
    assert (there.content, "X-Xet-Hash" in there.headers) == (WEIGHTS, True)
    assert elsewhere.get(f"/{repo}/resolve/main/README.md").content == CARD
    with elsewhere.node.private_reading() as db:
        assert kept.total(db) == len(WEIGHTS) + len(CARD)


def test_a_range_comes_before_what_lies_before_it(elsewhere: Elsewhere, repo: str) -> None:
    part = elsewhere.get(f"/{repo}/resolve/main/w.bin", headers={"Range": f"bytes=1400000-{len(WEIGHTS) - 1}"})
    assert (part.status_code, part.content) == (206, WEIGHTS[1_400_000:])


def test_whoever_asks_at_the_same_time_shares_one_fetch(elsewhere: Elsewhere, repo: str) -> None:
    elsewhere.lines[0] = Line(NodeSource(elsewhere.other), wait=0.02)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: elsewhere.get(f"/{repo}/resolve/main/w.bin").content, range(4)))
    assert answers == [WEIGHTS] * 4
    assert elsewhere.lines[0].sent["xorbs"] < 1.1 * len(WEIGHTS)


def test_nobody_has_it_and_nobody_answers_are_told_apart(elsewhere: Elsewhere, repo: str, node: Node) -> None:
    elsewhere.lines[0].dead = True
    answer = elsewhere.get(f"/{repo}/resolve/main/README.md")
    assert failure(answer) == (503, "Away")
    assert int(answer.headers["Retry-After"]) > 0
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin").status_code == 503
    elsewhere.lines[:] = [Line(NodeSource(states.watching(node)))]
    for path in ("README.md", "w.bin"):
        assert failure(elsewhere.get(f"/{repo}/resolve/main/{path}")) == (404, "EntryNotFound")
    elsewhere.lines.clear()
    assert failure(elsewhere.nobody.ask("HEAD", f"/{repo}/resolve/main/w.bin")) == (404, "EntryNotFound")


def test_a_plain_web_server_or_folder_that_has_files_whole_will_do(
    elsewhere: Elsewhere, repo: str, node: Node, tmp_path: Path
) -> None:
    shelf = Shelf(node)
    found = shelf.find(shelf.repo_id("model", *repo.split("/")), None)
    folder = tmp_path / "peer" / "content" / found.root
    folder.mkdir(parents=True)
    for content in (CARD, WEIGHTS):
        (folder / sha256(content).hexdigest()).write_bytes(content)
    elsewhere.lines[:] = [FolderSource(tmp_path)]  # type: ignore[list-item]
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin").content == WEIGHTS
    assert elsewhere.get(f"/{repo}/resolve/main/README.md").content == CARD
    elsewhere.settled()
    assert elsewhere.node.chunks.by_digest(sha256(WEIGHTS).hexdigest()) is not None
    assert not elsewhere.node.blobs.have(sha256(WEIGHTS).hexdigest())


@pytest.mark.parametrize("way", ["chunks", "whole"])
def test_large_files_of_peers_leave_the_reserve_of_the_disk(
    elsewhere: Elsewhere, repo: str, node: Node, tmp_path: Path, way: str
) -> None:
    if way == "whole":
        shelf = Shelf(node)
        folder = tmp_path / "peer" / "content" / shelf.find(shelf.repo_id("model", *repo.split("/")), None).root
        folder.mkdir(parents=True)
        for content in (CARD, WEIGHTS):
            (folder / sha256(content).hexdigest()).write_bytes(content)
        elsewhere.lines[:] = [FolderSource(tmp_path)]  # type: ignore[list-item]
    elsewhere.node.settings = Settings(reserve_bytes=1 << 62)
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin").status_code == 507
    elsewhere.settled()
    page = elsewhere.get(f"/commons/models/{repo}/file?path=w.bin")  # which shows nothing of the file, and all else
    assert (page.status_code, "w.bin" in page.text) == (200, True)
    assert elsewhere.get(f"/{repo}/resolve/main/README.md").content == CARD
    assert elsewhere.node.chunks.entries() == []
    assert not elsewhere.node.blobs.have(sha256(WEIGHTS).hexdigest())
    elsewhere.node.settings = Settings()
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin").content == WEIGHTS


def test_private_gated_and_held_files_stay_where_they_are(
    elsewhere: Elsewhere, owner: Person, node: Node, person: Callable[..., Person]
) -> None:
    gated = owner.open("gated")
    owner.commit(gated, file("a.txt", b"for some"))
    owner.put(f"/api/models/{gated}/settings", {"gated": "manual"})
    opened = owner.open("held")
    owner.commit(opened, file("b.txt", b"under review"))
    (digest,) = [each for each in node.blobs.digests() if b"".join(node.blobs.get(each)) == b"under review"]
    pull(elsewhere.node, NodeSource(node))
    elsewhere.node.blobs.hold(digest, Hold(by="tester", reason="under review", at=NOW))
    before = dict(elsewhere.lines[0].sent)
    assert elsewhere.get(f"/{gated}/resolve/main/a.txt").status_code == 401
    assert elsewhere.get(f"/{opened}/resolve/main/b.txt").status_code == 451
    assert dict(elsewhere.lines[0].sent) == before


def test_bytes_that_are_here_for_another_repo_are_given_to_nobody_by_naming_them(
    elsewhere: Elsewhere, owner: Person, other: Person, node: Node, repo: str
) -> None:
    """A commit names what its member never had: no node that serves it can be found, so nobody gets it."""
    elsewhere.get(f"/{repo}/resolve/main/README.md")
    elsewhere.get(f"/{repo}/resolve/main/w.bin")
    elsewhere.settled()
    thief = other.open("thief")
    other.commit(thief, file("x.txt", b"nothing"))
    shelf = Shelf(node)
    found = shelf.find(shelf.repo_id("model", *thief.split("/")), None)
    mine = shelf.find(shelf.repo_id("model", *repo.split("/")), None)
    named = [
        File(path=each.path, size=each.size, sha256=each.sha256, oid=each.oid, xet=each.xet)
        for each in shelf.tree(mine, mine.find("main")).values()
    ]
    shelf.commit(everything(found.id.owner), found, Draft("main", "Named", put=named))
    pull(elsewhere.node, NodeSource(node))
    for path in ("README.md", "w.bin"):
        assert failure(elsewhere.get(f"/{thief}/resolve/main/{path}")) == (404, "EntryNotFound")
        assert elsewhere.get(f"/{repo}/resolve/main/{path}").status_code == 200


def test_nobody_merges_what_cannot_be_had(repo: str, node: Node) -> None:
    shelf = Shelf(node, Courier(node, lambda _repo, _settings, _patience: []))
    found = shelf.find(shelf.repo_id("model", *repo.split("/")), None)
    proposer = everything(next(origin for origin in node.holdings.hosted() if origin != found.id.owner))
    named = File(path="x.txt", size=5, sha256="ab" * 32, oid="cd" * 20)
    thread, _ = pull_requests.propose(shelf, proposer, found, Draft("main", "Named, and never had", put=[named]))
    with pytest.raises(RefusedError, match="no peer of this node gives it"):
        pull_requests.merge(shelf, everything(found.id.owner), found, thread, "Merge")
    assert shelf.find(found.id, None).threads[thread.number].status == "open"
    kept_here = shelf.keep(found, "y.txt", b"here")
    thread, _ = pull_requests.propose(shelf, proposer, found, Draft("main", "Kept", put=[kept_here]))
    assert pull_requests.merge(shelf, everything(found.id.owner), found, thread, "Merge").commit.merges == thread.head


def test_git_lfs_is_sent_what_is_elsewhere(elsewhere: Elsewhere, repo: str) -> None:
    oid = sha256(WEIGHTS).hexdigest()
    asked = {"operation": "download", "objects": [{"oid": oid, "size": len(WEIGHTS)}, {"oid": "ab" * 32, "size": 5}]}
    there, never = elsewhere.nobody.post(f"/{repo}.git/info/lfs/objects/batch", asked).json()["objects"]
    assert elsewhere.get(there["actions"]["download"]["href"]).content == WEIGHTS
    assert never["error"]["code"] == 404


# Pages


def test_pages_show_what_is_elsewhere(elsewhere: Elsewhere, repo: str) -> None:
    member, _, name = repo.partition("/")
    address = f"/commons/models/{member}/{name}"
    assert "of another node" in elsewhere.get(address).text
    seen = elsewhere.get(f"{address}/file?path=w.bin")
    assert seen.status_code == 200
    assert elsewhere.lines[0].sent["xorbs"] < 400_000
    assert elsewhere.get(f"{address}/raw?path=w.bin").content == WEIGHTS


def test_a_page_does_without_what_nobody_brings(elsewhere: Elsewhere, repo: str) -> None:
    member, _, name = repo.partition("/")
    elsewhere.lines[0].dead = True
    for path in ("", "/file?path=w.bin", "/file?path=README.md", "/files"):
        assert elsewhere.get(f"/commons/models/{member}/{name}{path}").status_code == 200


# Damage


def damage(node: Node) -> None:
    """Flip a byte of each xorb."""
    for path in (node.chunks.root / "xorbs").glob("??/" + "[0-9a-f]" * 64):
        raw = bytearray(path.read_bytes())
        for place in (700_000, len(raw) - 100_000):
            raw[place] ^= 1
        path.write_bytes(raw)


def test_what_the_disk_damaged_is_never_served_and_comes_again(elsewhere: Elsewhere, repo: str) -> None:
    elsewhere.get(f"/{repo}/resolve/main/w.bin")
    elsewhere.settled()
    damage(elsewhere.node)
    before = elsewhere.lines[0].sent["xorbs"]
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin").content == WEIGHTS
    assert 0 < elsewhere.lines[0].sent["xorbs"] - before <= 2 * 131_080
    elsewhere.lines.clear()
    assert elsewhere.get(f"/{repo}/resolve/main/w.bin").content == WEIGHTS
    assert list(elsewhere.node.chunks.verify(deep=True)) == []


def test_the_owner_gets_its_own_bytes_back_from_who_mirrors_them(elsewhere: Elsewhere, repo: str, node: Node) -> None:
    elsewhere.get(f"/{repo}/resolve/main/w.bin")
    elsewhere.settled()
    damage(node)
    courier = Courier(node, lambda _repo, _settings, _patience: [Line(NodeSource(elsewhere.node))])
    answer = TestClient(build(node, courier)).get(f"/{repo}/resolve/main/w.bin")
    assert answer.content == WEIGHTS
    assert list(node.chunks.verify(deep=True)) == []


def test_a_damaged_file_that_nobody_has_is_an_error_and_no_other_bytes(repo: str, node: Node) -> None:
    damage(node)
    shelf = Shelf(node, Courier(node, lambda _repo, _settings, _patience: []))
    found = shelf.find(shelf.repo_id("model", *repo.split("/")), None)
    came: list[bytes] = []
    with pytest.raises(DamagedError, match="cannot be repaired now"):
        came.extend(shelf.read(found, shelf.tree(found, found.find("main"))["w.bin"]))
    assert WEIGHTS.startswith(b"".join(came))


def flip(node: Node, content: bytes, place: int = 3) -> None:
    """Flip a byte of a small file on the disk of a node."""
    path = node.blobs.open(sha256(content).hexdigest())
    raw = bytearray(content)
    raw[place] ^= 1
    path.write_bytes(raw)


def open_damages(node: Node) -> list[str]:
    with node.private_reading() as db:
        return [each.name for each in damages.everything(db) if each.mended is None]


@pytest.mark.parametrize("wanted", [None, "bytes=3-5", "bytes=0-0"])
def test_a_small_file_that_the_disk_changed_is_never_served_and_comes_again(
    elsewhere: Elsewhere, repo: str, wanted: str | None
) -> None:
    address = f"/{repo}/resolve/main/README.md"
    headers = {"Range": wanted} if wanted else {}
    sound = elsewhere.get(address, headers=headers).content
    flip(elsewhere.node, CARD)
    assert elsewhere.get(address, headers=headers).content == sound
    assert open_damages(elsewhere.node) == [sha256(CARD).hexdigest()]
    elsewhere.lines.clear()
    assert elsewhere.get(address).content == CARD
    scrub(elsewhere.node, elsewhere.courier, lambda _: False)
    assert open_damages(elsewhere.node) == []


def test_a_small_file_that_nobody_has_sound_is_an_error_that_says_so_each_time(repo: str, node: Node) -> None:
    flip(node, CARD)
    for sources in ([], [Line(NodeSource(states.young(Clock())))]):
        client = Person(TestClient(build(node, Courier(node, lambda _repo, _settings, _patience, now=sources: list(now)))))
        for _ in range(2):
            answer = client.get(f"/{repo}/resolve/main/README.md")
            assert answer.status_code == 500
            assert "README.md" in answer.headers["X-Error-Message"]
            assert "damaged on this disk" in answer.headers["X-Error-Message"]
    assert open_damages(node) == [sha256(CARD).hexdigest()]


def test_a_page_that_shows_a_damaged_file_does_without(repo: str, node: Node) -> None:
    flip(node, CARD)
    client = Person(TestClient(build(node, Courier(node, lambda _repo, _settings, _patience: []))))
    member, _, name = repo.partition("/")
    for _ in range(2):
        for path in ("", "/file?path=README.md", "/files"):
            assert client.get(f"/commons/models/{member}/{name}{path}").status_code == 200


def test_damage_that_is_mended_meanwhile_costs_nothing(elsewhere: Elsewhere, repo: str) -> None:
    """Of two readers that find it, the second sets nothing aside that the first has brought again."""
    elsewhere.get(f"/{repo}/resolve/main/README.md")
    flip(elsewhere.node, CARD)
    digest = sha256(CARD).hexdigest()
    first, second = elsewhere.node.blob(digest), elsewhere.node.blob(digest, 2, 4)
    with pytest.raises(DamagedError):
        list(first)
    elsewhere.node.blobs.put([CARD])
    assert b"".join(second) == CARD[2:4]
    assert elsewhere.node.blobs.have(digest)
