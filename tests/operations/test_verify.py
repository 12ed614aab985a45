"""Checking a home: what is whole is found whole, and each kind of damage is found and named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from concord import node as nodes
from concord.errors import ConcordError
from concord.home import open_home
from concord.ledger.blobs import Hold
from concord.ledger.pillar import Row, row
from concord.ledger.record import Record
from concord.ledger.statements import deposits
from concord.ledger.tree import folder
from concord.node import PILLARS, Node
from concord.operations import verify as verifying
from concord.operations.verify import verify
from concord.pillars.members import PILLAR, Profile
from concord.tlog.note import Note, Signature, parse
from concord.tlog.tile import WIDTH

FIRST = 0  # the log of the demonstration that has the most in it


def wrong(home: Path, *, deep: bool) -> dict[str, str]:
    """What is found wrong: what it is, and why."""
    return {finding.what: finding.wrong for finding in verify(open_home(home), deep=deep) if finding.wrong}


def log_of(home: Path) -> tuple[str, Path]:
    origin = open_home(home).holdings.hosted()[FIRST]
    return origin, home / "logs" / folder(origin)


def flip(path: Path, at: int = -1) -> None:
    """Change one bit of a file."""
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def files(log: Path, below: str) -> list[Path]:
    return sorted(path for path in (log / below).rglob("*") if path.is_file())


def test_a_whole_home_is_found_whole(founded: Path) -> None:
    assert wrong(founded, deep=False) == {}
    findings = [finding.what for finding in verify(open_home(founded), deep=True)]
    assert sum(what.startswith("log ") for what in findings) == 6
    assert {"table members_profile", "table ledger_record"} <= set(findings)
    assert sum(what.startswith("blob ") for what in findings) == len(list(open_home(founded).blobs.digests()))


def test_long_logs_are_read_whole_and_progress_is_told(demo: Path) -> None:
    node = open_home(demo)
    origin = node.holdings.hosted()[FIRST]
    node.holdings.log(origin).append([b"%d" % number for number in range(2 * WIDTH)])
    told = [(name, done) for name, done, _ in progress_of(node) if name == origin]
    assert [done for _, done in told] == [WIDTH, 2 * WIDTH, node.holdings.tree(origin).size]
    full = files(demo / "logs" / folder(origin), "tile/0")[0]
    flip(full, 7)
    assert set(wrong(demo, deep=True)) == {f"log {origin}"}


def progress_of(node: Node) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    assert not [finding for finding in verify(node, deep=True, progress=lambda *step: told.append(step)) if finding.wrong]
    return told


def _entry(log: Path) -> None:
    (bundle,) = files(log, "tile/entries")
    flip(bundle, 100)


def _tile(log: Path) -> None:
    (hashes,) = files(log, "tile/0")
    flip(hashes)


def _short_tile(log: Path) -> None:
    (hashes,) = files(log, "tile/0")
    hashes.write_bytes(hashes.read_bytes()[:-1])


def _no_tile(log: Path) -> None:
    (hashes,) = files(log, "tile/0")
    hashes.unlink()


def _root(log: Path) -> None:
    lines = (log / "checkpoint").read_text().split("\n")
    lines[2] = "A" + lines[2][1:] if lines[2][0] != "A" else "B" + lines[2][1:]
    (log / "checkpoint").write_text("\n".join(lines))


def _signature(log: Path) -> None:
    _spoil_line(log / "checkpoint", 0)


def _cosignature(log: Path) -> None:
    _spoil_line(log / "checkpoint", 3)


def _well_cosigned(log: Path) -> None:
    _spoil_line(log / "cosigned", 3)


def _spoil_line(path: Path, which: int) -> None:
    note = parse(path.read_bytes())
    lines = list(note.signatures)
    name, id_, raw = lines[which]
    lines[which] = Signature(name, id_, raw[:-1] + bytes([raw[-1] ^ 1]))
    path.write_bytes(bytes(Note(note.text, tuple(lines))))


def _fewer_identities(log: Path) -> None:
    """What is kept of the log's keys is of another log."""
    other = next(path for path in log.parent.iterdir() if path.is_dir() and path != log)
    (log / "identity").write_bytes((other / "identity").read_bytes())


QUICK = [_tile, _short_tile, _no_tile, _root, _signature, _cosignature, _well_cosigned]


