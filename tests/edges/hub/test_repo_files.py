"""The files of a revision: listed in pages, told of by path, sent whole and in part."""

from hashlib import sha256
from itertools import pairwise

import pytest
from asking import Person, failure, file, large

from concord.ledger.blobs import Hold, Tombstone
from concord.node import Node
from concord.pillars.commons.tree import git_blob
from concord.testing.repos import gguf, gguf_pair, safetensors


@pytest.fixture
def repo(owner: Person) -> str:
    repo = owner.open()
    owner.commit(repo, file("a.txt", b"0123456789"), file("d/b.txt", b"b"), file("d/e/c.txt", b"c"), summary="First")
    owner.commit(repo, file("d-e.txt", b"x"), summary="Second")
    return repo


def paths(answer: object) -> list[str]:
    return [each["path"] for each in answer.json()]  # type: ignore[attr-defined]


def test_a_folder_is_listed(repo: str, nobody: Person) -> None:
    tree = f"/api/models/{repo}/tree/main"
    assert paths(nobody.get(tree)) == [".gitattributes", "a.txt", "d", "d-e.txt"]
    assert paths(nobody.get(f"{tree}/d")) == paths(nobody.get(f"{tree}/d/")) == ["d/b.txt", "d/e"]
    assert paths(nobody.get(f"{tree}/d%2Fe")) == ["d/e/c.txt"]
    everything = [".gitattributes", "a.txt", "d", "d-e.txt", "d/b.txt", "d/e", "d/e/c.txt"]
    assert paths(nobody.get(f"{tree}?recursive=true")) == everything
    assert paths(nobody.get(f"{tree}/d?recursive=True")) == ["d/b.txt", "d/e", "d/e/c.txt"]
    folder = nobody.get(tree).json()[2]
    assert (folder["type"], len(folder["oid"])) == ("directory", 40)
    missing = nobody.get(f"{tree}/never")
    assert failure(missing) == (404, "EntryNotFound")
    assert missing.headers["X-Repo-Commit"] == nobody.get(f"/api/models/{repo}").json()["sha"]
    assert failure(nobody.get(f"/api/models/{repo}/tree/never")) == (404, "RevisionNotFound")


def test_an_entry_is_told_with_the_commit_that_made_it_and_without_a_verdict(repo: str, owner: Person, nobody: Person) -> None:
    owner.send(repo, b"\0large")
    owner.commit(repo, large("w.bin", b"\0large"))
    told = {each["path"]: each for each in nobody.get(f"/api/models/{repo}/tree/main?recursive=1&expand=1").json()}
    assert {path: each["lastCommit"]["title"] for path, each in told.items()} == {
        ".gitattributes": "initial commit",
        "a.txt": "First",
        "d": "First",
        "d-e.txt": "Second",
        "d/b.txt": "First",
        "d/e": "First",
        "d/e/c.txt": "First",
        "w.bin": "A change",
    }
    assert told["w.bin"]["securityFileStatus"]["status"] == "unscanned"
    assert told["w.bin"]["lfs"] == {"oid": large("w.bin", b"\0large")["value"]["oid"], "size": 6, "pointerSize": 126}
    assert len(told["w.bin"]["xetHash"]) == 64


def test_paths_are_told_of_and_what_is_not_there_is_passed_over(repo: str, nobody: Person) -> None:
    url = f"/api/models/{repo}/paths-info/main"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told = nobody.ask("POST", url, content="paths=a.txt&paths=d%2Fe&paths=never&paths=..%2Fa.txt&expand=True", headers=form)
    assert paths(told) == ["a.txt", "d/e"]
    assert told.json()[0]["lastCommit"]["title"] == "First"
    assert paths(nobody.post(url, {"paths": ["d/b.txt/"]})) == ["d/b.txt"]
    many = "&".join(["paths=a"] * 20_001)
    assert nobody.ask("POST", url, content=many, headers=form).status_code == 400
    assert nobody.ask("POST", url, content=b"paths=\xff", headers=form).status_code == 400
    assert nobody.post(url, {"paths": 3}).status_code == 400


def test_ten_thousand_files_are_committed_at_once_and_listed_in_pages(owner: Person, nobody: Person) -> None:
    repo = owner.open("many")
    assert owner.commit(repo, *(file(f"data/{number:05}.txt", b"same") for number in range(10_000))).status_code == 200
    url, pages = f"/api/models/{repo}/tree/main?recursive=true", []
    while url:
        answer = nobody.get(url)
        pages.append(paths(answer))
        url = answer.links.get("next", {}).get("url", "")
    found = [path for page in pages for path in page]
    assert [len(page) for page in pages] == [1000] * 10 + [2]
    assert found == [".gitattributes", "data", *(f"data/{number:05}.txt" for number in range(10_000))]
    assert len(nobody.get(f"/api/models/{repo}/tree/main/data?limit=7").json()) == 7
    assert len(nobody.get(f"/api/models/{repo}/tree/main/data?expand=1").json()) == 50


