"""Nodes of three countries, real clients, each at the node of its own country: sharing, mirroring, proposing, merging, a loss."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from clients import VERSIONS, Client, meeting, prepared

from concord.testing.processes import Serving, free_port, serve, until
from concord.testing.terminal import found_together, run

WORDS, VOICES = "ke/words", "ke/voices"
PROPOSE = """
import sys, huggingface_hub as h
add = [h.CommitOperationAdd(name, open(f"{sys.argv[2]}/{name}", "rb").read()) for name in sys.argv[3:]]
print(h.HfApi().create_commit(sys.argv[1], add, commit_message="More words", create_pr=True).pr_num)
"""
MERGE = "import sys, huggingface_hub as h; h.HfApi().merge_pull_request(sys.argv[1], int(sys.argv[2]), comment='Thank you.')"


class Country:
    """The node of a member, and somebody with a client there."""

    def __init__(self, home: Path, port: int, folder: Path, version: str) -> None:
        self.home, self.port, self.folder = home, port, folder
        token = run("token", "create", home=home).out.strip()
        self.client = Client(prepared(version), meeting(self.url, token, folder, "xet"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self) -> Iterator[Serving]:
        with serve(self.home, port=self.port, pull_every=1, keep="all") as node:
            yield node

    def write(self, name: str, content: bytes) -> Path:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(content)
        return self.folder / name

    def downloads(self, repo: str, name: str, into: str) -> dict[str, bytes]:
        """What somebody gets who downloads a repo here."""
        self.client.hf("download", repo, "--local-dir", self.folder / into / name)
        found = (path for path in (self.folder / into / name).iterdir() if path.is_file() and path.name != ".gitattributes")
        return {path.name: path.read_bytes() for path in found}


@pytest.fixture
def countries(tmp_path: Path) -> list[Country]:
    """Kenya and Brazil are peers of Tunisia, and not of each other."""
    homes = found_together(tmp_path)
    ports = [free_port() for _ in homes]
    for number, others in enumerate(([1], [0, 2], [1])):
        for other in others:
            run("peer", "add", f"http://127.0.0.1:{ports[other]}", home=homes[number])
    return [Country(home, port, tmp_path / f"person-{home.name}", VERSIONS[-1]) for home, port in zip(homes, ports, strict=True)]


def revision(node: Serving, repo: str) -> str | None:
    """The commit that a node has as the newest of a repo."""
    answer = node.get(f"/api/models/{repo}")
    return str(answer.json()["sha"]) if answer.status == 200 else None


def status(node: Serving, repo: str, number: str) -> str | None:
    answer = node.get(f"/api/models/{repo}/discussions/{number}")
    return str(answer.json()["status"]) if answer.status == 200 else None


def test_what_one_country_shares_outlives_its_node_and_others_improve_it(countries: list[Country]) -> None:
    kenya, tunisia, brazil = countries
    contents = {"weights.bin": os.urandom(3_000_000), "words.txt": b"maji\n"}
    with ExitStack() as stack:
        there, further = (stack.enter_context(each.serving()) for each in (tunisia, brazil))
        with kenya.serving() as first:
            for name, content in contents.items():
                kenya.client.hf("upload", WORDS, kenya.write(name, content), name)
            kenya.client.hf("upload", VOICES, kenya.folder / "words.txt", "words.txt")
            for repo in (WORDS, VOICES):
                until(lambda repo=repo: revision(there, repo) == revision(first, repo) is not None, "the commits of Kenya")
            assert tunisia.downloads(WORDS, "words", "got") == contents
            assert tunisia.downloads(VOICES, "voices", "got") == {"words.txt": b"maji\n"}
            first.kill()
        until(lambda: revision(further, WORDS) == revision(there, WORDS), "what Tunisia has of Kenya, in Brazil")
        assert brazil.downloads(WORDS, "words", "got") == contents

        better = {"more.bin": os.urandom(2_000_000), "more.txt": b"mvua\n"}
        for name, content in better.items():
            tunisia.write(name, content)
        proposed = tunisia.client.python("-c", PROPOSE, WORDS, tunisia.folder, *better).stdout.decode().strip()
        with kenya.serving() as first:
            until(lambda: status(first, WORDS, proposed) == "open", "a pull request of Tunisia, in Kenya")
            kenya.client.python("-c", MERGE, WORDS, proposed)
            until(lambda: status(there, WORDS, proposed) == "merged", "what Kenya merged, in Tunisia")
            there.kill()
            assert kenya.downloads(WORDS, "words", "merged") == contents | better
            for home in (kenya.home, tunisia.home):
                assert run("verify", "--deep", home=home).status == 0
