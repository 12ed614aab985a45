"""People: who they are, what they may do, and that nobody else signs in as them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import extract_parameters
from sqlalchemy import Connection, select

from concord.errors import MissingError, RefusedError, SignInError
from concord.ledger.pillar import PERSONAL_ROLES, Role
from concord.ledger.storage.database import open_database, writing
from concord.private import people, secrets
from concord.private.people import PASSWORD_MAX, READ
from concord.private.tables import person, prepare
from concord.testing import NOW

ORIGIN = "ke.example/0"
PASSWORD = "correct horse battery"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Connection]:
    engine = open_database(tmp_path / "node.db")
    prepare(engine)
    with writing(engine) as connection:
        people.add(connection, "amina", "Amina", ORIGIN, [Role.DELEGATE, Role.CLERK], NOW)
        yield connection


@pytest.mark.parametrize(
    ("first", "second"), [("a.b", "a-b"), ("a-b", "a.b"), ("a.b-c", "a-b.c"), ("a..b", "a.-b")], ids=lambda name: name
)
def test_nobody_is_called_so_that_records_take_them_for_another(db: Connection, first: str, second: str) -> None:
    people.add(db, first, "First", ORIGIN, [], NOW)
    people.disable(db, first, NOW)
    with pytest.raises(RefusedError, match=f"'{first}'.*records"):
        people.add(db, second, "Second", ORIGIN, PERSONAL_ROLES, NOW)
    people.add(db, second, "Second", "tn.example/0", [], NOW)
    assert people.speaker(db, second).origin == "tn.example/0", "records of another member are another's"


def test_nobody_is_called_as_records_are_that_no_person_said(db: Connection) -> None:
    with pytest.raises(RefusedError, match="the node itself"):
        people.add(db, "node", "Somebody", ORIGIN, [], NOW)


def test_a_person_is_found_as_added(db: Connection) -> None:
    people.add(db, "b.o-b2", " Bob ", "tn.example/0", [], NOW + 1)
    found = people.everybody(db)
    assert [(each.id, each.name, each.origin, each.roles, each.created) for each in found] == [
        ("amina", "Amina", ORIGIN, (Role.DELEGATE, Role.CLERK), NOW),
        ("b.o-b2", "Bob", "tn.example/0", (), NOW + 1),
    ]
    assert [people.find(db, each.id) for each in found] == found
    assert not any(each.has_password or each.disabled for each in found)
    with pytest.raises(MissingError):
        people.find(db, "nobody")


@pytest.mark.parametrize("id_", ["", "Amina", "a b", "-a", "a-", ".a", "a.", "a" * 33, "a\n", "ämina", "a/b", "a'b"])
def test_what_is_no_id_is_refused(db: Connection, id_: str) -> None:
    with pytest.raises(RefusedError, match="not an id"):
        people.add(db, id_, "Somebody", ORIGIN, [], NOW)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_what_is_no_name_is_refused(db: Connection, name: str) -> None:
    with pytest.raises(RefusedError):
        people.add(db, "bob", name, ORIGIN, [], NOW)


def test_an_id_is_given_once(db: Connection) -> None:
    with pytest.raises(RefusedError, match="already"):
        people.add(db, "amina", "Another", ORIGIN, [], NOW)
    assert people.find(db, "amina").name == "Amina"


# Roles


def test_a_person_may_do_what_its_roles_say(db: Connection) -> None:
    speaker = people.speaker(db, "amina")
    assert {role for role in Role if speaker.may(role)} == {Role.DELEGATE, Role.CLERK}
    assert (speaker.person, speaker.name, speaker.origin, speaker.scopes) == ("amina", "Amina", ORIGIN, None)


def test_roles_replace_the_roles_before(db: Connection) -> None:
    people.set_roles(db, "amina", [Role.ADMIN, Role.OFFICER, Role.ADMIN])
    assert people.find(db, "amina").roles == (Role.OFFICER, Role.ADMIN)
    people.set_roles(db, "amina", PERSONAL_ROLES)
    assert people.find(db, "amina").roles == PERSONAL_ROLES
    people.set_roles(db, "amina", [])
    assert not any(people.speaker(db, "amina").may(role) for role in Role)


def test_nobody_has_the_role_of_the_node(db: Connection) -> None:
    with pytest.raises(RefusedError):
        people.set_roles(db, "amina", [Role.NODE])
    with pytest.raises(RefusedError):
        people.add(db, "bob", "Bob", ORIGIN, [Role.NODE], NOW)
    with pytest.raises(MissingError):
        people.set_roles(db, "nobody", [Role.CLERK])


def test_a_token_narrows_and_never_widens(db: Connection) -> None:
    speaker = people.speaker(db, "amina")
    narrowed = speaker.narrowed([Role.CLERK, Role.ADMIN])
    assert {role for role in Role if narrowed.may(role)} == {Role.CLERK}
    assert not any(speaker.narrowed([READ]).may(role) for role in Role)
    assert not any(speaker.narrowed([]).may(role) for role in Role)


# Passwords


def test_the_right_password_signs_in_and_no_other(db: Connection) -> None:
    people.set_password(db, "amina", PASSWORD)
    assert people.find(db, "amina").has_password
    assert people.check_password(db, "amina", PASSWORD).person == "amina"
    for wrong in ("", PASSWORD[:-1], PASSWORD + " ", PASSWORD.upper(), "\0", "x" * 10_000):
        with pytest.raises(SignInError):
            people.check_password(db, "amina", wrong)


def test_who_has_no_password_or_does_not_exist_takes_the_same_path(db: Connection) -> None:
    """The same words after the same work: the hash that is tried in vain costs what a real one costs."""
    people.add(db, "bob", "Bob", ORIGIN, [], NOW)
    people.set_password(db, "amina", PASSWORD)
    words = set()
    for id_, password in (
        ("amina", "wrong password"),
        ("bob", PASSWORD),
        ("nobody", PASSWORD),
        ("nobody", "nobody has this password"),
    ):
        with pytest.raises(SignInError) as refused:
            people.check_password(db, id_, password)
        words.add(str(refused.value))
    assert len(words) == 1
    kept = db.scalar(select(person.c.password).where(person.c.id == "amina"))
    assert extract_parameters(people._NOBODY) == extract_parameters(str(kept))


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own(db: Connection) -> None:
    people.add(db, "bob", "Bob", ORIGIN, [], NOW)
    for id_ in ("amina", "bob"):
        people.set_password(db, id_, PASSWORD)
    one, other = db.scalars(select(person.c.password)).all()
    assert one.startswith("$argon2id$")
    assert one != other
    assert PASSWORD not in one + other


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * (PASSWORD_MAX + 1)])
def test_a_password_that_is_too_short_or_endless_is_refused(db: Connection, password: str) -> None:
    with pytest.raises(RefusedError, match="12 characters"):
        people.set_password(db, "amina", password)
    assert not people.find(db, "amina").has_password


def test_the_longest_password_counts_to_its_last_character(db: Connection) -> None:
    people.set_password(db, "amina", "x" * PASSWORD_MAX)
    assert people.check_password(db, "amina", "x" * PASSWORD_MAX)
    for wrong in ("x" * (PASSWORD_MAX - 1), "x" * (PASSWORD_MAX + 1)):
        with pytest.raises(SignInError):
            people.check_password(db, "amina", wrong)


# Leaving


def test_who_is_disabled_signs_in_in_no_way(db: Connection) -> None:
    people.set_password(db, "amina", PASSWORD)
    link = secrets.make_link(db, "amina", NOW, 30)
    session = secrets.make_session(db, "amina", NOW, 14)
    token = secrets.make_token(db, "amina", "laptop", [READ], NOW, 90)
    people.disable(db, "amina", NOW)
    assert people.find(db, "amina").disabled
    for attempt in (
        lambda: people.check_password(db, "amina", PASSWORD),
        lambda: secrets.use_link(db, link, NOW),
        lambda: secrets.session_speaker(db, session, NOW),
        lambda: secrets.token_speaker(db, token, NOW),
        lambda: people.speaker(db, "amina"),
    ):
        with pytest.raises(SignInError):
            attempt()
