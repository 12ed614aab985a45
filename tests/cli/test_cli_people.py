"""member, person, token: who takes part, and who may act for them here."""

import re
from pathlib import Path

import pytest

from concord.home import open_home
from concord.private import people, secrets
from concord.testing.terminal import run

TOKEN = re.compile(r"hf_[A-Za-z0-9]{43}")


# member


def test_member_list(founded: Path) -> None:
    rows = run("member", "list", "--json", home=founded).json()
    assert {"id", "name", "country", "class", "standing"} <= set(rows[0])
    assert [row["id"] for row in rows] == [f"example-{country}" for country in ("ke", "br", "id", "kz", "ch", "cn")]
    assert {row["class"] for row in rows} == {"institute"}
    shown = run("member", "list", home=founded).out.splitlines()
    assert shown[0].split() == ["ID", "NAME", "COUNTRY", "CLASS", "STANDING"]
    assert len(shown) == 7


def test_member_show_by_id_and_by_origin(founded: Path) -> None:
    told = run("member", "show", "example-kz", "--json", home=founded).json()
    assert (told["id"], told["name"], told["country"]) == ("example-kz", "Example Institute Kazakhstan", "KZ")
    assert len(told["cosigners"]) == 5
    assert run("member", "show", told["origin"], "--json", home=founded).json() == told
    shown = run("member", "show", "example-kz", home=founded).out
    assert shown.startswith("Example Institute Kazakhstan (example-kz), KZ, institute: member\n")
    assert "delegate: delegate" in shown


def test_what_a_member_says_of_itself_stands(demo: Path) -> None:
    said = run(
        "member", "profile", "--name", "Example of Kenya", "--country", "KE", "--about", "A demonstration.", "--json", home=demo
    )
    assert set(said.json()) == {"origin", "index", "leaf"}
    assert run("member", "show", "example-ke", "--json", home=demo).json()["about"] == "A demonstration."
    assert run("member", "accede", "--member", "example-br", home=demo).status == 0


def test_who_leaves_has_left(demo: Path) -> None:
    assert run("member", "leave", "--member", "example-cn", "--reason", "To show how.", home=demo).status == 0
    standing = {row["id"]: row["standing"] for row in run("member", "list", "--json", home=demo).json()}
    assert standing["example-cn"] == "left"
    assert standing["example-ke"] == "member"


