"""git as people use it, against a live node: it clones and fetches what is there for whoever asks, and checks all of it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import pytest
from asking import Person, file
from msgspec import to_builtins

from concord.ledger.blobs import Hold
from concord.ledger.identity import label
from concord.node import Node
from concord.pillars.commons import Commit
from concord.shelf import Shelf
from concord.testing.nodes import everything
from concord.testing.processes import PATIENCE

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed on this machine")


class Git:
    """git in a folder of its own, which asks nobody for a password and knows nothing of this machine's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"HOME": str(folder), "PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}

    def __call__(self, *words: str | Path, fails: bool = False) -> str:
        line = ["git", "-c", "protocol.version=2", "-C", str(self.folder), *map(str, words)]
        done = subprocess.run(
            line, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False
        )
        assert bool(done.returncode) == fails, done.stdout
        return done.stdout.strip()

    def inside(self, name: str) -> "Git":
        """git in a folder within."""
        inner = Git(self.folder / name)
        inner.env = self.env
        return inner


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path)


@pytest.fixture
def url(node: Node, served: Callable[[Node], AbstractContextManager[str]]) -> Iterator[str]:
    with served(node) as url:
        yield url


def origin(node: Node, member: str) -> str:
    return next(each for each in node.holdings.hosted() if label(each) == member)


def signed(url: str, person: Person) -> str:
    """An address that carries the person's token as git sends it."""
    return url.replace("://", f"://any:{person.headers['Authorization'].removeprefix('Bearer ')}@")


def test_a_clone_is_sound_and_a_fetch_brings_what_is_new(url: str, owner: Person, git: Git) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"), file("docs/é.txt", b"words"), summary="The first")
    git("clone", "-q", f"{url}/{repo}", "copy")
    copy = git.inside("copy")
    assert (copy.folder / "docs" / "é.txt").read_bytes() == b"words"
    commit = owner.commit(repo, file("docs/b"), {"key": "deletedFile", "value": {"path": "a"}}, summary="The second").json()
    copy("pull", "-q")
    assert copy("log", "--format=%s").splitlines()[:2] == ["The second", "The first"]
    assert copy("log", "-1", "--format=%(trailers:key=Concord-Commit,valueonly)").startswith(commit["commitOid"])
    assert copy("log", "-1", "--format=%ae") == "wanjiru@ke.concord.alt"
    copy("fsck", "--strict", "--full")
    told = {each["path"]: each["oid"] for each in owner.get(f"/api/models/{repo}/tree/main?recursive=true").json()}
    assert (
        dict(
            line.split()[::-1]
            for line in copy("-c", "core.quotePath=false", "ls-tree", "-rt", "--format=%(objectname) %(path)", "HEAD").splitlines()
        )
        == told
    )


def test_branches_tags_and_pull_requests_are_refs(url: str, owner: Person, other: Person, git: Git) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"))
    owner.post(f"/api/models/{repo}/branch/dev")
    owner.post(f"/api/models/{repo}/tag/main", {"tag": "v1"})
    owner.commit(repo, file("b"), ref="dev")
    number = other.post(f"/api/models/{repo}/discussions", {"title": "Mine", "pullRequest": True}).json()["num"]
    assert other.commit(repo, file("c"), ref=f"refs%2Fpr%2F{number}").status_code == 200
    git("clone", "-q", "--branch", "dev", f"{url}/{repo}.git", "copy")
    copy = git.inside("copy")
    copy("fetch", "-q", "origin", f"refs/pr/{number}:proposed")
    assert copy("tag", "--list") == "v1"
    assert copy("ls-tree", "--name-only", "proposed").split() == [".gitattributes", "a", "c"]
    owner.post(f"/api/models/{repo}/discussions/{number}/status", {"status": "open"})
    assert owner.post(f"/api/models/{repo}/discussions/{number}/merge").status_code == 200
    copy("fetch", "-q")
    assert copy("rev-parse", "origin/main^2") == copy("rev-parse", "proposed")


def test_a_proposal_that_lies_of_its_tree_is_left_out_and_stops_nobody(
    node: Node, url: str, owner: Person, other: Person, git: Git
) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"))
    number = other.post(f"/api/models/{repo}/discussions", {"title": "Mine", "pullRequest": True}).json()["num"]
    shelf = Shelf(node)
    found = shelf.find(shelf.repo_id("model", "ke", "words"), None)
    fields = {"repo": found.id, "ref": f"refs/pr/{number}", "parent": found.find("main").leaf, "tree": "0" * 64, "title": "A lie"}
    node.say(everything(origin(node, "br")), Commit, to_builtins(fields))
    assert shelf.find(found.id, None).threads[number].head
    assert "refs/pr/" not in git("ls-remote", f"{url}/{repo}")
    git("clone", "-q", f"{url}/{repo}", "copy")


