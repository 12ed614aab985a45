"""The view: the same logs give the same tables, in whatever order and however they arrive."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta
from msgspec.structs import replace
from sqlalchemy import Column, MetaData, String, delete, func, insert, inspect, select, text

from concord.errors import ForgedError, MalformedError, StorageError
from concord.ledger import view as views
from concord.ledger.identity import Identity, chain
from concord.ledger.keyring import NewMember
from concord.ledger.pillar import Pillar, Role, Row, Stamp, row, row_of, table
from concord.ledger.record import ENCODER, Codec, Detached, Line, Record, Ref, Sealed, seal
from concord.ledger.statements import LEDGER, Deposit
from concord.ledger.statements import deposits as deposit_table
from concord.ledger.storage.database import open_database, writing
from concord.ledger.view import State, View, logs, records, waiting
from concord.node import PILLARS
from concord.testing import NOW, make_member
from concord.tlog import ed25519
from concord.tlog.merkle import leaf_hash

MEMBERS = [make_member(name) for name in ("ke", "tn", "br", "jp")]
KE, TN = MEMBERS[:2]
ORG = "aa" * 32


class Says(Record, frozen=True, tag="test.says"):
    """Words, perhaps in answer to others."""

    SAYS = "says {words}"

    words: Line
    answers: Ref | None = None
    also: Annotated[tuple[Ref, ...], Meta(max_length=4)] = ()


class Binds(Sealed, frozen=True, tag="test.binds"):
    """Words that bind, perhaps in answer to others."""

    SAYS = "binds itself to {words}"

    words: Line
    answers: Ref | None = None


TABLES = MetaData()
said = table(TABLES, "test_said", Column("words", String, nullable=False, index=True))
bound = table(TABLES, "test_bound", Column("words", String, nullable=False), several=True)


def on_says(_: Stamp, record: Says) -> Iterator[Row]:
    if record.words == "unreadable":
        raise ForgedError("the handler says no")
    yield row_of(said, record)


def on_binds(_: Stamp, record: Binds) -> Iterator[Row]:
    for part, word in enumerate(record.words.split()):
        yield row(bound, part=part, words=word)


PILLAR = Pillar("test", TABLES, {Says: on_says, Binds: on_binds}, {Says: Role.CLERK, Binds: Role.DELEGATE})
CODEC = Codec([*LEDGER.handlers, *PILLAR.handlers])


@dataclass
class Log:
    """A log as the view reads it: an origin and entries."""

    origin: str
    entries_: list[bytes] = field(default_factory=list)

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        yield from self.entries_[start:stop]


def new_view(path: Path | None = None, organisation: str = ORG, pillar: Pillar = PILLAR) -> View:
    return View(open_database(path, durable=False), (pillar,), organisation)


def catch_up(view: View, *sources: Log) -> int:
    return view.catch_up({log.origin: (log, len(log.entries_)) for log in sources})


def log_of(member: NewMember, *said_: Record | bytes) -> Log:
    entries = [record if isinstance(record, bytes) else CODEC.encode(record) for record in said_]
    return Log(member.origin, [ENCODER.encode(member.identity), *entries])


def says(words: str, member: NewMember = KE, **others: Any) -> Says:
    return Says(by=member.origin, at=NOW, words=words, **others)


def binds(words: str, member: NewMember = KE, by: bytes | None = None, **others: Any) -> Binds:
    office = member.keys["organ-office"].seed if by is None else by
    return seal(Binds(by=member.origin, at=NOW, words=words, **others), [office])  # type: ignore[no-any-return]


def leaf(record: Record | bytes) -> str:
    return leaf_hash(record if isinstance(record, bytes) else CODEC.encode(record)).hex()


def states(view: View) -> dict[tuple[str, int], State]:
    query = select(logs.c.origin, records.c.index, records.c.state).join(logs, logs.c.log == records.c.log)
    with view.reading() as db:
        return {(origin, index): State(state) for origin, index, state in db.execute(query)}


def state_of(view: View, log: Log, index: int) -> State:
    return states(view)[log.origin, index]


def words(view: View) -> list[str]:
    with view.reading() as db:
        return sorted(db.scalars(select(said.c.words)))


# Convergence


def new_office(member: NewMember) -> bytes:
    return leaf_hash(f"new office of {member.origin}".encode())


def rotation(member: NewMember, number: int = 1) -> Identity:
    """The identity by which the office of a member gets a new key."""
    changed = replace(member.identity, number=number, organs={"office": ed25519.public_key(new_office(member)).hex()})
    return seal(changed, [member.keys["root-1"].seed, member.keys["root-2"].seed])  # type: ignore[no-any-return]


KINDS = [
    "says",
    "says",
    "says",
    "binds",
    "binds",
    "binds-new",
    "unsealed",
    "refused",
    "junk",
    "newer",
    "foreign",
    "others",
    "blob",
    "again",
]


@st.composite
def organisations(draw: st.DrawFn) -> list[Log]:
    """Three or four logs, whose records refer to each other forward and backward, with all that can be wrong with them."""
    members = MEMBERS[: draw(st.integers(3, 4))]
    made: dict[str, list[bytes]] = {member.origin: [] for member in members}
    leaves: list[str] = ["00" * 32]
    for number in range(draw(st.integers(3, 14))):
        member = draw(st.sampled_from(members))
        refs = draw(st.lists(st.sampled_from(leaves), max_size=2, unique=True))
        entry = make(draw(st.sampled_from(KINDS)), number, member, refs, made[member.origin])
        made[member.origin].append(entry)
        leaves.append(leaf(entry))
    found = []
    for member in members:
        entries = draw(st.permutations(made[member.origin]))
        for identity in draw(st.lists(st.sampled_from([rotation(member), rotation(member, 2), TN.identity]), max_size=2)):
            entries.insert(draw(st.integers(0, len(entries))), ENCODER.encode(identity))
        found.append(Log(member.origin, [ENCODER.encode(member.identity), *entries]))
    return found


def make(kind: str, number: int, member: NewMember, refs: list[str], before: list[bytes]) -> bytes:
    """An entry of the given kind that refers to `refs`."""
    text_, at, by = f"{number} words", NOW + number, member.origin
    answers, seen = (refs[0] if refs else None), tuple(refs[1:])
    match kind:
        case "binds" | "binds-new":
            key = new_office(member) if kind == "binds-new" else member.keys["organ-office"].seed
            record: Record = seal(Binds(by=by, at=at, org=ORG, words=text_, answers=answers, seen=seen), [key])
        case "unsealed":
            record = Binds(by=by, at=at, words=text_, answers=answers, seen=seen)
        case "refused":
            record = Says(by=by, at=at, words="unreadable", also=tuple(refs))
        case "junk":
            return b'{"at":%d,"by":"%s","type":"test.says"}' % (at, by.encode()) if refs else b"\xff junk %d" % number
        case "newer":
            return b'{"at":%d,"by":"%s","mood":%d,"type":"test.newer"}' % (at, by.encode(), number)
        case "foreign":
            record = Says(by=by, at=at, org="bb" * 32, words=text_, also=tuple(refs))
        case "others":
            record = Says(by="xx.example/0", at=at, words=text_, also=tuple(refs))
        case "blob":
            record = Deposit(by=by, at=at, seen=tuple(refs), name=text_, blob=Detached(digest="cc" * 32, size=1, media="a/b"))
        case "again" if before:
            return before[0]
        case _:
            record = Says(by=by, at=at, org=ORG, words=text_, also=tuple(refs))
    return CODEC.encode(record)


def expected(found: list[Log]) -> dict[tuple[str, int], State]:
    """The states by their definition: looked at again and again until nothing changes."""
    result: dict[tuple[str, int], State] = {}
    applied: set[str] = set()
    while True:
        for log in found:
            for index, entry in enumerate(log.entries_):
                result[log.origin, index] = judge(log, index, entry, applied)
        now = {leaf(log.entries_[index]) for log in found for index in range(len(log.entries_)) if not result[log.origin, index]}
        if now == applied:
            return result
        applied = now


def judge(log: Log, index: int, entry: bytes, applied: set[str]) -> State:
    try:
        record = CODEC.decode(entry)
    except MalformedError:
        return State.UNREADABLE
    identities = [CODEC.decode(other) for other in log.entries_[: index + 1] if b'"ledger.identity"' in other]
    standing = chain(identities)
    if isinstance(record, Identity):
        return State.APPLIED if index == 0 or standing != chain(identities[:-1]) else State.UNREADABLE
    if record.by != log.origin:
        return State.UNREADABLE
    if record.org not in ("", ORG):
        return State.FOREIGN
    if not set(CODEC.refs(record)) <= applied:
        return State.WAITING
    office = standing[-1].organs["office"]
    unsealed = isinstance(record, Binds) and [part.key for part in record.seals] != [office]
    return State.UNREADABLE if unsealed or getattr(record, "words", "") == "unreadable" else State.APPLIED


VIEWS = [new_view() for _ in range(3)]


def fresh(number: int) -> View:
    """An empty view; making one anew each time would take longer than all that is done with it."""
    VIEWS[number].rebuild()
    return VIEWS[number]


@st.composite
def arrivals(draw: st.DrawFn, found: list[Log]) -> list[dict[str, int]]:
    """Sizes to which the logs grow, step by step, until all are here whole."""
    here = {log.origin: 0 for log in found}
    steps = []
    for log in draw(st.permutations([log for log in found for _ in range(3)])):
        here[log.origin] = draw(st.integers(here[log.origin], len(log.entries_)))
        others = draw(st.sets(st.sampled_from(sorted(here))))
        steps.append({origin: here[origin] for origin in {log.origin, *others}})
    return [*steps, {log.origin: len(log.entries_) for log in found}]


@settings(max_examples=30)
@given(st.data())
def test_the_same_logs_give_the_same_tables(data: st.DataObject) -> None:
    """At once, in any interleaving, by the fast way, in small transactions and statements, and after a rebuild."""
    found = data.draw(organisations())
    steps = data.draw(arrivals(found))
    sources = {log.origin: log for log in found}
    once, piecemeal, bulk = (fresh(number) for number in range(3))

    catch_up(once, *found)
    digests = once.digests()
    assert states(once) == expected(found)

    for step in steps:
        piecemeal.catch_up({origin: (sources[origin], size) for origin, size in step.items()})
    assert piecemeal.digests() == digests

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "BULK", data.draw(st.sampled_from([1, 4])))
        patch.setattr(views, "BATCH", data.draw(st.sampled_from([2, 5])))
        patch.setattr(views, "ROWS", data.draw(st.sampled_from([1, 3, 256])))
        patch.setattr(views, "RECENT_MAX", data.draw(st.sampled_from([0, 3, 100])))
        for step in steps if data.draw(st.booleans()) else steps[-1:]:
            bulk.catch_up({origin: (sources[origin], size) for origin, size in step.items()})
    assert bulk.digests() == digests

    once.rebuild()
    catch_up(once, *reversed(found))
    assert once.digests() == digests


def test_a_shorter_log_makes_the_view_begin_anew() -> None:
    """As when a log is disputed, and counts up to where it was well cosigned only."""
    ke, tn = log_of(KE, says("one"), says("two")), log_of(TN, says("three", TN))
    view, other = new_view(), new_view()
    catch_up(view, ke, tn)
    for each in (view, other):
        each.catch_up({ke.origin: (ke, 2), tn.origin: (tn, 2)})
    assert view.digests() == other.digests()
    assert (words(view), view.size(ke.origin), view.size("nobody")) == (["one", "three"], 2, 0)
    catch_up(view, ke)
    assert words(view) == ["one", "three", "two"]


def test_what_is_here_is_not_read_again() -> None:
    ke = log_of(KE, says("one"))
    view = new_view()
    assert catch_up(view, ke) == 2
    assert catch_up(view, ke) == 0
    ke.entries_.append(CODEC.encode(says("two")))
    assert catch_up(view, ke) == 1


def test_two_processes_read_a_log_into_one_view_once(tmp_path: Path) -> None:
    """The second catches up while the first is about to."""
    ke = log_of(KE, *(says(f"{number}") for number in range(9)))
    one, other = new_view(tmp_path / "view.db"), new_view(tmp_path / "view.db")

    class Slow(Log):
        """A log during the reading of which another process is quicker."""

        def entries(self, start: int, stop: int) -> Iterator[bytes]:
            other.catch_up({ke.origin: (ke, 6)})
            return ke.entries(start, stop)

    catch_up(one, Slow(ke.origin, ke.entries_))
    assert len(words(one)) == 9
    assert one.digests() == other.digests() == reread(ke).digests()


def reread(*found: Log) -> View:
    view = new_view()
    catch_up(view, *found)
    return view


# Waiting


def test_records_that_wait_are_released_in_chains() -> None:
    first = says("first", TN)
    second = says("second", KE, answers=leaf(first))
    third = binds("third", TN, answers=leaf(second))
    fourth = says("fourth", KE, answers=leaf(third), also=(leaf(first), leaf(second)))
    ke, tn = log_of(KE, fourth, second), log_of(TN, third, first)
    view = new_view()
    catch_up(view, ke)
    assert [state_of(view, ke, index) for index in (1, 2)] == [State.WAITING, State.WAITING]
    view.catch_up({tn.origin: (tn, 2)})
    assert words(view) == []
    catch_up(view, tn)
    assert words(view) == ["first", "fourth", "second"]
    assert set(states(view).values()) == {State.APPLIED}
    with view.reading() as db:
        assert db.scalar(select(func.count()).select_from(waiting)) == 0


@pytest.mark.parametrize(
    "never",
    [
        b"junk",
        says("unreadable", TN),
        says("foreign", TN, org="bb" * 32),
        binds("unsealed", TN, by=bytes(32)),
        says("by another", KE),
    ],
    ids=["junk", "refused-by-its-handler", "foreign", "wrongly-sealed", "in-anothers-log"],
)
def test_what_refers_to_something_unreadable_waits_for_ever(never: Record | bytes) -> None:
    answer = says("answer", answers=leaf(never))
    ke, tn = log_of(KE, answer, says("answer to the answer", answers=leaf(answer))), log_of(TN, never)
    one, other = new_view(), new_view()
    for view, sources in ((one, (ke, tn)), (other, (tn, ke))):
        for log in sources:
            catch_up(view, log)
        assert [state_of(view, ke, index) for index in (1, 2)] == [State.WAITING, State.WAITING]
        assert words(view) == []
    assert one.digests() == other.digests()


def test_a_record_that_proves_unreadable_after_waiting_looks_like_one_that_was_at_once() -> None:
    first = says("first", TN)
    for record in (binds("bad", by=bytes(32), answers=leaf(first)), says("unreadable", answers=leaf(first))):
        ke, tn = log_of(KE, record), log_of(TN, first)
        one, other = new_view(), new_view()
        for view, sources in ((one, (ke, tn)), (other, (tn, ke))):
            for log in sources:
                catch_up(view, log)
            assert state_of(view, ke, 1) is State.UNREADABLE
        assert one.digests() == other.digests()


# What can be read


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"junk",
        b"\xff" * 100,
        b'{"type":"test.says"}',
        b'{"at":1,"by":"x","type":"\\ud800"}',
        b'{"at":1,"by":"x","type":"' + b"t" * 1000 + b'"}',
        b'{"at":1e400,"by":"x","type":"test.says"}',
        b'{"at":99999999999999999999999999,"by":"x","type":"test.newer"}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
    ],
    ids=lambda entry: repr(entry[:30]),
)
def test_nothing_that_stands_in_a_log_stops_the_view(entry: bytes) -> None:
    ke = log_of(KE, entry, says("after"))
    view = reread(ke)
    assert [state_of(view, ke, index) for index in range(3)] == [State.APPLIED, State.UNREADABLE, State.APPLIED]


def test_a_log_without_an_identity_is_unreadable_throughout() -> None:
    ke = Log(KE.origin, [CODEC.encode(says("one")), CODEC.encode(binds("two"))])
    assert set(states(reread(ke)).values()) == {State.UNREADABLE}


def test_keys_hold_from_the_identity_that_names_them_to_the_next() -> None:
    old, new = binds("old"), binds("new", by=new_office(KE))
    view = reread(ke := log_of(KE, old, new, rotation(KE), old, new))
    found = [state_of(view, ke, index) for index in range(1, 6)]
    assert found == [State.APPLIED, State.UNREADABLE, State.APPLIED, State.UNREADABLE, State.APPLIED]


def test_an_identity_counts_whichever_organisation_it_was_said_for() -> None:
    """The log's keys change with it for everybody who copies the log, so they change for the view, too."""
    abroad = seal(replace(rotation(KE), org="bb" * 32), [KE.keys["root-1"].seed, KE.keys["root-2"].seed])
    view = reread(ke := log_of(KE, abroad, binds("new", by=new_office(KE))))
    assert state_of(view, ke, 2) is State.APPLIED


