"""Receipts beside files: who downloads a repo can check it later with a policy and no node, and is told of whatever is not so."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from concord.errors import MissingError, RefusedError
from concord.home import open_home
from concord.ledger.identity import label
from concord.operations.receipts import Checked, check, places, save
from concord.pillars.commons import Revision
from concord.pillars.commons.receipt import FOLDER, LISTING, PROOF
from concord.pillars.commons.tree import git_oid
from concord.shelf import Draft, Shelf
from concord.testing.nodes import everything
from concord.testing.processes import copy_home
from concord.tlog import policy as policies

CONTENTS = {"README.md": b"---\nlicense: mit\n---\n", "model.py": b"x = 1\n", "deep/weights.bin": b"\0" * 3000, "empty": b""}


class Downloaded:
    """A repo that was downloaded to a plain folder, and to a cache as huggingface_hub lays it out."""

    def __init__(self, home: Path, place: Path) -> None:
        self.node = open_home(home)
        self.node.catch_up()
        self.shelf = Shelf(self.node)
        self.speaker = everything(self.node.holdings.hosted()[0])
        self.repo = self.shelf.open(self.speaker, "model", "words", private=False)
        self.first = self.commit({"README.md": b"first\n"})
        self.revision = self.commit(CONTENTS)
        self.policy = policies.parse(str(self.node.policy(self.speaker.origin)).encode())
        self.plain, self.cache = place / "plain", place / "hub"
        self.cached = self.cache / f"models--{label(self.speaker.origin)}--words"
        self.snapshot = self.cached / "snapshots" / self.revision.oid
        self._write()

    def commit(self, contents: dict[str, bytes]) -> Revision:
        files = [self.shelf.keep(self.repo, path, content) for path, content in contents.items()]
        done = self.shelf.commit(self.speaker, self.repo, Draft("main", "Add", put=files))
        self.repo = self.shelf.find(self.repo.id, self.speaker)
        self.node.cosign()
        return done

    def _write(self) -> None:
        for path, file in self.shelf.tree(self.repo, self.revision).items():
            blob = self.cached / "blobs" / git_oid(file)
            for target in (self.plain / path, blob, self.snapshot / path):
                target.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(CONTENTS[path])
            (self.plain / path).write_bytes(CONTENTS[path])
            (self.snapshot / path).symlink_to(os.path.relpath(blob, (self.snapshot / path).parent))
        save(self.node, self.repo, self.revision, self.plain, alone=True)
        save(self.node, self.repo, self.revision, self.cached)

    def check(self, target: Path | None = None) -> list[Checked]:
        return list(check(target or self.plain, lambda _: self.policy))

    def wrong(self, target: Path | None = None) -> str:
        return "\n".join(words for each in self.check(target) for words in each.wrong)


@pytest.fixture(scope="module")
def once(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Downloaded:
    place = tmp_path_factory.mktemp("receipts")
    return Downloaded(copy_home(founded, place / "home"), place)


@pytest.fixture
def downloaded(once: Downloaded, tmp_path: Path) -> Downloaded:
    """A copy of one's own of the two folders, to damage."""
    found = object.__new__(Downloaded)
    found.__dict__.update(once.__dict__)
    for name, path in (("plain", once.plain), ("cache", once.cache)):
        setattr(found, name, shutil.copytree(path, tmp_path / name, symlinks=True))
    found.cached = found.cache / once.cached.name
    found.snapshot = found.cached / "snapshots" / once.revision.oid
    return found


def test_what_was_downloaded_is_what_was_committed(once: Downloaded) -> None:
    for target in (once.plain, once.snapshot, once.cached, once.cache):
        (found,) = once.check(target)
        assert (found.wrong, found.oid) == ((), once.revision.oid)
        assert found.snapshot is not None
        assert found.snapshot.commit == once.revision.commit
        assert found.compared is not None
        assert (found.compared.good, found.compared.size) == (len(CONTENTS), sum(map(len, CONTENTS.values())))
        assert (found.compared.missing, found.compared.extra) == ((), ())
        assert policies.tally(found.snapshot.policy, found.snapshot.accepted) == (5, 5)


def test_the_policy_of_a_node_does_as_well(once: Downloaded) -> None:
    (found,) = check(once.plain, once.node.policy)
    assert found.wrong == ()


