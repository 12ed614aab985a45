"""What doors and commands ask of a node across pillars: records, receipts, members, how fresh it all is.

Everything here reads and nothing writes.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Select, and_, func, or_, select

from concord.errors import ConcordError, MissingError
from concord.ledger.identity import label
from concord.ledger.record import fields, says
from concord.ledger.statements import deposits
from concord.ledger.view import State, logs, records
from concord.ledger.view import blobs as blob_table
from concord.node import Node
from concord.pillars.members import Accredit, Roster, Seat
from concord.pillars.members import view as members_view
from concord.pillars.members.roster import Application
from concord.private import peers
from concord.tlog import policy as policies
from concord.tlog.errors import ForgedError
from concord.tlog.proof import Proof

PAGE = 50  # records on a page
_ORIGIN = re.compile(r"[a-z0-9-]{1,32}\.[!-~]+/[0-9a-f]{32}\Z")
SKEW_MAX = 3600  # seconds that a peer's clock may differ before it is worth a word


@dataclass(frozen=True)
class Filter:
    """Which records: of one log, of one type (None: of all)."""

    origin: str | None = None
    type: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a listing goes on: after the record with this claimed time, log and index."""

    at: int
    origin: str
    index: int


@dataclass(frozen=True)
class Found:
    """A record as the view knows it. `at` is what its speaker claims (POSIX seconds); `leaf` is in hexadecimal digits."""

    origin: str
    index: int
    type: str
    at: int
    state: State
    leaf: str


def list_records(node: Node, wanted: Filter, limit: int = PAGE, after: Place | None = None) -> list[Found]:
    """The newest records first, as their speakers dated them."""
    query = _found().order_by(records.c.at.desc(), logs.c.origin, records.c.index.desc()).limit(limit)
    if wanted.origin is not None:
        query = query.where(logs.c.origin == wanted.origin)
    if wanted.type is not None:
        query = query.where(records.c.type == wanted.type)
    if after is not None:
        same, later = records.c.at == after.at, logs.c.origin > after.origin
        further = and_(logs.c.origin == after.origin, records.c.index < after.index)
        query = query.where(or_(records.c.at < after.at, and_(same, or_(later, further))))
    with node.reading() as db:
        return [_read(row) for row in db.execute(query)]


def count_records(node: Node) -> dict[str, int]:
    """How many records there are of each type; of type "" those that say of none."""
    with node.reading() as db:
        counted = select(records.c.type, func.count()).group_by(records.c.type).order_by(records.c.type)
        return dict(map(tuple, db.execute(counted)))


def find_record(node: Node, origin: str, index: int) -> Found:
    """One record. MissingError if it is not here."""
    with node.reading() as db:
        row = db.execute(_found().where(logs.c.origin == origin, records.c.index == index)).first()
    if row is None:
        raise MissingError(f"{origin} has no entry {index} here")
    return _read(row)


def find_leaf(node: Node, leaf: str) -> Found:
    """The record with this leaf hash (hexadecimal digits). MissingError if it is not here."""
    try:
        raw = bytes.fromhex(leaf)
    except ValueError as e:
        raise MissingError(f"{leaf[:80]!r} names no record") from e
    with node.reading() as db:
        row = db.execute(_found().where(records.c.leaf == raw).order_by(records.c.state).limit(1)).first()
    if row is None:
        raise MissingError(f"no record with the leaf hash {leaf[:80]} is here")
    return _read(row)


def sentence(node: Node, found: Found) -> str:
    """What the record says, in English; doors translate `template` and `values` themselves."""
    template, values = telling(node, found)
    return template.format_map(values)


def telling(node: Node, found: Found) -> tuple[str, dict[str, Any]]:
    """The sentence of a record as a template and the values to fill in; what cannot be read says so."""
    if found.state is State.UNREADABLE:
        return says("says something that this version cannot read"), {}
    if found.state is State.FOREIGN:
        return says("says something to another organisation"), {}
    record = node.read(node.holdings.tree(found.origin).entry(found.index))
    return record.SAYS, {key: _named(value) for key, value in fields(record).items()}


