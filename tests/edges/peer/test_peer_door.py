"""The peer door of a real node, asked over real HTTP as its peers and its enemies would ask."""

import json
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from concord.config import Settings
from concord.edges.peer import export, wants
from concord.edges.peer.source import HttpSource
from concord.ledger import witness
from concord.ledger.identity import label
from concord.ledger.keyring import NewMember
from concord.ledger.record import ENCODER
from concord.ledger.statements import Deposit
from concord.ledger.tree import Head, folder, read_head
from concord.node import Node
from concord.operations import demonstrate
from concord.pillars.members import Apply, Charter
from concord.private.people import Speaker
from concord.testing import everything, make_member, make_node
from concord.testing.processes import Serving, serve
from concord.tlog import checkpoint as checkpoints
from concord.tlog import merkle, note, tile
from concord.tlog.checkpoint import Checkpoint

IMMUTABLE = "public, max-age=31536000, immutable"
BRIEF = "public, max-age=2"
ENTRIES = 300  # in the first log, so that it has a full tile
BUNDLE_BYTES = 300_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration, with a log that has a full tile, and a blob of a few pieces."""
    place = tmp_path_factory.mktemp("door") / "home"
    node = demonstrate.found(place)
    first = node.holdings.hosted()[0]
    own = Speaker("tester", "Tester", first, frozenset(everything(first).roles))
    large = node.blobs.detach(bytes(range(256)) * 10_000, "application/octet-stream")
    node.say(own, Deposit, {"name": "large.bin", "blob": json.loads(ENCODER.encode(large))})
    log = node.holdings.log(first)
    log.append([b'{"at":1,"by":"%s","type":"some.thing"}' % first.encode()] * (ENTRIES - log.tree.size))
    return place


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[Serving]:
    with serve(home, pull_every=0, bundle_bytes=BUNDLE_BYTES) as serving:
        yield serving


@pytest.fixture(scope="module")
def log(node: Serving) -> str:
    """Where the long log lies."""
    origin = next(origin for origin, log in node.logs().items() if log["size"] == ENTRIES)
    return f"/peer/logs/{folder(origin)}"


@pytest.fixture(scope="module")
def charter(node: Serving) -> Charter:
    return msgspec.json.decode(node.get("/peer/charter").body, type=Charter)


# What can be had, and how it is said


def test_heads(node: Serving) -> None:
    answer = node.get("/peer/heads")
    assert (answer.status, answer.headers["content-type"], answer.headers["cache-control"]) == (200, "application/json", BRIEF)
    told = answer.json()
    assert told["format"] == "concord-heads/1"
    origins = {read_head(text.encode()).checkpoint.origin for text in told["heads"]}
    assert origins == set(node.logs())
    assert node.get("/peer/charter").status == 200
    assert sha256(node.get("/peer/charter").body).hexdigest() == told["organisation"]


def test_checkpoint(node: Serving, log: str) -> None:
    answer = node.get(f"{log}/checkpoint")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"] == BRIEF
    assert read_head(answer.body).checkpoint.size == ENTRIES


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("tile/0/000", 8192),
        ("tile/0/001.p/44", 44 * 32),
        ("tile/0/001.p/7", 7 * 32),
        ("tile/0/000.p/255", 255 * 32),
        ("tile/1/000.p/1", 32),
    ],
)
def test_tiles(node: Serving, log: str, path: str, length: int) -> None:
    answer = node.get(f"{log}/{path}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.headers["cache-control"] == IMMUTABLE
    assert len(answer.body) == length
    assert int(answer.headers["content-length"]) == length


@pytest.mark.parametrize(("path", "width"), [("tile/entries/000", 256), ("tile/entries/001.p/44", 44), ("tile/entries/001.p/3", 3)])
def test_entry_bundles(node: Serving, log: str, path: str, width: int) -> None:
    answer = node.get(f"{log}/{path}")
    assert (answer.status, answer.headers["cache-control"]) == (200, IMMUTABLE)
    entries = tile.parse_bundle(answer.body, width)
    leaves = node.get(f"{log}/{path.replace('entries', '0')}").body
    assert b"".join(map(merkle.leaf_hash, entries)) == leaves


@pytest.mark.parametrize(
    "path", ["/peer/heads", "LOG/checkpoint", "LOG/tile/0/000", "LOG/tile/entries/000", "LOG/tile/9/000", "/peer/want"]
)
def test_head_is_get_without_a_body(node: Serving, log: str, path: str) -> None:
    path = path.replace("LOG", log)
    asked, had = node.request("HEAD", path), node.get(path)
    assert asked.body == b""
    assert asked.status == had.status
    for name in ("content-type", "cache-control", "content-length"):
        assert asked.headers[name] == had.headers[name]


def test_a_want_is_what_the_node_has_and_lacks(node: Serving) -> None:
    told = node.get("/peer/want").json()
    assert told["sizes"] == {origin: log["size"] for origin, log in node.logs().items()}
    assert told["blobs"] == []


# What cannot be had


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002", "tile/0/001", "tile/0/001.p/45", "tile/1/001", "tile/1/000", "tile/2/000.p/1", "tile/entries/001",
        "tile/63/x999/999", "tile/0/x999/x999/x999/x999/x999/999",
    ],
)  # fmt: skip
def test_what_the_log_does_not_have_yet_is_missing(node: Serving, log: str, path: str) -> None:
    answer = node.get(f"{log}/{path}")
    assert answer.status == 404
    assert "immutable" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0", "tile/0/0000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/00/000", "tile/64/000",
        "tile/-1/000", "tile/0/x000/001", "tile/0/x01/000", "tile/0/%30%30%30%20", "tile/0/%D9%A0%D9%A0%D9%A0",
        "tile/entries/000.p/", "tile/data/000", "tile/0/000/", "tile//000", "tile/0/" + "x999/" * 500 + "000", "tile/0/000%00",
        "tile/0/%2e%2e/%2e%2e/checkpoint", "lock", "identity", "tile/0/../../checkpoint", "tile/0/..%2f..%2fidentity",
        "cosigned", "progress", "tile/entries/%ff%fe",
    ],
)  # fmt: skip
def test_what_is_no_place_in_a_log_is_refused(node: Serving, log: str, path: str) -> None:
    answer = node.get(f"{log}/{path}")
    assert answer.status in (400, 404)
    assert answer.headers["content-type"].startswith("text/")
    assert len(answer.body) < 500


@pytest.mark.parametrize(
    "path",
    [
        "/peer/logs/../../concord.toml", "/peer/logs/%2e%2e/%2e%2e/node.db", "/peer/logs/..%2fnode.db/checkpoint",
        "/peer/blobs/..%2f..%2fnode.db", "/peer/blobs/../../../etc/passwd", "/peer/blobs/%2e%2e%2f%2e%2e%2fkeys",
        "/peer/blobs/%00", "/peer/blobs/" + "A" * 64,
        "/peer/blobs/" + "%D8%A7" * 64, "/peer/blobs/" + "0" * 64, "/peer/blobs/" + "0" * 64 + ".part", "/peer/blobs/" + "z" * 5000,
        "//peer/heads", "/peer/../node.db", "/peer/logs/" + "0" * 64 + "/checkpoint", "/peer/logs//checkpoint", "/peer/nothing",
        "/peer/witness/" + "0" * 64 + "/checkpoint", "/peer/logs/origins/checkpoint", "/peer/blobs/%ff",
    ],
)  # fmt: skip
def test_a_path_with_tricks_leads_nowhere(node: Serving, path: str) -> None:
    answer = node.get(path)
    assert answer.status in (400, 404)
    assert b"SQLite" not in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize("path", ["/peer/heads", "/peer/charter", "LOG/checkpoint", "LOG/tile/0/000"])
def test_nothing_can_be_written_there(node: Serving, log: str, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert node.request(method, path.replace("LOG", log), b"x").status == 405


def test_what_is_wrong_is_told_in_plain_text(node: Serving, log: str) -> None:
    answer = node.get(f"{log}/tile/0/%3Cscript%3E")
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


# Blobs


@pytest.fixture(scope="module")
def blob(node: Serving) -> str:
    records = node.get("/api/v1/records?type=ledger.deposit").json()["records"]
    found = next(record for record in records if "large.bin" in record["says"])
    whole = node.get(f"/api/v1/records/{label(found['origin'])}/{found['index']}").json()
    return f"/peer/blobs/{json.loads(whole['entry'])['blob']['digest']}"


CONTENT = bytes(range(256)) * 10_000


def test_a_blob_whole(node: Serving, blob: str) -> None:
    answer = node.get(blob)
    assert (answer.status, answer.body == CONTENT) == (200, True)
    assert answer.headers["etag"] == f'"{blob.rpartition("/")[2]}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == IMMUTABLE
    asked = node.request("HEAD", blob)
    assert (asked.status, asked.body, asked.headers["content-length"]) == (200, b"", str(len(CONTENT)))


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [("0-0", 0, 1), ("5-9", 5, 10), ("2000000-", 2_000_000, 2_560_000), ("-100", 2_559_900, 2_560_000),
     ("1048575-1048577", 1_048_575, 1_048_578), ("5-99999999", 5, 2_560_000), ("-99999999", 0, 2_560_000)],
)  # fmt: skip
def test_a_part_of_a_blob(node: Serving, blob: str, wanted: str, start: int, stop: int) -> None:
    answer = node.get(blob, range=f"bytes={wanted}")
    assert (answer.status, answer.body == CONTENT[start:stop]) == (206, True)
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    asked = node.request("HEAD", blob, headers={"Range": f"bytes={wanted}"})
    assert (asked.body, asked.headers["content-length"]) == (b"", str(stop - start))


@pytest.mark.parametrize("wanted", ["bytes=2560000-", "bytes=9999999-99999999"])
def test_beyond_the_end_of_a_blob(node: Serving, blob: str, wanted: str) -> None:
    answer = node.get(blob, range=wanted)
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,3-4", "lines=1-2", "bytes=x-y", "bytes=5", "bytes=9-5", "bytes=-", "bytes=+1-2", "bytes=１-２"]
)
def test_a_range_that_is_none_gives_all(node: Serving, blob: str, wanted: str) -> None:
    answer = node.request("GET", blob, headers={"Range": wanted.encode().decode("latin-1")})
    assert (answer.status, len(answer.body)) == (200, len(CONTENT))


def test_a_blob_that_the_asker_has(node: Serving, blob: str) -> None:
    digest = blob.rpartition("/")[2]
    answer = node.get(blob, if_none_match=f'"{digest}"')
    assert (answer.status, answer.body) == (304, b"")
    assert node.get(blob, if_none_match='"other"').status == 200
    assert node.get(blob, range="bytes=0-4", if_range=f'"{digest}"').status == 206
    assert node.get(blob, range="bytes=0-4", if_range='"other"').status == 200


# An applicant, whose node nobody can reach, pushes its log, and asks for cosignatures.


@pytest.fixture(scope="module")
def applicant(node: Serving, charter: Charter) -> Node:
    member = make_member("xx")
    own = make_node([member])
    own.adopt(charter)
    fields = {"charter": charter.digest(), "id": "xx", "name": "Example applicant", "country": "TD", "class": "observer"}
    own.say(everything(member.origin), Apply, fields)
    return own


@pytest.fixture(scope="module")
def origin(applicant: Node) -> str:
    return applicant.holdings.hosted()[0]


def push(node: Serving, own: Node) -> tuple[int, dict[str, object]]:
    source = HttpSource(node.url, Settings())
    status, answer = export.push(own, source, wants.read_want(source.get("peer/want", wants.WANT_SIZE_MAX)))
    return status, json.loads(answer)


def sign(member: NewMember, size: int, root: bytes) -> Head:
    checkpoint = Checkpoint(member.origin, size, root)
    return Head(checkpoints.sign(checkpoint, member.keys["log"].seed), checkpoint)


def ask(node: Serving, raw: bytes) -> tuple[int, bytes, str]:
    answer = node.request("POST", "/peer/witness/add-checkpoint", raw)
    return answer.status, answer.body, answer.headers["content-type"]


def test_the_witness_says_what_the_specification_says(node: Serving, applicant: Node, origin: str) -> None:
    """404 unknown, 403 not signed, 400 malformed, 409 stale, 422 not shown to continue, 200 with signature lines."""
    member = make_member("xx")
    tree = applicant.holdings.tree(origin)
    first = witness.request_for(tree, 0)
    assert ask(node, bytes(first))[0] == 404  # nobody knows this log yet
    assert push(node, applicant) == (200, {"entries": {origin: 2}, "blobs": 0, "wrong": {}})
    cosigned = node.logs()[origin]["cosigners"]
    assert len(cosigned) == 6  # all members of the node, at once

    for number in range(3):
        applicant.say(everything(origin), Deposit, {"name": f"{number}", "blob": {"digest": "0" * 64, "size": 1, "media": "a/b"}})
    assert ask(node, bytes(witness.request_for(tree, 1)))[::2] == (409, "text/x.tlog.size")
    assert ask(node, bytes(witness.request_for(tree, 1)))[1] == b"2\n"
    good = witness.request_for(tree, 2)
    forged = good._replace(head=sign(make_member("yy"), 5, tree.root))
    assert ask(node, bytes(forged))[0] == 404
    unsigned = bytes(good).replace(b"\xe2\x80\x94 " + origin.encode(), b"\xe2\x80\x94 somebody.else")
    assert ask(node, unsigned)[0] == 403
    for raw in (b"", b"old 2\n", bytes(good).replace(b"old 2", b"old 02"), bytes(good).replace(b"old 2", b"old 9"), b"\xff" * 99):
        assert ask(node, raw)[0] == 400
    bent = good._replace(proof=tuple(bytes(32) for _ in good.proof))
    assert ask(node, bytes(bent))[0] == 422
    other = good._replace(head=sign(member, 5, sha256(b"another history").digest()))
    assert ask(node, bytes(other))[0] == 422
    assert not node.logs()[origin]["disputed"]  # signed, and not shown to be inconsistent: the tiles for that are not here

    status, body, media = ask(node, bytes(good))
    assert (status, media.partition(";")[0]) == (200, "text/plain")
    lines = note.parse_signatures(body.decode())
    policy = applicant.policy(origin)
    seen = note.verify(good.head.note.with_signatures(lines), node_witnesses(node))
    assert len(seen) == len(lines) == 6
    assert all(line.time for line in seen)
    assert policy.quorum  # the applicant's node knows the six only by their charter, not yet by their keys
    assert ask(node, bytes(good))[:2] == (409, b"5\n")

    kept = node.get(f"/peer/witness/{folder(origin)}/checkpoint")
    assert (kept.status, kept.headers["cache-control"]) == (200, BRIEF)
    assert read_head(kept.body).checkpoint == good.head.checkpoint


def node_witnesses(node: Serving) -> list[note.VerifierKey]:
    keys = []
    for origin in node.logs():
        told = node.get(f"/api/v1/members/{label(origin)}").json()
        if told["keys"]:
            keys.append(note.VerifierKey(f"{origin}/witness", note.COSIGNATURE, bytes.fromhex(told["keys"]["witness"])))
    return keys


def test_a_request_for_the_witness_is_bounded(node: Serving) -> None:
    assert ask(node, b"old 0\n\n" + b"x" * witness.REQUEST_SIZE_MAX)[0] == 413


def test_a_fork_that_is_shown_is_evidence(node: Serving, origin: str) -> None:
    """The log signs another tree of a size that is held here: it is disputed from then on, and not cosigned."""
    member = make_member("xx")
    asked = witness.Request(5, (), sign(member, 5, sha256(b"another history").digest()))
    status, body, _ = ask(node, bytes(asked))
    assert status == 422
    assert node.logs()[origin]["disputed"]
    assert ask(node, bytes(asked))[0] == 403
    told = node.get("/api/v1/records?type=ledger.evidence").json()["records"]
    assert not told or told[0]["says"]  # said with the next pull or cosigning, by a member here
    assert body


# What is personal


def test_particulars_are_served_to_nobody_whatever_others_say_of_them(node: Serving, charter: Charter, home: Path) -> None:
    records = node.get("/api/v1/records?type=members.accredit").json()["records"]
    found = records[0]
    whole = node.get(f"/api/v1/records/{label(found['origin'])}/{found['index']}").json()
    detached = json.loads(whole["entry"])["particulars"]
    digest = detached["digest"]
    assert (home / "blobs" / digest[:2] / digest).exists()
    assert node.get(f"/peer/blobs/{digest}").status == 404
    assert node.get(f"/blobs/{digest}").status == 404
    thief = make_member("thief")
    own = make_node([thief])
    own.adopt(charter)
    own.say(everything(thief.origin), Deposit, {"name": "x", "blob": {"digest": digest, "size": detached["size"], "media": "a/b"}})
    assert push(node, own)[0] == 200
    assert node.get(f"/peer/blobs/{digest}").status == 404
    assert node.get(f"/blobs/{digest}").status == 404


# Bundles that are pushed


@pytest.mark.parametrize("body", [b"", b"nonsense", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_refused(node: Serving, body: bytes) -> None:
    answer = node.request("POST", "/peer/bundle", body)
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_bundle_over_the_limit_is_refused(node: Serving) -> None:
    assert node.request("POST", "/peer/bundle", bytes(BUNDLE_BYTES + 1)).status == 413


def test_a_bundle_of_another_organisation_is_refused(node: Serving) -> None:
    own = make_node([make_member("zz")])
    wanted = wants.Want("", {})
    status, answer = export.push(own, HttpSource(node.url, Settings()), wanted)
    assert (status, b"another organisation" in answer) == (403, True)


def test_nobody_pushes_without_end(node: Serving) -> None:
    """The last test that pushes: from here on this address waits."""
    answers = [node.request("POST", "/peer/bundle", b"nonsense") for _ in range(30)]
    assert answers[-1].status == 429
    assert 0 < int(answers[-1].headers["retry-after"]) <= 900
    assert node.get("/peer/heads").status == 200


def test_a_client_that_sends_a_byte_now_and_then_stops_nobody(node: Serving) -> None:
    with socket.create_connection(("127.0.0.1", node.port)) as slow:
        slow.sendall(b"POST /peer/bundle HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        assert [node.get("/peer/heads").status for _ in range(5)] == [200] * 5


def test_the_log_of_the_node_shows_no_traceback(node: Serving) -> None:
    """The last test of all: whatever was asked, nothing went wrong inside."""
    assert "Traceback" not in node.said()
