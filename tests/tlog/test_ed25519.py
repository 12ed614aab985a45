"""One answer for every edge case of Ed25519."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from concord.tlog.ed25519 import LOW_ORDER, accepts, is_public_key, public_key, sign

seeds = st.binary(min_size=32, max_size=32)


@given(seeds, st.binary(max_size=100))
def test_what_a_key_signs_it_verifies(seed: bytes, message: bytes) -> None:
    assert accepts(public_key(seed), message, sign(seed, message))


@given(seeds, st.binary(min_size=1, max_size=100), st.integers(0, 511))
def test_a_flipped_bit_fails(seed: bytes, message: bytes, bit: int) -> None:
    signature = bytearray(sign(seed, message))
    signature[bit // 8] ^= 1 << bit % 8
    assert not accepts(public_key(seed), message, bytes(signature))


def test_rfc_8032_test_1() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public_key(seed).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert sign(seed, b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_the_low_order_encodings_are_fourteen() -> None:
    assert len(LOW_ORDER) == 14
    assert not any(is_public_key(encoding) for encoding in LOW_ORDER)


def test_wrong_sizes_are_refused() -> None:
    assert not accepts(bytes(31), b"", bytes(64))
    assert not accepts(public_key(bytes(32)), b"", bytes(63))


def test_edge_vectors(shared_vectors: Path) -> None:
    """Accepted are exactly those without a low-order or non-canonical point in key or R, and without a leftover small component."""
    vectors = json.loads((shared_vectors / "ed25519" / "ed25519vectors.json").read_text())
    assert len(vectors) == 914
    for vector in vectors:
        accepted = accepts(bytes.fromhex(vector["key"]), vector["msg"].encode(), bytes.fromhex(vector["sig"]))
        assert accepted == (not vector["flags"]), vector["number"]
