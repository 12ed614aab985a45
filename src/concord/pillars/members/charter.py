"""The charter: the constitution of an organisation, as data.

Purposes, organs, classes of members and their votes, voting rules by name, quorums, admission, amendment, entry into force,
languages, seat, founders. No organ and no majority stands in code: an organisation writes them down, and its digest is the
organisation's identity. Charters are read from TOML (`load`), checked as a whole (`check`), and signed as canonical JSON.

>>> sorted(presets())
['demonstration', 'institutions', 'open-to-all-states', 'regional', 'values-gated']
>>> charter = check(load(presets()["open-to-all-states"]))
>>> charter.rules[charter.admission.rule].share
(2, 3)
"""

import tomllib
from collections.abc import Iterable
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from concord.errors import MalformedError
from concord.ledger.identity import label
from concord.ledger.pillar import PERSONAL_ROLES
from concord.ledger.record import ENCODER, CountryCode, Language, Line, Name, Origin, Part, Text

FORMAT = "concord-charter/1"
_Small = Annotated[int, Meta(ge=0, le=10_000)]
_Positive = Annotated[int, Meta(ge=1, le=10_000)]
Share = tuple[_Positive, _Positive]


class VotingRule(Part, frozen=True):
    """How a vote is counted; everything that is left open elsewhere is said.

    `method`: a majority is counted; a consensus needs that nobody present objects; silence adopts after `hours` unless
    somebody objects. `base`: of those present and voting (abstentions do not count), or of all entitled (an abstention and
    an absence weigh as a no). `share` (numerator, denominator) must be exceeded if `strict`, otherwise reached; with at least
    one yes. `quorum`: more than this share of all entitled must take part; abstaining is taking part.
    """

    method: Literal["majority", "consensus", "silence"] = "majority"
    base: Literal["voting", "entitled"] = "voting"
    share: Share = (1, 2)
    strict: bool = True
    quorum: Share = (1, 2)
    hours: _Small = 0


class Organ(Part, frozen=True):
    """A body: who sits in it (all members, or `seats` elected by `elected_by`), and by which rule it decides."""

    id: Name
    name: Line
    rule: Name
    classes: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    seats: _Small = 0
    elected_by: Name | None = None
    about: Line | None = None


class MemberClass(Part, frozen=True):
    """A kind of member: for whom it is, and how many votes each has (0: it may speak, and not vote)."""

    id: Name
    name: Line
    open_to: Literal["state", "institution", "region", "anyone"]
    votes: _Small


class Admission(Part, frozen=True):
    """How new members come in: the organ and rule that decide, how many sponsors an application needs, what is asked."""

    organ: Name
    rule: Name
    sponsors: _Small = 0
    criteria: Annotated[tuple[Line, ...], Meta(max_length=32)] = ()


class Amendment(Part, frozen=True):
    """How this charter changes: the organ and rule that decide, and the share of members that must then ratify."""

    organ: Name
    rule: Name
    ratified_by: Share | None = None


class Seat(Part, frozen=True):
    """Where the organisation officially resides."""

    city: Line
    country: CountryCode


class Founder(Part, frozen=True):
    """Who is invited to found: the member's name, and the origin that only its root keys can speak under."""

    id: Name
    name: Line
    country: CountryCode
    class_: Name = field(name="class")
    origin: Origin


