"""Who asks, and what members and their people are told to be."""

from starlette.responses import Response

from concord.edges import access
from concord.edges.hub.asking import Ask, answer
from concord.edges.hub.shapes import when
from concord.errors import MissingError
from concord.ledger.pillar import Role
from concord.pillars.commons import Repo
from concord.private.people import Speaker
from concord.reading import resolve


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


def _seen(ask: Ask, asker: Speaker | None) -> list[Repo]:
    found = []
    for repo in ask.hub.shelf.listed(asker):
        try:
            found.append(ask.hub.shelf.find(repo, asker))
        except MissingError:
            continue  # closed, or published under another name, since it was listed
    return found
