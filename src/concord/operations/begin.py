"""Beginning: a node, a member, an organisation; or applying to one that exists."""

import re
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

import msgspec
from msgspec import to_builtins
from sqlalchemy import Connection

from concord import home as homes
from concord.edges.peer import export, heads, wants
from concord.edges.peer.pull import pull
from concord.edges.peer.source import HttpSource
from concord.errors import ForgedError, MalformedError, MissingError, RefusedError, SettingsError, UnreachableError
from concord.ledger.identity import DOMAIN, label
from concord.ledger.keyring import new_member
from concord.ledger.pillar import PERSONAL_ROLES
from concord.ledger.record import ENCODER, Line, Name
from concord.node import Node
from concord.pillars.members import Accede, Apply, Charter, Found, Founder, Profile, Standing
from concord.pillars.members.charter import check, load, presets, with_founders
from concord.pillars.members.countries import country as find_country
from concord.private import peers, people
from concord.private.people import Speaker

ADMIN = "admin"
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?")
CHARTER_SIZE_MAX = 1 << 20  # bytes

__all__ = [
    "Member",
    "add_member",
    "ask_charter",
    "check_free",
    "check_member",
    "found",
    "introduce",
    "join",
    "local_admin",
    "node_at",
    "presets",
    "push",
    "read_charter",
]


class Taken(msgspec.Struct, frozen=True):
    """What a node answers to a bundle, as far as it matters here: what was wrong with which log."""

    wrong: dict[str, str] = {}


@dataclass(frozen=True)
class Member:
    """Who wants to found or to join, as far as it was given: short and full name, country (ISO 3166-1), class in the charter.

    `id` is None for a member that is here already; `domain` is what the origin of a new one continues with.
    """

    id: str | None = None
    domain: str = DOMAIN
    name: str | None = None
    country: str | None = None
    class_: str | None = None


def node_at(home: Path) -> Node:
    """The node in `home`, made now if there is none."""
    return homes.create(home) if homes.is_empty(home) else homes.open_home(home)


def read_charter(raw: bytes, member: Member) -> Charter:
    """The charter in `raw` (TOML), once it is sure that `member` can found with it."""
    charter = check(load(raw))
    check_member(member, charter)
    return charter


def ask_charter(home: Path, url: str, organisation: str | None, member: Member) -> Charter:
    """The charter of the organisation that the node at `url` serves, once it is sure that `member` can apply under it.

    It is verified against the organisation's digest: the one given, or the one that the node claims. ForgedError if they do
    not agree; MissingError if the node serves no organisation; RefusedError for what is no address.
    """
    peers.check_address(url)
    source = HttpSource(url, homes.settings(home))
    claimed = organisation or heads.read(source.get("peer/heads", heads.HEADS_SIZE_MAX)).organisation
    if not claimed:
        raise MissingError(f"{url} serves no organisation yet")
    charter = _charter(source.get("peer/charter", CHARTER_SIZE_MAX))
    if charter.digest() != claimed:
        raise ForgedError(f"{url} serves the organisation {charter.digest()}, and not {claimed}")
    check_member(member, charter)
    return charter


def check_member(member: Member, charter: Charter | None = None) -> None:
    """Whether `member` can be one, before anything is made. SettingsError, MissingError or MalformedError if not."""
    if member.id is not None:
        _check_origin(member.id, member.domain)
    if member.country:
        find_country(member.country)
    if member.name:
        try:
            msgspec.convert(member.name, Line)
        except msgspec.ValidationError as e:
            raise MalformedError(f"the name of a member is one line of at most 300 characters: {e}") from e
    if charter is not None:
        _class(charter, member.class_)


def check_free(node: Node, wanted: Charter | None) -> None:
    """RefusedError if `node` serves another organisation than that of `wanted`."""
    served = node.charter
    if wanted is not None and served is not None and served != wanted:
        raise RefusedError(f"this node serves {served.name} already, and one node serves one organisation")


def _check_origin(name: str, domain: str) -> None:
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError as e:
        raise RefusedError(f"{name!r} is no name of a member: a-z, 0-9 and inner hyphens, at most 32") from e
    if not _DOMAIN.fullmatch(domain):
        raise RefusedError(f"{domain!r} is no domain: a-z, 0-9, inner dots and hyphens, at most 100")


def add_member(node: Node, home: Path, name: str, domain: str = DOMAIN) -> str:
    """A new member on this node, with its keys and log; its origin. RefusedError if the name is no name or is taken here."""
    _check_origin(name, domain)
    if name in map(label, node.holdings.hosted()):
        raise RefusedError(f"this node hosts a member {name!r} already. Leave --member out to go on with it")
    member = new_member(name, domain, node.clock(), token_bytes)
    homes.add_member(node, home, member)
    with node.private_writing() as db:
        local_admin(db, node)
    return member.origin


