"""Measuring what a shelf has: each revision once, some at once, the rest meanwhile."""

import threading
from hashlib import sha256

import pytest

from concord.measuring import AT_ONCE, PATIENCE, Measures
from concord.pillars.commons import File
from concord.pillars.commons.measure import EDITION
from concord.pillars.commons.search import Question
from concord.private import measures
from concord.shelf import Draft, Shelf
from concord.testing import Clock, repos, states
from concord.testing.nodes import everything


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_few_are_measured_at_once_and_remembered() -> None:
    shelf = Shelf(states.sharing())
    everything = shelf.catalogue(None)
    known, left = Measures(shelf).of(everything)
    assert left == 0 and {each.leaf for each in everything if each.leaf} == set(known)
    by_name = {each.id.name: known[each.leaf] for each in everything if each.leaf}
    assert by_name["gated"].weights == 64 and by_name["sheng-speech"].weights > 0
    with shelf.node.private_reading() as db:
        assert {leaf: found for leaf, (found, _) in measures.known(db, EDITION).items()} == known
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
        measures.keep(db, EDITION - 1, {"9f" * 32: (measures.Measure(1, 2, 3), 0)})
    found = next(each for each in shelf.catalogue(None) if each.id.name == "corpus")
    object.__setattr__(found, "leaf", "ab" * 32)  # a commit that lost a race
    known, left = Measures(shelf).of(shelf.catalogue(None))
    assert left == 0 and "ab" * 32 not in known
    with shelf.node.private_reading() as db:
        assert measures.known(db, EDITION - 1) == {}


def test_what_an_earlier_version_remembered_is_measured_again() -> None:
    shelf = Shelf(states.sharing())
    with shelf.node.private_writing() as db:
        db.exec_driver_sql("CREATE TABLE measured (leaf VARCHAR, edition INTEGER, size BIGINT, weights BIGINT, openness INTEGER)")
        db.exec_driver_sql("INSERT INTO measured VALUES ('ab', 1, 2, 3, NULL)")
    known, left = Measures(shelf).of(shelf.catalogue(None))
    assert left == 0 and known and "ab" not in known


def test_parameters_are_counted_where_the_files_are_and_once_they_come(clock: Clock) -> None:
    node = states.young(clock)
    shelf = Shelf(node)
    speaker = everything(node.holdings.hosted()[0])
    repo = shelf.open(speaker, "model", "words", private=False)
    weights = repos.safetensors({"w": [10, 20]})
    file = File(path="model.safetensors", size=len(weights), sha256=sha256(weights).hexdigest())
    shelf.commit(speaker, repo, Draft("main", "Weights", put=[file]))
    asked = Measures(shelf)
    (entry,) = shelf.catalogue(None)
    found = asked.of([entry])[0][entry.leaf]
    assert (found.parameters, found.unread, found.formats) == (None, 1, ("safetensors",))
    shelf.keep(repo, "model.safetensors", weights)
    assert asked.of([entry])[0][entry.leaf].parameters is None, "it is not looked for each time"
    clock.now += PATIENCE
    asked.of([entry])
    for thread in [each for each in threading.enumerate() if each.name == "measuring"]:
        thread.join(60)
    assert asked.of([entry])[0][entry.leaf].parameters == 200
    assert Measures(shelf).of([entry])[0][entry.leaf].parameters == 200, "and remembered"


def test_a_catalogue_has_what_its_asker_may_see(clock: Clock) -> None:
    node = states.young(clock)
    shelf, asked = Shelf(node), Measures(Shelf(node))
    mine, theirs = (everything(origin) for origin in node.holdings.hosted()[:2])
    shelf.open(mine, "model", "words", private=False)
    shelf.open(mine, "model", "secret", private=True)
    found, _ = asked.catalogue(None)
    assert [each.id.name for each in found.search(Question()).entries] == ["words"]
    assert asked.catalogue(None)[0] is found
    assert {each.id.name for each in asked.catalogue(mine)[0].search(Question()).entries} == {"words", "secret"}
    assert {each.id.name for each in asked.catalogue(theirs)[0].search(Question()).entries} == {"words"}
    shelf.configure(mine, shelf.find(shelf.public()[0].id, None), "manual")
    assert asked.catalogue(None)[0].having("gate", "manual") == asked.catalogue(None)[0].all
