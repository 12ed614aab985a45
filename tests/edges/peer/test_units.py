"""The units of a file: every chunk comes from somebody, once, whoever is slow, silent or gone."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.edges.peer import units
from concord.edges.peer.plan import Home
from concord.edges.peer.source import FolderSource
from concord.edges.peer.units import STALL, Sender, Units
from concord.ledger.chunks.rows import Row, Rows

XORB = bytes(32)
LENGTH = 1000  # of each chunk as stored


def home(count: int) -> Home:
    rows = b"".join(bytes(Row(bytes([number]) * 32, number * LENGTH, LENGTH, LENGTH)) for number in range(count))
    return Home((Rows(0, rows),), ((0, count),), whole=True)


def wanted(lacks: list[int], begun: set[int] | None = None) -> Units:
    found = Units()
    found.add(XORB, home(max(lacks, default=0) + 1), lacks, begun or set())
    return found


def sender(name: str = "somebody") -> Sender:
    return Sender(FolderSource(Path(name)))


@given(lacks=st.sets(st.integers(0, 60)), begun=st.sets(st.integers(0, 60)), size=st.integers(1, 20 * LENGTH))
def test_units_have_every_chunk_once_follow_each_other_and_begin_where_a_part_is_here(
    lacks: set[int], begun: set[int], size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "UNIT", size)
        found, one, cut = wanted(sorted(lacks), begun), sender(), []
        while (unit := found.take(one, 0.0)) is not None:
            cut.append(range(unit.first, unit.stop))
            found.advance(unit, unit.stop)
            found.give_back(unit, 0.0)
    assert [number for unit in cut for number in unit] == sorted(lacks)
    assert all(number not in begun for unit in cut for number in unit[1:])
    assert all((len(unit) - 1) * LENGTH < size for unit in cut)
    assert found.left[XORB] == 0 and not found.any_left


@given(moves=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.booleans(), st.floats(0, 2 * STALL)), max_size=200))
def test_whatever_senders_do_each_chunk_counts_once(moves: list[tuple[int, int, bool, float]]) -> None:
    senders, count, now = [sender(str(number)) for number in range(3)], 40, 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "UNIT", 7 * LENGTH)
        found, at, came = wanted(list(range(count))), {}, Counter[int]()
        steady = [(number % 3, 5, False, 0.1) for number in range(300)]
        for who, chunks, gives_up, seconds in [*moves, *steady]:
            now += seconds
            unit = at.get(who) or found.take(senders[who], now)
            if unit is None:
                continue
            stop = min(unit.first + chunks, unit.stop)
            before = unit.first
            if found.advance(unit, stop):
                came.update(range(before, stop))
                unit.moved, senders[who].came = now, senders[who].came + (stop - before) * LENGTH
            at[who] = unit
            if gives_up or unit.first >= unit.stop:
                found.give_back(at.pop(who), now)
    assert came == Counter(range(count))
    assert found.left[XORB] == 0


def test_who_is_silent_loses_its_unit_to_who_is_idle_but_not_before() -> None:
    found, silent, idle = wanted([0, 1, 2, 3]), sender(), sender()
    unit = found.take(silent, 0.0)
    assert unit is not None
    found.advance(unit, 1)
    assert found.take(idle, STALL) is None
    taken = found.take(idle, STALL + 0.1)
    assert taken is not None
    assert (taken.first, taken.stop, unit.first, unit.stop) == (1, 4, 1, 1)


def test_who_is_far_slower_keeps_the_chunk_that_it_is_at() -> None:
    found, slow, quick = wanted(list(range(10))), sender(), sender()
    unit = found.take(slow, 0.0)
    assert unit is not None
    found.advance(unit, 1)
    slow.came, quick.came, quick.busy, unit.moved = LENGTH, 100 * LENGTH, 4.0, 4.0
    taken = found.take(quick, 4.0)
    assert taken is not None
    assert (taken.first, taken.stop, unit.first, unit.stop) == (2, 10, 1, 2)


def test_what_is_wanted_first_comes_first() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "UNIT", 2 * LENGTH)
        found = wanted(list(range(8)))
    found.turn_to(XORB, 5)
    first, second = found.take(sender(), 0.0), found.take(sender(), 0.0)
    assert first is not None and second is not None
    assert (first.first, second.first) == (4, 6)
