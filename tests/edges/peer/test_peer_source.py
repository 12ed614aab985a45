"""What comes over a line: whoever answers, it is bounded in size and in time, and the error says whose fault it is."""

import gzip
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path

import pytest

from concord.config import Settings
from concord.edges.peer.source import FolderSource, HttpSource
from concord.errors import ConcordError, MalformedError, MissingError, TooLargeError, UnreachableError
from concord.testing.imposter import Imposter, http

QUICK = Settings(pull_timeout=1, pull_rate=1_000)  # a grace of two seconds
BODY = bytes(range(256)) * 8


def source(server: Imposter, settings: Settings = QUICK, patience: int | None = None) -> HttpSource:
    return HttpSource(server.url, settings, patience)


def error_of(
    answer: bytes | Callable[[str], Iterable[bytes]], settings: Settings = QUICK, most: int = 1 << 20, patience: int | None = None
) -> ConcordError:
    """What getting /peer/heads from a server that answers so ends with."""
    server = Imposter(answer if callable(answer) else lambda _: [answer])
    with server, pytest.raises(ConcordError) as raised:
        source(server, settings, patience).get("peer/heads", most)
    return raised.value


def test_what_is_there_is_had() -> None:
    with Imposter(lambda path: http(path.encode())) as server:
        assert source(server).get("peer/heads", 100) == b"/peer/heads"


@pytest.mark.parametrize("status", [404, 410, 451])
def test_what_is_not_there_is_missing(status: int) -> None:
    assert isinstance(error_of(http(b"gone", status)), MissingError)


@pytest.mark.parametrize("status", [204, 206, 301, 302, 307, 400, 401, 403, 418, 500, 502, 503])
def test_any_other_answer_says_nothing_of_the_log(status: int) -> None:
    error = error_of(http(b"<html>", status, Location="http://127.0.0.1:1/elsewhere"))
    assert isinstance(error, UnreachableError)
    assert str(status) in str(error)


def test_a_redirection_is_not_followed() -> None:
    with Imposter(lambda path: http(b"", 302, Location="/secret") if path != "/secret" else http(b"!")) as server:
        with pytest.raises(UnreachableError):
            source(server).get("peer/heads", 100)
        assert server.asked == ["/peer/heads"]


def test_a_path_stands_in_the_address_as_a_path() -> None:
    with Imposter(lambda _: http(b"")) as server:
        HttpSource(f"{server.url}/under/here/", QUICK).get("peer/logs/a b?c#d", 10)
        assert server.asked == ["/under/here/peer/logs/a%20b%3Fc%23d"]


@pytest.mark.parametrize(
    "answer",
    [
        http(bytes(101)),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(101),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + bytes(101) + b"\r\n0\r\n\r\n",
    ],
    ids=["length", "until the end", "chunked"],
)
def test_whoever_sends_too_much_is_cut_off(answer: bytes) -> None:
    error = error_of(answer, most=100)
    assert isinstance(error, TooLargeError)
    assert "100 bytes" in str(error)


def test_an_endless_body_is_cut_off() -> None:
    error = error_of(lambda _: (b"HTTP/1.1 200 OK\r\n\r\n", *repeat(bytes(1 << 16), 1000)), most=1 << 20)
    assert isinstance(error, TooLargeError)


def test_what_is_compressed_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    with Imposter(lambda _: http(bomb, Content_Encoding="gzip")) as server:
        assert source(server).get("peer/heads", 20_000) == bomb


def test_nobody_there() -> None:
    with Imposter(lambda _: b"") as server:
        pass
    with pytest.raises(UnreachableError, match="cannot be reached"):
        source(server).get("peer/heads", 10)


@pytest.mark.parametrize("url", ["localhost:1", "ftp://x", "http://[::1", "http://x:99999", "http://", "http://a b/"])
def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    with pytest.raises(UnreachableError):
        HttpSource(url, QUICK).get("peer/heads", 10)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"\x00\xff" * 99,
    ],
    ids=["nothing", "no http", "no status", "cut off", "bytes"],
)
def test_what_is_no_answer_is_unreachable(answer: bytes) -> None:
    assert isinstance(error_of(answer), UnreachableError)


# Time. A line may be silent for a second here; whatever comes must come at 1,000 bytes a second, after a grace of two seconds.


def test_a_silent_peer_is_given_up() -> None:
    with Imposter(lambda _: server.slowly(b"  ", 30)) as server, pytest.raises(UnreachableError):
        source(server).get("peer/heads", 10)


TRAPS = {
    "/head": (b"HTTP/1.1 200 OK\r\nX-Padding: ", b"x" * 1000),
    "/body": (http(bytes(1000))[:-1000], b"x" * 1000),
    "/chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x" * 1000),
    "/trailer": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 200),
}


def test_a_byte_at_a_time_is_a_trap_wherever_it_comes() -> None:
    def ask(path: str) -> str:
        with pytest.raises(UnreachableError) as raised:
            source(server).get(path[1:], 10_000)
        return str(raised.value)

    server = Imposter(lambda path: chain([TRAPS[path][0]], server.slowly(TRAPS[path][1], 0.2)))
    with server, ThreadPoolExecutor() as askers:
        assert set(askers.map(ask, TRAPS)) == {f"{server.url} sends less than 1000 bytes a second"}


