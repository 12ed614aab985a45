"""What is read when it is looked at is what a tuple of the same values would be."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from concord.xet.values import Values


@given(st.lists(st.integers()), st.slices(20), st.lists(st.integers()))
def test_values_are_as_a_tuple_of_them(some: list[int], part: slice, others: list[int]) -> None:
    values: Sequence[int] = Values(some.__getitem__, range(len(some)))
    assert values == tuple(some)
    assert tuple(some) == values
    assert (values == tuple(others)) == (some == others)
    assert hash(values) == hash(tuple(some))
    assert values[part] == tuple(some[part])
    assert (len(values), list(values), repr(values)) == (len(some), some, repr(tuple(some)))
    assert values != some  # a list is no tuple either
