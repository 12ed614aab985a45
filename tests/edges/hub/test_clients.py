"""Real clients from PyPI, each in an environment of its own (`make clients`), against a node that serves."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clients import VERSIONS, WAYS, Client, meeting, prepared

from concord.content import Content
from concord.home import open_home
from concord.operations import demonstration
from concord.testing.processes import Serving, copy_home, free_port, serve, until
from concord.testing.terminal import run

JOURNEYS = (
    "whoami_and_repos upload_and_download large_folder many_parts commits talk finding lists duplicates gates file_system".split()
)
LIBRARIES = "datasets_load datasets_stream datasets_push configuration_and_tokenizer safetensors_read pandas_read_and_write".split()
WEIGHTS = "transformers_pipeline weights_give_the_numbers_of_the_card".split()


@pytest.fixture(scope="module")
def home(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_home(founded, tmp_path_factory.mktemp("hub") / "home")


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[Serving]:
    with serve(home, pull_every=0) as serving:
        yield serving


@pytest.fixture(scope="module")
def token(home: Path) -> str:
    return run("token", "create", home=home).out.strip()


@pytest.fixture(params=[(version, way) for version in VERSIONS for way in WAYS], ids="-".join)
def client(request: pytest.FixtureRequest, node: Serving, token: str, tmp_path: Path) -> Client:
    version, way = request.param
    return Client(prepared(version), meeting(node.url, token, tmp_path, way))


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_client_notices_no_difference(client: Client, journey: str, tmp_path: Path) -> None:
    client.python(Path(__file__).with_name("journeys.py"), journey, tmp_path)


def test_every_method_of_the_newest_client_is_answered_or_known_not_to_be(node: Serving, token: str, tmp_path: Path) -> None:
    newest = Client(prepared(VERSIONS[-1]), meeting(node.url, token, tmp_path, "plain"))
    newest.python(Path(__file__).with_name("every_method.py"), tmp_path)


def test_the_command_of_a_client_uploads_and_downloads(client: Client, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "words.txt").write_text("maji")
    (source / "weights.bin").write_bytes(os.urandom(100_000))
    repo = f"example-ke/cli-{client.tag}"
    client.hf("upload", repo, source, ".", "--commit-message", "By hand")
    client.hf("download", repo, "--local-dir", target)
    for name in ("words.txt", "weights.bin"):
        assert (target / name).read_bytes() == (source / name).read_bytes()


def test_a_repo_that_was_downloaded_is_read_without_a_line(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    repo = f"example-ke/offline-{client.tag}"
    client.hf("upload", repo, tmp_path / "a.txt", "a.txt")
    code = f"import huggingface_hub as h; print(open(h.hf_hub_download({repo!r}, 'a.txt')).read())"
    assert client.python("-c", code).stdout.strip() == b"a"
    client.env["HF_HUB_OFFLINE"] = "1"
    client.env["HF_ENDPOINT"] = "http://127.0.0.1:9"
    assert client.python("-c", code).stdout.strip() == b"a"


# What builds on the clients


@pytest.fixture
def libraries(node: Serving, token: str, tmp_path: Path) -> Client:
    return Client(prepared("transformers"), meeting(node.url, token, tmp_path, "xet"))


@pytest.mark.parametrize("journey", LIBRARIES)
def test_the_libraries_load_what_the_demonstration_publishes(libraries: Client, journey: str, tmp_path: Path) -> None:
    libraries.python(Path(__file__).with_name("library_journeys.py"), journey, tmp_path)


@pytest.mark.parametrize("journey", WEIGHTS)
def test_the_weights_that_the_demonstration_publishes_run(libraries: Client, journey: str, tmp_path: Path) -> None:
    if not list(libraries.place.glob("lib/python*/site-packages/torch")):
        pytest.skip(
            "torch is not in .venv/clients/transformers: pip is told of no folder with torch 2.13.0 (requirements/clients.sh)"
        )
    libraries.python(Path(__file__).with_name("library_journeys.py"), journey, tmp_path)


def test_a_site_mirrors_the_node_and_goes_on_when_it_is_gone(home: Path, tmp_path: Path) -> None:
    """olah keeps what its clients fetched through it as plain files; by Xet they would fetch from the node itself."""
    newest, copied = prepared(VERSIONS[-1]), shutil.copytree(home, tmp_path / "copied")
    with serve(copied, pull_every=0) as node:
        with mirror(tmp_path, node, offline=False) as url:
            assert downloaded(newest, url, tmp_path / "by-xet", "xet") == demonstration.model()
            assert downloaded(newest, url, tmp_path / "first", "plain") == demonstration.model()
        node.stop()
        with mirror(tmp_path, node, offline=True) as url:
            assert downloaded(newest, url, tmp_path / "second", "plain") == demonstration.model()


@contextmanager
def mirror(folder: Path, node: Serving, *, offline: bool) -> Iterator[str]:
    """olah in front of a node; what it keeps lies in `folder`."""
    place, port, log = prepared("olah", "peers"), free_port(), folder / f"olah-{offline}.log"
    there, here = node.url.removeprefix("http://"), f"127.0.0.1:{port}"
    basic = {"host": "127.0.0.1", "port": port, "repos-path": str(folder / "repos")}
    basic |= {"hf-scheme": "http", "hf-netloc": there, "hf-lfs-netloc": there}
    basic |= {"mirror-scheme": "http", "mirror-netloc": here, "mirror-lfs-netloc": here}
    said = "".join(f"{name} = {json.dumps(value)}\n" for name, value in basic.items())
    (folder / "olah.toml").write_text(f"[basic]\n{said}[accessibility]\noffline = {json.dumps(offline)}\n")
    line = [place / "bin" / "olah-cli", "--config", folder / "olah.toml", "--log-path", folder / "logs"]
    with log.open("wb") as out, subprocess.Popen(list(map(str, line)), stdout=out, stderr=out, cwd=folder) as olah:
        try:
            until(lambda: b"Uvicorn running" in log.read_bytes(), "a mirror that serves")
            yield f"http://{here}"
        finally:
            olah.kill()


def downloaded(place: Path, url: str, folder: Path, way: str) -> dict[str, bytes]:
    """The files of the demonstration's model, as a client with nothing in its cache gets them."""
    folder.mkdir()
    Client(place, meeting(url, "", folder, way)).hf("download", "example-kz/name-language", "--local-dir", folder / "got")
    got = [path for path in (folder / "got").rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {path.relative_to(folder / "got").as_posix(): path.read_bytes() for path in got}


# Chunk by chunk


def stored(home: Path) -> dict[str, int]:
    """The xorbs of a node and their bytes on disk."""
    return {path.name: path.stat().st_size for path in (home / "blobs/chunks/xorbs").glob("??/" + "[0-9a-f]" * 64)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_of_a_file_that_changed_a_little_a_node_keeps_little_and_gives_all(
    version: str, way: str, home: Path, node: Serving, token: str, tmp_path: Path
) -> None:
    """Each time from a client that has nothing in its caches, so that it knows of the other file by what the node answers alone."""
    place = prepared(version)
    content = bytearray(os.urandom(24 << 20))
    env = meeting(node.url, token, tmp_path, way)
    grown = []
    for number in range(2):
        content[number << 20 : (number << 20) + 100] = bytes(100)
        (tmp_path / "w.bin").write_bytes(content)
        client = Client(place, {**env, "HF_HOME": str(tmp_path / f"hf{number}")})
        before = stored(home)
        repo = f"example-ke/changed-{version.replace('.', '-')}-{way}-{number}"
        client.hf("upload", repo, tmp_path / "w.bin", "w.bin")
        new = {name: size for name, size in stored(home).items() if name not in before}
        assert all(bool(Content(open_home(home)).brought(name)) == (way == "xet") for name in new)
        grown.append(sum(new.values()))
        fetching = Client(place, {**env, "HF_HOME": str(tmp_path / f"other{number}")})
        fetching.hf("download", repo, "w.bin", "--local-dir", tmp_path / f"out{number}")
        assert (tmp_path / f"out{number}" / "w.bin").read_bytes() == content
    assert grown[0] >= len(content)
    assert grown[1] < len(content) // 4
