"""charter, blob, peer, bundle: what is carried from one node to another, by hand and over a line."""

import json
import subprocess
import zipfile
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from concord.home import create, open_home
from concord.ledger.identity import label
from concord.operations import receipts
from concord.pillars.commons import File
from concord.pillars.members.charter import presets
from concord.shelf import Draft, Shelf
from concord.testing import everything
from concord.testing.imposter import Imposter, http
from concord.testing.processes import command, environment, until
from concord.testing.terminal import run
from concord.tlog import policy as policies

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def receiver(founded: Path, tmp_path: Path) -> Path:
    """A home without members that serves the same organisation and has nothing of it yet."""
    charter = open_home(founded).charter
    assert charter is not None
    create(tmp_path / "receiver").adopt(charter)
    return tmp_path / "receiver"


# charter


def test_charter_show(founded: Path) -> None:
    shown = run("charter", "show", home=founded)
    assert shown.out.startswith("organisation ")
    assert run("charter", "show", "--json", home=founded).json()["demonstration"] is True


def test_there_is_no_charter_before_there_is_an_organisation(tmp_path: Path) -> None:
    run("init", home=tmp_path / "home")
    done = run("charter", "show", home=tmp_path / "home")
    assert (done.status, done.err) == (1, "concord: this node serves no organisation yet\n")


def test_presets_are_listed_and_printed_and_good(tmp_path: Path) -> None:
    rows = run("charter", "presets", "--json").json()
    assert [row["preset"] for row in rows] == sorted(presets())
    for row in rows:
        text = run("charter", "print", row["preset"]).out
        (tmp_path / "charter.toml").write_text(text)
        checked = run("charter", "check", tmp_path / "charter.toml", "--json").json()
        assert (checked["ok"], checked["name"]) == (True, row["name"])
    done = run("charter", "print", "nonsense")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def test_a_charter_with_a_mistake_is_told(tmp_path: Path) -> None:
    text = presets()["regional"].decode()
    (tmp_path / "charter.toml").write_text(text.replace("[[classes]]", "[[clases]]", 1))
    done = run("charter", "check", tmp_path / "charter.toml")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "clases" in done.err


def test_the_schema_of_charters_is_a_schema() -> None:
    assert "$defs" in json.loads(run("charter", "schema").out)


# blob


def test_a_file_is_published_listed_and_had_again(demo: Path, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "weights.bin").write_bytes(content)
    put = run("blob", "put", tmp_path / "weights.bin", "--about", "A demonstration.", "--json", home=demo).json()
    assert (put["blob"], put["size"]) == (sha256(content).hexdigest(), len(content))
    rows = {row["name"]: row for row in run("blob", "list", "--json", home=demo).json()}
    assert (rows["weights.bin"]["blob"], rows["weights.bin"]["here"]) == (put["blob"], True)
    assert run("blob", "get", put["blob"], "-o", tmp_path / "again", home=demo).status == 0
    assert (tmp_path / "again").read_bytes() == content


def test_a_blob_that_is_held_is_not_had_until_it_is_released(demo: Path, tmp_path: Path) -> None:
    digest = run("blob", "list", "--json", home=demo).json()[0]["blob"]
    run("blob", "hold", digest, "--reason", "To show how.", home=demo)
    done = run("blob", "get", digest, "-o", tmp_path / "f", home=demo)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "To show how." in done.err
    assert run("blob", "release", digest, "--json", home=demo).json() == {"blob": digest, "held": False}
    assert run("blob", "get", digest, "-o", tmp_path / "f", home=demo).status == 0


def test_a_blob_is_erased_by_whoever_published_it(demo: Path, tmp_path: Path) -> None:
    digest = run("blob", "list", "--json", home=demo).json()[0]["blob"]
    other = run("blob", "erase", digest, "--reason", "Not mine.", "--member", "example-br", "--json", home=demo)
    assert other.json()["erased"] is False
    assert run("blob", "erase", digest, "--reason", "To show how.", "--json", home=demo).json()["erased"] is True
    done = run("blob", "get", digest, "-o", tmp_path / "f", home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "To show how." in done.err


@pytest.mark.parametrize("word", ["", "nonsense", "0" * 64, "../../node.db"])
def test_what_is_no_blob_is_told_and_writes_nothing(word: str, demo: Path, tmp_path: Path) -> None:
    for line in (["get", word, "-o", tmp_path / "f"], ["hold", word, "--reason", "x"], ["release", word]):
        before = {path for path in demo.rglob("*") if path.is_file() and "db" not in path.name}
        done = run("blob", *line, home=demo)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1) or (word == "0" * 64 and line[0] != "get")
        after = {path for path in demo.rglob("*") if path.is_file() and "db" not in path.name}
        assert before == after or word == "0" * 64
    assert not (tmp_path / "f").exists()


