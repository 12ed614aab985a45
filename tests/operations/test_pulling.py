"""`concord pull` between nodes that serve on loopback, and what the stock clients make of what it leaves."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from concord.errors import MalformedError
from concord.home import open_home
from concord.operations.cache import Cache, Folder
from concord.pillars.commons import File
from concord.pillars.commons.card import card
from concord.private import damages
from concord.private.damages import Round
from concord.shelf import Draft, Shelf
from concord.testing import everything
from concord.testing.processes import Serving, command, copy_home, environment, serve, until
from concord.testing.proxy import PoorLine
from concord.testing.terminal import run

ROOT = Path(__file__).parents[2]
CLIENTS = sorted((ROOT / ".venv" / "clients").glob("*/bin/hf"))
WEIGHTS = os.urandom(9 << 20)
CARD = b"---\nlicense: mit\n---\n# Words\n"
REPO = "example-ke/words"


def share(home: Path, contents: dict[str, bytes], title: str, name: str = "words") -> str:
    """Commit files to a repo of the first member of a home, opened at need; the oid of the commit."""
    node = open_home(home)
    node.catch_up()
    me = everything(next(origin for origin in node.holdings.hosted() if origin.startswith("example-ke")))
    shelf = Shelf(node)
    known = [each for each in shelf.listed(me, me.origin) if each.name == name]
    repo = shelf.find(known[0], me) if known else shelf.open(me, "model", name, private=False)
    files = []
    for path, content in contents.items():
        if len(content) < 100_000:
            files.append(shelf.keep(repo, path, content))
            continue
        digest, size = shelf.content.take([content], sha256(content).hexdigest(), 1 << 30)
        shelf.content.give(repo, [digest])
        files.append(File(path=path, size=size, sha256=digest, xet=shelf.content.xet(digest)))
    said = card(contents["README.md"]) if "README.md" in contents else None
    return shelf.commit(me, repo, Draft("main", title, put=files, card=said)).oid


def xorbs(home: Path) -> int:
    """Bytes of the xorbs of a home."""
    return sum(path.stat().st_size for path in (home / "blobs/chunks/xorbs").glob("??/*"))


@pytest.fixture(scope="module")
def first(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A node that shares a repo."""
    home = copy_home(founded, tmp_path_factory.mktemp("first") / "home")
    share(home, {"README.md": CARD, "w.safetensors": WEIGHTS, "data/a b.json": b"{}", "data/same.json": b"{}"}, "The first version")
    with serve(home, pull_every=0) as node:
        yield node


