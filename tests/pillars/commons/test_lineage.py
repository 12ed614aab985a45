"""Lineage: laws that hold whatever cards say, and cases that people will meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.pillars.commons.lineage import DATASET, KIN_MAX, STEPS_MAX, Index, Lineage, Link, Source, parts, trace
from concord.pillars.commons.records import Card

NAMES = [f"{member}/{name}" for member in ("ke", "br", "id") for name in ("a", "b", "c")]
some = st.lists(st.sampled_from([*NAMES, "elsewhere/x", "words"]), max_size=4).map(tuple)
cards = st.builds(Card, base=some, datasets=some, relation=st.sampled_from(["", "finetune", "merge"]))
catalogues = st.dictionaries(st.tuples(st.sampled_from(["model", "dataset"]), st.sampled_from(NAMES)), cards, min_size=1)


def model(name: str, *base: str, aliases: tuple[str, ...] = (), **card: object) -> Source:
    known = tuple(("model", alias) for alias in aliases)
    return Source(("model", name), Card(base=base, **card), aliases=known)  # type: ignore[arg-type]


def walk(name: str, *sources: Source) -> Lineage:
    start = next(each for each in sources if each.key[1] == name)
    return trace(start, [Index(sources)])


@given(catalogues, st.data())
def test_whatever_cards_say_the_graph_is_sound(catalogue: dict[tuple[str, str], Card], data: st.DataObject) -> None:
    sources = [Source(key, card) for key, card in catalogue.items()]
    start = data.draw(st.sampled_from(sources))
    found = trace(start, [Index(sources)])
    keys = [each.key for each in found.kin]
    assert len(set(keys)) == len(keys) <= KIN_MAX
    assert [each.key for each in found.kin if each.step == 0] == [start.key]
    assert all(abs(each.step) <= STEPS_MAX for each in found.kin)
    assert all(each.here == (each.key in catalogue) for each in found.kin)
    for link in found.links:
        assert {link.of, link.made} <= set(keys) and link.of != link.made
        assert link.of in dict(parts(Source(link.made, catalogue[link.made])))
    together = {start.key}
    for _ in keys:
        together |= {end for link in found.links if {link.of, link.made} & together for end in (link.of, link.made)}
    assert together == set(keys), "nothing stands there that no link leads to"


@given(catalogues, st.randoms())
def test_the_order_of_the_catalogue_does_not_matter(catalogue: dict[tuple[str, str], Card], random: object) -> None:
    sources = [Source(key, card) for key, card in catalogue.items()]
    mixed = list(sources)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    cut = len(mixed) // 2
    assert trace(sources[0], [Index(sources)]) == trace(sources[0], [Index(mixed)])
    whole, halves = trace(sources[0], [Index(sources)]), trace(sources[0], [Index(mixed[:cut]), Index(mixed[cut:])])
    assert whole == halves


@given(catalogues)
def test_who_is_above_has_whoever_it_is_above_below(catalogue: dict[tuple[str, str], Card]) -> None:
    sources = {key: Source(key, card) for key, card in catalogue.items()}
    index = Index(sources.values())
    for key, source in sources.items():
        for each in trace(source, [index]).origins:
            if each.source is not None:
                back = {kin.key for kin in trace(each.source, [index]).kin}
                assert key in back


def test_both_ways_across_members_with_how() -> None:
    base, tuned = model("ke/base", datasets=("id/corpus",)), model("br/tuned", "ke/base", relation="finetune")
    small = model("id/small", "br/tuned", relation="quantized")
    found = walk("br/tuned", base, tuned, small)
    assert [(each.key[1], each.step, each.here) for each in found.kin] == [
        ("id/corpus", -2, False), ("ke/base", -1, True), ("br/tuned", 0, True), ("id/small", 1, True),
    ]  # fmt: skip
    assert [link.how for link in found.links] == [DATASET, "quantized", "finetune"]
    assert [each.key[1] for each in found.origins] == ["ke/base", "id/corpus"]


def test_two_that_name_each_other_and_one_that_names_itself_are_tolerated() -> None:
    a, b = model("ke/a", "br/b", "ke/a"), model("br/b", "ke/a")
    found = walk("ke/a", a, b)
    assert [each.key[1] for each in found.kin] == ["br/b", "ke/a"]
    assert {(link.of[1], link.made[1]) for link in found.links} == {("br/b", "ke/a"), ("ke/a", "br/b")}


def test_a_repo_is_found_under_the_names_that_it_had() -> None:
    renamed, old = model("ke/new", aliases=("ke/old",)), model("br/tuned", "ke/old")
    assert [each.key[1] for each in walk("br/tuned", renamed, old).kin] == ["ke/new", "br/tuned"]
    assert [each.key[1] for each in walk("ke/new", renamed, old).kin] == ["ke/new", "br/tuned"]


def test_a_dataset_and_a_model_of_one_name_are_two() -> None:
    both = [model("ke/a", "ke/b"), Source(("dataset", "ke/b"), Card())]
    found = walk("ke/a", *both)
    assert [(each.key, each.here) for each in found.kin] == [(("model", "ke/b"), False), (("model", "ke/a"), True)]


@pytest.mark.parametrize("wide", [KIN_MAX - 1, KIN_MAX])
def test_a_crowd_is_cut_and_says_so(wide: int) -> None:
    crowd = [model(f"br/{number}", "ke/base") for number in range(wide)]
    found = walk("ke/base", model("ke/base"), *crowd)
    assert (len(found.kin), found.cut) == (KIN_MAX, wide >= KIN_MAX)


@pytest.mark.parametrize("long", [STEPS_MAX, STEPS_MAX + 1])
def test_a_long_line_is_cut_and_says_so(long: int) -> None:
    line = [model(f"ke/{number}", *([f"ke/{number + 1}"] if number < long else [])) for number in range(long + 1)]
    found = walk("ke/0", *line)
    assert (min(each.step for each in found.kin), found.cut) == (-STEPS_MAX, long > STEPS_MAX)
    assert found.links[0] == Link(("model", "ke/1"), ("model", "ke/0"))