def test_a_part_of_a_repo_is_told_and_not_wrong(downloaded: Downloaded) -> None:
    (downloaded.plain / "model.py").unlink()
    (downloaded.plain / "notes.txt").write_text("mine")
    (downloaded.plain / ".cache" / "huggingface").mkdir(parents=True)
    (downloaded.plain / ".cache" / "huggingface" / "x.lock").touch()
    (found,) = downloaded.check()
    assert found.compared is not None
    assert (found.compared.missing, found.compared.extra, found.wrong) == (("model.py",), ("notes.txt",), ())


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b"x = 2\n"), "another SHA-256"),
        (lambda path: path.write_bytes(b"x = 1"), "has 5 bytes, and not 6"),
        (_sparse, "bytes, and not 6"),
        (_fifo, "no regular file"),
        (_loop, "cannot be found"),
        (_folder, "no regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "leads out of here"),
        (lambda path: (path.unlink(), path.symlink_to("nothing")), "leads nowhere"),
    ],
)
def test_a_file_that_is_something_else_is_named(damage: Callable[[Path], object], words: str, downloaded: Downloaded) -> None:
    damage(downloaded.plain / "model.py")
    (said,) = downloaded.check()[0].wrong
    assert said.startswith("model.py ")
    assert words in said


def test_a_file_is_read_through_a_link_only_within(downloaded: Downloaded) -> None:
    shutil.move(downloaded.plain / "deep", downloaded.plain.parent / "deep")
    (downloaded.plain / "deep").symlink_to(downloaded.plain.parent / "deep")
    assert downloaded.wrong() == "deep/weights.bin is a link that leads out of here"
    (downloaded.plain / "deep").unlink()
    shutil.move(downloaded.plain.parent / "deep", downloaded.plain / "elsewhere")
    (downloaded.plain / "deep").symlink_to("elsewhere")
    assert downloaded.wrong() == ""


@pytest.mark.parametrize(
    ("extra", "instead"),
    [
        ("readme.MD", "README.md"),
        ("DEEP", "deep"),
        ("model/__init__.py", "model.py"),
        ("__pycache__/model.cpython-313.pyc", "model.py"),
        ("model.abi3.so", "model.py"),
    ],
)
def test_an_extra_file_that_would_be_taken_for_a_listed_one_is_wrong(extra: str, instead: str, downloaded: Downloaded) -> None:
    (downloaded.plain / extra).parent.mkdir(exist_ok=True)
    (downloaded.plain / extra).touch()
    (said,) = downloaded.check()[0].wrong
    assert said.startswith(extra)
    assert instead in said


def test_names_that_are_no_text_are_extra_files_like_others(downloaded: Downloaded) -> None:
    with open(os.fsencode(downloaded.plain) + b"/\xff\x1b[2J\n", "wb"):  # noqa: PTH123  a name of bytes
        pass
    (found,) = downloaded.check()
    assert found.compared is not None
    assert found.wrong == ()
    assert found.compared.extra == ("\udcff\x1b[2J\n",)


def test_links_of_a_cache_lead_to_blobs_called_by_their_hashes(downloaded: Downloaded) -> None:
    link = downloaded.snapshot / "model.py"
    blob = link.resolve()
    other = blob.rename(blob.with_name("ab" * 20))
    link.unlink()
    link.symlink_to(os.path.relpath(other, link.parent))
    assert downloaded.wrong(downloaded.cache) == "model.py lies in the cache under the name of another file"
    link.unlink()
    outside = other.rename(downloaded.cache.parent / blob.name)
    link.symlink_to(outside)
    assert downloaded.wrong(downloaded.cache) == "model.py is a link that leads out of here"
    link.unlink()
    shutil.copy(outside, link)
    assert downloaded.wrong(downloaded.cache) == ""


def test_blobs_that_all_repos_of_a_cache_share_are_in_it(downloaded: Downloaded) -> None:
    link = downloaded.snapshot / "model.py"
    blob = link.resolve()
    shared = downloaded.cache / "blobs" / blob.name[:2] / blob.name
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    assert downloaded.wrong(downloaded.cache) == ""


def test_a_snapshot_in_a_cache_of_another_member_is_wrong(downloaded: Downloaded) -> None:
    downloaded.cached.rename(downloaded.cache / "models--example-br--words")
    assert "and the folder is called models--example-br--words" in downloaded.wrong(downloaded.cache)
    (downloaded.cache / "models--example-br--words").rename(downloaded.cache / "models--example-ke--renamed")
    assert downloaded.wrong(downloaded.cache) == ""


