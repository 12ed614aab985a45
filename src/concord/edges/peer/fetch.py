"""Fetching a file of a repo from several peers at once, so that nothing that came is asked for again.

1. Every source is asked for the map of the file (`concord.edges.peer.plan`). Those that have the same map work together; another
   map is a second way, for when the first fails. Who has no map may have the file whole.
2. The chunks that are neither in the store nor left from an earlier try are cut into units of about 2 MiB, in the order of the
   file. Each source takes the next unit when it is done with one.
3. What comes is written as it comes, and counts once its hash is right (`concord.ledger.chunks.coming`). A line that breaks, at
   any byte, gives its unit back, and whoever takes it goes on behind that byte. A source that is silent, or far slower than one
   that has nothing to do, loses its unit to it. One that sends something else is asked no more.
4. A xorb that is complete goes into the store, and when all have, the file is put together and its SHA-256 computed.

Whoever reads the file meanwhile gets its chunks in order, each as soon as it is verified (`Fetch.read`). With a `span`, only the
chunks that have these bytes come, and stay beside the store until more is wanted.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass, field, replace
from shutil import rmtree
from threading import Condition, Thread
from typing import TypeVar

from concord.edges.peer.content import file_path, map_path, rows_path, xorb_path
from concord.edges.peer.plan import Home, Plan, Wanted, ask_home, lacking, make, read_map
from concord.edges.peer.source import Source
from concord.errors import BusyError, ConcordError, ForgedError, MalformedError, MissingError, UnreachableError
from concord.ledger.blobs import Blobs
from concord.ledger.chunks import Chunks
from concord.ledger.chunks.coming import Incoming, alone
from concord.xet.hashes import spell
from concord.xet.shard import SHARD_MAX, File
from concord.xet.xorb import unseal

UNIT = 2 << 20  # bytes as stored that are asked for at once
LANES = 2  # units that one source has under way, so that the line is not idle between two
TRIES = 5  # times in a row that a line may break before a byte came
ODD = 3  # times that a source may send what does not continue what came before, perhaps from another
PAUSE = 0.1  # seconds before the second try; twice as many before each further one
STALL = 3.0  # seconds without a byte after which somebody else may take a unit over
SLOWER = 4  # times slower than one who is idle: likewise
WORTH = 4  # chunks that must be left of a unit, to take it from one who is only slow
STEP = 0.2  # seconds between looks at whether there is something to do
HASTE = 1.0  # seconds that those who have a map wait for the maps of others
QUICK = 1.0  # seconds within which a question must have failed to be asked again
WAIT = 600  # seconds that another process may take for the same file
RENEW = 3600  # seconds after which what came of a file counts as young again, so that nobody clears it away before all is here

Clock = Callable[[], int]

T = TypeVar("T")


@dataclass
class Sender:
    """A source and what is known of it. `out` says why it is asked no more."""

    source: Source
    out: ConcordError | None = None
    came: int = 0
    busy: float = 1e-3  # seconds that its units took
    odd: int = 0  # times that what it sent did not continue what came before

    @property
    def name(self) -> str:
        return self.source.name


@dataclass
class _Unit:
    """The chunks [first, stop) of a xorb. `taker` fetches it since `began`; `moved` is when something last came of it."""

    xorb: bytes
    first: int
    stop: int
    taker: Sender | None = None
    began: float = 0.0
    moved: float = 0.0


@dataclass
class Tally:
    """What a fetch cost: bytes as stored that came from each source, and how many chunks were here already."""

    came: dict[str, int] = field(default_factory=dict)
    here: int = 0


@dataclass(frozen=True)
class How:
    """How to fetch: only the chunks that have the bytes in `span` (None: all), beginning with the byte `first`.

    `mend`: a xorb keeps its name, even if most of its chunks are here under another. `patience`: seconds that another process may
    take for the same file.
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
        self._turn = Condition()
        self._plan: Plan | None = None
        self._incoming: dict[bytes, Incoming] = {}
        self._queue: deque[_Unit] = deque()
        self._running: list[_Unit] = []
        self._left: dict[bytes, int] = {}  # of each xorb, the chunks that have still to come
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
                self._turn.wait(STEP)

    # Fetching

    def run(self) -> None:
        """Fetch. MissingError if no source has it, UnreachableError if those that have it cannot be reached.

        ForgedError if what came is not the file; StorageError if the disk refuses.
        """
        folder = self._chunks.coming(self.wanted.sha256)
        try:
            with alone(folder, _patience(self.wanted, self._how.patience)):
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
        for raw, file, senders in self._maps():
            try:
                self._by(raw, file, senders)
            except (UnreachableError, MissingError, ForgedError, MalformedError) as e:
                errors.append(e)
            else:
                return
        raise _worst([*errors, *(sender.out for sender in self.senders if sender.out)], self.wanted)

    def _maps(self) -> list[tuple[bytes, File, list[Sender]]]:
        """The maps that sources have, those that most have first, and who has each. Who is late is left out."""
        pool = ThreadPoolExecutor(max(len(self.senders), 1))
        asked = {pool.submit(self._map_of, sender): sender for sender in self.senders}
        pending, ways = set(asked), dict[bytes, tuple[File, list[Sender]]]()
        while pending:
            done, pending = wait_for(pending, HASTE if ways else None, FIRST_COMPLETED)
            for each in done:
                found = each.result()
                if found is not None:
                    ways.setdefault(found[0], (found[1], []))[1].append(asked[each])
            if not done:
                break
        pool.shutdown(wait=False)
        return [(raw, *way) for raw, way in sorted(ways.items(), key=lambda item: -len(item[1][1]))]

    def _map_of(self, sender: Sender) -> tuple[bytes, File] | None:
        def once() -> tuple[bytes, File]:
            raw = sender.source.get(map_path(self.wanted.root, self.wanted.sha256), SHARD_MAX)
            return raw, read_map(raw, self.wanted)

        try:
            return _again(once)
        except ConcordError as e:
            sender.out = e
            return None

    def _by(self, raw: bytes, file: File, senders: list[Sender]) -> None:
        """Fetch by one map, from those that have it."""
        self._error = None
        homes = self._homes(lacking(self._chunks, file), senders)
        plan = make(self._chunks, file, homes)
        self._prepare(homes, plan)
        with self._turn:
            self._plan = plan
            self._turn.notify_all()
        if self._how.span is None:
            self._renew(plan)
        for xorb in [xorb for xorb, count in self._left.items() if not count]:
            self._try_complete(xorb)
        self._work(senders)
        if self._how.span is None:
            self._finish(raw, plan)

    def _homes(self, spans: dict[bytes, tuple[tuple[int, int], ...]], senders: list[Sender]) -> dict[bytes, Home]:
        """The rows of all xorbs that are not here, each from one of the senders, several at a time."""

        def ask(numbered: tuple[int, bytes]) -> Home:
            number, xorb = numbered
            errors: list[ConcordError] = []
            for turn in range(len(senders)):
                sender = senders[(number + turn) % len(senders)]
                try:
                    return _again(lambda sender=sender: ask_home(self._rows_of(sender), xorb, spans[xorb]))  # type: ignore[misc]
                except ConcordError as e:
                    errors.append(e)
            raise _worst(errors, self.wanted)

        with ThreadPoolExecutor(2 * len(senders)) as pool:
            return dict(zip(spans, pool.map(ask, enumerate(spans)), strict=True))

    def _rows_of(self, sender: Sender) -> Callable[[str, int, int], bytes]:
        return lambda xorb, start, stop: b"".join(sender.source.part(rows_path(self.wanted.root, xorb), start, stop))

    def _prepare(self, homes: dict[bytes, Home], plan: Plan) -> None:
        """What has to come, as units; what an earlier try left counts."""
        folder, inside = self._chunks.coming(self.wanted.sha256), self._inside(plan)
        self._queue.clear()
        self._left.clear()
        for xorb, home in homes.items():
            incoming = Incoming(folder / spell(xorb), home.row, home.has)
            numbers = [number for number in home.numbers() if inside is None or number in inside.get(xorb, ())]
            unknown = {chunk for chunk, _ in self._chunks.wanted(_spelled(home, numbers))}
            known = sum(spell(home.row(number).chunk) not in unknown for number in numbers)
            homes[xorb] = replace(home, whole=home.whole and (self._how.mend or 2 * known <= len(numbers)))
            lacks = [number for number in numbers if number not in incoming and spell(home.row(number).chunk) in unknown]
            self._incoming[xorb] = incoming
            self.tally.here += len(numbers) - len(lacks)
            self._left[xorb] = len(lacks)
            self._queue.extend(_units(xorb, home, lacks, incoming.begun))
        self._turn_to(plan)

    def _turn_to(self, plan: Plan) -> None:
        """Let the unit with the byte that is wanted first come first."""
        place = next(((term.xorb, number) for term, number, _ in plan.parts(self._how.first, self._how.first + 1)), None)
        if place is not None:
            at = next((n for n, unit in enumerate(self._queue) if unit.xorb == place[0] and unit.stop > place[1]), 0)
            self._queue.rotate(-at)

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
        for lane in lanes if self._left else ():
            lane.start()
        with self._turn:
            while not self._is_done() and any(lane.is_alive() for lane in lanes):
                self._turn.wait(STEP)  # and not for a lane that hangs, once others have done its work
        if self._error is not None:
            raise self._error
        if self._left:
            raise _worst([sender.out for sender in senders if sender.out], self.wanted)

    def _is_done(self) -> bool:
        """Whether all xorbs are in the store, or something went wrong for good."""
        return self._error is not None or not (self._left or self._landing)

    def _lane(self, sender: Sender) -> None:
        """Take one unit after the other until none is left, or the source is out."""
        tries = 0
        while sender.out is None and (unit := self._next(sender)) is not None:
            before = sender.came
            try:
                self._receive(sender, unit)
                tries = 0
            except UnreachableError as e:
                tries = 1 if sender.came > before else tries + 1
                sender.out = e if tries >= TRIES else sender.out
            except (MissingError, ForgedError, MalformedError) as e:
                sender.out = self._excused(sender, unit, e)
            except BaseException as e:  # noqa: BLE001  whatever ends this thread ends the fetch, and is raised there
                self._error = e
            self._give_back(unit)
            if tries > 1:
                time.sleep(PAUSE * 2**tries)

    def _excused(self, sender: Sender, unit: _Unit, error: ConcordError) -> ConcordError:
        """What is wrong with a source. One that packs its chunks otherwise than the one that sent the rows forged nothing."""
        if isinstance(error, MissingError):
            return error
        plan = self.started()
        with suppress(ConcordError):
            own = ask_home(self._rows_of(sender), unit.xorb, ((unit.first, unit.first + 1),)).row(unit.first)
            if own.chunk == plan.homes[unit.xorb].row(unit.first).chunk and own != plan.homes[unit.xorb].row(unit.first):
                return UnreachableError(f"{sender.name} has xorb {spell(unit.xorb)} packed otherwise; it is asked the next time")
        return error

    def _next(self, sender: Sender) -> _Unit | None:
        """The next unit for a source, perhaps one that another is too slow for; None once there is nothing to do."""
        with self._turn:
            while self._error is None and sender.out is None:
                unit = self._queue.popleft() if self._queue else self._taken_over(sender)
                if unit is not None:
                    unit.taker, unit.began = sender, time.monotonic()
                    unit.moved = unit.began
                    self._running.append(unit)
                    return unit
                if not self._running:
                    return None
                self._turn.wait(STEP)
        return None

    def _taken_over(self, sender: Sender) -> _Unit | None:
        """What another source has under way and does not get done."""
        now = time.monotonic()
        for unit in self._running:
            taker = unit.taker
            if taker is None or taker is sender or unit.first >= unit.stop:
                continue
            if now - unit.moved > STALL:
                first = unit.first
            elif self._is_slow(unit, taker, sender, now):
                first = unit.first + 1  # let it finish the chunk that it is at
            else:
                continue
            rest = _Unit(unit.xorb, first, unit.stop)
            unit.stop = first
            return rest
        return None

    def _is_slow(self, unit: _Unit, taker: Sender, sender: Sender, now: float) -> bool:
        """Whether a unit is worth to be taken from a source that had time to show how fast it is."""
        tried = now - unit.began > STALL and unit.stop - unit.first > WORTH
        return tried and self._rate(taker, now) * SLOWER < self._rate(sender, now)

    def _rate(self, sender: Sender, now: float) -> float:
        """Bytes a second that came from a source, while it was asked for something."""
        return sender.came / (sender.busy + sum(now - unit.began for unit in self._running if unit.taker is sender))

    def _receive(self, sender: Sender, unit: _Unit) -> None:
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

    def _note(self, sender: Sender, unit: _Unit, count: int) -> None:
        with self._turn:
            sender.came, unit.moved = sender.came + count, time.monotonic()

    def _advance(self, unit: _Unit, number: int) -> bool:
        """Note that the chunks before `number` are here; whether more of the unit is to come."""
        with self._turn:
            new = min(number, unit.stop) - unit.first
            if new > 0:
                self._left[unit.xorb] -= new
                unit.first += new
                self._turn.notify_all()
            return unit.first < unit.stop

    def _give_back(self, unit: _Unit) -> None:
        """Let others have what did not come of a unit."""
        with self._turn:
            self._running.remove(unit)
            if unit.taker is not None:
                unit.taker.busy += time.monotonic() - unit.began
            if unit.first < unit.stop:
                self._queue.appendleft(_Unit(unit.xorb, unit.first, unit.stop))
            self._turn.notify_all()
        self._try_complete(unit.xorb)

    # Landing

    def _try_complete(self, xorb: bytes) -> None:
        """Let a xorb whose chunks are all here go into the store, once."""
        with self._turn:
            if self._left.get(xorb) != 0:
                return
            del self._left[xorb]
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
        if all(home.whole for home in plan.homes.values()):
            self._chunks.put_shard(raw, self._clock(), self.wanted.size)
        else:
            listing = ((spell(chunk), size) for chunk, size in plan.listing())
            self._chunks.assemble(spell(plan.file.hash), listing, self._clock(), self.wanted.sha256)
        entry = self._chunks.by_digest(self.wanted.sha256)
        if entry is None:
            raise ForgedError(f"what came as the file {self.wanted.sha256} has another SHA-256")
        rmtree(self._chunks.coming(self.wanted.sha256), ignore_errors=True)


