"""Private keys: kept for their owner only, never written over, and never shown."""

import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import ConcordError, DamagedError, MalformedError, RefusedError, SettingsError, StorageError
from concord.ledger.identity import first
from concord.ledger.keyring import Keyring, PrivateKey, load, new_member, save
from concord.ledger.record import sealed_by
from concord.testing import NOW, bytes_from, make_member
from concord.tlog import checkpoint as checkpoints
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.merkle import EMPTY_ROOT
from concord.tlog.note import COSIGNATURE, ED25519

KE = make_member("ke")
LOG = KE.keys["log"]
SECRET = str(LOG).rpartition("+")[2]


def gives_away(text: str, secret: str = SECRET) -> bool:
    """Whether eight signs of the secret in a row stand in `text`, or the seed in other forms."""
    windows = {secret[start : start + 8] for start in range(len(secret) - 7)}
    return any(window in text for window in windows) or LOG.seed.hex() in text or repr(LOG.seed) in text


# What a member is made with


def test_a_new_member_has_a_key_for_each_purpose_and_no_two_the_same() -> None:
    assert sorted(KE.keys) == ["log", "next-1", "next-2", "next-3", "organ-office", "root-1", "root-2", "root-3", "witness"]
    assert len({key.seed for key in KE.keys.values()}) == len(KE.keys)
    assert first(KE.identity) == KE.identity
    assert sealed_by(KE.identity, KE.identity.root.keys) == 2
    assert (KE.keys["log"].kind, KE.keys["witness"].kind) == (ED25519, COSIGNATURE)


def test_members_of_the_same_name_made_at_different_times_are_different_members() -> None:
    one, other = (new_member("ke", "concord.alt", NOW, bytes_from(seed)) for seed in ("a", "b"))
    assert one.origin != other.origin
    assert new_member("ke", "concord.alt", NOW, bytes_from("a")) == one


# One key in one line


@pytest.mark.parametrize("name", KE.keys)
def test_a_key_prints_back(name: str) -> None:
    assert PrivateKey.parse(str(KE.keys[name])) == KE.keys[name]


@given(st.text(max_size=80) | st.text(max_size=60).map(lambda text: f"PRIVATE+KEY+{text}"))
def test_noise_is_malformed_and_nothing_worse(text: str) -> None:
    with pytest.raises(MalformedError):
        PrivateKey.parse(text)


@given(st.integers(0, len(str(LOG)) - 1), st.sampled_from(["", "!", "é", "A", "+", "\n", "=="]))
def test_a_damaged_key_is_not_shown_in_what_is_said_of_it(place: int, instead: str) -> None:
    text = str(LOG)
    damaged = text[:place] + instead + text[place + 1 :]
    assert not gives_away(said_of(damaged))


def said_of(text: str) -> str:
    """All that Python would say of a failure to read `text`; nothing if it can be read."""
    try:
        PrivateKey.parse(text)
    except MalformedError:
        return traceback.format_exc()
    return ""


def test_a_key_is_not_shown_by_whatever_holds_it() -> None:
    keyring = Keyring(KE.keys.values())
    for holder in (LOG, keyring, KE, list(keyring), {"log": LOG}):
        assert not gives_away(repr(holder))


# Files


def test_keys_are_saved_for_their_owner_only_and_load_again(tmp_path: Path) -> None:
    save(tmp_path / "ke", KE.keys)
    for name, key in KE.keys.items():
        path = tmp_path / "ke" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text() == f"{key}\n"
    assert (tmp_path / "ke").stat().st_mode & 0o777 == 0o700
    assert {str(key) for key in load(tmp_path)} == {str(key) for key in KE.keys.values()}


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    save(tmp_path, {"log": LOG})
    with pytest.raises(SettingsError, match="never written over") as refused:
        save(tmp_path, {"log": KE.keys["witness"]})
    assert (tmp_path / "log").read_text() == f"{LOG}\n"
    assert not gives_away(str(refused.value))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o666])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    save(tmp_path / "ke", {"log": LOG, "witness": KE.keys["witness"]})
    path = tmp_path / "ke" / "log"
    path.chmod(mode)
    with pytest.raises(SettingsError, match=f"chmod 600 {path}") as refused:
        load(tmp_path)
    assert not gives_away(str(refused.value))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"junk", str(LOG)[:-5].encode(), (str(LOG)[:-6] + "!!!!!=").encode()])
def test_a_file_that_is_no_key_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "ke", {"log": LOG})
    path = tmp_path / "ke" / "log"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=str(path)) as refused:
        load(tmp_path)
    assert not gives_away("".join(traceback.format_exception(refused.value)))


def test_a_folder_that_cannot_be_made_is_a_matter_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file where a folder belongs")
    with pytest.raises(StorageError):
        save(tmp_path / "keys" / "ke", {"log": LOG})


def test_no_keys_are_an_empty_keyring(tmp_path: Path) -> None:
    assert list(load(tmp_path)) == list(load(tmp_path / "nowhere")) == []


# Which key is taken


def test_the_first_key_at_hand_is_taken() -> None:
    keyring = Keyring([LOG])
    own, other = LOG.public.key.hex(), KE.identity.witness
    assert keyring.first([other, own]) == LOG
    assert keyring.first([other]) is None
    assert own in keyring
    assert other not in keyring
    assert keyring.with_keys([KE.keys["witness"]]).first([other, own]) == KE.keys["witness"]


def test_root_keys_are_asked_for_when_they_are_away() -> None:
    roots = [KE.keys[f"root-{number}"] for number in (1, 2, 3)]
    root = KE.identity.root
    assert Keyring(roots[1:]).root_seeds(root) == [key.seed for key in roots[1:]]
    assert len(Keyring(roots).root_seeds(root)) == root.threshold
    for at_hand in ([], roots[:1], [KE.keys["next-1"], KE.keys["next-2"]]):
        with pytest.raises(RefusedError, match="2 root keys are needed"):
            Keyring(at_hand).root_seeds(root)


def test_what_a_private_key_signs_its_public_side_verifies() -> None:
    signed = checkpoints.sign(Checkpoint(KE.origin, 0, EMPTY_ROOT), LOG.seed)
    assert checkpoints.open_note(signed, (LOG.public,)).origin == KE.origin
    with pytest.raises(ConcordError):
        checkpoints.open_note(signed, (KE.keys["root-1"].public,))
