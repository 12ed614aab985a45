"""What comes into the chunk store, and what goes out; `concord.ledger.chunks.upkeep` keeps it sound, and clears away."""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256 as sha256_of
from itertools import groupby, islice
from pathlib import Path

from sqlalchemy import Connection

from concord.errors import DamagedError, ForgedError, MalformedError, MissingError, StorageError, TooLargeError
from concord.ledger.chunks import answers, index
from concord.ledger.chunks.answers import LANDED_AGE, Opening, Reconstruction, Span
from concord.ledger.chunks.disk import PARTIAL, Disk, NewXorb
from concord.ledger.chunks.index import Entry, Index, Place
from concord.ledger.chunks.reader import Part, Stream, damaged
from concord.ledger.chunks.writer import Weave, Writer
from concord.ledger.storage.files import TEMPORARY, Files, free
from concord.xet.chunker import cut
from concord.xet.hashes import ZERO, Tree, chunk_hash, file_hash_of, range_hash, spell, unspell
from concord.xet.shard import File, Shard, Term, answer, turned
from concord.xet.xorb import Table, seal, split, unseal

BATCH = 32  # chunks that are looked up at once: some 2 MiB


class Store:
    """The part of `Chunks` by which bytes come and go."""

    def __init__(self, root: Path, reserve: Callable[[], int] = lambda: 0) -> None:
        """`reserve` tells how many bytes of the disk whatever comes in leaves free."""
        self.root, self._reserve = root, reserve
        self._disk = Disk(root)
        self._files = Files(root)
        root.mkdir(parents=True, exist_ok=True)
        self._index = Index(root / "index.db", self._fill)
        self._adopt()

    # What comes in

    def need(self, size: int) -> None:
        """StorageError unless `size` bytes more may come. Whoever writes something large into the home asks before each piece."""
        room = max(0, free(self.root) - self._reserve())
        if size > room:
            raise StorageError(
                f"{self.root}: the disk is full: {size / 1e6:,.1f} MB are to come, and {room / 1e6:,.1f} MB are left for "
                "large files (see the setting reserve_bytes). Free some space, then do it again"
            )

    def put_xorb(self, name: str, pieces: Iterable[bytes], at: int) -> bool:
        """Take a xorb, all of it verified; whether it is new. Its chunks can be built on at once.

        MalformedError or TooLargeError if it is no xorb, ForgedError if it is another one; then nothing of it stays.
        """
        return not self.has_xorb(name) and self._take_xorb(unspell(name), split(pieces), at, self.need)

    def _take_xorb(self, wanted: bytes, chunks: Iterable[bytes], at: int, need: Callable[[int], None]) -> bool:
        with self._disk.new_xorb() as new:
            for stored in chunks:
                content = unseal(stored)
                need(len(stored))
                new.add(chunk_hash(content), stored, len(content))
            return self._land(new, at, wanted)

    def put_shard(self, raw: bytes, at: int, size_max: int | None = None) -> list[Entry]:
        """Take the files of a shard, each computed anew from its chunks, down to its SHA-256.

        MissingError if it needs a xorb that is not here, MalformedError if it is no shard or does not prove that its sender has the
        chunks, ForgedError if anything in it is not so; then none of its files is taken. TooLargeError if a file has more than
        `size_max` bytes: a short shard can name the same chunks a million times.
        """
        shard = Shard.parse(raw)
        if size_max is not None and any(file.size > size_max for file in shard.files):
            raise TooLargeError(f"a file of more than {size_max} bytes")
        for xorb in shard.xorbs:
            if not xorb.is_of(self._disk.table(xorb.hash)):
                raise ForgedError(f"the shard says other chunks of xorb {spell(xorb.hash)} than it has")
        entries = [self._checked(file, at) for file in shard.files]
        return [self._settle(file, entry) for file, entry in zip(shard.files, entries, strict=True)]

    def ingest(self, pieces: Iterable[bytes], at: int, sha256: str | None = None) -> Entry:
        """Take a whole file, of which only what is new is stored. ForgedError if it does not have the SHA-256 that was said."""
        digest, tree, weave, size = sha256_of(), Tree(), Weave(), 0
        reserved: set[bytes] = set()
        chunks = cut(_hashed(pieces, digest.update))
        with self._writer(at, TEMPORARY) as writer:
            while batch := [(chunk_hash(content), content) for content in islice(chunks, BATCH)]:
                known = self._reserved([chunk for chunk, _ in batch], at, reserved)
                for chunk, content in batch:
                    home, number = _home(weave, writer, known.get(chunk, ()), chunk) or self._put(writer, chunk, content)
                    weave.add(home, number, chunk, len(content))
                    tree.add(chunk, len(content))
                    size += len(content)
        if sha256 not in (None, digest.hexdigest()):
            raise ForgedError(f"what came as the file with SHA-256 {sha256} is something else")
        return self._keep(file_hash_of(tree.root()), weave, Entry("", digest.hexdigest(), size, at))

    def _put(self, writer: Writer, chunk: bytes, content: bytes) -> tuple[NewXorb, int]:
        self.need(len(content))
        return writer.put(chunk, seal(content), len(content))

    def collect(self, at: int) -> AbstractContextManager[Writer]:
        """To take chunks from a peer one by one (`Writer.add`); after a crash, those that came are here all the same."""
        return self._writer(at, PARTIAL)

    def assemble(self, name: str, chunks: Iterable[tuple[str, int]], at: int, sha256: str | None = None) -> Entry:
        """Make a file of chunks that are here, as (hash, size) in order; also anew, where what it was made of is damaged.

        MissingError if a chunk is not here, ForgedError if they are not the file of this hash, or have another SHA-256.
        """
        weave, tree, size, rest = Weave(), Tree(), 0, iter(chunks)
        reserved: set[bytes] = set()
        while batch := [(unspell(chunk), length) for chunk, length in islice(rest, BATCH)]:
            known = self._reserved([chunk for chunk, _ in batch], at, reserved)
            for chunk, length in batch:
                home = _home(weave, None, known.get(chunk, ()), chunk)
                if home is None:
                    raise MissingError(f"no chunk {spell(chunk)} here")
                weave.add(*home, chunk, length)
                tree.add(chunk, length)
                size += length
        if file_hash_of(tree.root()) != unspell(name):
            raise ForgedError(f"what came as the chunks of file {name} are others")
        before = self.by_hash(name)  # then its SHA-256 was computed already, of the same chunks
        digest = before.sha256 if before else self._digest([term for term, _ in weave.terms()])
        if sha256 not in (None, digest):
            raise ForgedError(f"file {name} does not have SHA-256 {sha256}")
        return self._keep(unspell(name), weave, Entry(name, digest, size, at))

    # What goes out

    def has_xorb(self, name: str) -> bool:
        """Whether the xorb is here."""
        with self._index.reading() as db:
            return bool(index.known_xorbs(db, [unspell(name)]))

    def open_xorb(self, name: str) -> Path:
        """The file of a xorb, for whoever is sent ranges of it and verifies the chunks. MissingError if it is not here."""
        if not self.has_xorb(name):
            raise MissingError(f"no xorb {name} here")
        return self._disk.xorb(unspell(name))

    def by_hash(self, name: str) -> Entry | None:
        """The file with this hash, if it is here."""
        return self._one("hash", unspell(name))

    def by_digest(self, sha256: str) -> Entry | None:
        """The file with this SHA-256, if it is here."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise MalformedError(f"not a SHA-256: {sha256[:80]!r}")
        return self._one("sha256", bytes.fromhex(sha256))

    def entries(self) -> list[Entry]:
        """All files that are here."""
        with self._index.reading() as db:
            return list(index.files(db))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes [start, stop) of a file, about 1 MiB at a time, each chunk checked.

        MissingError if it or a xorb of it is not here; DamagedError in the place of content that is not what was written.
        """
        return map(bytes, self.flow(name, start, stop))

    def flow(self, name: str, start: int = 0, stop: int | None = None) -> Stream:
        """The same for whoever is done with a piece before asking for the next: they are all one, filled anew.

        So nothing is copied, and no memory asked for, which would cost more than the reading.
        """
        entry = self._entry(name)
        stop = entry.size if stop is None else min(stop, entry.size)
        return Stream(self._parts(self._terms(unspell(name), start, stop), start, stop))

    def reconstruction(self, name: str, start: int = 0, stop: int | None = None) -> Reconstruction | None:
        """How a client puts bytes [start, stop) of a file together; None if the file ends before `start`."""
        entry = self._entry(name)
        stop = entry.size if stop is None else min(stop, entry.size)
        if start >= stop and entry.size:
            return None
        return answers.reconstruction(self._disk, self._terms(unspell(name), start, stop), start, stop)

    def neighbourhood(
        self,
        chunk: str,
        files: Callable[[str], bool],
        xorbs: Callable[[str], bool],
        at: int,
        life: int,
        turn: int | None = None,
    ) -> bytes | None:
        """The answer to a client that asks for a chunk, or None: all that the files with this chunk are made of.

        Only chunks of files that `files` allows are in it, and of xorbs without a file that `xorbs` allows (those of an upload that
        was cut). With a `turn`, counted from 0, such xorbs are told even if the chunk is not here (`answers.Opening`). The client
        may build on it for `life` seconds: what it names counts as young from now on.
        """
        asked, opening = unspell(chunk), None if turn is None else Opening(at - LANDED_AGE, turn)
        with self._index.reading() as db:
            shown = answers.shown(db, index.places(db, [asked]).get(asked, []), files, xorbs, opening)
        if shown is None:
            return None
        with self._files.lock("lock"), self._index.writing() as db:
            here = self._touch(db, shown, at)
        return answer([answers.masked(self._disk, name, shown[name], stored) for name, stored in here.items()], at, at + life)

    # What peers need

    def listing(self, name: str) -> Iterator[tuple[str, int]]:
        """The chunks of a file, as (hash, size) in order."""
        self._entry(name)
        yield from self._listed(unspell(name), {})

    def wanted(self, chunks: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        """Those of the chunks that are not here, each once."""
        rest, seen = iter(chunks), set()
        while batch := list(islice(rest, BATCH)):
            known = self._known([unspell(chunk) for chunk, _ in batch])
            for chunk, size in batch:
                raw = unspell(chunk)
                if raw not in known and raw not in seen:
                    seen.add(raw)
                    yield chunk, size

    def missing(self, name: str) -> list[Span]:
        """The parts of a file whose xorbs are not here, or were set aside."""
        entry = self._entry(name)
        parts = [term for _, term in self._terms(unspell(name), 0, entry.size)]
        with self._index.reading() as db:
            here = index.known_xorbs(db, {term.xorb for term in parts})
        return [Span(spell(term.xorb), term.start, term.stop, term.size) for term in parts if term.xorb not in here]

    def stored(self, chunk: str) -> bytes:
        """A chunk as it is stored, verified. MissingError if it is not here."""
        asked = unspell(chunk)
        places = self._known([asked]).get(asked)
        if not places:
            raise MissingError(f"no chunk {chunk} here")
        return self._disk.stored(places[0].xorb, places[0].number)

    def shard(self, name: str) -> bytes:
        """How a file is put together, as its shard. MissingError if it is not here; DamagedError if it is not what was written."""
        self._entry(name)
        _, raw = read_shard(self._disk.shard(unspell(name)))
        return raw

    def users(self, xorb: str) -> dict[str, list[tuple[int, int]]]:
        """The SHA-256 of each file that has chunks of a xorb, and which: [start, stop)."""
        found: dict[str, list[tuple[int, int]]] = {}
        with self._index.reading() as db:
            for digest, start, stop in index.users(db, unspell(xorb)):
                found.setdefault(digest.hex(), []).append((start, stop))
        return found

    def table(self, xorb: str) -> Table:
        """Where the chunks of a xorb are. MissingError if it is not here; DamagedError if its footer is not what was written."""
        return self._disk.table(unspell(xorb))

    def sealed(self, xorb: str, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of a xorb as stored. DamagedError in the place of a chunk that is not what was written."""
        raw = unspell(xorb)
        table = self._disk.table(raw)
        for number in range(bisect_right(table.stops, start), bisect_left(table.stops, stop) + 1):
            first, _ = table.place(number, number + 1)
            yield self._disk.stored(raw, number)[max(start - first, 0) : stop - first]

    def xorbs_of(self, name: str, start: int = 0, stop: int | None = None) -> list[str]:
        """The xorbs that have the chunks of a file, or of bytes [start, stop) of it, here or not."""
        stop = self._entry(name).size if stop is None else stop
        return list(dict.fromkeys(spell(term.xorb) for _, term in self._terms(unspell(name), start, stop)))

    def content(self, chunk: str) -> bytes:
        """The content of a chunk, verified. MissingError if it is not here."""
        return unseal(self.stored(chunk))

    def coming(self, sha256: str) -> Path:
        """The folder for what comes of a file until it is whole (`concord.ledger.chunks.coming`)."""
        return self.root / "coming" / sha256

    # Inside

    def _fill(self, db: Connection) -> None:
        """Enter what is here; what is damaged is left out, and `verify` tells of it."""
        for spelled, path in self._disk.names("xorbs"):
            with suppress(DamagedError):
                index.add_xorb(db, unspell(spelled), self._disk.table(unspell(spelled)), int(path.stat().st_mtime))
        for _, path in self._disk.names("shards"):
            with suppress(DamagedError):
                file, _ = read_shard(path)
                assert file.digest is not None
                entry = Entry(spell(file.hash), turned(file.digest).hex(), file.size, int(path.stat().st_mtime))
                index.put_file(db, entry, file.hash, file.terms)

    def _adopt(self) -> None:
        """Keep the chunks that a peer had sent when the process ended; remove what else was unfinished."""
        for path, file in self._disk.leftovers():
            if path.name.endswith(PARTIAL):
                at = int(os.fstat(file.fileno()).st_mtime)
                with self._writer(at, TEMPORARY) as writer, suppress(MalformedError):
                    for stored in split(iter(lambda: file.read(1 << 20), b"")):  # noqa: B023  called in this turn only
                        content = unseal(stored)
                        writer.put(chunk_hash(content), stored, len(content))

    def _writer(self, at: int, suffix: str) -> Writer:
        return Writer(self._disk, partial(self._land, at=at), suffix, self.need)

    def _land(self, new: NewXorb, at: int, wanted: bytes | None = None) -> bool:
        """Give a new xorb its place, then enter it. Whether it was not here."""
        table = new.finish(at)
        if wanted not in (None, table.root):
            raise ForgedError(f"what came as xorb {spell(wanted or ZERO)} is another")
        with self._files.lock("lock"), self._index.writing() as db:
            if index.known_xorbs(db, [table.root]):
                index.touch_xorbs(db, [table.root], at)
                return False
            self._disk.place(new.path, self._disk.xorb(table.root))
            index.add_xorb(db, table.root, table, at)
        return True

    def _listed(self, name: bytes, tables: Mapping[bytes, Table]) -> Iterator[tuple[str, int]]:
        """The chunks of a file, as (hash, size) in order; those of xorbs that are not here by these `tables`."""
        for _, term in self._terms(name, 0, index.SIZE_MAX):
            table = tables.get(term.xorb) or self._disk.table(term.xorb)
            for chunk, size in table.chunks(term.start, term.stop):
                yield spell(chunk), size

    def _known(self, chunks: Sequence[bytes]) -> dict[bytes, list[Place]]:
        with self._index.reading() as db:
            return index.places(db, chunks)

    def _reserved(self, chunks: Sequence[bytes], at: int, reserved: set[bytes]) -> dict[bytes, list[Place]]:
        """Where each chunk is, in xorbs that `gc` leaves alone from now on; `reserved` are those known to be young."""
        known = self._known(chunks)
        homes = {place.xorb for places in known.values() for place in places} - reserved
        if homes:
            with self._files.lock("lock"), self._index.writing() as db:
                reserved.update(self._touch(db, homes, at))
        return {chunk: [place for place in places if place.xorb in reserved] for chunk, places in known.items()}

    def _touch(self, db: Connection, names: Iterable[bytes], at: int) -> dict[bytes, int]:
        """Those of the xorbs that are here, with their sizes; they count as young from `at` on."""
        here = index.known_xorbs(db, names)
        index.touch_xorbs(db, here, at)
        for name in here:
            with suppress(FileNotFoundError):  # `verify` tells of it
                os.utime(self._disk.xorb(name), (at, at))
        return here

    def _checked(self, file: File, at: int) -> Entry:
        """What a file of a shard is, computed from its chunks."""
        if len(file.ranges) != len(file.terms):
            raise MalformedError(f"file {spell(file.hash)} comes without range hashes")
        tree = Tree()
        for xorb, some in groupby(zip(file.terms, file.ranges, strict=True), lambda each: each[0].xorb):
            table = self._disk.table(xorb)
            for term, proof in some:
                if term.stop > len(table) or term.size != table.size(term.start, term.stop):
                    raise ForgedError(f"file {spell(file.hash)} names chunks that xorb {spell(xorb)} does not have")
                if proof != range_hash(table.hashes[term.start * 32 : term.stop * 32]):
                    raise ForgedError(f"file {spell(file.hash)} comes with a wrong range hash")
                for chunk, size in table.chunks(term.start, term.stop):
                    tree.add(chunk, size)
        if file_hash_of(tree.root()) != file.hash:
            raise ForgedError(f"what came as the chunks of file {spell(file.hash)} are others")
        known = self._one("hash", file.hash)
        digest = known.sha256 if known else self._digest(file.terms)
        if not file.has_digest(bytes.fromhex(digest)):
            raise ForgedError(f"file {spell(file.hash)} does not have the SHA-256 that came with it")
        return Entry(spell(file.hash), digest, file.size, at)

    def _digest(self, terms: Iterable[Term]) -> str:
        """The SHA-256 of the content."""
        digest = sha256_of()
        for piece in Stream(self._parts(((0, term) for term in terms), 0, index.SIZE_MAX)):
            digest.update(piece)
        return digest.hexdigest()

    def _keep(self, name: bytes, weave: Weave, entry: Entry) -> Entry:
        """Keep a file that was woven of chunks that are here."""
        terms, ranges = zip(*weave.terms(), strict=True) if entry.size else ((), ())
        return self._settle(File(name, terms, ranges), replace(entry, hash=spell(name)))

    def _settle(self, file: File, entry: Entry) -> Entry:
        """Write the shard of a file whose content is verified, then enter it."""
        whole = replace(file, digest=turned(bytes.fromhex(entry.sha256)))
        with self._files.lock("lock"), self._index.writing() as db:
            needed = {term.xorb for term in file.terms}
            if len(index.known_xorbs(db, needed)) < len(needed):
                raise MissingError(f"file {entry.hash} needs a xorb that was cleared away meanwhile")
            self._disk.write(self._disk.shard(file.hash), Shard((whole,)).pieces(), entry.at)
            index.put_file(db, entry, file.hash, file.terms)
        return entry

    def _one(self, column: str, value: bytes) -> Entry | None:
        with self._index.reading() as db:
            return index.one_file(db, column, value)

    def _entry(self, name: str) -> Entry:
        entry = self.by_hash(name)
        if entry is None:
            raise MissingError(f"no file {name} here")
        return entry

    def _terms(self, name: bytes, start: int, stop: int) -> list[tuple[int, Term]]:
        with self._index.reading() as db:
            return index.terms(db, name, start, stop)

    def _parts(self, terms: Iterable[tuple[int, Term]], start: int, stop: int) -> Iterator[Part]:
        """What is to be read of the xorbs for bytes [start, stop) of a file, of which these are the terms, each with its offset."""
        for xorb, some in groupby(terms, lambda each: each[1].xorb):
            with self._disk.reader(xorb) as reader:
                table = reader.held.table
                for offset, term in some:
                    first, last = answers.within(table, term, start - offset, stop - offset)
                    place = offset + answers.before(table, term, first)
                    yield Part(reader, first, last, start - place, stop - place)


def _home(weave: Weave, writer: Writer | None, known: Sequence[Place], chunk: bytes) -> tuple[NewXorb | bytes, int] | None:
    """Where a chunk of a file is: best after the one before it, else in what is being written, else anywhere."""
    for place in known:
        if weave.follows(place.xorb, place.number):
            return place.xorb, place.number
    if writer is not None and (found := writer.find(chunk)) is not None:
        return found
    return (known[0].xorb, known[0].number) if known else None


def _hashed(pieces: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for piece in pieces:
        update(piece)
        yield piece


def read_shard(path: Path) -> tuple[File, bytes]:
    """The file of a stored shard, and its bytes."""
    raw = path.read_bytes()
    try:
        shard = Shard.parse(raw)
    except MalformedError as e:
        raise damaged(path, "it is not what was written") from e
    if len(shard.files) != 1 or spell(shard.files[0].hash) != path.name or shard.files[0].digest is None or bytes(shard) != raw:
        raise damaged(path, "it is not what was written")
    return shard.files[0], raw
