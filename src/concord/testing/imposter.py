"""A server that answers whatever a test makes it answer: an honest file, nonsense, too much, or a byte a second.

>>> with Imposter(lambda path: http(path.encode())) as server:
...     from urllib.request import urlopen
...     urlopen(f"{server.url}/hello").read()
b'/hello'
"""

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from concord.testing.loopback import Loopback

HEAD_MAX = 1 << 16  # bytes of a request's head


def http(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """A whole answer; the names of headers are given with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Imposter(Loopback):
    """An HTTP server on loopback. `answer(path)` gives the answer to a request, head and body, whole or in pieces.

    `asked` has the paths that were asked for, in order; `heads` the whole heads.
    """

    def __init__(self, answer: Callable[[str], bytes | Iterable[bytes]]) -> None:
        self.asked: list[str] = []
        self.heads: list[str] = []
        super().__init__()
        self._answer = answer

    def slowly(self, raw: bytes, wait: float) -> Iterator[bytes]:
        """`raw`, a byte at a time, with `wait` seconds between, until the server ends."""
        for number in range(len(raw)):
            yield raw[number : number + 1]
            if self.ended.wait(wait):
                return

    def serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and len(head) < HEAD_MAX:
                piece = line.recv(4096)
                if not piece:
                    return
                head += piece
            head, _, body = head.partition(b"\r\n\r\n")
            text = head.decode(errors="replace")
            length = re.search(r"(?i)\ncontent-length: *(\d+)", text)
            rest = int(length[1]) - len(body) if length else 0
            while rest > 0 and (piece := line.recv(1 << 16)):
                rest -= len(piece)
            path = text.split(" ", 2)[1]
            self.asked.append(path)
            self.heads.append(text)
            answer = self._answer(path)
            for piece in [answer] if isinstance(answer, bytes) else answer:
                line.sendall(piece)
