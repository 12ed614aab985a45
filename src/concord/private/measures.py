"""What was measured of revisions, so that a search need not measure again. It is derived: the table may be dropped at any time.

So it is none of the tables that are migrated: it is made when it is needed, and what another edition of the rules measured is
forgotten.

>>> from concord.ledger.storage.database import open_database, writing
>>> engine = open_database(None)
>>> with writing(engine) as db:
...     keep(db, 1, {"9f" * 32: Measure(9, 0, None)})
...     known(db, 1), known(db, 2)
({'9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f': Measure(size=9, weights=0, openness=None)}, {})
"""

from collections.abc import Collection, Mapping

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, delete, insert, inspect, select

from concord.pillars.commons.measure import Measure

AT_ONCE = 500  # leaf hashes in one statement
TABLES = MetaData()
measured = Table(
    "measured",
    TABLES,
    Column("leaf", String, primary_key=True),
    Column("edition", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("weights", BigInteger, nullable=False),
    Column("openness", Integer),
)


def known(db: Connection, edition: int) -> dict[str, Measure]:
    """What was measured by these rules, by the leaf hash of the commit."""
    if not inspect(db).has_table(measured.name):
        return {}
    rows = db.execute(select(measured).where(measured.c.edition == edition))
    return {leaf: Measure(size, weights, openness) for leaf, _, size, weights, openness in rows}


def keep(db: Connection, edition: int, found: Mapping[str, Measure], gone: Collection[str] = ()) -> None:
    """Keep what was measured; forget what is `gone`, and what other rules measured."""
    measured.create(db, checkfirst=True)
    db.execute(delete(measured).where(measured.c.edition != edition))
    leaves = [*found, *gone]
    for start in range(0, len(leaves), AT_ONCE):
        db.execute(delete(measured).where(measured.c.leaf.in_(leaves[start : start + AT_ONCE])))
    rows = [{"leaf": leaf, "edition": edition, "size": each.size, "weights": each.weights, "openness": each.openness}
            for leaf, each in found.items()]  # fmt: skip
    if rows:
        db.execute(insert(measured), rows)
