"""publish, commons, verify of folders and repos: what a member shares from the command line, and how anybody checks it later."""

import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from concord.cli.commons import split
from concord.content import Content
from concord.home import open_home
from concord.operations.receipts import save
from concord.pillars.commons.attributes import NAME, REGULAR_MAX
from concord.private.tables import content as content_table
from concord.shelf import Shelf
from concord.testing.processes import concord, copy_home, environment, serve
from concord.testing.terminal import run

FILES = {"README.md": b"# Words\n", "config.json": b"{}\n", "weights.bin": bytes(range(256)) * 600, "data/a.txt": b"a\n"}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, raw in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "words", FILES)


def publish(folder: Path, home: Path, *words: str | Path, repo: str = "words") -> dict[str, object]:
    done = run("publish", folder, repo, "--json", *words, home=home)
    assert done.status == 0, done.err
    told: dict[str, object] = done.json()
    return told


def show(repo: str, home: Path, *words: str) -> dict[str, object]:
    told: dict[str, object] = run("commons", "show", repo, "--json", *words, home=home).json()
    return told


def paths(told: dict[str, object]) -> set[str]:
    files = told["files"]
    assert isinstance(files, list)
    return {file["path"] for file in files}


# publish


def test_a_folder_becomes_one_commit_and_the_second_time_none(folder: Path, demo: Path) -> None:
    write(folder, {".git/HEAD": b"x", ".cache/x": b"x", "data/__pycache__/x.pyc": b"x", ".concord/x": b"x"})
    options = ("--license", "Apache-2.0", "--language", "sw", "--title", 'Words: "all"')
    first = publish(folder, demo, *options)
    assert (first["repo"], first["opened"], first["changed"], first["files"]) == ("example-ke/words", True, 5, 5)
    assert (folder / "README.md").read_bytes() == FILES["README.md"]
    told = show("example-ke/words", demo)
    assert paths(told) == {*FILES, NAME}
    assert all(file["here"] for file in told["files"])  # type: ignore[attr-defined]
    assert {file["path"] for file in told["files"] if file["large"]} == {"weights.bin"}  # type: ignore[attr-defined]
    assert (told["license"], told["languages"], told["title"], told["card"]) == (
        {"said": "apache-2.0", "id": "Apache-2.0", "name": "Apache License 2.0", "open": True},
        ["sw"],
        'Words: "all"',
        "# Words",
    )
    for again in ((), options):
        second = publish(folder, demo, *again)
        assert (second["commit"], second["changed"], second["opened"]) == (first["commit"], 0, False)
    assert len(show("words", demo)["commits"]) == 1  # type: ignore[arg-type]
    write(folder, {"config.json": b'{"a": 1}\n'})
    third = publish(folder, demo, "--message", "Say a", "--exclude", "data/")
    assert (third["changed"], third["files"]) == (1, 3)
    told = show("words", demo)
    assert paths(told) == {*FILES, NAME}
    assert told["commits"][0]["title"] == "Say a"  # type: ignore[index]
    assert told["provenance"]["cosigned"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("readme", "whole"),
    [
        (b"# Words\n", b"---\nlicense: mit\n---\n# Words\n"),
        (b"", b"---\nlicense: mit\n---\n"),
        (b"---\ntags: [x]\n---\ntext", b"---\nlicense: mit\ntags: [x]\n---\ntext"),
        (b"---\r\ntags: [x]\r\n---\r\ntext\r\n", b"---\r\nlicense: mit\r\ntags: [x]\r\n---\r\ntext\r\n"),
        (b"\xef\xbb\xbf---\ntags: [x]\n---\n", b"\xef\xbb\xbf---\nlicense: mit\ntags: [x]\n---\n"),
        (b"---\n---\ntext", b"---\nlicense: mit\n---\ntext"),
        (b"---\nlicense: MIT\n---\n", b"---\nlicense: MIT\n---\n"),
        (None, b"---\nlicense: mit\n---\n# words\n"),
    ],
)
def test_the_card_names_the_licence_and_keeps_its_words(
    readme: bytes | None, whole: bytes, folder: Path, demo: Path, tmp_path: Path
) -> None:
    (folder / "README.md").unlink()
    if readme is not None:
        (folder / "README.md").write_bytes(readme)
    publish(folder, demo, "--license", "mit")
    node = open_home(demo)
    node.catch_up()
    shelf = Shelf(node)
    repo = shelf.find(shelf.repo_id("model", "example-ke", "words"), None)
    revision = repo.find("main")
    assert b"".join(shelf.read(repo, shelf.tree(repo, revision)["README.md"])) == whole
    assert revision.commit.card.license.lower() == "mit"


