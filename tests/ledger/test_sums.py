"""The sums of pieces: what they remember is bounded, and nothing of a blob that was damaged."""

from collections.abc import Iterator

import pytest

from concord.errors import DamagedError
from concord.ledger.sums import Sums, fits


def test_what_is_remembered_is_bounded_and_what_was_used_stays() -> None:
    sums = Sums(4)
    for name in ("a", "b"):
        sums.keep(name, [b"one", b"two"])
    assert sums.get("a") is not None
    sums.keep("c", [b"one"])
    assert [sums.get(name) is not None for name in "abc"] == [True, False, True]
    assert len(sums) == 3
    sums.keep("long", [b"%d" % number for number in range(9)])
    assert (len(sums), sums.get("a")) == (9, None), "one blob is remembered whatever it has"


def test_nothing_is_remembered_of_pieces_that_end_in_an_error() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise DamagedError("flipped")

    sums = Sums()
    with pytest.raises(DamagedError):
        sums.keep("a", pieces())
    assert sums.get("a") is None


def test_a_piece_fits_in_its_place_alone() -> None:
    known = Sums().keep("a", [b"one", b"two"])
    assert fits(known, 0, b"one")
    assert not any(fits(known, number, piece) for number, piece in [(1, b"one"), (0, b"onf"), (2, b"two"), (0, b"")])
