"""What was measured of revisions, so that a search need not measure again. It is derived: the table may be dropped at any time.

So it is none of the tables that are migrated: it is made when it is needed, and what another edition of the rules measured is
forgotten. Beside each measure stands how much of its repo was here then: if more came, more of it may be read.

>>> from concord.ledger.storage.database import open_database, writing
>>> engine = open_database(None)
>>> with writing(engine) as db:
...     keep(db, 1, {"9f" * 32: (Measure(9, 0, None), 3)})
...     [(leaf[:2], found.size, brought) for leaf, (found, brought) in known(db, 1).items()], known(db, 2)
([('9f', 9, 3)], {})
"""

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, delete, insert, inspect, select

from concord.pillars.commons.measure import Measure

AT_ONCE = 500  # leaf hashes in one statement
TABLES = MetaData()
measured = Table(
    "measured",
    TABLES,
    Column("leaf", String, primary_key=True),
    Column("edition", Integer, nullable=False),
    Column("brought", Integer, nullable=False),
    Column("measure", LargeBinary, nullable=False),
)


def known(db: Connection, edition: int) -> dict[str, tuple[Measure, int]]:
    """What was measured by these rules, by the leaf hash of the commit; and how many files of the repo were here then."""
    if not _is_there(db):
        return {}
    rows = db.execute(select(measured).where(measured.c.edition == edition))
    return {leaf: (msgspec.json.decode(found, type=Measure), brought) for leaf, _, brought, found in rows}


def keep(db: Connection, edition: int, found: Mapping[str, tuple[Measure, int]], gone: Collection[str] = ()) -> None:
    """Keep what was measured; forget what is `gone`, and what other rules measured."""
    if not _is_there(db):
        measured.drop(db, checkfirst=True)  # as an earlier version made it
        measured.create(db)
    db.execute(delete(measured).where(measured.c.edition != edition))
    leaves = [*found, *gone]
    for start in range(0, len(leaves), AT_ONCE):
        db.execute(delete(measured).where(measured.c.leaf.in_(leaves[start : start + AT_ONCE])))
    rows = [{"leaf": leaf, "edition": edition, "brought": brought, "measure": msgspec.json.encode(each)}
            for leaf, (each, brought) in found.items()]  # fmt: skip
    if rows:
        db.execute(insert(measured), rows)


def _is_there(db: Connection) -> bool:
    """Whether there is a table of this shape."""
    shape = inspect(db)
    return shape.has_table(measured.name) and {each["name"] for each in shape.get_columns(measured.name)} == set(measured.c.keys())
