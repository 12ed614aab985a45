"""Our own log: what was acknowledged is there, whatever goes down, fills up or comes at the same time."""

from collections.abc import Callable, Iterator
from itertools import count
from threading import Barrier, Thread

import pytest
from msgspec.structs import replace

from concord.errors import MissingError, RefusedError, StorageError, TooLargeError
from concord.ledger.holdings import Holdings
from concord.ledger.keyring import Keyring, PrivateKey
from concord.ledger.log import Log
from concord.ledger.record import ENCODER, seal
from concord.ledger.tree import Tree
from concord.testing import CrashError, MemoryStorage, bytes_from, make_member
from concord.tlog import checkpoint as checkpoints
from concord.tlog.ed25519 import public_key
from concord.tlog.note import ED25519
from concord.tlog.tile import ENTRY_SIZE_MAX

Audit = Callable[[Tree], list[bytes]]  # the fixture of tests/conftest.py

KE = make_member("ke")
NEW_KEY = PrivateKey(KE.origin, ED25519, bytes_from("a new log key")(32))


def open_log(storage: MemoryStorage) -> Log:
    """The log of KE, as a process that has just started finds it."""
    return holdings(storage).log(KE.origin)


def holdings(storage: MemoryStorage) -> Holdings:
    return Holdings(storage, Keyring((*KE.keys.values(), NEW_KEY)))


def numbered(start: int, stop: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, stop)]


def begun(size: int) -> MemoryStorage:
    """A storage with a log of `size` entries, of which the first is the identity."""
    storage = MemoryStorage()
    log = holdings(storage).begin(KE)
    if size > 1:
        log.append(numbered(1, size))
    return storage


def rotation() -> bytes:
    """The identity that adds a new log key, as an entry."""
    said = replace(KE.identity, number=1, log=(*KE.identity.log, public_key(NEW_KEY.seed).hex()))
    return ENCODER.encode(seal(said, [KE.keys["root-1"].seed, KE.keys["root-2"].seed]))


# In good weather


@pytest.mark.parametrize("pieces", [[1], [254], [255], [256], [255, 1, 1], [1] * 20, [300, 300], [511, 1, 256], [70_000]])
def test_a_log_grows_and_verifies_from_its_entries_up(pieces: list[int], audit: Audit) -> None:
    storage = begun(1)
    log, size = open_log(storage), 1
    for piece in pieces:
        assert log.append(numbered(size, size + piece)) == range(size, size + piece)
        size += piece
    assert audit(log.tree) == [ENCODER.encode(KE.identity), *numbered(1, size)]


