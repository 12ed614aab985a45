"""Measuring a revision: from the names and sizes in its tree alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.pillars.commons.measure import GB, MEMORIES, Measure, measure, memories_of, size_of
from concord.pillars.commons.records import Card
from concord.pillars.commons.tree import File, Tree


def tree(**sizes: int) -> Tree:
    return {path: File(path=path, size=size, sha256="9f" * 32) for path, size in sizes.items()}


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [
        ({"model.safetensors": 5, "pytorch_model.bin": 9}, 5),
        ({"model-00001-of-00002.safetensors": 5, "model-00002-of-00002.safetensors": 6}, 11),
        ({"checkpoint-10/model.safetensors": 5, "model.safetensors": 1}, 1),
        ({"a.Q8_0.gguf": 9, "a.Q4_K.gguf": 4, "pytorch_model.bin": 20}, 4),
        ({"a-00001-of-00002.gguf": 4, "a-00002-of-00002.gguf": 4, "b.gguf": 9}, 8),
        ({"pytorch_model.bin": 3, "flax.onnx": 4}, 7),
        ({"README.md": 3}, 0),
    ],
)
def test_one_form_of_the_weights_counts(sizes: dict[str, int], weights: int) -> None:
    found = measure(Card(), tree(**sizes), "model")
    assert (found.weights, found.size) == (weights, sum(sizes.values()))


def test_a_dataset_runs_on_nothing_and_has_no_class() -> None:
    assert measure(Card(), tree(**{"a.bin": 5}), "dataset") == Measure(5, 0, None)


def test_sizes_that_nobody_could_have_are_counted_no_further() -> None:
    huge = {f"{number}.safetensors": 2**53 - 1 for number in range(2000)}
    assert measure(Card(), tree(**huge), "model").size == 2**53 - 1


@pytest.mark.parametrize(
    ("weights", "memories"),
    [
        (0, ()),
        (1, tuple(MEMORIES)),
        (15 * GB, ("24GB", "80GB")),
        (20 * GB, ("24GB", "80GB")),
        (21 * GB, ("80GB",)),
        (70 * GB, ("more",)),
    ],
)  # fmt: skip
def test_weights_and_a_fifth_more_fit(weights: int, memories: tuple[str, ...]) -> None:
    assert memories_of(Measure(weights, weights, None)) == memories


@given(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_what_is_larger_never_fits_in_less(one: int, other: int) -> None:
    small, large = sorted((max(one, 1), max(other, 1)))
    fits = [set(memories_of(Measure(size, size, None))) - {"more"} for size in (small, large)]
    assert fits[1] <= fits[0]


@pytest.mark.parametrize(
    ("size", "name"), [(0, "100MB"), (GB // 10, "1GB"), (GB, "10GB"), (100 * GB - 1, "100GB"), (100 * GB, "more")]
)
def test_each_size_has_a_class(size: int, name: str) -> None:
    assert size_of(Measure(size, 0, None)) == name
