"""Who is a member, of which class, with how many votes: a pure fold.

Admission and suspension are decided by vote, and who votes is decided here. The circle opens because decisions come in as an
argument: members knows no council. Council, which stands to the right, hands over the effects that it has decided so far, in
the order of their cuts.

>>> from concord.pillars.members.charter import Founder, load, presets, with_founders
>>> kenya = Founder(id="ke", name="Example Institute", country="KE", class_="state", origin="ke.example/0")
>>> charter = with_founders(load(presets()["open-to-all-states"]), [kenya])
>>> roster(charter, Said()).find("ke").standing
<Standing.INVITED: 'invited'>
>>> roster(charter, Said(acceded=frozenset({"ke.example/0"}))).find("ke").votes
1
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from concord.pillars.members.charter import Charter, Founder


class Standing(StrEnum):
    """Where somebody stands. INVITED: a founder that has not acceded. ADMITTED: decided, and has not acceded."""

    MEMBER = "member"
    INVITED = "invited"
    APPLICANT = "applicant"
    ADMITTED = "admitted"
    SUSPENDED = "suspended"
    LEFT = "left"


@dataclass(frozen=True)
class Application:
    """What an applicant said of itself. `leaf` (hex) names the record; `sponsors` are the origins that support it."""

    origin: str
    id: str
    name: str
    country: str
    class_: str
    leaf: str
    sponsors: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Said:
    """What members said of membership up to a cut: who acceded to this charter, who left from when, who applied.

    `applied` holds every application by the leaf hash of its record, those of one applicant in their order.
    """

    acceded: frozenset[str] = frozenset()
    left: Mapping[str, int] = field(default_factory=dict)
    applied: Mapping[str, Application] = field(default_factory=dict)

    def applicants(self) -> dict[str, Application]:
        """The last application of each applicant, by origin."""
        return {asked.origin: asked for asked in self.applied.values()}


@dataclass(frozen=True)
class Admitted:
    """A decided effect: the decision (leaf hash, hex) admits the applicant of this application (leaf hash, hex)."""

    application: str
    decision: str


@dataclass(frozen=True)
class Suspended:
    """A decided effect: `origin` is suspended, until a time (POSIX seconds) or, for None, until decided otherwise."""

    origin: str
    decision: str
    until: int | None = None


@dataclass(frozen=True)
class Restored:
    """A decided effect: the suspension of `origin` ends."""

    origin: str
    decision: str


Effect = Admitted | Suspended | Restored


@dataclass(frozen=True)
class Seat:
    """One line of the roster. `votes` is 0 unless the standing is MEMBER."""

    origin: str
    id: str
    name: str
    country: str
    class_: str
    standing: Standing
    votes: int = 0
    decision: str = ""


@dataclass(frozen=True)
class Roster:
    """Everybody who has a standing, by origin, members and applicants alike. `in_force`: enough founders acceded."""

    seats: Mapping[str, Seat]
    in_force: bool

    def members(self) -> list[Seat]:
        """Those in good standing."""
        return [seat for seat in self.seats.values() if seat.standing is Standing.MEMBER]

    def entitled(self) -> list[Seat]:
        """Those who belong, whether or not they have acceded yet or are suspended for a while."""
        out = (Standing.APPLICANT, Standing.LEFT)
        return [seat for seat in self.seats.values() if seat.standing not in out]

    def find(self, name: str) -> Seat | None:
        """By origin, or by id: a member before anybody who merely applied under the same id."""
        named = [seat for seat in self.seats.values() if name in (seat.id, seat.origin)]
        return min(named, key=lambda seat: list(Standing).index(seat.standing), default=None)


def roster(charter: Charter, said: Said, effects: Iterable[Effect] = (), at: int = 0) -> Roster:
    """The roster under `charter` at `at` (POSIX seconds), from what was said and what was decided, in that order.

    An application whose id or class cannot be had changes nothing, even if a decision admits it.
    """
    seats = {founder.origin: _stand(charter, said, _invited(founder)) for founder in charter.founders}
    for effect in effects:
        _apply(charter, said, seats, effect, at)
    for origin, effective in said.left.items():
        if origin in seats and effective <= at:
            seats[origin] = replace(seats[origin], standing=Standing.LEFT, votes=0)
    for origin, asked in sorted(said.applicants().items()):
        if origin not in seats:
            seats[origin] = Seat(origin, asked.id, asked.name, asked.country, asked.class_, Standing.APPLICANT)
    founded = sum(founder.origin in said.acceded for founder in charter.founders)
    return Roster(MappingProxyType(seats), founded >= charter.accessions)


def _invited(founder: Founder) -> Seat:
    return Seat(founder.origin, founder.id, founder.name, founder.country, founder.class_, Standing.INVITED)


def _apply(charter: Charter, said: Said, seats: dict[str, Seat], effect: Effect, at: int) -> None:
    match effect:
        case Admitted(application, decision):
            _admit(charter, said, seats, application, decision)
        case Suspended(origin, decision, until):
            if origin in seats and (until is None or at < until):
                seats[origin] = replace(seats[origin], standing=Standing.SUSPENDED, votes=0, decision=decision)
        case Restored(origin, decision):
            if origin in seats and seats[origin].standing is Standing.SUSPENDED:
                founder = any(each.origin == origin for each in charter.founders)
                before = Standing.INVITED if founder else Standing.ADMITTED
                seats[origin] = _stand(charter, said, replace(seats[origin], standing=before, decision=decision))


def _admit(charter: Charter, said: Said, seats: dict[str, Seat], application: str, decision: str) -> None:
    asked = said.applied.get(application)
    if asked is None or asked.origin in seats or charter.class_of(asked.class_) is None:
        return
    if any(seat.id == asked.id for seat in seats.values()):
        return
    seat = Seat(asked.origin, asked.id, asked.name, asked.country, asked.class_, Standing.ADMITTED, decision=decision)
    seats[asked.origin] = _stand(charter, said, seat)


def _stand(charter: Charter, said: Said, seat: Seat) -> Seat:
    """The seat as a member, if it has acceded."""
    if seat.origin not in said.acceded:
        return seat
    kind = charter.class_of(seat.class_)
    return replace(seat, standing=Standing.MEMBER, votes=kind.votes if kind else 0)
