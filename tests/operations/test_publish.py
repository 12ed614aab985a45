"""Publishing: who may, and that whoever was slower is told."""

from pathlib import Path

import pytest

from concord.config import Settings
from concord.errors import RefusedError, StaleError, StorageError
from concord.operations.folder import Chosen
from concord.operations.front_matter import Words
from concord.operations.publish import publish
from concord.pillars.commons import RepoId
from concord.private.people import Speaker
from concord.shelf import Shelf
from concord.testing import make_member, make_node
from concord.testing.nodes import everything

KE, TN = make_member("ke"), make_member("tn")


def test_a_repo_is_published_by_its_own_member(tmp_path: Path) -> None:
    node = make_node([KE])
    shelf = Shelf(node)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    theirs = RepoId(owner=TN.origin, kind="model", name="words"), False
    with pytest.raises(RefusedError, match="whose log is not signed here"):
        publish(shelf, everything(KE.origin), theirs, tmp_path, Words())
    mine = RepoId(owner=KE.origin, kind="model", name="words"), False
    with pytest.raises(RefusedError):
        publish(shelf, Speaker("x", "X", KE.origin, frozenset()), mine, tmp_path, Words())


def test_who_was_slower_is_told(tmp_path: Path) -> None:
    node = make_node([KE])
    shelf, mine = Shelf(node), (RepoId(owner=KE.origin, kind="model", name="words"), False)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    publish(shelf, everything(KE.origin), mine, tmp_path, Words())
    (tmp_path / "a").write_text("a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("---\nlicense: mit\n---\nfaster")

    def meanwhile(path: str, _done: int, _all: int) -> None:
        if path == "a":
            publish(shelf, everything(KE.origin), mine, tmp_path / "other", Words())

    with pytest.raises(StaleError, match="main is at"):
        publish(shelf, everything(KE.origin), mine, tmp_path, Words(), Chosen(), meanwhile)


def test_large_files_leave_the_reserve_of_the_disk_and_nothing_is_said_of_them(tmp_path: Path) -> None:
    node = make_node([KE])
    shelf, mine = Shelf(node), (RepoId(owner=KE.origin, kind="model", name="words"), False)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "w.bin").write_bytes(bytes(range(256)) * 1000)
    node.settings = Settings(reserve_bytes=1 << 62)
    with pytest.raises(StorageError, match="reserve_bytes"):
        publish(shelf, everything(KE.origin), mine, tmp_path, Words())
    assert not [repo for repo in shelf.open_repos() if repo.branches]
    assert node.chunks.entries() == []
    node.settings = Settings()
    publish(shelf, everything(KE.origin), mine, tmp_path, Words())
    assert [repo.id.name for repo in shelf.open_repos() if repo.branches] == ["words"]
