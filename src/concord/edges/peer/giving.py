"""How much of the files of repos is given to peers, and whose turn it is.

1. An address may ask `give_requests` times within a minute. Who asks more often is told when to ask again (429, `Retry-After`).
   Of IPv6, all of a network of 64 bits counts as one address, because whoever has one of them has all.
2. At most SEATS answers are under way. Beyond that, only who has none is let in, up to as many again: so one address that takes
   all there is keeps no other out.
3. All answers together send `give_rate` bytes a second. The next slice is given to the address that had the least so far, however
   many answers it has (start-time fair queueing: Goyal, Vin and Cheng, 1996). An answer stands in line only once its last slice
   was taken, so whoever takes slowly loses its turn to others, and not their time.
4. Who takes less than `pull_rate` bytes a second is cut off: somebody slower is no line, but a trap.

Nothing of it is kept when the process ends.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from ipaddress import IPv6Address, ip_address
from itertools import count
from logging import getLogger
from math import ceil

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from concord.config import Settings
from concord.edges.peer.source import GRACE
from concord.errors import SlowError, TooManyError

logger = getLogger("concord.giving")

SEATS = 64  # answers that are under way at a time; fewer if each would get less than WORTH bytes a second
WORTH = 1000
MINUTE = 60.0
ADDRESSES_MAX = 10_000  # that are remembered
FULL = 5  # seconds after which who found no seat may ask again
SLICE_MAX, SLICE_MIN, SLICES = 1 << 20, 1 << 10, 16  # bytes given at once; slices a second, if there is a rate

_Waiting = tuple[float, int, int, asyncio.Future[None]]  # (when by the bytes given, number, bytes, whom to wake)


class Giving:
    """What is given by one node, from one event loop. `settings` tells how much, `clock` the time in seconds."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # requests that an address may make, and as of when
        self._seated = Counter[str]()
        self._had: dict[str, float] = {}  # of each address, up to where it had bytes, on the scale of `_given`
        self._given = 0.0
        self._free = 0.0  # when the next slice may be given
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, address: str) -> "Share":
        """A seat for an answer to an address. TooManyError if it asks too often (rule 1), or there is none (rule 2)."""
        key = network(address)
        self._count(key)
        rate, seated = self._settings().give_rate, self._seated.total()
        seats = min(SEATS, max(2, rate // WORTH)) if rate else SEATS
        if seated >= seats and (self._seated[key] or seated >= 2 * seats):
            raise TooManyError(f"{seated} files are being given already; ask again in {FULL} seconds", FULL)
        self._seated[key] += 1
        return Share(self, key)

    def leave(self, key: str) -> None:
        """Give a seat back."""
        self._seated[key] -= 1
        if self._seated[key] <= 0:
            del self._seated[key]
            self._had.pop(key, None)

    def _count(self, key: str) -> None:
        most, now = self._settings().give_requests, self._clock()
        if not most:
            return
        left, at = self._left.pop(key, (float(most), now))
        left = round(min(float(most), left + (now - at) * most / MINUTE), 6)
        self._left[key] = max(left - 1, 0.0) if left >= 1 else left, now
        while len(self._left) > ADDRESSES_MAX:
            self._left.popitem(last=False)
        if left < 1:
            wait = max(1, ceil(round((1 - left) * MINUTE / most, 3)))
            raise TooManyError(f"more than {most} requests for files within a minute; ask again in {wait} seconds", wait)

    def slices(self, body: bytes | bytearray) -> Iterator[bytes | bytearray]:
        """The slices in which a piece of an answer is given."""
        rate = self._settings().give_rate
        size = min(SLICE_MAX, max(SLICE_MIN, rate // SLICES)) if rate else len(body)
        yield from (body[start : start + size] for start in range(0, len(body), size)) if len(body) > size else (body,)

    def seconds(self, size: int) -> float:
        """How long it may take until somebody has taken so many bytes (rule 4)."""
        settings = self._settings()
        return GRACE * settings.pull_timeout + size / settings.pull_rate

    async def turn(self, key: str, size: int) -> None:
        """Wait until `size` bytes may be given (rule 3)."""
        if not self._settings().give_rate:
            return
        woken = asyncio.get_running_loop().create_future()
        start = max(self._given, self._had.get(key, 0.0))
        self._had[key] = start + size
        heappush(self._waiting, (start, next(self._numbers), size, woken))
        self._let_on()
        await woken

    def _let_on(self) -> None:
        """Wake those whose turn it is, and come again when it is the next one's."""
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock()
        while self._waiting and self._free <= now:
            start, _, size, woken = heappop(self._waiting)
            if not woken.done():  # who went away takes no time
                self._given, self._free = start, max(self._free, now) + size / max(self._settings().give_rate, 1)
                woken.set_result(None)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(self._free - now, self._let_on)


class Share:
    """The seat of one answer."""

    def __init__(self, giving: Giving, key: str) -> None:
        self.giving, self.key = giving, key

    def leave(self) -> None:
        """Give it back."""
        self.giving.leave(self.key)


class Given:
    """An answer that is given in slices, each when it is its turn."""

    def __init__(self, answer: Response, share: Share) -> None:
        self._answer, self._share = answer, share
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and give the seat back, whatever happens."""

        async def heard() -> Message:
            message = await receive()
            self._gone = self._gone or message["type"] == "http.disconnect"
            return message

        async def paced(message: Message) -> None:
            if message.get("body"):
                await self._give(message["body"], send)
                message = {**message, "body": b""}
            if message["type"] == "http.response.start" or not message.get("more_body", False):
                await send(message)

        try:
            await self._answer(scope, heard, paced)
        except SlowError as e:  # an answer that does not end as it should ends the line
            logger.info("%s is cut off: %s", self._share.key, e)
        finally:
            self._share.leave()

    async def _give(self, body: bytes | bytearray, send: Send) -> None:
        giving = self._share.giving
        for part in giving.slices(body):
            await giving.turn(self._share.key, len(part))
            if self._gone:
                return
            try:
                async with asyncio.timeout(giving.seconds(len(part))):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except TimeoutError as e:
                raise SlowError("what was asked for is taken too slowly, or not at all") from e


def network(address: str) -> str:
    """What counts as one address.

    >>> network("192.0.2.1"), network("2001:db8:0:1:2:3:4:5"), network("2001:db8:0:1::9"), network("somebody")
    ('192.0.2.1', '2001:db8:0:1::', '2001:db8:0:1::', 'somebody')
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