def local_admin(db: Connection, node: Node) -> str:
    """The person who sits at the machine, made now if there is none: every role, for the node's first member."""
    hosted = node.holdings.hosted()
    if not hosted:
        raise SettingsError("this node hosts no member. Say `concord init --member ID --name … --country …`")
    if ADMIN not in [person.id for person in people.everybody(db)]:
        people.add(db, ADMIN, "Local administrator", hosted[0], PERSONAL_ROLES, node.clock())
    return ADMIN


def found(node: Node, charter: Charter, member: Member) -> Charter:
    """Found an organisation with `charter`: our members say so, and accede.

    If the charter names no founders, our first member is the one. RefusedError if it names founders and none is ours, or if
    all of ours have acceded already.
    """
    speaker = _speaker(node)
    if not charter.founders:
        if not (member.name and member.country):
            raise SettingsError("a founder has a name and a country: --name … --country CC")
        founder = Founder(
            id=label(speaker.origin),
            name=member.name,
            country=member.country,
            class_=_class(charter, member.class_),
            origin=speaker.origin,
        )
        charter = with_founders(charter, [founder])
    charter = check(charter)
    ours = [founder for founder in charter.founders if founder.origin in node.holdings.hosted()]
    if not ours:
        raise RefusedError("the charter names founders, and none of them has its log on this node")
    node.adopt(charter)
    invited = [founder for founder in ours if node.roster().seats[founder.origin].standing is Standing.INVITED]
    if not invited:
        raise RefusedError(f"{charter.name} was founded here already")
    for founder in invited:
        own = Speaker(speaker.person, speaker.name, founder.origin, speaker.roles)
        node.say(own, Found, {"charter": to_builtins(charter)})
        node.say(own, Accede, {"charter": charter.digest()})
        node.say(own, Profile, {"name": founder.name, "country": founder.country})
    node.cosign()
    return charter


def introduce(node: Node, member: Member) -> None:
    """Let our first member say who it is, before it belongs anywhere."""
    if member.name and member.country:
        node.say(_speaker(node), Profile, {"name": member.name, "country": member.country})


def join(node: Node, url: str, charter: Charter, member: Member) -> None:
    """Serve the organisation of `charter`, which the node at `url` does, and apply to it if we have a member not in it."""
    source = HttpSource(url, node.settings)
    with node.private_writing() as db:
        peers.add(db, url, node.clock())
    node.adopt(charter)
    pull(node, source)
    if node.holdings.hosted():
        _apply(node, charter, member)
        push(node, source)


def push(node: Node, source: HttpSource) -> None:
    """Send a peer what we have and it lacks, without blobs. RefusedError says why it does not take it."""
    wanted = wants.read_want(source.get("peer/want", wants.WANT_SIZE_MAX))
    status, answer = export.push(node, source, wanted)
    if status != 200:
        raise RefusedError(f"{source.name} does not take our log ({status}): {answer.decode(errors='replace')[:300].strip()}")
    wrong = _taken(source, answer).wrong
    for origin in node.holdings.hosted():
        if origin in wrong:
            raise RefusedError(f"{source.name} does not take our log: {wrong[origin]}")


def _taken(source: HttpSource, answer: bytes) -> Taken:
    try:
        return msgspec.json.decode(answer, type=Taken)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise UnreachableError(f"{source.name} gives no answer that a node would give: {e}") from e


def _apply(node: Node, charter: Charter, member: Member) -> None:
    """Say what makes our first member one, or an applicant, unless it was said before."""
    speaker = _speaker(node)
    seat = node.roster().seats.get(speaker.origin)
    if seat is not None:
        if seat.standing is Standing.INVITED:
            node.say(speaker, Accede, {"charter": charter.digest()})
        return
    if not (member.name and member.country):
        raise SettingsError("an applicant has a name and a country: --name … --country CC")
    fields = {
        "charter": charter.digest(),
        "id": label(speaker.origin),
        "name": member.name,
        "country": member.country,
        "class": _class(charter, member.class_),
    }
    node.say(speaker, Apply, fields | ({"node": node.settings.url} if node.settings.url else {}))
    node.say(speaker, Profile, {"name": member.name, "country": member.country})


def _charter(raw: bytes) -> Charter:
    try:
        charter = msgspec.json.decode(raw, type=Charter)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"not a charter: {e}") from e
    if ENCODER.encode(charter) != raw:
        raise MalformedError("not the canonical spelling of a charter")
    return check(charter)


def _speaker(node: Node) -> Speaker:
    hosted = node.holdings.hosted()
    if not hosted:
        raise SettingsError("this node hosts no member: --member ID --name … --country CC")
    return Speaker(ADMIN, "Local administrator", hosted[0], frozenset(PERSONAL_ROLES))


def _class(charter: Charter, wanted: str | None) -> str:
    """The class asked for, or the first that votes."""
    if wanted is None:
        return next((kind.id for kind in charter.classes if kind.votes), charter.classes[0].id)
    if charter.class_of(wanted) is None:
        raise SettingsError(f"the charter has no class {wanted!r}; it has {', '.join(kind.id for kind in charter.classes)}")
    return wanted