def test_a_file_that_is_not_there_is_not_published(demo: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        done = run("blob", "put", path, home=demo)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    (tmp_path / "file").write_bytes(b"x")
    assert run("blob", "put", tmp_path / "file", "--name", "a\nb", home=demo).status == 1
    assert run("blob", "get", run("blob", "list", "--json", home=demo).json()[0]["blob"], "-o", tmp_path, home=demo).status == 1


# peer


def test_peers_are_added_listed_and_removed(demo: Path) -> None:
    assert run("peer", "list", home=demo).out == "No peers. Say `concord peer add URL`.\n"
    assert run("peer", "add", f"{NOBODY}/", "--json", home=demo).json() == {"url": NOBODY}
    assert run("peer", "add", NOBODY, home=demo).status == 0
    (row,) = run("peer", "list", "--json", home=demo).json()
    nothing = dict.fromkeys(("answered", "asked", "error", "skew", "rate", "window"))
    assert row == {"url": NOBODY, **nothing}
    assert run("peer", "remove", NOBODY, home=demo).status == 0
    assert run("peer", "list", "--json", home=demo).json() == []
    assert run("peer", "remove", NOBODY, home=demo).status == 1


@pytest.mark.parametrize(
    "url", ["nonsense", "file:///etc", "http://", "http://a b", "http://x:y", "http://[", "http://é", "http://u:p@x"]
)
def test_what_is_no_address_is_no_peer(url: str, demo: Path) -> None:
    done = run("peer", "add", url, home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert run("peer", "list", "--json", home=demo).json() == []


def test_a_pull_from_nobody_fails_and_says_why(demo: Path) -> None:
    none = run("peer", "pull", home=demo)
    assert (none.status, none.err) == (1, "concord: this node has no peers. Say `concord peer add URL`\n")
    run("peer", "add", NOBODY, home=demo)
    done = run("peer", "pull", home=demo)
    assert done.status == 1
    assert "cannot be reached" in done.err
    told = run("peer", "pull", NOBODY, "--json", home=demo)
    assert (told.status, told.json()[0]["entries"]) == (1, 0)
    assert "cannot be reached" in run("peer", "list", "--json", home=demo).json()[0]["error"]
    assert run("peer", "pull", "http://127.0.0.1:2", home=demo).status == 1


def test_a_pull_from_one_of_two_is_enough(demo: Path, receiver: Path) -> None:
    with Imposter(lambda path: http(b"nonsense")) as liar:
        run("peer", "add", NOBODY, home=receiver)
        run("peer", "add", liar.url, home=receiver)
        done = run("peer", "pull", "--json", home=receiver)
    assert done.status == 1
    assert len(done.json()) == 2
    assert all(row["wrong"] for row in done.json())


# bundle


def carried(founded: Path, receiver: Path, out: Path, *options: str) -> list[str]:
    """The volumes of a bundle made against what the receiver wants."""
    wanted = run("bundle", "want", out.with_suffix(".want"), home=receiver)
    assert wanted.status == 0
    made = run("bundle", "export", "--want", out.with_suffix(".want"), out, *options, "--json", home=founded)
    assert (made.status, made.err) == (0, "")
    volumes: list[str] = made.json()["volumes"]
    return volumes


def test_a_bundle_carries_all_and_then_nothing(founded: Path, receiver: Path, tmp_path: Path) -> None:
    volumes = carried(founded, receiver, tmp_path / "b.zip")
    taken = run("bundle", "import", *volumes, "--json", home=receiver).json()
    assert (taken["entries"], taken["wrong"]) == (38, {})
    assert taken["blobs"] == 1
    assert run("member", "list", "--json", home=receiver).out == run("member", "list", "--json", home=founded).out
    assert run("verify", "--deep", home=receiver).status == 0
    again = carried(founded, receiver, tmp_path / "again.zip")
    assert run("bundle", "import", *again, "--json", home=receiver).json()["entries"] == 0


def test_a_bundle_without_blobs(founded: Path, receiver: Path, tmp_path: Path) -> None:
    volumes = carried(founded, receiver, tmp_path / "b.zip", "--no-blobs")
    assert run("bundle", "import", *volumes, "--json", home=receiver).json()["blobs"] == 0


def test_a_bundle_in_volumes_needs_all_of_them(demo: Path, receiver: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "blob").write_bytes(bytes([number]) * 2_400_000)
        run("blob", "put", tmp_path / "blob", home=demo)
    volumes = carried(demo, receiver, tmp_path / "b.zip", "--volume", "3")
    assert len(volumes) >= 3
    assert all(Path(volume).stat().st_size <= 3_000_000 for volume in volumes)
    lacking = run("bundle", "import", *volumes[1:], home=receiver)
    assert (lacking.status, lacking.out) == (1, "")
    assert "number 1 is missing" in lacking.err
    assert run("log", "status", "--json", home=receiver).json() == []
    assert run("bundle", "import", *reversed(volumes), "--json", home=receiver).json()["blobs"] == 4


def test_a_bundle_is_taken_from_the_folder_that_it_was_unzipped_into(founded: Path, receiver: Path, tmp_path: Path) -> None:
    (volume,) = carried(founded, receiver, tmp_path / "b.zip")
    with zipfile.ZipFile(volume) as packed:
        packed.extractall(tmp_path / "stick")
    assert run("bundle", "import", tmp_path / "stick", "--json", home=receiver).json()["entries"] == 38


def test_a_damaged_bundle_is_refused_whole(founded: Path, receiver: Path, tmp_path: Path) -> None:
    (volume,) = map(Path, carried(founded, receiver, tmp_path / "b.zip"))
    whole = volume.read_bytes()
    middle = bytes([whole[5000] ^ 1])
    for spoiled in (whole[:-1], whole[: len(whole) // 2], whole[:5000] + middle + whole[5001:], b"", b"PK" + whole):
        volume.write_bytes(spoiled)
        done = run("bundle", "import", volume, home=receiver)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert run("log", "status", "--json", home=receiver).json() == []


def test_files_that_are_no_bundle_and_no_want_are_told(founded: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("nonsense")
    for line in (
        ["import", tmp_path / "none"],
        ["import", tmp_path / "file"],
        ["import", tmp_path],
        ["export", "--want", tmp_path / "none", tmp_path / "out.zip"],
        ["export", "--want", tmp_path / "file", tmp_path / "out.zip"],
        ["want", tmp_path / "no" / "want"],
    ):
        done = run("bundle", *line, home=founded)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert not (tmp_path / "out.zip").exists()


def test_a_bundle_for_another_organisation_is_not_made(founded: Path, tmp_path: Path) -> None:
    run("init", "--member", "ke", "--name", "K", "--country", "KE", "--charter", "regional", home=tmp_path / "home")
    run("bundle", "want", tmp_path / "want", home=tmp_path / "home")
    done = run("bundle", "export", "--want", tmp_path / "want", tmp_path / "out.zip", home=founded)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "another organisation" in done.err


# bundle, with the files of repos


def shared(home: Path, content: bytes) -> tuple[str, str]:
    """Let the first member of a home share a version of a model; the name of the repo, and the digest of its weights."""
    node = open_home(home)
    shelf, me = Shelf(node), everything(node.holdings.hosted()[0])
    repo_id = shelf.repo_id("model", me.origin, "words")
    repo = shelf.find(repo_id, me) if shelf.taken(repo_id) else shelf.open(me, "model", "words", private=False)
    digest, size = shelf.content.take([content], sha256(content).hexdigest(), 1 << 30)
    shelf.content.give(repo, [digest])
    weights = File(path="model.safetensors", size=size, sha256=digest, xet=shelf.content.xet(digest))
    put = [weights, shelf.keep(repo, "README.md", b"# Words\n%d\n" % size)]
    shelf.commit(me, shelf.find(repo_id, me), Draft("main", "A version", put=put))
    node.cosign()
    return f"{label(me.origin)}/words", digest


def wanted(home: Path, out: Path, repo: str) -> Path:
    assert run("bundle", "want", out, "--repo", repo, home=home).status == 0
    return out


def test_version_2_of_a_model_comes_by_stick_in_two_volumes_after_a_kill(demo: Path, receiver: Path, tmp_path: Path) -> None:
    one = Random("one").randbytes(6_000_000)
    repo, _ = shared(demo, one)
    made = run("bundle", "export", "--want", wanted(receiver, tmp_path / "w1", repo), tmp_path / "one.zip", "--json", home=demo)
    assert (made.json()["files"], made.json()["absent"]) == (2, [])
    taken = run("bundle", "import", tmp_path / "one.zip", "--json", home=receiver).json()
    assert (taken["files"], taken["wrong"]) == (2, {})

    two = one[:2_000_000] + Random("two").randbytes(1_200_000) + one[3_200_000:]
    _, digest = shared(demo, two)
    want = wanted(receiver, tmp_path / "w2", repo)
    made = run("bundle", "export", "--want", want, tmp_path / "two.zip", "--volume", "1", "--json", home=demo)
    volumes = [Path(path) for path in made.json()["volumes"]]
    assert len(volumes) == 2
    carried = sum(path.stat().st_size for path in volumes)
    assert 1_200_000 < carried < 1.03 * 1_500_000  # what changed, and the rest of the chunks at both ends of it
    killed_in_the_middle(receiver, volumes)
    again = run("bundle", "import", *volumes, "--json", home=receiver)
    assert (again.status, again.json()["wrong"]) == (0, {})
    done = run("bundle", "import", *volumes, "--json", home=receiver).json()
    assert (done["entries"], done["files"]) == (0, 0)

    node = open_home(receiver)
    here = Shelf(node).named(repo)
    assert b"".join(Shelf(node).content.read(here, digest)) == two
    assert run("verify", "--deep", home=receiver).status == 0
    assert run("pull", repo, "--local-dir", tmp_path / "files", home=receiver).status == 0
    assert (tmp_path / "files" / "model.safetensors").read_bytes() == two
    (checked,) = receipts.check(tmp_path / "files", lambda by: policies.parse(str(node.policy(by)).encode()))
    assert (checked.oid, checked.wrong) == (here.find("main").oid, ())
    assert checked.snapshot is not None


def killed_in_the_middle(home: Path, volumes: list[Path]) -> None:
    """Take a bundle in, and kill the process as soon as something of its files has come."""
    line = [*command(), "--home", str(home), "bundle", "import", *map(str, volumes)]
    process = subprocess.Popen(line, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    coming = home / "blobs" / "chunks" / "coming"
    until(lambda: process.poll() is not None or any(coming.rglob("0*-*")), "something of the files to come")
    process.kill()
    process.wait()


def test_what_cannot_go_is_told_and_the_sender_may_choose_too(demo: Path, receiver: Path, tmp_path: Path) -> None:
    repo, _ = shared(demo, Random("one").randbytes(300_000))
    run("bundle", "want", tmp_path / "w", home=receiver)
    line = ["bundle", "export", "--want", tmp_path / "w", tmp_path / "b.zip", "--repo", repo, "--repo", "example-ke/nothing"]
    made = run(*line, home=demo)
    assert (made.status, made.err) == (0, "example-ke/nothing is wanted, and cannot be had here\n")
    assert "2 files of repos" in made.out
    assert run(*line, "--no-blobs", "--json", home=demo).json()["files"] == 0
    run(*line, home=demo)
    assert "2 files of repos taken in" in run("bundle", "import", tmp_path / "b.zip", home=receiver).out


def test_all_repos_are_wanted(demo: Path, receiver: Path, tmp_path: Path) -> None:
    shared(demo, Random("one").randbytes(300_000))
    assert run("bundle", "want", tmp_path / "w", "--all-repos", "--json", home=receiver).json()["repos"] == 0
    made = run("bundle", "export", "--want", tmp_path / "w", tmp_path / "b.zip", "--json", home=demo).json()
    assert made["files"] >= 2  # the demonstration may have repos of its own
    with zipfile.ZipFile(made["volumes"][0]) as packed:
        packed.extractall(tmp_path / "stick")
    assert run("bundle", "import", tmp_path / "stick", "--json", home=receiver).json()["files"] == made["files"]


def test_a_repo_is_pulled_from_a_bundle_or_a_folder(demo: Path, receiver: Path, tmp_path: Path) -> None:
    content = Random("one").randbytes(1_300_000)
    repo, _ = shared(demo, content)
    want = wanted(receiver, tmp_path / "w", repo)
    made = run("bundle", "export", "--want", want, tmp_path / "b.zip", "--volume", "1", "--json", home=demo).json()
    volumes = [word for path in made["volumes"] for word in ("--from", path)]
    assert len(made["volumes"]) >= 2
    done = run("pull", repo, "--local-dir", tmp_path / "one", *volumes, "--json", home=receiver)
    assert (done.status, done.json()["written"]) == (0, 2)
    for path in made["volumes"]:
        with zipfile.ZipFile(path) as packed:
            packed.extractall(tmp_path / "stick")
    charter = open_home(demo).charter
    assert charter is not None
    create(tmp_path / "third").adopt(charter)
    done = run("pull", repo, "--local-dir", tmp_path / "two", "--from", tmp_path / "stick", "--json", home=tmp_path / "third")
    assert (done.status, done.json()["written"]) == (0, 2)
    for folder in ("one", "two"):
        assert (tmp_path / folder / "model.safetensors").read_bytes() == content
    lacking = run("pull", repo, "--local-dir", tmp_path / "three", *volumes[:2], home=receiver)
    assert (lacking.status, lacking.out) == (1, "")
    assert "is missing" in lacking.err


def test_only_one_bundle_is_taken_in_at_a_time(receiver: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    done = run("bundle", "import", tmp_path / "a", tmp_path / "b", home=receiver)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("repo", ["words", "", "datasets/words", "a" * 400])
def test_what_is_no_repo_is_not_wanted(repo: str, demo: Path, tmp_path: Path) -> None:
    done = run("bundle", "want", tmp_path / "w", "--repo", repo, home=demo)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert not (tmp_path / "w").exists()