def test_a_shallow_clone_and_the_rest_of_it_later(url: str, owner: Person, git: Git) -> None:
    repo = owner.open(kind="dataset")
    for number in range(5):
        said = {"key": "header", "value": {"summary": f"Number {number}"}}
        body = "\n".join(map(json.dumps, (said, file(f"{number}"))))
        assert owner.ask("POST", f"/api/datasets/{repo}/commit/main", content=body.encode()).status_code == 200
    git("clone", "-q", "--depth", "2", f"{url}/datasets/{repo}", "copy")
    copy = git.inside("copy")
    assert len(copy("log", "--format=%s").split("\n")) == 2
    copy("fetch", "-q", "--unshallow")
    assert copy("log", "-5", "--format=%s").splitlines()[::4] == ["Number 4", "Number 0"]
    copy("fsck", "--strict")


def test_large_files_are_pointers_that_git_lfs_follows(url: str, owner: Person, git: Git) -> None:
    repo = owner.open()
    content = b"\0large" * 1000
    owner.commit(repo, owner.send(repo, content))
    assert f"1 are pointers to large files: git lfs pull, or hf download {repo}" in git(
        "clone", "--progress", f"{url}/{repo}", "copy"
    )
    pointer = (git.folder / "copy" / "large.bin").read_text()
    assert f"oid sha256:{sha256(content).hexdigest()}\nsize 6000\n" in pointer
    if shutil.which("git-lfs"):
        git.inside("copy")("lfs", "install", "--local")
        git.inside("copy")("lfs", "pull")
        assert (git.folder / "copy" / "large.bin").read_bytes() == content


def test_what_is_not_for_whoever_asks_is_asked_for_with_a_password(url: str, owner: Person, other: Person, git: Git) -> None:
    repo = owner.open("secret", private=True)
    owner.commit(repo, file("a"))
    for name in (repo, f"{owner.namespace}/never0"):
        assert "could not read Username" in git("clone", f"{url}/{name}", "x", fails=True)
        assert "not found" in git("clone", f"{signed(url, other)}/{name}", "x", fails=True)
    git("clone", "-q", f"{signed(url, owner)}/{repo}", "copy")
    assert (git.folder / "copy" / "a").exists()


def test_a_gated_repo_is_cloned_by_whom_it_is_given_to(url: str, owner: Person, other: Person, git: Git) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"))
    owner.put(f"/api/models/{repo}/settings", {"gated": "manual"})
    assert "remote: this repo is given to those who ask for it" in git("clone", f"{signed(url, other)}/{repo}", "x", fails=True)
    other.post(f"/{repo}/ask-access", {})
    owner.post(f"/api/models/{repo}/user-access-request/handle", {"user": "joana@br", "status": "accepted"})
    git("clone", "-q", f"{signed(url, other)}/{repo}", "copy")


def test_a_file_that_is_held_stops_the_clone_in_words(node: Node, url: str, owner: Person, git: Git) -> None:
    repo = owner.open()
    owner.commit(repo, file("a", b"harmful"))
    node.blobs.hold(sha256(b"harmful").hexdigest(), Hold(by="safety", reason="it harms", at=1))
    assert "fatal: remote error: " in (told := git("clone", f"{url}/{repo}", "x", fails=True))
    assert "it harms" in told
    assert not (git.folder / "x").exists()


def test_git_cannot_push_and_says_what_can(url: str, owner: Person, git: Git) -> None:
    repo = owner.open()
    owner.commit(repo, file("a"))
    git("clone", "-q", f"{signed(url, owner)}/{repo}", "copy")
    told = git.inside("copy")("push", "origin", "main", fails=True)
    assert "remote: Git clones and fetches, and cannot push" in told
    assert f"remote: To send files: hf upload {repo} FOLDER" in told
    assert owner.post(f"/{repo}/git-receive-pack").status_code == 501
    assert owner.get(f"/{repo}/info/refs").status_code == 501


def test_a_repo_that_is_empty_is_cloned_so(node: Node, url: str, git: Git) -> None:
    Shelf(node).open(everything(origin(node, "ke")), "space", "nothing-yet", private=False)
    assert "You appear to have cloned an empty repository" in git("clone", f"{url}/spaces/ke/nothing-yet", "copy")
