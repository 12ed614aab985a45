"""init, demo, verify, export: the node as a whole. (serve stands in tests/test_live.py.)"""

import tomllib
from pathlib import Path

import pytest

from concord.home import open_home
from concord.pillars.members.charter import presets
from concord.testing.processes import Done, copy_home
from concord.testing.terminal import run
from concord.tlog import checkpoint, note, tile
from concord.xet import kernel

KENYA = ["--member", "ke", "--name", "Kenya", "--country", "KE"]
OPEN = ["--charter", "open-to-all-states"]


def files(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*")} if home.exists() else set()


# init


def test_a_node_of_ones_own(tmp_path: Path) -> None:
    done = run("init", *KENYA, "--json", home=tmp_path / "home")
    assert (done.status, done.err) == (0, "")
    told = done.json()
    assert told["home"] == f"{tmp_path}/home"
    assert told["organisation"] == ""
    assert [origin.partition(".")[0] for origin in told["members"]] == ["ke"]
    (log,) = run("log", "status", "--json", home=tmp_path / "home").json()
    assert (log["origin"], log["size"]) == (told["members"][0], 2)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    run("init", *KENYA, home=tmp_path / "home")
    keys = tmp_path / "home" / "keys"
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "home", keys, *keys.rglob("*"))} == {0}
    assert {path.name for path in (keys / "ke").iterdir()} >= {"log", "witness", "organ-office", "root-1", "root-2", "root-3"}


@pytest.mark.parametrize("preset", sorted(presets()))
def test_founding_with_a_preset(preset: str, tmp_path: Path) -> None:
    done = run("init", *KENYA, "--charter", preset, "--json", home=tmp_path / "home")
    assert (done.status, done.err) == (0, "")
    assert len(done.json()["organisation"]) == 64
    (row,) = run("member", "list", "--json", home=tmp_path / "home").json()
    assert (row["id"], row["name"], row["country"]) == ("ke", "Kenya", "KE")


def test_founding_with_a_file(tmp_path: Path) -> None:
    charter = tmp_path / "charter.toml"
    charter.write_bytes(presets()["regional"])
    done = run("init", *KENYA, "--charter", charter, home=tmp_path / "home")
    assert (done.status, done.err) == (0, "")
    assert tomllib.loads(charter.read_text())["name"] in done.out
    assert "root keys" in done.out


def test_a_member_may_come_later(tmp_path: Path) -> None:
    assert run("init", home=tmp_path / "home").status == 0
    assert run("log", "status", "--json", home=tmp_path / "home").json() == []
    refused = run("token", "create", home=tmp_path / "home")
    assert (refused.status, refused.out) == (1, "")
    assert "hosts no member" in refused.err
    assert run("init", *KENYA, *OPEN, home=tmp_path / "home").status == 0
    assert len(run("member", "list", "--json", home=tmp_path / "home").json()) == 1


def test_a_node_hosts_several_members(tmp_path: Path) -> None:
    run("init", *KENYA, home=tmp_path / "home")
    run("init", "--member", "tn", "--name", "Tunisie", "--country", "TN", home=tmp_path / "home")
    assert len(run("log", "status", "--json", home=tmp_path / "home").json()) == 2


