"""The Xet protocol at the door: what is sent is verified, what is had is what may be had, and nobody learns of others' chunks."""

import os
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from asking import Cas, Person, described, failure, large, packed

from concord.edges.hub.asking import TURNS
from concord.edges.hub.tickets import LIVES
from concord.ledger.blobs import Hold, Tombstone
from concord.node import Node
from concord.testing import Clock
from concord.xet.chunker import cut
from concord.xet.hashes import chunk_hash, file_hash, spell, unspell

CONTENT = b"\0" + os.urandom(700_000)


@pytest.fixture
def repo(owner: Person) -> str:
    return owner.open()


def sent(cas: Cas, content: bytes = CONTENT) -> str:
    """Send a file; its Xet hash."""
    name, raw, table = packed(content)
    assert cas.ask("POST", f"xorbs/default/{name}", content=raw).json() in ({"was_inserted": True}, {"was_inserted": False})
    assert cas.ask("POST", "shards", content=described(content, table)).status_code == 200
    return spell(file_hash(tuple(table.chunks())))


def test_a_file_that_was_sent_is_committed_and_put_together_from_what_is_told(repo: str, owner: Person, nobody: Person) -> None:
    name = sent(Cas(owner, repo))
    assert owner.commit(repo, large("w.bin", CONTENT)).status_code == 200
    head = nobody.ask("HEAD", f"/{repo}/resolve/main/w.bin")
    assert head.headers["X-Xet-Hash"] == name
    assert 'rel="xet-auth"' in head.headers["Link"]
    assert nobody.get(f"/{repo}/resolve/main/w.bin").content == CONTENT
    told = Cas(nobody, repo, "read").ask("GET", f"reconstructions/{name}", headers={"Range": "bytes=300000-400000"}).json()
    assert sum(term["unpacked_length"] for term in told["terms"]) - told["offset_into_first_range"] >= 100_001
    for fetches in told["fetch_info"].values():
        for fetch in fetches:
            first, last = fetch["url_range"]["start"], fetch["url_range"]["end"]
            answer = nobody.get(fetch["url"], headers={"Range": f"bytes={first}-{last}"})
            assert (answer.status_code, len(answer.content)) == (206, last - first + 1)
            assert nobody.get(fetch["url"]).status_code == 403
            assert nobody.get(fetch["url"], headers={"Range": f"bytes={first}-{last + 1}"}).status_code in (403, 416)
    assert Cas(nobody, repo, "read").ask("GET", f"reconstructions/{name}", headers={"Range": "bytes=9999999-"}).status_code == 416


def test_what_is_forged_is_refused_and_nothing_of_it_stays(repo: str, owner: Person) -> None:
    cas = Cas(owner, repo)
    name, raw, table = packed(CONTENT)
    for body in (raw[:-1], raw + b"x", b"", raw[:100] + b"x" + raw[101:], b"\0" * 100):
        assert cas.ask("POST", f"xorbs/default/{name}", content=body).status_code in (400, 422)
    assert cas.ask("POST", "shards", content=described(CONTENT, table)).status_code in (400, 404)
    assert cas.ask("POST", f"xorbs/default/{name}", content=raw).json() == {"was_inserted": True}
    shard = described(CONTENT, table)
    for body in (described(CONTENT, table, bytes(32)), shard[:-1], shard[:200], b"", b"x" * 1000):
        assert cas.ask("POST", "shards", content=body).status_code in (400, 422)
    assert owner.commit(repo, large("w.bin", CONTENT)).status_code == 400
    for bad in ("z" * 64, "ab", "..", "%2e%2e%2fnode.db"):
        assert cas.ask("POST", f"xorbs/default/{bad}", content=raw).status_code in (400, 404)


def test_only_who_may_commit_gets_a_ticket_to_write(
    repo: str, owner: Person, nobody: Person, person: Callable[..., Person]
) -> None:
    path = f"/api/models/{repo}/xet-write-token/main"
    assert nobody.get(path).status_code == 401
    assert person("reader", scopes=("read",)).get(path).status_code == 403
    for ticket in ("", "nonsense", owner.headers["Authorization"].removeprefix("Bearer ")):
        answer = nobody.ask("POST", "/cas/v1/shards", content=b"", headers={"Authorization": f"Bearer {ticket}"})
        assert answer.status_code in (401, 403)
    assert Cas(nobody, repo, "read").ask("POST", "shards", content=b"").status_code == 403


def test_a_ticket_is_for_one_repo_and_not_for_ever(owner: Person, other: Person, nobody: Person, repo: str, clock: Clock) -> None:
    private = owner.open("secret", private=True)
    name = sent(Cas(owner, private))
    owner.commit(private, large("w.bin", CONTENT))
    assert nobody.get(f"/api/models/{private}/xet-read-token/main").status_code in (401, 404)
    assert failure(other.get(f"/api/models/{private}/xet-read-token/main")) == (404, "RepoNotFound")
    assert Cas(owner, private, "read").ask("GET", f"reconstructions/{name}").status_code == 200
    owner.commit(repo, large("x.bin", b""))
    public = Cas(owner, repo, "write")
    assert public.ask("GET", f"reconstructions/{name}").status_code == 404
    clock.now += LIVES["xorb"] + 1
    assert public.ask("POST", "shards", content=b"").status_code == 403


