"""Real files, real processes, a real disk that is full, and a real kill -9."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from concord.errors import StorageError
from concord.ledger import keyring
from concord.ledger.conformance import storage_laws
from concord.ledger.holdings import Holdings
from concord.ledger.keyring import Keyring
from concord.ledger.log import Log
from concord.ledger.storage.database import open_database, writing
from concord.ledger.storage.files import Files
from concord.ledger.tree import Tree
from concord.private.tables import prepare, put
from concord.testing import make_member

Audit = Callable[[Tree], list[bytes]]  # the fixture of tests/conftest.py

KE = make_member("ke")


def begin(home: Path) -> Log:
    """The log of KE in `home`, with its identity, and the keys beside it."""
    log = Holdings(Files(home), Keyring(KE.keys.values())).begin(KE)
    keyring.save(home / "keys" / "ke", {"log": KE.keys["log"]})
    return log


def reopened(home: Path) -> Log:
    """The log as another process finds it."""
    return Holdings(Files(home), keyring.load(home / "keys")).log(KE.origin)


def strays(home: Path) -> list[Path]:
    """Temporary files that nobody cleared away."""
    return [path for path in home.rglob("*") if path.name.endswith(".new")]


def test_the_laws_of_storage_hold_in_a_folder_that_has_to_be_made(tmp_path: Path) -> None:
    storage_laws(lambda: Files(tmp_path / "a" / "b"))


def test_what_is_written_lies_where_its_name_says(tmp_path: Path) -> None:
    Files(tmp_path).write({"logs/x/tile/0/x001/x234/067": b"1", "charter": b"2"})
    assert (tmp_path / "logs/x/tile/0/x001/x234/067").read_bytes() == b"1"
    assert strays(tmp_path) == []
    Files(tmp_path).remove(["logs/x/tile/0/x001/x234/067"])
    assert not (tmp_path / "logs/x/tile/0/x001/x234").exists()


def test_a_half_written_file_of_a_crash_is_no_name(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.write({"a/b": b"1"})
    (tmp_path / "a" / ".c.1.2.3.new").write_bytes(b"half")
    assert list(files.names("a")) == ["a/b"]


# What may not be written


def test_a_home_that_cannot_be_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    files = Files(tmp_path / "file" / "home")
    assert files.read("a") is None
    assert list(files.names("a")) == []
    files.remove(["a"])
    with pytest.raises(StorageError, match=str(tmp_path)):
        files.write({"a": b"1"})
    with pytest.raises(StorageError, match=str(tmp_path)), files.lock("a"):
        pass
    with pytest.raises(StorageError):
        Holdings(files, Keyring(KE.keys.values())).begin(KE)


def test_a_folder_where_a_file_belongs_leaves_the_other_files_of_a_write_whole(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.write({"a": b"1", "b/c": b"2"})
    with pytest.raises(StorageError):
        files.write({"a": b"3", "b": b"4"})
    assert files.read("a") in (b"1", b"3")
    assert files.read("b/c") == b"2"
    assert strays(tmp_path) == []


# A disk that is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte, if this machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def leave(room: int, disk: Path) -> None:
    """Fill the disk until `room` pages are left."""
    free = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes((free.f_bavail - room) * free.f_bsize))


def test_a_full_disk_loses_nothing_acknowledged(small_disk: Path, audit: Audit) -> None:
    log = begin(small_disk)
    said: list[bytes] = []
    refused: list[str] = []
    for room in range(24):
        leave(room, small_disk)
        entry = b"%d " % room + bytes(9_000)
        try:
            log.append([entry])
            said.append(entry)
        except StorageError as e:
            refused.append(str(e))
        (small_disk / "ballast").unlink()
        assert strays(small_disk) == []
        log.append([b"small"])
        said.append(b"small")
        assert audit(reopened(small_disk).tree)[1:] == said
    assert 0 < len(refused) < 24
    assert all("the disk is full" in said_of_it for said_of_it in refused)


def test_a_full_disk_is_told_of_the_database_too(small_disk: Path) -> None:
    engine = open_database(small_disk / "node.db")
    prepare(engine)
    leave(0, small_disk)
    with pytest.raises(StorageError, match="the disk is full"), writing(engine) as db:
        put(db, "name", "x" * 200_000)
    (small_disk / "ballast").unlink()
    with writing(engine) as db:
        put(db, "name", "x" * 200_000)
    engine.dispose()


LIMITED = """
import resource, sys
from pathlib import Path
from concord.errors import StorageError
from concord.ledger import keyring
from concord.ledger.holdings import Holdings
from concord.ledger.storage.files import Files

