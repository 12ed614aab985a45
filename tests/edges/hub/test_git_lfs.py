"""git-lfs as people use it: a Git repository elsewhere, whose `lfs.url` says that its large files are kept here."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from concord.testing.processes import PATIENCE, Serving, copy_home, serve
from concord.testing.proxy import PoorLine
from concord.testing.terminal import run

pytestmark = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed on this machine")

SMALL = 120  # files: more than git-lfs asks after in one request
LARGE = 12 << 20  # bytes of one more
UNKNOWN = "hf_" + "a" * 40


@dataclass(frozen=True)
class Copy:
    """A working copy."""

    folder: Path
    env: dict[str, str]

    def git(self, *words: str | Path) -> str:
        """Run git, which is to do what it is told; all that it wrote."""
        done = self.tried(*words)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def tried(self, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run git, whatever comes of it."""
        return subprocess.run(
            self.line(*words),
            env=self.env | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def line(self, *words: str | Path) -> list[str]:
        return ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(self.folder), *map(str, words)]

    def keeps_at(self, url: str) -> None:
        """Let its large files be had at this address, as if nothing had been asked there before."""
        self.git("config", "--replace-all", "lfs.url", url)
        self.git("config", "--replace-all", f"lfs.{url}.access", "none")

    def names(self) -> set[str]:
        return {path.name for path in self.folder.glob("*.bin")}