def test_blobs_that_records_name_are_listed_with_them() -> None:
    part = Detached(digest="cc" * 32, size=7, media="text/plain", salted=True)
    view = reread(log_of(KE, Deposit(by=KE.origin, at=NOW, name="x", blob=part)))
    with view.reading() as db:
        assert db.execute(select(views.blobs.c.blob, views.blobs.c.size, views.blobs.c.salted)).all() == [("cc" * 32, 7, 1)]


# Who may write


def test_a_handler_that_writes_anothers_table_is_a_mistake_and_leaves_nothing() -> None:
    def on_says_(stamp: Stamp, record: Says) -> Iterator[Row]:
        yield row_of(said, record)
        if record.words == "bad":
            yield row(deposit_table, name="", blob="", size=0, media="", about="")

    view = new_view(pillar=Pillar("test", TABLES, {Says: on_says_}))
    catch_up(view, log := log_of(KE, says("good")))
    log.entries_ += [CODEC.encode(says("better")), CODEC.encode(says("bad"))]
    with pytest.raises(RuntimeError, match="a table of another pillar"):
        catch_up(view, log)
    assert words(view) == ["good"]
    assert view.size(KE.origin) == 2


def test_a_mistake_in_a_handler_is_not_taken_for_an_unreadable_record() -> None:
    def on_says_(_: Stamp, __: Says) -> Iterator[Row]:
        raise ZeroDivisionError

    view = new_view(pillar=Pillar("test", TABLES, {Says: on_says_}))
    with pytest.raises(ZeroDivisionError):
        catch_up(view, log_of(KE, says("good")))


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_reader_cannot_write(tmp_path: Path, on_disk: bool) -> None:  # noqa: FBT001
    view = new_view(tmp_path / "view.db" if on_disk else None)
    catch_up(view, log_of(KE, says("good")))
    for statement in (insert(said).values(origin="x", index=1, words="bad"), delete(said), text("DROP TABLE test_said")):
        with pytest.raises(StorageError, match="may not be written"), view.reading() as db:
            db.execute(statement)
    assert words(view) == ["good"]
    catch_up(view, log_of(KE, says("good"), says("better")))
    assert words(view) == ["better", "good"]


