"""Which files of others a node keeps: what is fetched ahead, at whose rate and hours, and what goes when there is too much."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

import pytest

from concord.edges.peer import tries
from concord.edges.peer.pull import pull
from concord.errors import BusyError, ForgedError, MissingError
from concord.ledger.blobs import Hold
from concord.operations import courier as couriers
from concord.operations import keeping
from concord.operations.courier import Courier
from concord.operations.keeping import evict, keep, prefetch, sweep
from concord.pillars.commons import File, Repo
from concord.private import kept, peers
from concord.shelf import Draft, Shelf
from concord.testing import NOW, Clock, NodeSource, everything, states
from concord.testing import lines as lines_
from concord.testing.storage import Crash, CrashError, CrashingBlobs

SIZE = 200_000
DAY = 86_400


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "PAUSE", 0.001)
    monkeypatch.setattr(couriers, "AGAIN", 0)


class World:
    """A node whose members share repos, and one that has its logs."""

    def __init__(self) -> None:
        self.clock = Clock(int(time.time()))
        self.other = states.young(self.clock)
        self.shelf = Shelf(self.other)
        self.files: dict[str, tuple[Repo, File]] = {}
        for member, name in (("ke", "words"), ("ke", "voices"), ("br", "seeds")):
            for size in (SIZE, 1000):
                self.share(member, name, size)
        self.node = states.watching(self.other, self.clock)
        self.line = lines_.Line(NodeSource(self.other))
        self.courier = Courier(self.node, lambda _repo, _settings, _patience: [self.line])
        self.mine = Shelf(self.node, self.courier)

    def share(self, member: str, name: str, size: int, content: bytes | None = None) -> None:
        origin = next(each for each in self.other.holdings.hosted() if each.startswith(f"{member}."))
        known = [each for each in self.shelf.listed(None, origin) if each.name == name]
        me = everything(origin)
        repo = self.shelf.find(known[0], me) if known else self.shelf.open(me, "model", name, private=False)
        content = content or os.urandom(size)
        if size < SIZE:
            file = self.shelf.keep(repo, "small", content)
        else:
            digest, _ = self.shelf.content.take([content], sha256(content).hexdigest(), size)
            self.shelf.content.give(repo, [digest])
            file = File(path="large", size=size, sha256=digest, xet=self.shelf.content.xet(digest))
        self.shelf.commit(me, repo, Draft("main", "Share", put=[file]))
        self.files[f"{member}/{name}/{file.path}"] = (repo, file)

    def change(self, **settings: object) -> None:
        self.node.settings = replace(self.node.settings, **settings)

    def here(self) -> set[str]:
        return {name for name, (repo, file) in self.files.items() if self.mine.have(repo, file)}

    def read(self, name: str) -> None:
        repo, file = self.files[name]
        assert len(b"".join(self.mine.read(repo, file))) == file.size
        self.courier.wait()
        self.clock.now += 100


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("policy", "most", "came"),
    [
        ("demand", 0, set()),
        ("", 0, set()),
        ("ke", 0, {"ke/words/large", "ke/words/small", "ke/voices/large", "ke/voices/small"}),
        ("ke/words, br", 0, {"ke/words/large", "ke/words/small", "br/seeds/large", "br/seeds/small"}),
        ("all", SIZE - 1, {"ke/words/small", "ke/voices/small", "br/seeds/small"}),
        ("words", 0, set()),
    ],
)
def test_what_the_settings_name_comes_without_being_asked_for(world: World, policy: str, most: int, came: set[str]) -> None:
    world.change(keep=policy, keep_bytes=most)
    keep(world.node, world.courier)
    assert world.here() == came
    before = sum(world.line.sent.values())
    keep(world.node, world.courier)
    assert sum(world.line.sent.values()) == before


def test_what_comes_ahead_never_pushes_out_what_is_there(world: World) -> None:
    world.change(keep="all", content_bytes=SIZE + 2500)
    keep(world.node, world.courier)
    assert len(world.here()) == 3
    with world.node.private_reading() as db:
        assert kept.total(db) <= SIZE + 2500
    assert evict(world.node).files == 0


def test_what_was_read_longest_ago_goes_first(world: World) -> None:
    names = ["ke/words/large", "ke/voices/large", "br/seeds/large", "br/seeds/small"]
    for name in names:
        world.read(name)
    world.read(names[0])
    world.change(content_bytes=SIZE + 1000)
    done = evict(world.node)
    assert (done.files, done.size) == (2, 2 * SIZE)
    assert world.here() == {names[0], names[3]}
    world.change(content_bytes=0)
    _, file = world.files[names[3]]
    world.node.blobs.hold(file.sha256, Hold(by="tester", reason="under review", at=NOW))
    assert evict(world.node).files == 1
    assert world.node.blobs.have(file.sha256)
    live = {entry.hash for entry in [world.node.chunks.by_digest(each.sha256) for _, each in world.files.values()] if entry}
    world.node.chunks.gc(live - live, (), world.clock.now + DAY)
    assert not list((world.node.chunks.root / "xorbs").glob("??/*"))


def test_what_was_dropped_is_had_again(world: World) -> None:
    for name in ("ke/words/large", "ke/words/small"):
        world.read(name)
    world.change(content_bytes=0)
    world.clock.now += DAY
    assert evict(world.node).files == 2
    assert world.here() == set()
    assert list(world.node.blobs.digests()) == []
    world.change(content_bytes=1 << 30)
    for name in ("ke/words/large", "ke/words/small"):
        world.read(name)
    assert world.here() == {"ke/words/large", "ke/words/small"}


@pytest.mark.parametrize("step", range(5))
def test_whatever_cuts_it_off_nothing_is_noted_as_here_that_was_dropped(step: int, world: World) -> None:
    for name in ("ke/words/large", "ke/words/small"):
        world.read(name)
    world.change(content_bytes=0)
    world.clock.now += DAY
    crash = Crash(step)
    blobs, world.node.blobs = world.node.blobs, CrashingBlobs(world.node.blobs.root, crash)
    with suppress(CrashError):
        evict(world.node)
    assert crash.left == (-1 if step < 4 else 0)
    world.node.blobs = blobs
    assert world.mine.content.gone() == []
    evict(world.node)
    assert (world.here(), world.mine.content.gone()) == (set(), [])
    with world.node.private_reading() as db:
        assert kept.total(db) == 0


def test_bytes_that_somebody_is_about_to_be_given_stay(world: World) -> None:
    world.read("ke/words/small")
    repo, file = world.files["ke/words/small"]
    content = b"".join(world.mine.read(repo, file))
    world.clock.now += DAY
    assert world.mine.content.keep(content) == file.sha256  # a commit to another repo, which has not said so yet
    world.change(content_bytes=0)
    assert evict(world.node).files == 1
    other, _ = world.files["br/seeds/small"]
    world.mine.content.give(other, [file.sha256])
    assert b"".join(world.mine.content.read(other, file.sha256)) == content


def test_what_is_larger_than_all_that_is_kept_is_not_fetched(world: World) -> None:
    world.change(content_bytes=SIZE - 1)
    repo, file = world.files["ke/words/large"]
    with pytest.raises(MissingError, match="larger than all"):
        world.mine.read(repo, file)
    assert not world.line.sent


def test_files_of_our_own_members_are_never_dropped(world: World) -> None:
    repo, file = world.files["ke/words/large"]
    world.other.settings = replace(world.other.settings, content_bytes=0)
    assert evict(world.other).files == 0
    assert world.shelf.have(repo, file)


def test_what_nobody_went_on_with_for_a_week_is_swept_away(world: World) -> None:
    repo, file = world.files["ke/words/large"]
    world.courier.peek(repo, file, 0, 10)
    (folder,) = [path for path in (world.node.chunks.root / "coming").iterdir() if path.is_dir()]
    sweep(world.node)
    assert folder.exists()
    old = time.time() - keeping.UNFINISHED - 10
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (old, old))
    sweep(world.node)
    assert not folder.exists()


def test_it_stops_when_it_is_told_to(world: World) -> None:
    world.change(keep="all")
    assert prefetch(world.node, world.courier, lambda: True) == 0
    assert world.here() == set()


# Repos with the same file


@pytest.mark.parametrize("size", [SIZE, 1000])
def test_two_repos_that_have_the_same_file_are_each_given_it(world: World, size: int) -> None:
    content = os.urandom(size)
    for member, name in (("ke", "words"), ("br", "seeds")):
        world.share(member, name, size, content)
    pull(world.node, NodeSource(world.other))
    world.line.slow(0.02)
    names = [f"{repo}/{'large' if size == SIZE else 'small'}" for repo in ("ke/words", "br/seeds")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: world.courier.bring(*world.files[name]), names))
    assert set(names) <= world.here()
    assert world.line.sent["xorbs"] < 1.1 * SIZE


@pytest.mark.parametrize("size", [SIZE, 1000])
def test_a_trap_in_one_repo_holds_up_no_other_that_has_somebody_else_to_ask(
    world: World, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take hours; the second repo fetches beside it, and the first has the chunks from there once the second is done."""
    monkeypatch.setattr(couriers, "TRIAL", 0.3)
    content, what = os.urandom(size), "large" if size == SIZE else "small"
    for member, name in (("ke", "words"), ("br", "seeds")):
        world.share(member, name, size, content)
    pull(world.node, NodeSource(world.other))
    trapped, free = (world.files[f"{repo}/{what}"] for repo in ("ke/words", "br/seeds"))
    trap = lines_.Dripping(NodeSource(world.other), lambda path: lines_.kind(path) in ("xorbs", "file"), 0.1)
    by_repo = {trapped[0].root: [trap], free[0].root: [world.line]}
    courier = Courier(world.node, lambda repo, _settings, _patience: list(by_repo[repo.root]))
    with pytest.raises(BusyError):
        courier.bring(*trapped, 0)
    courier.bring(*free)
    assert world.mine.have(*free)
    if size == SIZE:
        courier.bring(*trapped)
        assert world.mine.have(*trapped)