home = Path(sys.argv[1])
log = Holdings(Files(home), keyring.load(home / "keys")).log(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
for number in range(12):
    try:
        log.append([b"%d " % number + bytes(3_000)])
        print(number)
    except StorageError as e:
        assert "the disk does not do what it should" in str(e), e
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append([b"12"])
print(12)
"""


def test_a_file_that_may_not_grow_loses_nothing_acknowledged(tmp_path: Path, audit: Audit) -> None:
    begin(tmp_path)
    with child(LIMITED, tmp_path) as writer:
        said = [int(line) for line in writer.stdout or []]
    assert writer.returncode == 0
    assert 0 < len(said) < 13
    assert [int(entry.split()[0]) for entry in audit(reopened(tmp_path).tree)[1:]] == said
    assert strays(tmp_path) == []


# Two processes, one log


def write_numbered(home: Path, name: str, places: "multiprocessing.Queue[tuple[str, int]]") -> None:
    log = reopened(home)
    for number in range(25):
        entries = [f"{name} {number} {part}".encode() for part in range(1 + number % 3)]
        for part, index in enumerate(log.append(entries)):
            places.put((f"{name} {number} {part}", index))


def test_processes_that_append_at_the_same_time_take_turns(tmp_path: Path, audit: Audit) -> None:
    begin(tmp_path)
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    writers = [context.Process(target=write_numbered, args=(tmp_path, name, places)) for name in ("one", "other")]
    for writer in writers:
        writer.start()
    total = 2 * sum(1 + number % 3 for number in range(25))
    given = {index: text.encode() for text, index in (places.get(timeout=60) for _ in range(total))}
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    entries = audit(reopened(tmp_path).tree)
    assert dict(enumerate(entries[1:], 1)) == given
    for name in (b"one", b"other"):
        mine = [entry for entry in entries if entry.startswith(name + b" ")]
        assert mine == sorted(mine, key=lambda entry: [int(part) for part in entry.split()[1:]])


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """Two storages stand for two processes: a file lock does not know that they share one."""
    inside: list[str] = []

    def work(files: Files) -> None:
        for _ in range(50):
            with files.lock("a/lock"):
                inside.append("in")
                inside.append("out")

    threads = [Thread(target=work, args=(files,)) for files in (Files(tmp_path), Files(tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert inside == ["in", "out"] * 300


def test_a_lock_stays_where_it_is_when_its_log_is_forgotten(tmp_path: Path) -> None:
    """Were its file removed, one process could wait at the old file while another goes through the new."""
    held = begin(tmp_path).tree
    for leave_ in (held.set_aside, held.forget):
        with held.lock():
            before = {path: path.stat().st_ino for path in tmp_path.rglob("lock")}
            leave_()
            assert {path: path.stat().st_ino for path in tmp_path.rglob("lock")} == before
            assert held.head is None


# kill -9

ENDLESS = """
import sys
from pathlib import Path
from concord.ledger import keyring
from concord.ledger.holdings import Holdings
from concord.ledger.storage.files import Files

home = Path(sys.argv[1])
log = Holdings(Files(home), keyring.load(home / "keys")).log(sys.argv[2])
size = log.tree.size
while True:
    indexes = log.append([b"entry %d" % number for number in range(size, size + 1 + size % 70)])
    print(indexes[0], indexes[-1], flush=True)
    size = log.tree.size
"""


def child(script: str, home: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join(part for part in sys.path if part)
    command = [sys.executable, "-c", script, str(home), KE.origin]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.parametrize("seed", range(12))
def test_what_a_killed_process_acknowledged_is_there(tmp_path: Path, seed: int, audit: Audit) -> None:
    begin(tmp_path)
    chance = Random(seed)
    acknowledged = 0
    with child(ENDLESS, tmp_path) as writer:
        assert writer.stdout is not None
        for _ in range(chance.randrange(1, 30)):
            first, last = map(int, writer.stdout.readline().split())
            assert first == acknowledged + 1
            acknowledged = last
        for _ in range(chance.randrange(200_000)):  # a moment within the commits that come next
            pass
        writer.kill()
    log = reopened(tmp_path)
    entries = audit(log.tree)
    assert len(entries) > acknowledged
    assert entries[1:] == [b"entry %d" % number for number in range(1, len(entries))]
    log.append([b"one more", b"and another"])
    assert audit(reopened(tmp_path).tree) == [*entries, b"one more", b"and another"]
