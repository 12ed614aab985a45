"""Commits as clients make them, and all that they can get wrong; racing, repeated, too large, cut off."""

import json
import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import pytest
from asking import Person, failure, file, large

from concord.edges.hub import commits
from concord.pillars.commons.attributes import REGULAR_MAX

HEADER = {"key": "header", "value": {"summary": "A change", "description": ""}}


@pytest.fixture
def repo(owner: Person) -> str:
    return owner.open()


def names(person: Person, repo: str, revision: str = "main") -> set[str]:
    return {each["path"] for each in person.get(f"/api/models/{repo}/tree/{revision}?recursive=1").json() if each["type"] == "file"}


def raw(person: Person, repo: str, body: bytes) -> tuple[int, str]:
    answer = person.ask("POST", f"/api/models/{repo}/commit/main", content=body)
    return answer.status_code, answer.json()["error"] if answer.status_code >= 400 else ""


def test_files_are_put_removed_and_told(repo: str, owner: Person, nobody: Person) -> None:
    first = owner.commit(repo, file("a"), file("d/b"), file("d/c"), summary="Three", description="In more words").json()
    assert first["commitUrl"] == f"http://testserver/{repo}/commit/{first['commitOid']}"
    assert len(first["commitOid"]) == 40
    removed = [{"key": "deletedFile", "value": {"path": "a"}}, {"key": "deletedFolder", "value": {"path": "d/"}}]
    owner.commit(repo, *removed, file("a", b"again"))
    assert names(nobody, repo) == {".gitattributes", "a"}
    assert nobody.get(f"/{repo}/resolve/main/a").text == "again"
    assert names(nobody, repo, first["commitOid"]) == {".gitattributes", "a", "d/b", "d/c"}
    listed = nobody.get(f"/api/models/{repo}/commits/main").json()
    assert [(each["title"], each["message"]) for each in listed][1] == ("Three", "In more words")
    utf8 = {"key": "file", "value": {"path": "u", "content": "ü", "encoding": "utf-8"}}
    assert owner.commit(repo, utf8).status_code == 200


def test_the_card_goes_into_the_commit_and_out_with_its_file(repo: str, owner: Person, nobody: Person) -> None:
    owner.commit(repo, file("README.md", b"---\nlicense: mit\n---\n"))
    owner.commit(repo, file("other"))
    assert nobody.get(f"/api/models/{repo}").json()["tags"] == ["license:mit"]
    owner.commit(repo, {"key": "deletedFile", "value": {"path": "README.md"}})
    assert nobody.get(f"/api/models/{repo}").json()["tags"] == []