# Tables of another make


def test_another_organisation_makes_the_tables_anew(tmp_path: Path) -> None:
    ke = log_of(KE, says("for us", org=ORG), says("for them", org="bb" * 32))
    ours = new_view(tmp_path / "view.db")
    catch_up(ours, ke)
    assert words(ours) == ["for us"]
    assert words(new_view(tmp_path / "view.db")) == ["for us"]
    theirs = new_view(tmp_path / "view.db", "bb" * 32)
    assert (words(theirs), theirs.size(KE.origin)) == ([], 0)
    catch_up(theirs, ke)
    assert words(theirs) == ["for them"]


CODE = """
from sqlalchemy import Column, MetaData, String
from concord.ledger.pillar import Pillar, row, table
from concord.ledger.record import Line, Record

class Says(Record, frozen=True, tag="test.says"):
    words: Line

TABLES = MetaData()
said = table(TABLES, "test_said", Column("words", String))
PILLAR = Pillar("test", TABLES, {{Says: lambda _, record: [row(said, words=record.words{change})]}})
"""


def test_changed_code_makes_the_tables_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "pillar_that_changes.py"

    def loaded(change: str) -> Pillar:
        module.write_text(CODE.format(change=change))
        sys.modules.pop("pillar_that_changes", None)
        return import_module("pillar_that_changes").PILLAR  # type: ignore[no-any-return]

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    ke = log_of(KE, says("words"))
    for change, expected_ in (("", "words"), ("", "words"), (".upper()", "WORDS"), (" + '!'", "words!")):
        view = new_view(tmp_path / "view.db", pillar=loaded(change))
        catch_up(view, ke)
        assert words(view) == [expected_]