WRONG = {
    "a member without a name": (["--member", "ke", "--country", "KE"], "a member has a name and a country"),
    "a member without a country": (["--member", "ke", "--name", "Kenya"], "a member has a name and a country"),
    "no country": (["--member", "ke", "--name", "Kenya", "--country", "XX"], "XX"),
    "a country in small letters": (["--member", "ke", "--name", "Kenya", "--country", "ke"], "ke"),
    "no name of a member": (["--member", "KE!", "--name", "Kenya", "--country", "KE"], "no name of a member"),
    "a path for a name": (["--member", "../ke", "--name", "Kenya", "--country", "KE"], "no name of a member"),
    "a name of two lines": (["--member", "ke", "--name", "Ken\nya", "--country", "KE"], "one line"),
    "a name without end": (["--member", "ke", "--name", "K" * 301, "--country", "KE"], "one line of at most 300"),
    "no domain": ([*KENYA, "--domain", "not a domain"], "no domain"),
    "no preset": ([*KENYA, "--charter", "nonsense"], "neither a file nor a preset; the presets are demonstration"),
    "no class": ([*KENYA, *OPEN, "--class", "nonsense"], "the charter has no class 'nonsense'"),
    "to found and to join": ([*KENYA, *OPEN, "--join", "http://127.0.0.1:1"], "not both"),
    "an organisation and no address": ([*KENYA, "--organisation", "0" * 64], "--join URL"),
    "no address": ([*KENYA, "--join", "ftp://example"], "ftp://example"),
    "an address with a password": ([*KENYA, "--join", "http://a:b@127.0.0.1:1"], "127.0.0.1"),
    "nobody there": ([*KENYA, "--join", "http://127.0.0.1:1"], "cannot be reached"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_fails_leaves_nothing_behind(case: str, tmp_path: Path) -> None:
    line, words = WRONG[case]
    done = run("init", *line, home=tmp_path / "home")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("concord: ") and done.err.count("\n") == 1
    assert words in done.err
    assert files(tmp_path) == set()


NO_CHARTER = {"empty": b"", "not text": b"\xff", "poor": b"name = 1", "deep": b"[" * 10_000, "large": b"x = 1\n" * 400_000}


@pytest.mark.parametrize("case", NO_CHARTER)
def test_a_file_that_is_no_charter_leaves_nothing_behind(case: str, tmp_path: Path) -> None:
    (tmp_path / "charter.toml").write_bytes(NO_CHARTER[case])
    done = run("init", *KENYA, "--charter", tmp_path / "charter.toml", home=tmp_path / "home")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert files(tmp_path) == {"charter.toml"}


@pytest.mark.parametrize("where", ["file", "file/below", "dangling/below"])
def test_a_home_that_cannot_be_one_is_told(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "dangling").symlink_to(tmp_path / "file")
    before = files(tmp_path)
    done = run("init", *KENYA, home=tmp_path / where)
    assert (done.status, done.out) == (1, "")
    assert "Choose another" in done.err
    assert files(tmp_path) == before


def test_an_organisation_is_founded_once(tmp_path: Path) -> None:
    run("init", *KENYA, *OPEN, home=tmp_path / "home")
    before = files(tmp_path)
    sizes = run("log", "status", "--json", home=tmp_path / "home").out
    again = run("init", "--member", "tn", "--name", "Tunisie", "--country", "TN", "--charter", "regional", home=tmp_path / "home")
    assert again.status == 1
    assert "one node serves one organisation" in again.err
    assert run("init", *KENYA, home=tmp_path / "home").status == 1
    assert run("log", "status", "--json", home=tmp_path / "home").out == sizes
    assert files(tmp_path) == before


# demo


def test_the_demonstration(founded: Path) -> None:
    rows = run("member", "list", "--json", home=founded).json()
    assert len(rows) == 6
    assert {row["standing"] for row in rows} == {"member"}
    assert len({row["country"] for row in rows}) == 6


def test_the_demonstration_wants_an_empty_home(demo: Path, tmp_path: Path) -> None:
    done = run("demo", home=demo)
    assert (done.status, done.err) == (1, f"concord: {demo}: there is a node here already\n")


def test_founding_the_demonstration_says_so(tmp_path: Path) -> None:
    done = run("demo", home=tmp_path / "home")
    assert done.status == 0
    assert "Demonstration Assembly" in done.out
    assert "root keys" not in done.out


# verify


def test_verify_says_where_large_files_come_in_slowly(founded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "kernel", kernel.plain)
    done = run("verify", "--json", home=founded)
    assert done.json()["kernel"] == "numpy" and done.status == 0
    assert "native.c was not compiled" in done.err


@pytest.mark.skipif(kernel.kernel().name != "compiled", reason="it would say that it is slow")
def test_verify(founded: Path) -> None:
    quick, deep = run("verify", home=founded), run("verify", "--deep", "--json", home=founded)
    assert (quick.status, quick.out, quick.err) == (0, "8 checks, nothing wrong\n", "")
    assert deep.status == 0
    told = deep.json()
    assert told["ok"] is True
    assert {finding["what"].split()[0] for finding in told["findings"]} == {
        "laws",
        "view",
        "log",
        "table",
        "blob",
        "chunks",
        "content",
    }
    assert not any(finding["wrong"] for finding in told["findings"])


def test_verify_tells_what_is_wrong_and_fails(demo: Path) -> None:
    blob = next(path for path in (demo / "blobs").rglob("*") if path.is_file() and len(path.name) >= 60)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    assert run("verify", home=demo).status == 0
    deep = run("verify", "--deep", home=demo)
    assert deep.status == 1
    assert "1 wrong" in deep.out
    assert deep.err.startswith("blob ")
    told = run("verify", "--deep", "--json", home=demo)
    assert (told.status, told.json()["ok"]) == (1, False)


# export


def exported(home: Path, where: Path) -> Done:
    return run("export", "--log", "example-ke", where, "--json", home=home)


def test_export_writes_static_tiles_that_anybody_can_verify(founded: Path, tmp_path: Path) -> None:
    done = exported(founded, tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    told = done.json()
    keys = [note.VerifierKey.parse(line) for line in (tmp_path / "out" / "vkeys").read_text().splitlines()]
    assert keys[0].name == told["origin"]
    assert len(keys) == 6
    read = checkpoint.open_note(note.parse((tmp_path / "out" / "checkpoint").read_bytes()), keys[:1])
    assert (read.origin, read.size) == (told["origin"], told["size"])
    names = {str(place) for place in (*tile.places(0, read.size), *tile.bundle_places(0, read.size))}
    written = {name for name in files(tmp_path / "out") if (tmp_path / "out" / name).is_file()}
    assert written == {"checkpoint", "vkeys", *names}
    entries = tile.parse_bundle((tmp_path / "out" / f"tile/entries/000.p/{read.size}").read_bytes(), read.size)
    assert len(entries) == read.size


def test_export_by_origin_and_by_member_is_the_same(founded: Path, tmp_path: Path) -> None:
    origin = exported(founded, tmp_path / "one").json()["origin"]
    assert run("export", "--log", origin, tmp_path / "other", home=founded).status == 0
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_export_overwrites_nothing(founded: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert exported(founded, tmp_path / "out").status == 0
    again = exported(founded, tmp_path / "out")
    assert again.status == 1
    assert "is not an empty folder" in again.err
    (tmp_path / "file").write_text("mine")
    assert exported(founded, tmp_path / "file").status == 1
    assert exported(founded, tmp_path / "file" / "below").status == 1
    assert (tmp_path / "file").read_text() == "mine"
    assert run("export", "--log", "nobody", tmp_path / "new", home=founded).status == 1
    assert not (tmp_path / "new").exists()


def test_a_home_without_its_view_is_read_anew(demo: Path) -> None:
    for path in demo.glob("view.db*"):
        path.unlink()
    assert len(run("member", "list", "--json", home=demo).json()) == 6


def test_a_copied_home_is_the_same_node(founded: Path, tmp_path: Path) -> None:
    copy_home(founded, tmp_path / "copy")
    assert open_home(tmp_path / "copy").organisation == open_home(founded).organisation
