"""Nodes in the states that doors must cope with: empty, young, lively, sharing and large. Each lives in a folder of its own.

`lively` has a bit of everything that is rare: names that attack the page they stand on, a name of 300 characters, an applicant, a
founder that never came, records that are unreadable, waiting or another organisation's, a disputed log, a paused one, blobs that
were erased or are held, a record too long for a page, peers that fail, and a disk that does.

`sharing` has repos: a model with all that a card, a passport and a history can show, a dataset of many files, one that attacks
the pages it stands on, one that is private, one without a commit, one whose files are gated, one whose files are not here.
"""

from pathlib import Path
from tempfile import mkdtemp

from msgspec import to_builtins

from concord.config import Settings
from concord.edges.peer.pull import pull
from concord.ledger import evidence, witness
from concord.ledger.blobs import Blobs, Hold, Tombstone
from concord.ledger.holdings import Holdings
from concord.ledger.keyring import Keyring, NewMember
from concord.ledger.pillar import PERSONAL_ROLES, Role
from concord.ledger.record import ENCODER, seal
from concord.ledger.statements import Deposit, Erase
from concord.ledger.storage.database import open_database
from concord.node import Node
from concord.pillars.members import Accede, Accredit, Apply, Charter, Found, Founder, Profile, Sponsor
from concord.pillars.members.charter import load, presets, with_founders
from concord.pillars.members.countries import countries
from concord.private import damages, peers, people
from concord.private.damages import Round
from concord.testing import repos
from concord.testing.members import NOW, bytes_from, make_member
from concord.testing.nodes import Clock, NodeSource, everything, make_node
from concord.testing.storage import MemoryStorage
from concord.tlog.tile import nodes_from

PASSWORD = "correct horse battery"  # noqa: S105  of a person in tests
SCRIPT = "<script>document.title='hacked'</script>"
HOSTILE = f"\u202e{SCRIPT}\"'><img src=x onerror=document.title='hacked'>{{{{7*7}}}}%(x)s{{0}}Z" + "\u0317" * 40
LONG = "The Joint Standing Institute for the Coordination of Very Long Names of Institutions " * 3 + "and their Abbreviations"
ARABIC = "المعهد النموذجي للتعاون"
DAILY = ("log", "witness", "organ-office")  # the keys that a node needs from day to day
LATER = 2**53 - 1  # POSIX seconds: the last that a record can say, beyond all calendars


def empty(clock: Clock | None = None) -> Node:
    """A node without organisation, as it is after the first command."""
    return _node([make_member("ke")], clock)


def young(clock: Clock | None = None) -> Node:
    """An organisation on its first day: one founder of three acceded, and nothing is cosigned yet."""
    members = [make_member(name) for name in ("ke", "br", "id")]
    node = _node(members, clock)
    charter = _charter(
        _founders(members, ["KE", "BR", "ID"], [f"Example Institute {name}" for name in ("Kenya", "Brazil", "Indonesia")])
    )
    node.adopt(charter)
    node.say(everything(members[0].origin), Found, {"charter": to_builtins(charter)})
    node.say(everything(members[0].origin), Accede, {"charter": charter.digest()})
    _add_people(node, members[0].origin)
    return node


def lively(clock: Clock | None = None) -> Node:
    """A bit of everything; the module docstring says what."""
    members = [make_member(name) for name in ("ke", "br", "id", "kz", "pe")]
    ke, br, id_, kz, pe = members
    absent = make_member("tn")
    node = _node(members, clock)
    names = ["Example Institute Kenya", HOSTILE, LONG, ARABIC, "Example Institute Tunisia"]
    charter = _charter(_founders([ke, br, id_, kz, absent], ["KE", "BR", "ID", "KZ", "TN"], names))
    node.adopt(charter)
    node.say(everything(ke.origin), Found, {"charter": to_builtins(charter)})
    for member, name, country in zip((ke, br, id_, kz), names, ("KE", "BR", "ID", "KZ"), strict=False):
        node.say(everything(member.origin), Accede, {"charter": charter.digest()})
        node.say(everything(member.origin), Profile, {"name": name, "country": country, "about": f"{name}\n\n{name}"})
    _apply(node, pe, ke, charter)
    _accredit(node, ke.origin)
    _deposit(node, ke.origin)
    node.cosign()
    _say_what_is_odd(node, br.origin)
    _fork(node, kz)
    node.holdings.log(id_.origin).pause("this home was moved or restored from a backup")
    _add_people(node, ke.origin)
    _add_peers(node)
    _add_damages(node)
    return node


