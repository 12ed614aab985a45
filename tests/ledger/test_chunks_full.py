"""The chunk store on a disk that becomes full on the way: what came stays good, and nothing is half there."""

from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concord.errors import StorageError
from concord.ledger.chunks import Chunks
from concord.ledger.chunks.coming import Incoming
from concord.ledger.chunks.rows import Row
from concord.testing import NOW
from concord.xet.chunker import cut
from concord.xet.hashes import chunk_hash, root_of, spell
from concord.xet.xorb import seal

ALL = 1 << 62  # bytes: more than any disk has
FULL = "the disk is full"


def stream(size: int, seed: str) -> bytes:
    return b"".join(sha256(b"%s/%d" % (seed.encode(), number)).digest() for number in range(-(-size // 32)))[:size]


A, B = stream(700_000, "a"), stream(700_000, "b")
PARTS = [bytes(part) for part in cut([A])]
NAME = spell(root_of((chunk_hash(part), len(part)) for part in PARTS))


class Disk:
    """A reserve that grows beyond the disk once it was asked for so often."""

    def __init__(self, asked: int) -> None:
        self.left = asked

    def reserve(self) -> int:
        self.left -= 1
        return 0 if self.left >= 0 else ALL


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("index.db")} - {"lock"}


def test_a_run_that_does_not_fit_keeps_what_came(tmp_path: Path) -> None:
    stored = seal(PARTS[0])
    row = Row(chunk_hash(PARTS[0]), 0, len(stored), len(PARTS[0]))
    disk = Disk(1)
    incoming = Incoming(
        tmp_path / "coming", lambda _number: row, lambda number: number == 0, Chunks(tmp_path / "chunks", disk.reserve).need
    )
    with incoming.run(0) as run:
        run.take(stored[:100])
        with pytest.raises(StorageError, match=FULL):
            run.take(stored[100:])
    assert incoming.begun == {0}
    disk.left = ALL
    with incoming.run(0) as run:
        assert run.waiting == 100
        assert run.take(stored[100:])
    assert incoming.stored(0) == stored


def test_what_an_earlier_process_received_is_kept_all_the_same(tmp_path: Path) -> None:
    left = tmp_path / "chunks" / "incoming" / "0.part.new"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"".join(map(seal, PARTS)))
    full = Chunks(tmp_path / "chunks", lambda: ALL)
    assert list(full.wanted((spell(chunk_hash(part)), len(part)) for part in PARTS)) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(asked=st.integers(0, 30), size=st.sampled_from([1, 3, 10_000]))
def test_wherever_the_disk_is_full_nothing_is_half_there_and_the_next_try_ends_well(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, asked: int, size: int
) -> None:
    monkeypatch.setattr("concord.ledger.chunks.disk.CHUNKS_MAX", size)  # xorbs land on the way, or at the end
    folder, disk = tmp_path_factory.mktemp("full"), Disk(asked)
    chunks = Chunks(folder, disk.reserve)

    def content() -> Iterator[bytes]:
        yield A
        yield B

    with suppress(StorageError):
        chunks.ingest(content(), NOW)
        assert disk.left >= 0
    came = chunks.entries()
    assert bool(came) == (disk.left >= 0)
    assert list(chunks.verify(deep=True)) == []
    assert files(folder / "incoming") == set()
    disk.left = ALL
    entry = chunks.ingest(content(), NOW)
    assert b"".join(chunks.read(entry.hash)) == A + B
