"""What a node gives away: no more than is set, nobody at the cost of others, and whoever is told to wait waits."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from hashlib import sha256
from http.client import HTTPConnection
from threading import Thread

import pytest
from starlette.testclient import TestClient

from concord.config import Settings
from concord.edges.peer import giving as givings
from concord.edges.peer.giving import Giving
from concord.errors import TooManyError, UnreachableError
from concord.node import Node
from concord.operations.courier import Courier
from concord.operations.lines import Line
from concord.pillars.commons import File, Repo
from concord.private import peers
from concord.shelf import Draft, Shelf
from concord.testing import everything, states
from concord.testing.processes import until
from concord.testing.proxy import PoorLine

Served = Callable[[Node], "AbstractContextManager[str]"]
LARGE = os.urandom(1_500_000)


def share(node: Node, contents: list[bytes]) -> tuple[Repo, list[File]]:
    me, shelf = everything(node.holdings.hosted()[0]), Shelf(node)
    repo, files = shelf.open(me, "model", "words", private=False), list[File]()
    for number, content in enumerate(contents):
        if len(content) < 100_000:
            files.append(shelf.keep(repo, f"{number}.txt", content))
            continue
        digest, size = shelf.content.take([content], sha256(content).hexdigest(), 1 << 30)
        shelf.content.give(repo, [digest])
        files.append(File(path=f"{number}.bin", size=size, sha256=digest, xet=shelf.content.xet(digest)))
    shelf.commit(me, repo, Draft("main", "Share", put=files))
    return repo, files


def limit(node: Node, **more: object) -> None:
    node.settings = replace(node.settings, **more)


# How often


class Time:
    """A clock of seconds that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def giving(clock: Time | None = None, **more: object) -> Giving:
    return Giving(lambda: replace(Settings(), **more), clock or Time())


def test_an_address_may_ask_so_often_in_a_minute_and_is_told_how_long_to_wait() -> None:
    clock = Time()
    gives = giving(clock, give_requests=3)
    for _ in range(3):
        gives.admit("192.0.2.1").leave()
    for _ in range(5):  # asking on costs nothing more
        with pytest.raises(TooManyError, match="more than 3 requests") as found:
            gives.admit("192.0.2.1")
        assert found.value.wait == 20
    gives.admit("192.0.2.2").leave()
    clock.now += 19
    with pytest.raises(TooManyError) as found:
        gives.admit("192.0.2.1")
    assert found.value.wait == 1
    clock.now += 1
    gives.admit("192.0.2.1").leave()
    clock.now += 3600
    for _ in range(3):
        gives.admit("192.0.2.1").leave()
    with pytest.raises(TooManyError):
        gives.admit("192.0.2.1")


def test_a_network_of_ipv6_counts_as_one_and_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(givings, "ADDRESSES_MAX", 10)
    gives = giving(give_requests=2)
    for last in ("1", "ffff"):
        gives.admit(f"2001:db8:0:1::{last}").leave()
    with pytest.raises(TooManyError):
        gives.admit("2001:db8:0:1:2::3")
    for number in range(100):
        gives.admit(f"192.0.2.{number}").leave()
    assert len(gives._left) == 10


def test_without_a_limit_anybody_may_ask_as_often_as_they_like() -> None:
    gives = giving(give_requests=0)
    for _ in range(20_000):
        gives.admit("192.0.2.1").leave()


