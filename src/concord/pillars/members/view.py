"""What is kept of membership records, and what is asked of it."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, RowMapping, Select, String, and_, func, or_, select

from concord.errors import ForgedError
from concord.ledger.pillar import Pillar, Role, Row, Stamp, row, row_of, table
from concord.ledger.record import ENCODER
from concord.pillars.members.charter import Charter, check
from concord.pillars.members.records import (
    Accede,
    Accredit,
    Admit,
    Apply,
    Found,
    Leave,
    Profile,
    Recover,
    Sponsor,
    Suspend,
)
from concord.pillars.members.roster import Application, Said

TABLES = MetaData()


def _text(name: str, *, index: bool = False) -> Column[Any]:
    return Column(name, String, nullable=False, index=index)


found = table(TABLES, "members_found", _text("charter"), Column("content", LargeBinary, nullable=False))
accede = table(TABLES, "members_accede", _text("charter"))
apply = table(
    TABLES,
    "members_apply",
    _text("leaf"),
    _text("charter"),
    _text("id"),
    _text("name"),
    _text("country"),
    _text("class"),
    Column("node", String),
    _text("statement"),
)
sponsor = table(TABLES, "members_sponsor", _text("application", index=True), _text("applicant"))
admit = table(TABLES, "members_admit", _text("application", index=True), _text("applicant"), _text("decision"))
suspend = table(TABLES, "members_suspend", _text("member", index=True), _text("decision"), Column("until", Integer))
leave = table(TABLES, "members_leave", Column("effective", Integer, nullable=False))
recover = table(TABLES, "members_recover", _text("member", index=True), _text("root"), _text("decision"))
profile = table(
    TABLES,
    "members_profile",
    _text("name"),
    _text("names"),
    _text("country"),
    _text("about"),
    Column("site", String),
    Column("contact", String),
    Column("node", String),
)
accredit = table(
    TABLES,
    "members_accredit",
    _text("person"),
    _text("roles"),
    Column("particulars", String),
    Column("until", Integer),
)


def on_found(stamp: Stamp, said: Found) -> Iterator[Row]:
    """Only a founder puts a charter forward, and only under its own digest."""
    check(said.charter)
    if said.org != said.charter.digest() or stamp.origin not in {founder.origin for founder in said.charter.founders}:
        raise ForgedError("a charter put forward by somebody whom it does not name, or under the digest of another")
    yield row(found, charter=said.org, content=ENCODER.encode(said.charter))


def on_accede(_: Stamp, said: Accede) -> Iterator[Row]:
    yield row_of(accede, said)


def on_apply(stamp: Stamp, said: Apply) -> Iterator[Row]:
    yield row_of(apply, said, leaf=stamp.leaf, **{"class": said.class_})


def on_sponsor(_: Stamp, said: Sponsor) -> Iterator[Row]:
    yield row_of(sponsor, said)


def on_admit(_: Stamp, said: Admit) -> Iterator[Row]:
    yield row_of(admit, said)


def on_suspend(_: Stamp, said: Suspend) -> Iterator[Row]:
    yield row_of(suspend, said)


def on_leave(_: Stamp, said: Leave) -> Iterator[Row]:
    yield row_of(leave, said)


def on_recover(_: Stamp, said: Recover) -> Iterator[Row]:
    yield row_of(recover, said, root=said.root.digest())


def on_profile(_: Stamp, said: Profile) -> Iterator[Row]:
    yield row_of(profile, said, names=ENCODER.encode(said.names).decode())


def on_accredit(_: Stamp, said: Accredit) -> Iterator[Row]:
    digest = said.particulars.digest if said.particulars else None
    yield row_of(accredit, said, roles=" ".join(said.roles), particulars=digest)


def charter(db: Connection, organisation: str) -> Charter | None:
    """The charter of the organisation, or None if no founder's log that puts it forward is here."""
    content = db.scalar(select(found.c.content).where(found.c.charter == organisation).limit(1))
    return msgspec.json.decode(content, type=Charter) if content else None


def said(db: Connection, organisation: str, cut: Mapping[str, int] | None = None) -> Said:
    """What was said of membership of `organisation`, up to `cut` (entries that count, by origin; None: all there are)."""

    def rows(query: Select[Any]) -> list[RowMapping]:
        ordered = db.execute(query.order_by("origin", "index")).mappings()
        return [row for row in ordered if cut is None or row["index"] < cut.get(row["origin"], 0)]

    sponsors = rows(select(sponsor))
    applied = {row["leaf"]: _application(row, sponsors) for row in rows(select(apply).where(apply.c.charter == organisation))}
    acceded = frozenset(row["origin"] for row in rows(select(accede).where(accede.c.charter == organisation)))
    left = {row["origin"]: row["effective"] for row in rows(select(leave))}
    return Said(acceded, left, applied)


def _application(row: RowMapping, sponsors: list[RowMapping]) -> Application:
    supporters = frozenset(other["origin"] for other in sponsors if other["application"] == row["leaf"])
    return Application(row["origin"], row["id"], row["name"], row["country"], row["class"], row["leaf"], supporters)


def profiles(db: Connection) -> dict[str, dict[str, Any]]:
    """The last profile of each origin."""
    last = select(profile.c.origin, func.max(profile.c.index).label("index")).group_by(profile.c.origin).subquery()
    query = select(profile).join(last, and_(profile.c.origin == last.c.origin, profile.c.index == last.c.index))
    return {row["origin"]: dict(row) | {"names": msgspec.json.decode(row["names"])} for row in db.execute(query).mappings()}


def accredited(db: Connection, origin: str, at: int) -> list[dict[str, Any]]:
    """Whom `origin` accredits at `at` (POSIX seconds): of each person the last statement, if it gives roles and has not ended."""
    last = (
        select(accredit.c.person, func.max(accredit.c.index).label("index"))
        .where(accredit.c.origin == origin)
        .group_by(accredit.c.person)
        .subquery()
    )
    query = (
        select(accredit)
        .join(last, and_(accredit.c.person == last.c.person, accredit.c.index == last.c.index))
        .where(accredit.c.origin == origin, accredit.c.roles != "", or_(accredit.c.until.is_(None), accredit.c.until > at))
        .order_by(accredit.c.index)
    )
    return [dict(row) | {"roles": row["roles"].split(" ")} for row in db.execute(query).mappings()]


PILLAR = Pillar(
    "members",
    TABLES,
    {
        Found: on_found,
        Accede: on_accede,
        Apply: on_apply,
        Sponsor: on_sponsor,
        Admit: on_admit,
        Suspend: on_suspend,
        Leave: on_leave,
        Recover: on_recover,
        Profile: on_profile,
        Accredit: on_accredit,
    },
    {
        Found: Role.ADMIN,
        Accede: Role.DELEGATE,
        Apply: Role.DELEGATE,
        Sponsor: Role.DELEGATE,
        Admit: Role.CLERK,
        Suspend: Role.CLERK,
        Leave: Role.DELEGATE,
        Recover: Role.CLERK,
        Profile: Role.CLERK,
        Accredit: Role.ADMIN,
    },
)