@pytest.fixture(scope="module")
def watcher(first: Serving, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a node that has its logs."""
    home = tmp_path_factory.mktemp("watcher") / "home"
    assert run("init", "--join", first.url, home=home).status == 0
    return home


@pytest.fixture
def home(watcher: Path, tmp_path: Path) -> Path:
    return shutil.copytree(watcher, tmp_path / "mine")


def offline(hf: Path, cache: Path, code: str) -> str:
    """What a stock client prints that has no line."""
    env = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9", "PATH": os.environ["PATH"],
           "HOME": str(cache.parent)}  # fmt: skip
    done = subprocess.run([hf.with_name("python"), "-c", code], env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_a_pull_fills_the_cache_that_clients_read_without_a_line(home: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    done = run("pull", REPO, "--cache", cache, "--json", home=home)
    assert (done.status, done.err) == (0, "")
    told = done.json()
    folder = Path(told["folder"])
    assert (folder / "w.safetensors").read_bytes() == WEIGHTS
    assert (folder / "data" / "a b.json").read_bytes() == b"{}"
    assert (told["files"], told["written"]) == (4, 3)
    assert (cache / "models--example-ke--words/refs/main").read_text() == told["revision"] == folder.name
    assert not (folder / "README.md").readlink().is_absolute()
    assert {path.suffix for path in (cache / "models--example-ke--words/.concord").iterdir()} == {".tlog-proof", ".tree"}
    again = run("pull", REPO, "--cache", cache, "--json", home=home)
    assert again.json()["written"] == 0
    code = f"import huggingface_hub as h; p = h.snapshot_download({REPO!r}); print(p, h.hf_hub_download({REPO!r}, 'data/a b.json'))"
    for hf in CLIENTS:
        assert offline(hf, cache, code).split(" ", 1) == [str(folder), str(folder / "data/a b.json")]
    assert CLIENTS or not (ROOT / ".venv" / "clients").exists()


def test_a_pull_into_a_folder_takes_what_is_asked_for(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "words"
    done = run("pull", f"models/{REPO}", "--local-dir", target, "--include", "data/", "--exclude", "*same*", "--json", home=home)
    assert (done.status, done.json()["files"]) == (0, 1)
    assert (target / "data/a b.json").read_bytes() == b"{}"
    assert not (target / "README.md").exists()


def test_what_fits_nothing_is_said_and_nothing_is_written(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "words"
    done = run("pull", REPO, "--local-dir", target, "--include", "*.bin", "--exclude", "data/*", home=home)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "none of the 4 files fits --include '*.bin' --exclude 'data/*'. There is README.md, data/a b.json" in done.err
    assert not target.exists()
    done = run("pull", REPO, "--local-dir", target, "--exclude", "*", home=home)
    assert (done.status, "none of the 4 files fits --exclude '*'" in done.err) == (1, True)
    done = run("pull", REPO, "--local-dir", target, "--include", "*.bin", "--include", "*.md", home=home)
    assert (done.status, done.err) == (0, "--include '*.bin' fits no file\n")
    assert (target / "README.md").read_bytes() == CARD


def test_what_killed_runs_left_half_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    content, folder = b"whole", tmp_path / "words"
    folder.mkdir()
    file = File(path="a.txt", size=5, sha256=sha256(content).hexdigest())
    left = folder / "a.txt.0123abcd.incomplete"
    others = [
        folder / name for name in ("a.txt.4567cdef.incomplete", "b.txt.0123abcd.incomplete", "a.txt.incomplete", "incomplete")
    ]
    for path in (left, *others):
        path.write_bytes(b"ha")
    with others[0].open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        Folder(folder, "ab" * 20).put(file, [content], lambda _: None)
    assert not left.exists()
    assert all(path.exists() for path in others)
    assert (folder / "a.txt").read_bytes() == content


@pytest.mark.parametrize("path", [".concord/x.tlog-proof", ".Concord/x.tree", ".cache/huggingface/download/a.json.metadata"])
def test_no_file_of_a_repo_takes_the_place_of_a_receipt(path: str, tmp_path: Path) -> None:
    content = b"forged"
    file = File(path=path, size=len(content), sha256=sha256(content).hexdigest())
    folder, cache = Folder(tmp_path / "words", "ab" * 20), Cache(tmp_path / "hub", "model", "ke/words", "ab" * 20)
    for ask in (folder.has, lambda file: folder.put(file, [content], lambda _: None)):
        with pytest.raises(MalformedError, match="not for files of a repo"):
            ask(file)
    assert not (tmp_path / "words").exists()
    cache.put(file, [content], lambda _: None)
    cache.link(file)
    assert (cache.folder / path).read_bytes() == content


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["example-ke/never"], "there is no model example-ke/never\n"),
        (["nobody/words"], "nobody here is called"),
        (["words"], "not the id of a repo"),
        ([REPO, "--revision", "never"], "has no revision"),
        ([REPO, "--type", "dataset"], f"there is no dataset {REPO}. Do you mean models/{REPO}?"),
        ([f"datasets/{REPO}", "--type", "model"], "is no model"),
        ([REPO, "--cache", "a", "--local-dir", "b"], "not both"),
    ],
)
def test_what_cannot_be_pulled_is_said_in_one_line(home: Path, words: list[str], wrong: str) -> None:
    done = run("pull", *words, home=home)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert wrong in done.err


def test_without_a_line_what_is_here_counts_and_its_age_is_said(home: Path, tmp_path: Path, first: Serving) -> None:
    assert run("pull", REPO, "--cache", tmp_path / "one", home=home).status == 0
    run("peer", "remove", first.url, home=home)
    run("peer", "add", "http://127.0.0.1:9", home=home)
    done = run("pull", REPO, "--cache", tmp_path / "two", home=home)
    assert done.status == 0
    assert "nobody was heard" in done.err
    assert (Path(done.out.splitlines()[0]) / "w.safetensors").read_bytes() == WEIGHTS


def test_a_pull_that_is_killed_goes_on_where_it_was_and_the_next_version_costs_what_is_new(founded: Path, tmp_path: Path) -> None:
    source = copy_home(founded, tmp_path / "source")
    share(source, {"w.safetensors": WEIGHTS}, "The first version")
    with serve(source, pull_every=0) as node:
        assert run("init", "--join", node.url, home=tmp_path / "mine").status == 0
        run("peer", "remove", node.url, home=tmp_path / "mine")
        with PoorLine(node.port, rate=3_000_000, every=700_000) as line:
            words = ["pull", REPO, "--cache", str(tmp_path / "hub"), "--from", line.url]
            for mark in (2_000_000, 5_000_000):
                process = subprocess.Popen([*command(), "--home", tmp_path / "mine", *words], env=environment(), stderr=sys.stderr)
                until(lambda: line.bytes > mark, "a pull that has begun")  # noqa: B023  called at once
                process.kill()
                process.wait()
            done = run(*words, home=tmp_path / "mine")
            assert done.status == 0, done.err
            assert (Path(done.out.splitlines()[0]) / "w.safetensors").read_bytes() == WEIGHTS
            assert line.resets > 3
            assert line.bytes < 1.2 * len(WEIGHTS)
            before, new = line.bytes, bytearray(WEIGHTS)
            new[4 << 20 : 5 << 20] = os.urandom(1 << 20)
            stored = xorbs(source)
            share(source, {"w.safetensors": bytes(new)}, "The second version")
            done = run(*words, home=tmp_path / "mine")
            assert (Path(done.out.splitlines()[0]) / "w.safetensors").read_bytes() == new
            assert line.bytes - before < 1.2 * (xorbs(source) - stored) + 60_000


def test_a_file_comes_from_two_nodes_at_once_and_one_may_die(first: Serving, watcher: Path, tmp_path: Path) -> None:
    second, mine = shutil.copytree(watcher, tmp_path / "second"), shutil.copytree(watcher, tmp_path / "mine")
    assert run("pull", REPO, "--cache", tmp_path / "hub", home=second).status == 0
    with ExitStack() as stack:
        other = stack.enter_context(serve(second, pull_every=0))
        slow = [stack.enter_context(PoorLine(node.port, rate=2_000_000)) for node in (first, other)]
        words = ["pull", REPO, "--cache", str(tmp_path / "mine-hub"), "--json"]
        words += [word for line in slow for word in ("--from", line.url)]
        process = subprocess.Popen([*command(), "--home", mine, *words], env=environment(), stdout=subprocess.PIPE)
        until(lambda: all(line.bytes > 1_500_000 for line in slow), "bytes from both")
        other.kill()
        out, _ = process.communicate(timeout=60)
        assert (Path(json.loads(out)["folder"]) / "w.safetensors").read_bytes() == WEIGHTS


def test_a_node_that_keeps_all_fetches_by_itself(watcher: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(watcher, tmp_path / "mine")
    with serve(mine, pull_every=1, keep="all") as node:
        until(lambda: xorbs(mine) >= len(WEIGHTS), "files that came by themselves")
        until(
            lambda: "X-Xet-Hash" in node.get(f"/{REPO}/resolve/main/w.safetensors", Range="bytes=0-1").headers,
            "a file that is here",
        )


def flip(home: Path) -> None:
    """Change a byte of what a home has of the weights, and let all that is stored be due to be read through."""
    (path,) = [path for path in (home / "blobs/chunks/xorbs").glob("??/*") if path.stat().st_size > 5 << 20]
    raw = bytearray(path.read_bytes())
    raw[3 << 20] ^= 1
    path.write_bytes(raw)
    with open_home(home).private_writing() as db:
        damages.put_round(db, Round(0))


def test_a_byte_that_the_disk_changed_is_mended_with_nobody_reading_it(watcher: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(watcher, tmp_path / "mine")
    assert run("pull", REPO, "--cache", tmp_path / "hub", home=mine).status == 0
    flip(mine)
    with serve(mine, pull_every=1) as node:
        until(lambda: ", mended " in run("log", "status", home=mine).err, "a xorb that is mended")
        assert "the disk lost something: xorb" in node.said() and "w.safetensors of example-ke/words came again" in node.said()
        assert node.get(f"/{REPO}/resolve/main/w.safetensors").body == WEIGHTS
        assert "All of it is mended." in node.get("/peers").body.decode()
        assert node.stop() == 0
    assert run("verify", "--deep", home=mine).status == 0


def test_what_no_peer_has_is_told_with_what_to_do_and_never_served(watcher: Path, first: Serving, tmp_path: Path) -> None:
    mine = shutil.copytree(watcher, tmp_path / "mine")
    assert run("pull", REPO, "--cache", tmp_path / "hub", home=mine).status == 0
    run("peer", "remove", first.url, home=mine)
    flip(mine)
    with serve(mine, pull_every=1) as node:
        told = until(lambda: (said := run("log", "status", home=mine).err) and "Not mended: " in said and said, "what is lost")
        assert "w.safetensors of example-ke/words: nobody who was asked has file" in told and "concord peer add" in told
        assert "is not mended: what it took is not served" in node.get("/peers").body.decode()
        assert "safetensors" not in node.get("/peers").body.decode(), "what is lost is named for who runs the node alone"
        assert node.get(f"/{REPO}/resolve/main/w.safetensors").status in (404, 500, 503)
        assert node.get(f"/{REPO}/resolve/main/README.md").body == CARD


@pytest.mark.skipif(not CLIENTS, reason="no client is prepared: say `make clients`")
@pytest.mark.parametrize("hf", CLIENTS, ids=lambda path: path.parts[-3])
def test_a_stock_client_downloads_through_a_second_node_from_the_first(hf: Path, watcher: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(watcher, tmp_path / "mine")
    with serve(mine, pull_every=0) as node:
        env = {"HF_ENDPOINT": node.url, "HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path), "PATH": os.environ["PATH"],
               "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
        for turn in range(2):  # the second time chunk by chunk, from what the node has now
            line = [hf, "download", REPO, "--local-dir", tmp_path / f"out{turn}"]
            done = subprocess.run(line, env=env, capture_output=True, timeout=120, check=False)
            assert done.returncode == 0, done.stderr.decode()
            assert (tmp_path / f"out{turn}" / "w.safetensors").read_bytes() == WEIGHTS
            until(lambda: xorbs(mine) >= len(WEIGHTS), "a file that has landed")
            shutil.rmtree(tmp_path / "hf")
