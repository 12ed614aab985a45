"""Fetching a file of a repo from several peers at once, so that nothing that came is asked for again.

1. Every source is asked for the map of the file (`concord.edges.peer.plan`). Those that have the same map work together; another
   map is a second way, for when the first fails. Who has no map may have the file whole (`concord.edges.peer.whole`).
2. The chunks that are neither in the store nor left from an earlier try are cut into units of about 2 MiB, in the order of the
   file. Each source takes the next unit when it is done with one (`concord.edges.peer.units`).
3. What comes is written as it comes, and counts once its hash is right (`concord.ledger.chunks.coming`). A line that breaks, at
   any byte, gives its unit back, and whoever takes it goes on behind that byte. A source that is silent, or far slower than one
   that has nothing to do, loses its unit to it. One that sends something else is asked no more. One that asks for patience
   (`LaterError`) is asked again when its time is over; others may do its work until then.
4. A xorb that is complete goes into the store, and when all have, the file is put together and its SHA-256 computed.

Whoever reads the file meanwhile gets its chunks in order, each as soon as it is verified (`Fetch.read`). With a `span`, only the
chunks that have these bytes come, and stay beside the store until more is wanted.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from shutil import rmtree
from threading import Condition, Thread

from concord.edges.peer import maps, tries
from concord.edges.peer.content import xorb_path
from concord.edges.peer.plan import Home, Plan, Wanted, lacking, make
from concord.edges.peer.source import Source
from concord.edges.peer.units import Sender, Unit, Units
from concord.errors import ConcordError, ForgedError, LaterError, MalformedError, MissingError, UnreachableError
from concord.ledger.chunks import Chunks
from concord.ledger.chunks.coming import Incoming, alone
from concord.xet.hashes import spell
from concord.xet.shard import File
from concord.xet.xorb import unseal

LANES = 2  # units that one source has under way, so that the line is not idle between two
ODD = 3  # times that a source may send what does not continue what came before, perhaps from another
WAIT = 600  # seconds for which another process that fetches the same file may bring nothing
RENEW = 3600  # seconds after which what came of a file counts as young again, so that nobody clears it away before all is here

Clock = Callable[[], int]


@dataclass
class Tally:
    """What a fetch cost: bytes as stored that came from each source, and how many chunks were here already."""

    came: dict[str, int] = field(default_factory=dict)
    here: int = 0


@dataclass(frozen=True)
class How:
    """How to fetch: only the chunks that have the bytes in `span` (None: all), beginning with the byte `first`.

    `mend`: a xorb keeps its name, even if most of its chunks are here under another. `patience`: seconds for which another process
    that fetches the same file may bring nothing, and for which sources may put us off.
    """

    span: tuple[int, int] | None = None
    first: int = 0
    mend: bool = False
    patience: float = WAIT


class Fetch:
    """One large file on its way. `run` fetches; `read` may be called from other threads meanwhile."""

    def __init__(self, chunks: Chunks, wanted: Wanted, sources: Sequence[Source], clock: Clock, how: How = How()) -> None:
        """`clock` tells the time, POSIX seconds: a file may take days."""
        self.wanted = wanted
        self.tally = Tally()
        self.senders = [Sender(source) for source in sources]
        self._chunks, self._clock, self._how = chunks, clock, how
        self._renewed = 0  # when what is here of the file was last made to count as young
        self._folder = chunks.coming(wanted.sha256)
        self._elsewhere = False  # whether another fetch was first
        self._turn = Condition()
        self._plan: Plan | None = None
        self._incoming: dict[bytes, Incoming] = {}
        self._units = Units()
        self._landing = 0  # xorbs that are going into the store
        self._error: BaseException | None = None
        self._over = False

    # Reading meanwhile

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop), as they come. The errors are those of `run`."""
        plan = self.started()
        for term, number, place in plan.parts(start, stop):
            content = self._content(plan, term.xorb, number)
            yield content[max(start - place, 0) : stop - place]

    @property
    def came(self) -> int:
        """How many bytes of chunks have come so far."""
        return sum(sender.came for sender in self.senders)

    def started(self) -> Plan:
        """Wait until it is known which chunks are to come: from then on every chunk is bound to the commit."""
        with self._turn:
            self._turn.wait_for(lambda: self._plan is not None or self._over)
            if self._plan is None:
                raise self._error or MissingError("nothing was to be fetched")
            return self._plan

    def _content(self, plan: Plan, xorb: bytes, number: int) -> bytes:
        home = plan.homes.get(xorb)
        if home is None:
            return self._chunks.content(spell(plan.chunks.table(spell(xorb)).hash(number)))
        chunk, incoming = spell(home.row(number).chunk), self._incoming[xorb]
        while True:
            with self._turn:
                over = self._over
            with suppress(MissingError):
                return unseal(incoming.stored(number))
            with suppress(MissingError):
                return self._chunks.content(chunk)
            if over:
                raise self._error or MissingError(f"chunk {chunk} did not come")
            with self._turn:
                self._turn.wait(tries.STEP)

    # Fetching

    def run(self, *, beside: bool = False) -> None:
        """Fetch; `beside` another fetch of the same bytes that is slow, in a folder of its own. Whichever is first ends both.

        MissingError if no source has it, UnreachableError if those that have it cannot be reached; ForgedError if what came is not
        the file; StorageError if the disk refuses.
        """
        self._folder = self._chunks.coming(self.wanted.sha256 + (f".{self.wanted.root[:16]}" if beside else ""))
        try:
            with alone(self._folder, tries.patience(self.wanted, self._how.patience, self._folder)):
                self._ways()
        except BaseException as e:
            self._error = e
            raise
        finally:
            self.tally.came = {sender.name: sender.came for sender in self.senders}
            with self._turn:
                self._over = True
                self._turn.notify_all()

    def _ways(self) -> None:
        """One map after the other, until the file is here."""
        errors: list[ConcordError] = []
        for raw, file, senders in maps.ways(self.senders, self.wanted, self._doze, self._how.patience):
            try:
                self._by(raw, file, senders)
            except (UnreachableError, MissingError, ForgedError, MalformedError) as e:
                errors.append(e)
            else:
                return
        raise tries.worst([*errors, *(sender.out for sender in self.senders if sender.out)], self.wanted)

    def _doze(self, seconds: float) -> bool:
        """Wait, unless all is over."""
        with self._turn:
            return not self._turn.wait_for(lambda: self._over, seconds)

    def _by(self, raw: bytes, file: File, senders: list[Sender]) -> None:
        """Fetch by one map, from those that have it."""
        self._error = None
        found = maps.homes(senders, self.wanted, lacking(self._chunks, file), self._doze, self._how.patience)
        plan = make(self._chunks, file, found)
        self._prepare(found, plan)
        with self._turn:
            self._plan = plan
            self._turn.notify_all()
        if self._how.span is None:
            self._renew(plan)
        for xorb in [xorb for xorb, count in self._units.left.items() if not count]:
            self._try_complete(xorb)
        self._work(senders)
        if self._how.span is None:
            self._finish(raw, plan)

    def _prepare(self, homes: dict[bytes, Home], plan: Plan) -> None:
        """What has to come, as units; what an earlier try left counts. StorageError, before any of it, if there is no room."""
        inside, coming = self._inside(plan), 0
        self._units.clear()
        for xorb, home in homes.items():
            incoming = Incoming(self._folder / spell(xorb), home.row, home.has, self._chunks.need)
            numbers = [number for number in home.numbers() if inside is None or number in inside.get(xorb, ())]
            unknown = {chunk for chunk, _ in self._chunks.wanted(_spelled(home, numbers))}
            known = sum(spell(home.row(number).chunk) not in unknown for number in numbers)
            homes[xorb] = replace(home, whole=home.whole and (self._how.mend or 2 * known <= len(numbers)))
            lacks = [number for number in numbers if number not in incoming and spell(home.row(number).chunk) in unknown]
            self._incoming[xorb] = incoming
            self.tally.here += len(numbers) - len(lacks)
            self._units.add(xorb, home, lacks, incoming.begun)
            coming += sum(home.row(number).length for number in lacks)
        self._chunks.need(coming)
        self._turn_to(plan)

    def _turn_to(self, plan: Plan) -> None:
        """Let the unit with the byte that is wanted first come first."""
        place = next(((term.xorb, number) for term, number, _ in plan.parts(self._how.first, self._how.first + 1)), None)
        if place is not None:
            self._units.turn_to(*place)

    def _inside(self, plan: Plan) -> dict[bytes, set[int]] | None:
        """The chunks that have the bytes of the span, or None for all."""
        if self._how.span is None:
            return None
        inside: dict[bytes, set[int]] = {}
        for term, number, _ in plan.parts(*self._how.span):
            inside.setdefault(term.xorb, set()).add(number)
        return inside

    # The work of the lanes

    def _work(self, senders: list[Sender]) -> None:
        lanes = [Thread(target=self._lane, args=(sender,), daemon=True) for sender in senders for _ in range(LANES)]
        for lane in lanes if self._units.left else ():
            lane.start()
        with self._turn:
            while not self._is_done() and any(lane.is_alive() for lane in lanes):
                self._turn.wait(tries.STEP)  # and not for a lane that hangs, once others have done its work
                self._elsewhere = self._how.span is None and self._is_here()
        if self._error is not None:
            raise self._error
        if self._units.left and not self._elsewhere:
            raise tries.worst([sender.out for sender in senders if sender.out], self.wanted)

    def _is_done(self) -> bool:
        """Whether all xorbs are in the store, or something went wrong for good."""
        return self._error is not None or self._elsewhere or not (self._units.left or self._landing)

    def _is_here(self) -> bool:
        """Whether the file came another way meanwhile, such as for another repo."""
        entry = self._chunks.by_digest(self.wanted.sha256)
        return entry is not None and not self._chunks.missing(entry.hash)

    def _lane(self, sender: Sender) -> None:
        """Take one unit after the other until none is left, or the source is out."""
        broken = 0  # times in a row before a byte came
        while sender.out is None and (unit := self._next(sender)) is not None:
            before = sender.came
            try:
                self._receive(sender, unit)
                broken = 0
            except LaterError as e:
                sender.put_off(e, time.monotonic(), self._how.patience)
            except UnreachableError as e:
                broken = 1 if sender.came > before else broken + 1
                sender.out = e if broken >= tries.TRIES else sender.out
            except (MissingError, ForgedError, MalformedError) as e:
                sender.out = self._excused(sender, unit, e)
            except BaseException as e:  # noqa: BLE001  whatever ends this thread ends the fetch, and is raised there
                self._error = e
            self._give_back(unit)
            if broken > 1:
                tries.pause(broken)

    def _excused(self, sender: Sender, unit: Unit, error: ConcordError) -> ConcordError:
        """What is wrong with a source. One that packs its chunks otherwise than the one that sent the rows forged nothing."""
        if isinstance(error, MissingError):
            return error
        plan = self.started()
        with suppress(ConcordError):
            own = maps.home(sender, self.wanted, unit.xorb, ((unit.first, unit.first + 1),)).row(unit.first)
            if own.chunk == plan.homes[unit.xorb].row(unit.first).chunk and own != plan.homes[unit.xorb].row(unit.first):
                return UnreachableError(f"{sender.name} has xorb {spell(unit.xorb)} packed otherwise; it is asked the next time")
        return error

    def _next(self, sender: Sender) -> Unit | None:
        """The next unit for a source; None once there is nothing to do."""
        with self._turn:
            while not (self._error or self._elsewhere or sender.out):
                unit = self._units.take(sender, time.monotonic())
                if unit is not None or not self._units.any_left:
                    return unit
                self._turn.wait(tries.STEP)
        return None

    def _receive(self, sender: Sender, unit: Unit) -> None:
        """Take a unit from a source, from behind what is here of it. What came stays, whatever happens."""
        plan = self.started()
        home, incoming = plan.homes[unit.xorb], self._incoming[unit.xorb]
        last = home.row(unit.stop - 1)
        with incoming.run(unit.first) as run:
            behind, begun = run.waiting, unit.first
            start = home.row(unit.first).start + behind
            try:
                for piece in sender.source.part(xorb_path(self.wanted.root, spell(unit.xorb)), start, last.start + last.length):
                    self._note(sender, unit, len(piece))
                    run.take(piece)
                    if not self._advance(unit, run.number):
                        return
            except (ForgedError, MalformedError):
                self._advance(unit, run.number)
                if behind and run.number == begun and sender.odd < ODD:  # perhaps what came before it is to blame
                    sender.odd += 1
                    raise UnreachableError(f"what {sender.name} sent does not continue what came before") from None
                raise
        if unit.first < unit.stop:
            raise UnreachableError(f"{sender.name} sent less than it has")

    def _note(self, sender: Sender, unit: Unit, count: int) -> None:
        with self._turn:
            sender.came, sender.waits, unit.moved = sender.came + count, 0, time.monotonic()

    def _advance(self, unit: Unit, number: int) -> bool:
        """Note that the chunks before `number` are here; whether more of the unit is to come."""
        with self._turn:
            if self._elsewhere:
                return False
            if self._units.advance(unit, number):
                self._turn.notify_all()
            return unit.first < unit.stop

    def _give_back(self, unit: Unit) -> None:
        with self._turn:
            self._units.give_back(unit, time.monotonic())
            self._turn.notify_all()
        self._try_complete(unit.xorb)

    # Landing

    def _try_complete(self, xorb: bytes) -> None:
        """Let a xorb whose chunks are all here go into the store, once."""
        with self._turn:
            if self._units.left.get(xorb) != 0:
                return
            del self._units.left[xorb]
            self._landing += 1
        try:
            if self._how.span is None:
                self._land(xorb, self.started().homes[xorb])
        except BaseException as e:  # noqa: BLE001  it may be the end of a lane, and is raised by whoever waits for it
            self._error = e
        with self._turn:
            self._landing -= 1
            self._turn.notify_all()

    def _land(self, xorb: bytes, home: Home) -> None:
        incoming = self._incoming[xorb]

        def stored(number: int) -> bytes:
            with suppress(MissingError):
                return incoming.stored(number)
            return self._chunks.stored(spell(home.row(number).chunk))

        if home.whole:
            self._chunks.put_xorb(spell(xorb), map(stored, home.numbers()), self._clock())
        else:
            with self._chunks.collect(self._clock()) as writer:
                for number in (number for number in home.numbers() if number in incoming):
                    writer.add(spell(home.row(number).chunk), incoming.stored(number))
        incoming.forget()
        if self._clock() - self._renewed >= RENEW:
            self._renew(self.started())

    def _renew(self, plan: Plan) -> None:
        """Let what is in the store of the file count as young: no file there names it yet, and more of it may take days."""
        self._renewed = self._clock()
        apart = (spell(home.row(number).chunk) for home in plan.homes.values() if not home.whole for number in home.numbers())
        self._chunks.reserve({spell(term.xorb) for term in plan.file.terms}, apart, self._renewed)

    def _finish(self, raw: bytes, plan: Plan) -> None:
        """Put the file together. ForgedError if it is not the one that was wanted."""
        if all(home.whole for home in plan.homes.values()) and not self._elsewhere:
            self._chunks.put_shard(raw, self._clock(), self.wanted.size)
        else:
            listing = ((spell(chunk), size) for chunk, size in plan.listing())
            self._chunks.assemble(spell(plan.file.hash), listing, self._clock(), self.wanted.sha256)
        entry = self._chunks.by_digest(self.wanted.sha256)
        if entry is None:
            raise ForgedError(f"what came as the file {self.wanted.sha256} has another SHA-256")
        rmtree(self._folder, ignore_errors=True)


def _spelled(home: Home, numbers: list[int]) -> Iterator[tuple[str, int]]:
    for number in numbers:
        row = home.row(number)
        yield spell(row.chunk), row.size