def test_nobody_is_sponsored_who_did_not_apply(demo: Path) -> None:
    done = run("member", "sponsor", "example-br", home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def log_keys(home: Path) -> list[str]:
    lines = run("log", "policy", "example-ke", home=home).out.splitlines()
    return [line for line in lines if line.startswith("log ")]


def test_keys_change_and_the_old_one_is_retired(demo: Path) -> None:
    before = log_keys(demo)
    changed = run("member", "rotate", "log", "--json", home=demo)
    assert (changed.status, changed.err) == (0, "")
    assert len(log_keys(demo)) == 2
    retired = run("member", "retire", home=demo)
    assert retired.status == 0
    assert set(log_keys(demo)) > set(before)  # a checkpoint that the old key signed is still about
    run("member", "rotate", "office", home=demo)
    assert not set(log_keys(demo)) & set(before)
    assert run("verify", "--deep", home=demo).status == 0
    again = run("member", "retire", home=demo)
    assert (again.status, again.out) == (1, "")
    assert "nothing to retire" in again.err


def test_there_is_no_such_key(demo: Path) -> None:
    done = run("member", "rotate", "nonsense", home=demo)
    assert done.status == 1
    assert "log, witness, office and root" in done.err


def test_a_key_is_not_changed_without_the_root(demo: Path) -> None:
    keys = demo / "keys" / "example-ke"
    for path in [*keys.glob("root-1"), *keys.glob("root-2")]:
        path.unlink()
    before = sorted(path.name for path in keys.iterdir())
    done = run("member", "rotate", "log", home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "root" in done.err
    assert sorted(path.name for path in keys.iterdir()) == before


# person


def test_a_person_is_added_listed_and_granted_other_roles(demo: Path) -> None:
    added = run("person", "add", "clerk-1", "--name", "Example clerk", "--role", "clerk", "--role", "delegate", "--json", home=demo)
    assert (added.status, added.err) == (0, "")
    assert re.fullmatch(r"/sign-in/[A-Za-z0-9_-]{43}", added.json()["link"])
    assert run("person", "grant", "clerk-1", "--role", "officer", home=demo).out == "clerk-1: officer\n"
    rows = {row["id"]: row for row in run("person", "list", "--json", home=demo).json()}
    assert set(rows) == {"admin", "clerk-1"}
    assert set(rows["clerk-1"]) == {"id", "name", "origin", "roles", "disabled"}
    assert rows["clerk-1"]["roles"] == ["officer"]
    assert rows["clerk-1"]["origin"].startswith("example-ke.")


def test_a_person_acts_for_the_member_that_is_named(demo: Path) -> None:
    told = run("person", "add", "a", "--name", "Example", "--member", "example-id", "--json", home=demo).json()
    assert told["origin"].startswith("example-id.")


def test_the_link_signs_in_once(demo: Path) -> None:
    run("person", "add", "a", "--name", "Example", home=demo)
    link = run("person", "link", "a", "--json", home=demo).json()["link"].removeprefix("/sign-in/")
    node = open_home(demo)
    with node.private_writing() as db:
        assert secrets.use_link(db, link, node.clock()).person == "a"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["add", "admin", "--name", "Another"], "already"),
        (["add", "A B", "--name", "Another"], "not an id"),
        (["add", "b", "--name", " "], "the name is empty"),
        (["add", "b", "--name", "B", "--role", "king"], "no role 'king'; there are delegate"),
        (["add", "b", "--name", "B", "--role", "node"], "no role 'node'"),
        (["add", "b", "--name", "B", "--member", "nobody"], "nobody"),
        (["grant", "nobody", "--role", "clerk"], "no person 'nobody'"),
        (["grant", "admin", "--role", "king"], "no role 'king'"),
        (["link", "nobody"], "no person 'nobody'"),
        (["disable", "nobody"], "no person 'nobody'"),
    ],
)
def test_what_is_no_person_or_role_is_told(line: list[str], words: str, demo: Path) -> None:
    before = run("person", "list", "--json", home=demo).out
    done = run("person", *line, home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert words in done.err
    assert run("person", "list", "--json", home=demo).out == before


def test_who_is_disabled_has_no_tokens_and_gets_none(demo: Path) -> None:
    run("person", "add", "a", "--name", "Example", "--role", "clerk", home=demo)
    run("token", "create", "--person", "a", home=demo)
    assert run("person", "disable", "a", home=demo).status == 0
    assert run("token", "list", "--json", home=demo).json() == []
    rows = {row["id"]: row["disabled"] for row in run("person", "list", "--json", home=demo).json()}
    assert rows == {"a": True, "admin": False}


# token


def test_a_token_alone_is_printed(demo: Path) -> None:
    done = run("token", "create", home=demo)
    assert (done.status, done.err) == (0, "")
    assert TOKEN.fullmatch(done.out.removesuffix("\n"))
    assert TOKEN.fullmatch(run("token", "create", "--json", home=demo).json()["token"])


def test_a_token_without_options_is_the_admins_for_the_first_member_with_all_scopes(demo: Path) -> None:
    secret = run("token", "create", home=demo).out.strip()
    node = open_home(demo)
    with node.private_reading() as db:
        speaker = secrets.token_speaker(db, secret, node.clock())
        admin = people.find(db, "admin")
    assert (speaker.person, speaker.origin) == ("admin", node.holdings.hosted()[0])
    assert speaker.scopes == {"read", *map(str, admin.roles)}
    assert all(speaker.may(role) for role in admin.roles)


def test_a_token_is_made_where_the_admin_is_yet_to_be(tmp_path: Path) -> None:
    run("init", "--member", "ke", "--name", "Kenya", "--country", "KE", home=tmp_path / "home")
    assert TOKEN.fullmatch(run("token", "create", home=tmp_path / "home").out.strip())


def test_tokens_are_listed_without_the_secret_and_end_at_once(demo: Path) -> None:
    options = ["--label", "laptop", "--scope", "read", "--scope", "publisher", "--days", "7"]
    secret = run("token", "create", *options, home=demo).out.strip()
    listed = run("token", "list", "--json", home=demo)
    (row,) = listed.json()
    assert secret not in listed.out
    assert set(row) == {"id", "person", "label", "scopes", "created", "expires", "used"}
    assert (row["person"], row["label"], row["scopes"], row["used"]) == ("admin", "laptop", ["read", "publisher"], None)
    assert row["expires"] - row["created"] == 7 * 86_400
    stored = b"".join(path.read_bytes() for path in demo.rglob("*") if path.is_file())
    assert secret.encode() not in stored
    assert run("token", "revoke", row["id"], home=demo).out == f"{row['id']} is ended.\n"
    assert run("token", "list", home=demo).out == "No tokens.\n"
    assert run("token", "revoke", row["id"], home=demo).status == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--person", "nobody"], "no person 'nobody'"),
        (["--scope", "king"], "no role 'king'"),
        (["--label", " "], "a token has a label"),
        (["--label", "x" * 101], "a token has a label"),
    ],
)
def test_what_is_no_token_is_told(line: list[str], words: str, demo: Path) -> None:
    done = run("token", "create", *line, home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert words in done.err
    assert run("token", "list", "--json", home=demo).json() == []