def test_an_address_of_a_xorb_is_good_only_as_long_as_its_file_may_be_had(
    repo: str, owner: Person, nobody: Person, node: Node
) -> None:
    """Of two files with the same chunks one is held: what was told of the other stays good."""
    name, more = sent(Cas(owner, repo)), CONTENT + b"more"
    for content in (CONTENT, more):
        assert owner.commit(repo, owner.send(repo, content)).status_code == 200
    told = Cas(nobody, repo, "read").ask("GET", f"reconstructions/{name}").json()
    other = Cas(nobody, repo, "read").ask("GET", f"reconstructions/{node.chunks.by_digest(sha256(more).hexdigest()).hash}").json()
    (fetch,) = [each for fetches in told["fetch_info"].values() for each in fetches]
    shared = next(each for each in other["fetch_info"][next(iter(told["fetch_info"]))])

    def status(fetch: dict[str, Any]) -> int:
        first, last = fetch["url_range"]["start"], fetch["url_range"]["end"]
        return nobody.get(fetch["url"], headers={"Range": f"bytes={first}-{last}"}).status_code

    assert (status(fetch), status(shared)) == (206, 206)
    node.blobs.hold(sha256(CONTENT).hexdigest(), Hold(by="safety", reason="it harms", at=1))
    assert (status(fetch), status(shared)) == (451, 206)
    node.blobs.release(sha256(CONTENT).hexdigest(), "safety")
    assert status(fetch) == 206
    node.blobs.erase(sha256(CONTENT).hexdigest(), Tombstone(by="ke", reason="asked", at=1, size=len(CONTENT)))
    assert status(fetch) in (404, 410)


def test_nobody_learns_of_the_chunks_of_a_private_file(owner: Person, other: Person, repo: str) -> None:
    private = owner.open("secret", private=True)
    sent(Cas(owner, private))
    chunk = spell(chunk_hash(next(iter(cut([CONTENT])))))
    foreign = Cas(other, other.open("theirs"))
    assert foreign.ask("GET", f"chunks/default-merkledb/{chunk}").status_code == 404
    for prefix in ("default-merkledb", "default"):  # of older and of newer clients
        assert Cas(owner, private).ask("GET", f"chunks/{prefix}/{chunk}").status_code == 200
    sent(Cas(owner, repo))
    answer = foreign.ask("GET", f"chunks/default-merkledb/{chunk}")
    assert answer.status_code == 200
    assert len(answer.content) > 48
    assert foreign.ask("GET", f"chunks/default-merkledb/{spell(unspell(chunk)[::-1])}").status_code == 404


def test_an_upload_that_was_cut_goes_on_where_it_was(repo: str, owner: Person) -> None:
    name, raw, table = packed(CONTENT)
    Cas(owner, repo).ask("POST", f"xorbs/default/{name}", content=raw)
    chunk = spell(next(iter(table.chunks()))[0])
    assert Cas(owner, repo).ask("GET", f"chunks/default-merkledb/{chunk}").status_code == 200
    assert Cas(owner, owner.open("another")).ask("GET", f"chunks/default-merkledb/{chunk}").status_code == 404


def test_a_part_that_landed_counts_even_if_what_was_asked_for_did_not(repo: str, owner: Person, clock: Clock) -> None:
    """A client asks for the first chunk of a file, and it may be the second part that landed."""
    name, raw, table = packed(CONTENT)
    first = f"chunks/default/{'ab' * 32}"
    assert Cas(owner, repo).ask("GET", first).status_code == 404
    Cas(owner, repo).ask("POST", f"xorbs/default/{name}", content=raw)
    clock.now += 1
    again = Cas(owner, repo)
    told = [again.ask("GET", first) for _ in range(TURNS + 1)]
    assert [each.status_code for each in told] == [200] * TURNS + [404]
    assert all(chunk in told[0].content for chunk, _ in table.chunks())
    assert Cas(owner, owner.open("another")).ask("GET", first).status_code == 404
    sent(again)
    clock.now += 1
    assert Cas(owner, repo).ask("GET", first).status_code == 404


def test_what_landed_is_told_to_nobody_else_who_knows_nothing_of_it(repo: str, owner: Person, other: Person) -> None:
    name, raw, table = packed(CONTENT)
    Cas(owner, repo).ask("POST", f"xorbs/default/{name}", content=raw)
    assert Cas(other, repo).ask("GET", f"chunks/default/{'ab' * 32}").status_code == 404
    assert Cas(other, repo).ask("GET", f"chunks/default/{spell(table.hash(0))}").status_code == 200


def test_a_ticket_to_send_changes_opens_nothing_that_is_gated(repo: str, owner: Person, other: Person) -> None:
    name, (loose, raw, table) = sent(Cas(owner, repo)), packed(CONTENT[::-1])
    owner.commit(repo, large("w.bin", CONTENT))
    Cas(owner, repo).ask("POST", f"xorbs/default/{loose}", content=raw)
    chunks = [spell(chunk_hash(next(iter(cut([CONTENT]))))), spell(table.hash(0))]

    def asked(person: Person) -> list[int]:
        cas = Cas(person, repo)
        return [cas.ask("GET", path).status_code for path in (f"reconstructions/{name}", *(f"chunks/default/{c}" for c in chunks))]

    assert asked(other) == [200, 200, 200]
    owner.put(f"/api/models/{repo}/settings", {"gated": "manual"})
    assert asked(other) == [403, 404, 404]
    assert asked(owner) == [200, 200, 200]
    assert sent(Cas(other, repo), os.urandom(1000))


def test_naming_a_xorb_of_another_gives_nobody_what_is_in_it(repo: str, owner: Person, other: Person) -> None:
    """Whoever sends nothing, and only names what is here, has brought nothing."""
    name, raw, table = packed(CONTENT)
    Cas(owner, repo).ask("POST", f"xorbs/default/{name}", content=raw)
    foreign = Cas(other, other.open("theirs"))
    chunk = spell(next(iter(table.chunks()))[0])
    for body in (b"", raw):
        assert foreign.ask("POST", f"xorbs/default/{name}", content=body).json() == {"was_inserted": False}
        assert foreign.ask("GET", f"chunks/default-merkledb/{chunk}").status_code == 404
