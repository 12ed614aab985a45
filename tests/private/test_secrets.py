"""Links, sessions and tokens: each lets in whom it should, for as long as it should, and is kept nowhere."""

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import Connection, Engine

from concord.errors import MissingError, RefusedError, SignInError, TooManyError
from concord.ledger.pillar import Role
from concord.ledger.storage.database import open_database, writing
from concord.private import attempts, people, secrets
from concord.private.people import READ
from concord.private.secrets import DAY
from concord.private.tables import prepare
from concord.testing import NOW

ORIGIN = "ke.example/0"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = open_database(tmp_path / "node.db")
    prepare(made)
    with writing(made) as db:
        people.add(db, "amina", "Amina", ORIGIN, [Role.DELEGATE, Role.CLERK], NOW)
        people.add(db, "bob", "Bob", ORIGIN, [Role.ADMIN], NOW)
    return made


@pytest.fixture
def db(engine: Engine) -> Iterator[Connection]:
    with writing(engine) as connection:
        yield connection


# Links


def test_a_link_signs_in_once(db: Connection) -> None:
    link = secrets.make_link(db, "amina", NOW, 30)
    other = secrets.make_link(db, "bob", NOW, 30)
    assert secrets.use_link(db, link, NOW + 1).person == "amina"
    with pytest.raises(SignInError, match="used already"):
        secrets.use_link(db, link, NOW + 1)
    assert secrets.use_link(db, other, NOW + 1).person == "bob"


def test_a_link_is_good_for_its_minutes(db: Connection) -> None:
    for at in (NOW, NOW + 1799):
        assert secrets.use_link(db, secrets.make_link(db, "amina", NOW, 30), at)
    for at in (NOW + 1800, NOW + DAY):
        with pytest.raises(SignInError, match="too old"):
            secrets.use_link(db, secrets.make_link(db, "amina", NOW, 30), at)


def test_a_link_that_is_none_signs_nobody_in(db: Connection) -> None:
    secrets.make_link(db, "amina", NOW, 30)
    for wrong in ("", "x", "' OR 1=1 --"):
        with pytest.raises(SignInError):
            secrets.use_link(db, wrong, NOW)
    with pytest.raises(MissingError):
        secrets.make_link(db, "nobody", NOW, 30)