def test_a_card_that_the_repo_has_and_the_folder_lacks_is_not_called_the_folders(folder: Path, demo: Path) -> None:
    (folder / "README.md").unlink()
    publish(folder, demo, "--license", "mit")
    done = run("publish", folder, "words", "--license", "apache-2.0", home=demo)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "the README.md that the repo has says license: mit, and not apache-2.0. The folder has none" in done.err


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({}, (), "no licence is named"),
        ({}, ("--license", "apache2"), "perhaps apache-2.0"),
        (
            {"README.md": b"---\nlicense: mit\n---\n"},
            ("--license", "apache-2.0"),
            "says license: mit, and not apache-2.0",
        ),
        ({"README.md": b"---\nlicense: [\n---\n"}, ("--license", "mit"), "front matter that is no YAML"),
        ({}, ("--license", "mit", "--language", "Swahili"), "is no language"),
        ({"readme.md": b"x"}, ("--license", "mit"), "are one on disks"),
        ({"Data/b.txt": b"x"}, ("--license", "mit"), "data and Data are one on disks"),
        ({"data/nul.txt": b"x"}, ("--license", "mit"), "no Windows disk takes"),
        ({"what?.txt": b"x"}, ("--license", "mit"), "no Windows disk takes"),
        ({"a\nb": b"x"}, ("--license", "mit"), "control character"),
        ({"a\\b": b"x"}, ("--license", "mit"), "backslash"),
        ({}, ("--license", "mit", "--include", "*.onnx"), "has no files to publish"),
        ({}, ("--license", "mit", "--type", "film"), "there is no type 'film'"),
        ({}, ("--license", "mit", "--member", "example-br"), "is not a repo of example-br"),
    ],
)
def test_what_cannot_be_published_opens_no_repo(
    files: dict[str, bytes], options: tuple[str, ...], words: str, folder: Path, demo: Path
) -> None:
    write(folder, files)
    done = run("publish", folder, "example-ke/words", *options, home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert words in done.err
    assert "example-ke/words" not in {row["repo"] for row in run("commons", "list", "--json", home=demo).json()}


@pytest.mark.parametrize("repo", ["", "/", "a/b/c", "..", "example-ke/", "api", "models", "x--y", "nobody/words", "datasets/"])
def test_names_that_no_repo_has(repo: str, folder: Path, founded: Path) -> None:
    done = run("publish", folder, repo, "--license", "mit", home=founded)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def test_links_and_pipes(folder: Path, demo: Path, tmp_path: Path) -> None:
    (folder / "again.txt").symlink_to("data/a.txt")
    publish(folder, demo, "--license", "mit")
    assert "again.txt" in paths(show("words", demo))
    for make, words in (
        (lambda path: path.symlink_to(tmp_path / "home" / "concord.toml"), "is a link"),
        (lambda path: path.symlink_to("/etc/hostname"), "leads out of the folder"),
        (lambda path: path.symlink_to("odd"), "leads nowhere"),
        (lambda path: path.symlink_to("data"), "is no file"),
        (os.mkfifo, "is no file"),
    ):
        make(folder / "odd")
        done = run("publish", folder, "words", home=demo)
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert words in done.err
        (folder / "odd").unlink()


def test_names_that_are_no_text_cannot_be_published(folder: Path, founded: Path) -> None:
    with open(os.fsencode(folder) + b"/\xff", "wb"):  # noqa: PTH123  a name of bytes
        pass
    done = run("publish", folder, "words", "--license", "mit", home=founded)
    assert (done.status, done.err.count("\n")) == (1, 1)


def test_a_folder_that_is_not_there_or_empty(tmp_path: Path, founded: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, words in (("nothing", "is no folder"), ("empty", "has no files to publish")):
        done = run("publish", tmp_path / name, "words", "--license", "mit", home=founded)
        assert done.status == 1
        assert words in done.err


def test_private_stays_private_and_public_stays_public(folder: Path, demo: Path) -> None:
    assert publish(folder, demo, "--license", "mit", "--private")["private"] is True
    write(folder, {"new.txt": b"x"})
    second = publish(folder, demo)
    assert second["private"] is True
    told = show("words", demo)
    assert (told["private"], told["provenance"]) == (True, None)
    publish(folder, demo, "--license", "mit", repo="datasets/open")
    now = publish(folder, demo, "--public")
    assert (now["private"], now["changed"], now["commit"]) == (False, 0, second["commit"])
    assert show("words", demo)["provenance"] is not None
    assert "and nothing was said" in run("publish", folder, "words", "--public", home=demo).out
    done = run("publish", folder, "datasets/open", "--private", home=demo)
    assert "what was public stays public" in done.err


def test_another_licence_is_named_in_the_card(folder: Path, demo: Path) -> None:
    publish(folder, demo, "--license", "mit")
    done = run("publish", folder, "words", "--license", "apache-2.0", home=demo)
    assert (done.status, "the repo's card names the licence mit" in done.err) == (1, True)
    write(folder, {"README.md": b"---\nlicense: apache-2.0\n---\n"})
    publish(folder, demo)
    assert show("words", demo)["license"]["id"] == "Apache-2.0"  # type: ignore[index]


def test_for_another_member_of_the_node(folder: Path, demo: Path) -> None:
    assert publish(folder, demo, "--license", "mit", "--member", "example-br")["repo"] == "example-br/words"
    assert publish(folder, demo, "--license", "mit", repo="example-kz/words")["repo"] == "example-kz/words"
    rows = run("commons", "list", "--json", home=demo).json()
    assert {row["repo"] for row in rows if row["repo"].endswith("/words")} == {"example-br/words", "example-kz/words"}


def test_large_text_is_a_large_file_and_the_folders_own_rule_counts(folder: Path, demo: Path) -> None:
    write(folder, {"long.txt": b"a\n" * (REGULAR_MAX // 2 + 1), "x.special": b"text", NAME: b"*.special filter=lfs\n"})
    publish(folder, demo, "--license", "mit")
    told = show("words", demo)
    large = {file["path"] for file in told["files"] if file["large"]}  # type: ignore[attr-defined]
    assert large == {"long.txt", "x.special", "weights.bin"}
    for path, raw in (("long.txt", b"a\n" * (REGULAR_MAX // 2 + 1)), ("x.special", b"text")):
        assert read(demo, path) == raw


def read(home: Path, path: str) -> bytes:
    node = open_home(home)
    node.catch_up()
    shelf = Shelf(node)
    repo = shelf.find(shelf.repo_id("model", "example-ke", "words"), None)
    return b"".join(shelf.read(repo, shelf.tree(repo, repo.find("main"))[path]))


def test_it_works_beside_a_server(folder: Path, demo: Path) -> None:
    with serve(demo, pull_every=0) as node:
        done = concord("publish", folder, "words", "--license", "mit", home=demo)
        assert (done.status, done.err) == (0, "")
        assert node.get("/example-ke/words/resolve/main/config.json").body == FILES["config.json"]
        write(folder, {"config.json": b"[]\n"})
        assert concord("publish", folder, "words", home=demo).status == 0
        assert node.get("/example-ke/words/resolve/main/config.json").body == b"[]\n"


# commons


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("a/b", None, ("model", "a", "b")),
        ("b", None, ("model", "", "b")),
        ("datasets/a/b", None, ("dataset", "a", "b")),
        ("spaces/b", None, ("space", "", "b")),
        ("a/b", "dataset", ("dataset", "a", "b")),
        ("datasets/b", "dataset", ("dataset", "", "b")),
        ("datasets/a/b", "dataset", ("dataset", "a", "b")),
    ],
)
def test_names_of_repos(name: str, kind: str | None, found: tuple[str, str, str]) -> None:
    assert split(name, kind) == found


@pytest.fixture(scope="module")
def stocked(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three repos."""
    place = tmp_path_factory.mktemp("commons")
    home = copy_home(founded, place / "home")
    folder = write(place / "words", FILES)
    publish(folder, home, "--license", "mit", "--language", "sw", "--title", "Speech of the coast", repo="speech")
    publish(folder, home, "--license", "cc-by-4.0", "--language", "sw", "--language", "en", repo="datasets/example-br/corpus")
    publish(folder, home, "--license", "mit", "--private", repo="example-kz/secret")
    return home


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (["list"], {"speech", "corpus", "secret"}),
        (["list", "--member", "example-br"], {"corpus"}),
        (["list", "--type", "model"], {"speech", "secret"}),
        (["search", "coast"], {"speech"}),
        (["search", "speech", "coast"], {"speech"}),
        (["search", "sw"], {"speech", "corpus"}),
        (["search", "sw", "--license", "CC-BY-4.0"], {"corpus"}),
        (["search", "sw", "--type", "dataset", "--sort", "name"], {"corpus"}),
        (["search", "sw", "--language", "en"], {"corpus"}),
        (["search", "nothing"], set()),
    ],
)
def test_finding_repos(line: list[str], names: set[str], stocked: Path) -> None:
    rows = run("commons", *line, "--json", home=stocked).json()
    assert {row["repo"].partition("/")[2] for row in rows} & {"speech", "corpus", "secret"} == names
    shown = run("commons", *line, home=stocked)
    assert (shown.status, shown.err) == (0, "")
    assert all(name in shown.out for name in names)


@pytest.mark.parametrize("line", [["search", "x", "--sort", "size"], ["list", "--type", "film"], ["list", "--member", "nobody"]])
def test_what_cannot_be_asked(line: list[str], stocked: Path) -> None:
    done = run("commons", *line, home=stocked)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def test_more_than_is_shown_is_told(stocked: Path) -> None:
    count = len(run("commons", "list", "--json", home=stocked).json())
    done = run("commons", "list", "--limit", "1", home=stocked)
    assert (done.status, done.err) == (0, f"{count - 1} more: see --limit\n")


def test_a_repo_is_shown(stocked: Path) -> None:
    done = run("commons", "show", "speech", home=stocked)
    assert (done.status, done.err) == (0, "")
    for words in (
        "example-ke/speech (model) Speech of the coast",
        "licence   mit (MIT License, an open licence)",
        "no class reached; for class 3 there lack",
        "languages sw",
        "5 files",
        "well cosigned",
        "weights.bin",
        "# Words",
    ):
        assert words in done.out
    assert run("commons", "show", "speech", "--revision", "nothing", home=stocked).status == 1
    assert run("commons", "show", "nothing", home=stocked).status == 1


def test_clearing_away(stocked: Path, tmp_path: Path) -> None:
    done = run("commons", "gc", "--dry-run", home=stocked)
    assert (done.status, done.out) == (0, "0 files and 0 xorbs would go, 0 bytes\n")
    assert run("commons", "gc", "--older-than", "1", home=stocked).status == 2
    node = open_home(stocked)
    digest = Content(node).keep(b"left behind")
    old = time.time() - 100 * 3600
    os.utime(node.blobs.open(digest), (old, old))
    done = run("commons", "gc", "--dry-run", home=stocked)
    assert done.out == f"file {digest}\n1 files and 0 xorbs would go, 11 bytes\n"
    told = run("commons", "gc", "--json", home=stocked).json()
    assert told == {"files": [digest], "xorbs": [], "bytes": 11, "kept": [], "dry_run": False}
    assert run("verify", "--deep", home=stocked).status == 0


# verify


@pytest.fixture
def downloaded(stocked: Path, tmp_path: Path) -> Path:
    """The files of a repo with their receipt, and beside them a policy."""
    node = open_home(stocked)
    node.catch_up()
    shelf = Shelf(node)
    repo = shelf.find(shelf.repo_id("model", "example-ke", "speech"), None)
    revision = repo.find("main")
    tree = shelf.tree(repo, revision)
    write(tmp_path / "down", {path: b"".join(shelf.read(repo, file)) for path, file in tree.items()})
    save(node, repo, revision, tmp_path / "down", alone=True)
    assert run("log", "policy", "example-ke", "-o", tmp_path / "policy", home=stocked).status == 0
    return tmp_path / "down"


NO_NETWORK = """
import socket, sys
def refuse(*_): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
from concord.cli.app import main
sys.argv = ["concord", *sys.argv[1:]]
main()
"""


def test_a_folder_is_verified_with_no_home_and_no_network(downloaded: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, "--home", tmp_path / "none", "verify", downloaded, "--policy", tmp_path / "policy"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 files are those of commit" in done.stdout
    assert "of the model example-ke/speech, by example-ke, cosigned by 5 of 5" in done.stdout
    assert not (tmp_path / "none").exists()


def test_a_folder_is_verified_with_a_home(downloaded: Path, stocked: Path) -> None:
    told = run("verify", downloaded, "--json", home=stocked).json()
    assert (told["ok"], told["snapshots"][0]["good"], len(told["snapshots"][0]["cosigners"])) == (True, 5, 5)


def test_what_is_wrong_in_a_folder_ends_with_status_1(downloaded: Path, stocked: Path) -> None:
    (downloaded / "extra\x1b[2J").touch()
    (downloaded / "config.json").unlink()
    done = run("verify", downloaded, home=stocked)
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    assert "not here: config.json" in done.out
    assert run("verify", downloaded, "--whole", home=stocked).status == 1
    (downloaded / "weights.bin").write_bytes(b"something else")
    done = run("verify", downloaded, home=stocked)
    assert done.status == 1
    assert "weights.bin has 14 bytes" in done.err
    assert run("verify", downloaded, "--json", home=stocked).json()["ok"] is False


def test_whom_to_trust_must_be_said(downloaded: Path, tmp_path: Path) -> None:
    done = run("verify", downloaded, home=tmp_path / "none")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "Give a policy with --policy" in done.err
    (tmp_path / "other").write_text((tmp_path / "policy").read_text().replace("log ", "# ", 1))
    assert run("verify", downloaded, "--policy", tmp_path / "other", home=tmp_path / "none").status == 1
    assert run("verify", tmp_path / "nothing", "--policy", tmp_path / "policy").status == 1


@pytest.mark.parametrize("name", ["speech", "example-ke/speech", "datasets/example-br/corpus", "example-kz/secret"])
def test_a_repo_of_the_home_is_verified(name: str, stocked: Path) -> None:
    for deep in ((), ("--deep",)):
        told = run("verify", name, *deep, "--json", home=stocked).json()
        assert told["ok"] is True
        assert any(finding["what"] == "5 of 5 files here" for finding in told["findings"])
        assert any(finding["what"].startswith("commit ") for finding in told["findings"]) is (name != "example-kz/secret")


def test_damage_to_what_a_repo_has_is_found(folder: Path, demo: Path) -> None:
    publish(folder, demo, "--license", "mit")
    chunks = open_home(demo).chunks
    entry = chunks.by_digest(sha256(FILES["weights.bin"]).hexdigest())
    assert entry is not None
    plan = chunks.reconstruction(entry.hash)
    assert plan is not None
    xorb = chunks.open_xorb(plan.spans[0].xorb)
    raw = bytearray(xorb.read_bytes())
    raw[100] ^= 1
    xorb.write_bytes(raw)
    assert run("verify", "words", home=demo).status == 0
    for line in (["verify", "words", "--deep"], ["verify", "--deep"]):
        done = run(*line, home=demo)
        assert done.status == 1
        assert "Set it aside" in done.err
    assert "is set aside now" in run("verify", "--deep", "--set-aside", home=demo).err
    assert "1 of its parts are not here" in run("verify", "words", home=demo).err
    publish(folder, demo)
    assert run("verify", "words", "--deep", home=demo).status == 0
    assert run("verify", "--deep", home=demo).status == 0


def test_bytes_that_are_noted_and_gone_are_told(folder: Path, demo: Path) -> None:
    publish(folder, demo, "--license", "mit")
    node = open_home(demo)
    with node.private_writing() as db:
        db.execute(content_table.insert().values(repo="ab" * 32, sha256="cd" * 32))
    done = run("verify", "--deep", home=demo)
    assert done.status == 1
    assert f"content {'cd' * 32} of the repo" in done.err


# Communities


def test_a_community_is_gathered_shown_and_gathered_anew(demo: Path) -> None:
    own = "example-kz/name-language"
    words = ("commons", "community", "gather", "lakes", own, "--title", "Words of the lakes", "--about", "Fresh.")
    made = run(*words, "--json", home=demo).json()
    assert (made["title"], made["count"], [repo["here"] for repo in made["repos"]]) == ("Words of the lakes", 1, [True])
    name = "example-ke/lakes"
    assert name in run("commons", "community", "list", home=demo).out
    assert "Fresh." in run("commons", "community", "show", name, home=demo).out
    again = run("commons", "community", "gather", "lakes", own, own, "--title", "Lakes", "--json", home=demo).json()
    assert (again["title"], again["about"], again["count"]) == ("Lakes", "", 1) and again["since"] == made["since"]
    assert run("commons", "community", "gather", "x", "nobody/never", "--title", "X", home=demo).status == 1
    assert run("commons", "community", "show", "lakes-of-none", home=demo).status == 1
