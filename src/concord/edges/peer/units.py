"""What has still to come of a file, cut into units, and which sender is at which.

Each sender takes the next unit when it is done with one. What did not come of a unit is given back, and goes to whoever asks next.
Once none is left, a sender takes over what another has under way, if that one is silent, or far slower than the one that is idle.
One that asks for patience (`LaterError`) gets none until its time is over.

Nothing here waits, and no clock is read: `now` is in seconds, of a clock that only goes forward. One caller at a time.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from concord.edges.peer.plan import Home
from concord.edges.peer.source import Source
from concord.errors import ConcordError, LaterError

UNIT = 2 << 20  # bytes as stored that are asked for at once
STALL = 3.0  # seconds without a byte after which somebody else may take a unit over
SLOWER = 4  # times slower than one who is idle: likewise
WORTH = 4  # chunks that must be left of a unit, to take it behind the one under way from who is only slow
TOO_LONG = 10.0  # seconds for a chunk, after which even the one under way is taken from who is slow
BRISK = 20_000  # bytes a second below which others are tried


@dataclass
class Sender:
    """A source and what is known of it. `out` says why it is asked no more."""

    source: Source
    out: ConcordError | None = None
    came: int = 0
    busy: float = 1e-3  # seconds that its units took
    odd: int = 0  # times that what it sent did not continue what came before
    later: float = 0.0  # when it may be asked again, by its own word
    waits: int = 0  # seconds that it put us off since it last sent something
    rate: float = 0.0  # bytes a second, when it was last measured alone
    slow: bool = False  # it was tried, and others are better asked first

    @property
    def name(self) -> str:
        return self.source.name

    def put_off(self, error: LaterError, now: float, most: float) -> None:
        """Ask it no more until its time is over; never, if it puts us off for more than `most` seconds and sends nothing."""
        self.later = max(self.later, now + error.wait)
        self.waits += error.wait
        self.out = error if self.waits > most else self.out


@dataclass
class Unit:
    """The chunks [first, stop) of a xorb. `taker` fetches it since `began`; `moved` is when something last came of it."""

    xorb: bytes
    first: int
    stop: int
    taker: Sender | None = None
    began: float = 0.0
    moved: float = 0.0


class Units:
    """The units of a file. `left` has of each xorb how many chunks have still to come."""

    def __init__(self) -> None:
        self.left: dict[bytes, int] = {}
        self._homes: dict[bytes, Home] = {}
        self._queue: deque[Unit] = deque()
        self._running: list[Unit] = []

    @property
    def any_left(self) -> bool:
        """Whether any sender is at a unit, or there is one to take, perhaps by who may be asked again later."""
        return bool(self._running or self._queue)

    def clear(self) -> None:
        """Want nothing any more."""
        self._queue.clear()
        self.left.clear()

    def add(self, xorb: bytes, home: Home, lacks: list[int], begun: set[int]) -> None:
        """Want these chunks of a xorb, in order; of those that are `begun` a part is here."""
        self.left[xorb], self._homes[xorb] = len(lacks), home
        self._queue.extend(_cut(xorb, home, lacks, begun))

    def turn_to(self, xorb: bytes, number: int) -> None:
        """Let the unit with this chunk come first."""
        at = next((n for n, unit in enumerate(self._queue) if unit.xorb == xorb and unit.stop > number), 0)
        self._queue.rotate(-at)

    def take(self, sender: Sender, now: float) -> Unit | None:
        """The next unit for a sender, perhaps one that another is too slow for; None if there is none now."""
        if now < sender.later:
            return None
        unit = self._queue.popleft() if self._queue else self._taken_over(sender, now)
        if unit is not None:
            unit.taker, unit.began, unit.moved = sender, now, now
            self._running.append(unit)
        return unit

    def advance(self, unit: Unit, number: int) -> bool:
        """Note that the chunks of a unit before `number` are here; whether any of them is new."""
        new = min(number, unit.stop) - unit.first
        if new <= 0:
            return False
        self.left[unit.xorb] -= new
        unit.first += new
        return True

    def give_back(self, unit: Unit, now: float) -> None:
        """Let others have what did not come of a unit."""
        self._running.remove(unit)
        if unit.taker is not None:
            unit.taker.busy += now - unit.began
        if unit.first < unit.stop:
            self._queue.appendleft(Unit(unit.xorb, unit.first, unit.stop))

    def _taken_over(self, sender: Sender, now: float) -> Unit | None:
        """What another sender has under way and does not get done."""
        for unit in self._running:
            taker = unit.taker
            if taker is None or taker is sender or unit.first >= unit.stop:
                continue
            if now - unit.moved > STALL or self._is_endless(unit, taker, sender, now):
                first = unit.first
            elif self._is_slow(unit, taker, sender, now):
                first = unit.first + 1  # let it finish the chunk that it is at
            else:
                continue
            rest = Unit(unit.xorb, first, unit.stop)
            unit.stop = first
            return rest
        return None

    def _is_slow(self, unit: Unit, taker: Sender, sender: Sender, now: float) -> bool:
        """Whether a unit is worth to be taken from a sender that had time to show how fast it is."""
        tried = now - unit.began > STALL and unit.stop - unit.first > WORTH
        return tried and self._rate(taker, now) * SLOWER < self._rate(sender, now)

    def _is_endless(self, unit: Unit, taker: Sender, sender: Sender, now: float) -> bool:
        """Whether even the chunk under way is better had anew, of who is so slow that it alone would hold up all."""
        if now - unit.began <= STALL:
            return False
        mine, other = self._rate(taker, now), self._rate(sender, now)
        length, untried = self._homes[unit.xorb].row(unit.first).length, not sender.came and not sender.slow
        return length > TOO_LONG * mine and (mine * SLOWER < other or (untried and mine < BRISK))

    def _rate(self, sender: Sender, now: float) -> float:
        """Bytes a second that came from a sender, while it was asked for something."""
        return sender.came / (sender.busy + sum(now - unit.began for unit in self._running if unit.taker is sender))


def _cut(xorb: bytes, home: Home, lacks: list[int], begun: set[int]) -> Iterator[Unit]:
    """The chunks that lack, cut into units: each of chunks that follow each other, and beginning where a part is here already."""
    unit, size = Unit(xorb, 0, 0), 0
    for number in lacks:
        if number != unit.stop or number in begun or size >= UNIT:
            if unit.stop > unit.first:
                yield unit
            unit, size = Unit(xorb, number, number), 0
        unit.stop, size = number + 1, size + home.row(number).length
    if unit.stop > unit.first:
        yield unit