def test_of_many_who_use_a_link_at_once_one_gets_in(engine: Engine) -> None:
    with writing(engine) as db:
        link = secrets.make_link(db, "amina", NOW, 30)
    outcomes: list[bool] = []
    together = Barrier(8)

    def use() -> None:
        together.wait()
        try:
            with writing(engine) as db:
                secrets.use_link(db, link, NOW)
            outcomes.append(True)
        except SignInError:
            outcomes.append(False)

    threads = [Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == [False] * 7 + [True]


# Sessions


def test_a_session_lasts_its_days_or_until_it_is_ended(db: Connection) -> None:
    session, other = (secrets.make_session(db, "amina", NOW, 14) for _ in range(2))
    assert secrets.session_speaker(db, session, NOW + 14 * DAY - 1).person == "amina"
    with pytest.raises(SignInError, match="signed out"):
        secrets.session_speaker(db, session, NOW + 14 * DAY)
    secrets.end_session(db, session)
    with pytest.raises(SignInError):
        secrets.session_speaker(db, session, NOW)
    assert secrets.session_speaker(db, other, NOW).scopes is None


def test_the_word_of_a_form_follows_from_the_session_and_does_not_give_it_away(db: Connection) -> None:
    one, other = (secrets.make_session(db, "amina", NOW, 14) for _ in range(2))
    assert secrets.csrf(one) == secrets.csrf(one) != secrets.csrf(other)
    assert secrets.csrf(one) != secrets._hash(one)
    with pytest.raises(SignInError):
        secrets.session_speaker(db, secrets.csrf(one), NOW)


# Tokens


def test_a_token_speaks_for_its_person_within_its_scopes(db: Connection) -> None:
    token = secrets.make_token(db, "amina", "laptop", [Role.CLERK, READ], NOW, 90)
    speaker = secrets.token_speaker(db, token, NOW)
    assert token.startswith("hf_")
    assert (speaker.person, speaker.scopes) == ("amina", {"clerk", "read"})
    assert {role for role in Role if speaker.may(role)} == {Role.CLERK}


def test_a_token_does_no_more_than_its_person_may_at_the_time(db: Connection) -> None:
    token = secrets.make_token(db, "amina", "laptop", [Role.CLERK, Role.DELEGATE], NOW, 90)
    people.set_roles(db, "amina", [Role.CLERK])
    assert {role for role in Role if secrets.token_speaker(db, token, NOW).may(role)} == {Role.CLERK}


def test_a_token_without_scopes_does_nothing(db: Connection) -> None:
    token = secrets.make_token(db, "amina", "laptop", [], NOW, 90)
    assert not any(secrets.token_speaker(db, token, NOW).may(role) for role in Role)


@pytest.mark.parametrize("scopes", [[Role.ADMIN], [Role.CLERK, Role.ADMIN], ["write"], ["*"], [Role.NODE], ["clerk admin"], [""]])
def test_a_scope_that_its_person_does_not_have_is_refused(db: Connection, scopes: list[str]) -> None:
    with pytest.raises(RefusedError, match="has no role"):
        secrets.make_token(db, "amina", "laptop", scopes, NOW, 90)
    assert secrets.tokens(db) == []


@pytest.mark.parametrize(("label", "days"), [("", 90), ("  ", 90), ("x" * 101, 90), ("laptop", 0), ("laptop", -1), ("laptop", 367)])
def test_a_token_has_a_label_and_an_end(db: Connection, label: str, days: int) -> None:
    with pytest.raises(RefusedError, match="a token has a label"):
        secrets.make_token(db, "amina", label, [READ], NOW, days)


def test_a_token_expires(db: Connection) -> None:
    token = secrets.make_token(db, "amina", "laptop", [READ], NOW, 1)
    assert secrets.token_speaker(db, token, NOW + DAY - 1)
    with pytest.raises(SignInError, match="expired"):
        secrets.token_speaker(db, token, NOW + DAY)
    for wrong in ("", "hf_", token[:-1], token + "x", token.swapcase(), token.removeprefix("hf_")):
        with pytest.raises(SignInError):
            secrets.token_speaker(db, wrong, NOW)


def test_tokens_are_listed_without_their_secrets_and_revoked_by_their_person(db: Connection) -> None:
    first = secrets.make_token(db, "amina", " laptop ", [READ], NOW, 90)
    secrets.make_token(db, "bob", "server", [Role.ADMIN], NOW + 1, 90)
    secrets.note_use(db, first, NOW + 5)
    bobs, aminas = secrets.tokens(db)
    assert (aminas.person, aminas.label, aminas.scopes, aminas.created, aminas.used) == ("amina", "laptop", ("read",), NOW, NOW + 5)
    assert (bobs.expires, bobs.used) == (NOW + 1 + 90 * DAY, None)
    assert first not in repr([bobs, aminas])
    assert secrets.tokens(db, "amina") == [aminas]
    with pytest.raises(MissingError):
        secrets.revoke(db, bobs.id, "amina")
    secrets.revoke(db, aminas.id, "amina")
    with pytest.raises(SignInError):
        secrets.token_speaker(db, first, NOW)
    secrets.revoke(db, bobs.id)
    with pytest.raises(MissingError):
        secrets.revoke(db, bobs.id)


# What is kept


def test_no_secret_stands_anywhere_in_the_files_of_the_database(engine: Engine, tmp_path: Path) -> None:
    password = "correct horse battery"
    with writing(engine) as db:
        people.set_password(db, "amina", password)
        token = secrets.make_token(db, "amina", "laptop", [READ], NOW, 90)
        made = [token, secrets.make_link(db, "amina", NOW, 30), secrets.make_session(db, "amina", NOW, 14), password]
        secrets.note_use(db, token, NOW)
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secrets._hash(token).encode() in raw
    for secret in made:
        assert secret[3:].encode() not in raw


def test_secrets_are_long_and_never_the_same(db: Connection) -> None:
    made = [secrets.make_link(db, "amina", NOW, 30) for _ in range(50)]
    made += [secrets.make_token(db, "amina", "laptop", [READ], NOW, 90) for _ in range(50)]
    assert len(set(made)) == 100
    assert min(map(len, made)) >= 43


# Guessing


def test_over_the_limit_even_the_right_word_waits_and_then_does_not(db: Connection) -> None:
    for number in range(3):
        attempts.check(db, ("amina", "10.0.0.1"), NOW + number, 3)
        attempts.failed(db, ("amina", "10.0.0.1"), NOW + number)
    for key in ("amina", "10.0.0.1"):
        with pytest.raises(TooManyError, match="wait 15 minutes") as refused:
            attempts.check(db, (key,), NOW + 3, 3)
        assert refused.value.wait == attempts.WINDOW - 3
    attempts.check(db, ("bob", "10.0.0.2"), NOW + 3, 3)
    with pytest.raises(TooManyError, match="wait 1 minutes"):
        attempts.check(db, ("amina",), NOW + attempts.WINDOW - 1, 3)
    attempts.check(db, ("amina",), NOW + attempts.WINDOW, 3)


def test_a_success_forgets_the_persons_failures_and_not_the_addresses(db: Connection) -> None:
    for _ in range(3):
        attempts.failed(db, ("amina", "10.0.0.1"), NOW)
    attempts.forget(db, "amina")
    attempts.check(db, ("amina",), NOW, 3)
    with pytest.raises(TooManyError):
        attempts.check(db, ("10.0.0.1",), NOW, 3)