@pytest.mark.parametrize("spoil", [*QUICK, _entry])
def test_damage_of_a_log_is_found_and_the_log_is_named(spoil: Callable[[Path], None], demo: Path) -> None:
    origin, log = log_of(demo)
    node = open_home(demo)
    node.catch_up()
    spoil(log)
    found = {finding.what: finding.wrong for finding in verify(node, deep=True) if finding.wrong}
    assert {name for name in found if name.startswith("log ")} == {f"log {origin}"}
    assert spoil is _entry or len(found) == 1  # the view that is computed anew reads the entry, too
    quick = {finding.what for finding in verify(node) if finding.wrong}
    assert quick == ({f"log {origin}"} if spoil in QUICK else set())


@pytest.mark.parametrize("name", ["checkpoint", "cosigned", "identity"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe"])
def test_a_file_that_is_none_is_damage_in_one_sentence(name: str, content: bytes, demo: Path) -> None:
    _, log = log_of(demo)
    (log / name).write_bytes(content)
    try:
        found = wrong(demo, deep=True)
    except ConcordError as e:
        found = {"home": str(e)}
    assert found
    assert not any("\n" in words for words in found.values())


def test_keys_of_another_log_are_damage(demo: Path) -> None:
    origin, log = log_of(demo)
    node = open_home(demo)
    _fewer_identities(log)
    found = {finding.what: finding.wrong for finding in verify(node) if finding.wrong}
    assert f"log {origin}" in found


def test_an_identity_that_is_not_in_the_log_is_found(demo: Path) -> None:
    node = open_home(demo)
    origin = node.holdings.hosted()[FIRST]
    tree = node.holdings.tree(origin)
    with tree.lock():
        tree.stage_identities([*tree.identities(), tree.identities()[0]], tree.size)
    assert "identities" in wrong(demo, deep=True)[f"log {origin}"]


def test_a_changed_row_of_the_view_is_found_and_a_new_view_is_whole(demo: Path) -> None:
    node = open_home(demo)
    node.catch_up()
    with node.view.engine.begin() as db:
        db.execute(update(deposits).values(name="something-else"))
    found = wrong(demo, deep=True)
    assert set(found) == {f"table {deposits.name}"}
    assert "Delete view.db" in found[f"table {deposits.name}"]
    for path in demo.glob("view.db*"):
        path.unlink()
    assert wrong(demo, deep=True) == {}


def test_a_changed_blob_is_found(demo: Path) -> None:
    node = open_home(demo)
    digest = next(node.blobs.digests())
    flip(demo / "blobs" / digest[:2] / digest)
    found = wrong(demo, deep=True)
    assert set(found) == {f"blob {digest}"}
    assert "Remove the file and pull the blob again" in found[f"blob {digest}"]


def test_a_blob_that_is_held_is_whole(demo: Path) -> None:
    node = open_home(demo)
    digests = list(node.blobs.digests())
    node.blobs.hold(digests[0], Hold(by="operator", reason="To show how.", at=node.clock()))
    assert wrong(demo, deep=True) == {}
    flip(demo / "blobs" / digests[0][:2] / digests[0])
    assert set(wrong(demo, deep=True)) == {f"blob {digests[0]}"}


# A handler that writes another pillar's table


def _trespass(_stamp: object, _record: Record) -> list[Row]:
    return [row(deposits, name="mine", blob="0" * 64, size=1, media="text/plain", about="")]


def test_a_handler_that_writes_another_pillars_table_is_found(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trespasser = replace(PILLAR, handlers={**PILLAR.handlers, Profile: _trespass})
    monkeypatch.setattr(verifying, "PILLARS", (trespasser, *PILLARS[1:]))
    found = wrong(demo, deep=True)
    assert set(found) == {"tables"}
    assert "writes ledger_deposit, a table of another pillar" in found["tables"]


def test_logs_and_blobs_are_checked_even_if_the_view_cannot_be_made(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trespasser = replace(PILLAR, handlers={**PILLAR.handlers, Profile: _trespass})
    monkeypatch.setattr(nodes, "PILLARS", (trespasser, *PILLARS[1:]))
    for path in demo.glob("view.db*"):
        path.unlink()
    node = open_home(demo)
    findings = list(verify(node, deep=True))
    assert "a table of another pillar" in next(finding.wrong for finding in findings if finding.what == "view")
    assert {"log", "blob"} <= {finding.what.split()[0] for finding in findings}
