"""What a stranger is answered who asks for files of repos: ranges, names, and nothing that is not for everybody."""

import os
from hashlib import sha256

import pytest
from starlette.testclient import TestClient

from concord.ledger.chunks import rows
from concord.ledger.statements import Deposit
from concord.node import Node
from concord.pillars.commons import File, Repo
from concord.private import damages
from concord.shelf import Draft, Shelf
from concord.testing import everything
from concord.xet.hashes import spell
from concord.xet.shard import Shard
from concord.xet.xorb import split, unseal

CONTENT = os.urandom(500_000)


def share(node: Node, content: bytes, name: str, *, private: bool = False) -> tuple[Repo, File]:
    me, shelf = everything(node.holdings.hosted()[0]), Shelf(node)
    repo = shelf.open(me, "model", name, private=private)
    digest, size = shelf.content.take([content], sha256(content).hexdigest(), 1 << 30)
    shelf.content.give(repo, [digest])
    file = File(path="w.bin", size=size, sha256=digest, xet=shelf.content.xet(digest))
    shelf.commit(me, repo, Draft("main", "Share", put=[file]))
    return repo, file


def test_a_file_is_there_whole_and_as_what_it_is_made_of(node: Node, client: TestClient) -> None:
    repo, file = share(node, CONTENT, "words")
    base = f"/peer/content/{repo.root}"
    assert client.get(f"{base}/{file.sha256}").content == CONTENT
    assert client.get(f"{base}/{file.sha256}", headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    (told,) = Shard.parse(client.get(f"{base}/{file.sha256}.map").content).files
    assert (spell(told.hash), told.size) == (file.xet, file.size)
    xorb = spell(told.terms[0].xorb)
    raw = client.get(f"{base}/xorbs/{xorb}").content
    assert b"".join(map(unseal, split([raw]))) == CONTENT
    table = rows.Rows(0, client.get(f"{base}/xorbs/{xorb}.rows").content)
    row = table[1]
    assert row is not None
    part = client.get(f"{base}/xorbs/{xorb}", headers={"Range": f"bytes={row.start}-{row.start + row.length - 1}"})
    assert (part.status_code, len(unseal(part.content))) == (206, row.size)
    assert client.head(f"{base}/xorbs/{xorb}").headers["Content-Length"] == str(len(raw))
    assert client.get(f"{base}/xorbs/{xorb}", headers={"Range": f"bytes={len(raw)}-"}).status_code == 416


@pytest.mark.parametrize(
    "name",
    ["{root}/", "{root}/ab", "{root}/xorbs", "{root}/xorbs/", "{root}/xorbs/ab", "{root}/other/{sha256}", "{root}//{sha256}",
     "{root}/{sha256}.rows", "{root}/xorbs/{sha256}.map", "{root}/{sha256}.map.map", "{root}/../{root}/{sha256}x", "x/{sha256}",
     "{sha256}/{sha256}", "{root}/{root}", "{root}/xorbs/{sha256}", "{root}/xorbs/{sha256}.rows"],
)  # fmt: skip
def test_another_address_has_nothing(node: Node, client: TestClient, name: str) -> None:
    repo, file = share(node, CONTENT, "words")
    assert client.get("/peer/content/" + name.format(root=repo.root, sha256=file.sha256)).status_code == 404


def test_no_header_makes_a_hidden_chunk_leave(node: Node, client: TestClient) -> None:
    """A range that is not looked at, because of another header, would be the whole xorb."""
    share(node, CONTENT + os.urandom(300_000), "secret", private=True)
    repo, file = share(node, CONTENT, "words")
    (xorb,) = node.chunks.xorbs_of(str(file.xet))[:1]
    base = f"/peer/content/{repo.root}/xorbs/{xorb}"
    shown = rows.Rows(0, client.get(f"{base}.rows").content)
    first = shown[0]
    assert first is not None and shown[len(shown) - 1] is None
    allowed = f"bytes={first.start}-{first.length - 1}"
    assert client.get(base, headers={"Range": allowed}).status_code == 206
    for headers in (
        {},
        {"Range": allowed, "If-Range": '"other"'},
        {"Range": f"{allowed},{allowed[6:]}"},
        {"Range": "bytes=-10"},
        {"Range": "bytes=0-"},
        {"Range": "items=0-1"},
    ):
        assert client.get(base, headers=headers).status_code == 404


def test_what_the_disk_damaged_does_not_leave(node: Node, client: TestClient) -> None:
    repo, file = share(node, CONTENT, "words")
    (xorb,) = node.chunks.xorbs_of(str(file.xet))
    path = node.chunks.open_xorb(xorb)
    raw = bytearray(path.read_bytes())
    raw[200_000] ^= 1
    path.write_bytes(raw)
    for name in (file.sha256, f"xorbs/{xorb}"):
        try:
            status = client.get(f"/peer/content/{repo.root}/{name}").status_code
        except RuntimeError:  # the line is cut where the damage is
            status = 500
        assert status == 500
    assert client.get(f"/peer/content/{repo.root}/xorbs/{xorb}").status_code == 404  # set aside


def test_a_repo_that_was_closed_or_gated_has_nothing_any_more(node: Node, client: TestClient) -> None:
    repo, file = share(node, CONTENT, "words")
    me, shelf = everything(repo.id.owner), Shelf(node)
    address = f"/peer/content/{repo.root}/{file.sha256}"
    assert client.get(address).status_code == 200
    shelf.configure(me, shelf.find(repo.id, me), "auto")
    assert client.get(address).status_code == 404
    shelf.configure(me, shelf.find(repo.id, me), "open")
    assert client.get(address).status_code == 200
    shelf.close(me, shelf.find(repo.id, me))
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/peer/content/{root}/{digest}", "/peer/blobs/{digest}"])
def test_what_the_disk_changed_is_given_to_no_peer(node: Node, client: TestClient, address: str) -> None:
    me, shelf = everything(node.holdings.hosted()[0]), Shelf(node)
    repo = shelf.open(me, "model", "words", private=False)
    file = shelf.keep(repo, "a.txt", b"some words")
    node.say(me, Deposit, {"name": "a", "blob": {"digest": file.sha256, "size": file.size, "media": "text/plain"}})
    asked, path = address.format(root=repo.root, digest=file.sha256), node.blobs.open(file.sha256)
    assert client.get(asked).content == b"some words"
    path.write_bytes(b"some wards")
    first = client.get(asked)
    assert (first.status_code, b"wards" in first.content) == (500, False)
    assert client.get(asked).status_code == 404, "whoever asks again goes on to others at once"
    with node.private_reading() as db:
        assert [each.name for each in damages.everything(db)] == [file.sha256]