def large(clock: Clock | None = None) -> Node:
    """Two hundred members, one from every state and a few more, with names of some length; the first log is cosigned by all."""
    codes = [code for code, place in countries().items() if place.tile]
    codes += [code for code in countries() if code not in codes][: 200 - len(codes)]
    members = [make_member(f"institute-{code.lower()}") for code in codes]
    node = _node(members, clock, begin=False)
    names = [f"National Institute for Artificial Intelligence of {countries()[code].names['en'][:40]}" for code in codes]
    charter = _charter(_founders(members, codes, names))
    for member in members:
        entry = ENCODER.encode(member.identity)
        node.holdings.tree(member.origin).stage_identities([entry], 0)
        node.holdings.add(member.origin)
        node.holdings.log(member.origin).append([entry])
    node.adopt(charter)
    node.say(everything(members[0].origin), Found, {"charter": to_builtins(charter)})
    for member in members:
        said = Accede(by=member.origin, org=charter.digest(), at=NOW, charter=charter.digest())
        node.holdings.log(member.origin).append([ENCODER.encode(seal(said, [member.keys["organ-office"].seed]))])
    node.catch_up()
    node.cosign_for(witness.request_for(node.holdings.tree(members[0].origin), 0))
    _add_people(node, members[0].origin)
    return node


def sharing(clock: Clock | None = None) -> Node:
    """Three members with repos, discussions and pull requests; the module docstring says which."""
    members = [make_member(name) for name in ("ke", "br", "id")]
    ke, br, id_ = (member.origin for member in members)
    clock = clock or Clock()
    node = _node(members, clock)
    charter = _charter(_founders(members, ["KE", "BR", "ID"], ["Example Institute Kenya", HOSTILE, "Example Institute Indonesia"]))
    node.adopt(charter)
    for origin in (ke, br, id_):
        if origin == ke:
            node.say(everything(origin), Found, {"charter": to_builtins(charter)})
        node.say(everything(origin), Accede, {"charter": charter.digest()})
    repos.share(node, ke, br, id_)
    _add_people(node, ke)
    with node.private_writing() as db:
        people.add(db, "wanjiru", "Wanjiru", ke, [Role.PUBLISHER], node.clock())
        people.add(db, "bruna", "Bruna", br, [Role.PUBLISHER], node.clock())
    return node


def watching(other: Node, clock: Clock | None = None) -> Node:
    """A node without members of its own that has the logs of `other`, and none of its files."""
    node = _node([], clock)
    assert other.charter is not None
    node.adopt(other.charter)
    pull(node, NodeSource(other))
    return node


def _node(members: list[NewMember], clock: Clock | None, *, begin: bool = True) -> Node:
    """A node whose databases are files, so that several threads may use it, as a server does."""
    home = Path(mkdtemp(prefix="concord-test-"))
    holdings = Holdings(MemoryStorage(), Keyring(member.keys[name] for member in members for name in DAILY))
    private, view = open_database(home / "node.db", durable=False), open_database(home / "view.db", durable=False)
    node = Node(Settings(), holdings, Blobs(home / "blobs"), private, view, clock or Clock())
    for member in members if begin else ():
        node.found(member)
    return node


def _founders(members: list[NewMember], codes: list[str], names: list[str]) -> list[Founder]:
    return [
        Founder(id=member.origin.partition(".")[0], name=name, country=code, class_="institute", origin=member.origin)
        for member, code, name in zip(members, codes, names, strict=True)
    ]


def _charter(founders: list[Founder]) -> Charter:
    return with_founders(load(presets()["demonstration"]), founders)


def _apply(node: Node, applicant: NewMember, sponsor: NewMember, charter: Charter) -> None:
    asked = {"charter": charter.digest(), "id": "pe", "name": "Example Institute Peru", "country": "PE", "class": "institute"}
    said = node.say(everything(applicant.origin), Apply, asked)
    node.say(everything(sponsor.origin), Sponsor, {"application": said.leaf, "applicant": applicant.origin})


