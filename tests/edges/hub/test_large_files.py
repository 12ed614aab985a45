"""Large files as Git LFS sends them: whole, in parts, forged, cut, late, to the wrong place."""

import os
from hashlib import sha256
from typing import Any

import pytest
from asking import Person, failure, file, large

from concord.edges.hub import lfs
from concord.edges.hub.tickets import LIVES
from concord.node import Node
from concord.operations.garbage import collect
from concord.testing import Clock

DAY = 86_400


@pytest.fixture
def repo(owner: Person) -> str:
    return owner.open()


def upload_of(person: Person, repo: str, content: bytes, **more: Any) -> dict[str, Any]:
    (told,) = person.batch(repo, content, **more).json()["objects"]
    return dict(told["actions"]["upload"])


def test_a_large_file_is_sent_verified_committed_and_had(repo: str, owner: Person, nobody: Person) -> None:
    content = b"\0" + os.urandom(3_000_000)
    answer = owner.batch(repo, content, transfers=["basic", "multipart"], hash_algo="sha256")
    assert answer.headers["Content-Type"] == "application/vnd.git-lfs+json"
    assert answer.json()["transfer"] == "basic"
    (told,) = answer.json()["objects"]
    assert owner.commit(repo, large("w.bin", content)).status_code == 400
    assert nobody.ask("PUT", told["actions"]["upload"]["href"], content=content).status_code == 200
    said = {"oid": told["oid"], "size": told["size"]}
    assert nobody.post(told["actions"]["verify"]["href"], said).status_code == 200
    assert nobody.post(told["actions"]["verify"]["href"], {**said, "size": 1}).status_code == 400
    assert "actions" not in owner.batch(repo, content).json()["objects"][0]
    assert owner.commit(repo, large("w.bin", content)).status_code == 200
    assert nobody.get(f"/{repo}/resolve/main/w.bin").content == content
    asked = {"operation": "download", "objects": [said, {"oid": "ab" * 32, "size": 1}]}
    there, missing = nobody.post(f"/{repo}.git/info/lfs/objects/batch", asked).json()["objects"]
    href = there["actions"]["download"]["href"]
    assert nobody.get(href).content == content
    assert nobody.get(href, headers={"Range": "bytes=10-19"}).content == content[10:20]
    assert nobody.get(href, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert missing["error"]["code"] == 404


def test_a_copy_needs_no_size_and_no_second_upload(repo: str, owner: Person) -> None:
    line = owner.send(repo, b"\0large")
    owner.commit(repo, line)
    copied = {"key": "lfsFile", "value": {"path": "copy.bin", "algo": "sha256", "oid": line["value"]["oid"]}}
    assert owner.commit(repo, copied).status_code == 200
    assert owner.get(f"/{repo}/resolve/main/copy.bin").content == b"\0large"
    wrong = {"key": "lfsFile", "value": {**line["value"], "size": 7, "path": "wrong.bin"}}
    assert owner.commit(repo, wrong).status_code == 400


def test_what_a_client_is_told_is_here_stays_until_it_commits(repo: str, owner: Person, node: Node, clock: Clock) -> None:
    content = b"\0" + os.urandom(200_000)
    line = owner.send(repo, content)
    clock.now += 10 * DAY
    assert "actions" not in owner.batch(repo, content).json()["objects"][0]
    assert collect(node, DAY).files == ()
    clock.now += DAY - 1
    assert owner.commit(repo, line).status_code == 200
    clock.now += 10 * DAY
    collect(node, DAY)
    assert owner.get(f"/{repo}/resolve/main/{line['value']['path']}").content == content


def test_what_was_left_behind_is_cleared_away_and_can_be_sent_again(repo: str, owner: Person, node: Node, clock: Clock) -> None:
    content = b"\0" + os.urandom(200_000)
    line = owner.send(repo, content)
    clock.now += 10 * DAY
    assert line["value"]["oid"] in collect(node, DAY).files
    assert owner.commit(repo, line).status_code == 400
    assert owner.commit(repo, owner.send(repo, content)).status_code == 200
    assert owner.get(f"/{repo}/resolve/main/{line['value']['path']}").content == content


def test_what_is_damaged_is_asked_for_again(repo: str, owner: Person, node: Node) -> None:
    content = b"\0" + os.urandom(200_000)
    line = owner.send(repo, content)
    owner.commit(repo, line)
    entry = node.chunks.by_digest(line["value"]["oid"])
    assert entry is not None
    plan = node.chunks.reconstruction(entry.hash)
    assert plan is not None
    node.chunks.set_aside(plan.spans[0].xorb)
    assert "actions" in owner.batch(repo, content).json()["objects"][0]
    owner.send(repo, content)
    assert owner.get(f"/{repo}/resolve/main/{line['value']['path']}").content == content


def test_files_of_one_repo_are_had_in_another_that_the_asker_may_see(owner: Person, other: Person, repo: str) -> None:
    line = owner.send(repo, b"\0large")
    owner.commit(repo, line)
    theirs = other.open("mine")
    copied = {
        "target": {"type": "model", "name": theirs},
        "files": [{"sha256": line["value"]["oid"], "xetHash": "", "filename": "x"}],
    }
    never = {"sha256": "ab" * 32, "xetHash": "", "filename": "y"}
    told = other.post(f"/api/models/{repo}/lfs-files/duplicate", {**copied, "files": [*copied["files"], never]}).json()
    assert [each["sha256"] for each in told["failed"]] == ["ab" * 32]
    assert other.commit(theirs, line).status_code == 200
    secret = owner.open("secret", private=True)
    owner.send(secret, b"\0hidden")
    answer = other.post(f"/api/models/{secret}/lfs-files/duplicate", copied)
    assert failure(answer) == (404, "RepoNotFound")


# In parts


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lfs, "PART_MIN", 1000)