class Charter(Part, frozen=True):
    """See the module docstring; `check` says what must hold between the parts.

    `accessions`: how many founders must accede before it is in force. `confirm`: more than this share of members must
    recompute a decision and agree before it binds. `ballot`: of two ballots by one member the last before the close counts,
    or both are void. `demonstration`: nothing here is the act of a state or a person.
    """

    format: Literal["concord-charter/1"]
    name: Line
    purposes: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=32)]
    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=32)]
    organs: Annotated[tuple[Organ, ...], Meta(min_length=1, max_length=32)]
    classes: Annotated[tuple[MemberClass, ...], Meta(min_length=1, max_length=16)]
    rules: Annotated[dict[Name, VotingRule], Meta(min_length=1, max_length=32)]
    admission: Admission
    amendment: Amendment
    roles: Annotated[tuple[Name, ...], Meta(max_length=16)] = tuple(str(role) for role in PERSONAL_ROLES)
    names: Annotated[dict[Language, Line], Meta(max_length=32)] = {}  # noqa: RUF012  msgspec copies the default
    preamble: Text = ""
    seat: Seat | None = None
    accessions: _Positive = 1
    confirm: Share = (2, 3)
    ballot: Literal["last", "void"] = "last"
    demonstration: bool = False
    founders: Annotated[tuple[Founder, ...], Meta(max_length=200)] = ()

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical bytes: the organisation's identity."""
        return sha256(ENCODER.encode(self)).hexdigest()

    def class_of(self, name: str) -> MemberClass | None:
        """The class with this id, or None."""
        return next((kind for kind in self.classes if kind.id == name), None)


def presets() -> dict[str, bytes]:
    """The charters that come with Concord, as TOML by name."""
    folder = files(__package__) / "presets"
    return {path.name.removesuffix(".toml"): path.read_bytes() for path in folder.iterdir() if path.name.endswith(".toml")}


def load(raw: bytes) -> Charter:
    """The charter in a TOML file. MalformedError says where it is wrong."""
    try:
        return msgspec.convert(tomllib.loads(raw.decode()), Charter)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as e:
        raise MalformedError(f"charter: {e}") from e


def with_founders(charter: Charter, founders: Iterable[Founder]) -> Charter:
    """The charter with `founders` besides those it names. If it asks for more accessions than it has founders, for all."""
    everybody = (*charter.founders, *founders)
    return msgspec.structs.replace(charter, founders=everybody, accessions=min(charter.accessions, len(everybody)))


def check(charter: Charter) -> Charter:
    """`charter`, if its parts fit together. MalformedError names the part that does not."""
    organs, classes = {organ.id for organ in charter.organs}, {kind.id for kind in charter.classes}
    _unique("organ", [organ.id for organ in charter.organs])
    _unique("class", [kind.id for kind in charter.classes])
    _unique("founder", [founder.id for founder in charter.founders])
    _unique("origin", [founder.origin for founder in charter.founders])
    _known("rule", charter.rules, [organ.rule for organ in charter.organs], charter.admission.rule, charter.amendment.rule)
    elected_by = [organ.elected_by for organ in charter.organs if organ.elected_by]
    _known("organ", organs, elected_by, charter.admission.organ, charter.amendment.organ)
    _known("class", classes, [name for organ in charter.organs for name in organ.classes], *[f.class_ for f in charter.founders])
    _known("role", map(str, PERSONAL_ROLES), charter.roles)
    for name, rule in charter.rules.items():
        if rule.share[0] > rule.share[1] or rule.quorum[0] > rule.quorum[1]:
            raise MalformedError(f"charter: rule {name!r} asks for more than there is")
        if rule.method == "silence" and not rule.hours:
            raise MalformedError(f"charter: rule {name!r} adopts by silence and does not say after how many hours")
    for founder in charter.founders:
        if label(founder.origin) != founder.id:
            raise MalformedError(f"charter: founder {founder.id!r} has the origin of another, {founder.origin}")
    if charter.founders and charter.accessions > len(charter.founders):
        raise MalformedError(f"charter: {charter.accessions} accessions are asked of {len(charter.founders)} founders")
    return charter


def _unique(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MalformedError(f"charter: {what} {twice[0]!r} stands twice")


def _known(what: str, known: Iterable[str], many: Iterable[str], *names: str) -> None:
    missing = sorted({*many, *names} - set(known))
    if missing:
        raise MalformedError(f"charter: there is no {what} {missing[0]!r}")
