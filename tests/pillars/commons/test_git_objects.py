"""A repo as git knows it: folders that steps make are those of the tree, and what is sent is what is not there yet."""

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MalformedError, MissingError, TooLargeError
from concord.pillars.commons import Changes, Commit, File, RepoId, Revision
from concord.pillars.commons import git as gits
from concord.pillars.commons.git import Objects, closure, contents, ordered
from concord.pillars.commons.tree import git_blob, git_folders, git_oid, grow

ORIGIN = f"ke.concord.alt/{'ab' * 16}"
PATHS = st.lists(st.sampled_from(["a", "b", "a.b", "a-", "é"]), min_size=1, max_size=3).map("/".join)
STEPS = st.lists(st.tuples(st.lists(st.tuples(PATHS, st.binary(max_size=2)), max_size=4), st.lists(PATHS, max_size=3)), max_size=6)


def file(path: str, content: bytes = b"x", *, large: bool = False) -> File:
    known = sha256(content).hexdigest()
    return File(path=path, size=len(content), sha256=known, oid=None if large else git_blob(content))


def revision(number: int, parent: int | None = None, merges: int | None = None, **more: Any) -> Revision:
    fields: dict[str, Any] = {"title": "A change", "person": "amina", "tree": "0" * 64, "ref": "main", "at": 1_700_000_000} | more
    leaves = {"parent": leaf(parent), "merges": leaf(merges)}
    return Revision(f"{number:064x}", number, Commit(by=ORIGIN, repo=RepoId(ORIGIN, "model", "words"), **fields, **leaves))


def leaf(number: int | None) -> str | None:
    return None if number is None else f"{number:064x}"


def put(*paths: str) -> Changes:
    return Changes(put=tuple(map(file, paths)))


@given(STEPS, st.booleans())
def test_folders_grown_step_by_step_are_those_of_the_tree(steps: list[Any], large: bool) -> None:  # noqa: FBT001  drawn
    objects, tree, root = Objects(), dict[str, File](), None
    for written, removed in steps:
        changes = Changes(put=tuple(file(path, content, large=large) for path, content in written), removed=tuple(removed))
        try:
            tree = grow(tree, changes.put, changes.removed)
        except MalformedError:
            continue
        root = objects.add_tree(root, changes)
        folders = git_folders(tree)
        assert root.hex() == folders[""]
        assert set(contents(objects, [root], set())) == {bytes.fromhex(oid) for oid in folders.values()} | {
            bytes.fromhex(git_oid(each)) for each in tree.values()
        }


def test_folders_that_are_not_at_hand_any_more_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gits, "OPEN_MAX", 0)
    objects = Objects()
    root = objects.add_tree(None, put("a/b", "a/c", "d"))
    root = objects.add_tree(root, put("a/e"))
    assert root.hex() == git_folders({path: file(path) for path in ("a/b", "a/c", "a/e", "d")})[""]


def test_a_commit_says_who_when_and_which_record() -> None:
    objects = Objects()
    first = objects.add(revision(1, title="One\0", message="And why.\n"), put("a"))
    second = objects.add(revision(2, parent=1), put("b"))
    assert objects.commits[first].decode() == (
        f"tree {objects.trees[first].hex()}\n"
        "author amina <amina@ke.concord.alt> 1700000000 +0000\n"
        "committer amina <amina@ke.concord.alt> 1700000000 +0000\n"
        f"\nOne\n\nAnd why.\n\nConcord-Commit: {1:064x}\n"
    )
    assert f"parent {first.hex()}\n" in objects.commits[second].decode()


def test_a_merge_follows_what_it_merges_and_a_squash_nothing() -> None:
    objects = Objects()
    first = objects.add(revision(1), put("a"))
    proposed = objects.add(revision(2, parent=1, ref="refs/pr/7"), put("b"))
    merge = objects.add(revision(3, parent=1, merges=2), put("b"))
    squash = objects.add(revision(4), put("a", "b"))
    assert objects.parents[merge] == (first, proposed)
    assert objects.trees[squash] == objects.trees[merge]
    assert closure(objects, [squash]) == {squash}
    assert closure(objects, [merge]) == {first, proposed, merge}
    assert closure(objects, [merge], frozenset([merge])) == {merge}
    with pytest.raises(MissingError, match="no commit abab"):
        closure(objects, [b"\xab" * 20])


def test_what_follows_comes_after_what_it_follows() -> None:
    revisions = [revision(1), revision(2, parent=1), revision(3, parent=1), revision(4, parent=2, merges=3), revision(5, parent=99)]
    repo: Any = SimpleNamespace(revisions={each.leaf: each for each in revisions})
    order = [each.index for each in ordered(repo, revisions[3].leaf, {})]
    assert sorted(order[1:3]) == [2, 3]
    assert (order[0], order[3]) == (1, 4)
    assert [each.index for each in ordered(repo, revisions[3].leaf, {revisions[1].leaf: 0, revisions[0].leaf: 0})] == [3, 4]
    assert [each.index for each in ordered(repo, revisions[4].leaf, {})] == [5]


def test_a_history_that_is_too_long_for_git_is_told() -> None:
    objects = Objects()
    objects.add(revision(1), put("a"), 100)
    with pytest.raises(TooLargeError, match="Use hf download"):
        objects.add(revision(2, parent=1), put("b"), 100)
