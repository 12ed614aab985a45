"""Each text format: what is good prints back to the same bytes, what is bad is refused, what is forged does not verify."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.tlog import checkpoint, cosignature, ed25519, merkle, note, policy, proof
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.errors import ConcordError, ForgedError, MalformedError, TooLargeError
from concord.tlog.note import COSIGNATURE, ED25519, Note, Signature, VerifierKey
from concord.tlog.tile import Place

VECTORS = Path(__file__).parents[1] / "vectors"


def files(folder: str) -> list[Path]:
    found = sorted(path for path in (VECTORS / folder).iterdir() if path.suffix != ".policy")
    assert found, folder
    return found


def reprint_checkpoint(raw: bytes) -> bytes:
    return checkpoint.parse(raw.decode()).text().encode()


ROUND: dict[str, Callable[[bytes], bytes]] = {
    "note": lambda raw: bytes(note.parse(raw)),
    "checkpoint": reprint_checkpoint,
    "proof": lambda raw: bytes(proof.parse(raw)),
}


@pytest.mark.parametrize("path", [path for kind in ROUND for path in files(f"{kind}/good")], ids=lambda path: path.name)
def test_good_files_print_back(path: Path) -> None:
    assert ROUND[path.parts[-3]](path.read_bytes()) == path.read_bytes()


@pytest.mark.parametrize("path", [path for kind in ROUND for path in files(f"{kind}/bad")], ids=lambda path: path.name)
def test_bad_files_are_refused(path: Path) -> None:
    with pytest.raises(MalformedError):
        ROUND[path.parts[-3]](path.read_bytes())


@pytest.mark.parametrize("path", files("policy/good"), ids=lambda path: path.name)
def test_good_policies_print_back(path: Path) -> None:
    read = policy.parse(path.read_bytes())
    assert policy.parse(str(read).encode()) == read


@pytest.mark.parametrize("path", files("policy/bad"), ids=lambda path: path.name)
def test_bad_policies_are_refused(path: Path) -> None:
    with pytest.raises(MalformedError):
        policy.parse(path.read_bytes())


def test_tile_paths() -> None:
    for path in (VECTORS / "tile/good/paths.txt").read_text().splitlines():
        assert str(Place.parse(path)) == path
    for path in (VECTORS / "tile/bad/paths.txt").read_text().splitlines():
        with pytest.raises(MalformedError):
            Place.parse(path)


def test_receipts_verify_offline() -> None:
    trusted = policy.parse((VECTORS / "proof/good/entry-3-of-5.policy").read_bytes())
    receipt = proof.parse((VECTORS / "proof/good/entry-3-of-5.tlog-proof").read_bytes())
    assert receipt.extra == b"entry 3"
    accepted = proof.verify(receipt, trusted, merkle.leaf_hash(receipt.extra))
    assert (accepted.checkpoint.size, [seen.time for seen in accepted.cosigned]) == (5, [1790000000, 1790000001])
    assert policy.tally(trusted, accepted) == (2, len(trusted.groups[trusted.quorum].members))
    witness = next(name for name, key in trusted.witnesses.items() if key == accepted.cosigned[0].key)
    assert policy.tally(replace(trusted, quorum=witness), accepted) == (1, 1)
    assert policy.tally(replace(trusted, quorum=policy.NONE), accepted) == (0, 0)


@pytest.mark.parametrize("path", files("proof/forged"), ids=lambda path: path.name)
def test_forged_receipts_do_not(path: Path) -> None:
    trusted = policy.parse((VECTORS / "proof/good/entry-3-of-5.policy").read_bytes())
    receipt = proof.parse(path.read_bytes())
    assert receipt.extra is not None
    with pytest.raises(ConcordError):
        proof.verify(receipt, trusted, merkle.leaf_hash(receipt.extra))


SEED, OTHER = bytes(32), bytes([1]) * 32
EMPTY = Checkpoint("example.com/log", 0, merkle.EMPTY_ROOT)
LOG_KEY = VerifierKey("example.com/log", ED25519, ed25519.public_key(SEED))


def test_a_known_key_with_a_bad_signature_spoils_the_note() -> None:
    signed = checkpoint.sign(EMPTY, SEED)
    bad = Signature(LOG_KEY.name, LOG_KEY.id, bytes(64))
    unknown = Signature("elsewhere.example", b"\0\0\0\0", b"anything")
    assert checkpoint.open_note(signed.with_signatures([unknown]), (LOG_KEY,)) == EMPTY
    with pytest.raises(ForgedError, match="does not verify"):
        checkpoint.open_note(Note(signed.text, (*signed.signatures, bad)), (LOG_KEY,))


def test_a_note_without_a_known_key_is_refused() -> None:
    signed = checkpoint.sign(EMPTY, OTHER)
    with pytest.raises(ForgedError, match="trusted"):
        checkpoint.open_note(signed, (LOG_KEY,))


def test_a_witness_key_cannot_stand_in_for_the_log() -> None:
    witness = cosignature.verifier_key(EMPTY.origin, OTHER)
    signed = Note(EMPTY.text(), (cosignature.cosign(EMPTY.text(), EMPTY.origin, OTHER, 1),))
    with pytest.raises(ForgedError):
        checkpoint.open_note(signed, (witness,))


def test_a_key_of_another_name_cannot_sign_for_the_log() -> None:
    other = VerifierKey("example.com/other", ED25519, ed25519.public_key(SEED))
    signed = Note(EMPTY.text(), (note.sign(EMPTY.text(), other.name, SEED),))
    with pytest.raises(ForgedError):
        checkpoint.open_note(signed, (LOG_KEY, other))


def test_limits() -> None:
    line = "— k AAAAAAE=\n"
    note.parse(f"a\n\n{line * note.SIGNATURES_MAX}".encode())
    with pytest.raises(TooLargeError):
        note.parse(f"a\n\n{line * (note.SIGNATURES_MAX + 1)}".encode())
    with pytest.raises(TooLargeError):
        note.parse(b"a" * (note.NOTE_SIZE_MAX + 1))
    with pytest.raises(TooLargeError):
        policy.parse(b"#" * (policy.POLICY_SIZE_MAX + 1))
    with pytest.raises(TooLargeError):
        proof.parse(b"#" * (proof.PROOF_SIZE_MAX + 1))


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="+"), min_size=1, max_size=40)


@given(names, st.sampled_from([ED25519, COSIGNATURE]), st.binary(min_size=32, max_size=32))
def test_verifier_keys_print_back(name: str, kind: int, seed: bytes) -> None:
    key = VerifierKey(name, kind, ed25519.public_key(seed))
    assert VerifierKey.parse(str(key)) == key


def test_the_key_of_the_specification() -> None:
    spelled = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    assert str(VerifierKey.parse(spelled)) == spelled


@given(st.binary(max_size=200))
def test_noise_is_malformed_and_nothing_worse(raw: bytes) -> None:
    for read in (note.parse, policy.parse, proof.parse):
        try:
            read(raw)
        except MalformedError:
            continue


@given(st.lists(st.sampled_from([SEED, OTHER]), min_size=1, max_size=3))
def test_merging_signatures_keeps_one_line_a_key(seeds: list[bytes]) -> None:
    text = EMPTY.text()
    lines = [cosignature.cosign(text, "w.example", seed, time) for time, seed in enumerate(seeds)]
    merged = Note(text, ()).with_signatures(lines)
    assert len(merged.signatures) == len(set(seeds))
    assert merged.with_signatures(lines) == merged
