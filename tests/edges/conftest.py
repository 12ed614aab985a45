"""What the tests of the doors share: nodes in several states, clients for them, and a real server."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from granian.server.embed import Server
from starlette.testclient import TestClient

from concord.node import Node
from concord.private import secrets
from concord.server import build
from concord.testing import Clock, states

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="session")
def node_in() -> Callable[[str], Node]:
    """A node in one of the states of `concord.testing.states`, the same for the whole run: to read from only."""
    made: dict[str, Node] = {}

    def node(state: str) -> Node:
        if state not in made:
            made[state] = getattr(states, state)()
        return made[state]

    return node


@pytest.fixture(scope="session")
def client_of(node_in: Callable[[str], Node]) -> Callable[[str], TestClient]:
    """A client of such a node."""
    return cache(lambda state: TestClient(build(node_in(state))))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node(clock: Clock) -> Node:
    """A young organisation of one's own, to change."""
    return states.young(clock)


@pytest.fixture
def client(node: Node) -> TestClient:
    """A browser, as far as headers go, that follows no redirect by itself."""
    return TestClient(build(node), headers=SAME_SITE, follow_redirects=False)


@pytest.fixture
def sign_in() -> Callable[[TestClient, Node, str], str]:
    """Signs a person in by a link, and tells the word that the forms of the session carry."""

    def sign_in(client: TestClient, node: Node, person: str) -> str:
        with node.private_writing() as db:
            link = secrets.make_link(db, person, node.clock(), 30)
        assert client.post(f"/sign-in/{link}").status_code == 303
        return secrets.csrf(client.cookies["concord_session"])

    return sign_in


@pytest.fixture(scope="session")
def served() -> Callable[[Node], "contextmanager[str]"]:
    """Serves a node by the real server, on a port of loopback that is free; gives the address."""

    @contextmanager
    def served(node: Node) -> Iterator[str]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        port = _free_port()
        server = Server(build(node), "127.0.0.1", port, interface="asginl", log_enabled=False, websockets=False)
        serving = asyncio.run_coroutine_threadsafe(server.serve(), loop)
        asyncio.run_coroutine_threadsafe(_answers(port), loop).result(20)
        try:
            yield f"http://localhost:{port}"
        finally:
            loop.call_soon_threadsafe(server.stop)
            serving.result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(20)
            loop.close()

    return served


async def _answers(port: int) -> None:
    """Return once the server takes connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