def test_a_peer_that_is_just_fast_enough_has_its_time_too() -> None:
    error = error_of(lambda _: chain([b"HTTP/1.1 200 OK\r\n\r\n"], repeat(bytes(10_000))), most=1 << 60, patience=1)
    assert isinstance(error, UnreachableError)
    assert "time was over" in str(error)


def test_endless_heads_end_with_the_time() -> None:
    """A server may announce that more is to come as often as it likes, and each time quickly."""
    error = error_of(lambda _: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), patience=1)
    assert isinstance(error, UnreachableError)


# Going on where a transfer was cut


def pieces(server: Imposter, start: int) -> bytes:
    return b"".join(source(server).stream("peer/blobs/x", start))


def test_a_transfer_goes_on_with_a_range() -> None:
    with Imposter(lambda _: http(BODY[1000:], 206, Content_Range=f"bytes 1000-{len(BODY) - 1}/{len(BODY)}")) as server:
        assert pieces(server, 1000) == BODY[1000:]
        assert "Range: bytes=1000-" in server.heads[0]


def test_a_server_that_knows_no_ranges_sends_all_of_it_again() -> None:
    with Imposter(lambda _: http(BODY)) as server:
        assert pieces(server, 1000) == BODY[1000:]
        assert pieces(server, 0) == BODY


def test_of_a_server_that_knows_no_ranges_one_answer_is_read_on_part_by_part() -> None:
    with Imposter(lambda _: http(BODY)) as server:
        asked = source(server)
        spans = [(0, 100), (100, 300), (500, 900), (400, 450), (900, len(BODY)), (0, 10)]
        for start, stop in spans:
            assert b"".join(asked.part("peer/blobs/x", start, stop)) == BODY[start:stop]
        assert len(server.heads) == 4  # for the first part, what follows, what lies before that, and the beginning once more
        part = asked.part("peer/blobs/x", 450, 5_000)
        assert next(part)
        part.close()
        assert b"".join(asked.part("peer/blobs/y", 0, 10)) == BODY[:10]
        assert len(server.heads) == 5


def test_an_answer_that_broke_is_not_read_on() -> None:
    with Imposter(lambda _: http(BODY)[:-1000]) as server:
        asked = source(server)
        assert b"".join(asked.part("x", 0, 10)) == BODY[:10]
        for _ in range(2):
            with pytest.raises(UnreachableError, match="broke after"):
                list(asked.part("x", 10, len(BODY)))
        assert len(server.heads) == 3


def test_a_range_that_begins_beyond_the_end_is_not_had() -> None:
    with Imposter(lambda _: http(b"", 416)) as server, pytest.raises(UnreachableError, match="416"):
        pieces(server, 5_000)


def test_a_line_that_breaks_gives_what_came() -> None:
    came = []
    with Imposter(lambda _: http(BODY)[:1000]) as server, pytest.raises(UnreachableError, match="broke after"):
        came.extend(source(server).stream("peer/blobs/x", 0))
    assert BODY.startswith(b"".join(came))
    assert came


# Saying something in return


def test_what_is_posted_arrives_and_the_answer_is_bounded() -> None:
    with Imposter(lambda _: http(b"taken", 202)) as server:
        assert source(server).post("peer/bundle", bytes(1 << 20), 100) == (202, b"taken")
        assert f"Content-Length: {1 << 20}" in server.heads[0]
    with Imposter(lambda _: http(bytes(101))) as server, pytest.raises(TooLargeError):
        source(server).post("peer/bundle", b"", 100)


# Clocks


@pytest.mark.parametrize(
    ("date", "low", "high"),
    [("Thu, 01 Jan 1970 00:00:00 GMT", -4e9, -1e9), ("Fri, 01 Jan 2100 00:00:00 GMT", 1e9, 4e9)],
)
def test_how_far_the_others_clock_is_off(date: str, low: float, high: float) -> None:
    with Imposter(lambda _: http(b"", Date=date)) as server:
        asked = source(server)
        asked.get("peer/heads", 10)
        assert low < asked.skew < high


@pytest.mark.parametrize("date", ["yesterday", "", "Thu, 99 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 99999 00:00:00 GMT"])
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    with Imposter(lambda _: http(b"", Date=date)) as server:
        asked = source(server)
        asked.get("peer/heads", 10)
        assert asked.skew is None


# Folders


def test_a_folder_gives_what_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    (stick / "peer").mkdir(parents=True)
    (stick / "peer" / "heads").write_bytes(BODY)
    (tmp_path / "secret").write_bytes(b"secret")
    (stick / "peer" / "link").symlink_to(tmp_path / "secret")
    asked = FolderSource(stick)
    assert asked.get("peer/heads", len(BODY)) == BODY
    assert b"".join(asked.stream("peer/heads", 1000)) == BODY[1000:]
    with pytest.raises(TooLargeError):
        asked.get("peer/heads", 10)
    for path in ("peer/nothing", "peer"):
        with pytest.raises(MissingError):
            asked.get(path, 10)
    for path in ("../secret", "peer/link", "/etc/passwd"):
        with pytest.raises(MalformedError, match="out of the folder"):
            asked.get(path, 1 << 20)


def test_a_folder_with_a_pipe_in_it_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "heads")
    with pytest.raises(MissingError):
        FolderSource(tmp_path).get("heads", 10)
