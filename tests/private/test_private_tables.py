"""node.db: made once, brought forward, never brought back; and the peers that it remembers."""

from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, inspect, select

from concord.errors import DamagedError, MissingError, RefusedError, SettingsError
from concord.ledger.storage.database import open_database, reading, writing
from concord.private import peers, tables
from concord.private.memory import disputes, remember, settle
from concord.private.peers import Peer
from concord.private.tables import MIGRATIONS, TABLES, get, prepare, put, setting
from concord.testing import NOW


def schema(engine: Engine) -> dict[str, list[str]]:
    found = inspect(engine)
    return {name: [column["name"] for column in found.get_columns(name)] for name in found.get_table_names()}


def expected() -> dict[str, list[str]]:
    return {kept.name: [column.name for column in kept.columns] for kept in TABLES.sorted_tables}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "node.db")


def version(engine: Engine) -> str | None:
    with reading(engine) as db:
        return get(db, "version")


# Migrations


def test_a_new_database_is_made_whole(engine: Engine) -> None:
    prepare(engine)
    assert schema(engine) == expected()
    assert version(engine) == str(len(MIGRATIONS))


def test_preparing_again_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    prepare(engine)
    with writing(engine) as db:
        put(db, "name", "kept")
    for again in (engine, open_database(tmp_path / "node.db")):
        prepare(again)
        assert schema(again) == expected()
        with reading(again) as db:
            assert get(db, "name") == "kept"
            assert db.scalars(select(setting.c.name).order_by(setting.c.name)).all() == ["name", "version"]


def test_an_older_database_runs_what_it_lacks_and_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(engine)
    more = (
        *MIGRATIONS,
        lambda db: db.exec_driver_sql("ALTER TABLE person ADD COLUMN mood VARCHAR"),
        lambda db: db.exec_driver_sql("CREATE TABLE once (x)"),
    )
    monkeypatch.setattr(tables, "MIGRATIONS", more)
    for _ in range(2):
        prepare(engine)
        assert version(engine) == str(len(more))
    assert "mood" in schema(engine)["person"]
    assert "once" in schema(engine)


def test_peers_of_an_older_database_have_no_limits(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(engine)
    with writing(engine) as db:
        peers.add(db, "https://one.example", NOW)
        for column in ("rate", "window"):
            db.exec_driver_sql(f'ALTER TABLE peer DROP COLUMN "{column}"')
        for later in ("fetched", "damage"):
            db.exec_driver_sql(f"DROP TABLE {later}")
        put(db, "version", "3")
    prepare(engine)
    assert schema(engine) == expected()
    with reading(engine) as db:
        assert peers.everyone(db) == [Peer("https://one.example", NOW)]


def test_a_migration_that_fails_leaves_all_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(engine)
    monkeypatch.setattr(
        tables, "MIGRATIONS", (*MIGRATIONS, lambda db: db.exec_driver_sql("CREATE TABLE once (x)"), lambda _: 1 / 0)
    )
    with pytest.raises(ZeroDivisionError):
        prepare(engine)
    assert schema(engine) == expected()
    assert version(engine) == str(len(MIGRATIONS))


def test_a_database_of_a_newer_version_is_refused_and_left_alone(engine: Engine) -> None:
    prepare(engine)
    with writing(engine) as db:
        put(db, "version", "99")
    with pytest.raises(SettingsError, match="install a newer Concord"):
        prepare(engine)
    assert version(engine) == "99"


def test_several_processes_may_prepare_at_once(tmp_path: Path) -> None:
    together = Barrier(6)
    prepared: list[bool] = []

    def run() -> None:
        engine = open_database(tmp_path / "node.db")
        together.wait()
        prepare(engine)
        prepared.append(True)

    threads = [Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert prepared == [True] * 6
    assert schema(open_database(tmp_path / "node.db")) == expected()


def test_a_file_that_is_no_database_is_told_as_damage_and_left_alone(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "node.db").write_bytes(b"junk" * 5000)
    with pytest.raises(DamagedError, match=r"node\.db"):
        prepare(engine)
    assert (tmp_path / "node.db").read_bytes() == b"junk" * 5000


def test_a_value_is_kept_and_replaced(engine: Engine) -> None:
    prepare(engine)
    with writing(engine) as db:
        assert get(db, "name") is None
        for value in ("one", "two"):
            put(db, "name", value)
            assert get(db, "name") == value


# Disputes


def test_a_dispute_is_remembered_once_and_until_it_is_settled(engine: Engine) -> None:
    prepare(engine)
    with writing(engine) as db:
        assert remember(db, "ke.example/0", b"evidence", NOW)
        assert not remember(db, "ke.example/0", b"other evidence", NOW)
        assert disputes(db) == {"ke.example/0": b"evidence"}
        settle(db, "ke.example/0")
        assert disputes(db) == {}


# Peers


def test_peers_are_kept_in_the_order_in_which_they_came(engine: Engine) -> None:
    prepare(engine)
    with writing(engine) as db:
        assert peers.add(db, "https://b.example/", NOW) == "https://b.example"
        assert peers.add(db, "http://[::1]:8600/mirror//", NOW + 1) == "http://[::1]:8600/mirror"
        peers.add(db, "https://b.example", NOW + 2)
        assert [peer.url for peer in peers.everyone(db)] == ["https://b.example", "http://[::1]:8600/mirror"]
        peers.remove(db, "https://b.example/")
        assert [peer.url for peer in peers.everyone(db)] == ["http://[::1]:8600/mirror"]
        with pytest.raises(MissingError):
            peers.remove(db, "https://b.example")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "b.example",
        "//b.example",
        "ftp://b.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user:secret@b.example",
        "https://user@b.example",
        "https://b.example/?x=1",
        "https://b.example/#x",
        "http://[::1",
        "http://[not-an-address]",
        "http://b.example:port",
        "http://b.example:99999",
        "http://b example",
        "http://b.example/a\nb",
        "http://b.example/\x1b[2J",
        "http://b.example/\ud800",
    ],
    ids=ascii,
)
def test_what_is_no_address_of_a_node_is_refused(engine: Engine, url: str) -> None:
    prepare(engine)
    with writing(engine) as db:
        with pytest.raises(RefusedError, match="not the address of a node"):
            peers.add(db, url, NOW)
        assert peers.everyone(db) == []


def test_how_the_last_pull_went_is_remembered(engine: Engine) -> None:
    prepare(engine)
    with writing(engine) as db:
        url = peers.add(db, "https://b.example", NOW)
        assert peers.everyone(db) == [Peer(url, NOW)]
        peers.failed(db, url, NOW + 1, "x" * 1000)
        assert peers.everyone(db) == [Peer(url, NOW, NOW + 1, None, "x" * 500)]
        peers.answered(db, url, NOW + 2, -3)
        assert peers.everyone(db) == [Peer(url, NOW, NOW + 2, NOW + 2, None, -3)]
        peers.failed(db, url, NOW + 3, "no line")
        assert peers.everyone(db) == [Peer(url, NOW, NOW + 3, NOW + 2, "no line", -3)]