def test_what_one_repo_is_refused_is_not_refused_to_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "AGAIN", 1000)
    honest, file = world.files["ke/words/large"]
    naming, _ = world.files["br/seeds/large"]
    world.shelf.commit(everything(naming.id.owner), naming, Draft("main", "Named, and never had", put=[file]))
    pull(world.node, NodeSource(world.other))
    for _ in range(2):
        with pytest.raises(MissingError):
            world.courier.bring(naming, file)
    world.courier.bring(honest, file)
    assert world.mine.have(honest, file)
    assert not world.mine.have(naming, file)


def test_who_does_not_wait_for_a_file_has_it_later(world: World) -> None:
    world.line.slow(0.01)
    repo, file = world.files["ke/words/large"]
    with pytest.raises(BusyError, match="on its way"):
        world.courier.bring(repo, file, 0)
    world.courier.wait()
    assert world.mine.have(repo, file)


def test_who_forges_is_noted_with_the_peer(world: World) -> None:
    forger = lines_.Line(
        NodeSource(world.other), forge=lambda path, place: "/xorbs/" in path and "." not in path and place in (-1, 50)
    )
    forger.name = "http://forger.example"
    with world.node.private_writing() as db:
        peers.add(db, forger.name, NOW)
    repo, file = world.files["ke/words/large"]
    with pytest.raises(ForgedError):
        Courier(world.node, lambda _repo, _settings, _patience: [forger]).bring(repo, file)
    with world.node.private_reading() as db:
        (peer,) = peers.everyone(db)
    assert "forged" in (peer.error or "")
