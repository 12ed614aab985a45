"""Bytes out of a file: ranges, conditions, and what happens when something or somebody breaks off."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from concord.edges.ranges import Flow, UnsatisfiableError, parse_range, ranged
from concord.errors import DamagedError
from concord.ledger.chunks import Chunks
from concord.testing import NOW

CONTENT = bytes(range(100))


def pieces(start: int, stop: int) -> Iterator[bytes | bytearray]:
    """Pieces that are all one, filled anew."""
    piece = bytearray(7)
    while start < stop:
        piece[:] = CONTENT[start : min(start + 7, stop)]
        start += 7
        yield piece


async def file(request: Request) -> Response:
    return ranged(request, len(CONTENT), pieces, "tag", "text/x", {"X-More": "more"})


CLIENT = TestClient(Starlette(routes=[Route("/", file, methods=["GET", "HEAD"])]))
WHOLE = (200, CONTENT, None)
NOTHING = (416, b"", "bytes */100")


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, WHOLE),
        ({"Range": "bytes=0-0"}, (206, CONTENT[:1], "bytes 0-0/100")),
        ({"Range": "bytes=10-29"}, (206, CONTENT[10:30], "bytes 10-29/100")),
        ({"Range": "bytes=90-"}, (206, CONTENT[90:], "bytes 90-99/100")),
        ({"Range": "bytes=90-1000"}, (206, CONTENT[90:], "bytes 90-99/100")),
        ({"Range": "bytes=-5"}, (206, CONTENT[95:], "bytes 95-99/100")),
        ({"Range": "bytes=-500"}, (206, CONTENT, "bytes 0-99/100")),
        ({"Range": "bytes=0-"}, (206, CONTENT, "bytes 0-99/100")),
        ({"Range": "bytes=100-"}, NOTHING),
        ({"Range": "bytes=1000-2000"}, NOTHING),
        ({"Range": "bytes=-0"}, NOTHING),
        ({"Range": "bytes=0-1,5-6"}, WHOLE),
        ({"Range": "bytes=9-3"}, WHOLE),
        ({"Range": "bytes=a-b"}, WHOLE),
        ({"Range": "bytes=-"}, WHOLE),
        ({"Range": "lines=1-2"}, WHOLE),
        ({"Range": "bytes=10-29", "If-Range": '"tag"'}, (206, CONTENT[10:30], "bytes 10-29/100")),
        ({"Range": "bytes=10-29", "If-Range": 'W/"tag"'}, WHOLE),
        ({"Range": "bytes=10-29", "If-Range": '"old"'}, WHOLE),
        ({"Range": "bytes=10-29", "If-Range": "Tue, 24 Nov 2026 00:00:00 GMT"}, WHOLE),
        ({"Range": "bytes=1000-", "If-Range": '"old"'}, WHOLE),
        ({"If-None-Match": '"tag"'}, (304, b"", None)),
        ({"If-None-Match": 'W/"tag"'}, (304, b"", None)),
        ({"If-None-Match": '"old", "tag"'}, (304, b"", None)),
        ({"If-None-Match": "*"}, (304, b"", None)),
        ({"If-None-Match": '"old"'}, WHOLE),
        ({"If-None-Match": '"tag"', "Range": "bytes=0-1"}, (304, b"", None)),
    ],
    ids=str,
)
def test_what_is_sent(headers: dict[str, str], wanted: tuple[int, bytes, str | None]) -> None:
    answer = CLIENT.get("/", headers=headers)
    assert (answer.status_code, answer.content, answer.headers.get("Content-Range")) == wanted
    assert answer.headers["X-More"] == "more"
    if answer.status_code in (200, 206):
        assert answer.headers["Content-Length"] == str(len(wanted[1]))
        assert (answer.headers["Accept-Ranges"], answer.headers["Content-Type"]) == ("bytes", "text/x; charset=utf-8")
    if answer.status_code != 416:
        assert answer.headers["ETag"] == '"tag"'
    head = CLIENT.head("/", headers=headers)
    assert (head.status_code, head.content) == (answer.status_code, b"")
    assert head.headers.get("Content-Length") == answer.headers.get("Content-Length")


@given(st.integers(0, 120), st.integers(0, 120), st.integers(0, 100))
def test_a_range_is_within_the_file(first: int, last: int, size: int) -> None:
    if first >= size:
        with pytest.raises(UnsatisfiableError, match=f"beyond the {size} bytes"):
            parse_range(f"bytes={first}-{last}", size)
    else:
        assert parse_range(f"bytes={first}-{last}", size) == ((first, min(last + 1, size)) if first <= last else None)


async def answered(flow: Flow, after: float | None = None) -> list[Message]:
    """The messages of an answer, whose asker goes away after so many pieces."""
    sent: list[Message] = []
    away = asyncio.Event()

    async def receive() -> Message:
        await away.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append({**message, "body": bytes(message.get("body", b""))})
        if after is not None and len(sent) > after:
            away.set()
        await asyncio.sleep(0)

    await flow({"type": "http"}, receive, send)
    return sent


def test_nothing_more_is_read_for_somebody_who_went_away() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"more"

    sent = asyncio.run(answered(Flow(endless(), 200, {}, "text/x"), after=10))
    assert 10 <= read < 20
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_an_error_before_the_first_piece_is_told_as_one() -> None:
    def broken() -> Iterator[bytes]:
        raise DamagedError("broken")
        yield b""

    with pytest.raises(DamagedError):
        asyncio.run(answered(Flow(broken(), 200, {}, "text/x")))


def test_an_error_between_pieces_ends_the_answer_without_its_end() -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise DamagedError("broken")

    sent: list[Message] = []

    async def receive() -> Message:
        return await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(DamagedError):
        asyncio.run(Flow(broken(), 200, {}, "text/x")({"type": "http"}, receive, send))
    assert [message.get("more_body") for message in sent] == [None, True]


def test_a_file_kept_as_chunks_flows(tmp_path: Path) -> None:
    content = b"".join(number.to_bytes(4, "big") * 7 for number in range(150_000))
    entry = Chunks(tmp_path).ingest([content], NOW)
    sent = asyncio.run(answered(Flow(Chunks(tmp_path).flow(entry.hash, 5, 4_000_005), 200, {}, "text/x")))
    assert b"".join(message["body"] for message in sent) == content[5:4_000_005]