BAD: dict[str, bytes] = {
    "nothing": b"",
    "no header": json.dumps(file("a")).encode(),
    "two headers": b"\n".join([json.dumps(HEADER).encode()] * 2),
    "no json": b"{",
    "no object": b"[]",
    "a number": b"3\n",
    "deep": b"[" * 100_000,
    "not utf-8": b'{"key": "header", "value": {"summary": "\xff"}}',
    "a late header": b"\n".join([json.dumps(HEADER).encode(), json.dumps(file("a")).encode(), json.dumps(HEADER).encode()]),
}
PATHS = ("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\0", "a\nb", "a\\b", ".git/config", ".GIT/x")
LINES: dict[str, dict[str, Any]] = {
    "an unknown key": {"key": "symlink", "value": {"path": "a"}},
    "no value": {"key": "file"},
    "no content": {"key": "file", "value": {"path": "a"}},
    "no base64": {"key": "file", "value": {"path": "a", "content": "a!", "encoding": "base64"}},
    "another spelling": {"key": "file", "value": {"path": "a", "content": "a", "encoding": "rot13"}},
    "a binary file": file("a", b"\0\1"),
    "too large a file": file("a", b"x" * (REGULAR_MAX + 1)),
    "a large file that is not here": large("a", b"never sent"),
    "a large file by md5": {"key": "lfsFile", "value": {"path": "a", "algo": "md5", "oid": "ab" * 32}},
    "a digest that is none": {"key": "lfsFile", "value": {"path": "a", "oid": "../../etc"}},
    "a file to remove that is not there": {"key": "deletedFile", "value": {"path": "never"}},
    "nothing to remove": {"key": "deletedFolder", "value": {"path": "/"}},
    **{f"path {path!r}": file(path) for path in PATHS},
    "4,000 characters": file("a/" * 2000 + "b"),
    "a part of 256 bytes": file("é" * 128),
    "Unicode that is not in form C": file("e\u0301"),
    "a sign that turns the line": file("a\u202eb"),
    "half a character": {"key": "file", "value": {"path": "a\ud800", "content": "", "encoding": "base64"}},
    "a file where there is a folder": file(".gitattributes/a"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_body_that_is_no_commit_is_refused(repo: str, owner: Person, what: str) -> None:
    assert raw(owner, repo, BAD[what])[0] == 400
    assert names(owner, repo) == {".gitattributes"}


@pytest.mark.parametrize("what", LINES)
def test_a_line_that_is_not_as_it_should_be_stops_the_whole_commit(repo: str, owner: Person, what: str) -> None:
    answer = owner.commit(repo, file("good"), LINES[what])
    assert answer.status_code == 400, answer.text
    assert names(owner, repo) == {".gitattributes"}


def test_names_that_differ_in_case_are_different_files(repo: str, owner: Person) -> None:
    assert "X-HF-Warning" not in owner.commit(repo, file("a", b"1"), file("b", b"1")).headers
    warned = owner.commit(repo, file("A", b"2"), file("Ä"), file("ä")).headers["X-HF-Warning"]
    assert re.fullmatch("paths; (a and A|A and a|.*xe4 and .*xc4|.*xc4 and .*xe4) differ in capitals alone. .*", warned)
    assert [owner.get(f"/{repo}/resolve/main/{name}").text for name in "aA"] == ["1", "2"]
    assert "X-HF-Warning" not in owner.commit(repo, file("b", b"2")).headers


@pytest.mark.parametrize("path", ["aux.txt", "data/CON", "a:b", "what?.txt", "end.", "end "])
def test_whoever_puts_a_name_that_no_windows_disk_takes_is_warned(repo: str, owner: Person, path: str) -> None:
    warned = owner.commit(repo, file("plain"), file(path)).headers["X-HF-Warning"]
    assert warned == f"paths; {path!r} cannot be downloaded to a Windows disk, which takes no such name"


def test_a_path_twice_is_refused(repo: str, owner: Person) -> None:
    assert owner.commit(repo, file("a"), file("a", b"other")).status_code == 400


def test_a_commit_that_is_too_large_is_refused(repo: str, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "LINE_MAX", 1000)
    assert owner.commit(repo, file("a", b"x" * 1000)).status_code == 413
    endless = json.dumps(HEADER).encode() + b"\n" + b'{"key": "file", "value": {"path": "' + b"x" * 5_000_000
    assert raw(owner, repo, endless)[0] == 413
    monkeypatch.setattr(commits, "LINES_MAX", 3)
    assert owner.commit(repo, *(file(name) for name in "abc")).status_code == 413
    assert owner.commit(repo, *(file(name) for name in "ab")).status_code == 200


def test_refs_that_are_none_take_no_commit(repo: str, owner: Person) -> None:
    oid = owner.get(f"/api/models/{repo}").json()["sha"]
    for ref in ("never", oid, "refs%2Fpr%2F7", "refs%2Fpr%2Fx", "refs%2Fpr%2F" + "9" * 400, "%00", "main%2F"):
        assert failure(owner.commit(repo, file("a"), ref=ref)) == (404, "RevisionNotFound")
    assert owner.commit(repo, file("a"), ref="refs%2Fheads%2Fmain").status_code == 200


# Races and repetitions


def test_of_two_commits_on_one_parent_the_second_is_told_that_it_is_late(repo: str, owner: Person) -> None:
    parent = owner.get(f"/api/models/{repo}").json()["sha"]
    first = owner.commit(repo, file("a"), parentCommit=parent)
    again = owner.commit(repo, file("a"), parentCommit=parent)
    assert first.json()["commitOid"] == again.json()["commitOid"]
    late = owner.commit(repo, file("b"), parentCommit=parent)
    assert (late.status_code, "main is at" in late.json()["error"]) == (412, True)
    for wrong in ("0" * 40, "x", "%"):
        assert owner.commit(repo, file("b"), parentCommit=wrong).status_code == 412


def test_of_many_commits_at_once_on_one_parent_one_wins(repo: str, owner: Person) -> None:
    parent = owner.get(f"/api/models/{repo}").json()["sha"]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: owner.commit(repo, file(f"f{n}"), parentCommit=parent).status_code, range(8)))
    assert sorted(done) == [200] + [412] * 7
    assert len(names(owner, repo)) == 2


