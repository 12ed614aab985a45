"""Clearing away: what a repo, a hold or an upload needs stays, all else goes, and being cut off anywhere changes nothing of it."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from concord.errors import MalformedError, RefusedError
from concord.home import open_home
from concord.ledger.blobs import Hold, Tombstone
from concord.ledger.evidence import find
from concord.ledger.record import ENCODER, Detached
from concord.ledger.statements import Deposit
from concord.ledger.tree import Head
from concord.node import Node
from concord.operations import garbage
from concord.operations.garbage import AGE_MIN, collect
from concord.pillars.commons import File, Repo, Revision
from concord.pillars.commons.tree import git_blob
from concord.shelf import Draft, Shelf
from concord.shelf.shelf import INLINE_MAX
from concord.testing import make_member, make_node
from concord.testing.nodes import Clock, everything
from concord.testing.storage import Crash, CrashError, CrashingBlobs
from concord.tlog import checkpoint as checkpoints
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.merkle import leaf_hash, nodes_of, root_of

DAY = 86_400
KE = make_member("ke")
SPEAKER = everything(KE.origin)


def content(size: int, seed: str) -> bytes:
    return b"".join(sha256(b"%s/%d" % (seed.encode(), number)).digest() for number in range(-(-size // 32)))[:size]


A, B, C = content(300_000, "a"), content(300_000, "b"), content(40, "c")


@dataclass
class Stocked:
    """A node whose clock can be moved, and what its repos should be able to read back."""

    node: Node
    clock: Clock
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.node)

    def open(self, name: str, *, private: bool = False) -> Repo:
        return self.shelf.open(SPEAKER, "model", name, private=private)

    def bring(self, repo: Repo, path: str, raw: bytes) -> File:
        """Bring a large file to a repo, without committing it."""
        digest, size = self.shelf.content.take([raw], sha256(raw).hexdigest(), len(raw))
        self.shelf.content.give(repo, [digest])
        return File(path=path, size=size, sha256=digest, xet=self.shelf.content.xet(digest))

    def commit(self, repo: Repo, *files: File, ref: str = "main", removed: list[str] | None = None) -> Revision:
        return self.shelf.commit(SPEAKER, repo, Draft(ref, "Add", put=files, removed=removed or []))

    def later(self, seconds: int = 8 * DAY) -> None:
        self.clock.now += seconds

    def collect(self, **options: bool) -> garbage.Cleared:
        return collect(self.node, DAY, **options)

    def reads(self, repo: Repo, file: File) -> bytes:
        return b"".join(self.shelf.read(repo, file))

    def stored(self) -> set[str]:
        """The digests of all bytes on the disk."""
        return {*self.node.blobs.digests(), *(entry.sha256 for entry in self.node.chunks.entries())}


@pytest.fixture
def stocked() -> Stocked:
    clock = Clock(int(time.time()))
    return Stocked(make_node([KE], clock=clock), clock)


def test_what_any_commit_puts_stays(stocked: Stocked) -> None:
    repo = stocked.open("words")
    old, small = stocked.bring(repo, "a.bin", A), stocked.shelf.keep(repo, "c.txt", C)
    stocked.commit(repo, old, small)
    new = stocked.bring(repo, "a.bin", B)
    stocked.commit(repo, new, removed=["c.txt"])
    branch = stocked.bring(repo, "b.bin", A + B)
    stocked.commit(repo, branch)
    stocked.shelf.squash(SPEAKER, repo, "main", "Anew")
    stocked.later()
    assert stocked.collect() == garbage.Cleared((), (), 0)
    repo = stocked.shelf.find(repo.id, None)
    assert [stocked.reads(repo, each) for each in (old, small, new, branch)] == [A, C, B, A + B]


def test_what_was_never_committed_goes_after_its_time(stocked: Stocked) -> None:
    repo = stocked.open("words")
    left, kept = stocked.bring(repo, "a.bin", A), stocked.bring(repo, "b.bin", B)
    small = stocked.shelf.keep(repo, "c.txt", C)
    stocked.commit(repo, kept)
    stocked.later(DAY - 1)
    assert stocked.collect().files == ()
    stocked.later()
    told = stocked.collect(dry_run=True)
    assert set(told.files) == {left.sha256, small.sha256}
    assert len(told.xorbs) == 1
    assert told.size > len(A)
    assert stocked.reads(repo, left) == A
    assert stocked.collect() == told
    assert stocked.stored() == {kept.sha256}
    assert stocked.shelf.content.noted() == {repo.root: {kept.sha256}}
    assert stocked.collect() == garbage.Cleared((), (), 0)


def test_bytes_that_another_repo_has_stay(stocked: Stocked) -> None:
    mine, other = stocked.open("mine"), stocked.open("other", private=True)
    for repo in (mine, other):
        stocked.commit(repo, stocked.bring(repo, "a.bin", A), stocked.shelf.keep(repo, "c", C))
    stocked.shelf.close(SPEAKER, mine)
    stocked.later()
    assert stocked.collect().files == ()
    assert set(stocked.shelf.content.noted()) == {other.root}
    stocked.shelf.close(SPEAKER, stocked.shelf.find(other.id, SPEAKER))
    stocked.shelf.content.forget(other)
    assert set(stocked.collect().files) == {sha256(A).hexdigest(), sha256(C).hexdigest()}
    assert stocked.stored() == set()


def test_a_repo_that_was_closed_just_now_keeps_its_bytes_for_a_while(stocked: Stocked) -> None:
    repo = stocked.open("words")
    stocked.commit(repo, stocked.bring(repo, "a.bin", A))
    stocked.later()
    stocked.shelf.close(SPEAKER, repo)
    assert stocked.collect().files == ()
    stocked.later(DAY + 1)
    assert stocked.collect().files == (sha256(A).hexdigest(),)
    assert stocked.shelf.content.noted() == {}


def test_a_repo_that_is_opened_again_begins_empty(stocked: Stocked) -> None:
    repo = stocked.open("words")
    stocked.commit(repo, stocked.bring(repo, "a.bin", A))
    stocked.shelf.close(SPEAKER, repo)
    stocked.later(10)
    again = stocked.open("words")
    stocked.later()
    stocked.commit(again, stocked.bring(again, "b.bin", B))
    stocked.later()
    assert stocked.collect().files == (sha256(A).hexdigest(),)
    assert set(stocked.shelf.content.noted()) == {again.root}


def test_what_is_held_stays_and_what_was_erased_goes(stocked: Stocked) -> None:
    repo = stocked.open("words")
    held, erased = stocked.bring(repo, "a.bin", A), stocked.bring(repo, "b.bin", B)
    small = stocked.shelf.keep(repo, "c", C)
    stocked.commit(repo, erased)
    for each in (held, small):
        stocked.node.blobs.hold(each.sha256, Hold(by="operator", reason="Looked at", at=1))
    stocked.node.blobs.erase(erased.sha256, Tombstone(by=KE.origin, reason="Asked for", at=1, size=len(B)))
    stocked.later()
    assert stocked.collect().files == (erased.sha256,)
    for each in (held, small):
        stocked.node.blobs.release(each.sha256, "operator")
    assert set(stocked.collect().files) == {held.sha256, small.sha256}


def test_what_records_name_stays(stocked: Stocked) -> None:
    digest, size = stocked.node.blobs.put([C])
    stocked.node.say(SPEAKER, Deposit, {"name": "c", "blob": {"digest": digest, "size": size, "media": "text/plain"}})
    repo = stocked.open("words")
    stocked.shelf.keep(repo, "c", C)
    for name in ("public", "private"):
        many = stocked.open(name, private=name == "private")
        files = [File(path=f"{name}{number:04}", size=0, sha256="9f" * 32) for number in range(INLINE_MAX // 100)]
        done = stocked.commit(many, *files)
        assert isinstance(done.commit.listing, Detached)
    stray, _ = stocked.node.blobs.put([b"nobody names this"])
    stocked.later()
    assert stocked.collect().files == (stray,)
    assert len(stocked.stored()) == 3


def test_what_cannot_be_read_is_kept_and_told(stocked: Stocked) -> None:
    repo = stocked.open("words")
    left = stocked.bring(repo, "a.bin", A)
    files = [File(path=f"{number:04}", size=0, sha256="9f" * 32, oid=git_blob(b"")) for number in range(INLINE_MAX // 100)]
    listing = stocked.commit(repo, *files).commit.listing
    assert listing is not None
    (stocked.node.blobs.root / listing.digest[:2] / listing.digest).unlink()
    stocked.later()
    found = stocked.collect()
    assert found.files == ()
    assert "not all of its commits can be read here" in found.kept[0]
    assert stocked.reads(stocked.shelf.find(repo.id, None), left) == A


def test_what_a_repo_has_that_no_log_opens_is_kept_and_told(stocked: Stocked) -> None:
    repo = stocked.open("words", private=True)
    left = stocked.bring(repo, "a.bin", A)
    stocked.shelf.close(SPEAKER, repo)
    stocked.later()
    found = stocked.collect()
    assert (found.files, len(found.kept)) == ((), 1)
    assert "whether it is gone cannot be seen here" in found.kept[0]
    assert left.sha256 in stocked.stored()


def test_repos_of_a_disputed_member_are_kept(stocked: Stocked) -> None:
    repo = stocked.open("words")
    left = stocked.bring(repo, "a.bin", A)
    entries = [ENCODER.encode(KE.identity), b"one"], [ENCODER.encode(KE.identity), b"other"]
    trees = [[leaf_hash(entry) for entry in each] for each in entries]
    points = [Checkpoint(KE.origin, 2, root_of(leaves)) for leaves in trees]
    heads = [Head(checkpoints.sign(point, KE.keys["log"].seed), point) for point in points]
    found = find(KE.origin, "", 1, *heads, nodes_of(trees[0]), entries[0][:1])
    assert found is not None
    stocked.node.dispute(found)
    stocked.later()
    assert stocked.collect().files == ()
    assert left.sha256 in stocked.stored()


def test_a_home_that_may_lack_records_clears_nothing(stocked: Stocked) -> None:
    stocked.node.holdings.log(KE.origin).pause("it was restored")
    with pytest.raises(RefusedError, match="it was restored"):
        stocked.collect()


def test_what_may_be_an_upload_is_never_cleared_away(stocked: Stocked) -> None:
    with pytest.raises(MalformedError):
        collect(stocked.node, AGE_MIN - 1)


def test_who_builds_on_what_is_here_says_so_and_has_it(stocked: Stocked) -> None:
    repo = stocked.open("words")
    large, small = stocked.bring(repo, "a.bin", A), stocked.shelf.keep(repo, "c", C)
    stocked.later()
    stocked.shelf.content.renew([large.sha256, small.sha256, "ab" * 32])
    assert stocked.collect().files == ()
    stocked.later(DAY - 1)
    stocked.commit(repo, large, small)
    assert stocked.collect().files == ()
    stocked.node.chunks.rebuild()
    assert (stocked.reads(repo, large), stocked.reads(repo, small)) == (A, C)


@pytest.mark.parametrize("step", range(9))
def test_it_may_be_cut_off_anywhere(step: int, stocked: Stocked) -> None:
    repo, gone = stocked.open("words"), stocked.open("gone")
    kept = [stocked.bring(repo, "a.bin", A), stocked.shelf.keep(repo, "c", C)]
    stocked.commit(repo, *kept)
    stocked.commit(gone, stocked.bring(gone, "b.bin", B), stocked.shelf.keep(gone, "d", b"d"), stocked.shelf.keep(gone, "e", b"e"))
    stocked.shelf.close(SPEAKER, gone)
    stocked.later()
    crash = Crash(step)
    blobs, stocked.node.blobs = stocked.node.blobs, CrashingBlobs(stocked.node.blobs.root, crash)
    with suppress(CrashError):
        collect(stocked.node, DAY, progress=crash)
    assert crash.left == (-1 if step < 8 else 0)
    stocked.node.blobs = blobs
    assert [stocked.reads(repo, each) for each in kept] == [A, C]
    stocked.collect()
    assert stocked.stored() == {each.sha256 for each in kept}
    assert stocked.shelf.content.noted() == {repo.root: stocked.stored()}
    assert stocked.shelf.content.gone() == []


class Life(RuleBasedStateMachine):
    """Whatever happens to repos in whatever order, every file that a commit puts reads back, and in the end the rest is gone."""

    def __init__(self) -> None:
        super().__init__()
        clock = Clock(int(time.time()))
        self.stocked = Stocked(make_node([KE], clock=clock), clock)
        self.repos: dict[str, Repo] = {}
        self.files: dict[str, dict[str, tuple[File, bytes]]] = {}

    @initialize()
    def begin(self) -> None:
        self.open("x", private=False)

    @rule(name=st.sampled_from("xyz"), private=st.booleans())
    def open(self, name: str, private: bool) -> None:  # noqa: FBT001  drawn
        if name not in self.repos:
            self.stocked.later(1)
            self.repos[name], self.files[name] = self.stocked.open(name, private=private), {}

    @rule(name=st.sampled_from("xyz"), seed=st.sampled_from("abcd"), size=st.sampled_from([0, 50, 200_000]), commits=st.booleans())
    def bring(self, name: str, seed: str, size: int, commits: bool) -> None:  # noqa: FBT001  drawn
        if name in self.repos:
            raw = content(size, seed)
            keeps = self.stocked.bring if size > 100 else self.stocked.shelf.keep
            file = keeps(self.repos[name], seed, raw)
            if commits:
                self.stocked.commit(self.repos[name], file)
                self.files[name][file.sha256] = (file, raw)

    @rule(name=st.sampled_from("xyz"), other=st.sampled_from("xyz"))
    def copy(self, name: str, other: str) -> None:
        """Let a repo have a file of another without sending it again, as clients do."""
        if name in self.repos and self.files.get(other):
            file, raw = next(iter(self.files[other].values()))
            self.stocked.shelf.content.renew([file.sha256])
            self.stocked.shelf.content.give(self.repos[name], [file.sha256])
            self.stocked.commit(self.repos[name], file)
            self.files[name][file.sha256] = (file, raw)

    @rule(name=st.sampled_from("xyz"))
    def squash(self, name: str) -> None:
        if self.files.get(name):
            self.stocked.shelf.squash(SPEAKER, self.repos[name], "main", "Anew")

    @rule(name=st.sampled_from("xyz"))
    def close(self, name: str) -> None:
        if name in self.repos:
            repo = self.repos.pop(name)
            del self.files[name]
            self.stocked.shelf.close(SPEAKER, repo)
            self.stocked.shelf.content.forget(repo)
            self.stocked.later(1)

    @rule(seconds=st.sampled_from([DAY // 2, 2 * DAY]))
    def collect(self, seconds: int) -> None:
        self.stocked.later(seconds)
        self.stocked.collect()

    @invariant()
    def everything_reads_back(self) -> None:
        for name, files in self.files.items():
            for file, raw in files.values():
                assert self.stocked.reads(self.repos[name], file) == raw

    def teardown(self) -> None:
        self.stocked.later()
        self.stocked.collect()
        self.everything_reads_back()
        assert self.stocked.stored() == {digest for files in self.files.values() for digest in files}


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))


def test_several_at_once_beside_uploads(demo: Path) -> None:
    """Two processes' worth of clearing away, again and again, while others upload, and commit what is here without sending it."""
    clock = Clock(int(time.time()) + 8 * DAY)
    homes = [open_home(demo, clock) for _ in range(3)]
    for node in homes:
        node.catch_up()
    origin = homes[0].holdings.hosted()[0]
    stocked = Stocked(homes[0], clock)
    repo = stocked.shelf.open(everything(origin), "model", "words", private=False)
    left = [stocked.bring(repo, f"{number}.bin", content(70_000, str(number))) for number in range(6)]
    done, wrong = threading.Event(), list[BaseException]()

    def clear(node: Node) -> None:
        try:
            while not done.is_set():
                collect(node, DAY)
        except BaseException as e:  # noqa: BLE001  told below
            wrong.append(e)

    threads = [threading.Thread(target=clear, args=(node,)) for node in homes[1:]]
    clock.now += 2 * DAY
    stocked.shelf.content.renew(file.sha256 for file in left)
    for thread in threads:
        thread.start()
    kept: list[tuple[File, bytes]] = [(file, content(70_000, str(number))) for number, file in enumerate(left)]
    for number in range(6):
        kept.append((stocked.bring(repo, f"new/{number}.bin", raw := content(70_000, f"new {number}")), raw))
        kept.append((stocked.shelf.keep(repo, f"small/{number}", raw := b"%d" % number), raw))
        stocked.shelf.commit(everything(origin), repo, Draft("main", f"{number}", put=[file for file, _ in kept]))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    clock.now += 8 * DAY
    collect(homes[0], DAY)
    assert [stocked.reads(repo, file) for file, _ in kept] == [raw for _, raw in kept]