def test_of_partial_tiles_only_those_of_the_published_size_are_kept() -> None:
    storage = begun(1)
    log = open_log(storage)
    for size in range(2, 600):
        log.append(numbered(size - 1, size))
        partial = {name.rpartition("/")[2] for name in storage.files if ".p/" in name}
        assert partial <= {str(size % 256), str(size // 256)}


def test_the_log_starts_anew_from_what_is_stored(audit: Audit) -> None:
    storage = begun(1)
    for size in range(2, 40):
        open_log(storage).append(numbered(size - 1, size))
    assert audit(open_log(storage).tree)[1:] == numbered(1, 39)


def test_another_log_of_the_same_storage_is_seen_to_have_grown(audit: Audit) -> None:
    storage = begun(1)
    one, other = open_log(storage), open_log(storage)
    for size in range(1, 20):
        (one, other)[size % 2].append(numbered(size, size + 1))
    assert audit(one.tree) == audit(other.tree) == [ENCODER.encode(KE.identity), *numbered(1, 20)]


def test_no_entries_are_no_growth_and_no_new_checkpoint(audit: Audit) -> None:
    log = open_log(begun(3))
    cosigned = log.tree.head
    assert log.append([]) == range(3, 3)
    assert log.tree.head is cosigned
    assert len(audit(log.tree)) == 3


def test_an_entry_over_the_limit_is_refused_and_one_at_the_limit_is_not(audit: Audit) -> None:
    log = open_log(begun(1))
    with pytest.raises(TooLargeError):
        log.append([b"fits", b"x" * (ENTRY_SIZE_MAX + 1)])
    log.append([b"x" * ENTRY_SIZE_MAX, b""])
    assert len(audit(log.tree)) == 3


def test_a_paused_log_signs_nothing_and_says_why(audit: Audit) -> None:
    log = open_log(begun(1))
    log.pause("we were restored from a backup")
    with pytest.raises(RefusedError, match="restored from a backup"):
        log.append([b"entry"])
    assert log.paused == "we were restored from a backup"
    log.pause(None)
    log.append([b"entry"])
    assert len(audit(log.tree)) == 2


def test_a_log_whose_key_is_elsewhere_is_not_ours() -> None:
    stranger = Holdings(begun(3), Keyring())
    assert stranger.hosted() == []
    assert stranger.origins() == [KE.origin]
    with pytest.raises(MissingError, match="not a log that this node signs"):
        stranger.log(KE.origin)


def test_a_key_that_left_the_keyring_signs_no_more(audit: Audit) -> None:
    storage = begun(1)
    held = holdings(storage)
    log = held.log(KE.origin)
    held.keyring = Keyring()
    with pytest.raises(RefusedError, match="no key that may sign"):
        log.append([b"entry"])
    assert len(audit(log.tree)) == 1


def test_after_a_change_of_keys_the_newest_key_signs(audit: Audit) -> None:
    held = holdings(begun(3))
    log = held.log(KE.origin)
    log.append([rotation()])
    log.append([b"entry"])
    assert log.tree.head is not None
    assert checkpoints.open_note(log.tree.head.note, (NEW_KEY.public,)).size == 5
    assert len(audit(log.tree)) == 5


# When the machine goes down


def crash_points(storage: MemoryStorage, act: Callable[[MemoryStorage], object]) -> Iterator[MemoryStorage]:
    """The storage as it is after each crash that can happen while `act` writes: before, between and after its files."""
    writes: list[int] = []
    watched = MemoryStorage(storage.backup())
    watched.crash = lambda names: writes.append(len(names))
    act(watched)
    for number, files in enumerate(writes):
        for landed in range(files + 1):
            turn = count()
            crashing = MemoryStorage(storage.backup())
            crashing.crash = lambda _, turn=turn, number=number, landed=landed: landed if next(turn) == number else None
            with pytest.raises(CrashError):
                act(crashing)
            yield MemoryStorage(crashing.backup())


@pytest.mark.parametrize("size", [1, 2, 254, 255, 256, 300, 511, 512])
@pytest.mark.parametrize("more", [1, 2, 256, 600])
def test_a_crash_at_any_step_loses_nothing_acknowledged(size: int, more: int, audit: Audit) -> None:
    before = begun(size)
    acknowledged = audit(Tree(before, KE.origin))
    points = 0
    for after in crash_points(before, lambda storage: open_log(storage).append(numbered(size, size + more))):
        found = audit(Tree(after, KE.origin))
        assert found in (acknowledged, [*acknowledged, *numbered(size, size + more)])
        open_log(after).append([b"one more", b"and another"])
        assert audit(Tree(after, KE.origin)) == [*found, b"one more", b"and another"]
        points += 1
    assert points >= 5


def test_a_crash_while_the_keys_change_leaves_the_old_keys_or_the_new(audit: Audit) -> None:
    before = begun(3)
    for after in crash_points(before, lambda storage: open_log(storage).append([b"a", rotation()])):
        found = audit(Tree(after, KE.origin))
        assert found[3:] in ([], [b"a", rotation()])
        open_log(after).append([b"one more", b"and another"])
        assert audit(Tree(after, KE.origin)) == [*found, b"one more", b"and another"]
        open_log(after).append([rotation()])
        audit(Tree(after, KE.origin))


def test_a_crash_while_a_log_begins_lets_it_begin_again(audit: Audit) -> None:
    for after in crash_points(MemoryStorage(), lambda storage: holdings(storage).begin(KE)):
        if Tree(after, KE.origin).size == 0:
            holdings(after).begin(KE)
        assert audit(Tree(after, KE.origin))[0] == ENCODER.encode(KE.identity)
        open_log(after).append([b"one more"])
        assert audit(Tree(after, KE.origin))[1:] == [b"one more"]


def test_what_was_removed_and_comes_back_after_a_crash_does_no_harm(audit: Audit) -> None:
    """Removing is not durable before the next write."""
    storage = begun(1)
    for size in (2, 200, 256, 300, 512, 513):
        before = storage.backup()
        log = open_log(storage)
        log.append(numbered(log.tree.size, size))
        storage = MemoryStorage(before | storage.backup())
        assert len(audit(Tree(storage, KE.origin))) == size


# When the disk is full


def used(storage: MemoryStorage) -> int:
    return sum(map(len, storage.files.values()))


@pytest.mark.parametrize(("size", "more"), [(1, 1), (255, 2), (300, 300)])
def test_a_disk_that_is_full_at_any_point_loses_nothing(size: int, more: int, audit: Audit) -> None:
    before = begun(size)
    acknowledged = audit(Tree(before, KE.origin))
    grown = MemoryStorage(before.backup())
    open_log(grown).append(numbered(size, size + more))
    outcomes = set()
    for room in range(used(before), used(before) + 2 * used(grown), 97 if more < 100 else 1021):
        storage = MemoryStorage(before.backup(), room)
        log = open_log(storage)
        try:
            log.append(numbered(size, size + more))
            expected = [*acknowledged, *numbered(size, size + more)]
        except StorageError as e:
            outcomes.add(str(e))
            expected = acknowledged
        assert audit(log.tree) == expected
        storage.room = None
        log.append([b"one more"])
        assert audit(log.tree) == [*expected, b"one more"]
    assert len(outcomes) == 1
    assert "the disk is full" in outcomes.pop()


# When many come at the same time


def run(threads: list[Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_threads_share_commits_and_each_gets_its_own_place(audit: Audit) -> None:
    held = holdings(begun(1))
    signed: list[int] = []

    def sign(checkpoint: checkpoints.Checkpoint) -> checkpoints.Note:
        signed.append(checkpoint.size)
        return checkpoints.sign(checkpoint, KE.keys["log"].seed)

    log = Log(held.tree(KE.origin), sign)
    given: dict[int, bytes] = {}
    together = Barrier(64)

    def write(name: int) -> None:
        together.wait()
        for number in range(10):
            entries = [b"%d %d %d" % (name, number, part) for part in range(1 + number % 3)]
            for index, entry in zip(log.append(entries), entries, strict=True):
                assert index not in given
                given[index] = entry

    run([Thread(target=write, args=(name,)) for name in range(64)])
    entries = audit(log.tree)
    assert given == dict(enumerate(entries[1:], 1))
    assert len(entries) == 1 + 64 * 19
    assert signed == sorted(set(signed))
    assert len(signed) < 640 / 4


def test_a_full_disk_is_told_to_everybody_who_waits_and_to_nobody_else(audit: Audit) -> None:
    storage = begun(1)
    storage.room = used(storage) + 8_000
    log = open_log(storage)
    outcomes: list[tuple[bytes, bool]] = []

    def write(name: int) -> None:
        for number in range(20):
            entry = b"%d %d " % (name, number) + b"x" * 40
            try:
                log.append([entry])
                outcomes.append((entry, True))
            except StorageError:
                outcomes.append((entry, False))

    run([Thread(target=write, args=(name,)) for name in range(16)])
    storage.room = None
    log.append([b"one more"])
    entries = audit(log.tree)
    assert sorted(entries[1:-1]) == sorted(entry for entry, stands in outcomes if stands)
    assert {stands for _, stands in outcomes} == {True, False}
