"""What can be said about membership."""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from concord.ledger.identity import Root
from concord.ledger.record import (
    CountryCode,
    Detached,
    Digest,
    Language,
    Line,
    Name,
    Origin,
    Record,
    Ref,
    Sealed,
    Text,
    Time,
    Url,
    says,
)
from concord.pillars.members.charter import Charter


class Found(Sealed, frozen=True, tag="members.found"):
    """A founder puts forward the charter that makes the organisation. `org` is its digest."""

    SAYS: ClassVar[str] = says("puts forward the charter of {charter[name]}")

    charter: Charter


class Accede(Sealed, frozen=True, tag="members.accede"):
    """The speaker accepts the charter with this digest. It makes a founder a member at once, anyone else once admitted."""

    SAYS: ClassVar[str] = says("accedes to the charter")

    charter: Digest


class Apply(Sealed, frozen=True, tag="members.apply"):
    """The speaker asks to be admitted, as this class of member, and says where its node is."""

    SAYS: ClassVar[str] = says("applies for membership as {name}")

    charter: Digest
    id: Name
    name: Line
    country: CountryCode
    class_: Name = field(name="class")
    node: Url | None = None
    statement: Text = ""


class Sponsor(Record, frozen=True, tag="members.sponsor"):
    """The speaker supports an application."""

    SAYS: ClassVar[str] = says("sponsors the application of {applicant}")

    application: Ref
    applicant: Origin
    statement: Text = ""


class Admit(Record, frozen=True, tag="members.admit"):
    """The speaker puts on record that a decision admits the applicant. What counts is the decision."""

    SAYS: ClassVar[str] = says("records the admission of {applicant}")

    application: Ref
    applicant: Origin
    decision: Ref


class Suspend(Record, frozen=True, tag="members.suspend"):
    """The speaker puts on record that a decision suspends a member, until a time if it says one. What counts is the decision."""

    SAYS: ClassVar[str] = says("records the suspension of {member}")

    member: Origin
    decision: Ref
    until: Time | None = None


class Leave(Sealed, frozen=True, tag="members.leave"):
    """The speaker leaves, with effect from a time."""

    SAYS: ClassVar[str] = says("leaves the organisation")

    effective: Time
    reason: Text = ""


class Recover(Record, frozen=True, tag="members.recover"):
    """The speaker puts on record that a decision gives a member that lost all its root keys a new root."""

    SAYS: ClassVar[str] = says("records new root keys for {member}")

    member: Origin
    root: Root
    decision: Ref


class Profile(Record, frozen=True, tag="members.profile"):
    """How the speaker presents itself. The last one stands, whole."""

    SAYS: ClassVar[str] = says("presents itself as {name}")

    name: Line
    country: CountryCode
    names: Annotated[dict[Language, Line], Meta(max_length=32)] = {}  # noqa: RUF012  msgspec copies the default
    about: Text = ""
    site: Url | None = None
    contact: Line | None = None
    node: Url | None = None


class Accredit(Record, frozen=True, tag="members.accredit"):
    """The speaker says what a person may do for it. The last one about a person stands; without roles it ends.

    `person` is a name that the member chose and that tells nothing; who it is stands in `particulars`, salted, so that it can
    be erased. `until` is when it ends by itself.
    """

    SAYS: ClassVar[str] = says("accredits {person}")

    person: Name
    roles: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    particulars: Detached | None = None
    until: Time | None = None