def _accredit(node: Node, origin: str) -> None:
    random = bytes_from("salts")
    for person, until in (("amina", None), ("otieno", LATER)):
        named = node.blobs.detach(b'{"name":"Amina <b>of</b> Nairobi"}', "application/json", random(32))
        said = {"person": person, "roles": ["delegate", "elder"], "particulars": to_builtins(named), "until": until}
        node.say(everything(origin), Accredit, said)


def _deposit(node: Node, origin: str) -> None:
    """Blobs that are here, held, erased; and one whose description is too long for a page."""
    for name, about in (("here.txt", "A blob."), ("held.txt", ""), ("erased.txt", ""), ("long.txt", "<&\"'" * 5000)):
        blob = node.blobs.detach(name.encode(), "text/plain")
        node.say(everything(origin), Deposit, {"name": name, "blob": to_builtins(blob), "about": about})
    by_name = {name: node.blobs.detach(name.encode(), "text/plain").digest for name in ("held.txt", "erased.txt")}
    node.blobs.hold(by_name["held.txt"], Hold(by="quarantine", reason="under review", at=NOW))
    node.say(everything(origin), Erase, {"blob": by_name["erased.txt"], "reason": "asked for"})
    node.blobs.erase(by_name["erased.txt"], Tombstone(by=origin, reason="asked for", at=NOW, size=10))


def _say_what_is_odd(node: Node, origin: str) -> None:
    """Records that wait, that are another organisation's, and that nobody can read."""
    speaker = everything(origin)
    node.say(speaker, Profile, {"name": HOSTILE, "country": "BR", "seen": ["ab" * 32]})
    node.say(speaker, Profile, {"name": "Of another organisation", "country": "BR", "org": "cd" * 32})
    odd = [b'{"type":"future.thing","by":"' + origin.encode() + b'","at":1790000000}', SCRIPT.encode(), b"\xff\x00", b"[" * 2000]
    node.holdings.log(origin).append(odd)
    node.catch_up()


def _fork(node: Node, member: NewMember) -> None:
    """Let `member` have signed two histories, and the node know it."""
    other = make_node([member])
    other.say(everything(member.origin), Profile, {"name": "Another history", "country": "KZ"})
    trees = sorted((node.holdings.tree(member.origin), other.holdings.tree(member.origin)), key=lambda tree: tree.size)
    smaller, larger = trees
    assert smaller.head and larger.head
    read = nodes_from(larger.size, larger.read)
    found = evidence.find(
        member.origin, node.organisation, NOW, smaller.head, larger.head, read, node.holdings.tree(member.origin).identities()
    )
    assert found
    node.dispute(found)
    node.tell()


def _add_people(node: Node, origin: str) -> None:
    """admin with every role, amina with a password and two roles, guest with none."""
    with node.private_writing() as db:
        people.add(db, "admin", "Local administrator", origin, PERSONAL_ROLES, node.clock())
        people.add(db, "amina", f"Amina {SCRIPT}", origin, [Role.DELEGATE, Role.CLERK], node.clock())
        people.add(db, "guest", "Guest", origin, [], node.clock())
        people.set_password(db, "amina", PASSWORD)


def _add_damages(node: Node) -> None:
    with node.private_writing() as db:
        damages.put_round(db, Round(node.clock() - 86_400, "3f/1/x", 12_345_678_901, node.clock() - 86_400))
        for name, reason in (("3a" * 32, "chunk 7 is not what was written"), ("9f" * 32, SCRIPT)):
            damages.note(db, "xorb", name, reason, node.clock() - 3600)
        damages.mended(db, "xorb", "3a" * 32, "w.bin of ke/words came again", node.clock())
        damages.tried(db, "xorb", "9f" * 32, f"{HOSTILE}: nobody who was asked has it", node.clock())


def _add_peers(node: Node) -> None:
    with node.private_writing() as db:
        for url in ("https://fine.example", "https://broken.example", "https://fast.example", "https://new.example"):
            peers.add(db, url, node.clock())
        peers.answered(db, "https://fine.example", node.clock(), 0)
        peers.answered(db, "https://fast.example", node.clock(), 7200)
        peers.failed(db, "https://broken.example", node.clock(), f"no answer {SCRIPT}")
