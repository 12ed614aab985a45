"""Hundreds of histories of a federation. `python -m concord.testing.simulation` runs more, and any seed again."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from concord.testing.simulation import BrokenLawError, World, run

# (seeds, nodes at most, steps): many small worlds, some middling, one of thirty nodes. A seed's kind is its rest by four:
# plain, with an equivocator, with restored backups, with both.
CAMPAIGNS = [(range(160), 5, 36), (range(1000, 1008), 12, 36), (range(2005, 2006), 30, 40)]


def live(seed: int, nodes: int, steps: int) -> str:
    """What was wrong with one history, or nothing."""
    try:
        run(seed, nodes, steps)
    except BrokenLawError as e:
        return str(e)
    return ""


def test_every_law_holds_in_every_history() -> None:
    tasks = [(seed, most if most == 30 else 3 + seed % (most - 2), steps) for seeds, most, steps in CAMPAIGNS for seed in seeds]
    tasks.sort(key=lambda task: -task[1])
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        assert [wrong for wrong in pool.map(live, *zip(*tasks, strict=True)) if wrong] == []


def test_the_same_seed_is_the_same_world() -> None:
    one, two = run(41, 4, 30), run(41, 4, 30)
    assert one.said == two.said
    assert [host.node.view.digests() for host in one.hosts] == [host.node.view.digests() for host in two.hosts]


def test_a_law_that_breaks_is_noticed() -> None:
    """The simulation itself is tested by breaking things behind its back."""
    world = World(7, 3)
    world.run(20)
    host = world.hosts[1]
    index, entry = world.said[host.member.origin][0]
    world.said[host.member.origin].append((index, entry + b" "))
    with pytest.raises(BrokenLawError, match="lost it"):
        world.run(5)


def test_a_served_entry_without_a_signed_root_is_noticed() -> None:
    world = World(8, 3)
    world.run(20)
    files = world.hosts[0].storage.files
    bundle = next(name for name in files if "/tile/entries/" in name)
    files[bundle] = files[bundle].replace(b"concord", b"discord", 1)
    with pytest.raises(BrokenLawError, match="do not make its root"):
        world.run(20)
