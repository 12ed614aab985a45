"""What the tests of the pages share: a node with repos of one's own, a browser at it, and looking at a page of what all share."""

from collections.abc import Callable

import pytest
from markup import Element, parse
from starlette.testclient import TestClient

from concord.node import Node
from concord.server import build
from concord.testing import states


@pytest.fixture
def sharing() -> Node:
    """A node with repos of one's own, to change."""
    return states.sharing()


@pytest.fixture
def browser(sharing: Node) -> TestClient:
    return TestClient(build(sharing), headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)


@pytest.fixture
def look(client_of: Callable[[str], TestClient]) -> Callable[..., Element]:
    def look(path: str, **headers: str) -> Element:
        answer = client_of("sharing").get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return parse(answer.text)

    return look
