"""Pulling from a peer: what is the log's comes over, at once or bit by bit, and what is not leaves no trace."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from concord.config import Settings
from concord.edges.peer import copies, heads
from concord.edges.peer.bundle import BundleSource
from concord.edges.peer.export import export
from concord.edges.peer.heads import Heads
from concord.edges.peer.pull import pull
from concord.edges.peer.source import tile_path
from concord.edges.peer.wants import want
from concord.errors import ConcordError, ForgedError, MalformedError, MissingError, RefusedError, TooLargeError, UnreachableError
from concord.ledger.blobs import Hold, Tombstone
from concord.ledger.keyring import NewMember, PrivateKey, new_member
from concord.ledger.record import seal
from concord.ledger.statements import Deposit
from concord.ledger.tree import Head, Tree, folder
from concord.node import Node
from concord.testing import (
    NOW,
    MemoryStorage,
    NodeSource,
    bytes_from,
    everything,
    make_charter,
    make_member,
    make_node,
    make_organisation,
)
from concord.tlog import checkpoint as checkpoints
from concord.tlog import cosignature, merkle, tile
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.merkle import leaf_hash
from concord.tlog.note import ED25519, Note
from concord.tlog.tile import Place

Audit = Callable[[Tree], list[bytes]]  # the fixture of tests/conftest.py

KE, TN, BR, XX = (make_member(name) for name in ("ke", "tn", "br", "xx"))
LOG = folder(KE.origin)


def two(ke_entries: int = 3) -> tuple[Node, Node]:
    """The nodes of KE and TN in one organisation; the log of KE has at least three entries."""
    ke, tn = make_organisation([[KE], [TN]])
    fill(ke, ke_entries)
    return ke, tn


def fill(node: Node, size: int, member: NewMember = KE) -> None:
    """Grow the log of `member` to `size` with entries that nobody can read."""
    log = node.holdings.log(member.origin)
    log.append([b"%s %d" % (member.origin[:2].encode(), number) for number in range(log.tree.size, size)])
    node.catch_up()


class Shelf:
    """A source that has files and nobody behind them. Whoever holds it may change them."""

    ahead = 1

    def __init__(self, files: dict[str, bytes]) -> None:
        self.name = "a shelf"
        self.files = files
        self.asked: list[str] = []

    def get(self, path: str, most: int) -> bytes:
        self.asked.append(path)
        if path not in self.files:
            raise MissingError(f"{self.name} has no {path}")
        if len(self.files[path]) > most:
            raise TooLargeError(f"{path} is larger than {most} bytes")
        return self.files[path]

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        yield self.get(path, 1 << 40)[start:]

    def post(self, path: str, body: bytes, most: int) -> tuple[int, bytes]:
        return 404, b""


def shelf(node: Node) -> Shelf:
    """All that `node` serves of its logs."""
    files = {"peer/heads": heads.write(heads.of(node))}
    for origin in node.holdings.origins():
        tree = node.holdings.tree(origin)
        for place in (*tile.places(0, tree.size), *tile.bundle_places(0, tree.size)):
            files[tile_path(folder(origin), place)] = tree.read(place)
    return Shelf(files)


def offering(node: Node, *offered: Head, organisation: str | None = None) -> bytes:
    return heads.write(Heads(node.organisation if organisation is None else organisation, offered))


def path(place: str) -> str:
    return tile_path(LOG, Place.parse(place))


def held(node: Node) -> dict[str, bytes]:
    """The files that `node` keeps of the log of KE."""
    storage = node.holdings.storage
    assert isinstance(storage, MemoryStorage)
    return {name: content for name, content in storage.files.items() if LOG in name}


def signed(entries: list[bytes], seed: bytes = KE.keys["log"].seed, origin: str = KE.origin) -> Head:
    checkpoint = Checkpoint(origin, len(entries), merkle.root_of([leaf_hash(entry) for entry in entries]))
    return Head(checkpoints.sign(checkpoint, seed), checkpoint)


def with_log(source: Shelf, entries: list[bytes], origin: str = KE.origin) -> None:
    """Let `source` serve these entries as the log of `origin`, with the tiles that belong to them."""
    edge, full = tile.grow(tile.EMPTY_EDGE, [leaf_hash(entry) for entry in entries])
    source.files |= {tile_path(folder(origin), part.place): bytes(part) for part in (*full, *edge.tiles())}
    for place in tile.bundle_places(0, len(entries)):
        first = place.index * 256
        source.files[tile_path(folder(origin), place)] = tile.bundle(entries[first : first + place.width])


# What comes over


def test_a_pull_brings_the_logs_and_the_views_are_equal(audit: Audit) -> None:
    ke, tn = two(300)
    for node, source in ((tn, ke), (ke, tn)):
        report = pull(node, NodeSource(source))
        assert not report.wrong
    assert audit(tn.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))
    assert ke.view.digests() == tn.view.digests()
    assert {seat.origin for seat in ke.roster().members()} == {KE.origin, TN.origin}
    assert pull(tn, NodeSource(ke)).total == 0


@pytest.mark.parametrize("sizes", [[4, 5, 300], [256, 257, 258, 512], [900]])
def test_a_log_pulled_in_steps_is_the_log_pulled_at_once(sizes: list[int]) -> None:
    ke, tn = two()
    for size in sizes:
        fill(ke, size)
        pull(tn, NodeSource(ke))
    (_, once), last = two(), sizes[-1]
    source = shelf(ke)
    pull(once, source)
    for name, content in held(once).items():
        if "/tile/" in name:
            assert held(tn)[name] == content
    assert {name for name in held(tn) if ".p/" in name} == {name for name in held(once) if ".p/" in name}
    assert tn.view.digests()["ledger_record"] == once.view.digests()["ledger_record"]
    assert tn.holdings.tree(KE.origin).size == last


def test_a_long_copy_leaves_only_the_partial_tiles_of_its_size(monkeypatch: pytest.MonkeyPatch, audit: Audit) -> None:
    """It is staged piece by piece, and each piece has partial tiles of its own."""
    monkeypatch.setattr(copies, "STAGED", 256)
    ke, tn = two(1500)
    pull(tn, NodeSource(ke))
    assert audit(tn.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))
    assert {name for name in held(tn) if "/tile/" in name} == {name for name in held(ke) if "/tile/" in name}


@pytest.mark.parametrize("every", [3, 5, 7, 11])
def test_a_line_that_breaks_again_and_again_costs_little_and_stops_nothing(
    every: int, monkeypatch: pytest.MonkeyPatch, audit: Audit
) -> None:
    monkeypatch.setattr(copies, "STAGED", 256)
    ke, tn = two(2000)
    requests = count(1)
    asked: list[str] = []

    def broken(path: str) -> bool:
        asked.append(path)
        return next(requests) % every == 0

    for _ in range(30):
        try:
            pull(tn, NodeSource(ke, broken))
        except UnreachableError:
            continue
        if tn.holdings.tree(KE.origin).size == 2000:
            break
    assert audit(tn.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))
    bundles = [path for path in asked if "tile/entries" in path]
    assert len(bundles) <= 8 + len(asked) // every


def test_a_replayed_older_checkpoint_changes_nothing() -> None:
    ke, tn = two(5)
    older = shelf(ke)
    fill(ke, 300)
    pull(tn, NodeSource(ke))
    before = held(tn)
    assert not pull(tn, older).wrong
    assert held(tn) == before
    assert tn.disputes() == {}


def test_our_own_log_is_taken_back_after_a_restored_backup(audit: Audit) -> None:
    ke, tn = two(5)
    assert isinstance(ke.holdings.storage, MemoryStorage)
    backup = ke.holdings.storage.backup()
    fill(ke, 300)
    pull(tn, NodeSource(ke))
    restored = make_node([KE], MemoryStorage(backup))
    assert restored.holdings.tree(KE.origin).size == 5
    assert not pull(restored, NodeSource(tn)).wrong
    assert audit(restored.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))
    fill(restored, 301)
    pull(tn, NodeSource(restored))
    assert tn.disputes() == {}
    assert tn.holdings.tree(KE.origin).size == 301


def test_log_keys_change_under_way(audit: Audit) -> None:
    """The old key and the new stand side by side for a while; who was away while they did still follows."""
    ke, tn = two(5)
    pull(tn, NodeSource(ke))
    new = PrivateKey(KE.origin, ED25519, bytes_from("a new log key")(32))
    ke.holdings.keyring = ke.holdings.keyring.with_keys([new])
    roots = [KE.keys["root-1"].seed, KE.keys["root-2"].seed]
    both = seal(replace(KE.identity, number=1, log=(*KE.identity.log, new.public.key.hex())), roots)
    alone = seal(replace(both, number=2, log=(new.public.key.hex(),)), roots)
    again = seal(replace(alone, number=3), roots)
    for said in (both, alone):
        ke.say_identity(said)
        fill(ke, ke.holdings.tree(KE.origin).size + 2)
    assert not pull(tn, NodeSource(ke)).wrong
    ke.say_identity(again)
    assert not pull(tn, NodeSource(ke)).wrong
    assert audit(tn.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))
    assert [identity.number for identity in tn.holdings.identities(KE.origin)] == [0, 1, 2, 3]
    source = shelf(ke)
    entries = [*ke.holdings.tree(KE.origin).entries(0, ke.holdings.tree(KE.origin).size), b"by a key of yesterday"]
    source.files["peer/heads"] = offering(ke, signed(entries))
    with_log(source, entries)
    assert isinstance(pull(tn, source).wrong[KE.origin], ForgedError)
    assert tn.disputes() == {}


# What does not


def forged_bundle(source: Shelf, index: int, instead: bytes) -> None:
    """Alter one entry, and its leaf in the level-0 tile to fit; leave the tiles above and the checkpoint as they are."""
    where, inner = path(f"tile/entries/{index // 256:03}"), index % 256
    entries = tile.parse_bundle(source.files[where], 256)
    entries[inner] = instead
    source.files[where] = tile.bundle(entries)
    below = path(f"tile/0/{index // 256:03}")
    leaves = [*tile.parse_tile(source.files[below], 256)]
    leaves[inner] = leaf_hash(instead)
    source.files[below] = b"".join(leaves)


@pytest.mark.parametrize("before", [0, 10, 100], ids=lambda size: f"held-{size}")
@pytest.mark.parametrize("index", [0, 5, 150, 255])
def test_an_entry_and_leaf_forged_to_fit_under_untouched_upper_tiles_are_refused(index: int, before: int) -> None:
    """CVE-2026-56865: whoever reads from the checkpoint down finds every tile in order, and the forged entry under them."""
    ke, tn = make_organisation([[KE], [TN]])
    if before:
        fill(ke, before)
        pull(tn, shelf(ke))
    fill(ke, 300)
    source = shelf(ke)
    forged_bundle(source, index, b"forged")
    head = ke.holdings.tree(KE.origin).head
    assert head is not None
    top_down = tile.nodes_from(300, lambda place: source.files[tile_path(LOG, place)])
    assert merkle.root(300, top_down) == head.checkpoint.root
    assert tile.parse_tile(source.files[path("tile/0/000")], 256)[index] == leaf_hash(b"forged")

    kept = held(tn)
    report = pull(tn, source)
    if index < before:  # what we have of the first bundle is not read from the peer again
        assert not report.wrong
        return
    assert isinstance(report.wrong[KE.origin], ForgedError)
    assert held(tn) == kept
    assert tn.holdings.tree(KE.origin).size == before
    assert tn.disputes() == {}
    assert not pull(tn, NodeSource(ke)).wrong
    assert tn.holdings.tree(KE.origin).size == 300


SPOILT: dict[str, Callable[[dict[str, bytes], str, str], bytes]] = {
    "cut-off": lambda files, first, _: files[first][:-1],
    "empty": lambda _, __, ___: b"",
    "too-long": lambda files, first, _: files[first] + b"\x00\x01x",
    "swapped": lambda files, _, second: files[second],
    "another-logs": lambda files, first, _: files[first].replace(b"ke 2", b"tn 2"),
    "junk": lambda _, __, ___: b"\xff" * 1000,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("which", [0, 1])
def test_bundles_that_are_not_the_logs_leave_no_trace(spoil: Callable[..., bytes], which: int) -> None:
    ke, tn = two(512)
    source = shelf(ke)
    names = [path("tile/entries/000"), path("tile/entries/001")]
    source.files[names[which]] = spoil(dict(source.files), names[which], names[1 - which])
    report = pull(tn, source)
    assert isinstance(report.wrong[KE.origin], ForgedError | MalformedError)
    assert held(tn) == {}
    assert KE.origin not in tn.holdings.origins()
    assert tn.disputes() == {}


def test_one_bad_log_stops_none_of_the_others(audit: Audit) -> None:
    ke, tn, br = make_organisation([[KE], [TN], [BR]])
    fill(ke, 300)
    pull(br, NodeSource(ke))
    pull(br, NodeSource(tn))
    source = shelf(br)
    source.files[path("tile/entries/000")] = b"junk"
    fresh = make_node([XX])
    assert br.charter is not None
    fresh.adopt(br.charter)
    report = pull(fresh, source)
    assert set(report.wrong) == {KE.origin}
    assert len(audit(fresh.holdings.tree(TN.origin))) == len(audit(fresh.holdings.tree(BR.origin))) == 3


def test_a_missing_bundle_is_told_and_the_copy_stays_as_it_was() -> None:
    ke, tn = two(300)
    source = shelf(ke)
    del source.files[path("tile/entries/001.p/44")]
    assert isinstance(pull(tn, source).wrong[KE.origin], MissingError)
    assert tn.holdings.tree(KE.origin).size == 0


def test_a_checkpoint_by_a_strange_key_is_refused() -> None:
    ke, tn = two(5)
    entries = list(ke.holdings.tree(KE.origin).entries(0, 5))
    source = shelf(ke)
    source.files["peer/heads"] = offering(ke, signed(entries, TN.keys["log"].seed))
    assert isinstance(pull(tn, source).wrong[KE.origin], ForgedError)
    assert held(tn) == {}


@pytest.mark.parametrize("before", [0, 300], ids=lambda size: f"held-{size}")
def test_a_head_of_an_absurd_size_costs_no_more_than_what_comes_with_it(before: int) -> None:
    ke, tn = two(before)
    pull(tn, NodeSource(ke))
    kept = held(tn)
    checkpoint = Checkpoint(KE.origin, 1 << 62, bytes(32))
    source = shelf(ke)
    source.files["peer/heads"] = offering(ke, Head(checkpoints.sign(checkpoint, KE.keys["log"].seed), checkpoint))
    for content in (b"junk", tile.bundle([b"forged"] * 256)):
        source.files[path(f"tile/entries/{before // 256:03}")] = content
        assert isinstance(pull(tn, source).wrong[KE.origin], MalformedError | MissingError)
    assert {name: content for name, content in held(tn).items() if name in kept} == kept


@pytest.mark.parametrize("size", [3, 5, 9])
def test_a_second_log_under_the_same_origin_with_another_root_is_refused(size: int) -> None:
    """Smaller than the copy, as large, and larger; by somebody who calls himself by the origin of another."""
    ke, tn = two(5)
    pull(tn, NodeSource(ke))
    before = held(tn)
    thief = new_member("ke", "concord.alt", NOW, bytes_from("a thief"))
    entries = [b"thief %d" % number for number in range(size)]
    source = shelf(ke)
    source.files["peer/heads"] = offering(ke, signed(entries, thief.keys["log"].seed))
    with_log(source, entries)
    assert isinstance(pull(tn, source).wrong[KE.origin], ForgedError)
    assert held(tn) == before
    assert tn.disputes() == {}


def test_a_peer_of_another_organisation_is_refused() -> None:
    ke, tn = two(5)
    source = shelf(ke)
    for organisation in ("", "00" * 32):
        source.files["peer/heads"] = offering(ke, organisation=organisation)
        with pytest.raises(RefusedError, match="another organisation"):
            pull(tn, source)
    assert held(tn) == {}


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"\xff", b'{"format":"concord-heads/2","heads":[],"organisation":""}', b"[" * 100_000, b"x" * (17 << 20)],
)
def test_heads_that_are_none_are_malformed(raw: bytes) -> None:
    _, tn = two()
    with pytest.raises(ConcordError):
        pull(tn, Shelf({"peer/heads": raw}))


def test_a_log_that_is_too_large_is_refused_and_leaves_nothing() -> None:
    ke, _ = two(300)
    assert ke.charter is not None
    small = make_node([TN], settings=Settings(log_bytes=2_000))
    small.adopt(ke.charter)
    assert isinstance(pull(small, NodeSource(ke)).wrong[KE.origin], TooLargeError)
    assert held(small) == {}


# Applicants


def stranger(size: int, name: str = "xx") -> Node:
    """The node of somebody who is no member, with a log of `size` entries of 100 bytes."""
    member = make_member(name)
    node = make_node([member])
    node.adopt(make_charter([KE, TN]))
    node.holdings.log(member.origin).append([bytes(100)] * (size - 1))
    return node


def test_the_log_of_an_applicant_may_be_small_and_no_larger_however_often_it_is_pulled() -> None:
    host = make_node([KE], settings=Settings(applicant_bytes=60_000))
    host.adopt(make_charter([KE, TN]))
    applicant = stranger(300)
    assert not pull(host, NodeSource(applicant)).wrong
    for _ in range(3):
        applicant.holdings.log(XX.origin).append([bytes(100)] * 200)
        assert isinstance(pull(host, NodeSource(applicant)).wrong[XX.origin], TooLargeError)
    assert host.holdings.tree(XX.origin).size == 300


def test_the_log_of_an_applicant_grows_no_larger_over_a_line_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "STAGED", 256)
    host = make_node([KE], settings=Settings(applicant_bytes=60_000))
    host.adopt(make_charter([KE, TN]))
    source = NodeSource(stranger(3_000), lambda path: next(turns) % 2 == 1 if "tile/entries" in path else False)
    turns = count()
    outcomes = [pull(host, source).wrong[XX.origin] for _ in range(6)]
    assert any(isinstance(outcome, TooLargeError) for outcome in outcomes)
    storage = host.holdings.storage
    assert isinstance(storage, MemoryStorage)
    assert sum(len(content) for name, content in storage.files.items() if folder(XX.origin) in name) < 120_000


def test_so_many_applicants_are_kept_and_no_more() -> None:
    host = make_node([KE], settings=Settings(applicants=2))
    host.adopt(make_charter([KE, TN]))
    reports = [pull(host, NodeSource(stranger(2, name))) for name in ("x1", "x2", "x3")]
    assert [len(report.wrong) for report in reports] == [0, 0, 1]
    assert isinstance(next(iter(reports[2].wrong.values())), RefusedError)
    assert len(host.holdings.origins()) == 3


# Cosignatures


def witnesses(node: Node, origin: str = KE.origin) -> set[str]:
    head = node.holdings.tree(origin).head
    assert head is not None
    return {line.name for line in head.note.signatures} - {origin}


def test_cosignatures_are_gathered_and_carried_home() -> None:
    ke, tn = two(5)
    for node, source in ((ke, tn), (tn, ke), (ke, tn)):
        pull(node, NodeSource(source))
    assert witnesses(ke) == witnesses(tn) == {f"{TN.origin}/witness"}
    cosigned = ke.holdings.cosigned(KE.origin)
    assert cosigned is not None
    assert cosigned.checkpoint.size == 5


def test_cosignatures_that_do_not_verify_are_left_out_and_spoil_nothing() -> None:
    ke, tn, br = make_organisation([[KE], [TN], [BR]])
    for node, source in ((ke, tn), (ke, br), (tn, br), (br, tn)):
        pull(node, NodeSource(source))
    fill(ke, 9)
    head = ke.holdings.tree(KE.origin).head
    assert head is not None
    good = cosignature.cosign(head.note.text, f"{TN.origin}/witness", TN.keys["witness"].seed, NOW)
    other_time = good._replace(raw=bytes(8) + good.raw[8:])
    bad = cosignature.cosign(head.note.text + "x", f"{BR.origin}/witness", BR.keys["witness"].seed, NOW)
    nobody = cosignature.cosign(head.note.text, f"{XX.origin}/witness", XX.keys["witness"].seed, NOW)
    as_log = cosignature.cosign(head.note.text, KE.origin, KE.keys["witness"].seed, NOW)
    source = shelf(ke)
    for lines, expected in (
        ((bad, nobody, as_log), set()),
        ((bad, good, nobody), {f"{TN.origin}/witness"}),
        ((other_time, bad), {f"{TN.origin}/witness"}),
    ):
        note = Note(head.note.text, (*head.note.signatures[:1], *lines))
        source.files["peer/heads"] = offering(ke, Head(note, head.checkpoint))
        assert KE.origin not in pull(br, source).wrong
        kept = witnesses(br) - {f"{BR.origin}/witness"}
        assert kept == expected


# Blobs


def publish(node: Node, content: bytes, salt: bytes = b"") -> str:
    """Let KE publish a blob; its digest."""
    blob = node.blobs.detach(content, "text/plain", salt)
    node.say(everything(KE.origin), Deposit, {"name": "x", "blob": to_builtins(blob)})
    return blob.digest


def test_blobs_come_with_the_records_that_name_them_but_for_what_is_personal_large_or_erased() -> None:
    ke, _ = two()
    tn = make_node([TN], settings=Settings(blob_bytes=1_000))
    assert ke.charter is not None
    tn.adopt(ke.charter)
    public, empty, large = publish(ke, b"public"), publish(ke, b""), publish(ke, bytes(1_001))
    personal, erased = publish(ke, b"Amina", bytes(32)), publish(ke, b"erased")
    tn.blobs.erase(erased, Tombstone(by=KE.origin, reason="asked", at=NOW, size=0))
    report = pull(tn, NodeSource(ke))
    assert (report.blobs, report.wrong) == (2, {})
    assert set(tn.blobs.digests()) == {public, empty}
    assert not any(map(tn.blobs.have, (large, personal, erased)))
    assert pull(tn, NodeSource(ke)).blobs == 0


def test_a_forged_blob_is_told_and_the_next_peer_asked() -> None:
    ke, tn = two()
    digest = publish(ke, b"public")
    source = shelf(ke)
    source.files[f"peer/blobs/{digest}"] = b"forged"
    assert isinstance(pull(tn, source).wrong[f"blob {digest}"], ForgedError)
    assert not tn.blobs.have(digest)
    assert tn.blobs.received(digest, 6) == 0
    source.files[f"peer/blobs/{digest}"] = b"public, and more than that"
    assert isinstance(pull(tn, source).wrong[f"blob {digest}"], MalformedError)
    assert pull(tn, NodeSource(ke)).blobs == 1
    assert b"".join(tn.blobs.get(digest)) == b"public"


def test_a_blob_that_is_held_there_is_fetched_from_elsewhere() -> None:
    ke, tn = two()
    digest = publish(ke, b"public")
    ke.blobs.hold(digest, Hold(by="safety", reason="an advisory", at=NOW))
    report = pull(tn, NodeSource(ke))
    assert (report.blobs, report.wrong) == (0, {})
    ke.blobs.release(digest, "safety")
    assert pull(tn, NodeSource(ke)).blobs == 1


# Files without a line


def test_a_bundle_brings_what_a_line_would_and_answers_nothing(tmp_path: Path, audit: Audit) -> None:
    ke, tn = two(300)
    publish(ke, b"public")
    export(ke, want(tn), tmp_path / "bundle.zip")
    with BundleSource([tmp_path / "bundle.zip"]) as source:
        report = pull(tn, source)
    assert (report.blobs, report.wrong) == (1, {})
    assert audit(tn.holdings.tree(KE.origin)) == audit(ke.holdings.tree(KE.origin))


def test_progress_is_told() -> None:
    ke, tn = two(300)
    told: list[tuple[str, int, int]] = []
    pull(tn, NodeSource(ke), lambda *said: told.append(said))
    assert told == [(KE.origin, 300, 300)]
