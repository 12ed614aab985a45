"""The receipt of a snapshot: what each step of `verify` refuses, whoever made it."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import ForgedError, MalformedError
from concord.ledger.record import ENCODER
from concord.pillars.commons.receipt import Receipt, Snapshot, verify
from concord.pillars.commons.tree import File, digest, grow, listing, parse_listing
from concord.tlog import checkpoint, ed25519, merkle, note, proof
from concord.tlog.policy import Policy, tally

OWNER, OTHER, SEED = "ke.example/0", "tn.example/0", bytes(32)
FILES = [File(path=path, size=size, sha256="9f" * 32) for path, size in (("a", 1), ("b/c", 2), ("b-d", 3), ("é", 4))]
TREE = grow({}, FILES, [])
SAID = {"at": 1, "by": OWNER, "ref": "main", "title": "Begin", "tree": digest(TREE), "type": "commons.commit"}
REPO = {"owner": OWNER, "kind": "model", "name": "words"}


def trusted(origin: str) -> Policy:
    return Policy((note.VerifierKey(origin, note.ED25519, ed25519.public_key(SEED)),))


def receipt(said: Mapping[str, Any], raw: bytes = b"".join(listing(TREE)), *, log: str = OWNER) -> tuple[str, Receipt]:
    entry = ENCODER.encode(said)
    leaf = merkle.leaf_hash(entry)
    signed = checkpoint.sign(checkpoint.Checkpoint(log, 1, leaf), SEED)
    return leaf.hex()[:40], Receipt(bytes(proof.Proof(0, (), signed, entry)), raw)


def check(said: Mapping[str, Any], raw: bytes = b"".join(listing(TREE)), *, log: str = OWNER) -> Snapshot:
    oid, made = receipt(said, raw, log=log)
    return verify(oid, made, lambda _: trusted(log))


def test_what_it_proves() -> None:
    found = check({**SAID, "repo": REPO})
    assert found.tree == TREE
    assert (found.commit.repo.name, found.accepted.checkpoint.origin) == ("words", OWNER)
    assert tally(found.policy, found.accepted) == (0, 0)


def test_a_pull_request_is_anybodys_and_a_branch_the_owners() -> None:
    theirs = {**SAID, "repo": REPO, "by": OTHER}
    with pytest.raises(ForgedError, match="a repo that is another's"):
        check(theirs, log=OTHER)
    assert check({**theirs, "ref": "refs/pr/7"}, log=OTHER).commit.by == OTHER


def test_a_commit_stands_in_the_log_of_its_speaker() -> None:
    with pytest.raises(ForgedError, match=f"stands in the log of {OTHER}"):
        check({**SAID, "repo": REPO}, log=OTHER)


def test_only_the_commit_that_was_asked_for() -> None:
    _, made = receipt({**SAID, "repo": REPO})
    with pytest.raises(ForgedError, match="and not of abab"):
        verify("ab" * 20, made, trusted)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "commons.like", "at": 1, "by": OWNER, "repo": REPO, "person": "x"},
        {**SAID, "repo": {**REPO, "name": "../x"}},
        {**SAID, "repo": REPO, "message": ""},
    ],
)
def test_what_is_no_commit_has_no_receipt(said: Mapping[str, Any]) -> None:
    with pytest.raises(MalformedError):
        check(said)


def test_a_receipt_brings_its_commit() -> None:
    oid, made = receipt({**SAID, "repo": REPO})
    bare = proof.parse(made.proof)
    with pytest.raises(MalformedError, match="does not bring the commit"):
        verify(oid, Receipt(bytes(proof.Proof(0, (), bare.checkpoint)), made.listing), trusted)


def test_a_listing_is_the_one_that_the_commit_names() -> None:
    with pytest.raises(ForgedError, match="another digest"):
        check({**SAID, "repo": REPO}, b"".join(listing(grow(TREE, [], ["a"]))))


@given(st.lists(st.sampled_from([b"a", b"b", b"c/d", "é".encode()]).map(bytes.decode), unique=True))
def test_a_listing_is_read_as_it_was_written(paths: list[str]) -> None:
    tree = grow({}, [File(path=path, size=0, sha256="9f" * 32) for path in paths], [])
    raw = b"".join(listing(tree))
    assert parse_listing(raw) == tree
    assert b"".join(listing(parse_listing(raw))) == raw


def line(path: str) -> bytes:
    return ENCODER.encode(File(path=path, size=1, sha256="9f" * 32)) + b"\n"


@pytest.mark.parametrize(
    "raw",
    [
        line("b") + line("a"),
        line("a") + line("a"),
        line("../a"),
        line("/etc/passwd"),
        line("a") + line("a/b"),
        line("a")[:-1],
        line("a") + b"\n",
        line("a").replace(b":", b": "),
        line("a").replace(b"\n", b"\r\n"),
        line("a").replace(b"1", b"-1"),
        b"\xff\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_listing_that_no_tree_has_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_listing(raw)
    with pytest.raises(MalformedError):
        check({**SAID, "repo": REPO, "tree": sha256(raw).hexdigest()}, raw)