def fetch_whole(blobs: Blobs, wanted: Wanted, sources: Sequence[Source]) -> None:
    """Fetch a file whole, from where an earlier try was cut, into a blob. The errors are those of `Fetch.run`."""
    errors = list[ConcordError]()
    for source in sources:
        try:
            _again(lambda source=source: _receive_whole(blobs, wanted, source))  # type: ignore[misc]
        except (UnreachableError, MissingError, ForgedError, MalformedError) as e:
            errors.append(e)
        else:
            return
    raise _worst(errors, wanted)


def _receive_whole(blobs: Blobs, wanted: Wanted, source: Source) -> None:
    path, start = file_path(wanted.root, wanted.sha256), blobs.received(wanted.sha256, wanted.size)
    try:
        blobs.receive(wanted.sha256, source.part(path, start, wanted.size), wanted.size)
    except ForgedError:
        if not start:
            raise
        blobs.receive(wanted.sha256, source.part(path, 0, wanted.size), wanted.size)
    except BusyError:
        time.sleep(STEP)
        raise UnreachableError(f"{wanted.sha256} is being received already") from None
    if blobs.received(wanted.sha256, wanted.size) or not blobs.have(wanted.sha256):
        raise UnreachableError(f"{source.name} sent less than it has")


def _units(xorb: bytes, home: Home, lacks: list[int], begun: set[int]) -> Iterator[_Unit]:
    """The chunks that lack, cut into units: each of chunks that follow each other, and beginning where a part is here already."""
    unit, size = _Unit(xorb, 0, 0), 0
    for number in lacks:
        if number != unit.stop or number in begun or size >= UNIT:
            if unit.stop > unit.first:
                yield unit
            unit, size = _Unit(xorb, number, number), 0
        unit.stop, size = number + 1, size + home.row(number).length
    if unit.stop > unit.first:
        yield unit


