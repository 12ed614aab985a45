"""What the ledger itself keeps of records: keys, evidence, resets, published blobs, requests to erase them.

It hands these over as a pillar does, and stands left of all pillars.
"""

from collections.abc import Iterator
from typing import ClassVar

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String

from concord.errors import ForgedError
from concord.ledger.evidence import Evidence, check
from concord.ledger.identity import Identity, Reset
from concord.ledger.pillar import Pillar, Role, Row, Stamp, row_of, table
from concord.ledger.record import ENCODER, Detached, Digest, Line, Record, Text, says, sealed_by


class Deposit(Record, frozen=True, tag="ledger.deposit"):
    """The speaker publishes a blob under a name, and says what it is."""

    SAYS: ClassVar[str] = says("publishes {name}")

    name: Line
    blob: Detached
    about: Text = ""


class Erase(Record, frozen=True, tag="ledger.erase"):
    """The speaker asks all who hold a blob that the speaker published to erase it. What stays is this record."""

    SAYS: ClassVar[str] = says("asks that a blob be erased: {reason}")

    blob: Digest
    reason: Line


TABLES = MetaData()

identities = table(
    TABLES,
    "ledger_identity",
    Column("number", Integer, nullable=False),
    Column("entry", LargeBinary, nullable=False),
)
evidence = table(TABLES, "ledger_evidence", Column("accused", String, nullable=False, index=True))
resets = table(TABLES, "ledger_reset", Column("size", Integer, nullable=False), Column("root", String(64), nullable=False))
deposits = table(
    TABLES,
    "ledger_deposit",
    Column("name", String, nullable=False),
    Column("blob", String(64), nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("media", String, nullable=False),
    Column("about", String, nullable=False),
)
erasures = table(
    TABLES,
    "ledger_erase",
    Column("blob", String(64), nullable=False, index=True),
    Column("reason", String, nullable=False),
)


def on_identity(_: Stamp, said: Identity) -> Iterator[Row]:
    yield row_of(identities, said, entry=ENCODER.encode(said))


def on_evidence(_: Stamp, said: Evidence) -> Iterator[Row]:
    check(said)
    yield row_of(evidence, said)


def on_reset(stamp: Stamp, said: Reset) -> Iterator[Row]:
    """A reset is the root's to say, and not an organ's."""
    root = stamp.identity.root
    if sealed_by(said, root.keys) < root.threshold:
        raise ForgedError(f"a reset of {stamp.origin} that is not sealed by its root")
    yield row_of(resets, said)


def on_deposit(_: Stamp, said: Deposit) -> Iterator[Row]:
    yield row_of(deposits, said, blob=said.blob.digest, size=said.blob.size, media=said.blob.media)


def on_erase(_: Stamp, said: Erase) -> Iterator[Row]:
    yield row_of(erasures, said)


LEDGER = Pillar(
    "ledger",
    TABLES,
    {Identity: on_identity, Evidence: on_evidence, Reset: on_reset, Deposit: on_deposit, Erase: on_erase},
    {Identity: Role.ADMIN, Evidence: Role.NODE, Reset: Role.ADMIN, Deposit: Role.PUBLISHER, Erase: Role.ADMIN},
)
