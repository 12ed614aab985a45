"""What the tests of the Hub door share: a node with people of two members."""

from collections.abc import Callable

import pytest
from asking import Person
from starlette.testclient import TestClient

from concord.ledger.identity import label
from concord.ledger.pillar import PERSONAL_ROLES
from concord.node import Node
from concord.private import people, secrets

collect_ignore = ["every_method.py", "journeys.py", "library_journeys.py"]  # the clients run it, each with its own Python


@pytest.fixture
def person(node: Node, client: TestClient) -> Callable[..., Person]:
    """Makes somebody of a member, with a token of some scopes (all that there are, unless said otherwise)."""

    def person(name: str, member: str = "ke", scopes: tuple[str, ...] | None = None, days: int = 30) -> Person:
        origin = next(each for each in node.holdings.hosted() if label(each) == member)
        with node.private_writing() as db:
            if name not in [each.id for each in people.everybody(db)]:
                people.add(db, name, name.capitalize(), origin, PERSONAL_ROLES, node.clock())
            wanted = ("read", *PERSONAL_ROLES) if scopes is None else scopes
            secret = secrets.make_token(db, name, "a program", wanted, node.clock(), days)
        return Person(client, member, {"Authorization": f"Bearer {secret}"})

    return person


@pytest.fixture
def owner(person: Callable[..., Person]) -> Person:
    """A publisher of ke."""
    return person("wanjiru")


@pytest.fixture
def other(person: Callable[..., Person]) -> Person:
    """A publisher of br, on the same node."""
    return person("joana", "br")


@pytest.fixture
def nobody(client: TestClient) -> Person:
    """Whoever asks without a token."""
    return Person(client)
