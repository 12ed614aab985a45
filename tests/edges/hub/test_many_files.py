"""A repo of a hundred thousand files: committed at once, listed in pages, changed a little, in bounded memory."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from concord.testing.processes import Serving, copy_home, serve
from concord.testing.terminal import run

COUNT = 100_000
MEMORY_MAX = 400 << 20  # bytes at most of the whole process
REPO = "example-ke/many"
API = f"/api/models/{REPO}"


@pytest.fixture
def home(founded: Path, tmp_path: Path) -> Path:
    return copy_home(founded, tmp_path / "home")


def path_of(number: int) -> str:
    return f"part-{number // 1000:02}/{number:05}.txt"


def body(numbers: range, content: str) -> bytes:
    """A commit of these files."""
    put = [{"path": path_of(number), "content": content, "encoding": "utf-8"} for number in numbers]
    lines = [{"key": "header", "value": {"summary": "Many"}}, *({"key": "file", "value": each} for each in put)]
    return "\n".join(map(json.dumps, lines)).encode()


def pages(node: Serving, path: str) -> Iterator[list[dict[str, str]]]:
    while path:
        answer = node.get(path)
        yield answer.json()
        following = re.match(r"<http://[^/]+(.*)>; rel=\"next\"", answer.headers.get("Link", ""))
        path = following[1] if following else ""


def memory(node: Serving) -> int:
    """The most bytes that the process had at a time."""
    said = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", said)[0]) << 10


def test_a_hundred_thousand_files_are_committed_listed_and_changed(home: Path) -> None:
    token = run("token", "create", home=home).out.strip()
    signed = {"Authorization": f"Bearer {token}"}
    with serve(home, pull_every=0) as node:
        assert node.request("POST", "/api/repos/create", json.dumps({"name": REPO, "type": "model"}).encode(), signed).status == 200
        assert node.request("POST", f"{API}/commit/main", body(range(COUNT), "text"), signed).status == 200
        listed = list(pages(node, f"{API}/tree/main?recursive=true"))
        files = [each["path"] for page in listed for each in page if each["type"] == "file"]
        assert sorted(files) == sorted([".gitattributes", *map(path_of, range(COUNT))])
        assert max(map(len, listed)) <= 1000
        assert len(next(pages(node, f"{API}/tree/main"))) == 101
        assert len(node.get(API).json()["siblings"]) == COUNT + 1
        assert node.request("POST", f"{API}/commit/main", body(range(7, 8), "other"), signed).status == 200
        assert node.get(f"/{REPO}/resolve/main/{path_of(7)}").body == b"other"
        assert node.get(f"/{REPO}/resolve/main/{path_of(99_999)}").body == b"text"
        assert memory(node) < MEMORY_MAX
        assert node.stop() == 0
    with serve(home, pull_every=0) as node:
        assert node.get(f"/{REPO}/resolve/main/{path_of(50_000)}").body == b"text"
        assert memory(node) < MEMORY_MAX
