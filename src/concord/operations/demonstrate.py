"""The demonstration: six example institutes in six countries of four regions, on one node.

Everything in it is real but its members: each has its own keys and log, the logs are cosigned by the others, the charter is
one of the presets, the blob is this software's source. The institutes are plainly examples, and nothing here is the act of a
state or a person; the charter says so, and every page does.
"""

import json
from pathlib import Path
from secrets import token_bytes
from time import time

from msgspec import to_builtins

from concord import home as homes
from concord.ledger.identity import DOMAIN, label
from concord.ledger.keyring import NewMember, new_member
from concord.ledger.pillar import PERSONAL_ROLES, Role
from concord.ledger.statements import Deposit
from concord.node import Node
from concord.operations import source
from concord.pillars.members import Accede, Accredit, Charter, Found, Founder, Profile
from concord.pillars.members.charter import check, load, presets, with_founders
from concord.private import people
from concord.private.people import Speaker

ADMIN = "admin"
CLASS = "institute"

# Country (ISO 3166-1), its name, and what the example institute works on.
INSTITUTES = (
    ("KE", "Kenya", "Speech for languages of East Africa, on machines that people have."),
    ("BR", "Brazil", "Open language models in Portuguese, and what it costs to train them."),
    ("ID", "Indonesia", "Datasets for hundreds of languages, collected with those who speak them."),
    ("KZ", "Kazakhstan", "Models that run where links are poor and far between."),
    ("CH", "Switzerland", "Measuring what models can do, in the open."),
    ("CN", "China", "Open weights, and tools to adapt them to small hardware."),
)


def found(home: Path) -> Node:
    """The demonstration in an empty `home`. SettingsError if it is not empty."""
    node = homes.create(home)
    founded = [_member(country) for country, _, _ in INSTITUTES]
    for member in founded:
        homes.add_member(node, home, member)
    charter = check(with_founders(load(presets()["demonstration"]), map(_founder, founded, INSTITUTES)))
    node.adopt(charter)
    for number, (member, institute) in enumerate(zip(founded, INSTITUTES, strict=True)):
        _speak(node, member, institute, charter if number == 0 else None)
    archive = node.blobs.detach(source.archive(), "application/gzip")
    _publish(node, founded[0].origin, archive)
    with node.private_writing() as db:
        people.add(db, ADMIN, "Local administrator", founded[0].origin, PERSONAL_ROLES, node.clock())
    node.cosign()
    return node


def _member(country: str) -> NewMember:
    return new_member(f"example-{country.lower()}", DOMAIN, int(time()), token_bytes)


def _founder(member: NewMember, institute: tuple[str, str, str]) -> Founder:
    country, name, _ = institute
    return Founder(id=label(member.origin), name=f"Example Institute {name}", country=country, class_=CLASS, origin=member.origin)


def _speak(node: Node, member: NewMember, institute: tuple[str, str, str], charter: Charter | None) -> None:
    """What each institute says on the first day: the charter (the first only), its accession, itself, and who acts for it."""
    country, name, about = institute
    speaker = Speaker("demonstration", "Demonstration", member.origin, frozenset(PERSONAL_ROLES))
    if charter is not None:
        node.say(speaker, Found, {"charter": to_builtins(charter)})
    node.say(speaker, Accede, {"charter": node.organisation})
    profile = {"name": f"Example Institute {name}", "country": country, "about": f"A demonstration, not a real institute. {about}"}
    node.say(speaker, Profile, profile)
    for person, roles in (("delegate", (Role.DELEGATE,)), ("publisher", (Role.PUBLISHER, Role.SAFETY))):
        named = {"name": f"Demonstration {person} of Example Institute {name}"}
        particulars = node.blobs.detach(json.dumps(named).encode(), "application/json", token_bytes(32))
        said = {"person": person, "roles": [str(role) for role in roles], "particulars": to_builtins(particulars)}
        node.say(speaker, Accredit, said)


def _publish(node: Node, origin: str, archive: object) -> None:
    speaker = Speaker("demonstration", "Demonstration", origin, frozenset(PERSONAL_ROLES))
    about = "The source of the software that this node runs. Pull it, and compare its digest with the record."
    node.say(speaker, Deposit, {"name": f"{source.name()}.tar.gz", "blob": to_builtins(archive), "about": about})
