"""Nodes as processes on loopback: founding, joining, cosigning, carrying by file, crashes, backups, clocks, full disks."""

import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from threading import Event, Thread
from typing import Any

import pytest

from concord.home import open_home
from concord.ledger.identity import label
from concord.testing.processes import PATIENCE, Serving, copy_home, environment, free_port, serve, until
from concord.testing.terminal import found_together, run

KENYA = ["--member", "ke", "--name", "Example Kenya", "--country", "KE"]
TUNISIA = ["--member", "tn", "--name", "Example Tunisia", "--country", "TN"]


def profile(number: int) -> dict[str, str]:
    return {"name": "Example", "country": "KE", "about": f"A demonstration, number {number}."}


def leaf(node: Serving, said: dict[str, Any]) -> str:
    """The leaf of the record at a place, as the node shows it."""
    answer = node.get(f"/api/v1/records/{label(said['origin'])}/{said['index']}")
    return str(answer.json()["leaf"])


def token_of(home: Path) -> str:
    return run("token", "create", home=home).out.strip()


def sizes(home: Path) -> dict[str, int]:
    return {log["origin"]: log["size"] for log in run("log", "status", "--json", home=home).json()}


def logs_equal(one: Serving, other: Serving) -> bool:
    roots = [{origin: log["root"] for origin, log in node.logs().items()} for node in (one, other)]
    return roots[0] == roots[1]


# make run


def test_an_empty_home_becomes_a_demonstration_and_stays_what_it_is(tmp_path: Path) -> None:
    home = tmp_path / "var" / "home"
    home.parent.mkdir()
    with serve(home, "--demo") as node:
        said = node.said()
        assert "Founding a demonstration organisation" in said
        assert f"Concord serves Demonstration Assembly on {node.url}\n" in said
        (link,) = re.findall(rf"{node.url}(/sign-in/\S+)", said)
        before = {origin: log["root"] for origin, log in node.logs().items()}
        assert len(before) == 6
        assert link not in node.get("/").body.decode()
        assert node.stop() == 0
    with serve(home, "--demo") as node:
        assert "Founding" not in node.said()
        assert {origin: log["root"] for origin, log in node.logs().items()} == before
        (other,) = re.findall(rf"{node.url}(/sign-in/\S+)", node.said())
        assert other != link
        assert node.stop() == 0
    assert run("verify", "--deep", home=home).status == 0


# Joining, pulling, cosigning


