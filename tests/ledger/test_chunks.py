"""The chunk store: what goes in comes out, what is forged stays out, and what two files share is kept once."""

from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import ForgedError, MalformedError, MissingError, StorageError, TooLargeError, UnreachableError
from concord.ledger.chunks import Chunks, Entry
from concord.testing import NOW
from concord.xet import xorb
from concord.xet.chunker import cut
from concord.xet.hashes import ZERO, chunk_hash, file_hash, range_hash, root_of, spell, unspell
from concord.xet.shard import File, Shard, Term, Xorb
from concord.xet.xorb import Header, seal

VECTORS = Path(__file__).parents[1] / "vectors" / "xet"
CLIENTS = (VECTORS / "xorb/good/three-files.xorb").read_bytes()
SHARD = Shard.parse((VECTORS / "shard/good/three-files.shard").read_bytes())
NAME = spell(SHARD.xorbs[0].hash)


def stream(size: int, seed: str = "a") -> bytes:
    return b"".join(sha256(b"%s/%d" % (seed.encode(), number)).digest() for number in range(-(-size // 32)))[:size]


PLAIN = stream(1_500_000)
EDITED = PLAIN[:400_000] + b"an edit" + PLAIN[410_000:]


@pytest.fixture
def chunks(tmp_path: Path) -> Chunks:
    return Chunks(tmp_path / "chunks")


def pieces(content: bytes, size: int = 100_000) -> Iterator[bytes]:
    yield from (content[start : start + size] for start in range(0, len(content), size))


def whole(chunks: Chunks, entry: Entry, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(chunks.read(entry.hash, start, stop))


def packed(contents: list[bytes]) -> tuple[str, bytes]:
    """A xorb as a client makes it, and its name."""
    name = root_of((chunk_hash(content), len(content)) for content in contents)
    return spell(name), b"".join(map(seal, contents))


def described(contents: list[bytes], name: str) -> File:
    """The file that has all of a xorb, as a client describes it."""
    hashes = [chunk_hash(content) for content in contents]
    term = Term(unspell(name), sum(map(len, contents)), 0, len(contents))
    digest = sha256(b"".join(contents)).digest()
    known = file_hash(zip(hashes, map(len, contents), strict=True))
    return File(known, (term,), (range_hash(b"".join(hashes)),), digest)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("index.db")} - {"lock"}


# What clients send


def test_what_a_client_uploads_is_read(chunks: Chunks) -> None:
    assert chunks.put_xorb(NAME, pieces(CLIENTS, 1000), NOW)
    assert not chunks.put_xorb(NAME, pieces(CLIENTS), NOW)
    entries = chunks.put_shard((VECTORS / "shard/good/three-files.shard").read_bytes(), NOW)
    assert {entry.size for entry in entries} == {12, 140_000, 12_000}
    for entry in entries:
        assert sha256(whole(chunks, entry)).hexdigest() == entry.sha256
        assert chunks.by_hash(entry.hash) == chunks.by_digest(entry.sha256) == entry
    hello = chunks.by_digest(sha256(b"Hello World!").hexdigest())
    assert hello is not None and whole(chunks, hello) == b"Hello World!"
    assert chunks.put_shard(bytes(SHARD), NOW + 1) == [Entry(e.hash, e.sha256, e.size, NOW + 1) for e in entries]


def test_a_xorb_with_a_footer_is_the_same(chunks: Chunks) -> None:
    assert chunks.put_xorb(NAME, [(VECTORS / "xorb/good/footer.xorb").read_bytes()], NOW)
    kept, came = chunks.open_xorb(NAME).read_bytes(), (VECTORS / "xorb/good/footer.xorb").read_bytes()
    assert kept.startswith(came) and kept.endswith(b"XXH3")


@pytest.mark.parametrize("path", sorted((VECTORS / "xorb/bad").iterdir()), ids=lambda path: path.stem)
def test_a_bad_xorb_leaves_nothing(chunks: Chunks, tmp_path: Path, path: Path) -> None:
    with pytest.raises(MalformedError):
        chunks.put_xorb(NAME, [path.read_bytes()], NOW)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("path", sorted((VECTORS / "xorb/forged").iterdir()), ids=lambda path: path.stem)
def test_a_forged_xorb_leaves_nothing(chunks: Chunks, tmp_path: Path, path: Path) -> None:
    with pytest.raises(ForgedError):
        chunks.put_xorb(NAME, pieces(path.read_bytes(), 500), NOW)
    assert files(tmp_path) == set()
    assert not chunks.has_xorb(NAME)


@pytest.mark.parametrize("stop", [1, 8, 20, 3000, len(CLIENTS) - 1])
def test_a_xorb_that_breaks_off_leaves_nothing(chunks: Chunks, tmp_path: Path, stop: int) -> None:
    with pytest.raises((MalformedError, ForgedError)):
        chunks.put_xorb(NAME, [CLIENTS[:stop]], NOW)

    def breaking() -> Iterator[bytes]:
        yield CLIENTS[:stop]
        raise UnreachableError("the line broke")

    with pytest.raises(UnreachableError):
        chunks.put_xorb(NAME, breaking(), NOW)
    assert files(tmp_path) == set()


def test_too_many_chunks_are_refused_while_they_come(chunks: Chunks, tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        chunks.put_xorb(NAME, [seal(b"x") * (xorb.CHUNKS_MAX + 1)], NOW)
    bomb = lz4.frame.compress(bytes(1 << 24))
    with pytest.raises(MalformedError):
        chunks.put_xorb(NAME, [bytes(Header(xorb.Scheme.LZ4, 1000, 131_072)) + bomb[:1000]], NOW)
    assert files(tmp_path) == set()


def test_what_is_no_hash_leads_nowhere(chunks: Chunks) -> None:
    for name in ("", "..", "A" * 64, "../" + "a" * 61):
        for ask in (chunks.has_xorb, chunks.open_xorb, chunks.by_hash, chunks.by_digest, chunks.read, chunks.stored, chunks.remove):
            with pytest.raises(MalformedError):
                ask(name)
    nowhere = "ab" * 32
    for ask in (chunks.open_xorb, chunks.read, chunks.reconstruction, chunks.stored, chunks.missing):
        with pytest.raises(MissingError):
            ask(nowhere)
    assert chunks.by_hash(nowhere) is chunks.by_digest(nowhere) is None


def test_a_place_that_cannot_be_written_is_told_in_words(chunks: Chunks, tmp_path: Path) -> None:
    (tmp_path / "chunks" / "incoming").write_text("no folder")
    with pytest.raises(StorageError):
        chunks.ingest([b"x"], NOW)


# Forged shards

PARTS = [b"one" * 100, b"two" * 200, b"three" * 300]
HOME, RAW = packed(PARTS)
TRUE = described(PARTS, HOME)
LISTED = Xorb(unspell(HOME), tuple((chunk_hash(part), len(part)) for part in PARTS))
TERM = TRUE.terms[0]
FORGED = {
    "another-hash": File(ZERO, TRUE.terms, TRUE.ranges, TRUE.digest),
    "wrong-range-hash": File(TRUE.hash, TRUE.terms, (ZERO,), TRUE.digest),
    "wrong-digest": File(TRUE.hash, TRUE.terms, TRUE.ranges, bytes(32)),
    "term-beyond-the-end": File(TRUE.hash, (Term(TERM.xorb, TERM.size, 0, 4),), TRUE.ranges, TRUE.digest),
    "term-of-other-size": File(TRUE.hash, (Term(TERM.xorb, TERM.size + 1, 0, 3),), TRUE.ranges, TRUE.digest),
    "fewer-chunks": File(TRUE.hash, (Term(TERM.xorb, 300, 0, 1),), (range_hash(chunk_hash(PARTS[0])),), sha256(PARTS[0]).digest()),
    "same-chunks-twice": File(TRUE.hash, TRUE.terms * 2, TRUE.ranges * 2, None),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_is_refused_with_all_that_came_with_it(chunks: Chunks, tmp_path: Path, name: str) -> None:
    chunks.put_xorb(HOME, [RAW], NOW)
    chunks.put_xorb(NAME, [CLIENTS], NOW)
    with pytest.raises(ForgedError):
        chunks.put_shard(bytes(Shard((*SHARD.files, FORGED[name]))), NOW)
    assert files(tmp_path) == {HOME, NAME}
    assert chunks.put_shard(bytes(Shard((TRUE,), (LISTED,))), NOW)[0].size == TRUE.size


def test_a_file_without_proof_of_possession_is_malformed(chunks: Chunks) -> None:
    chunks.put_xorb(HOME, [RAW], NOW)
    with pytest.raises(MalformedError):
        chunks.put_shard(bytes(Shard((File(TRUE.hash, TRUE.terms, (), TRUE.digest),))), NOW)


def test_a_shard_needs_its_xorbs_and_says_the_truth_of_them(chunks: Chunks) -> None:
    for shard in (Shard((TRUE,)), Shard((), (LISTED,))):
        with pytest.raises(MissingError):
            chunks.put_shard(bytes(shard), NOW)
    chunks.put_xorb(HOME, [RAW], NOW)
    lie = Xorb(LISTED.hash, (LISTED.chunks[1], *LISTED.chunks[1:]))
    with pytest.raises(ForgedError):
        chunks.put_shard(bytes(Shard((TRUE,), (lie,))), NOW)


def test_a_file_that_swells_is_refused_before_it_is_read(chunks: Chunks) -> None:
    chunks.put_xorb(HOME, [RAW], NOW)
    swelling = File(TRUE.hash, TRUE.terms * 10_000, TRUE.ranges * 10_000)
    with pytest.raises(TooLargeError):
        chunks.put_shard(bytes(Shard((swelling,))), NOW, size_max=1 << 20)
    assert chunks.put_shard(bytes(Shard((TRUE,))), NOW, size_max=TRUE.size)


def test_a_digest_is_computed_where_none_came(chunks: Chunks) -> None:
    chunks.put_xorb(HOME, [RAW], NOW)
    (entry,) = chunks.put_shard(bytes(Shard((File(TRUE.hash, TRUE.terms, TRUE.ranges),))), NOW)
    assert entry.sha256 == sha256(b"".join(PARTS)).hexdigest()
    with pytest.raises(ForgedError):
        chunks.put_shard(bytes(Shard((FORGED["wrong-digest"],))), NOW)


# What comes as a whole


@pytest.mark.parametrize(
    "content", [b"", b"x", bytes(300_000), PLAIN, b"row,row\n" * 60_000], ids=["empty", "one", "zeros", "plain", "text"]
)
def test_what_is_ingested_is_read(chunks: Chunks, content: bytes) -> None:
    digest = sha256(content).hexdigest()
    entry = chunks.ingest(pieces(content), NOW, digest)
    assert (entry.sha256, entry.size, entry.at) == (digest, len(content), NOW)
    assert entry.hash == spell(file_hash((chunk_hash(chunk), len(chunk)) for chunk in cut([content])))
    assert whole(chunks, entry) == content
    assert chunks.by_digest(digest) == entry
    assert list(chunks.verify(deep=True)) == []


def test_a_file_that_is_another_is_refused(chunks: Chunks) -> None:
    with pytest.raises(ForgedError):
        chunks.ingest([PLAIN], NOW, "ab" * 32)
    assert chunks.by_digest(sha256(PLAIN).hexdigest()) is None


def test_an_edited_file_costs_its_edit(chunks: Chunks, tmp_path: Path) -> None:
    first = chunks.ingest([PLAIN], NOW)
    stored = sum(path.stat().st_size for path in (tmp_path / "chunks/xorbs").rglob("*") if path.is_file())
    second = chunks.ingest([EDITED], NOW)
    grown = sum(path.stat().st_size for path in (tmp_path / "chunks/xorbs").rglob("*") if path.is_file()) - stored
    assert 0 < grown < 0.3 * stored
    chunks.ingest([PLAIN], NOW)
    assert sum(path.stat().st_size for path in (tmp_path / "chunks/xorbs").rglob("*") if path.is_file()) == stored + grown
    assert (whole(chunks, first), whole(chunks, second)) == (PLAIN, EDITED)
    plan = chunks.reconstruction(second.hash)
    assert plan is not None and len(plan.spans) == 3


def test_what_repeats_within_a_file_is_kept_once(chunks: Chunks, tmp_path: Path) -> None:
    entry = chunks.ingest([PLAIN, PLAIN, bytes(2_000_000)], NOW)
    assert sum(path.stat().st_size for path in (tmp_path / "chunks/xorbs").rglob("*") if path.is_file()) < 1.2 * len(PLAIN)
    assert whole(chunks, entry) == PLAIN + PLAIN + bytes(2_000_000)


def test_many_tiny_chunks_fill_several_xorbs(chunks: Chunks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concord.ledger.chunks.disk.CHUNKS_MAX", 5)
    entry = chunks.ingest([PLAIN], NOW)
    assert whole(chunks, entry) == PLAIN
    assert len(list(chunks.verify())) == 0
    plan = chunks.reconstruction(entry.hash)
    assert plan is not None and len(plan.fetches) > 3


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Chunks, Entry]:
    """A file whose terms lie in two xorbs."""
    chunks = Chunks(tmp_path_factory.mktemp("shared") / "chunks")
    chunks.ingest([PLAIN], NOW)
    return chunks, chunks.ingest([EDITED], NOW)


@given(st.integers(0, len(EDITED) + 9), st.none() | st.integers(0, len(EDITED) + 9))
def test_any_range_can_be_read(shared: tuple[Chunks, Entry], start: int, stop: int | None) -> None:
    chunks, entry = shared
    assert whole(chunks, entry, start, stop) == EDITED[start:stop]


@given(st.integers(0, len(EDITED) + 9), st.none() | st.integers(0, len(EDITED) + 9))
def test_a_client_can_put_any_range_together(shared: tuple[Chunks, Entry], start: int, stop: int | None) -> None:
    chunks, entry = shared
    plan = chunks.reconstruction(entry.hash, start, stop)
    if plan is None:
        assert EDITED[start:stop] == b""
        return
    content = b""
    for span in plan.spans:
        (fetch,) = [each for each in plan.fetches[span.xorb] if each.start <= span.start and span.stop <= each.stop]
        raw = chunks.open_xorb(span.xorb).read_bytes()[fetch.first : fetch.end]
        unpacked = [xorb.unseal(part) for part in xorb.split([raw])][span.start - fetch.start : span.stop - fetch.start]
        assert sum(map(len, unpacked)) == span.size
        content += b"".join(unpacked)
    wanted = EDITED[start:stop]
    assert content[plan.skip : plan.skip + len(wanted)] == wanted
    assert plan.skip < 131_072 and len(content) < len(wanted) + 262_144


def test_an_empty_file_is_put_together_of_nothing(chunks: Chunks) -> None:
    entry = chunks.ingest([], NOW)
    plan = chunks.reconstruction(entry.hash)
    assert plan is not None and (plan.skip, plan.spans, plan.fetches) == (0, (), {})
    assert entry.hash == "0" * 64


# Between peers


def test_a_peer_sends_what_is_wanted_and_no_more(chunks: Chunks, tmp_path: Path) -> None:
    other = Chunks(tmp_path / "other")
    other.ingest([PLAIN], NOW)
    entry = chunks.ingest([EDITED], NOW)
    listing = list(chunks.listing(entry.hash))
    wanted = list(other.wanted(listing))
    assert 0 < sum(size for _, size in wanted) < 300_000
    with pytest.raises(MissingError):
        other.assemble(entry.hash, listing, NOW)
    with other.collect(NOW) as writer:
        for chunk, _ in wanted:
            writer.add(chunk, chunks.stored(chunk))
    assert list(other.wanted(listing)) == []
    with pytest.raises(ForgedError):
        other.assemble(entry.hash, listing[1:], NOW)
    with pytest.raises(ForgedError):
        other.assemble(entry.hash, listing, NOW, "ab" * 32)
    assert other.assemble(entry.hash, listing, NOW, entry.sha256) == entry
    assert whole(other, entry) == EDITED


def test_a_peer_that_lies_about_a_chunk_is_found_at_once(chunks: Chunks) -> None:
    one, two = chunk_hash(b"one"), seal(b"two")
    with chunks.collect(NOW) as writer:
        writer.add(spell(chunk_hash(b"two")), two)
        with pytest.raises(ForgedError):
            writer.add(spell(one), two)
    assert chunks.stored(spell(chunk_hash(b"two"))) == two
    with pytest.raises(MissingError):
        chunks.stored(spell(one))


def test_a_line_that_breaks_costs_nothing_that_came(chunks: Chunks) -> None:
    parts = list(cut([PLAIN]))
    with suppress(UnreachableError), chunks.collect(NOW) as writer:
        for part in parts[:7]:
            writer.add(spell(chunk_hash(part)), seal(part))
        raise UnreachableError("the line broke")
    listing = [(spell(chunk_hash(part)), len(part)) for part in parts]
    assert list(chunks.wanted(listing)) == listing[7:]


# A reserve


def test_whatever_comes_leaves_the_reserve_and_nothing_half(tmp_path: Path) -> None:
    reserve = [0]
    chunks = Chunks(tmp_path / "chunks", lambda: reserve[0])
    entry = chunks.ingest(pieces(PLAIN), NOW)
    before, reserve[0] = files(chunks.root), 1 << 62
    name, raw = packed([b"one", b"two"])
    with pytest.raises(StorageError, match="reserve_bytes"):
        chunks.put_xorb(name, [raw], NOW)
    with pytest.raises(StorageError, match="disk is full"):
        chunks.ingest(pieces(EDITED), NOW)
    with pytest.raises(StorageError, match="disk is full"), chunks.collect(NOW) as writer:
        writer.add(spell(chunk_hash(b"three")), seal(b"three"))
    assert files(chunks.root) == before
    assert chunks.ingest(pieces(PLAIN), NOW).hash == entry.hash  # what is here already needs no room
    reserve[0] = 0
    assert chunks.put_xorb(name, [raw], NOW)


def test_what_was_set_aside_is_mended_on_a_full_disk(tmp_path: Path) -> None:
    chunks = Chunks(tmp_path / "chunks", lambda: 1 << 62)
    Chunks(chunks.root).ingest(pieces(PLAIN), NOW)
    (entry,) = chunks.entries()
    (xorb,) = chunks.xorbs_of(entry.hash)
    chunks.set_aside(xorb)
    assert chunks.salvage(NOW)
    assert whole(chunks, entry) == PLAIN