def parts_of(upload: dict[str, Any]) -> tuple[int, list[str]]:
    header = dict(upload["header"])
    return int(header.pop("chunk_size")), [header[number] for number in sorted(header)]


@pytest.mark.usefixtures("small_parts")
def test_a_file_is_sent_in_parts_in_any_order(repo: str, owner: Person, nobody: Person, node: Node) -> None:
    content = os.urandom(4500)
    assert "header" not in upload_of(owner, repo, content)
    upload = upload_of(owner, repo, content, transfers=["multipart", "basic"])
    size, addresses = parts_of(upload)
    assert (size, len(addresses)) == (1000, 5)
    told = []
    for number in (3, 1, 2, 5, 4):
        part = content[(number - 1) * size : number * size]
        nobody.ask("PUT", addresses[number - 1], content=part)
        sent = nobody.ask("PUT", addresses[number - 1], content=part)
        told.append({"partNumber": number, "etag": sent.headers["ETag"]})
    whole = {"oid": sha256(content).hexdigest(), "parts": told}
    for bad in ({**whole, "parts": told[:-1]}, {**whole, "oid": "ab" * 32}, {**whole, "parts": [*told, told[0]]}):
        assert nobody.post(upload["href"], bad).status_code == 400
    forged = [{**told[0], "etag": "../../../keys"}, *told[1:]]
    assert nobody.post(upload["href"], {**whole, "parts": forged}).status_code == 400
    assert nobody.post(upload["href"], whole).status_code == 200
    assert owner.commit(repo, large("w.bin", content)).status_code == 200
    assert owner.get(f"/{repo}/resolve/main/w.bin").content == content
    assert not list((node.blobs.root / ".parts").iterdir())


@pytest.mark.usefixtures("small_parts")
def test_parts_that_are_not_those_of_the_file_are_refused(repo: str, owner: Person) -> None:
    content = os.urandom(3000)
    upload = upload_of(owner, repo, content, transfers=["multipart"])
    _, addresses = parts_of(upload)
    assert owner.ask("PUT", addresses[0], content=b"x" * 999).status_code == 400
    assert owner.ask("PUT", addresses[0], content=b"x" * 1001).status_code == 400
    etags = [owner.ask("PUT", address, content=b"x" * 1000).headers["ETag"] for address in addresses]
    parts = [{"partNumber": number, "etag": etag} for number, etag in enumerate(etags, 1)]
    assert owner.post(upload["href"], {"oid": sha256(content).hexdigest(), "parts": parts}).status_code == 422
    assert owner.commit(repo, large("w.bin", content)).status_code == 400


@pytest.mark.usefixtures("small_parts")
def test_parts_of_an_upload_that_was_given_up_are_cleared_away(repo: str, owner: Person, node: Node, clock: Clock) -> None:
    _, addresses = parts_of(upload_of(owner, repo, b"x" * 3000, transfers=["multipart"]))
    owner.ask("PUT", addresses[0], content=b"x" * 1000)
    (folder,) = (node.blobs.root / ".parts").iterdir()
    for age, there in ((lfs.STALE - 10, True), (lfs.STALE + 10, False)):
        os.utime(folder, (clock.now - age, clock.now - age))
        owner.batch(repo, b"another")
        assert folder.exists() == there


# What is wrong


