"""A poor line: a proxy on loopback that lets so many bytes a second through, and resets its connections every so often.

with PoorLine(port, rate=125_000, every=1_500_000) as line:
    line.url, line.bytes          every byte counts that went through, up or down, with heads and all
"""

import socket
import struct
import time
from contextlib import suppress
from threading import Lock, Thread

from concord.testing.loopback import Loopback

PIECE = 4096


class PoorLine(Loopback):
    """A line to `port`. `rate`: bytes a second, both directions together (0: any); `every`: bytes between resets (0: none)."""

    def __init__(self, port: int, rate: int = 0, every: int = 0) -> None:
        super().__init__()
        self.bytes, self.resets = 0, 0
        self._port, self._rate, self._every = port, rate, every
        self._due, self._free = every, 0.0
        self._turn = Lock()

    def serve(self, near: socket.socket) -> None:
        """Carry both ways, until one end is done or the line is reset."""
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as far:
            for line in (near, far):  # as little as possible waits in between, as on a real line
                line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * PIECE)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PIECE)
            up = Thread(target=self._carry, args=(near, far), daemon=True)
            up.start()
            if self._carry(far, near):  # what the other end has not read yet is lost to it
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for line in (near, far):
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RD)
            up.join()

    def _carry(self, one: socket.socket, other: socket.socket) -> bool:
        """Carry from one end to the other until it is done; whether the line is to be reset."""
        with suppress(OSError):
            while piece := one.recv(PIECE):
                reset = self._wait(len(piece))
                other.sendall(piece)
                if reset:
                    return True
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        return False

    def _wait(self, count: int) -> bool:
        """Count the bytes, and wait as long as they take; whether the line is to be reset."""
        with self._turn:
            self.bytes += count
            now = time.monotonic()
            if self._rate:
                self._free = max(self._free, now) + count / self._rate
            wait, reset = self._free - now, False
            if self._every and self.bytes >= self._due:
                self._due, self.resets, reset = self.bytes + self._every, self.resets + 1, True
        if wait > 0:
            time.sleep(wait)
        return reset
