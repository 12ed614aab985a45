"""Measuring what a shelf has: each revision once, some at once, the rest meanwhile."""

import threading

from concord.measuring import AT_ONCE, Measures
from concord.pillars.commons.measure import EDITION
from concord.private import measures
from concord.shelf import Shelf
from concord.testing import repos, states


def test_a_few_are_measured_at_once_and_remembered() -> None:
    shelf = Shelf(states.sharing())
    everything = shelf.catalogue(None)
    known, left = Measures(shelf).of(everything)
    assert left == 0 and {each.leaf for each in everything if each.leaf} == set(known)
    by_name = {each.id.name: known[each.leaf] for each in everything if each.leaf}
    assert by_name["gated"].weights == 64 and by_name["sheng-speech"].weights > 0
    with shelf.node.private_reading() as db:
        assert measures.known(db, EDITION) == known
    again = Measures(shelf)
    assert again.of([])[0] == known


def test_many_are_measured_meanwhile() -> None:
    shelf = Shelf(states.sharing())
    repos.many(shelf, shelf.node.holdings.hosted()[0], AT_ONCE + 5)
    asked = Measures(shelf)
    _, left = asked.of(shelf.catalogue(None))
    assert left > AT_ONCE
    for thread in [each for each in threading.enumerate() if each.name == "measuring"]:
        thread.join(60)
    known, left = asked.of(shelf.catalogue(None))
    assert left == 0 and len(known) >= AT_ONCE + 5


def test_what_other_rules_measured_is_forgotten_and_what_cannot_be_measured_is_left_out() -> None:
    shelf = Shelf(states.sharing())
    with shelf.node.private_writing() as db:
        measures.keep(db, EDITION - 1, {"9f" * 32: measures.Measure(1, 2, 3)})
    found = next(each for each in shelf.catalogue(None) if each.id.name == "corpus")
    object.__setattr__(found, "leaf", "ab" * 32)  # a commit that lost a race
    known, left = Measures(shelf).of(shelf.catalogue(None))
    assert left == 0 and "ab" * 32 not in known
    with shelf.node.private_reading() as db:
        assert measures.known(db, EDITION - 1) == {}
