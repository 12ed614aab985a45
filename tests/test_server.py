"""The server of a node as a process: what it tells, whom it bounds, and where it cannot serve."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from concord import errors
from concord.errors import ConcordError
from concord.server import status_of
from concord.testing.processes import PATIENCE, Serving, concord, copy_home, free_port, serve, until
from concord.testing.terminal import run

DOORS = ["/peer/bundle", "/peer/witness/add-checkpoint", "/api/v1/records", "/sign-in"]
WEIGHTS = "/example-kz/name-language/resolve/main/model.safetensors"
TRICKLE = 0.2  # seconds between the bytes of a client that never stops


@pytest.fixture(scope="module")
def home(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_home(founded, tmp_path_factory.mktemp("server") / "home")


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[Serving]:
    """A node that waits for nobody longer than it must, and believes whoever stands before it of whom it asks."""
    with serve(home, pull_every=0, pull_timeout=1, pull_rate=1000, proxies=1) as serving:
        yield serving


@pytest.fixture(scope="module")
def token(home: Path) -> str:
    return run("token", "create", home=home).out.strip()


def head(path: str, token: str = "", length: int = 1000, kind: str = "application/x-www-form-urlencoded") -> bytes:
    """The head of a request that promises `length` bytes, from an address of its own."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        "Origin: http://x",
        f"Content-Length: {length}",
        f"Content-Type: {kind}",
        f"X-Forwarded-For: {path}",
    ]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*lines, "", ""]).encode()


def line_to(node: Serving) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", node.port), timeout=PATIENCE))


def answer(line: socket.socket) -> bytes:
    """All that comes until the other side ends the line."""
    pieces = []
    while piece := line.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


# Whom it bounds


@pytest.mark.parametrize("path", DOORS)
def test_a_client_that_stops_in_the_middle_is_given_up(path: str, node: Serving, token: str) -> None:
    with line_to(node) as line:
        line.sendall(head(path, token if "/api/" in path else "") + b"x")
        said = answer(line)
    assert said.startswith(b"HTTP/1.1 408 "), said[:200]
    assert b"too slowly" in said
    assert b"connection: close" in said.lower()


@pytest.mark.parametrize("path", DOORS)
def test_a_client_that_sends_a_byte_now_and_then_is_given_up(path: str, node: Serving, token: str) -> None:
    with line_to(node) as line:
        line.sendall(head(path, token if "/api/" in path else ""))
        line.settimeout(TRICKLE)
        said = until(lambda: trickle(line), "a node that has had enough")
    assert said.startswith(b"HTTP/1.1 408 "), said[:200]


def trickle(line: socket.socket) -> bytes:
    """Send one byte more; what comes back before it is time for the next."""
    line.sendall(b"x")
    try:
        return line.recv(1 << 16)
    except TimeoutError:
        return b""


def test_a_client_that_never_ends_its_head_is_given_up(node: Serving) -> None:
    with line_to(node) as line:
        line.sendall(b"GET /peer/heads HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert not answer(line).startswith(b"HTTP/1.1 200")


def test_slow_clients_stop_nobody(node: Serving) -> None:
    lines = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(60)]
    try:
        for number, line in enumerate(lines):
            line.sendall(head(DOORS[number % 4]) + b"x")
        assert [node.get("/peer/heads").status for _ in range(5)] == [200] * 5
    finally:
        for line in lines:
            line.close()


def test_a_client_that_goes_away_leaves_nothing_in_the_log(node: Serving) -> None:
    for path in DOORS:
        with line_to(node) as line:
            line.sendall(head(path) + b"x")
    assert node.get("/peer/heads").status == 200


def test_a_client_that_takes_its_time_between_two_requests_is_served_again(node: Serving) -> None:
    assert node.get("/peer/heads").status == 200
    assert node.request("POST", "/api/v1/records", b"{}").status == 401
    assert node.get("/").status == 200


@pytest.mark.parametrize("path", DOORS)
def test_what_is_too_large_is_cut_off(path: str, node: Serving, token: str) -> None:
    with line_to(node) as line:
        line.sendall(head(path, token if "/api/" in path else "", length=1 << 40))
        said = until(lambda: flood(line), "a node that has had enough")
    assert b" 413 " in said[:20] or b" 400 " in said[:20] or b" 403 " in said[:20] or said == b"closed"


def flood(line: socket.socket) -> bytes:
    """Send a megabyte more; what comes back, if anything does."""
    try:
        line.settimeout(PATIENCE)
        line.sendall(b"x" * (1 << 20))
        line.settimeout(0)
        return line.recv(1 << 16)
    except BlockingIOError:
        return b""
    except ConnectionError:
        return b"closed"


# What it tells


def kinds(root: type[ConcordError] = ConcordError) -> Iterator[type[ConcordError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_error_has_a_status_and_says_whose_fault_it_is() -> None:
    for kind in kinds():
        error = kind.__new__(kind)
        status = status_of(error)
        assert kind.fault
        assert (status >= 500) == (issubclass(kind, errors.HomeError) or status in (501, 502, 503))


def test_an_error_is_told_in_the_form_that_the_asker_reads(node: Serving) -> None:
    peer, program, person = (node.get(f"{door}/no/thing") for door in ("/peer", "/api/v1", ""))
    assert [answer.status for answer in (peer, program, person)] == [404] * 3
    assert peer.headers["content-type"].startswith("text/plain")
    assert set(program.json()) == {"error", "kind", "fault"}
    assert person.headers["content-type"].startswith("text/html")
    for told in (peer, program, person):
        assert told.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in told.headers["content-security-policy"]


def test_no_answer_tells_where_the_home_is(founded: Path, tmp_path: Path) -> None:
    home = copy_home(founded, tmp_path / "home")
    with serve(home, pull_every=0) as node:
        for path in (home / "blobs" / "chunks").glob("*.db*"):
            path.write_bytes(bytes(1 << 20))
        told = node.get(WEIGHTS).body
    assert b"the database is damaged" in told
    assert str(tmp_path).encode() not in told


# Where it cannot serve


def test_a_port_in_use_is_told_in_one_line(demo: Path, node: Serving) -> None:
    done = concord("serve", "--port", str(node.port), home=demo)
    assert (done.status, done.out) == (1, "")
    expected = "Choose another with --host and --port"
    assert done.err.startswith(f"concord: cannot listen on 127.0.0.1, port {node.port}: ") and expected in done.err
    assert done.err.count("\n") == 1


def test_a_home_that_is_served_already_is_told_in_one_line(home: Path, node: Serving) -> None:
    done = concord("serve", "--port", str(free_port()), home=home)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert f"is served by another process already (process {node.process.pid})" in done.err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "nonsense address"])
def test_an_address_that_is_not_ours_is_told_in_one_line(host: str, demo: Path) -> None:
    done = concord("serve", "--host", host, "--port", str(free_port()), home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith(f"concord: cannot listen on {host}, port ")


def test_the_log_of_the_node_shows_no_traceback(node: Serving) -> None:
    """The last test of all: whatever was asked, nothing went wrong inside."""
    assert "Traceback" not in node.said()
    assert node.stop() == 0
