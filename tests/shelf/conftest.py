import pytest
from meeting import KE, TN

from concord.node import Node
from concord.shelf import Shelf
from concord.testing import make_organisation


@pytest.fixture
def nodes() -> list[Node]:
    return make_organisation([[KE], [TN]])


@pytest.fixture
def shelf(nodes: list[Node]) -> Shelf:
    return Shelf(nodes[0])
