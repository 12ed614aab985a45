"""The demonstration: six example institutes in six countries of four regions, on one node.

Everything in it is real but its members: each has its own keys and log, the logs are cosigned by the others, the charter is
one of the presets, the blob is this software's source, the dataset is true, and the model learned from it. The institutes are
plainly examples, and nothing here is the act of a state or a person; the charter says so, and every page does.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
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
from concord.operations import demonstration, source
from concord.pillars.commons import Community, File, Repo, attributes
from concord.pillars.commons.card import card
from concord.pillars.commons.records import Kind
from concord.pillars.commons.repo import MAIN
from concord.pillars.commons.tree import git_blob
from concord.pillars.members import Accede, Accredit, Charter, Found, Founder, Profile
from concord.pillars.members.charter import check, load, presets, with_founders
from concord.private import people
from concord.private.people import Speaker
from concord.shelf import Draft, Shelf

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
ASKED = """This discussion belongs to the demonstration: it is here so that there is one to look at, and to answer.

The card says how many names of the held-out countries the model tells rightly, and that naive Bayes tells more. `evaluate.py`
gives both numbers again, from the weights and the dataset that lie here. Whoever does that can say in this place what came out.
"""


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
    _share(node, {member.id: member.origin for member in map(_founder, founded, INSTITUTES)})
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


def _share(node: Node, origins: Mapping[str, str]) -> None:
    """The commons of the first day: a dataset, a model of another institute that learned from it, and a third that takes part."""
    shelf = Shelf(node)
    dataset = _put(shelf, _publisher(origins["example-id"]), "dataset", demonstration.DATASET, demonstration.dataset())
    model = _put(shelf, _publisher(origins["example-kz"]), "model", demonstration.MODEL, demonstration.model())
    measuring = _publisher(origins["example-ch"])
    shelf.discuss(measuring, model, "Do the numbers on the card come out again?", ASKED, pull=False)
    gathered = {
        "name": "names",
        "title": "Names in many languages",
        "about": "A demonstration: the dataset of one institute, and the model that another made of it.",
        "repos": to_builtins([dataset.id, model.id]),
        "person": measuring.person,
    }
    node.say(measuring, Community, gathered)


def _publisher(origin: str) -> Speaker:
    return Speaker("publisher", "Demonstration publisher", origin, frozenset(PERSONAL_ROLES))


def _put(shelf: Shelf, speaker: Speaker, kind: Kind, name: str, contents: Mapping[str, bytes]) -> Repo:
    """A repo with these files, as one commit."""
    repo = shelf.open(speaker, kind, name, private=False)
    put = [_kept(shelf, path, content) for path, content in contents.items()]
    shelf.content.give(repo, [file.sha256 for file in put])
    shelf.commit(speaker, repo, Draft(MAIN, "The first version", put=put, card=card(contents["README.md"])))
    return shelf.find(repo.id, speaker)


def _kept(shelf: Shelf, path: str, content: bytes) -> File:
    """A file as it would be kept had a client sent it: text in one piece, weights chunk by chunk."""
    if attributes.is_large(path, len(content), content, attributes.large_patterns(attributes.ATTRIBUTES)):
        digest, size = shelf.content.take([content], sha256(content).hexdigest(), len(content))
        return File(path=path, size=size, sha256=digest, xet=shelf.content.xet(digest))
    return File(path=path, size=len(content), sha256=shelf.content.keep(content), oid=git_blob(content))
