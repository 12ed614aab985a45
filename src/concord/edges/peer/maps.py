"""Asking the senders of a file for its map, and for the rows of its xorbs (`concord.edges.peer.plan`), several at a time."""

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from functools import partial

from concord.edges.peer import tries
from concord.edges.peer.content import map_path, rows_path
from concord.edges.peer.plan import Home, Span, Wanted, ask_home, read_map
from concord.edges.peer.tries import PUT_OFF, Doze, asleep
from concord.edges.peer.units import Sender
from concord.errors import ConcordError
from concord.xet.shard import SHARD_MAX, File

HASTE = 1.0  # seconds that those who have a map wait for the maps of others

Way = tuple[bytes, File, list[Sender]]  # a map as it came, the file that it is of, and who has it


def ways(senders: Sequence[Sender], wanted: Wanted, doze: Doze = asleep, most: float = PUT_OFF) -> list[Way]:
    """The maps that senders have, those that most have first, and who has each. Who is late is left out.

    Each may put us off for `most` seconds.
    """
    pool = ThreadPoolExecutor(max(len(senders), 1))
    asked = {pool.submit(_map_of, sender, wanted, doze, most): sender for sender in senders}
    pending, found = set(asked), dict[bytes, Way]()
    while pending:
        done, pending = wait_for(pending, HASTE if found else None, FIRST_COMPLETED)
        for each in done:
            answer = each.result()
            if answer is not None:
                found.setdefault(answer[0], (*answer, []))[2].append(asked[each])
        if not done:
            break
    pool.shutdown(wait=False)
    return sorted(found.values(), key=lambda way: -len(way[2]))


def _map_of(sender: Sender, wanted: Wanted, doze: Doze, most: float) -> tuple[bytes, File] | None:
    def once() -> tuple[bytes, File]:
        raw = sender.source.get(map_path(wanted.root, wanted.sha256), SHARD_MAX)
        return raw, read_map(raw, wanted)

    try:
        return tries.of_any([sender], lambda sender, *, brisk: tries.again(once), wanted, doze, most)  # noqa: ARG005  an Ask
    except ConcordError as e:
        sender.out = e
        return None


def homes(
    senders: Sequence[Sender], wanted: Wanted, spans: Mapping[bytes, tuple[Span, ...]], doze: Doze = asleep, most: float = PUT_OFF
) -> dict[bytes, Home]:
    """The rows of the chunks in `spans` of each xorb, from one of the senders each. They may put us off for `most` seconds."""

    def ask(numbered: tuple[int, bytes]) -> Home:
        number, xorb = numbered
        turned = [senders[(number + turn) % len(senders)] for turn in range(len(senders))]

        def of(sender: Sender, *, brisk: bool) -> Home:
            return tries.again(partial(home, sender, wanted, xorb, spans[xorb], brisk=brisk))

        return tries.of_any(turned, of, wanted, doze, most)

    with ThreadPoolExecutor(2 * len(senders)) as pool:
        return dict(zip(spans, pool.map(ask, enumerate(spans)), strict=True))


def home(sender: Sender, wanted: Wanted, xorb: bytes, spans: tuple[Span, ...], *, brisk: bool = False) -> Home:
    """The rows of the chunks in `spans` of a xorb, from this sender. SlowError if it has to be `brisk`, and is not."""

    def rows(name: str, start: int, stop: int) -> bytes:
        return b"".join(tries.measured(sender.source.part(rows_path(wanted.root, name), start, stop), sender, brisk=brisk))

    return ask_home(rows, xorb, spans)
