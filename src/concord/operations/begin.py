"""Beginning: a node, a member, an organisation; or applying to one that exists."""

import json
from pathlib import Path
from secrets import token_bytes

import msgspec
from msgspec import to_builtins
from sqlalchemy import Connection

from concord import home as homes
from concord.edges.peer import bundle, heads, wants
from concord.edges.peer.pull import pull
from concord.edges.peer.source import HttpSource
from concord.errors import ForgedError, MalformedError, RefusedError, SettingsError
from concord.ledger.identity import label
from concord.ledger.keyring import new_member
from concord.ledger.pillar import PERSONAL_ROLES
from concord.ledger.record import ENCODER, Name
from concord.node import Node
from concord.pillars.members import Accede, Apply, Charter, Found, Founder, Profile
from concord.pillars.members.charter import check, load, presets, with_founders
from concord.pillars.members.countries import country as find_country
from concord.private import peers, people
from concord.private.people import Speaker

ADMIN = "admin"
CHARTER_SIZE_MAX = 1 << 20  # bytes

__all__ = ["add_member", "found", "introduce", "join", "local_admin", "node_at", "presets"]


def node_at(home: Path) -> Node:
    """The node in `home`, made now if there is none."""
    return homes.create(home) if homes.is_empty(home) else homes.open_home(home)


def add_member(node: Node, home: Path, name: str, domain: str) -> str:
    """A new member on this node, with its keys and log; its origin. RefusedError if the name is no name or is taken here."""
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError as e:
        raise RefusedError(f"{name!r} is no name of a member: a-z, 0-9 and inner hyphens, at most 32") from e
    if name in map(label, node.holdings.hosted()):
        raise RefusedError(f"this node hosts a member {name!r} already")
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


def found(node: Node, raw: bytes, name: str | None, country: str | None, class_: str | None) -> Charter:
    """Found an organisation with the charter in `raw` (TOML): our members say so, and accede.

    If the charter names no founders, our first member is the one. RefusedError if it names founders and none is ours.
    """
    charter = load(raw)
    speaker = _speaker(node)
    if not charter.founders:
        if not (name and country):
            raise SettingsError("a founder has a name and a country: --name … --country CC")
        founder = Founder(
            id=label(speaker.origin), name=name, country=_country(country), class_=_class(charter, class_), origin=speaker.origin
        )
        charter = with_founders(charter, [founder])
    charter = check(charter)
    ours = [founder for founder in charter.founders if founder.origin in node.holdings.hosted()]
    if not ours:
        raise RefusedError("the charter names founders, and none of them has its log on this node")
    node.adopt(charter)
    for founder in ours:
        own = Speaker(speaker.person, speaker.name, founder.origin, speaker.roles)
        node.say(own, Found, {"charter": to_builtins(charter)})
        node.say(own, Accede, {"charter": charter.digest()})
        node.say(own, Profile, {"name": founder.name, "country": founder.country})
    node.cosign()
    return charter


def introduce(node: Node, name: str | None, country: str | None) -> None:
    """Let our first member say who it is, before it belongs anywhere."""
    if name and country:
        node.say(_speaker(node), Profile, {"name": name, "country": _country(country)})


def join(node: Node, url: str, organisation: str | None, name: str | None, country: str | None, class_: str | None) -> Charter:
    """Take over the organisation that the node at `url` serves, and apply to it if we have a member that is not in it.

    The charter is verified against the organisation's digest: the one given, or the one that the node claims. ForgedError if
    they do not agree.
    """
    source = HttpSource(url, node.settings)
    claimed = organisation or heads.read(source.get("peer/heads", heads.HEADS_SIZE_MAX)).organisation
    charter = _charter(source.get("peer/charter", CHARTER_SIZE_MAX))
    if charter.digest() != claimed:
        raise ForgedError(f"{url} serves the organisation {charter.digest()}, and not {claimed}")
    node.adopt(charter)
    with node.private_writing() as db:
        peers.add(db, url, node.clock())
    pull(node, source)
    if node.holdings.hosted():
        _apply(node, charter, name, country, class_)
        push(node, source)
    return charter


def push(node: Node, source: HttpSource) -> None:
    """Send a peer what we have and it lacks, without blobs. RefusedError says why it does not take it."""
    wanted = wants.read_want(source.get("peer/want", wants.WANT_SIZE_MAX))
    status, answer = bundle.push(node, source, wanted)
    if status != 200:
        raise RefusedError(f"{source.name} does not take our log ({status}): {answer.decode(errors='replace')[:300].strip()}")
    wrong = json.loads(answer).get("wrong") or {}
    for origin in node.holdings.hosted():
        if origin in wrong:
            raise RefusedError(f"{source.name} does not take our log: {wrong[origin]}")


def _apply(node: Node, charter: Charter, name: str | None, country: str | None, class_: str | None) -> None:
    speaker = _speaker(node)
    if any(founder.origin == speaker.origin for founder in charter.founders):
        node.say(speaker, Accede, {"charter": charter.digest()})
        return
    if not (name and country):
        raise SettingsError("an applicant has a name and a country: --name … --country CC")
    fields = {
        "charter": charter.digest(),
        "id": label(speaker.origin),
        "name": name,
        "country": _country(country),
        "class": _class(charter, class_),
    }
    node.say(speaker, Apply, fields | ({"node": node.settings.url} if node.settings.url else {}))
    node.say(speaker, Profile, {"name": name, "country": _country(country)})


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


def _country(code: str) -> str:
    return find_country(code).alpha2


def _class(charter: Charter, wanted: str | None) -> str:
    """The class asked for, or the first that votes."""
    if wanted is None:
        return next((kind.id for kind in charter.classes if kind.votes), charter.classes[0].id)
    if charter.class_of(wanted) is None:
        raise SettingsError(f"the charter has no class {wanted!r}; it has {', '.join(kind.id for kind in charter.classes)}")
    return wanted