@pytest.fixture(scope="module")
def hosting(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A demonstration that serves, and pulls only when it is told to."""
    home = copy_home(founded, tmp_path_factory.mktemp("live") / "home")
    with serve(home, pull_every=0) as node:
        yield node


def test_a_second_node_joins_mirrors_and_verifies_the_first(hosting: Serving, tmp_path: Path) -> None:
    done = run("init", *TUNISIA, "--join", hosting.url, "--json", home=tmp_path / "second")
    assert (done.status, done.err) == (0, "")
    assert done.json()["organisation"] == hosting.get("/api/v1/organisation").json()["organisation"]
    (own,) = done.json()["members"]
    held = sizes(tmp_path / "second")
    assert held.items() >= {origin: log["size"] for origin, log in hosting.logs().items()}.items()
    assert run("verify", "--deep", home=tmp_path / "second").status == 0
    standing = {row["id"]: row["standing"] for row in run("member", "list", "--json", home=tmp_path / "second").json()}
    assert standing["tn"] == "applicant"
    assert hosting.logs()[own]["size"] == held[own]
    archive = run("blob", "list", "--json", home=tmp_path / "second").json()[0]
    assert archive["here"] is True
    got = run("blob", "get", archive["blob"], "-o", tmp_path / "source.tar.gz", home=tmp_path / "second")
    assert got.status == 0
    again = run("peer", "pull", "--json", home=tmp_path / "second")
    assert (again.status, again.json()[0]["entries"]) == (0, 0)


def test_joining_another_organisation_than_was_meant_leaves_nothing(hosting: Serving, tmp_path: Path) -> None:
    done = run("init", *TUNISIA, "--join", hosting.url, "--organisation", "0" * 64, home=tmp_path / "second")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "and not 000" in done.err
    assert not (tmp_path / "second").exists()


def test_a_node_that_only_watches_joins_without_a_member(hosting: Serving, tmp_path: Path) -> None:
    assert run("init", "--join", hosting.url, home=tmp_path / "watcher").status == 0
    assert len(run("member", "list", "--json", home=tmp_path / "watcher").json()) >= 6
    assert run("verify", "--deep", home=tmp_path / "watcher").status == 0


def test_three_nodes_exchange_logs_and_cosignatures(tmp_path: Path) -> None:
    homes = found_together(tmp_path)
    ports = [free_port() for _ in homes]
    for home, port in zip(homes, ports, strict=True):
        for other in ports:
            if other != port:
                run("peer", "add", f"http://127.0.0.1:{other}", home=home)
    with ExitStack() as stack:
        nodes = [stack.enter_context(serve(home, port=port, pull_every=1)) for home, port in zip(homes, ports, strict=True)]
        until(lambda: all(well_cosigned(node) for node in nodes), "three nodes that hold three logs, all of them well cosigned")
        said = until(lambda: spoken(nodes[0], token_of(homes[0])), "a node that may sign")
        until(lambda: all(node.logs()[said["origin"]]["cosigned"] > said["index"] for node in nodes), "the new record, cosigned")
        assert [node.stop() for node in nodes] == [0, 0, 0]
    assert {run("verify", "--deep", home=home).status for home in homes} == {0}
    heads = run("log", "status", "--json", home=homes[2]).json()
    assert {len(head["cosigners"]) for head in heads} == {2}


def well_cosigned(node: Serving) -> bool:
    logs = node.logs().values()
    return len(logs) == 3 and all(log["size"] == log["cosigned"] for log in logs)


def spoken(node: Serving, token: str) -> dict[str, Any] | None:
    """What was said, unless the node still asks its peers whether it may."""
    answer = node.say(token, "members.profile", profile(1))
    return dict(answer.json()) if answer.status == 201 else None


# By file


@contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """`folder`, served by a web server that knows nothing of Concord."""
    port = free_port()
    line = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)]
    with Popen(line, stdout=DEVNULL, stderr=DEVNULL, env=environment()) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def test_bundles_carry_logs_there_and_cosignatures_back(tmp_path: Path) -> None:
    here, there, third = found_together(tmp_path)
    for step, (one, other) in enumerate([(here, there), (there, third), (third, here)]):
        carry(one, other, tmp_path / f"{step}.zip")
    logs = run("log", "status", "--json", home=here).json()
    assert len(logs) == 3
    own = next(log for log in logs if log["hosted"])
    assert len(own["cosigners"]) == 2
    assert own["cosigned"] == own["size"]
    assert run("verify", "--deep", home=here).status == 0


def carry(one: Path, other: Path, bundle: Path) -> None:
    assert run("bundle", "want", bundle.with_suffix(".want"), home=other).status == 0
    made = run("bundle", "export", "--want", bundle.with_suffix(".want"), bundle, "--volume", "1", "--json", home=one)
    assert (made.status, made.err) == (0, "")
    taken = run("bundle", "import", *made.json()["volumes"], "--json", home=other)
    assert (taken.status, taken.json()["wrong"]) == (0, {})


def test_an_unzipped_bundle_is_a_mirror_behind_any_web_server(founded: Path, tmp_path: Path) -> None:
    charter = open_home(founded).charter
    assert charter is not None
    run("init", home=tmp_path / "second")
    open_home(tmp_path / "second").adopt(charter)
    run("bundle", "want", tmp_path / "want", home=tmp_path / "second")
    run("bundle", "export", "--want", tmp_path / "want", tmp_path / "b.zip", home=founded)
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        packed.extractall(tmp_path / "stick")
    with static_server(tmp_path / "stick") as url:
        run("peer", "add", url, home=tmp_path / "second")
        until(lambda: run("peer", "pull", home=tmp_path / "second").status == 0, "a mirror that answers")
    assert sizes(tmp_path / "second") == sizes(founded)
    assert run("blob", "list", "--json", home=tmp_path / "second").json()[0]["here"] is True
    assert run("verify", "--deep", home=tmp_path / "second").status == 0


def test_a_new_node_joins_through_a_mirror_that_takes_nothing(founded: Path, tmp_path: Path) -> None:
    """An applicant needs somebody who takes its log; who only watches does not."""
    nobody = open_home(founded).organisation
    (tmp_path / "want").write_text(json.dumps(json.loads(wanted_by_nobody(nobody))))
    run("bundle", "export", "--want", tmp_path / "want", tmp_path / "b.zip", home=founded)
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        packed.extractall(tmp_path / "stick")
    with static_server(tmp_path / "stick") as url:
        until(lambda: run("init", "--join", url, home=tmp_path / "watcher").status == 0, "a mirror that answers")
    assert sizes(tmp_path / "watcher") == sizes(founded)


def wanted_by_nobody(organisation: str) -> bytes:
    return b'{"organisation":"%s","sizes":{},"blobs":[]}' % organisation.encode()


# Crashes


def test_what_was_acknowledged_survives_a_kill_at_any_moment(demo: Path) -> None:
    token, kept = token_of(demo), []
    for _ in range(6):
        with serve(demo, pull_every=0) as node:
            writers = Writers(node, token)
            until(lambda: len(writers.told) >= 12, "records that were acknowledged")  # noqa: B023  called at once
            node.kill()
            kept += writers.ended()
    with serve(demo, pull_every=0) as node:
        for said in kept:
            assert leaf(node, said) == said["leaf"]
        assert node.stop() == 0
    assert len({(said["origin"], said["index"]) for said in kept}) == len(kept)
    assert run("verify", "--deep", home=demo).status == 0


class Writers:
    """Several who say one record after the other until nobody answers any more. `told` is what was acknowledged."""

    def __init__(self, node: Serving, token: str, count: int = 4) -> None:
        self.told: list[dict[str, Any]] = []
        self._over = Event()
        self._threads = [Thread(target=self._write, args=(node, token)) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _write(self, node: Serving, token: str) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            try:
                answer = node.say(token, "members.profile", profile(number))
                said = answer.json()
            except (OSError, ValueError, EOFError):
                return
            if answer.status == 201:
                self.told.append(said)

    def ended(self) -> list[dict[str, Any]]:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        return self.told


def test_a_restored_backup_recovers_from_its_peers_before_it_signs(tmp_path: Path) -> None:
    here, there, _ = found_together(tmp_path)
    ports = [free_port(), free_port()]
    run("peer", "add", f"http://127.0.0.1:{ports[1]}", home=here)
    run("peer", "add", f"http://127.0.0.1:{ports[0]}", home=there)
    with serve(there, port=ports[1], pull_every=1) as other:
        with serve(here, port=ports[0], pull_every=1) as node:
            until(lambda: spoken(node, token_of(here)), "a node that may sign")
            node.stop()
        shutil.copytree(here, tmp_path / "backup")
        with serve(here, port=ports[0], pull_every=1) as node:
            lost = until(lambda: spoken(node, token_of(here)), "a node that may sign")
            until(lambda: other.logs()[lost["origin"]]["size"] > lost["index"], "a peer that has the record")
            node.stop()
        shutil.rmtree(here)
        shutil.copytree(tmp_path / "backup", here)
        refused = run("record", "say", "members.profile", json.dumps(profile(2)), home=here)
        assert refused.status == 1
        assert "moved or restored from a backup" in refused.err
        with serve(here, port=ports[0], pull_every=1) as node:
            said = until(lambda: spoken(node, token_of(here)), "a node that has recovered")
            assert said["index"] > lost["index"]
            assert leaf(node, lost) == lost["leaf"]
            until(lambda: other.logs()[said["origin"]]["size"] > said["index"], "a peer that goes along")
            assert not any(log["disputed"] for log in (*node.logs().values(), *other.logs().values()))
    assert run("verify", "--deep", home=here).status == 0
