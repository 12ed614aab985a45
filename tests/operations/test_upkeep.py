"""What a node does by itself: it asks what it may have forgotten before it signs, and remembers how its peers answered."""

import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import time

import pytest

from concord.content import Content
from concord.edges.peer import heads
from concord.edges.peer.heads import Heads
from concord.errors import RefusedError, UnreachableError
from concord.home import moved_since, open_home
from concord.ledger.tree import folder
from concord.node import Node
from concord.operations.upkeep import CLEAR_EVERY, Upkeep, pull_from, recover, resume
from concord.pillars.members import Profile
from concord.private import peers
from concord.testing import Clock, everything
from concord.testing.imposter import Imposter, http
from concord.testing.processes import PATIENCE, until
from concord.tlog.tile import Place

NOBODY = "http://127.0.0.1:1"
PROFILE = {"name": "Example", "country": "KE"}


def speak(node: Node) -> int:
    return node.say(everything(node.holdings.hosted()[0]), Profile, PROFILE).index


def add_peer(node: Node, url: str) -> None:
    with node.private_writing() as db:
        peers.add(db, url, node.clock())


def moved(home: Path) -> Path:
    """The home, copied to where it was not."""
    return shutil.copytree(home, home.with_name(f"{home.name}-moved"))


def answers(node: Node, path: str) -> bytes:
    """What `node` would answer over a line, to whoever pulls."""
    match path.split("/", 4):
        case ["", "peer", "heads"]:
            return http(heads.write(heads.of(node)))
        case ["", "peer", "logs", log, tile]:
            origin = next(origin for origin in node.holdings.origins() if folder(origin) == log)
            return http(node.holdings.tree(origin).read(Place.parse(tile)))
        case _:
            return http(status=404)


def test_a_home_that_stayed_signs_whoever_answers(demo: Path) -> None:
    node = open_home(demo)
    resume(node, demo)
    add_peer(node, NOBODY)
    assert recover(node, demo)
    assert speak(node)


def test_a_home_that_moved_and_has_no_peers_has_nothing_to_ask(demo: Path) -> None:
    node = open_home(moved(demo))
    assert speak(node)


def test_a_home_that_moved_waits_for_every_peer(demo: Path) -> None:
    before = open_home(demo)
    add_peer(before, NOBODY)
    home = moved(demo)
    node = open_home(home)
    with pytest.raises(RefusedError, match="moved or restored from a backup"):
        speak(node)
    assert not recover(node, home)
    with Imposter(lambda path: answers(before, path)) as peer:
        add_peer(node, peer.url)
        assert not recover(node, home)
        with node.private_writing() as db:
            peers.remove(db, NOBODY)
        assert recover(node, home)
    assert moved_since(node, home) is None
    assert speak(node)


def test_what_a_peer_has_more_of_our_log_is_taken_back_first(demo: Path) -> None:
    before = open_home(demo)
    add_peer(before, NOBODY)
    home = moved(demo)
    lost = speak(before)
    node = open_home(home)
    with Imposter(lambda path: answers(before, path)) as peer:
        with node.private_writing() as db:
            peers.remove(db, NOBODY)
            peers.add(db, peer.url, node.clock())
        assert recover(node, home)
    origin = node.holdings.hosted()[0]
    assert node.holdings.tree(origin).entry(lost) == before.holdings.tree(origin).entry(lost)
    assert speak(node) == lost + 1


def test_a_peer_that_shows_more_than_it_gives_keeps_our_logs_still(demo: Path) -> None:
    before = open_home(demo)
    home = moved(demo)
    speak(before)
    shown = http(heads.write(heads.of(before)))
    node = open_home(home)
    with Imposter(lambda path: shown if path == "/peer/heads" else http(status=404)) as peer:
        add_peer(node, peer.url)
        assert not recover(node, home)
        assert not recover(node, home)
    assert moved_since(node, home) is not None
    with pytest.raises(RefusedError):
        speak(open_home(home))


def test_somebody_may_say_that_there_is_nothing_to_ask(demo: Path) -> None:
    add_peer(open_home(demo), NOBODY)
    home = moved(demo)
    node = open_home(home)
    resume(node, home)
    assert speak(node)
    assert speak(open_home(home))


def test_how_a_pull_went_is_remembered(demo: Path) -> None:
    node = open_home(demo)
    add_peer(node, NOBODY)
    with pytest.raises(UnreachableError):
        pull_from(node, NOBODY)
    with node.private_reading() as db:
        (peer,) = peers.everyone(db)
    assert (peer.answered, peer.asked is not None) == (None, True)
    assert "cannot be reached" in (peer.error or "")


def test_a_peer_of_another_organisation_is_remembered_as_one(demo: Path) -> None:
    node = open_home(demo)
    with Imposter(lambda _: http(heads.write(Heads("0" * 64, ())))) as peer:
        add_peer(node, peer.url)
        with pytest.raises(RefusedError, match="another organisation"):
            pull_from(node, peer.url)
    with node.private_reading() as db:
        assert "another organisation" in (peers.everyone(db)[0].error or "")


def test_the_thread_asks_first_then_lets_the_logs_sign(demo: Path) -> None:
    node = open_home(demo)
    before = open_home(shutil.copytree(demo, demo.with_name("peer")))
    resume(node, demo)
    go_on = Event()
    with Imposter(lambda path: answers(before, path) if go_on.wait(PATIENCE) else b"") as peer:
        add_peer(node, peer.url)
        upkeep = Upkeep(node, demo)
        upkeep.start()
        with pytest.raises(RefusedError, match="asks its peers what they know"):
            speak(node)
        go_on.set()
        until(lambda: all(node.holdings.log(origin).paused is None for origin in node.holdings.hosted()), "logs that sign")
        assert "/peer/heads" in peer.asked
        upkeep.stop()
    assert speak(node)


def test_once_a_day_what_nobody_needs_is_cleared_away(demo: Path) -> None:
    clock = Clock(int(time()))
    node = open_home(demo, clock)
    node.settings = replace(node.settings, pull_every=1)
    digest = Content(node).keep(b"left behind")
    upkeep = Upkeep(node, demo)
    upkeep.start()
    clock.now += 4 * CLEAR_EVERY
    until(lambda: not node.blobs.have(digest), "that it is gone")
    upkeep.stop()
    assert list(node.blobs.digests())
