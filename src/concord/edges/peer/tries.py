"""Trying again: lines break, peers ask for patience, processes wait for each other, and one error says how it stands in the end.

What only one source is asked for at a time (the rows of a xorb, a small file) goes to the next if it comes slowly, as long as there
is one that was not tried, and then to the quickest (`of_any`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from concord.edges.peer.plan import Wanted
from concord.edges.peer.units import BRISK, Sender
from concord.errors import (
    BusyError,
    ConcordError,
    ForgedError,
    LaterError,
    MalformedError,
    MissingError,
    SlowError,
    UnreachableError,
)

TRIES = 5  # times in a row that a line may break before a byte came
PAUSE = 0.1  # seconds before the second try; twice as many before each further one
QUICK = 1.0  # seconds within which a question must have failed to be asked again
STEP = 0.2  # seconds between looks at whether there is something to do
TRIAL = 10.0  # seconds after which it counts how fast a source is
PUT_OFF = 600.0  # seconds in all that sources may put us off

T = TypeVar("T")
Got_co = TypeVar("Got_co", covariant=True)
Doze = Callable[[float], bool]  # wait so many seconds; whether to go on then


class Ask(Protocol[Got_co]):
    """A question to a source. If it has to be `brisk`, SlowError is raised once it is not."""

    def __call__(self, sender: Sender, *, brisk: bool) -> Got_co: ...


def again(ask: Callable[[], T]) -> T:
    """What `ask` answers, asked again while the line breaks quickly."""
    for tries in range(1, TRIES):
        began = time.monotonic()
        try:
            return ask()
        except (LaterError, SlowError):
            raise
        except UnreachableError:
            if time.monotonic() - began > QUICK:
                raise
            pause(tries)
    return ask()


def pause(tries: int) -> None:
    """Wait after so many tries."""
    time.sleep(PAUSE * 2**tries)


def asleep(seconds: float) -> bool:
    """Wait, and go on."""
    time.sleep(seconds)
    return True


def of_any(senders: Sequence[Sender], ask: Ask[Got_co], wanted: Wanted, doze: Doze = asleep, most: float = PUT_OFF) -> Got_co:
    """What the first of the sources answers that can; who is slow, or asks for patience, is asked again after all others.

    They may put us off for `most` seconds. The errors are those of `Fetch.run`.
    """
    errors, waiting = dict[int, ConcordError](), sorted(senders, key=lambda sender: sender.slow)
    while waiting:
        late, wait = list[Sender](), most
        for sender in waiting:
            try:
                return ask(sender, brisk=len(waiting) > 1 and not sender.slow)
            except (LaterError, SlowError) as e:
                errors[id(sender)] = e
                late.append(sender)
                wait = min(wait, e.wait if isinstance(e, LaterError) else 0)
            except (UnreachableError, MissingError, ForgedError, MalformedError) as e:
                errors[id(sender)] = e
        most -= wait
        waiting = sorted(late, key=lambda sender: -sender.rate) if most > 0 and doze(wait) else []
    raise worst(list(errors.values()), wanted)


def measured(pieces: Iterator[bytes], sender: Sender, *, brisk: bool) -> Iterator[bytes]:
    """What a source sends; if it has to be `brisk`, SlowError once it is slow, which is known of it from then on."""
    began, count = time.monotonic(), 0
    for piece in pieces:
        yield piece
        count, spent = count + len(piece), time.monotonic() - began
        if brisk and spent > TRIAL:
            sender.rate = count / spent
            if sender.rate < BRISK:
                sender.slow = True
                raise SlowError(f"{sender.name} sends {sender.rate:.0f} bytes a second, and others are tried first")
            began, count = time.monotonic(), 0


def patience(wanted: Wanted, seconds: float, folder: Path) -> Callable[[], None]:
    """To be called while another process fetches the file into a folder. BusyError when nothing came of it for too long."""
    size, end = -1, 0.0

    def wait() -> None:
        nonlocal size, end
        now, before, size = time.monotonic(), size, _weight(folder)
        end = now + seconds if size != before else end
        if now > end:
            raise BusyError(f"another process fetches {wanted.sha256}, and nothing came in {seconds:g} seconds. Try again later")
        time.sleep(STEP)

    return wait


def _weight(folder: Path) -> int:
    """How many bytes lie in a folder, which somebody else changes."""
    size = 0
    with suppress(OSError):
        for path in folder.rglob("*"):
            size += path.stat().st_size
    return size


def worst(errors: Sequence[ConcordError], wanted: Wanted) -> ConcordError:
    """What to say once all that could be tried has failed: somebody may have the file, somebody lied, or nobody has it."""
    words = "; ".join(dict.fromkeys(str(error) for error in errors))[:500]
    if any(isinstance(error, UnreachableError) for error in errors):
        return UnreachableError(f"file {wanted.sha256} could not be fetched: {words}")
    if any(isinstance(error, ForgedError | MalformedError) for error in errors):
        return ForgedError(f"what was sent as file {wanted.sha256} is something else: {words}")
    return MissingError(f"nobody who was asked has file {wanted.sha256}")
