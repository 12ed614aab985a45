"""A node: the ledger, the view computed from it, and what is private to it, put together.

This is the one place that names every pillar, in order; import law, replay order, navigation, docs and CLI follow it. It is
also the one place where it is decided who may say what (`Node.say`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from logging import getLogger
from pathlib import Path
from threading import RLock
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from concord.config import Settings
from concord.errors import ClockError, DamagedError, MalformedError, MissingError, RefusedError, TooLargeError
from concord.ledger import evidence, witness
from concord.ledger import identity as identities
from concord.ledger.blobs import Blobs, Tombstone, unsalted
from concord.ledger.chunks import Chunks
from concord.ledger.evidence import Evidence
from concord.ledger.holdings import Holdings
from concord.ledger.identity import Identity
from concord.ledger.keyring import OFFICE, NewMember, PrivateKey
from concord.ledger.pillar import Role
from concord.ledger.record import ENCODER, Detached, Record, Sealed, read_header, seal, tag
from concord.ledger.statements import LEDGER, Erase, erasures
from concord.ledger.statements import evidence as evidence_table
from concord.ledger.storage.database import reading, writing
from concord.ledger.storage.database import version as database_version
from concord.ledger.tree import Head
from concord.ledger.view import View, blobs, logs
from concord.pillars import commons, members
from concord.pillars.members import Charter, Effect, Roster, Said, Standing
from concord.pillars.members import view as members_view
from concord.private import damages, memory, tables
from concord.private.people import Speaker
from concord.tlog.merkle import leaf_hash
from concord.tlog.note import Signature, VerifierKey
from concord.tlog.policy import Group, Policy, safe_quorum

logger = getLogger("concord.node")

PILLARS = (members.PILLAR, commons.PILLAR)

CHARTER = "charter"  # the name in storage of the organisation's charter, canonical JSON
SERVED = "organisation"  # the name in node.db of the digest of the charter that is served
ENOUGH = "enough-members"  # the group in a policy that makes its quorum
_SAID_ANEW = ("by", "at", "org", "type")  # the fields of a record that `say` fills in
CLOCK_TOLERANCE = 600  # seconds that a log's last record may be ahead of this machine's clock


@dataclass(frozen=True)
class Receipt:
    """Where a record stands that was just said. `leaf` is in hexadecimal digits."""

    origin: str
    index: int
    leaf: str


class Node:
    """One node. `clock` gives POSIX seconds; `private` and `view_engine` are node.db and view.db."""

    def __init__(
        self,
        settings: Settings,
        holdings: Holdings,
        blobs: Blobs,
        private: Engine,
        view_engine: Engine,
        clock: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.holdings = holdings
        self.blobs = blobs
        self.private = private
        self.clock = clock
        self.memory = memory.Memory(private)
        self._view_engine = view_engine
        self._catching_up = RLock()
        self._last_at: dict[str, int] = {}
        self._disputes_found = 0
        self._known_said: tuple[tuple[int, ...], Said] | None = None
        self._known_disputes: tuple[tuple[int, ...], dict[str, Evidence]] | None = None
        tables.prepare(private)
        self.charter = self._stored_charter()
        self.view = View(view_engine, PILLARS, self.organisation)

    @cached_property
    def chunks(self) -> Chunks:
        """The chunk store under the blobs. Opened when it is first needed."""
        return Chunks(self._chunks_folder, lambda: self.settings.reserve_bytes)

    @property
    def has_chunks(self) -> bool:
        """Whether there is a chunk store already."""
        return self._chunks_folder.is_dir()

    @property
    def _chunks_folder(self) -> Path:
        return self.blobs.root / "chunks"

    # The organisation

    @property
    def organisation(self) -> str:
        """The digest of the charter that this node serves; empty before it founds or joins."""
        return self.charter.digest() if self.charter else ""

    def adopt(self, charter: Charter) -> None:
        """Serve the organisation of `charter`. RefusedError if this node serves another."""
        if self.charter is not None and self.charter != charter:
            raise RefusedError(f"this node serves {self.charter.name} already, and one node serves one organisation")
        self.holdings.storage.write({CHARTER: ENCODER.encode(charter)})
        with self.private_writing() as db:
            tables.put(db, SERVED, charter.digest())
        self.charter = charter
        self.view = View(self._view_engine, PILLARS, self.organisation)
        self.catch_up()

    def roster(self, effects: Iterable[Effect] = (), cut: Mapping[str, int] | None = None) -> Roster:
        """Who has which standing, up to `cut` (None: all there is), once `effects` were decided."""
        if self.charter is None:
            return Roster({}, in_force=False)
        return members.roster(self.charter, self._said(cut), effects, self.clock())

    def _said(self, cut: Mapping[str, int] | None) -> Said:
        """What members said of membership; of all there is, kept until the view changes."""
        version = self.view.version
        if cut is None and self._known_said is not None and self._known_said[0] == version:
            return self._known_said[1]
        with self.reading() as db:
            said = members_view.said(db, self.organisation, cut)
        if cut is None:
            self._known_said = (version, said)
        return said

    def policy(self, origin: str) -> Policy:
        """What makes a checkpoint of `origin` good: its signature, and a safe quorum of the other members' witnesses."""
        return self.policies()(origin)

    def policies(self) -> Callable[[str], Policy]:
        """The policy for each origin, as of now: for whoever needs many.

        Whoever is entitled to membership counts, acceded or not, so that all nodes ask for the same quorum from the first
        day. A member that changed its witness key counts once, by either. A quorum larger than the number of witnesses whose
        keys are known here cannot be met yet. The names of witnesses and groups have a slash, which no member's has, so that
        no member's name is taken for another word of the policy.
        """
        entitled = {seat.origin: (seat.id, self._witness_keys(seat.origin)) for seat in self.roster().entitled()}

        def policy(origin: str) -> Policy:
            others = [named for other, named in entitled.items() if other != origin]
            if not others:
                return Policy(self._log_keys(origin))
            witnesses = {f"{name}/{number}": key for name, keys in others for number, key in enumerate(keys, 1)}
            groups = {
                f"{name}/": Group(1, tuple(f"{name}/{number}" for number in range(1, len(keys) + 1)))
                for name, keys in others
                if keys
            }
            groups[ENOUGH] = Group(safe_quorum(len(others)), tuple(groups))
            return Policy(self._log_keys(origin), witnesses, groups, ENOUGH)

        return policy

    def _witness_keys(self, origin: str) -> list[VerifierKey]:
        """The witness keys of the last two identities of a member."""
        return list(dict.fromkeys(identity.witness_key() for identity in self.holdings.identities(origin)[-2:]))

    def _log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """The log keys of `origin`; of a log that is not held here and is disputed, those that the evidence brings."""
        known = self.holdings.log_keys(origin)
        found = None if known else self.disputes().get(origin)
        if found is None:
            return known
        standing = identities.read_chain(entry.encode() for entry in found.identities)
        return tuple(dict.fromkeys(key for identity in standing for key in identity.log_keys()))

    # Reading

    def reading(self) -> AbstractContextManager[Connection]:
        """The view, to read from."""
        return self.view.reading()

    def private_reading(self) -> AbstractContextManager[Connection]:
        """node.db, to read from."""
        return reading(self.private)

    def private_writing(self) -> AbstractContextManager[Connection]:
        """node.db, to write to."""
        return writing(self.private)

    def read(self, entry: bytes) -> Record:
        """The record that `entry` spells. MalformedError if this version reads none."""
        record: Record = self.view.codec.decode(entry)
        return record

    # Bytes

    def blob(self, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes [start, stop) of a blob, for whoever gives them out or reads them. Errors as those of `Blobs.get`.

        What is damaged is found no more from then on, and noted, so that it comes again from whoever has it.
        """
        return self._noting(digest, self.blobs.get(digest, start, stop))

    def attached(self, part: Detached) -> bytes:
        """The content that `part` of a record stands for, without its salt. Errors as those of `blob`."""
        return unsalted(part, b"".join(self.blob(part.digest)))

    def _noting(self, digest: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from pieces
        except DamagedError:
            with suppress(MissingError):  # somebody else has found it, too
                self.check_blob(digest)
            raise

    def check_blob(self, digest: str) -> None:
        """Read a blob through; if it is damaged, let it be found no more, and note it."""
        try:
            self.blobs.check(digest)
        except DamagedError as e:
            self.lost("file", digest, str(e))
            self.blobs.set_aside(digest, self.clock())

    def lost(self, kind: str, name: str, reason: str) -> None:
        """Note that the disk lost something of this kind and name (`concord.private.damages`)."""
        reason = reason.rpartition(". ")[0] or reason  # without what to do about it, which is done
        with self.private_writing() as db:
            if damages.note(db, kind, name, reason, self.clock()):
                logger.warning("the disk lost something: %s %s: %s", kind, name, reason)

    # Saying

    def say(self, speaker: Speaker, kind: type[Record], fields: Mapping[str, Any]) -> Receipt:
        """Let `speaker` say a record of `kind` with these fields (JSON values), and read it into the view.

        1. the kind is one that people may say, and the speaker has the role for it;
        2. the speaker's member has its log here;
        3. the clock does not contradict the log;
        4. the record is well formed; a kind that binds is sealed by the member's office;
        5. it is appended: durable, signed, published.

        RefusedError, ClockError, MalformedError or StorageError if not.
        """
        return self._append([self.compose(speaker, kind, fields)])[0]

    def compose(self, speaker: Speaker, kind: type[Record], fields: Mapping[str, Any]) -> Record:
        """What `say` would append, checked (steps 1 to 4) and not yet said."""
        self._authorise(speaker, kind)
        return self._compose(speaker.origin, kind, fields)

    def say_composed(self, speaker: Speaker, records: Sequence[Record]) -> list[Receipt]:
        """Say records composed before, in one commit of the log: all of them, or none."""
        for record in records:
            self._authorise(speaker, type(record))
            if record.by != speaker.origin:
                raise RefusedError(f"{speaker.person} speaks for {speaker.origin}, and not for {record.by}")
        return self._append(records)

    def _authorise(self, speaker: Speaker, kind: type[Record]) -> None:
        role = self._role(kind)
        if not speaker.may(role):  # 1
            raise RefusedError(
                f"{tag(kind)} is for a person with the role {role} to say, and {speaker.person} does not have it here"
            )

    def say_itself(self, origin: str, kind: type[Record], fields: Mapping[str, Any]) -> Receipt:
        """Say what the node itself says for a member, such as evidence."""
        if self._role(kind) is not Role.NODE:
            raise RuntimeError(f"{tag(kind)} is for people to say")
        return self._append([self._compose(origin, kind, fields)])[0]

    def found(self, member: NewMember) -> None:
        """Begin the log of a member just made, with its identity."""
        self.holdings.begin(member)
        self.catch_up()

    def say_identity(self, said: Identity) -> Receipt:
        """Put a new identity, sealed by the member's root, into its log."""
        return self._append([said])[0]

    def _compose(self, origin: str, kind: type[Record], fields: Mapping[str, Any]) -> Record:
        self.holdings.log(origin)  # 2
        now = self.clock()
        self._check_clock(origin, now)  # 3
        values = {**fields, "type": tag(kind), "by": origin, "at": now}
        values.setdefault("org", self.organisation)
        try:  # 4
            record = msgspec.convert(values, kind)
        except msgspec.ValidationError as e:
            raise MalformedError(f"{tag(kind)}: {e}") from e
        if isinstance(record, Sealed) and not record.seals:
            record = seal(record, [self._office_seed(origin)])
        return record

    def _append(self, records: Sequence[Record]) -> list[Receipt]:
        """Step 5, for records of one member."""
        origin = records[0].by
        if origin in self.disputes():
            raise RefusedError(f"{origin} signed two different histories; a decision has to say how it goes on")
        entries = [self.view.codec.encode(record) for record in records]
        indexes = self.holdings.log(origin).append(entries)
        self._last_at[origin] = max(record.at for record in records)
        self.catch_up([origin])
        if any(isinstance(record, Erase) for record in records):
            self.erase()
        return [Receipt(origin, index, leaf_hash(entry).hex()) for index, entry in zip(indexes, entries, strict=True)]

    def _role(self, kind: type[Record]) -> Role:
        return next(pillar.roles[kind] for pillar in (LEDGER, *PILLARS) if kind in pillar.roles)

    def _office_seed(self, origin: str) -> bytes:
        identity = self.holdings.identity(origin)
        key = self.holdings.keyring.first([identity.organs[OFFICE]]) if identity and OFFICE in identity.organs else None
        if key is None:
            raise RefusedError(f"what binds {origin} is sealed by its office, and that key is not on this node")
        return key.seed

    def _check_clock(self, origin: str, now: int) -> None:
        if origin not in self._last_at:
            tree = self.holdings.tree(origin)
            header = read_header(tree.entry(tree.size - 1)) if tree.size else None
            self._last_at[origin] = header.at if header else 0
        ahead = self._last_at[origin] - now
        if ahead > CLOCK_TOLERANCE:
            raise ClockError(
                f"the last record of {origin} is dated {ahead} seconds ahead of this machine's clock. If the clock is behind, set "
                "it; if it was ahead when that was said, wait until that time has come. Then say it again"
            )

    # Keeping up

    def catch_up(self, origins: Iterable[str] | None = None) -> None:
        """Read into the view what is in the logs (None: all of them).

        Of a disputed log only what was well cosigned before counts.
        """
        with self._catching_up:
            while True:
                disputed = self.disputes()
                sizes = {origin: self._counted(origin, disputed) for origin in origins or self.holdings.origins()}
                self.view.catch_up({origin: (self.holdings.tree(origin), size) for origin, size in sizes.items()})
                if not self._learn_disputes(disputed):
                    return
                origins = None

    def disputes(self) -> dict[str, Evidence]:
        """The logs that are disputed here, each with the evidence."""
        version = (self._disputes_found, *database_version(self.private))
        if self._known_disputes is None or self._known_disputes[0] != version:
            with self.private_reading() as db:
                kept = memory.disputes(db)
            known = {origin: msgspec.json.decode(entry, type=Evidence) for origin, entry in kept.items()}
            self._known_disputes = (version, known)
        return self._known_disputes[1]

    def dispute(self, found: Evidence) -> None:
        """Hold against a log what proves that it signed two trees."""
        evidence.check(found)
        with self.private_writing() as db:
            memory.remember(db, found.accused, ENCODER.encode(found), self.clock())
        self._disputes_found += 1
        self.catch_up()

    def erase(self) -> int:
        """Erase the blobs whose publishers asked for it, unless another member publishes the same bytes; how many."""
        asked = select(erasures.c.blob, erasures.c.origin, erasures.c.reason)
        named = select(blobs.c.blob, logs.c.origin, blobs.c.size).join(logs, logs.c.log == blobs.c.log).distinct()
        with self.reading() as db:
            publishers: dict[str, dict[str, int]] = {}
            wanted = [(blob, origin, reason) for blob, origin, reason in db.execute(asked) if self.blobs.erased(blob) is None]
            for blob, origin, size in db.execute(named.where(blobs.c.blob.in_({blob for blob, _, _ in wanted}))):
                publishers.setdefault(blob, {})[origin] = size
        due = [(blob, origin, reason) for blob, origin, reason in wanted if set(publishers.get(blob, {})) == {origin}]
        for blob, origin, reason in due:
            self.blobs.erase(blob, Tombstone(by=origin, reason=reason, at=self.clock(), size=publishers[blob][origin]))
        return len(due)

    def tell(self) -> None:
        """Say the evidence that we know of and that stands in no undisputed log, in the first of our own logs that may.

        What is too large for a record, because the accused changed its keys so often, stays with us.
        """
        disputed = self.disputes()
        with self.reading() as db:
            told = {
                accused
                for accused, origin in db.execute(select(evidence_table.c.accused, evidence_table.c.origin))
                if origin not in disputed
            }
        own = next((origin for origin in self.holdings.hosted() if self._may_sign(origin, disputed)), None)
        for accused, found in disputed.items():
            if accused not in told and own is not None:
                fields = msgspec.to_builtins(found)
                with suppress(TooLargeError):
                    self.say_itself(own, Evidence, {name: fields[name] for name in fields if name not in _SAID_ANEW})

    def _may_sign(self, origin: str, disputed: Mapping[str, Evidence]) -> bool:
        return origin not in disputed and self._signs(origin)

    def _signs(self, origin: str) -> bool:
        return self.holdings.log(origin).paused is None

    def cosign(self) -> int:
        """Let the witnesses of our members cosign what has grown of every log that is not disputed; how many logs."""
        disputed, sizes = self.disputes(), self.memory.sizes()
        signing = {origin for origin in self.holdings.hosted() if self._signs(origin)}
        watched = [origin for origin in self.holdings.origins() if origin not in disputed and signing - {origin}]
        trees = [self.holdings.tree(origin) for origin in watched]
        grown = [witness.request_for(tree, old) for tree in trees if tree.size > (old := sizes.get(tree.origin, 0))]
        policy = self.policies() if grown else self.policy
        for asked in grown:
            self.cosign_for(asked, policy)
        return len(grown)

    def cosign_for(self, asked: witness.Request, policy: Callable[[str], Policy] | None = None) -> list[Signature]:
        """Our members' cosignatures on what is asked, if it may have them; the errors are those of the witness.

        They are kept with the log, too, if it is held here. Without a witness there are none, and nothing is remembered.
        """
        origin = asked.head.checkpoint.origin
        if origin in self.disputes():
            raise RefusedError(f"{origin} is disputed, and not cosigned until a decision settles it")
        signers = self._witnesses(origin)
        if not signers:
            return []
        lines = witness.cosign(self.memory, self.holdings.log_keys, signers, asked, self.clock())
        signed = asked.head.note.with_signatures(lines)
        self.holdings.gather(Head(signed, asked.head.checkpoint), (policy or self.policy)(origin))
        return lines

    def _witnesses(self, origin: str) -> list[PrivateKey]:
        """The witness keys of our members, but for the member whose log it is, and for those who sign nothing now.

        A witness restored from a backup does not know what it saw since, as little as its log knows what it said.
        """
        others = [other for other in self.holdings.hosted() if other != origin and self._signs(other)]
        return [key for other in others if (key := self.holdings.witness(other)) is not None]

    def personal(self, digest: str) -> bool:
        """Whether a member of this node keeps the blob as personal. What others say of it cannot change that."""
        named = (
            select(blobs.c.log)
            .join(logs, logs.c.log == blobs.c.log)
            .where(blobs.c.blob == digest, blobs.c.salted == 1, logs.c.origin.in_(self.holdings.hosted()))
        )
        with self.reading() as db:
            return db.execute(named.limit(1)).first() is not None

    def room_for(self, origin: str) -> int:
        """How many bytes a log of `origin` may take here. RefusedError if it may take none."""
        seat = self.roster().seats.get(origin)
        if seat is not None and seat.standing is not Standing.APPLICANT:
            return self.settings.log_bytes
        if origin not in self.holdings.origins() and self._applicants() >= self.settings.applicants:
            raise RefusedError(
                f"{origin} is not a member, and this node keeps the logs of {self.settings.applicants} applicants already"
            )
        return self.settings.applicant_bytes

    def _applicants(self) -> int:
        seats = self.roster().seats
        known = {origin for origin, seat in seats.items() if seat.standing is not Standing.APPLICANT}
        return len(set(self.holdings.origins()) - known - set(self.holdings.hosted()))

    def _counted(self, origin: str, disputed: Mapping[str, Evidence]) -> int:
        """How much of a log counts: all of it, or what was well cosigned, as far as that is what we hold."""
        tree = self.holdings.tree(origin)
        if origin not in disputed:
            return tree.size
        good = self.holdings.cosigned(origin)
        if good is None or good.checkpoint.size > tree.size or tree.root_at(good.checkpoint.size) != good.checkpoint.root:
            return 0
        return good.checkpoint.size

    def _learn_disputes(self, disputed: Mapping[str, Evidence]) -> bool:
        """Take over evidence that members said; whether any of it was new."""
        with self.reading() as db:
            rows = list(db.execute(select(evidence_table.c.accused, evidence_table.c.origin, evidence_table.c.index)))
        new = {accused: (origin, index) for accused, origin, index in rows if accused not in disputed}
        for origin, index in new.values():
            entry = self.holdings.tree(origin).entry(index)
            found = self.read(entry)
            assert isinstance(found, Evidence)
            with self.private_writing() as db:
                memory.remember(db, found.accused, entry, self.clock())
        self._disputes_found += bool(new)
        return bool(new)

    def _stored_charter(self) -> Charter | None:
        raw = self.holdings.storage.read(CHARTER)
        try:
            charter = msgspec.json.decode(raw, type=Charter) if raw else None
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise DamagedError(f"the stored charter cannot be read: {e}. Take it from a backup, or from another node") from e
        with self.private_reading() as db:
            served = tables.get(db, SERVED)
        if served is not None and (charter is None or charter.digest() != served):
            what = "is gone" if charter is None else "is that of another"
            raise DamagedError(f"this node serves the organisation {served[:16]}, and its charter {what}. Take it from a backup")
        return charter


def kind_of(name: str) -> type[Record]:
    """The record type that is called `name`, such as members.profile. MissingError if there is none."""
    for pillar in (LEDGER, *PILLARS):
        for kind in pillar.handlers:
            if tag(kind) == name:
                return kind
    raise MissingError(f"there is no record type {name!r}")
