"""A line of loopback in front of a server, which counts what clients send and lets only so much of it pass in a second.

with relay(node.port, rate=30 << 20) as line:
    line.url                     http://127.0.0.1:41007
    line.sent                    bytes that clients have sent so far

What the server answers passes at once. When the server is not there, a connection is closed at once, as a machine that is down
would do it.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE = 1 << 16  # bytes that are passed on at once


@dataclass
class Line:
    """Such a line. `rate` is in bytes a second, over all connections, of which `open` are there now."""

    port: int
    rate: int
    sent: int = 0
    open: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, piece: bytes) -> None:
        """Let a piece of what clients send pass, once it is its turn."""
        with self.turn:
            self.sent += len(piece)
            time.sleep(len(piece) / self.rate)


@contextmanager
def relay(target: int, rate: int) -> Iterator[Line]:
    """A line to the port `target` of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        line = Line(int(listening.getsockname()[1]), rate)
        accepting = threading.Thread(target=_accept, args=(listening, target, line))
        accepting.start()
        try:
            yield line
        finally:
            _end(listening)
            accepting.join()


def _accept(listening: socket.socket, target: int, line: Line) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            line.open += 1
            threading.Thread(target=_connect, args=(client, target, line), daemon=True).start()


def _connect(client: socket.socket, target: int, line: Line) -> None:
    """Pass on both ways, until one side ends."""
    try:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", target)) as server:
            answering = threading.Thread(target=_pass_on, args=(server, client, len))
            answering.start()
            _pass_on(client, server, line.count)
            answering.join()
    finally:
        line.open -= 1


def _pass_on(source: socket.socket, target: socket.socket, first: Callable[[bytes], object]) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            first(piece)
            target.sendall(piece)
    _end(source)
    _end(target)


def _end(connection: socket.socket) -> None:
    """Say that no more comes, if anybody is there to hear it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
