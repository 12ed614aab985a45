"""Who asks, and what members and their people are told to be."""

from typing import Any

from starlette.responses import Response

from concord.edges import access
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.paging import page
from concord.edges.hub.shapes import when
from concord.errors import MissingError, RefusedError
from concord.ledger.pillar import Role
from concord.pillars.commons import Repo
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.search import Line
from concord.private.people import Speaker
from concord.reading import resolve

PAGE = 1000


def whoami(ask: Ask) -> Response:
    """For whom the token speaks. Its `name` is what the ids of the member's repos begin with, because clients use it so.

    The token's label goes along: `hf auth login` keeps tokens under it, so that another one does not take the place of the first.
    """
    speaker, held = ask.speaker(), access.token(ask.hub.node, ask.request)
    namespace = ask.hub.namespace(speaker.origin)
    role = "write" if speaker.may(Role.PUBLISHER) else "read"
    token = {"displayName": held.label if held else "token", "role": role, "createdAt": when(held.created if held else 0)}
    told = {
        "type": "user",
        "id": f"{speaker.person}@{speaker.origin}",
        "name": namespace,
        "fullname": speaker.name,
        "user": ask.hub.person(speaker.origin, speaker.person),
        "email": None,
        "emailVerified": False,
        "canPay": False,
        "isPro": False,
        "periodEnd": None,
        "avatarUrl": "",
        "orgs": [{"type": "org", "id": speaker.origin, "name": namespace, "fullname": namespace, "roleInOrg": role}],
        "auth": {"type": "access_token", "accessToken": token},
    }
    return answer(told)


def likes(ask: Ask) -> Response:
    """What somebody likes: a person (`amina@ke`), or anybody of a member (`ke`)."""
    asker = ask.asker()
    person, _, namespace = ask.words["user"].rpartition("@")
    origin = resolve(ask.hub.node, namespace)
    liked = [repo for repo in _seen(ask, asker) if any(by == origin and person in ("", who) for by, who in repo.likes)]
    named = [{"name": ask.hub.name(repo.id), "type": repo.id.kind} for repo in liked]
    return answer([{"createdAt": when(repo.changed), "repo": each} for repo, each in zip(liked, named, strict=True)])


def overview(ask: Ask) -> Response:
    """A namespace, as that of somebody."""
    origin = resolve(ask.hub.node, ask.words["user"].rpartition("@")[2])
    asker = ask.asker()
    mine = ask.hub.shelf.listed(asker, origin)
    counts = {f"num{kind.capitalize()}s": sum(repo.kind == kind for repo in mine) for kind in ("model", "dataset", "space")}
    seat = ask.hub.node.roster().seats.get(origin)
    name = ask.hub.namespace(origin)
    return answer({"user": name, "name": name, "fullname": seat.name if seat else name, "type": "user", "avatarUrl": "", **counts})


def organization(ask: Ask) -> Response:
    """The same."""
    return overview(ask)


def members(ask: Ask) -> Response:
    """The people of a member who took part in public. Who else there is, is told to nobody."""
    origin = resolve(ask.hub.node, ask.words["user"])
    with ask.hub.node.reading() as db:
        names = commons_view.people(db, origin)
    part, headers = page(ask, names, PAGE, lambda name: (name,))
    return answer([_person(ask.hub.person(origin, name)) for name in part], headers=headers)


def storage(ask: Ask) -> Response:
    """The repos of the asker's member, and how many bytes each has at its head."""
    speaker = ask.speaker()
    if "user" in ask.words and resolve(ask.hub.node, ask.words["user"]) != speaker.origin:
        raise RefusedError(f"what repos take up is told to their own member, and you are of {ask.hub.namespace(speaker.origin)}")
    catalogue, _ = ask.hub.measures.catalogue(speaker)
    mine = sorted(catalogue.lines(catalogue.having("member", speaker.origin)), key=_place)
    total = sum(_size(line) for line in mine) or 1
    part, headers = page(ask, mine, PAGE, _place)
    return answer([_stored(ask, line, total) for line in part], headers=headers)


def _stored(ask: Ask, line: Line, total: int) -> dict[str, Any]:
    told = {"id": ask.hub.name(line.entry.id), "type": line.entry.id.kind, "updatedAt": when(line.entry.changed)}
    visible = "private" if line.entry.private else "public"
    return told | {"visibility": visible, "storage": _size(line), "storagePercent": round(_size(line) / total, 4)}


def _place(line: Line) -> tuple[str, str]:
    return line.entry.id.kind, line.entry.id.name


def _size(line: Line) -> int:
    return line.measure.size if line.measure else 0


def _person(name: str) -> dict[str, Any]:
    return {"user": name, "fullname": name, "type": "user", "avatarUrl": "", "isPro": False}


def _seen(ask: Ask, asker: Speaker | None) -> list[Repo]:
    found = []
    for repo in ask.hub.shelf.listed(asker):
        try:
            found.append(ask.hub.shelf.find(repo, asker))
        except MissingError:
            continue  # closed, or published under another name, since it was listed
    return found