# Bytes


def test_a_file_is_sent_with_what_clients_read(repo: str, owner: Person, nobody: Person) -> None:
    sha = nobody.get(f"/api/models/{repo}").json()["sha"]
    url = f"/{repo}/resolve/main/a.txt"
    for method in ("HEAD", "GET"):
        answer = nobody.ask(method, url, headers={"Accept-Encoding": "identity"})
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, "10")
        assert answer.headers["ETag"] == f'"{git_blob(b"0123456789")}"'
        assert answer.headers["X-Repo-Commit"] == sha
        assert "Content-Encoding" not in answer.headers
    assert nobody.get(url).text == nobody.get(f"/{repo}/raw/main/a.txt").text == "0123456789"
    assert nobody.ask("HEAD", url).content == b""
    assert nobody.get(url).headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert "immutable" in nobody.get(f"/{repo}/resolve/{sha}/a.txt").headers["Cache-Control"]
    owner.send(repo, b"\0large")
    owner.commit(repo, large("w.bin", b"\0large"))
    headers = nobody.ask("HEAD", f"/{repo}/resolve/main/w.bin").headers
    oid = large("w.bin", b"\0large")["value"]["oid"]
    assert (headers["ETag"], headers["X-Linked-Etag"], headers["X-Linked-Size"]) == (f'"{oid}"', f'"{oid}"', "6")
    assert len(headers["X-Xet-Hash"]) == 64
    assert f'/xet-read-token/{headers["X-Repo-Commit"]}>; rel="xet-auth"' in headers["Link"]
    assert 'rel="provenance"' in headers["Link"]


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, b""),
        ("bytes=99-100", 416, b""),
        ("bytes=5-2", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("bytes=+1-", 200, b"0123456789"),
        ("pages=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(repo: str, nobody: Person, wanted: str, status: int, content: bytes) -> None:
    answer = nobody.get(f"/{repo}/resolve/main/a.txt", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (status, content)
    assert "X-Repo-Commit" in answer.headers
    if status == 416:
        assert answer.headers["Content-Range"] == "bytes */10"


def test_a_file_that_a_client_has_is_not_sent_again(repo: str, nobody: Person) -> None:
    url = f"/{repo}/resolve/main/a.txt"
    etag = nobody.get(url).headers["ETag"]
    assert nobody.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert nobody.get(url, headers={"If-Range": etag, "Range": "bytes=4-"}).content == b"456789"
    assert nobody.get(url, headers={"If-Range": '"other"', "Range": "bytes=4-"}).content == b"0123456789"


def test_branches_with_slashes_and_pull_requests_are_one_segment(repo: str, owner: Person, nobody: Person) -> None:
    owner.post(f"/api/models/{repo}/branch/dev%2Fx", {})
    owner.commit(repo, file("dev.txt"), ref="dev%2Fx")
    assert nobody.get(f"/{repo}/resolve/dev%2Fx/dev.txt").text == "text"
    assert "dev.txt" in paths(nobody.get(f"/api/models/{repo}/tree/dev%2Fx"))
    assert failure(nobody.get(f"/{repo}/resolve/dev/x/dev.txt")) == (404, "RevisionNotFound")
    assert failure(nobody.get(f"/{repo}/resolve/main/dev.txt")) == (404, "EntryNotFound")


@pytest.mark.parametrize(
    "path",
    ["..%2Fa.txt", "d/..%2Fa.txt", "a.txt%00", "%00", "a.txt/", "x" * 4000, "%C3%28", "%E2%80%AEa.txt", "A.TXT", "d"],
)
def test_a_path_that_is_none_is_not_there(repo: str, nobody: Person, path: str) -> None:
    scope = f"/{repo}/resolve/main/"
    answer = nobody.client.build_request("GET", "http://testserver/x")
    answer.url = answer.url.copy_with(raw_path=(scope + path).encode())
    sent = nobody.client.send(answer)
    assert failure(sent) == (404, "EntryNotFound")
    assert sent.headers["X-Error-Message"].isascii()


def test_a_file_whose_bytes_are_not_here_or_held_or_erased_says_so(repo: str, owner: Person, nobody: Person, node: Node) -> None:
    url, oid = f"/{repo}/resolve/main/a.txt", "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    node.blobs.hold(oid, Hold(by="safety", reason="it harms", at=1))
    held = nobody.get(url)
    assert (held.status_code, held.headers["X-Error-Message"]) == (451, "Access to this resource is disabled.")
    node.blobs.release(oid, "safety")
    node.blobs.open(oid).unlink()
    missing = nobody.get(url)
    assert failure(missing) == (404, "EntryNotFound")
    assert "not on this node" in missing.json()["error"]
    assert nobody.get(f"/api/models/{repo}/tree/main").status_code == 200
    node.blobs.put([b"0123456789"])
    assert nobody.get(url).status_code == 200
    node.blobs.erase(oid, Tombstone(by="ke", reason="asked", at=1, size=10))
    assert nobody.get(url).status_code in (404, 410)


def test_pages_follow_one_another_without_gap(repo: str, nobody: Person) -> None:
    url, found = f"/api/models/{repo}/commits/main?limit=1", []
    while url:
        answer = nobody.get(url)
        found += answer.json()
        url = answer.links.get("next", {}).get("url", "")
    assert [each["title"] for each in found] == ["Second", "First", "initial commit"]
    assert all(later["parents"] == [earlier["id"]] for later, earlier in pairwise(found))
    assert found[0]["authors"] == [{"user": "wanjiru@ke", "avatar": ""}]


# Headers of weights


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0",
        (1 << 40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{",
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99]}}'.rjust(55).join([(55).to_bytes(8, "little"), b""]),
        (7).to_bytes(8, "little") + b'{"a":1}',
        (30_000).to_bytes(8, "little") + b'{"a":' + b"[" * 29_000,
    ],
    ids=["empty", "short", "huge", "a list", "cut", "beyond the end", "no tensor", "deep"],
)
def test_weights_that_are_none_are_told(owner: Person, nobody: Person, content: bytes) -> None:
    repo = owner.open("weights")
    content = content or b"\0"
    owner.send(repo, content)
    owner.commit(repo, large("model.safetensors", content))
    assert nobody.get(f"/api/models/{repo}/safetensors-metadata/model.safetensors").status_code == 400
    assert "safetensors" not in nobody.get(f"/api/models/{repo}").json()