def test_of_many_commits_at_once_none_is_lost(repo: str, owner: Person) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: owner.commit(repo, file(f"f{n}")).status_code, range(16)))
    assert done == [200] * 16
    assert names(owner, repo) == {".gitattributes", *(f"f{n}" for n in range(16))}


def test_the_same_commit_again_is_none(repo: str, owner: Person) -> None:
    first = owner.commit(repo, file("a")).json()["commitOid"]
    assert owner.commit(repo, file("a"), summary="Again").json()["commitOid"] == first


def test_a_pull_request_is_made_once(repo: str, owner: Person, other: Person) -> None:
    def propose(person: Person, **more: Any) -> dict[str, Any]:
        body = "\n".join(json.dumps(line) for line in ({"key": "header", "value": {"summary": "Better", **more}}, file("new")))
        answer = person.ask("POST", f"/api/models/{repo}/commit/main?create_pr=1", content=body.encode())
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    first = propose(other)
    assert first["pullRequestUrl"] == f"http://testserver/{repo}/discussions/{first['pullRequestNum']}"
    assert propose(other) == first
    assert propose(owner)["pullRequestNum"] != first["pullRequestNum"]
    ref = f"refs%2Fpr%2F{first['pullRequestNum']}"
    assert names(owner, repo, ref) == {".gitattributes", "new"}
    assert other.commit(repo, file("more"), ref=ref).status_code == 200
    parent = owner.get(f"/api/models/{repo}").json()["sha"]
    owner.commit(repo, file("meanwhile"))
    assert propose(other, summary="From before", parentCommit=parent)["commitOid"]


def test_pull_requests_in_the_same_words_at_the_same_time_are_two(repo: str, owner: Person) -> None:
    parent = owner.get(f"/api/models/{repo}").json()["sha"]
    header = {"key": "header", "value": {"summary": "Better", "parentCommit": parent}}
    numbers = set()
    for path in ("one", "two", "three"):
        body = "\n".join(json.dumps(line) for line in (header, file(path)))
        answer = owner.ask("POST", f"/api/models/{repo}/commit/main?create_pr=1", content=body.encode())
        assert answer.status_code == 200, answer.text
        number = answer.json()["pullRequestNum"]
        assert names(owner, repo, f"refs%2Fpr%2F{number}") == {".gitattributes", path}
        numbers.add(number)
    assert len(numbers) == 3


# What comes before


def test_how_a_file_is_to_be_sent(repo: str, owner: Person, nobody: Person) -> None:
    def ask(*files: tuple[str, int, bytes], who: Person = owner) -> list[dict[str, Any]]:
        told = [{"path": path, "size": size, "sample": b64encode(sample).decode()} for path, size, sample in files]
        return list(who.post(f"/api/models/{repo}/preupload/main", {"files": told}).json()["files"])

    owner.commit(repo, file("README.md", b"words"))
    owner.send(repo, b"\0large")
    owner.commit(repo, large("w.bin", b"\0large"))
    asked = [
        ("README.md", 5, b"words"),
        ("w.bin", 6, b"\0large"),
        ("model.safetensors", 3, b"abc"),
        ("deep/er/image", 9, b"\x89PNG"),
        ("long.txt", REGULAR_MAX + 1, b"abc"),
        ("cut.txt", 513, ("x" * 511 + "é").encode()[:512]),
        ("empty.bin", 0, b""),
    ]
    told = ask(*asked)
    assert [each["uploadMode"] for each in told] == ["regular", "lfs", "lfs", "lfs", "lfs", "regular", "regular"]
    assert {each["shouldIgnore"] for each in told} == {False}
    assert [each.get("oid") for each in told[:3]] == [
        "".join(nobody.get(f"/{repo}/resolve/main/README.md").headers["ETag"].split('"')),
        sha256(b"\0large").hexdigest(),
        None,
    ]
    owner.commit(repo, file(".gitattributes", b"# *.txt filter=lfs\n/data/*.csv filter=lfs -text\n"))
    told = ask(("model.safetensors", 3, b"abc"), ("data/a.csv", 3, b"abc"), ("a.txt", 3, b"abc"))
    assert [each["uploadMode"] for each in told] == ["regular", "lfs", "regular"]
    url = f"/api/models/{repo}/preupload/main"
    assert nobody.post(url, {"files": []}).status_code == 401
    for bad in ({}, {"files": [{}]}, {"files": [{"path": "a", "size": 1, "sample": "!"}]}):
        assert owner.post(url, bad).status_code == 400


