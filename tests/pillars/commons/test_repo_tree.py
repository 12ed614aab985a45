"""Trees: whatever is put and removed in whatever steps gives the same tree, and a path that is a trick gives none."""

import subprocess
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MalformedError
from concord.pillars.commons.tree import (
    FILES_MAX,
    File,
    check_path,
    digest,
    folders,
    git_blob,
    git_folders,
    git_oid,
    grow,
    listing,
    parse_listing,
    pointer,
)

NAMES = st.sampled_from(["a", "b", "c", "README.md"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def file(path: str, content: bytes = b"x", *, large: bool = False) -> File:
    known = sha256(content).hexdigest()
    return File(path=path, size=len(content), sha256=known, oid=None if large else git_blob(content))


@given(st.lists(st.tuples(PATHS, st.binary(max_size=2)), max_size=8))
def test_steps_do_not_matter(steps: list[tuple[str, bytes]]) -> None:
    tree: dict[str, File] = {}
    for path, content in steps:
        clashes = path in folders(tree) or any(f"{path}/".startswith(f"{other}/") for other in tree if other != path)
        if clashes:
            with pytest.raises(MalformedError, match="a file and a folder at once"):
                grow(tree, [file(path, content)], [])
        else:
            tree = grow(tree, [file(path, content)], [])
    assert grow({}, tree.values(), []) == tree
    assert digest(grow({}, reversed(list(tree.values())), [])) == digest(tree)
    for path in list(tree):
        tree = grow(tree, [], [path])
    assert tree == {}


def test_a_folder_is_removed_with_all_that_is_below() -> None:
    tree = grow({}, map(file, ["data/a", "data/b/c", "data2", "x"]), [])
    assert set(grow(tree, [], ["data"])) == {"data2", "x"}
    assert set(grow(tree, [file("data")], ["data"])) == {"data", "data2", "x"}


@pytest.mark.parametrize("removed", ["nothing", "data/", "dat", ""])
def test_what_is_not_there_is_not_removed(removed: str) -> None:
    with pytest.raises(MalformedError, match="is removed, and is not there"):
        grow({"data/a": file("data/a")}, [], [removed])


def test_nothing_is_put_twice() -> None:
    with pytest.raises(MalformedError, match="put twice"):
        grow({}, [file("a"), file("a", b"other")], [])


@pytest.mark.parametrize(
    "path",
    ["", ".", "..",
     "/a", "a/", "a//b", "a/../b", "../a", "./a", "a/.", "a\0b", "a\nb", "a\x7f", "a\\b", "x" * 256, "a/" * 600 + "b",
     "e\u0301",
     "a\u202eb", "a\u200bb", "a\ud800", ".git/config", ".GIT", "\ufeffa"],
)  # fmt: skip
def test_a_path_with_tricks_is_none(path: str) -> None:
    with pytest.raises(MalformedError, match="is no path"):
        check_path(path)


def test_a_tree_has_as_many_files_and_folders_as_a_reader_has_room_for() -> None:
    many = [File(path=f"d{number % 7}/{number}", size=1, sha256="9f" * 32) for number in range(FILES_MAX + 1)]
    tree = grow({}, many[1:], [])
    with pytest.raises(MalformedError, match="make several repos"):
        grow(tree, many[:1], [])
    with pytest.raises(MalformedError, match="make several repos"):
        parse_listing(b"".join(listing({each.path: each for each in many})))
    deep = [File(path=f"{number}/{'a/' * 90}b", size=1, sha256="9f" * 32) for number in range(2300)]
    with pytest.raises(MalformedError, match=f"more than {FILES_MAX} folders"):
        grow({}, deep, [])
    with pytest.raises(MalformedError, match="parts deep"):
        check_path("a/" * 100 + "b")


def test_as_many_folders_are_removed_as_a_commit_can_name() -> None:
    """Each passes over the whole tree once if they are looked for one by one: half of these took ten minutes."""
    tree = grow({}, [File(path=f"{number}/a", size=1, sha256="9f" * 32) for number in range(100_000)], [])
    assert set(grow(tree, [], [f"{number}" for number in range(1, 100_000)])) == {"0/a"}


@given(st.lists(PATHS, max_size=8, unique=True), st.lists(PATHS, max_size=4))
def test_what_is_removed_is_gone_with_all_below_and_nothing_else(paths: list[str], removed: list[str]) -> None:
    tree = {path: file(path) for path in paths}
    left = dict(tree)
    for path in removed:
        gone = [path] if path in left else [each for each in left if each.startswith(f"{path}/")]
        if not gone:
            with pytest.raises(MalformedError, match="is not there"):
                grow(tree, [], removed)
            return
        left = {each: kept for each, kept in left.items() if each not in gone}
    assert grow(tree, [], removed) == left


@pytest.mark.parametrize("path", ["a", "a/b.c", ".gitattributes", "数据/模型.bin", "é", "a b", "-", "x" * 255, "emoji 🙂.txt"])
def test_a_path_that_clients_and_disks_take_is_one(path: str) -> None:
    assert check_path(path) == path


def test_hashes_are_those_of_git(tmp_path: Path) -> None:
    large = file("weights", b"w" * 100, large=True)
    for content, oid in ((b"", git_blob(b"")), (b"hello\n", git_blob(b"hello\n")), (pointer(large), git_oid(large))):
        (tmp_path / "f").write_bytes(content)
        done = subprocess.run(["git", "hash-object", tmp_path / "f"], capture_output=True, check=True, text=True)
        assert done.stdout.strip() == oid


def test_folders_have_the_hashes_that_git_gives_them(tmp_path: Path) -> None:
    """Git orders a folder as if its name ended with a slash: a-b, a.b, a/b, a0."""
    contents = {"a-b": b"1", "a.b": b"2", "a/b": b"3", "a/c/d": b"4", "a0": b"5", "z/é": b""}
    for path, content in contents.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    git = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    for words in (["init", "-q"], ["-c", "core.autocrlf=false", "add", "."]):
        git(["git", *words])
    written = git(["git", "write-tree"]).stdout.decode().strip()
    listed = git(["git", "-c", "core.quotePath=false", "ls-tree", "-r", "-d", "-t", written]).stdout.decode().splitlines()
    known = {line.split("\t")[1]: line.split()[2] for line in listed} | {"": written}
    assert git_folders({path: file(path, content) for path, content in contents.items()}) == known