@pytest.fixture(scope="module")
def home(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_home(founded, tmp_path_factory.mktemp("lfs") / "home")


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[Serving]:
    with serve(home, pull_every=0) as serving:
        yield serving


@pytest.fixture(scope="module")
def token(home: Path) -> str:
    return run("token", "create", home=home).out.strip()


@pytest.fixture(scope="module")
def source(node: Serving, token: str, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A working copy whose commit and large files are pushed: the one to a bare repository on the disk, the others here."""
    folder = tmp_path_factory.mktemp("git")
    env = {"HOME": str(folder), "PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    here = Copy(folder / "here", env)
    here.folder.mkdir()
    for words in (["init", "-q", "-b", "main"], ["lfs", "install", "--local"], ["lfs", "track", "*.bin"]):
        here.git(*words)
    (here.folder / "large.bin").write_bytes(os.urandom(LARGE))
    for number in range(SMALL):
        (here.folder / f"{number}.bin").write_bytes(os.urandom(2000))
    here.git("add", ".")
    here.git("commit", "-q", "-m", "Weights")
    here.git("init", "-q", "--bare", "-b", "main", folder / "bare.git")
    here.git("remote", "add", "origin", folder / "bare.git")
    for name, private in (("words", False), ("secret", True)):
        said = json.dumps({"name": f"example-ke/{name}", "private": private}).encode()
        assert node.request("POST", "/api/repos/create", said, {"Authorization": f"Bearer {token}"}).status == 200
    here.keeps_at(address(node.url, "secret", token))
    here.git("lfs", "push", "--all", "origin")
    here.keeps_at(address(node.url, "words", token))
    here.git("push", "-q", "origin", "main")
    return here


@pytest.fixture
def cloned(source: Copy, tmp_path: Path) -> Callable[[str], Copy]:
    """Clones that repository without its large files, which are at an address."""

    def cloned(url: str) -> Copy:
        source.git("clone", "-q", source.folder.parent / "bare.git", tmp_path / "there")
        copy = Copy(tmp_path / "there", source.env)
        copy.keeps_at(url)
        return copy

    return cloned


def address(url: str, name: str, token: str = "") -> str:
    """Where the large files of a repo are, for whoever holds a token, or for nobody in particular."""
    return f"{url.replace('://', f'://amina:{token}@') if token else url}/example-ke/{name}.git/info/lfs"


def same(one: Copy, other: Copy, names: set[str]) -> bool:
    return all((one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in names)


def test_many_files_and_a_large_one_are_had_and_are_whole(node: Serving, source: Copy, cloned: Callable[[str], Copy]) -> None:
    """By anybody: the repo is public. What was not pulled is a pointer, which git-lfs tells."""
    there = cloned(address(node.url, "words"))
    there.git("lfs", "pull", "-I", "1*.bin")
    some = {name for name in source.names() if name.startswith("1")}
    assert same(there, source, some)
    assert not same(there, source, {"2.bin"})
    there.git("lfs", "pull")
    assert same(there, source, source.names())
    assert len(source.names()) == SMALL + 1
    assert "Git LFS fsck OK" in there.git("lfs", "fsck")


def test_what_is_here_is_not_sent_again(node: Serving, source: Copy, token: str) -> None:
    with PoorLine(node.port) as line:
        source.keeps_at(address(line.url, "words", token))
        source.git("lfs", "push", "--all", "origin")
        assert line.bytes < 200_000


def test_a_download_goes_on_where_the_line_broke(node: Serving, source: Copy, cloned: Callable[[str], Copy]) -> None:
    with PoorLine(node.port, every=5_000_000) as line:
        there = cloned(address(line.url, "words"))
        there.git("lfs", "pull", "-I", "large.bin")
        assert line.resets > 0
        assert line.bytes < LARGE + 1_000_000
    assert same(there, source, {"large.bin"})


def test_a_download_that_was_given_up_goes_on_the_next_time(node: Serving, source: Copy, cloned: Callable[[str], Copy]) -> None:
    with PoorLine(node.port, every=3_000_000) as line:
        there = cloned(address(line.url, "words"))
        there.git("config", "lfs.transfer.maxretries", "1")
        statuses = [there.tried("lfs", "pull", "-I", "large.bin").returncode]
        while statuses[-1] and len(statuses) < 10:
            statuses.append(there.tried("lfs", "pull", "-I", "large.bin").returncode)
        assert statuses[0] == 2
        assert statuses[-1] == 0
        assert line.bytes < LARGE + 1_000_000
    assert same(there, source, {"large.bin"})


def test_tokens_that_are_not_good_for_it_are_told(
    node: Serving, home: Path, source: Copy, cloned: Callable[[str], Copy], token: str
) -> None:
    reading = run("token", "create", "--scope", "read", home=home).out.strip()
    there = cloned(address(node.url, "words", UNKNOWN))
    tried = there.tried("lfs", "pull", "-I", "1.bin")
    assert tried.returncode == 2
    assert "Authentication required: this token is not valid here, or has expired" in tried.stdout
    there.keeps_at(address(node.url, "words", reading))
    there.git("lfs", "pull", "-I", "1.bin")
    assert same(there, source, {"1.bin"})
    (there.folder / "new.bin").write_bytes(b"new")
    there.git("add", ".")
    there.git("commit", "-q", "-m", "New")
    tried = there.tried("lfs", "push", "origin", "main")
    assert tried.returncode == 2
    assert "this needs the role publisher, and a token that extends to it" in tried.stdout
    there.keeps_at(address(node.url, "words", UNKNOWN))
    assert there.tried("lfs", "push", "origin", "main").returncode == 2
    there.keeps_at(address(node.url, "words", token))
    there.git("lfs", "push", "origin", "main")


def test_a_private_repo_is_had_by_its_member_alone(
    node: Serving, home: Path, source: Copy, cloned: Callable[[str], Copy], token: str
) -> None:
    there = cloned(address(node.url, "secret", token))
    there.git("lfs", "pull", "-I", "1.bin")
    assert same(there, source, {"1.bin"})
    foreign = next(origin for origin in node.logs() if not origin.startswith("example-ke"))
    run("person", "add", "joana", "--name", "Joana", "--role", "publisher", "--member", foreign, home=home)
    stranger = run("token", "create", "--person", "joana", home=home).out.strip()
    for name in ("secret", "never"):
        there.keeps_at(address(node.url, name, stranger))
        tried = there.tried("lfs", "pull", "-I", "2.bin")
        assert tried.returncode == 2
        assert f"there is no model example-ke/{name} here, or none that you may see" in tried.stdout


def test_whoever_is_not_signed_in_is_asked_who_it_is(
    node: Serving, source: Copy, cloned: Callable[[str], Copy], token: str, tmp_path: Path
) -> None:
    """git-lfs says a token that git keeps for it only where it is asked to; of a repo that never was, just the same."""
    asked = tmp_path / "ask"
    asked.write_text(f"#!/bin/sh\necho {token}\n")
    asked.chmod(0o700)
    there = cloned(address(node.url, "secret"))
    tried = there.tried("lfs", "pull", "-I", "1.bin")
    assert tried.returncode == 2
    assert "could not read Username" in tried.stdout
    there.keeps_at(address(node.url, "secret"))
    assert there.tried("lfs", "pull", "-I", "1.bin", GIT_ASKPASS=str(asked)).returncode == 0
    assert same(there, source, {"1.bin"})
    there.keeps_at(address(node.url, "never"))
    assert "could not read Username" in there.tried("lfs", "pull", "-I", "2.bin").stdout