def why_unreadable(node: Node, found: Found) -> str:
    """What is wrong with a record that cannot be read."""
    try:
        record = node.read(node.holdings.tree(found.origin).entry(found.index))
    except ConcordError as e:
        return str(e)
    if record.by != found.origin:
        return f"it is said by {record.by}, in the log of {found.origin}"
    return "it breaks a rule of its type, or its seals do not verify"


def prove(node: Node, origin: str, index: int) -> Proof:
    """A receipt for one entry, under the checkpoint with a quorum if that covers it, otherwise under the newest.

    MissingError if there is no such entry.
    """
    tree, good = node.holdings.tree(origin), node.holdings.cosigned(origin)
    head = good if good is not None and index < good.checkpoint.size <= tree.size else tree.head
    if head is None:
        raise MissingError(f"{origin} is not held here")
    entry = tree.entry(index)
    return Proof(index, tuple(tree.prove_inclusion(index, head.checkpoint.size)), head.note, entry)


def well_cosigned(node: Node, found: Found) -> bool:
    """Whether the record stands under a checkpoint that has a quorum."""
    good = node.holdings.cosigned(found.origin)
    return good is not None and found.index < good.checkpoint.size


def describe_member(node: Node, origin: str) -> dict[str, Any]:
    """What is known of one member or applicant: standing, profile, log, keys, people."""
    seat = node.roster().seats.get(origin)
    with node.reading() as db:
        profile = members_view.profiles(db).get(origin, {})
        acting = members_view.accredited(db, origin, node.clock())
    tree, good, identity = node.holdings.tree(origin), node.holdings.cosigned(origin), node.holdings.identity(origin)
    head = tree.head
    return {
        "id": label(origin),
        "origin": origin,
        "name": profile.get("name") or (seat.name if seat else label(origin)),
        "names": profile.get("names", {}),
        "country": profile.get("country") or (seat.country if seat else ""),
        "class": seat.class_ if seat else "",
        "standing": str(seat.standing) if seat else "",
        "votes": seat.votes if seat else 0,
        "about": profile.get("about", ""),
        "site": profile.get("site"),
        "contact": profile.get("contact"),
        "node": profile.get("node"),
        "size": tree.size,
        "cosigned": good.checkpoint.size if good else 0,
        "cosigners": [line.name for line in head.note.signatures if line.name != origin] if head else [],
        "keys": msgspec.to_builtins(identity) if identity else None,
        "people": [{key: person[key] for key in ("person", "roles", "until", "index")} for person in acting],
        "disputed": origin in node.disputes(),
        "hosted": origin in node.holdings.hosted(),
    }


def application(node: Node, origin: str) -> Application:
    """What an applicant asked for. MissingError if it did not apply."""
    with node.reading() as db:
        applied = members_view.said(db, node.organisation).applicants()
    if origin not in applied:
        raise MissingError(f"{origin} has not applied")
    return applied[origin]


def resolve(node: Node, name: str) -> str:
    """The origin that `name` means: an origin, or the id of a member. MissingError if nobody is called that."""
    if name in node.holdings.origins():
        return name
    seat: Seat | None = node.roster().find(name)
    if seat is not None:
        return seat.origin
    named = [origin for origin in node.holdings.origins() if label(origin) == name]
    if len(named) == 1:
        return named[0]
    raise MissingError(f"nobody here is called {name[:100]!r}" if not named else f"{name!r} could be {' or '.join(named)}")


@dataclass(frozen=True)
class Freshness:
    """How much of what is shown is fresh: of `logs` logs, `good` have a quorum on their newest entry; `members` witness."""

    logs: int
    good: int
    witnesses: int
    disputed: int


def freshness(node: Node, roster: Roster) -> Freshness:
    """Of the logs of members, how many are well cosigned to the end."""
    members = [seat.origin for seat in roster.members()]
    good = 0
    for origin in members:
        head, cosigned = node.holdings.tree(origin).head, node.holdings.cosigned(origin)
        good += bool(head and cosigned and head.checkpoint == cosigned.checkpoint)
    return Freshness(len(members), good, len(members), len(node.disputes()))