def _spelled(home: Home, numbers: list[int]) -> Iterator[tuple[str, int]]:
    for number in numbers:
        row = home.row(number)
        yield spell(row.chunk), row.size


def _again(ask: Callable[[], T]) -> T:
    """What `ask` answers, asked again while the line breaks quickly."""
    for tries in range(1, TRIES):
        began = time.monotonic()
        try:
            return ask()
        except UnreachableError:
            if time.monotonic() - began > QUICK:
                raise
            time.sleep(PAUSE * 2**tries)
    return ask()


def _patience(wanted: Wanted, seconds: float) -> Callable[[], None]:
    """To be called while another process fetches the file. BusyError when it takes too long."""
    end = time.monotonic() + seconds

    def wait() -> None:
        if time.monotonic() > end:
            raise BusyError(f"another process has been fetching {wanted.sha256} for {seconds:g} seconds. Try again later")
        time.sleep(STEP)

    return wait


def _worst(errors: Sequence[ConcordError], wanted: Wanted) -> ConcordError:
    """What to say once all that could be tried has failed: somebody may have the file, somebody lied, or nobody has it."""
    words = "; ".join(dict.fromkeys(str(error) for error in errors))[:500]
    if any(isinstance(error, UnreachableError) for error in errors):
        return UnreachableError(f"file {wanted.sha256} could not be fetched: {words}")
    if any(isinstance(error, ForgedError | MalformedError) for error in errors):
        return ForgedError(f"what was sent as file {wanted.sha256} is something else: {words}")
    return MissingError(f"nobody who was asked has file {wanted.sha256}")
