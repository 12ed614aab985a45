"""Trying again: lines break, processes wait for each other, and once all was tried one error says how it stands."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from concord.edges.peer.plan import Wanted
from concord.errors import BusyError, ConcordError, ForgedError, MalformedError, MissingError, UnreachableError

TRIES = 5  # times in a row that a line may break before a byte came
PAUSE = 0.1  # seconds before the second try; twice as many before each further one
QUICK = 1.0  # seconds within which a question must have failed to be asked again
STEP = 0.2  # seconds between looks at whether there is something to do

T = TypeVar("T")


def again(ask: Callable[[], T]) -> T:
    """What `ask` answers, asked again while the line breaks quickly."""
    for tries in range(1, TRIES):
        began = time.monotonic()
        try:
            return ask()
        except UnreachableError:
            if time.monotonic() - began > QUICK:
                raise
            pause(tries)
    return ask()


def pause(tries: int) -> None:
    """Wait after so many tries."""
    time.sleep(PAUSE * 2**tries)


def patience(wanted: Wanted, seconds: float) -> Callable[[], None]:
    """To be called while another process fetches the file. BusyError when it takes too long."""
    end = time.monotonic() + seconds

    def wait() -> None:
        if time.monotonic() > end:
            raise BusyError(f"another process has been fetching {wanted.sha256} for {seconds:g} seconds. Try again later")
        time.sleep(STEP)

    return wait


def worst(errors: Sequence[ConcordError], wanted: Wanted) -> ConcordError:
    """What to say once all that could be tried has failed: somebody may have the file, somebody lied, or nobody has it."""
    words = "; ".join(dict.fromkeys(str(error) for error in errors))[:500]
    if any(isinstance(error, UnreachableError) for error in errors):
        return UnreachableError(f"file {wanted.sha256} could not be fetched: {words}")
    if any(isinstance(error, ForgedError | MalformedError) for error in errors):
        return ForgedError(f"what was sent as file {wanted.sha256} is something else: {words}")
    return MissingError(f"nobody who was asked has file {wanted.sha256}")