def test_bytes_that_are_not_those_of_the_address_are_refused(repo: str, owner: Person, node: Node) -> None:
    content = b"\0" * 1000
    href = upload_of(owner, repo, content)["href"]
    kept = set(node.blobs.digests())
    for wrong, status in ((b"\1" * 1000, 422), (content[:-1], 422), (b"", 422), (content + b"x", 413)):
        assert owner.ask("PUT", href, content=wrong).status_code == status
    assert set(node.blobs.digests()) == kept
    assert not [path for path in node.blobs.root.iterdir() if path.is_file()]


def test_an_address_is_good_for_what_it_says_and_until_then(repo: str, owner: Person, clock: Clock) -> None:
    content = b"\0large"
    (told,) = owner.batch(repo, content).json()["objects"]
    href, verify = told["actions"]["upload"]["href"], told["actions"]["verify"]["href"]
    ticket, _, seal = href.rpartition("/")[2].partition(".")
    forged = [
        f"/lfs/upload/{ticket}.{'0' * 64}",
        f"/lfs/upload/{ticket}",
        f"/lfs/upload/{ticket[:-2]}AA.{seal}",
        f"/lfs/upload/.{seal}",
        f"/lfs/upload/é.{seal}",
        f"/lfs/part/{ticket}.{seal}",
        f"/lfs/upload/{verify.rpartition('/')[2]}",
    ]
    for address in forged:
        assert owner.ask("PUT", address, content=content).status_code == 403
    assert owner.get(f"/lfs/download/{ticket}.{seal}").status_code == 403
    clock.now += LIVES["upload"]
    assert owner.ask("PUT", href, content=content).status_code == 403
    assert owner.commit(repo, large("w.bin", content)).status_code == 400


def test_an_address_is_for_the_repo_that_it_was_given_for(owner: Person, clock: Clock) -> None:
    repo = owner.open("secret", private=True)
    href = upload_of(owner, repo, b"\0large")["href"]
    other_href = upload_of(owner, repo, b"\0larger")["href"]
    owner.put(f"/api/models/{repo}/settings", {"private": False})
    assert owner.ask("PUT", href, content=b"\0large").status_code == 200
    assert owner.commit(repo, large("w.bin", b"\0large")).status_code == 200
    owner.ask("DELETE", "/api/repos/delete", json={"name": "secret"})
    assert owner.ask("PUT", other_href, content=b"\0larger").status_code == 404
    clock.now += 1
    owner.open("secret")
    assert owner.ask("PUT", other_href, content=b"\0larger").status_code == 404
    assert owner.commit(repo, large("w.bin", b"\0large")).status_code == 400


def test_what_may_be_sent_is_for_publishers(repo: str, owner: Person, nobody: Person, other: Person) -> None:
    answer = nobody.batch(repo, b"x")
    assert answer.status_code == 401
    assert answer.headers["LFS-Authenticate"] == 'Basic realm="Concord"'
    assert answer.json()["message"]
    assert other.batch(repo, b"x").status_code == 200  # for a pull request
    batch = f"/{repo}.git/info/lfs/objects/batch"
    objects = [{"oid": "ab" * 32, "size": 1}]
    for bad in (
        {"operation": "delete", "objects": objects},
        {"operation": "upload", "objects": [{"oid": "AB" * 32, "size": 1}]},
        {"operation": "upload", "objects": [{"oid": "../x", "size": 1}]},
        {"operation": "upload", "objects": objects, "hash_algo": "md5"},
        {"operation": "upload", "objects": objects * 1001},
    ):
        assert owner.post(batch, bad).status_code == 400
    for size in (-1, lfs.SIZE_MAX + 1):
        (told,) = owner.post(batch, {"operation": "upload", "objects": [{"oid": "ab" * 32, "size": size}]}).json()["objects"]
        assert told["error"]["code"] == 422


def test_git_sends_its_token_as_a_password(repo: str, owner: Person) -> None:
    secret = owner.headers["Authorization"].split()[1]
    asked = {"operation": "upload", "objects": []}
    answer = owner.client.post(f"/{repo}.git/info/lfs/objects/batch", json=asked, auth=("anybody", secret))
    assert answer.status_code == 200


def test_a_pull_request_of_another_member_brings_its_own_large_files(repo: str, owner: Person, other: Person) -> None:
    number = other.post(f"/api/models/{repo}/discussions", {"title": "Better", "pullRequest": True}).json()["num"]
    line = other.send(repo, b"\0theirs")
    assert other.commit(repo, line, file("a"), ref=f"refs%2Fpr%2F{number}").status_code == 200
    assert owner.post(f"/api/models/{repo}/discussions/{number}/merge").status_code == 200
    assert owner.get(f"/{repo}/resolve/main/large.bin").content == b"\0theirs"
