"""Chunks and hashes are those of the clients in use: known answers of hf_xet 1.8.0, and laws."""

from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.tlog.errors import MalformedError
from concord.xet import arrays, gear, kernel
from concord.xet.arrays import Scanner
from concord.xet.chunker import CHUNK_MAX, CHUNK_MIN, Chunker, cut
from concord.xet.hashes import Tree, chunk_hash, file_hash, node_hash, range_hash, root_of, spell, unspell
from concord.xet.kernel import Kernel

VECTORS = Path(__file__).parents[1] / "vectors" / "xet"


def stream(size: int, seed: bytes) -> bytes:
    return b"".join(sha256(b"%s/%d" % (seed, number)).digest() for number in range(-(-size // 32)))[:size]


def contents() -> dict[str, bytes]:
    """What the README of the vectors says of each name."""
    plain = stream(3_000_000, b"a")
    return {
        "empty": b"",
        "one": b"x",
        "hello": b"Hello World!",
        "min": stream(8192, b"m"),
        "stream-64k": stream(65536, b"b"),
        "zeros-max": bytes(131072),
        "zeros-max-1": bytes(131073),
        "zeros": bytes(1_000_000),
        "stream": plain,
        "stream-edited": plain[:1_000_000] + b"an edit" + plain[1_200_000:],
        "numbers": b"".join(b"%d,%d,a row of a table\n" % (i, i * i % 9973) for i in range(40_000)),
        "weights": b"".join(pack("<f", (i * 7919 % 10007 - 5003) / 250_000) for i in range(150_000)),
    }


CONTENTS = contents()
PLAIN = CONTENTS["stream"]
KERNELS = [kernel.plain(), *({kernel.kernel()} - {kernel.plain()})]


def plainly(content: bytes) -> list[bytes]:
    """The chunks, byte by byte as the specification says it."""
    chunks, start, value = [], 0, 0
    for place, byte in enumerate(content, 1):
        value = (2 * value + gear.TABLE[byte]) & (1 << 64) - 1
        length = place - start
        if length == CHUNK_MAX or (length >= CHUNK_MIN and value & gear.MASK == 0):
            chunks.append(content[start:place])
            start, value = place, 0
    return chunks + ([content[start:]] if start < len(content) else [])


def hashed(content: bytes) -> str:
    return spell(file_hash((chunk_hash(chunk), len(chunk)) for chunk in cut([content])))


@pytest.mark.parametrize("line", (VECTORS / "files.txt").read_text().splitlines())
def test_a_file_has_the_hash_that_the_clients_give_it(line: str) -> None:
    known, size, name = line.split()
    assert len(CONTENTS[name]) == int(size)
    assert hashed(CONTENTS[name]) == known


@pytest.mark.parametrize("by", KERNELS, ids=lambda by: by.name)
@pytest.mark.parametrize("name", ["stream", "numbers", "zeros-max-1", "min"])
def test_a_kernel_cuts_where_the_plain_loop_cuts(name: str, by: Kernel) -> None:
    content = CONTENTS[name][:700_000]
    assert list(cut([content], by)) == plainly(content)


@given(st.lists(st.integers(1, 400_000), max_size=12))
def test_chunks_do_not_depend_on_the_pieces(sizes: list[int]) -> None:
    stops = [0, *accumulate(sizes), 3_000_000]
    pieces = [PLAIN[start:stop] for start, stop in pairwise(stops)]
    assert list(cut(pieces)) == list(cut([b"".join(pieces)]))


@given(st.integers(0, 300_000), st.integers(0, 50))
def test_an_edit_changes_few_chunks(place: int, size: int) -> None:
    content = PLAIN[:600_000]
    before = set(cut([content]))
    after = list(cut([content[:place] + b"e" * size + content[place:]]))
    assert sum(chunk not in before for chunk in after) <= 4


def test_single_bytes_are_pieces_too() -> None:
    chunker, content = Chunker(), PLAIN[:20_000]
    chunks = [chunk for byte in content for chunk in chunker.take(bytes([byte]))]
    assert [*chunks, *chunker.finish()] == list(cut([content]))


def test_the_scanner_takes_a_block_and_its_context() -> None:
    scanner = Scanner()
    assert scanner.ends(bytes(64), b"") == []
    for before, block in ((bytes(63), b""), (bytes(64), bytes(arrays.BLOCK + 1))):
        with pytest.raises(RuntimeError):
            scanner.ends(before, block)


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 1 << 40)), max_size=120))
def test_the_tree_that_grows_is_the_tree_of_the_whole(chunks: list[tuple[bytes, int]]) -> None:
    tree, level = Tree(), list(chunks)
    for chunk, size in chunks:
        tree.add(chunk, size)
    while len(level) > 1:
        level = [(node_hash(group), sum(size for _, size in group)) for group in groups(level)]
    assert tree.root() == root_of(chunks) == (level[0][0] if level else bytes(32))


def groups(level: list[tuple[bytes, int]]) -> list[list[tuple[bytes, int]]]:
    """The groups of a level, as the specification says it."""
    found = []
    while level:
        few = [number for number in range(2, min(9, len(level))) if int.from_bytes(level[number][0][24:], "little") % 4 == 0]
        stop = few[0] + 1 if few else min(9, len(level))
        found.append(level[:stop])
        level = level[stop:]
    return found


@given(st.binary(min_size=32, max_size=32))
def test_spellings_read_back(raw: bytes) -> None:
    assert unspell(spell(raw)) == raw


def test_the_spelling_turns_groups_of_eight() -> None:
    assert spell(bytes(range(32))) == "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "٠" * 64, "0" * 63 + "\n"])
def test_what_is_no_spelling_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        unspell(text)


def test_the_keys_are_four() -> None:
    assert len({chunk_hash(bytes(32)), range_hash(bytes(32)), node_hash([(bytes(32), 0)]), file_hash([(bytes(range(32)), 0)])}) == 4