def test_the_headers_of_shards_are_told_together(owner: Person, nobody: Person) -> None:
    repo = owner.open("shards")
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    shard = len(header).to_bytes(8, "little") + header + bytes(4)
    owner.send(repo, shard)
    index = b'{"metadata": {"total_size": 4}, "weight_map": {"w": "one.safetensors"}}'
    owner.commit(repo, large("one.safetensors", shard), file("model.safetensors.index.json", index))
    url = f"/api/models/{repo}/safetensors-metadata"
    told = nobody.get(f"{url}/model.safetensors.index.json").json()
    assert (told["index"]["metadata"], list(told["headers"])) == ({"total_size": 4}, ["one.safetensors"])
    assert failure(nobody.get(f"{url}/never")) == (404, "EntryNotFound")
    owner.commit(repo, file("model.safetensors.index.json", b'{"weight_map": {"w": "../../never"}}'))
    assert nobody.get(f"{url}/model.safetensors.index.json").status_code == 400


def test_parameters_of_all_shards_are_told_once_all_are_here(owner: Person, nobody: Person) -> None:
    repo = owner.open("shards")
    shard = safetensors({"w": [2, 3]})
    for number in (1, 2):
        path = f"model-0000{number}-of-00002.safetensors"
        content = shard + bytes(number - 1)
        owner.send(repo, content)
        owner.commit(repo, large(path, content))
        told = nobody.get(f"/api/models/{repo}").json().get("safetensors")
        assert told == ({"parameters": {"F32": 12}, "total": 12} if number == 2 else None)


def test_what_a_gguf_says_is_told_unless_it_is_held(node: Node, owner: Person, nobody: Person) -> None:
    repo = owner.open("small")
    pairs = [
        gguf_pair("general.architecture", "llama"),
        gguf_pair("llama.context_length", 4096),
        gguf_pair("tokenizer.chat_template", "{{ x }}"),
    ]
    content = gguf({"w": [8, 4]}, 2, *pairs)
    owner.send(repo, content)
    owner.commit(repo, large("small-q4_0.gguf", content))
    wanted = {"total": 32, "architecture": "llama", "context_length": 4096, "chat_template": "{{ x }}"}
    for path in (f"/api/models/{repo}", f"/api/models/{repo}?expand=gguf", f"/api/models/{repo}"):
        assert nobody.get(path).json()["gguf"] == wanted
    owner.put(f"/api/models/{repo}/settings", {"gated": "manual"})
    assert set(nobody.get(f"/api/models/{repo}").json()["gguf"]) == {*wanted} - {"chat_template"}
    node.blobs.hold(sha256(content).hexdigest(), Hold(by="safety", reason="it harms", at=1))
    assert "gguf" not in nobody.get(f"/api/models/{repo}").json()


def test_what_a_readme_said_is_not_told_of_a_repo_that_does_not_have_it(owner: Person, other: Person, nobody: Person) -> None:
    readme = b"---\nlicense: mit\n---\n"
    mine = owner.open("mine", private=True)
    owner.commit(mine, file("README.md", readme))
    assert owner.get(f"/api/models/{mine}").json()["cardData"] == {"license": "mit"}
    theirs = other.open("theirs")
    other.commit(theirs, file("README.md", b"# Nothing\n"))
    assert nobody.get(f"/api/models/{theirs}").json()["cardData"] == {}
