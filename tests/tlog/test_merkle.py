"""Proofs: every one that should verify does, and no neighbour of it."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.tlog.errors import ConcordError, MalformedError
from concord.tlog.merkle import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    leaf_hash,
    node_hash,
    nodes_of,
    prove_consistency,
    prove_inclusion,
    range_root,
    root,
    root_of,
)

logs = st.lists(st.binary(max_size=8), min_size=1, max_size=70).map(lambda entries: [leaf_hash(entry) for entry in entries])


def rfc6962(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, 2.1, word for word, to hold the other against."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(rfc6962(leaves[:k]), rfc6962(leaves[k:]))


@given(logs)
def test_the_root_is_that_of_the_rfc(leaves: list[bytes]) -> None:
    assert root_of(leaves) == rfc6962(leaves) == root(len(leaves), nodes_of(leaves))


def test_the_empty_root() -> None:
    assert root_of([]) == root(0, nodes_of([])) == EMPTY_ROOT


@given(logs, st.data())
def test_every_entry_is_provable(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = prove_inclusion(index, len(leaves), nodes_of(leaves))
    check_inclusion(leaves[index], index, len(leaves), root_of(leaves), proof)


@given(logs, st.data())
def test_a_changed_inclusion_proof_fails(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = prove_inclusion(index, len(leaves), nodes_of(leaves))
    wrong = data.draw(st.sampled_from(["shorter", "longer", "other leaf", "other root", "other hash"]))
    leaf, top, changed = leaves[index], root_of(leaves), list(proof)
    match wrong:
        case "shorter" if proof:
            changed.pop()
        case "longer":
            changed.append(EMPTY_ROOT)
        case "other hash" if proof:
            changed[data.draw(st.integers(0, len(proof) - 1))] = EMPTY_ROOT
        case "other root":
            top = EMPTY_ROOT
        case _:
            leaf = EMPTY_ROOT
    with pytest.raises(ConcordError):
        check_inclusion(leaf, index, len(leaves), top, changed)


@given(logs, st.data())
def test_every_prefix_is_consistent_and_no_other_tree(leaves: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(leaves)))
    proof = prove_consistency(size, len(leaves), nodes_of(leaves))
    check_consistency(size, root_of(leaves[:size]), len(leaves), root_of(leaves), proof)
    with pytest.raises(ConcordError):
        check_consistency(size, EMPTY_ROOT, len(leaves), root_of(leaves), proof)
    with pytest.raises(ConcordError):
        check_consistency(size, root_of(leaves[:size]), len(leaves), root_of(leaves), [*proof, EMPTY_ROOT])


@given(logs, st.data())
def test_a_proof_binds_the_prefix_it_came_from(leaves: list[bytes], data: st.DataObject) -> None:
    """What evidence of equivocation rests on: the proof verifies for one root at the smaller size only."""
    size = data.draw(st.integers(1, len(leaves)))
    other = data.draw(st.binary(min_size=32, max_size=32).filter(lambda candidate: candidate != root_of(leaves[:size])))
    with pytest.raises(ConcordError):
        check_consistency(size, other, len(leaves), root_of(leaves), prove_consistency(size, len(leaves), nodes_of(leaves)))


def test_proofs_of_nothing_are_refused() -> None:
    leaves = [leaf_hash(b"a")]
    with pytest.raises(RuntimeError):
        prove_inclusion(1, 1, nodes_of(leaves))
    with pytest.raises(RuntimeError):
        prove_consistency(0, 1, nodes_of(leaves))
    with pytest.raises(MalformedError):
        check_consistency(0, EMPTY_ROOT, 1, leaves[0], [])
    with pytest.raises(MalformedError):
        check_inclusion(leaves[0], -1, 1, leaves[0], [])


def test_a_range_is_made_of_perfect_subtrees() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(7)]
    assert range_root(4, 7, nodes_of(leaves)) == root_of(leaves[4:7])


def vectors(shared: Path, kind: str) -> list[tuple[Path, dict[str, Any]]]:
    found = sorted((shared / "merkle" / kind).rglob("*.json"))
    return [(path, json.loads(path.read_text())) for path in found]


def unbase64(text: object) -> bytes:
    return b64decode(text) if isinstance(text, str) else b""


def test_inclusion_vectors(shared_vectors: Path) -> None:
    for path, vector in vectors(shared_vectors, "inclusion"):
        proof = [unbase64(line) for line in vector["proof"] or []]
        try:
            check_inclusion(unbase64(vector["leafHash"]), vector["leafIdx"], vector["treeSize"], unbase64(vector["root"]), proof)
            failed = False
        except ConcordError:
            failed = True
        assert failed == vector["wantErr"], path


def test_consistency_vectors(shared_vectors: Path) -> None:
    for path, vector in vectors(shared_vectors, "consistency"):
        proof = [unbase64(line) for line in vector["proof"] or []]
        try:
            check_consistency(vector["size1"], unbase64(vector["root1"]), vector["size2"], unbase64(vector["root2"]), proof)
            failed = False
        except ConcordError:
            failed = True
        assert failed == vector["wantErr"], path