def test_repos_of_another_hub_in_a_cache_are_passed_over(downloaded: Downloaded) -> None:
    (downloaded.cache / "models--gpt2" / "snapshots" / ("ab" * 20)).mkdir(parents=True)
    (downloaded.cache / "models--others--x" / "snapshots" / ("ab" * 20)).mkdir(parents=True)
    strange = [each for each in downloaded.check(downloaded.cache) if each.snapshot is None]
    assert [each.folder.parents[1].name for each in strange] == ["models--others--x"]
    assert downloaded.wrong(downloaded.cache) == ""


def test_a_snapshot_whose_receipt_is_gone_is_wrong(downloaded: Downloaded) -> None:
    (downloaded.cached / FOLDER / (downloaded.revision.oid + LISTING)).unlink()
    assert "nothing proves what these files are" in downloaded.wrong(downloaded.cached)
    assert "nothing proves what these files are" in downloaded.wrong(downloaded.cache)


@pytest.mark.parametrize("target", ["nothing", "plain/README.md", "empty"])
def test_where_there_is_no_receipt_there_is_nothing_to_check(target: str, downloaded: Downloaded) -> None:
    (downloaded.plain.parent / "empty").mkdir()
    with pytest.raises(MissingError):
        places(downloaded.plain.parent / target)


def test_receipts_that_were_written_by_somebody_else_prove_nothing(downloaded: Downloaded) -> None:
    proof, tree = (downloaded.plain / FOLDER / (downloaded.revision.oid + end) for end in (PROOF, LISTING))
    good = proof.read_bytes(), tree.read_bytes()
    tree.write_bytes(good[1].replace(b'"size":6', b'"size":7'))
    assert "it has another digest" in downloaded.wrong()
    tree.write_bytes(good[1])
    proof.write_bytes(good[0].replace(b"index ", b"index 1"))
    assert downloaded.wrong() != ""
    proof.write_bytes(good[0].rpartition(b"\xe2\x80\x94")[0].rpartition(b"\xe2\x80\x94")[0])
    assert "do not make its quorum" in downloaded.wrong()
    _fifo(proof)
    assert "no regular file" in downloaded.wrong()


def test_the_receipt_of_another_commit_is_no_receipt(downloaded: Downloaded) -> None:
    save(downloaded.node, downloaded.repo, downloaded.first, downloaded.plain)
    notes = downloaded.plain / FOLDER
    for end in (PROOF, LISTING):
        (notes / (downloaded.first.oid + end)).rename(notes / (downloaded.revision.oid + end))
    assert downloaded.wrong() == f"the receipt is of the commit {downloaded.first.oid}, and not of {downloaded.revision.oid}"


def test_a_folder_has_the_receipt_of_what_is_in_it(downloaded: Downloaded) -> None:
    save(downloaded.node, downloaded.repo, downloaded.first, downloaded.plain)
    assert {each.oid for each in downloaded.check()} == {downloaded.first.oid, downloaded.revision.oid}
    save(downloaded.node, downloaded.repo, downloaded.revision, downloaded.plain, alone=True)
    assert [each.oid for each in downloaded.check()] == [downloaded.revision.oid]
    assert sorted(path.name for path in (downloaded.plain / FOLDER).iterdir()) == sorted(
        downloaded.revision.oid + end for end in (PROOF, LISTING)
    )


def test_what_is_private_has_no_receipt(once: Downloaded, tmp_path: Path) -> None:
    private = once.shelf.open(once.speaker, "model", "secret", private=True)
    done = once.shelf.commit(once.speaker, private, Draft("main", "Begin", put=[once.shelf.keep(private, "a", b"a")]))
    private = once.shelf.find(private.id, once.speaker)
    with pytest.raises(RefusedError, match="Publish the repo to have one"):
        save(once.node, private, done, tmp_path)
    assert list(tmp_path.iterdir()) == []


ROOT = Path(__file__).parents[2]
VERSIONS = sorted(path.stem.removeprefix("clients-") for path in (ROOT / "requirements").glob("clients-[0-9]*.txt"))
SCAN = """
import sys, warnings
from huggingface_hub import scan_cache_dir
warnings.simplefilter("error")
found = scan_cache_dir(sys.argv[1])
assert not found.warnings, found.warnings
(repo,) = found.repos
print(len(repo.revisions), repo.nb_files)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_find_nothing_odd_in_a_cache_with_receipts(version: str, once: Downloaded) -> None:
    python = ROOT / ".venv" / "clients" / version / "bin" / "python"
    if not python.exists():
        pytest.skip(f"huggingface_hub {version} is not prepared: say `make clients`")
    done = subprocess.run([python, "-c", SCAN, once.cache], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", str(len(CONTENTS))]