@pytest.mark.parametrize("damage", ["no-tables", "meta-gone", "not-a-database", "cut-off"])
def test_tables_that_are_damaged_are_made_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "view.db"
    view = new_view(path)
    catch_up(view, ke := log_of(KE, says("words")))
    with writing(view.engine) as db:
        match damage:
            case "no-tables":
                for name in inspect(db).get_table_names():
                    db.exec_driver_sql(f"DROP TABLE {name}")
            case "meta-gone":
                db.exec_driver_sql("DELETE FROM ledger_meta")
            case _:
                pass
    view.engine.dispose()
    if damage == "not-a-database":
        path.write_bytes(b"junk" * 5000)
    if damage == "cut-off":
        path.write_bytes(path.read_bytes()[:5000])
    again = new_view(path)
    catch_up(again, ke)
    assert words(again) == ["words"]


def test_indexes_that_a_fast_catch_up_left_away_when_it_was_killed_are_made_again(tmp_path: Path) -> None:
    view = new_view(tmp_path / "view.db")

    def indexes(of: View) -> set[str | None]:
        return {each["name"] for each in inspect(of.engine).get_indexes("ledger_record")}

    complete = indexes(view)
    ke = log_of(KE, says("words"))
    with writing(view.engine) as db:
        for index in views.SECONDARY:
            index.drop(db)
    assert indexes(view) != complete
    again = new_view(tmp_path / "view.db")
    assert indexes(again) == complete
    catch_up(again, ke)
    assert words(again) == ["words"]


