"""The limits of peers, on the command line."""

import json
from pathlib import Path

import pytest

from concord.testing.terminal import run

URL = "https://one.example"


def limits(home: Path) -> tuple[int | None, str | None]:
    (peer,) = json.loads(run("peer", "list", "--json", home=home).out)
    return peer["rate"], peer["window"]


def test_a_peer_is_added_with_its_limits_and_they_are_changed(demo: Path) -> None:
    done = run("peer", "add", URL, "--rate", "100k", "--window", "22:00-06:00", home=demo)
    assert (done.status, done.err) == (0, "")
    assert limits(demo) == (100_000, "22:00-06:00")
    assert run("peer", "add", URL, home=demo).status == 0
    assert limits(demo) == (100_000, "22:00-06:00")
    done = run("peer", "limit", URL, "--rate", "2M", home=demo)
    assert "at 2000000 bytes a second" in done.out and "at any hour" in done.out
    assert limits(demo) == (2_000_000, None)
    run("peer", "limit", URL, "--rate", "0", home=demo)
    assert limits(demo) == (None, None)
    assert "22:00" not in run("peer", "list", home=demo).out


@pytest.mark.parametrize(
    "words", [["--rate", "fast"], ["--rate", "1.5M"], ["--rate", "-1"], ["--rate", "١k"], ["--window", "night"]]
)
def test_a_limit_that_is_none_is_refused_and_nothing_is_added(demo: Path, words: list[str]) -> None:
    done = run("peer", "add", URL, *words, home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert json.loads(run("peer", "list", "--json", home=demo).out) == []
