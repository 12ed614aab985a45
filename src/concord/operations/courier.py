"""The courier: brings the files of other members' repos from peers, for whoever asks at a door (`concord.shelf.Courier`).

Only files of repos that are public and open are asked for, and no bytes that a hold or an erasure stops. That the bytes are here
already, for another repo, gives them to nobody: a peer that serves them for the very repo must send them, or show by the map that
it has the chunks. Whoever asks for the same file of a repo at the same time shares one fetch; repos that have the same file are
each given it, or not, for themselves, one after the other, so that the chunks come once; unless the first is slow, and the next has
somebody else to ask: it fetches beside it then, and whichever is first ends both. What was brought is content of the repo
from then on, and is noted, so that what nobody reads can go first (`concord.operations.keeping`).

Which peers are asked, and how fast they are read, is said by `concord.operations.lines`.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from threading import BoundedSemaphore, Condition, Lock, Thread

from concord.config import Settings
from concord.edges.peer.fetch import WAIT, Fetch, How
from concord.edges.peer.plan import Wanted
from concord.edges.peer.source import Source
from concord.edges.peer.tries import STEP, TRIAL
from concord.edges.peer.units import BRISK
from concord.edges.peer.whole import fetch_whole
from concord.errors import BusyError, ConcordError, DamagedError, MissingError, UnreachableError
from concord.node import Node
from concord.operations.lines import Line
from concord.pillars.commons import File, Repo
from concord.pillars.commons.attributes import REGULAR_MAX
from concord.private import kept, peers
from concord.shelf import Reader
from concord.tlog.errors import ForgedError

FLIGHTS_MAX = 16  # files that are fetched at a time
SEATS = 24  # requests that may wait at a time
AGAIN = 10  # seconds for which nobody is asked again for what nobody had
HASTY = 4  # seconds that a peer may be silent while a page waits
PATIENCE = 7 * 86_400  # seconds that one file may take
FAILED_MAX = 1000
ANY_AGE = 1 << 62  # a time before which everything came

Sources = Callable[[Repo, Settings, int], list[Source]]
_Key = tuple[str, str]  # the root of a repo, and the SHA-256 of one of its files


class Flight:
    """One file on its way from sources of these names, and whoever waits for it."""

    def __init__(self, fetch: Fetch | None, names: Collection[str]) -> None:
        self.fetch, self.names = fetch, names
        self.error: BaseException | None = None
        self.over = False
        self.turn = Condition()

    def end(self, error: BaseException | None) -> None:
        """Let those who wait know that it is over."""
        with self.turn:
            self.error, self.over = error, True
            self.turn.notify_all()

    def ended(self, seconds: float | None = None) -> bool:
        """Whether it is over, waiting for it that long if need be (None: however long)."""
        with self.turn:
            return self.turn.wait_for(lambda: self.over, seconds)

    def wait(self) -> None:
        """Wait for the end. The errors are those of the fetch."""
        self.ended()
        if self.error is not None:
            raise self.error


class Courier:
    """Brings files for the doors of one node."""

    def __init__(self, node: Node, sources: Sources | None = None) -> None:
        self._node, self._shelf = node, Reader(node)
        self._sources = sources or Line(node)
        self._flights: dict[_Key, Flight] = {}
        self._failed: dict[_Key, tuple[float, ConcordError]] = {}
        self._turn = Lock()
        self._seats = BoundedSemaphore(SEATS)

    def may(self, repo: Repo) -> bool:
        """Whether files of the repo can be asked for: it is public and open, and there is somebody to ask."""
        return not repo.private and repo.gate == "open" and bool(self._sources(repo, self._node.settings, 1))

    @property
    def busy(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._flights)

    def wait(self) -> None:
        """Wait until nothing is on its way any more."""
        while flights := list(self._flights.values()):
            with suppress(ConcordError):
                flights[0].wait()

    def bring(self, repo: Repo, file: File, seconds: float | None = None) -> None:
        """Bring a file. MissingError if nobody has it, UnreachableError if some could not be asked.

        BusyError if it is not here after so many seconds; it goes on coming then.
        """
        with self._seat():
            flight = self._flight(repo, file, 0)
            if not flight.ended(seconds):
                raise BusyError(f"{file.path} is on its way here from another node. Try again in a moment")
            flight.wait()

    def read(self, repo: Repo, file: File, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of a file while it comes. The errors are those of `bring`, before the first byte.

        What was not bound to the commit before it came (a file without a Xet hash) is read only once all of it is here.
        """
        with self._seat():
            flight = self._flight(repo, file, start)
            if flight.fetch is not None and file.xet is not None:
                with suppress(ConcordError):
                    flight.fetch.started()
                    return self._seated(flight.fetch.read(start, stop))
            flight.wait()
            return self._shelf.content.read(repo, file.sha256, start, stop)

    def _seated(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        with self._seat():
            yield from pieces

    @contextmanager
    def _seat(self) -> Iterator[None]:
        """A place to wait in: not all threads of a node may wait for lines. BusyError if none is free."""
        if not self._seats.acquire(blocking=False):
            raise BusyError(f"{SEATS} are waiting for files of other nodes already. Try again in a moment")
        try:
            yield
        finally:
            self._seats.release()

    def peek(self, repo: Repo, file: File, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file, for a page: nothing else of a large file is fetched, and nobody is waited for long."""
        self._check(repo, file)
        if not file.large:
            self.bring(repo, file)
            return b"".join(self._shelf.content.read(repo, file.sha256, start, stop))
        flight = self._flights.get(_key(repo, file))
        if file.xet is None or flight is not None:
            raise BusyError(f"{file.path} is on its way") if flight else MissingError(f"{file.path} can only be had whole")
        hasty = replace(self._node.settings, pull_timeout=min(HASTY, self._node.settings.pull_timeout))
        sources = self._sources(repo, hasty, 4 * HASTY)
        how = How(span=(start, stop), patience=HASTY)
        fetch = Fetch(self._node.chunks, _wanted(repo, file), sources, self._node.clock, how)
        try:
            with self._seat():
                fetch.run()
        except (MissingError, UnreachableError) as e:
            self._fail(repo, file, e)
            raise
        return b"".join(fetch.read(start, stop))

    def repair(self, repo: Repo, file: File, place: int | None = None) -> None:
        """Set aside the xorb at `place`, if it is damaged, and bring what is lost. DamagedError if that cannot be."""
        chunks = self._node.chunks
        entry = chunks.by_digest(file.sha256) if place is not None else None
        for xorb in chunks.xorbs_of(entry.hash, place or 0, (place or 0) + 1) if entry else ():
            try:
                with suppress(MissingError):
                    chunks.check_xorb(xorb)
            except DamagedError:
                chunks.set_aside(xorb)
        chunks.salvage(self._node.clock())
        try:
            if repo.private or repo.gate != "open":
                raise MissingError("the repo is not open, so no peer has its files")
            self._begin(repo, file, 0, mend=True).wait()
        except (MissingError, UnreachableError, ForgedError) as e:
            raise DamagedError(f"{file.path} is damaged on this disk, and cannot be repaired now: {e}") from e

    # Flights

    def _check(self, repo: Repo, file: File) -> None:
        """What may not be asked for, or was asked for in vain a moment ago. The errors are those of `bring`."""
        self._node.blobs.check_allowed(file.sha256)
        if repo.private or repo.gate != "open":
            raise MissingError(f"the bytes of {file.path} are not on this node")
        if file.size > self._node.settings.content_bytes:
            raise MissingError(f"{file.path} is larger than all that this node keeps of other members' files")
        at, error = self._failed.get(_key(repo, file), (0.0, None))
        if error is not None and time.monotonic() - at < AGAIN:
            raise error

    def _flight(self, repo: Repo, file: File, first: int) -> Flight:
        self._check(repo, file)
        return self._begin(repo, file, first)

    def _begin(self, repo: Repo, file: File, first: int, *, mend: bool = False) -> Flight:
        """The flight of a file: the one that is under way, or a new one. BusyError if there are too many."""
        with self._turn:
            if (under_way := self._flights.get(_key(repo, file))) is not None:
                return under_way
            if len(self._flights) >= FLIGHTS_MAX:
                raise BusyError(f"{FLIGHTS_MAX} files are being fetched already. Try again in a moment")
            sources = self._sources(repo, self._node.settings, PATIENCE)
            fetch = None
            if file.large:
                how = How(first=first, mend=mend)
                fetch = Fetch(self._node.chunks, _wanted(repo, file), sources, self._node.clock, how)
            ahead = [other for (_, sha256), other in self._flights.items() if sha256 == file.sha256]
            flight = self._flights[_key(repo, file)] = Flight(fetch, {source.name for source in sources})
        work = partial(self._fly, flight, repo, file, sources, ahead)
        Thread(target=work, name=f"fetch {file.path}", daemon=True).start()
        return flight

    def _fly(self, flight: Flight, repo: Repo, file: File, sources: list[Source], ahead: list[Flight]) -> None:
        """Fetch, behind those that fetch the same bytes for other repos, or beside them, and let the repo have them."""
        error: BaseException | None = None
        try:
            beside = not all(self._is_worth_waiting(other, flight, file) for other in ahead)
            self._fetch(flight.fetch, repo, file, sources, beside=beside)
            if repo.id.owner not in self._node.holdings.hosted():
                with self._node.private_writing() as db:  # before the repo has it: what is not noted is never dropped
                    kept.note(db, repo.root, file.sha256, file.size, self._node.clock())
            self._shelf.content.give(repo, [file.sha256])
        except BaseException as e:  # noqa: BLE001  raised by everybody who waits
            error = e
        with self._turn:
            del self._flights[_key(repo, file)]
        if isinstance(error, MissingError | UnreachableError):
            self._fail(repo, file, error)
        flight.end(error)

    def _is_worth_waiting(self, other: Flight, mine: Flight, file: File) -> bool:
        """Wait for the end of another flight of the same bytes. False once it is slow, and there is somebody else to ask."""
        began, before = time.monotonic(), 0
        while not other.ended(STEP):
            spent = time.monotonic() - began
            came = other.fetch.came if other.fetch else self._node.blobs.received(file.sha256, file.size)
            if spent > TRIAL and came - before >= BRISK * spent:
                began, before = time.monotonic(), came
            elif spent > (WAIT if set(mine.names) <= set(other.names) else TRIAL):
                return False
        return True

    def _fetch(self, fetch: Fetch | None, repo: Repo, file: File, sources: list[Source], *, beside: bool) -> None:
        wanted, blobs = _wanted(repo, file), self._node.blobs
        try:
            if fetch is not None:
                self._run(fetch, beside=beside)
                return
        except MissingError:
            pass  # nobody has a map of it; somebody may have it whole, such as a plain web server
        had = blobs.have(file.sha256)
        if not had and (file.large or file.size > REGULAR_MAX):
            self._node.chunks.need(file.size - blobs.received(file.sha256, file.size))
        fetch_whole(blobs, wanted, sources, beside=beside)  # even if it is here: only who sends it shows that the repo has it
        if fetch is not None:
            self._shelf.content.take(self._node.blob(file.sha256), file.sha256, file.size)
        if fetch is not None and not had:
            blobs.discard(file.sha256, ANY_AGE)

    def _run(self, fetch: Fetch, *, beside: bool) -> None:
        """Fetch, and note with a peer that it sent something else than it said."""
        try:
            fetch.run(beside=beside)
        finally:
            for sender in fetch.senders:
                if isinstance(sender.out, ForgedError):
                    with self._node.private_writing() as db:
                        peers.failed(db, sender.name, self._node.clock(), f"sent forged bytes: {sender.out}")

    def _fail(self, repo: Repo, file: File, error: ConcordError) -> None:
        with self._turn:
            if len(self._failed) >= FAILED_MAX:
                self._failed.clear()
            self._failed[_key(repo, file)] = time.monotonic(), error


def _key(repo: Repo, file: File) -> _Key:
    return repo.root, file.sha256


def _wanted(repo: Repo, file: File) -> Wanted:
    return Wanted(repo.root, file.sha256, file.size, file.xet)