KILLED = """
import os, sys
from pathlib import Path
from concord.ledger import view as views
from concord.ledger.storage.database import open_database
path, organisation, origin, entries, stop = sys.argv[1:]
views.BULK, views.BATCH = 1, 4
class Log:
    def entries(self, start, _):
        yield from Path(entries).read_bytes().splitlines()[start:int(stop)]
        os.kill(os.getpid(), 9)
Log.origin = origin
view = views.View(open_database(Path(path), durable=False), (), organisation)
view.catch_up({origin: (Log(), 12)})
"""


@pytest.mark.parametrize("stop", [2, 8, 10, 12])
def test_a_fast_catch_up_that_is_killed_is_gone_on_from(tmp_path: Path, stop: int) -> None:
    """Before anything is written, between transactions, within one, and before the indexes and what waits for them."""
    said_: list[Record] = []
    for number in range(11):
        part = Detached(digest="cc" * 32, size=number, media="text/plain")
        later = (leaf(said_[-1]),) if said_ else ()
        said_.append(Deposit(by=KE.origin, at=NOW, name=f"{number}", blob=part, seen=later))
    log = log_of(KE, *reversed(said_))
    (tmp_path / "entries").write_bytes(b"\n".join(log.entries_))
    killed = [sys.executable, "-c", KILLED, tmp_path / "view.db", ORG, log.origin, tmp_path / "entries", str(stop)]
    assert subprocess.run(killed, check=False).returncode == -signal.SIGKILL
    again, whole = (View(open_database(path, durable=False), (), ORG) for path in (tmp_path / "view.db", None))
    assert again.size(log.origin) == stop - stop % 4
    for view in (again, whole):
        catch_up(view, log)
    assert again.digests() == whole.digests()
    assert set(states(again).values()) == {State.APPLIED}


def test_the_tables_of_concord_are_made_and_empty() -> None:
    view = View(open_database(None), PILLARS, ORG)
    with view.reading() as db:
        for name in inspect(db).get_table_names():
            if name != "ledger_meta":
                assert db.scalar(text(f"SELECT count(*) FROM {name}")) == 0