def doubts(node: Node) -> list[tuple[str, str]]:
    """Peers whose clock differs from ours by more than an hour: one of the two is wrong, and it may be this machine's."""
    with node.private_reading() as db:
        everyone = peers.everyone(db)
    off = [peer for peer in everyone if peer.skew is not None and abs(peer.skew) > SKEW_MAX]
    words = "its clock is {} seconds {} this machine's: check which of the two is right"
    return [(peer.url, words.format(abs(peer.skew or 0), "ahead of" if (peer.skew or 0) > 0 else "behind")) for peer in off]


def accepted(node: Node, origin: str) -> bool:
    """Whether the newest checkpoint of a log satisfies our policy for it."""
    head = node.holdings.tree(origin).head
    if head is None:
        return False
    try:
        policies.accept(node.policy(origin), head.note)
    except ForgedError:
        return False
    return True


def _named(value: Any) -> Any:
    """An origin by its short name; everything else as it is."""
    return label(value) if isinstance(value, str) and _ORIGIN.match(value) else value


def _found() -> Select[Any]:
    columns = (logs.c.origin, records.c.index, records.c.type, records.c.at, records.c.state, records.c.leaf)
    return select(*columns).join(logs, logs.c.log == records.c.log)


def _read(row: Any) -> Found:
    origin, index, kind, at, state, leaf = row
    return Found(origin, index, kind, at, State(state), leaf.hex())


def blobs_of(node: Node, found: Found) -> list[dict[str, Any]]:
    """The blobs that a record names: digest, size, whether personal, and whether the bytes are here."""
    query = (
        select(blob_table.c.blob, blob_table.c.size, blob_table.c.salted)
        .join(logs, logs.c.log == blob_table.c.log)
        .where(logs.c.origin == found.origin, blob_table.c.index == found.index)
    )
    with node.reading() as db:
        rows = [(digest, size, bool(salted)) for digest, size, salted in db.execute(query)]
    return [
        {
            "digest": digest,
            "size": size,
            "personal": salted,
            "here": node.blobs.have(digest),
            "erased": node.blobs.erased(digest) is not None,
        }
        for digest, size, salted in rows
    ]


def deposited(node: Node) -> list[dict[str, Any]]:
    """The blobs that members published under a name, the newest first."""
    columns = (deposits.c.name, deposits.c.origin, deposits.c.index, deposits.c.blob, deposits.c.size, deposits.c.media)
    with node.reading() as db:
        rows = [dict(row) for row in db.execute(select(*columns).order_by(deposits.c.origin, deposits.c.index.desc())).mappings()]
    return [row | {"here": node.blobs.have(row["blob"])} for row in rows]


def public_blob(node: Node, digest: str) -> str:
    """A file name for a blob that some record names and that is not personal. MissingError if none does."""
    with node.reading() as db:
        named = db.scalar(select(blob_table.c.blob).where(blob_table.c.blob == digest, blob_table.c.salted == 0).limit(1))
        deposited = db.scalar(select(deposits.c.name).where(deposits.c.blob == digest).limit(1))
    if named is None or node.personal(digest):
        raise MissingError(f"no record names the blob {digest[:64]}")
    return re.sub(r"[^A-Za-z0-9._-]", "-", deposited or digest)


def particulars(node: Node, origin: str) -> dict[str, str]:
    """The names of the people that a member of this node accredits, where they were not erased."""
    names = {}
    with node.reading() as db:
        acting = members_view.accredited(db, origin, node.clock())
    for person in acting:
        if person["particulars"]:
            record = node.read(node.holdings.tree(origin).entry(person["index"]))
            assert isinstance(record, Accredit) and record.particulars is not None
            try:
                names[person["person"]] = str(json.loads(node.attached(record.particulars)).get("name", ""))
            except (ConcordError, ValueError, AttributeError):
                continue  # erased, held, or not in the form that we write: there is no name to show
    return names
