"""A server on loopback that a test makes up: it listens from `with` on, and serves each connection in a thread of its own."""

import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from threading import Event, Thread
from typing import Self


class Loopback(ABC):
    """Such a server, at `url`. `serve` is called with each connection; `ended` is set once the test is done with it."""

    def __init__(self) -> None:
        self.ended = Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @abstractmethod
    def serve(self, line: socket.socket) -> None:
        """Answer one connection, and close it."""

    def _listen(self) -> None:
        with suppress(OSError):
            while not self.ended.is_set():
                line, _ = self._socket.accept()
                Thread(target=self.serve, args=(line,), daemon=True).start()
