"""Files of repos in bundles: what goes is what lacks and what may leave, and what is taken in is what the commits name."""

import shutil
import struct
import zipfile
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concord.config import Settings
from concord.edges.peer import bundle as bundles
from concord.edges.peer import export as exporting
from concord.edges.peer import units, wants
from concord.edges.peer.bundle import BundleSource
from concord.edges.peer.content import file_path, map_path
from concord.edges.peer.export import Exported, export
from concord.edges.peer.pull import pull
from concord.edges.peer.source import FolderSource, HttpSource
from concord.edges.peer.wants import Chosen, Want, read_want, want
from concord.errors import ConcordError, ForgedError, MalformedError, MissingError, RefusedError, TooLargeError
from concord.ledger.blobs import Hold, Tombstone
from concord.node import Node
from concord.operations.courier import Courier
from concord.operations.unload import Unloaded, unload
from concord.pillars.commons import File, Repo
from concord.shelf import Draft, Shelf
from concord.testing import NOW, everything, make_member, make_organisation

KE, TN = make_member("ke"), make_member("tn")


def stream(size: int, seed: str) -> bytes:
    return b"".join(sha256(b"%s/%d" % (seed.encode(), number)).digest() for number in range(-(-size // 32)))[:size]


def spliced(content: bytes, start: int, new: bytes) -> bytes:
    return content[:start] + new + content[start + len(new) :]


ONE = stream(2_500_000, "one")
TWO = spliced(ONE, 1_000_000, stream(600_000, "new"))


class Pair:
    """A node that shares a repo, and one of the same organisation that nobody can reach."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.sender, self.receiver = make_organisation([[KE], [TN]])
        if settings is not None:
            self.receiver.settings = settings
        self.folder, self.me = folder, everything(KE.origin)
        self.shelf, self.theirs = Shelf(self.sender), Shelf(self.receiver)
        self.repo = self.shelf.open(self.me, "model", "words", private=False)

    def share(self, content: bytes, path: str = "w.bin", repo: Repo | None = None, *, large: bool = True) -> str:
        repo = self.shelf.find((repo or self.repo).id, self.me)
        digest, size = sha256(content).hexdigest(), len(content)
        if large:
            self.shelf.content.take([content], digest, 1 << 30)
            self.shelf.content.give(repo, [digest])
            file = File(path=path, size=size, sha256=digest, xet=self.shelf.content.xet(digest))
        else:
            file = self.shelf.keep(repo, path, content)
        self.shelf.commit(self.me, repo, Draft("main", "Share", put=[file]))
        return digest

    def export(self, wanted: Want | None = None, volume: int | None = None, **more: object) -> Exported:
        wanted = wanted or want(self.receiver, [self.repo.root])
        return export(self.sender, wanted, self.folder / "bundle.zip", volume, **more)

    def take_in(self, volumes: tuple[Path, ...]) -> Unloaded:
        with BundleSource(list(volumes)) as source:
            pull(self.receiver, source)
            return unload(self.receiver, source)

    def content(self, digest: str, root: str | None = None) -> bytes:
        return b"".join(map(bytes, self.theirs.content.flow_of(root or self.repo.root, digest)))

    def new(self, digest: str, known: str) -> int:
        """Bytes that the chunks of a file take as stored, but for those of another."""
        chunks = self.sender.chunks
        listing = {each: dict.fromkeys(chunk for chunk, _ in chunks.listing(_xet(self.sender, each))) for each in (digest, known)}
        return sum(len(chunks.stored(chunk)) for chunk in listing[digest] if chunk not in listing[known])


def _xet(node: Node, digest: str) -> str:
    entry = node.chunks.by_digest(digest)
    assert entry is not None
    return entry.hash


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def held(volumes: tuple[Path, ...]) -> dict[str, bytes]:
    """What is in a bundle, by name."""
    found: dict[str, bytes] = {}
    for volume in volumes:
        with zipfile.ZipFile(volume) as file:
            found |= {name: file.read(name) for name in file.namelist() if name != bundles.VOLUME}
    return found


def cost(volumes: tuple[Path, ...]) -> tuple[int, int, int]:
    """Bytes of a bundle: all of it, those that are not of files of repos, and what a ZIP takes for its names."""
    found = held(volumes)
    logs = sum(len(content) for name, content in found.items() if not name.startswith("peer/content/"))
    return sum(path.stat().st_size for path in volumes), logs, 600 * len(found) + 1000 * len(volumes)


def respell(volume: Path, change: dict[str, bytes | None]) -> None:
    """Make a bundle anew, with other things under some names (None: nothing)."""
    with zipfile.ZipFile(volume) as file:
        there = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(volume, "w") as file:
        for name, content in (there | change).items():
            if content is not None:
                file.writestr(name, content)


# What goes


def test_files_large_and_small_cross_over_and_then_nothing_goes(pair: Pair) -> None:
    small, large = pair.share(b"# Words\n", "README.md", large=False), pair.share(ONE)
    done = pair.export(Want(pair.sender.organisation, {}), repos=[Chosen("ke/words")])
    assert (done.files, done.left_out, done.absent) == (2, (), ())
    assert pair.take_in(done.volumes) == Unloaded(files=2)
    assert (pair.content(small), pair.content(large)) == (b"# Words\n", ONE)
    assert pair.receiver.chunks.xorbs_of(_xet(pair.receiver, large)) == pair.sender.chunks.xorbs_of(_xet(pair.sender, large))
    again = pair.export()
    assert again.files == 0
    assert not any(name.startswith("peer/content/") for name in held(again.volumes))
    assert not list(pair.receiver.chunks.verify(deep=True))


def test_a_second_version_costs_its_new_chunks(pair: Pair) -> None:
    one = pair.share(ONE)
    assert pair.take_in(first(pair)) == Unloaded(files=1)
    two = pair.share(TWO)
    done = pair.export(volume=400_000)
    assert len(done.volumes) >= 2
    total, logs, names = cost(done.volumes)
    assert total <= 1.03 * pair.new(two, one) + logs + names < 1_200_000
    assert all(path.stat().st_size <= 400_000 for path in done.volumes)
    assert pair.take_in(done.volumes) == Unloaded(files=1)
    assert pair.content(two) == TWO


def first(pair: Pair) -> tuple[Path, ...]:
    """A bundle for a receiver that has heard of nothing yet."""
    return pair.export(Want(pair.receiver.organisation, {}), repos=[Chosen(pair.repo.root)]).volumes


def test_what_the_receiver_packed_otherwise_is_not_carried_either(pair: Pair) -> None:
    """It has the first version in xorbs of its own; of what is shared, only the rows of the sender's xorb go."""
    one = pair.share(ONE)
    pull_logs(pair)
    pair.receiver.chunks.ingest([stream(100_000, "before"), *pieces(ONE)], NOW)  # the same chunks, but for one, elsewhere
    pair.theirs.content.take(pieces(ONE), one, 1 << 30)
    pair.theirs.content.give(pair.theirs.find(pair.repo.id, None), [one])
    two = pair.share(TWO)
    done = pair.export()
    total, logs, names = cost(done.volumes)
    assert total <= 1.03 * pair.new(two, one) + logs + names + 44 * 100
    assert pair.take_in(done.volumes) == Unloaded(files=1)
    assert pair.content(two) == TWO


def test_a_sender_that_no_longer_has_the_first_version_knows_its_chunks_by_the_xorbs(pair: Pair) -> None:
    one = pair.share(ONE)
    pair.take_in(first(pair))
    two = pair.share(TWO)
    new = pair.new(two, one)
    pair.sender.chunks.remove(_xet(pair.sender, one))
    done = pair.export()
    total, logs, names = cost(done.volumes)
    assert total <= 1.03 * new + logs + names
    assert pair.take_in(done.volumes) == Unloaded(files=1)
    assert pair.content(two) == TWO


def pieces(content: bytes) -> Iterator[bytes]:
    yield from (content[start : start + 100_000] for start in range(0, len(content), 100_000))


def pull_logs(pair: Pair) -> None:
    done = pair.export(want(pair.receiver))
    with BundleSource(list(done.volumes)) as source:
        pull(pair.receiver, source)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    edits=st.lists(st.tuples(st.integers(0, 390_000), st.integers(1, 90_000)), min_size=1, max_size=3),
    volume=st.sampled_from([None, 200_000, 350_000]),
)
def test_whatever_changed_the_same_bytes_arrive_in_volumes_that_fit(
    edits: list[tuple[int, int]], volume: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    content = ONE[:400_000]
    pair.share(content)
    pair.take_in(first(pair))
    for number, (start, length) in enumerate(edits):
        content = spliced(content, start, stream(length, f"edit {number}"))
    digest = pair.share(content)
    done = pair.export(volume=volume)
    assert volume is None or all(path.stat().st_size <= volume for path in done.volumes)
    assert not pair.take_in(done.volumes).wrong
    assert pair.content(digest) == content


def test_a_bundle_does_not_depend_on_when_it_was_made(pair: Pair) -> None:
    pair.share(ONE)
    before = [path.read_bytes() for path in pair.export(volume=700_000).volumes]
    assert [path.read_bytes() for path in pair.export(volume=700_000).volumes] == before


def test_what_fits_in_no_volume_is_told(pair: Pair) -> None:
    small, large = pair.share(stream(150_000, "small"), "s", large=False), pair.share(ONE)
    done = pair.export(volume=100_000)
    assert set(done.left_out) == {small, large}
    assert done.files == 0
    done = pair.export(volume=140_000)
    assert (done.left_out, done.files) == ((small,), 1)
    assert pair.take_in(done.volumes).files == 1


def test_what_is_not_for_everybody_stays_behind_in_the_same_words(pair: Pair) -> None:
    kept = pair.share(b"open", "open", large=False)
    secret = pair.shelf.open(pair.me, "model", "secret", private=True)
    gated = pair.shelf.open(pair.me, "model", "gated", private=False)
    pair.share(b"for few", "f", gated, large=False)
    pair.shelf.configure(pair.me, pair.shelf.find(gated.id, pair.me), "manual")
    stopped, gone = pair.share(stream(300_000, "held"), "held.bin"), pair.share(b"erased", "erased", large=False)
    pair.sender.blobs.hold(stopped, Hold(by="safety", reason="an advisory", at=NOW))
    pair.sender.blobs.erase(gone, Tombstone(by=KE.origin, reason="asked", at=NOW, size=6))
    absent = File(path="never.bin", size=9, sha256="ab" * 32)
    pair.shelf.commit(pair.me, pair.repo, Draft("main", "Elsewhere", put=[absent]))
    names = ["ke/secret", "ke/gated", "ke/nothing", "nonsense", secret.root, pair.repo.root]
    done = pair.export(Want(pair.sender.organisation, {}), repos=[Chosen(name) for name in names])
    files = {"held.bin of words", "erased of words", "never.bin of words"}
    assert set(done.absent) == {*names[:4], *files}
    found = [name for name in held(done.volumes) if name.startswith("peer/content/")]
    assert found == [file_path(pair.repo.root, kept)]


def test_chunks_of_a_private_file_do_not_go_though_they_lie_beside_those_of_an_open_one(pair: Pair) -> None:
    secret = pair.shelf.open(pair.me, "model", "secret", private=True)
    hidden = stream(400_000, "hidden")
    both, _ = pair.shelf.content.take([hidden + ONE], sha256(hidden + ONE).hexdigest(), 1 << 30)  # one xorb has all of it
    pair.shelf.content.give(pair.shelf.find(secret.id, pair.me), [both])
    shown = pair.share(ONE)
    done = pair.export(Want(pair.receiver.organisation, {}), repos=[Chosen("ke/words")])
    carried = b"".join(held(done.volumes).values())
    assert hidden[1000:1100] not in carried
    assert not any(xorb in "".join(held(done.volumes)) for xorb in pair.sender.chunks.xorbs_of(_xet(pair.sender, both)))
    assert pair.take_in(done.volumes) == Unloaded(files=1)
    assert pair.content(shown) == ONE


def test_naming_the_digest_of_a_private_file_tells_nothing_of_it(pair: Pair) -> None:
    """Otherwise whoever guesses what a file is could see by what is left out that the node has it."""
    secret = pair.shelf.open(pair.me, "model", "secret", private=True)
    pair.share(ONE)
    guessed, _ = pair.shelf.content.take([TWO], sha256(TWO).hexdigest(), 1 << 30)
    pair.shelf.content.give(pair.shelf.find(secret.id, pair.me), [guessed])
    plain = Want(pair.sender.organisation, {})
    bundles_ = [
        held(pair.export(plain, repos=[Chosen(pair.repo.root, files=files)]).volumes) for files in ([], [guessed], ["ab" * 32])
    ]
    assert bundles_[0] == bundles_[1] == bundles_[2]


def test_all_open_repos(pair: Pair) -> None:
    other = pair.shelf.open(pair.me, "dataset", "others", private=False)
    pair.shelf.open(pair.me, "space", "nothing-yet", private=False)
    pair.shelf.open(pair.me, "model", "secret", private=True)
    one, two = pair.share(ONE), pair.share(b"more", "m", other, large=False)
    done = pair.export(want(pair.receiver, every=True))
    assert (done.files, done.absent) == (2, ())
    assert pair.take_in(done.volumes).files == 2
    assert (pair.content(one), pair.content(two, other.root)) == (ONE, b"more")
    wanted = want(pair.receiver, every=True)
    assert {each.repo for each in wanted.chosen()} == {pair.repo.root, other.root}
    assert pair.export(wanted).files == 0


def test_an_older_revision_can_be_had_too(pair: Pair) -> None:
    one = pair.share(b"one", "w", large=False)
    before = pair.shelf.find(pair.repo.id, pair.me).find("main").oid
    pair.share(b"two", "w", large=False)
    done = pair.export(Want(pair.sender.organisation, {}), repos=[Chosen("models/ke/words", before)])
    assert done.files == 1
    pair.take_in(done.volumes)
    assert pair.content(one) == b"one"
    assert pair.export(Want(pair.sender.organisation, {}), repos=[Chosen("ke/words", "nothing")]).absent == ("ke/words at nothing",)


def test_what_the_disk_of_the_sender_damaged_leaves_no_bundle(pair: Pair) -> None:
    digest = pair.share(ONE)
    (xorb,) = pair.sender.chunks.xorbs_of(_xet(pair.sender, digest))
    path = pair.sender.chunks.open_xorb(xorb)
    path.write_bytes(spliced(path.read_bytes(), 500_000, b"damage"))
    with pytest.raises(ConcordError, match="not what was written"):
        pair.export(Want(pair.sender.organisation, {}), repos=[Chosen("ke/words")])
    assert not list(pair.folder.glob("*.zip"))
    pair.sender.chunks.set_aside(xorb)
    done = pair.export(Want(pair.sender.organisation, {}), repos=[Chosen("ke/words")])
    assert (done.files, done.absent) == (0, ("w.bin of words",))


def test_progress_is_told_and_ends_at_the_end(pair: Pair) -> None:
    pair.share(ONE)
    told: list[tuple[str, int, int]] = []
    volumes = pair.export(progress=lambda *said: told.append(said)).volumes
    assert told[-1][1] >= told[-1][2] > 2_500_000
    with BundleSource(list(volumes), progress=lambda *said: told.append(said)) as source:
        assert told[-1][1] == told[-1][2]
        pull(pair.receiver, source)
        unload(pair.receiver, source, lambda *said: told.append(said))
        assert 2_500_000 < told[-1][1] <= told[-1][2] == source.size


# Wants


def test_a_want_names_what_is_here_of_a_repo(pair: Pair) -> None:
    digest = pair.share(ONE)
    pair.take_in(first(pair))
    (chosen,) = read_want(wants.write(want(pair.receiver, ["ke/words"]))).chosen()
    xorbs = pair.sender.chunks.xorbs_of(_xet(pair.sender, digest))
    assert chosen == Chosen(pair.repo.root, "main", [digest], xorbs)
    assert wants.write(want(pair.receiver)).find(b'"repos"') == -1


def test_a_want_has_room_for_the_large_files_first(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = pair.share(ONE)
    for number in range(5):
        pair.share(b"%d" % number, f"f{number}", large=False)
    pair.take_in(first(pair))
    monkeypatch.setattr(wants, "HAD_MAX", 4)
    (chosen,) = want(pair.receiver, [pair.repo.root]).chosen()
    assert digest in chosen.files
    assert len(chosen.files) + len(chosen.xorbs) == 4
    assert pair.export(want(pair.receiver, [pair.repo.root])).files == 3  # those that are not in the want go once more


def test_a_repo_that_is_not_heard_of_yet_is_wanted_by_name_and_a_closed_one_not_at_all(pair: Pair) -> None:
    pair.share(b"x", "x", large=False)
    (chosen,) = want(pair.receiver, ["ke/words"]).chosen()
    assert (chosen.repo, chosen.files) == ("ke/words", [])
    pair.shelf.open(pair.me, "model", "secret", private=True)
    with pytest.raises(RefusedError, match="not for everybody"):
        want(pair.sender, ["ke/secret"])
    with pytest.raises(MalformedError, match="no name of a repo"):
        want(pair.sender, ["words"])


def test_wants_of_both_formats_are_read_and_others_refused_clearly() -> None:
    old = msgspec.json.encode({"organisation": "a" * 64, "sizes": {}, "blobs": [], "format": "concord-want/1"})
    assert read_want(old) == Want("a" * 64, {})
    assert wants.write(Want("a" * 64, {})) == msgspec.json.encode(Want("a" * 64, {}))
    newer = old.replace(b"want/1", b"want/3").replace(b"{", b'{"more":1,', 1)
    with pytest.raises(MalformedError, match="format 'concord-want/3'; this version reads concord-want/1 and concord-want/2"):
        read_want(newer)
    for raw in (b'{"repos":[],', b'{"every":true,'):
        with pytest.raises(MalformedError, match="names no repos"):
            read_want(old.replace(b"{", raw, 1))
    with pytest.raises(MalformedError):
        read_want(wants.write(Want("a" * 64, {}, repos=[Chosen("ke/words", files=["../x"])])))


# Taking in


class Killed(BaseException):
    """The end of the process, as far as the source can tell."""


class Cut:
    """The bundle at a node whose process ends after so many bytes of xorbs."""

    def __init__(self, source: BundleSource, most: int) -> None:
        self.name, self.ahead, self.size, self.left = source.name, 1, source.size, most
        self.get, self.stream, self.contents, self._source = source.get, source.stream, source.contents, source

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        for piece in self._source.part(path, start, stop):
            if "/xorbs/" in path and ".rows" not in path:
                self.left -= len(piece)
            if self.left < 0:
                raise Killed
            yield piece


def test_after_a_cut_the_same_bundle_brings_only_the_rest(pair: Pair) -> None:
    digest = pair.share(ONE)
    with BundleSource(list(first(pair))) as source:
        pull(pair.receiver, source)
        with pytest.raises(Killed):
            unload(pair.receiver, Cut(source, 1_500_000))
        with pytest.raises(MissingError):
            pair.content(digest)
        rest = Cut(source, 1 << 30)
        assert unload(pair.receiver, rest) == Unloaded(files=1)
        assert (1 << 30) - rest.left < len(ONE) - 1_500_000 + 200_000
        assert unload(pair.receiver, Cut(source, 0)) == Unloaded()
    assert pair.content(digest) == ONE


def test_a_folder_is_taken_in_like_a_bundle(pair: Pair) -> None:
    digest = pair.share(ONE)
    stick = unzipped(pair, first(pair))
    source = FolderSource(stick)
    told: list[tuple[str, int, int]] = []
    pull(pair.receiver, source)
    assert unload(pair.receiver, source, lambda *said: told.append(said)) == Unloaded(files=1)
    assert len(ONE) < told[-1][1] <= told[-1][2] == source.size
    assert pair.content(digest) == ONE


def unzipped(pair: Pair, volumes: tuple[Path, ...]) -> Path:
    for volume in volumes:
        with zipfile.ZipFile(volume) as file:
            file.extractall(pair.folder / "stick")
    return pair.folder / "stick"


class Quiet(SimpleHTTPRequestHandler):
    """The web server that comes with Python: it knows no ranges. Of what it is asked, it says nothing."""

    def log_message(self, *_: object) -> None:
        asked.append(self.path)


asked: list[str] = []


def test_any_web_server_serves_an_unzipped_bundle_even_one_that_knows_no_ranges(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "UNIT", 100_000)
    asked.clear()
    digest = pair.share(ONE)
    small = pair.share(b"# Words\n", "README.md", large=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(unzipped(pair, first(pair)))))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        source = HttpSource(f"http://127.0.0.1:{server.server_address[1]}", pair.receiver.settings)
        pull(pair.receiver, source)
        repo = pair.theirs.find(pair.repo.id, None)
        courier = Courier(pair.receiver, lambda *_: [source])
        for file in pair.theirs.tree(repo, repo.find("main")).values():
            courier.bring(repo, file)
    finally:
        server.shutdown()
        server.server_close()
    assert (pair.content(digest), pair.content(small)) == (ONE, b"# Words\n")
    assert sum("/xorbs/" in path and ".rows" not in path for path in asked) <= 4  # and not 25, once for each unit


def test_a_bundle_that_another_program_packed_is_read_too(pair: Pair) -> None:
    """Its headers may be longer than ours."""
    digest = pair.share(ONE)
    (volume,) = first(pair)
    with zipfile.ZipFile(volume) as file:
        there = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(volume, "w") as file:
        for name, content in there.items():
            with file.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
                target.write(content)
    assert pair.take_in((volume,)) == Unloaded(files=1)
    assert pair.content(digest) == ONE


# Hostile bundles


def test_a_forged_xorb_is_refused_and_stops_none_of_the_others(pair: Pair) -> None:
    digest, small = pair.share(ONE), pair.share(b"# Words\n", "README.md", large=False)
    (volume,) = first(pair)
    (name,) = (name for name in held((volume,)) if "/xorbs/" in name and not name.endswith(".rows"))
    respell(volume, {name: spliced(held((volume,))[name], 900_000, b"forged bytes")})
    done = pair.take_in((volume,))
    assert done.files == 1
    assert [type(error) for error in done.wrong.values()] == [ForgedError]
    assert pair.content(small) == b"# Words\n"
    with pytest.raises(MissingError):
        pair.content(digest)
    assert pair.take_in(first(pair)) == Unloaded(files=1)
    assert pair.content(digest) == ONE


def test_a_map_of_another_file_and_bytes_of_another_are_refused(pair: Pair) -> None:
    one, small = pair.share(ONE), pair.share(b"right", "r", large=False)
    two = pair.share(TWO, "two.bin")
    (volume,) = first(pair)
    root, there = pair.repo.root, held((volume,))
    respell(volume, {map_path(root, one): there[map_path(root, two)], file_path(root, small): b"wrong"})
    done = pair.take_in((volume,))
    assert done.files == 1
    assert {type(error) for error in done.wrong.values()} == {ForgedError}
    assert pair.theirs.content.all_of(root) == {two}


def test_a_digest_that_is_in_another_repo_or_in_none_gives_nothing(pair: Pair) -> None:
    """Not even if the bytes are right, or are on the node already: a bundle only brings what a commit of that repo names."""
    pair.share(b"open", "open", large=False)
    mine = pair.theirs.open(everything(TN.origin), "model", "mine", private=True)
    private = b"known to the receiver alone"
    kept = pair.theirs.keep(mine, "p", private)
    volumes = first(pair)
    closed = "cd" * 32
    respell(
        volumes[0],
        {
            file_path(pair.repo.root, kept.sha256): private,
            file_path(mine.root, kept.sha256): private,
            file_path(closed, kept.sha256): private,
        },
    )
    done = pair.take_in(volumes)
    assert done.files == 1
    assert {type(error) for error in done.wrong.values()} == {RefusedError}
    assert len(done.wrong) == 3
    assert kept.sha256 not in pair.theirs.content.all_of(pair.repo.root)


def test_files_of_a_repo_that_is_no_longer_open_are_not_taken_in(pair: Pair) -> None:
    pair.share(b"for few", "f", large=False)
    before = BundleSource([shutil.copy(first(pair)[0], pair.folder / "before.zip")])
    pair.shelf.configure(pair.me, pair.shelf.find(pair.repo.id, pair.me), "manual")
    pull_logs(pair)
    with before:
        assert [str(error) for error in unload(pair.receiver, before).wrong.values()] == [
            "1 files of a repo that is not here, or is not open"
        ]
    assert pair.theirs.content.all_of(pair.repo.root) == set()


@pytest.mark.parametrize("oid", [None, "a" * 40])
def test_a_commit_that_names_bytes_which_the_receiver_has_in_private_gives_nobody_those(pair: Pair, oid: str | None) -> None:
    mine = pair.theirs.open(everything(TN.origin), "model", "mine", private=True)
    secret = stream(300_000, "mine")
    digest, size = pair.theirs.content.take([secret], sha256(secret).hexdigest(), 1 << 30)
    pair.theirs.content.give(mine, [digest])
    file = File(path="guess", size=size, sha256=digest, oid=oid)
    pair.shelf.commit(pair.me, pair.repo, Draft("main", "Guess", put=[file]))
    volumes = first(pair)
    name = (file_path if oid else map_path)(pair.repo.root, digest)
    respell(volumes[0], {name: b"nothing that shows the bytes"})
    assert list(pair.take_in(volumes).wrong) == ["guess of ke/words"]
    assert pair.theirs.content.all_of(pair.repo.root) == set()


def test_a_file_that_is_larger_than_the_node_keeps_is_not_taken_in(tmp_path: Path) -> None:
    pair = Pair(tmp_path, Settings(content_bytes=1_000_000))
    pair.share(ONE)
    small = pair.share(b"small", "s", large=False)
    done = pair.take_in(first(pair))
    assert (done.files, [type(error) for error in done.wrong.values()]) == (1, [MissingError])
    assert pair.theirs.content.all_of(pair.repo.root) == {small}


def test_a_bundle_that_lists_too_much_is_refused_before_its_list_is_read(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.share(ONE)
    volumes = pair.export(volume=500_000).volumes
    with pytest.raises(TooLargeError, match="more files"):
        BundleSource(list(volumes), list_max=1000)
    monkeypatch.setattr(exporting, "CARRIED_MAX", 1000)
    with pytest.raises(TooLargeError, match="Choose fewer repos"):
        pair.export()


def test_the_list_of_a_large_zip_is_bounded_too(tmp_path: Path) -> None:
    """Above 65,535 names, or 4 GB, the end of a ZIP only points to where its list is described."""
    numbers = struct.pack("<4Q", 70_000, 70_000, 70_000 * 100, 0)
    larger = b"PK\6\6" + struct.pack("<Q2H2I", 44, 45, 45, 0, 0) + numbers
    end = b"PK\5\6" + b"\xff" * 16 + b"\0\0"
    path = tmp_path / "many.zip"
    path.write_bytes(larger + b"PK\6\7" + struct.pack("<IQI", 0, 0, 1) + end)
    with pytest.raises(TooLargeError, match="more files"):
        BundleSource([path], list_max=4 << 20)
    path.write_bytes(bytes(56) + path.read_bytes()[56:])
    with pytest.raises(MalformedError, match="not a bundle"):
        BundleSource([path])


@pytest.mark.parametrize(
    "name",
    [
        "peer/content/" + "a" * 64,
        "peer/content/../" + "b" * 64,
        "peer/content/" + "a" * 64 + "/" + "b" * 63,
        "peer/content/" + "a" * 64 + "/" + "b" * 64 + ".rows",
        "peer/content/" + "a" * 64 + "/xorbs/" + "b" * 64 + ".map",
        "peer/content/" + "A" * 64 + "/" + "b" * 64,
        "peer/content/" + "a" * 64 + "/xorbs/x/" + "b" * 64,
    ],
)
def test_names_that_are_no_paths_of_content_are_refused(name: str, pair: Pair) -> None:
    (volume,) = first(pair)
    respell(volume, {name: b"x"})
    with pytest.raises(MalformedError, match="not the name of anything"):
        BundleSource([volume])


def test_a_folder_with_tricks_in_it_gives_nothing(pair: Pair, tmp_path: Path) -> None:
    pair.share(b"open", "open", large=False)
    (tmp_path / "outside").write_bytes(b"open")
    stick = unzipped(pair, first(pair))
    inside = stick / file_path(pair.repo.root, sha256(b"open").hexdigest())
    inside.unlink()
    inside.symlink_to(tmp_path / "outside")
    (stick / "peer" / "content" / "nonsense").mkdir()
    source = FolderSource(stick)
    pull(pair.receiver, source)
    assert [type(error) for error in unload(pair.receiver, source).wrong.values()] == [ForgedError]
    shutil.rmtree(stick / "peer" / "content")
    assert list(FolderSource(stick).contents()) == []