def test_a_readme_is_looked_at(nobody: Person) -> None:
    def look(content: str) -> tuple[int, list[str], list[str]]:
        answer = nobody.post("/api/validate-yaml", {"repoType": "model", "content": content})
        told = answer.json()
        return answer.status_code, told["errors"], told["warnings"]

    assert look("---\nlicense: mit\n---\n") == (200, [], [])
    assert look("no front matter") == (200, [], [])
    status, errors, _ = look("---\na: [\n---\n")
    assert (status, len(errors)) == (400, 1)
    assert "YAML" in errors[0]["message"]
    assert len(look("---\ntags: {a: 1}\n---\n")[2]) == 1
    assert nobody.post("/api/validate-yaml", {}).status_code == 400


# Refs


def test_branches_and_tags(repo: str, owner: Person, nobody: Person) -> None:
    first = owner.get(f"/api/models/{repo}").json()["sha"]
    second = owner.commit(repo, file("a")).json()["commitOid"]
    base = f"/api/models/{repo}"
    assert owner.post(f"{base}/branch/dev%2Fx", {"startingPoint": first}).status_code == 200
    assert owner.post(f"{base}/branch/dev%2Fx", {}).status_code == 409
    assert owner.post(f"{base}/branch/dev%2Fx", {"overwrite": True}).status_code == 200
    assert owner.post(f"{base}/tag/{first[:7]}", {"tag": "v1", "message": "The first"}).status_code == 200
    assert owner.post(f"{base}/tag/main", {"tag": "v1"}).status_code == 409
    for bad in ("a..b", "-a", "a b", "refs%2Fpr%2F1", "x.lock", "a" * 256, "%00"):
        assert owner.post(f"{base}/branch/{bad}", {}).status_code == 400
    for bad_tag in ("", "a..b", "refs/tags/x"):
        assert owner.post(f"{base}/tag/main", {"tag": bad_tag}).status_code == 400
    assert failure(owner.post(f"{base}/branch/y", {"startingPoint": "never"})) == (404, "RevisionNotFound")
    told = nobody.get(f"{base}/refs").json()
    assert {each["ref"]: each["targetCommit"] for each in told["branches"] + told["tags"]} == {
        "refs/heads/dev/x": second,
        "refs/heads/main": second,
        "refs/tags/v1": first,
    }
    assert "pullRequests" not in told
    assert owner.ask("DELETE", f"{base}/branch/dev%2Fx").status_code == 200
    assert owner.ask("DELETE", f"{base}/tag/v1").status_code == 200
    assert owner.ask("DELETE", f"{base}/branch/main").status_code == 403
    for gone in ("branch/dev%2Fx", "tag/v1"):
        assert failure(owner.ask("DELETE", f"{base}/{gone}")) == (404, "RevisionNotFound")
    assert owner.post(f"{base}/super-squash/main", {"message": "One"}).status_code == 200
    assert [each["title"] for each in nobody.get(f"{base}/commits/main").json()] == ["One"]
    assert nobody.get(f"/{repo}/resolve/{second}/a").status_code == 200
    assert failure(owner.post(f"{base}/super-squash/never", {})) == (404, "RevisionNotFound")
