"""What the disk loses is found before anybody asks for it, comes again from who has it, and is told where nobody has."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concord.edges.peer import tries
from concord.edges.peer.source import Source
from concord.errors import ConcordError, DamagedError, MissingError
from concord.ledger.blobs import Hold, Tombstone
from concord.ledger.chunks import Chunks
from concord.node import Node
from concord.operations import courier as couriers
from concord.operations import scrub as scrubs
from concord.operations.courier import Courier
from concord.operations.garbage import collect
from concord.operations.scrub import DAY, scrub
from concord.pillars.commons import File, Repo
from concord.private import damages
from concord.private.damages import Damage, Round
from concord.shelf import Draft, Shelf
from concord.testing import Clock, CrashError, NodeSource, everything, states
from concord.testing.lines import Line

LARGE, OTHER, SMALL = os.urandom(700_000), os.urandom(200_000), b"words\n" * 500
CONTENTS = {"large": LARGE, "other": OTHER, "small": SMALL}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "PAUSE", 0.001)
    monkeypatch.setattr(couriers, "AGAIN", 0)


def go_on(_: float) -> bool:
    return False


class World:
    """A node whose member shares files, of which two lie in one xorb, and one that has all of them."""

    def __init__(self) -> None:
        self.clock = Clock(int(time.time()))
        self.owner = states.young(self.clock)
        self.me, self.shelf = everything(self.owner.holdings.hosted()[0]), Shelf(self.owner)
        self.repo = self.shelf.open(self.me, "model", "words", private=False)
        self.files = self.commit(self.repo)
        self.node = states.watching(self.owner, self.clock)
        self.line = Line(NodeSource(self.owner))
        self.sources: list[Source] = [self.line]
        self.courier = Courier(self.node, lambda _repo, _settings, _patience: self.sources)
        self.mine = Shelf(self.node)
        for file in self.files.values():
            self.courier.bring(self.repo, file)
        self.line.sent.clear()

    def commit(self, repo: Repo) -> dict[str, File]:
        """Let a repo have all files; the large ones come in one upload, so that one xorb has both."""
        files = {"small": self.shelf.keep(repo, "small", SMALL)}
        entries = self.owner.chunks.ingest([LARGE + OTHER], self.owner.clock())
        for name in ("large", "other"):
            digest, size = self.shelf.content.take([CONTENTS[name]], sha256(CONTENTS[name]).hexdigest(), 1 << 30)
            self.shelf.content.give(repo, [digest])
            files[name] = File(path=name, size=size, sha256=digest, xet=self.shelf.content.xet(digest))
        self.owner.chunks.remove(entries.hash)
        self.shelf.commit(self.me, repo, Draft("main", "Share", put=list(files.values())))
        return files

    def scrub(self, wait: Callable[[float], bool] = go_on) -> None:
        """Read all of it, as if it were due."""
        begin(self.node, 0)
        scrub(self.node, self.courier, wait)

    def read(self, name: str) -> bytes:
        """What the node has of a file, without asking anybody."""
        return b"".join(self.mine.content.read(self.repo, self.files[name].sha256))

    def sound(self) -> bool:
        return all(self.read(name) == content for name, content in CONTENTS.items())

    def xorb_of(self, name: str) -> Path:
        """The file of the first xorb of a file."""
        return self.node.chunks.open_xorb(self.node.chunks.xorbs_of(str(self.files[name].xet))[0])

    def blob(self) -> Path:
        return self.node.blobs.open(self.files["small"].sha256)


def begin(node: Node, begun: int) -> None:
    with node.private_writing() as db:
        damages.put_round(db, Round(begun))


def told(node: Node) -> list[Damage]:
    with node.private_reading() as db:
        return damages.everything(db)


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


@pytest.fixture
def world() -> World:
    return World()


# What is found, and comes again


def test_a_flipped_byte_is_mended_and_costs_its_chunk(world: World) -> None:
    flip(world.xorb_of("large"), 300_000)
    world.scrub()
    assert world.sound()
    assert 0 < world.line.sent["xorbs"] <= 2 * 131_080
    (found,) = told(world.node)
    assert found.kind == "xorb" and "chunk" in found.reason and found.mended == world.clock.now
    assert list(world.node.chunks.verify(deep=True)) == []
    before = dict(world.line.sent)
    world.scrub()
    assert (dict(world.line.sent), len(told(world.node))) == (before, 1)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(places=st.lists(st.integers(0, 2**31), min_size=1, max_size=3))
def test_wherever_bytes_flip_all_is_mended(world: World, places: list[int]) -> None:
    stored = [path for path in world.node.blobs.root.rglob("*") if path.is_file() and len(path.name) == 64]
    for place in places:
        path = sorted(stored)[place % len(stored)]
        flip(path, place % path.stat().st_size)
    world.scrub()
    assert world.sound()
    assert all(each.mended for each in told(world.node))
    collect(world.node, 7 * 3600)


@pytest.mark.parametrize("place", [-1, -200, 0], ids=["its sums", "its footer", "a chunk's header"])
def test_what_can_be_told_from_the_rest_needs_nobody(world: World, place: int) -> None:
    path = world.xorb_of("large")
    flip(path, place)
    world.sources.clear()
    world.scrub()
    (found,) = told(world.node)
    assert (found.mended is None) == (place == 0)
    if place:
        assert world.sound()


def test_a_xorb_that_is_gone_comes_again(world: World) -> None:
    world.xorb_of("large").unlink()
    world.scrub()
    assert world.sound()
    assert [each.mended for each in told(world.node)] == [world.clock.now]


def test_a_small_file_and_a_shard_come_again(world: World) -> None:
    flip(world.blob(), 100)
    entry = world.node.chunks.by_digest(world.files["other"].sha256)
    assert entry is not None
    flip(world.node.chunks.root / "shards" / entry.hash[:2] / entry.hash, 60)
    world.scrub()
    assert world.sound()
    assert {each.name for each in told(world.node) if each.mended} == {world.files[name].sha256 for name in ("small", "other")}
    assert world.line.sent.keys() == {"file"}, "a shard is written anew from the index"
    assert world.node.chunks.check_shard(entry.hash) == []


def test_bytes_that_somebody_removed_by_hand_come_again(world: World) -> None:
    world.blob().unlink()
    world.scrub()
    assert world.sound()


def test_the_owner_has_its_own_files_again_from_who_mirrors_them(world: World) -> None:
    xorb = world.owner.chunks.xorbs_of(str(world.files["large"].xet))[0]
    flip(world.owner.chunks.open_xorb(xorb), 1000)
    begin(world.owner, 0)
    scrub(world.owner, Courier(world.owner, lambda _repo, _settings, _patience: [NodeSource(world.node)]), go_on)
    assert b"".join(world.shelf.content.read(world.repo, world.files["large"].sha256)) == LARGE
    assert all(each.mended for each in told(world.owner))


# What is not


def test_what_nobody_has_is_told_and_not_served_and_costs_no_other_file(world: World) -> None:
    world.sources.clear()
    flip(world.xorb_of("large"), 300_000)
    world.scrub()
    (found,) = told(world.node)
    assert found.mended is None
    assert "large of ke/words: nobody who was asked has file" in str(found.why)
    assert "concord peer add" in str(found.why)
    with pytest.raises((DamagedError, MissingError)):
        world.read("large")
    assert (world.read("other"), world.read("small")) == (OTHER, SMALL)
    world.sources.append(world.line)
    scrub(world.node, world.courier, go_on)
    assert told(world.node)[0].mended is None, "it is tried once an hour"
    world.clock.now += 3600
    scrub(world.node, world.courier, go_on)
    assert world.sound()
    assert world.line.sent["xorbs"] <= 2 * 131_080
    assert told(world.node)[0].mended == world.clock.now


def test_one_changed_byte_costs_one_file_of_the_two_in_a_xorb() -> None:
    """Of the owner, whose two files do lie in one xorb, and which has no peer at all."""
    world = World()
    both = set(world.owner.chunks.xorbs_of(str(world.files["large"].xet))) & set(
        world.owner.chunks.xorbs_of(str(world.files["other"].xet))
    )
    (xorb,) = both
    flip(world.owner.chunks.open_xorb(xorb), 1000)
    begin(world.owner, 0)
    scrub(world.owner, Courier(world.owner, lambda _repo, _settings, _patience: []), go_on)
    assert b"".join(world.shelf.content.read(world.repo, world.files["other"].sha256)) == OTHER
    with pytest.raises(ConcordError):
        list(world.shelf.content.read(world.repo, world.files["large"].sha256))
    world.clock.now += 4 * DAY
    collect(world.owner, 72 * 3600)
    assert b"".join(world.shelf.content.read(world.repo, world.files["other"].sha256)) == OTHER


@pytest.mark.parametrize("why", ["private", "held", "erased"])
def test_what_may_not_be_asked_for_is_not(world: World, why: str) -> None:
    owner, asked = world.owner, NodeSource(world.node, lambda path: pytest.fail(f"asked for {path}"))
    secret = world.shelf.open(world.me, "model", "secret", private=True)
    file = world.shelf.keep(secret if why == "private" else world.repo, "secret", b"of ours alone")
    repo = world.shelf.find(secret.id if why == "private" else world.repo.id, world.me)
    world.shelf.commit(world.me, repo, Draft("main", "Begin", put=[file]))
    flip(owner.blobs.open(file.sha256), 3)
    if why == "held":
        owner.blobs.hold(file.sha256, Hold(by="tester", reason="under review", at=1))
    if why == "erased":
        owner.blobs.erase(file.sha256, Tombstone(by="tester", reason="by right", at=1, size=13))
    begin(owner, 0)
    scrub(owner, Courier(owner, lambda _repo, _settings, _patience: [asked]), go_on)
    words = [str(each.why) for each in told(owner)]
    match why:
        case "private":
            assert "secret of ke/secret: no peer has it, since the repo is not open" in words[0]
        case "held":
            assert "is held: under review" in words[0]
        case "erased":
            assert words == []


def test_what_no_commit_names_is_not_asked_for(world: World) -> None:
    digest = world.mine.content.keep(b"of an upload that was never committed")
    world.mine.content.give(world.repo, [digest])
    flip(world.node.blobs.open(digest), 3)
    world.scrub()
    assert "no commit here names it" in str(told(world.node)[0].why)
    assert not world.line.sent
    world.mine.content.drop(world.repo.root, [digest])
    world.clock.now += 3600
    world.scrub()
    assert told(world.node)[0].mended


# When, and how fast


def test_a_share_is_read_each_day_and_a_round_ends_after_all_were(world: World) -> None:
    node, looked = world.node, list[str]()
    sizes = {path.name: path.stat().st_size for path in node.blobs.root.rglob("*") if path.is_file() and len(path.name) == 64}
    node.settings = replace(node.settings, scrub_days=16)
    start = world.clock.now
    for day in range(16):
        world.clock.now = start + day * DAY
        scrub(node, world.courier, go_on)
        with node.private_reading() as db:
            reached = damages.last_round(db)
        assert reached is not None
        looked.append(reached.place[:1])
        due = [size for name, size in sizes.items() if int(name[:2], 16) <= 16 * day]
        assert reached.read <= sum(due)
    assert looked == sorted(looked)
    world.clock.now = start + 16 * DAY - 1
    scrub(node, world.courier, go_on)
    with node.private_reading() as db:
        ended = damages.last_round(db)
    assert ended == Round(start + 16 * DAY, ended=world.clock.now)
    scrub(node, world.courier, go_on)
    with node.private_reading() as db:
        assert damages.last_round(db) == ended, "the next round is not due yet"


def test_the_place_outlives_the_process_and_a_stop_is_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubs, "SAVED", 1)
    flip(world.xorb_of("large"), -300_000)
    steps = 0
    for left in range(1, 400):
        asked = iter([False] * left)
        scrub(world.node, world.courier, lambda _, asked=asked: next(asked, True))  # type: ignore[misc]
        with world.node.private_reading() as db:
            reached = damages.last_round(db)
        assert reached is not None
        if steps == 0:
            begin(world.node, 0)
        steps += 1
        if reached.ended is not None:
            break
    assert reached.ended is not None and steps > 3
    scrub(world.node, world.courier, go_on)
    assert world.sound()


def test_no_more_is_read_in_a_second_than_is_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, now = list[float](), [100.0]
    monkeypatch.setattr(scrubs.time, "monotonic", lambda: now[0])
    world.node.settings = replace(world.node.settings, scrub_rate=100_000)

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        now[0] += seconds
        return False

    world.scrub(wait)
    with world.node.private_reading() as db:
        assert damages.last_round(db)
    size = sum(path.stat().st_size for path in (world.node.chunks.root / "xorbs").rglob("*") if path.is_file())
    assert sum(waits) == pytest.approx(size / 100_000, rel=0.2)
    assert max(waits) < 3


@pytest.mark.parametrize(("window", "hour", "read"), [("22:00-06:00", 12, False), ("22:00-06:00", 23, True), ("", 12, True)])
def test_it_is_read_within_the_window_only(world: World, window: str, hour: int, *, read: bool) -> None:
    world.clock.now += -world.clock.now % DAY + hour * 3600
    world.node.settings = replace(world.node.settings, scrub_window=window)
    world.scrub()
    with world.node.private_reading() as db:
        reached = damages.last_round(db)
    assert reached is not None and (reached.ended is not None) == read


def test_never_means_that_nothing_is_read_and_what_is_missing_still_comes(world: World) -> None:
    world.node.settings = replace(world.node.settings, scrub_days=0)
    flip(world.xorb_of("other"), 1000)
    world.scrub()
    assert told(world.node) == []
    world.node.chunks.set_aside(world.xorb_of("other").name)
    world.scrub()
    assert world.sound()


# Cut off


class Cut(Chunks):
    """A chunk store whose machine goes down right after a xorb was set aside, or what is sound of it was kept."""

    def __init__(self, root: Path, behind: str) -> None:
        super().__init__(root)
        self.behind = behind

    def set_aside(self, name: str) -> None:
        super().set_aside(name)
        if self.behind == "set aside":
            raise CrashError

    def salvage(self, at: int) -> int:
        super().salvage(at)
        raise CrashError


@pytest.mark.parametrize("behind", ["set aside", "salvage"])
def test_whatever_cuts_it_off_the_next_run_mends(world: World, behind: str) -> None:
    flip(world.xorb_of("large"), 300_000)
    chunks, world.node.chunks = world.node.chunks, Cut(world.node.chunks.root, behind)
    with pytest.raises(CrashError):
        world.scrub()
    world.node.chunks = Chunks(chunks.root)
    scrub(world.node, world.courier, go_on)
    assert world.sound()
    assert all(each.mended for each in told(world.node))