def test_who_asks_too_often_is_answered_429_and_nobody_else(node: Node, client: TestClient) -> None:
    repo, (file,) = share(node, [b"words"])
    limit(node, give_requests=2, proxies=1)
    path = f"/peer/content/{repo.root}/{file.sha256}"
    answers = [client.get(path, headers={"X-Forwarded-For": "192.0.2.1"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 30
    assert "more than 2 requests for files within a minute" in answers[-1].text
    assert client.get(path, headers={"X-Forwarded-For": "192.0.2.2"}).content == b"words"
    assert client.get("/peer/heads", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 200


# Seats


def test_one_address_takes_all_seats_and_keeps_no_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(givings, "SEATS", 3)
    gives = giving()
    taken = [gives.admit("192.0.2.1") for _ in range(3)]
    with pytest.raises(TooManyError) as found:
        gives.admit("192.0.2.1")
    assert found.value.wait == givings.FULL
    others = [gives.admit(f"192.0.2.{number}") for number in (2, 3, 4)]
    for address in ("192.0.2.2", "192.0.2.5"):  # who has one gets no second, and there is an end
        with pytest.raises(TooManyError):
            gives.admit(address)
    for share_ in (*taken, *others):
        share_.leave()
    assert not gives._seated
    gives.admit("192.0.2.1")


def test_a_seat_is_given_back_whatever_the_answer(node: Node, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(givings, "SEATS", 1)
    repo, (file,) = share(node, [LARGE])
    path = f"/peer/content/{repo.root}/{file.sha256}"
    for headers, status in (({}, 200), ({"Range": "bytes=5-9"}, 206), ({"Range": "bytes=9999999-"}, 416), ({}, 200)):
        assert client.get(path, headers=headers).status_code == status
    assert client.get(f"{path}x").status_code == 404
    assert client.get(path, headers={"If-None-Match": f'"{file.sha256}"'}).status_code == 304
    assert client.get(path).content == LARGE


# How much


def test_the_next_slice_goes_to_who_had_the_least_however_many_answers_it_has() -> None:
    given = Counter[str]()

    async def answer(gives: Giving, address: str) -> None:
        share_ = gives.admit(address)
        while given.total() < 300:
            await gives.turn(share_.key, 1000)
            given[address] += 1

    async def everybody() -> None:
        gives = Giving(lambda: replace(Settings(), give_rate=10_000_000))
        await asyncio.gather(*(answer(gives, address) for address in ("many",) * 8 + ("one", "other")))

    asyncio.run(everybody())
    assert all(abs(count - 100) <= 20 for count in given.values()), given


def test_who_takes_slowly_or_goes_away_takes_nobodys_time() -> None:
    order: list[str] = []

    async def answer(gives: Giving, address: str, count: int) -> None:
        for _ in range(count):
            await gives.turn(address, 1000)
            order.append(address)

    async def everybody() -> None:
        gives = Giving(lambda: replace(Settings(), give_rate=1_000_000))
        await answer(gives, "slow", 1)  # and then is busy with what it was given
        gone = asyncio.create_task(answer(gives, "gone", 1000))
        quick = asyncio.create_task(answer(gives, "quick", 20))
        await asyncio.sleep(0)
        gone.cancel()
        await quick
        await answer(gives, "slow", 1)

    asyncio.run(everybody())
    assert order[0] == "slow" and order[-1] == "slow" and order.count("quick") == 20 and order.count("gone") <= 1


def bytes_of(url: str, path: str, address: str = "192.0.2.1") -> Iterator[int]:
    """Read an answer: how many bytes came at a time."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=60)) as line:
        line.request("GET", path, headers={"X-Forwarded-For": address})
        answer = line.getresponse()
        assert answer.status == 200
        while piece := answer.read1(8192):
            yield len(piece)


def test_peers_share_the_rate_fairly(node: Node, served: Served) -> None:
    repo, (file,) = share(node, [LARGE])
    limit(node, give_rate=1_500_000, proxies=1)
    came, path = Counter[str](), f"/peer/content/{repo.root}/{file.sha256}"

    def read(url: str, address: str) -> None:
        for count in bytes_of(url, path, address):
            if came["one"] < len(LARGE):
                came[address] += count

    with served(node) as url:
        readers = [Thread(target=read, args=(url, address)) for address in ("many",) * 6 + ("one",)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert came["one"] == len(LARGE)
    assert came["many"] < 2 * len(LARGE), came


def test_a_peer_behind_a_poor_line_holds_up_no_other(node: Node, served: Served) -> None:
    repo, (file,) = share(node, [LARGE])
    limit(node, give_rate=3_000_000, proxies=1)
    path, slow = f"/peer/content/{repo.root}/{file.sha256}", [0]

    def read(url: str) -> None:
        with suppress(OSError):
            for count in bytes_of(url, path, "slow"):
                slow[0] += count

    with served(node) as url, PoorLine(int(url.rpartition(":")[2]), rate=20_000) as line:
        Thread(target=read, args=(line.url,), daemon=True).start()
        until(lambda: slow[0] > 0, "a slow peer that has begun")
        assert sum(bytes_of(url, path, "quick")) == len(LARGE)
        assert slow[0] < len(LARGE) / 2


def test_who_takes_nothing_is_cut_off(node: Node, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(givings, "SEATS", 1)
    content = os.urandom(20 << 20)
    repo, (file,) = share(node, [content])
    limit(node, pull_timeout=1, pull_rate=10**9)
    path = f"/peer/content/{repo.root}/{file.sha256}"
    with served(node) as url, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert line.recv(1)
        statuses = [status_of(url, path)]
        until(lambda: statuses.append(status_of(url, path)) or statuses[-1] == 206, "a seat that is free again")
        assert statuses[0] == 429
        came = 0
        with suppress(OSError):
            while piece := line.recv(1 << 20):
                came += len(piece)
        assert came < len(content)


def status_of(url: str, path: str) -> int:
    with closing(HTTPConnection(url.removeprefix("http://localhost").replace(":", "127.0.0.1:"), timeout=60)) as line:
        line.request("GET", path, headers={"Range": "bytes=0-0"})
        return line.getresponse().status


# Who is told to wait


def test_a_node_that_is_told_to_wait_does_and_thinks_no_worse_of_its_peer(node: Node, served: Served) -> None:
    repo, files = share(node, [b"one", b"two", LARGE])
    limit(node, give_requests=60)
    mine = states.watching(node)
    shelf, path = Shelf(mine), f"/peer/content/{repo.root}/{files[0].sha256}"
    with served(node) as url:
        with mine.private_writing() as db:
            peers.add(db, url, mine.clock())
        until(lambda: status_of(url, path) == 429, "an address that has asked as often as it may")
        courier = Courier(mine, Line(mine))
        for file in files:
            courier.bring(repo, file)
    assert all(shelf.have(repo, file) for file in files)
    assert b"".join(shelf.read(repo, files[-1])) == LARGE
    with mine.private_reading() as db:
        (peer,) = peers.everyone(db)
    assert peer.error is None


def test_what_a_peer_says_of_waiting_is_heard_within_bounds(node: Node, served: Served) -> None:
    repo, files = share(node, [b"one", b"two"])
    limit(node, give_requests=1)
    mine = states.watching(node)
    with served(node) as url:
        source = Line(mine).source(peers.Peer(url, 0), mine.settings, 60)
        path = f"peer/content/{repo.root}/{files[0].sha256}"
        assert source.get(path, 10) == b"one"
        with pytest.raises(UnreachableError, match=r"asks to be asked again in (59|60) seconds") as found:
            source.get(path, 10)
    assert getattr(found.value, "wait", 0) in (59, 60)
