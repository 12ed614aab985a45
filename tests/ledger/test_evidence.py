"""Equivocation: who signs two histories is proved to have done so, and nobody else can be."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from concord.errors import ConcordError, ForgedError, MalformedError
from concord.ledger.evidence import Evidence, check, find
from concord.ledger.record import ENCODER, Codec, seal
from concord.ledger.tree import Head
from concord.testing import NOW, bytes_from, make_member
from concord.tlog import checkpoint as checkpoints
from concord.tlog import cosignature, ed25519, merkle
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.merkle import leaf_hash, root_of
from concord.tlog.note import Note

KE, TN = make_member("ke"), make_member("tn")
IDENTITIES = [ENCODER.encode(KE.identity)]
LEAVES = [leaf_hash(entry) for entry in (*IDENTITIES, *(b"%d" % number for number in range(60)))]
FORKED_AT = 7
FORK = [*LEAVES[:FORKED_AT], *(leaf_hash(b"other %d" % number) for number in range(60))]
CODEC = Codec([Evidence])


def head(size: int, leaves: list[bytes] = LEAVES, seed: bytes = KE.keys["log"].seed, origin: str = KE.origin) -> Head:
    checkpoint = Checkpoint(origin, size, root_of(leaves[:size]))
    return Head(checkpoints.sign(checkpoint, seed), checkpoint)


def found(one: Head, other: Head, larger: list[bytes], identities: list[bytes] = IDENTITIES) -> Evidence | None:
    """What somebody finds who holds one of the two heads, is shown the other, and can read the larger tree."""
    size = max(one.checkpoint.size, other.checkpoint.size)
    return find(TN.origin, "", NOW, one, other, merkle.nodes_of(larger[:size]), identities)


# What is proved


@pytest.mark.parametrize(("size", "forked"), [(8, 8), (60, 60), (8, 9), (9, 8), (8, 60), (60, 8), (33, 47)])
def test_two_histories_are_proved_whichever_is_held_and_whichever_is_shown(size: int, forked: int) -> None:
    one, other = head(size), head(forked, FORK)
    larger = LEAVES if size > forked else FORK
    for pair in ((one, other), (other, one)):
        said = found(*pair, larger)
        assert said is not None
        assert said.accused == KE.origin
        assert CODEC.decode(CODEC.encode(said)) == said
        assert {each.root for each in check(said)} == {one.checkpoint.root, other.checkpoint.root}
        assert [each.size for each in check(said)] == sorted((size, forked))


@given(st.integers(0, 60), st.integers(0, 60))
def test_one_history_at_two_sizes_proves_nothing(size1: int, size2: int) -> None:
    larger = LEAVES[: max(size1, size2)]
    assert found(head(size1), head(size2), larger) is None


@given(st.integers(0, FORKED_AT), st.integers(FORKED_AT, 60))
def test_what_both_branches_share_proves_nothing(shared: int, size: int) -> None:
    for branch in (LEAVES, FORK):
        assert found(head(shared, LEAVES), head(size, branch), branch) is None


def test_cosignatures_are_left_out_of_evidence() -> None:
    signed = head(9)
    lines = [cosignature.cosign(signed.note.text, f"w{number}.example", bytes([number]) * 32, NOW) for number in range(40)]
    said = found(Head(signed.note.with_signatures(lines), signed.checkpoint), head(9, FORK), FORK)
    assert said is not None
    assert "w1.example" not in said.first + said.second


def test_what_is_read_of_the_larger_tree_is_not_trusted() -> None:
    """Somebody who serves tiles of another tree cannot make us say something that others would see to be false."""
    for larger in (FORK, [bytes(32)] * 60):
        with pytest.raises((ForgedError, MalformedError)):
            found(head(8), head(60), larger)


def test_keys_of_yesterday_still_prove_what_was_signed_with_them() -> None:
    new = bytes_from("a new log key")(32)
    roots = [KE.keys["root-1"].seed, KE.keys["root-2"].seed]
    rotated = seal(replace(KE.identity, number=1, log=(ed25519.public_key(new).hex(),)), roots)
    identities = [*IDENTITIES, ENCODER.encode(rotated)]
    said = found(head(9), head(9, FORK, seed=new), FORK, identities)
    assert said is not None
    assert check(said)


@pytest.mark.parametrize(
    "junk", [b'\xff"type":"ledger.identity"', b'{"type":"ledger.identity"}', b'"type":"ledger.identity"' * 2_000]
)
def test_nobody_escapes_by_filling_a_log_with_what_looks_like_identities(junk: bytes) -> None:
    identities = [*IDENTITIES, *[junk] * 100]
    said = found(head(9), head(9, FORK), FORK, identities)
    assert said is not None
    assert check(CODEC.decode(CODEC.encode(said)))


# What is not


def accusation(one: Head, other: Head, **changed: Any) -> Evidence:
    """Evidence as anybody may write it, whatever is true."""
    return Evidence(
        **{
            "by": TN.origin,
            "at": NOW,
            "accused": KE.origin,
            "first": bytes(one.note).decode(),
            "second": bytes(other.note).decode(),
            "identities": tuple(entry.decode() for entry in IDENTITIES),
        }
        | changed
    )


def proof(size1: int, size2: int, leaves: list[bytes]) -> tuple[str, ...]:
    return tuple(line.hex() for line in merkle.prove_consistency(size1, size2, merkle.nodes_of(leaves[:size2])))


def prefix(size: int, leaves: list[bytes]) -> str:
    return root_of(leaves[:size]).hex()


TN_IDENTITY = ENCODER.encode(TN.identity).decode()
GOOD = accusation(head(8), head(20, FORK), prefix=prefix(8, FORK), proof=proof(8, 20, FORK))
FALSE: dict[str, Evidence] = {
    "agree-at-one-size": accusation(head(8), head(8)),
    "one-continues-the-other": accusation(head(8), head(20), prefix=prefix(8, LEAVES), proof=proof(8, 20, LEAVES)),
    "one-continues-the-other-without-proof": accusation(head(8), head(20)),
    "one-continues-the-other-with-another-prefix": accusation(
        head(8), head(20), prefix=prefix(8, FORK), proof=proof(8, 20, LEAVES)
    ),
    "one-continues-the-other-with-a-proof-of-a-fork": accusation(
        head(8), head(20), prefix=prefix(8, FORK), proof=proof(8, 20, FORK)
    ),
    "prefix-equal": replace(GOOD, prefix=prefix(8, LEAVES)),
    "prefix-equal-with-its-proof": replace(GOOD, prefix=prefix(8, LEAVES), proof=proof(8, 20, LEAVES)),
    "proof-of-another-tree": replace(GOOD, proof=proof(8, 20, LEAVES)),
    "proof-cut-off": replace(GOOD, proof=GOOD.proof[:-1]),
    "proof-too-long": replace(GOOD, proof=(*GOOD.proof, "00" * 32)),
    "no-proof": replace(GOOD, proof=()),
    "no-prefix": replace(GOOD, prefix=""),
    "larger-first": replace(GOOD, first=GOOD.second, second=GOOD.first),
    "first-signed-by-another": accusation(head(8, seed=TN.keys["log"].seed), head(20, FORK), prefix=GOOD.prefix, proof=GOOD.proof),
    "second-signed-by-another": accusation(head(8), head(20, FORK, TN.keys["log"].seed), prefix=GOOD.prefix, proof=GOOD.proof),
    "second-signed-by-its-witness": accusation(
        head(8), head(20, FORK, KE.keys["witness"].seed), prefix=GOOD.prefix, proof=GOOD.proof
    ),
    "same-size-one-signed-by-another": accusation(head(8), head(8, FORK, TN.keys["log"].seed)),
    "same-size-with-prefix": accusation(head(8), head(8, FORK), prefix=prefix(8, FORK)),
    "same-size-with-proof": accusation(head(8), head(8, FORK), proof=proof(8, 20, FORK)),
    "of-another-log": accusation(head(8), head(8, FORK), identities=(TN_IDENTITY,)),
    "accused-of-anothers": accusation(head(8), head(8, FORK), accused=TN.origin),
    "accused-of-anothers-with-its-identity": accusation(head(8), head(8, FORK), accused=TN.origin, identities=(TN_IDENTITY,)),
    "checkpoints-of-two-logs": accusation(head(8), head(8, FORK, TN.keys["log"].seed, TN.origin)),
    "identity-that-is-not-the-roots": accusation(
        head(8),
        head(8, FORK),
        identities=(ENCODER.encode(replace(KE.identity, seals=())).decode(),),
    ),
    "identity-of-somebody-elses-making": accusation(
        head(8, seed=TN.keys["log"].seed),
        head(8, FORK, TN.keys["log"].seed),
        identities=(ENCODER.encode(replace(TN.identity, by=KE.origin)).decode(),),
    ),
    "empty-trees": accusation(head(0), head(0, FORK)),
    "from-the-empty-tree": accusation(head(0), head(8), prefix="00" * 32),
    "junk-for-a-note": replace(GOOD, first="junk"),
    "a-note-with-a-bad-line": replace(GOOD, first=bytes(Note(head(8).note.text, (head(9).note.signatures[0],))).decode()),
}


def test_a_true_accusation_is_one() -> None:
    first, second = check(GOOD)
    assert (first.size, second.size) == (8, 20)


@pytest.mark.parametrize("said", FALSE.values(), ids=FALSE.keys())
def test_a_false_accusation_proves_nothing(said: Evidence) -> None:
    with pytest.raises((ForgedError, MalformedError)):
        check(said)


@given(st.integers(1, 59), st.data())
def test_an_honest_log_cannot_be_accused_with_any_proof(size: int, data: st.DataObject) -> None:
    """The prover chooses prefix and proof freely, from hashes that are about."""
    larger = data.draw(st.integers(size + 1, 60))
    hashes = [*proof(size, larger, LEAVES), *proof(size, larger, FORK), prefix(size, FORK), "00" * 32]
    lines = tuple(data.draw(st.lists(st.sampled_from(hashes), max_size=8)))
    claimed = data.draw(st.sampled_from([*hashes, prefix(size, LEAVES)]))
    with pytest.raises(ConcordError):
        check(accusation(head(size), head(larger), prefix=claimed, proof=lines))


@given(st.integers(0, len(ENCODER.encode(GOOD)) - 1), st.integers(0, 7))
def test_a_changed_bit_makes_no_new_proof(place: int, bit: int) -> None:
    """It is refused, or still tells of the same two trees."""
    raw = bytearray(CODEC.encode(GOOD))
    raw[place] ^= 1 << bit
    with suppress(ForgedError, MalformedError):
        assert check(CODEC.decode(bytes(raw))) == check(GOOD)
