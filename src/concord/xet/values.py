"""Values that stand in bytes, each read when it is looked at.

A tuple of a million small values takes several times the bytes that they were read from. `Values` keeps the places at which they
stand, which for units of one length is a `range`, and reads one whenever it is asked for. It equals a tuple of the same values.

>>> raw = b"abcdef"
>>> pairs = Values(lambda place: raw[place : place + 2], range(0, 6, 2))
>>> pairs[1], pairs[1:] == (b"cd", b"ef"), len(pairs)
(b'cd', True, 3)
"""

from collections.abc import Callable, Iterator, Sequence
from operator import eq
from typing import TypeVar, overload

T_co = TypeVar("T_co", covariant=True)


class Values(Sequence[T_co]):
    """What `read` reads at each of the places. It must find a value at every one of them."""

    def __init__(self, read: Callable[[int], T_co], places: Sequence[int]) -> None:
        self._read, self._places = read, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, number: int) -> T_co: ...
    @overload
    def __getitem__(self, number: slice) -> "Values[T_co]": ...
    def __getitem__(self, number: int | slice) -> "T_co | Values[T_co]":
        if isinstance(number, slice):
            return Values(self._read, self._places[number])
        return self._read(self._places[number])

    def __iter__(self) -> Iterator[T_co]:
        return map(self._read, self._places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, tuple | Values):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
