"""The witness: it says that a log only grew, never of two trees, and in the order of its specification why it does not."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Barrier, Thread
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from concord import server
from concord.edges.peer.pull import pull
from concord.errors import ConcordError, ForgedError, ForkedError, MalformedError, MissingError, StaleError, TooLargeError
from concord.ledger.holdings import Holdings
from concord.ledger.keyring import Keyring
from concord.ledger.storage.database import open_database
from concord.ledger.tree import Head, Tree
from concord.ledger.witness import REQUEST_SIZE_MAX, Request, cosign, parse, request_for
from concord.private.memory import Memory
from concord.private.tables import prepare
from concord.testing import NOW, Clock, MemoryStorage, NodeSource, make_member, make_organisation
from concord.tlog import checkpoint as checkpoints
from concord.tlog import cosignature, merkle, note
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.merkle import EMPTY_ROOT, leaf_hash, root_of
from concord.tlog.note import Note, Signature, VerifierKey

KE, TN, BR = make_member("ke"), make_member("tn"), make_member("br")
SIGNER = TN.keys["witness"]
LEAVES = [leaf_hash(b"%d" % number) for number in range(40)]
OTHERS = [*LEAVES[:3], *(leaf_hash(b"other %d" % number) for number in range(37))]


def keys(origin: str) -> tuple[VerifierKey, ...]:
    return KE.identity.log_keys() if origin == KE.origin else ()


def head(size: int, leaves: list[bytes] = LEAVES, root: bytes | None = None, seed: bytes = KE.keys["log"].seed) -> Head:
    checkpoint = Checkpoint(KE.origin, size, root_of(leaves[:size]) if root is None else root)
    return Head(checkpoints.sign(checkpoint, seed), checkpoint)


def request(old: int, size: int, leaves: list[bytes] = LEAVES, **changed: bytes) -> Request:
    proof = merkle.prove_consistency(old, size, merkle.nodes_of(leaves[:size])) if 0 < old < size else []
    return Request(old, tuple(proof), head(size, leaves, **changed))


class Witness(NamedTuple):
    """A witness with a memory on disk."""

    path: Path
    memory: Memory

    def ask(self, asked: Request, now: int = NOW) -> list[Signature]:
        return cosign(self.memory, keys, [SIGNER], asked, now)

    def size(self) -> int:
        last = self.memory.last(KE.origin)
        return last.checkpoint.size if last else 0


def memory_in(path: Path) -> Memory:
    engine = open_database(path)
    prepare(engine)
    return Memory(engine)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "node.db", memory_in(tmp_path / "node.db"))


# 200


def test_what_only_grew_is_cosigned(witness: Witness) -> None:
    for old, size in ((0, 1), (1, 3), (3, 3), (3, 40), (40, 40)):
        asked = request(old, size)
        (line,) = witness.ask(asked, NOW + size)
        (seen,) = note.verify(Note(asked.head.note.text, (line,)), [TN.identity.witness_key()])
        assert seen.time == NOW + size
        assert witness.memory.last(KE.origin) == asked.head


def test_an_empty_log_is_cosigned_and_may_grow(witness: Witness) -> None:
    for old, size in ((0, 0), (0, 0), (0, 5), (5, 6)):
        assert len(witness.ask(request(old, size))) == 1
    assert witness.size() == 6


def test_each_member_of_a_node_cosigns(witness: Witness) -> None:
    asked = request(0, 5)
    lines = cosign(witness.memory, keys, [SIGNER, BR.keys["witness"]], asked, NOW)
    assert [line.name for line in lines] == [f"{TN.origin}/witness", f"{BR.origin}/witness"]
    assert len(note.verify(Note(asked.head.note.text, tuple(lines)), [TN.identity.witness_key(), BR.identity.witness_key()])) == 2


# Everything else, in the order of the specification

UNKNOWN = Checkpoint(BR.origin, 3, root_of(LEAVES[:3]))
STRANGE = {"seed": BR.keys["log"].seed}
BAD_LINE = Note(head(9).note.text, (head(9).note.signatures[0]._replace(raw=bytes(64)),))

REFUSALS: list[tuple[str, Request, type[ConcordError]]] = [
    ("404-unknown-origin", Request(9, (), Head(checkpoints.sign(UNKNOWN, BR.keys["log"].seed), UNKNOWN)), MissingError),
    ("403-strange-key", request(5, 9, **STRANGE), ForgedError),
    ("403-strange-key-and-old-over-size", Request(10, (), head(9, **STRANGE)), ForgedError),
    ("403-strange-key-and-stale", request(3, 9, **STRANGE), ForgedError),
    ("403-bad-line-of-the-right-key", Request(5, (), Head(BAD_LINE, head(9).checkpoint)), ForgedError),
    ("400-old-over-size", Request(10, (), head(9)), MalformedError),
    ("400-old-over-size-that-is-what-is-remembered", Request(5, (), head(4)), MalformedError),
    ("409-old-too-small", request(3, 9), StaleError),
    ("409-old-too-large", request(6, 9), StaleError),
    ("409-nothing-remembered-it-thinks", request(0, 9), StaleError),
    ("409-and-a-bad-proof", Request(3, (bytes(32),), head(9)), StaleError),
    ("409-and-another-tree", request(3, 9, OTHERS), StaleError),
    ("422-no-proof", Request(5, (), head(9)), ForkedError),
    ("422-bad-proof", Request(5, (bytes(32),) * 3, head(9)), ForkedError),
    ("422-proof-cut-off", request(5, 9)._replace(proof=request(5, 9).proof[:-1]), ForkedError),
    ("422-proof-too-long", request(5, 9)._replace(proof=(*request(5, 9).proof, bytes(32))), ForkedError),
    ("422-proof-of-another-tree", request(5, 9, OTHERS), ForkedError),
    ("422-same-size-other-root", request(5, 5, OTHERS), ForkedError),
    ("422-same-size-with-a-proof", Request(5, (bytes(32),), head(5)), ForkedError),
]


@pytest.mark.parametrize(("asked", "error"), [each[1:] for each in REFUSALS], ids=[each[0] for each in REFUSALS])
def test_a_request_is_refused_for_the_first_reason_that_applies(
    witness: Witness, asked: Request, error: type[ConcordError]
) -> None:
    witness.ask(request(0, 5))
    with pytest.raises(error) as refused:
        witness.ask(asked)
    assert type(refused.value) is error
    if isinstance(refused.value, StaleError):
        assert refused.value.size == 5
    assert witness.memory.last(KE.origin) == head(5)


@pytest.mark.parametrize(
    "asked",
    [Request(0, (), head(0, root=bytes(32))), Request(0, (bytes(32),), head(5)), Request(0, (EMPTY_ROOT,), head(0))],
    ids=["empty-tree-with-another-root", "proof-from-nothing", "proof-from-nothing-to-nothing"],
)
def test_from_nothing_there_is_nothing_to_prove_and_one_empty_tree(witness: Witness, asked: Request) -> None:
    with pytest.raises(ForkedError):
        witness.ask(asked)
    assert witness.memory.last(KE.origin) is None


# The bytes of a request


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.integers(0, 40))
def test_a_request_prints_back(old: int, proof: list[bytes], size: int) -> None:
    asked = Request(old, tuple(proof), head(size))
    assert parse(bytes(asked)) == asked
    assert bytes(parse(bytes(asked))) == bytes(asked)


GOOD = bytes(request(5, 9))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"old 5\n",
        GOOD[:-1],
        GOOD.replace(b"old 5", b"old 05"),
        GOOD.replace(b"old 5", b"old +5"),
        GOOD.replace(b"old 5", b"old -5"),
        GOOD.replace(b"old 5", b"old  5"),
        GOOD.replace(b"old 5", b"Old 5"),
        GOOD.replace(b"old 5", b"5"),
        GOOD.replace(b"old 5", b"old 9223372036854775808"),
        GOOD.replace(b"old 5", "old ٥".encode()),
        GOOD.replace(b"old 5\n", b"old 5\r\n"),
        GOOD.replace(b"old 5\n", b"old 5\n\n", 1),
        GOOD.replace(b"old 5\n", b"old 5\nAAAA\n"),
        GOOD.replace(b"=\n", b"\n", 1),
        GOOD.replace(b"\n\n", b"\n", 1),
        b"old 5\n" + b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" * 64 + b"\n" + bytes(head(9).note),
        b"old 5\n\n" + Note("not a checkpoint\n", head(9).note.signatures).__bytes__(),
    ],
)
def test_a_malformed_request_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(raw)


def test_a_request_that_is_too_large_is_refused() -> None:
    with pytest.raises(TooLargeError):
        parse(b"old 5\n" + bytes(REQUEST_SIZE_MAX))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda raw: GOOD[:20] + raw))
def test_noise_is_malformed_and_nothing_worse(raw: bytes) -> None:
    with suppress(MalformedError):
        parse(raw)


# What it remembers


def test_what_was_cosigned_is_remembered_by_whoever_opens_the_memory_again(witness: Witness) -> None:
    witness.ask(request(0, 5))
    again = Witness(witness.path, memory_in(witness.path))
    assert again.memory.last(KE.origin) == head(5)
    with pytest.raises(ForkedError):
        again.ask(request(5, 5, OTHERS))
    with pytest.raises(StaleError):
        again.ask(request(0, 7))
    again.ask(request(5, 7))
    assert witness.size() == 7


def test_the_memory_takes_a_new_head_only_in_place_of_the_one_it_was_thought_to_have(witness: Witness) -> None:
    memory = witness.memory
    assert not memory.swap(5, head(9))
    assert memory.swap(0, head(5))
    assert not memory.swap(0, head(9))
    assert not memory.swap(4, head(9))
    assert memory.swap(5, head(9))
    assert memory.last(KE.origin) == head(9)
    assert memory.last(TN.origin) is None


@pytest.mark.parametrize("leaves", [LEAVES, OTHERS], ids=["one-tree", "two-trees"])
def test_racing_requests_never_get_two_inconsistent_trees_signed(witness: Witness, leaves: list[bytes]) -> None:
    """Eight threads ask for two branches at once, again and again; half of them have a memory of their own on the same disk."""
    signed: list[Checkpoint] = []
    together = Barrier(8)
    witness.ask(request(0, 3))

    def race(own: Witness, branch: list[bytes]) -> None:
        together.wait()
        for size in range(4, 30):
            with suppress(StaleError, ForkedError, MalformedError):
                asked = request(own.size(), size, branch)
                own.ask(asked)
                signed.append(asked.head.checkpoint)

    others = Witness(witness.path, memory_in(witness.path))
    threads = [
        Thread(target=race, args=(own, branch)) for own in (witness, others) for branch in (LEAVES, leaves) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    winner = LEAVES if signed[-1].root == root_of(LEAVES[: signed[-1].size]) else OTHERS
    assert all(checkpoint.root == root_of(winner[: checkpoint.size]) for checkpoint in signed)
    assert {checkpoint.size for checkpoint in signed} == set(range(4, 30))
    assert witness.memory.last(KE.origin) == head(29, winner)


# What a node asks and answers


def log_of_ke() -> Tree:
    log = Holdings(MemoryStorage(), Keyring(KE.keys.values())).begin(KE)
    log.append([b"%d" % number for number in range(20)])
    return log.tree


def test_a_node_asks_with_a_proof_from_where_the_witness_was() -> None:
    tree = log_of_ke()
    for old in (0, 1, 7, 21):
        asked = request_for(tree, old)
        assert asked.head == tree.head
        assert bool(asked.proof) == (0 < old < 21)
        if old:
            merkle.check_consistency(old, tree.root_at(old), 21, tree.root, list(asked.proof))
    with pytest.raises(MissingError):
        request_for(tree, 22)
    with pytest.raises(MissingError):
        request_for(Tree(MemoryStorage(), KE.origin), 0)


@pytest.fixture
def client() -> Iterator[Callable[[bytes], tuple[int, str, bytes]]]:
    """The witness of a node of TN that holds the log of KE, over HTTP: status, media type and body of an answer."""
    ke, tn = make_organisation([[KE], [TN]], Clock())
    pull(tn, NodeSource(ke))
    with TestClient(server.build(tn)) as http:

        def post(body: bytes) -> tuple[int, str, bytes]:
            answer = http.post("/peer/witness/add-checkpoint", content=body)
            return answer.status_code, answer.headers["content-type"].partition(";")[0], answer.content

        yield post


def test_the_witness_answers_with_the_statuses_of_its_specification(client: Callable[[bytes], tuple[int, str, bytes]]) -> None:
    ke, _ = make_organisation([[KE], [TN]], Clock())
    tree = ke.holdings.tree(KE.origin)
    log = ke.holdings.log(KE.origin)
    remembered = tree.size
    log.append([b"more"])
    assert client(b"junk")[0] == 400
    assert client(bytes(Request(0, (), Head(checkpoints.sign(UNKNOWN, BR.keys["log"].seed), UNKNOWN))))[0] == 404
    good = request_for(tree, remembered)
    for wrong, status in (
        (good._replace(head=head(remembered + 1, **STRANGE)), 403),
        (good._replace(old=remembered + 2), 400),
        (good._replace(proof=()), 422),
    ):
        assert client(bytes(wrong))[0] == status
    for stale in (request_for(tree, 0), request_for(tree, 1)):
        assert client(bytes(stale)) == (409, "text/x.tlog.size", b"%d\n" % remembered)
    status, media, lines = client(bytes(good))
    assert (status, media) == (200, "text/plain")
    seen = note.verify(Note(good.head.note.text, tuple(note.parse_signatures(lines.decode()))), [TN.identity.witness_key()])
    assert [each.key.name for each in seen] == [f"{TN.origin}/witness"]
    assert client(bytes(good)) == (409, "text/x.tlog.size", b"%d\n" % (remembered + 1))
    assert client(bytes(Request(remembered + 1, (), head(remembered + 1))))[0] == 422
    status, _, words = client(bytes(request_for(tree, remembered + 1)))
    assert (status, b"disputed" in words) == (403, True)  # what was signed and inconsistent was evidence


def test_a_cosignature_binds_its_time_and_its_tree() -> None:
    """What others rest on: the line of another checkpoint, or with another time, does not verify."""
    line = cosignature.cosign(head(5).note.text, SIGNER.name, SIGNER.seed, NOW)
    moments = count(NOW + 1)
    for text, raw in ((head(6).note.text, line.raw), (head(5).note.text, next(moments).to_bytes(8, "big") + line.raw[8:])):
        with pytest.raises(ForgedError):
            note.verify(Note(text, (line._replace(raw=raw),)), [TN.identity.witness_key()])
