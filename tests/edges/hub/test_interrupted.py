"""Uploads that end early: the client is killed, the node is killed, the disk is full. Real clients, real nodes, a slow line."""

import json
import os
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from clients import VERSIONS, WAYS, Client, meeting, prepared

from concord.content import Content
from concord.home import open_home
from concord.testing.processes import PATIENCE, Serving, copy_home, free_port, serve, until
from concord.testing.relay import relay
from concord.testing.terminal import run

REPO = "example-ke/interrupted"
RATE = 24 << 20  # bytes a second
BESIDES = 2 << 20  # bytes that a client sends besides files: requests, and the list of chunks, which it sends to two addresses
IMPATIENT = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", "HF_XET_CLIENT_RETRY_BASE_DELAY": "100ms"}  # or it goes on for minutes
FULL = b"the disk of this node is full"
FILES = {"plain": (12, 6 << 20), "xet": (1, 200 << 20)}  # of each way: how many files, and their size


@pytest.fixture
def home(founded: Path, tmp_path: Path) -> Path:
    return copy_home(founded, tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder to upload: several large files for a client that sends them whole, one of several xorbs for one that does not."""
    count, size = FILES[request.getfixturevalue("way")]
    made = tmp_path / "source"
    made.mkdir()
    for number in range(count):
        (made / f"{number}.bin").write_bytes(os.urandom(size))
    return made


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def token_of(home: Path) -> str:
    return run("token", "create", home=home).out.strip()


def opened(node: Serving, token: str) -> None:
    """A repo with one file in it, which was acknowledged."""
    signed = {"Authorization": f"Bearer {token}"}
    said = json.dumps({"name": REPO, "type": "model"}).encode()
    assert node.request("POST", "/api/repos/create", said, signed).status == 200
    lines = [{"key": "header", "value": {"summary": "Before"}}, {"key": "file", "value": {"path": "before", "content": "x"}}]
    body = "\n".join(map(json.dumps, lines)).encode()
    assert node.request("POST", f"/api/models/{REPO}/commit/main", body, signed).status == 200


def visible(node: Serving) -> set[str]:
    """The files of the repo, as everybody sees them."""
    return {each["rfilename"] for each in node.get(f"/api/models/{REPO}").json()["siblings"]}


BEFORE = {".gitattributes", "before"}


@cache
def digest(path: Path) -> str:
    """Its SHA-256, computed once: whoever waits for something to land looks often."""
    return sha256(path.read_bytes()).hexdigest()


def landed(home: Path, folder: Path, way: str) -> int:
    """How many bytes of the folder a node has kept and noted so far: of whole files, or of whole xorbs."""
    content = Content(open_home(home))
    if way == "xet":
        noted = set[str]().union(*content.noted().values())
        xorbs = (home / "blobs/chunks/xorbs").glob("??/" + "[0-9a-f]" * 64)
        return sum(path.stat().st_size for path in xorbs if path.name in noted)
    return sum(path.stat().st_size for path in folder.iterdir() if content.brought(digest(path)))


def whole(node: Serving, folder: Path) -> None:
    """The node gives every file as it was sent."""
    assert visible(node) == BEFORE | {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        assert node.get(f"/{REPO}/resolve/main/{path.name}").body == path.read_bytes()


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_a_client_that_was_killed_sends_only_the_rest(version: str, way: str, home: Path, folder: Path, tmp_path: Path) -> None:
    """Nothing is sent twice that the node had noted when the client began anew.

    By Xet two xorbs are under way at a time, so that either lands first. The client asks for the first chunk of the file and for
    one in a thousand of the others, and waits for each answer before it goes on.
    """
    token = token_of(home)
    with serve(home, pull_every=0) as node, relay(node.port, RATE) as line:
        opened(node, token)
        client = Client(prepared(version), meeting(line.url, token, tmp_path, way))
        sending = client.started("hf", "upload", REPO, folder, ".")
        until(lambda: landed(home, folder, way) or sending.poll() is not None, "something that landed")
        sending.kill()
        assert sending.wait(PATIENCE) == -9
        until(lambda: line.open == 0, "a line on which nothing comes any more")
        here, size = landed(home, folder, way), sum(path.stat().st_size for path in folder.iterdir())
        assert 0 < here < size
        assert visible(node) == BEFORE
        before = line.sent
        client.hf("upload", REPO, folder, ".")
        assert line.sent - before < size - here + BESIDES
        whole(node, folder)
        assert node.stop() == 0
    assert run("verify", "--deep", home=home).status == 0


def test_a_node_that_was_killed_has_what_it_acknowledged_and_nothing_by_half(
    way: str, home: Path, folder: Path, tmp_path: Path
) -> None:
    token, port = token_of(home), free_port()
    with relay(port, RATE) as line:
        client = Client(prepared(VERSIONS[-1]), meeting(line.url, token, tmp_path, way))
        with serve(home, port=port, pull_every=0) as node:
            opened(node, token)
            sending = client.started("hf", "upload", REPO, folder, ".")
            until(lambda: landed(home, folder, way) or sending.poll() is not None, "something that landed")
            node.kill()
        with serve(home, port=port, pull_every=0) as node:
            assert visible(node) in (BEFORE, BEFORE | {path.name for path in folder.iterdir()})
            sending.kill()
            sending.wait(PATIENCE)
            assert landed(home, folder, way) > 0
            client.hf("upload", REPO, folder, ".")
            whole(node, folder)
            assert node.stop() == 0
    assert run("verify", "--deep", home=home).status == 0


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_a_disk_that_fills_while_files_come_is_told_and_nothing_is_seen_of_them(
    version: str, way: str, founded: Path, disk: Path, tmp_path: Path
) -> None:
    """By Xet nobody knows what a file needs before its chunks are known; otherwise it is told before anything is sent."""
    home = copy_home(founded, disk / "home")
    token = token_of(home)
    (tmp_path / "large.bin").write_bytes(os.urandom(20 << 20))
    (tmp_path / "small.bin").write_bytes(os.urandom(1 << 20))
    with serve(home, pull_every=0, reserve_bytes=0) as node:
        opened(node, token)
        client = Client(prepared(version), meeting(node.url, token, tmp_path, way) | IMPATIENT)
        tried = client.tried("hf", "upload", REPO, tmp_path / "large.bin", "large.bin")
        assert tried.returncode != 0
        assert (b"507 Insufficient Storage" if way == "xet" else FULL) in tried.stdout + tried.stderr
        assert visible(node) == BEFORE
        client.hf("upload", REPO, tmp_path / "small.bin", "small.bin")
        assert visible(node) == BEFORE | {"small.bin"}
        assert node.get(f"/{REPO}/resolve/main/small.bin").body == (tmp_path / "small.bin").read_bytes()
        assert node.stop() == 0
    assert run("verify", "--deep", home=home).status == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_disk_without_room_is_told_in_words_before_anything_is_sent(
    version: str, way: str, founded: Path, disk: Path, tmp_path: Path
) -> None:
    """However patient the client is: what it is told by Xet it would try again for minutes, and not show the words of."""
    home = copy_home(founded, disk / "home")
    token = token_of(home)
    (tmp_path / "large.bin").write_bytes(os.urandom(1 << 20))
    (tmp_path / "small.txt").write_text("words")
    with serve(home, pull_every=0, reserve_bytes=16 << 20) as node, relay(node.port, RATE) as line:
        opened(node, token)
        client = Client(prepared(version), meeting(line.url, token, tmp_path, way))
        tried = client.tried("hf", "upload", REPO, tmp_path / "large.bin", "large.bin")
        assert tried.returncode != 0
        assert FULL in tried.stdout + tried.stderr
        assert line.sent < 1 << 16
        client.hf("upload", REPO, tmp_path / "small.txt", "small.txt")
        assert visible(node) == BEFORE | {"small.txt"}
        assert node.stop() == 0
