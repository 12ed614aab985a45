"""What publishers say of training: kept word for word, and nothing made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.pillars.commons.card import words
from concord.pillars.commons.training import RESULTS, stated

CARD = b"""---
co2_eq_emissions:
  emissions: 232380.50
  energy_consumed: 1.0e3
  hours_used: 0012
  source: code carbon
  training_type: pre-training
  geographical_location: Nairobi, Kenya
  hardware_used: 8 A100 GPUs
---
"""
anything = st.recursive(
    st.none() | st.text("ab1.é", max_size=5) | st.floats() | st.integers(), lambda inner: st.lists(inner, max_size=2)
)


def test_everything_that_the_conventions_name_is_told_word_for_word() -> None:
    told = [(each.what, each.said, each.unit) for each in stated(words(CARD), {})]
    assert told == [
        ("energy", "1.0e3", "kWh"), ("emissions", "232380.50", "g CO2e"), ("time", "0012", "h"), ("hardware", "8 A100 GPUs", ""),
        ("place", "Nairobi, Kenya", ""), ("kind of training", "pre-training", ""), ("source", "code carbon", ""),
    ]  # fmt: skip


def test_a_bare_number_is_the_emissions_and_words_have_no_unit() -> None:
    assert [(each.said, each.unit) for each in stated(words(b"---\nco2_eq_emissions: 100\n---\n"), {})] == [("100", "g CO2e")]
    assert [(each.said, each.unit) for each in stated(words(b"---\nco2_eq_emissions: very little\n---\n"), {})] == [
        ("very little", "")
    ]


def test_the_first_file_of_results_that_says_it_counts() -> None:
    files = {"all_results.json": b'{"total_flos": 1, "train_runtime": 630.4846}', "trainer_state.json": b'{"total_flos": 2}'}
    assert [(each.what, each.said, each.unit, each.where) for each in stated({}, files)] == [
        ("compute", "1", "FLOP", "all_results.json"), ("time", "630.4846", "s", "all_results.json"),
    ]  # fmt: skip
    assert [each.said for each in stated({}, files | {"all_results.json": b'{"total_flos": "much"}'})] == ["2"]


@pytest.mark.parametrize(
    "raw", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b'{"total_flos": NaN}', b'{"total_flos": -1}', b'{"total_flos": {}}']
)
def test_results_that_say_nothing_are_passed_over(raw: bytes) -> None:
    assert stated({}, {"train_results.json": raw}) == []


@pytest.mark.parametrize("said", [None, [], {}, {"emissions": ["1"]}, {"emissions": "a\u202eb"}, {"emissions": "x" * 201}])
def test_what_no_convention_has_is_passed_over(said: object) -> None:
    assert stated({"co2_eq_emissions": said}, {}) == []


@given(
    st.dictionaries(st.sampled_from(["co2_eq_emissions", "x"]), anything), st.dictionaries(st.sampled_from(RESULTS), st.binary())
)
def test_whatever_is_said_only_what_was_said_is_told(front: dict[str, object], results: dict[str, bytes]) -> None:
    for each in stated(front, results):
        assert each.said in str(front) or each.said.encode() in b"".join(results.values())
