"""The hashes of the Xet protocol (specification v1.1.0), which are BLAKE3 under four keys.

    chunk hash      over the bytes of a chunk, under DATA_KEY
    node hash       over the lines "<hash> : <size>\\n" of two to nine children, under NODE_KEY
    root            the aggregated tree over (chunk hash, size) pairs: the name of a xorb
    file hash       over the root of the file's chunks, under a key of zeros; of an empty file: zeros
    range hash      over the chunk hashes of one term, under RANGE_KEY: who knows it has had the chunks

The tree is cut by content, so that an edit changes few of its nodes. Going along a level, a group of children ends with the
third or any later one whose last eight bytes, as a little-endian number, are divisible by four, at the latest with the ninth; what
is left at the end of a level is a group, too, even if it is one child. The level of one node is the root.

A hash is spelled as four little-endian numbers of 64 bits in hexadecimal: each group of eight bytes stands in reverse. That is
not the hexadecimal of its bytes.

>>> hello = chunk_hash(b"Hello World!")
>>> spell(hello)
'd8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb'
>>> spell(file_hash([(hello, 12)]))
'a9dae0ad88b060bdd7e7c87abdcf95b132c95a0414b06d4f6beb68d287b87165'

The keys are those of xet-core at commit af1a3ff93e02d60b9e7c3790d9cb143e2e5353a7 (merklehash/data_hash.rs and
metadata_shard/chunk_verification.rs).
"""

from collections.abc import Iterable, Sequence

from blake3 import blake3

from concord.tlog.errors import MalformedError

HASH_SIZE = 32
DATA_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
ZERO = bytes(HASH_SIZE)

CHILDREN_MAX = 9
CHILDREN_MIN = 3  # of a group that ends with a hash, and not with the level


def chunk_hash(content: bytes | memoryview) -> bytes:
    """The hash of a chunk."""
    return blake3(content, key=DATA_KEY).digest()


def node_hash(children: Sequence[tuple[bytes, int]]) -> bytes:
    """The hash over (hash, size) pairs."""
    lines = "".join(f"{spell(child)} : {size}\n" for child, size in children)
    return blake3(lines.encode(), key=NODE_KEY).digest()


def root_of(chunks: Iterable[tuple[bytes, int]]) -> bytes:
    """The root over (chunk hash, size) pairs; zeros if there are none."""
    tree = Tree()
    for chunk, size in chunks:
        tree.add(chunk, size)
    return tree.root()


def file_hash(chunks: Iterable[tuple[bytes, int]]) -> bytes:
    """The hash of the file that has these chunks, as (hash, size) pairs."""
    return file_hash_of(root_of(chunks))


def file_hash_of(root: bytes) -> bytes:
    """The hash of the file whose chunks have this root."""
    return ZERO if root == ZERO else blake3(root, key=ZERO).digest()


def range_hash(hashes: bytes) -> bytes:
    """The hash over the chunk hashes of one term, one after the other."""
    return blake3(hashes, key=RANGE_KEY).digest()


def spell(raw: bytes) -> str:
    """The hash in the spelling of the protocol."""
    return raw[7::-1].hex() + raw[15:7:-1].hex() + raw[23:15:-1].hex() + raw[31:23:-1].hex()


def unspell(text: str) -> bytes:
    """The hash that `text` spells. MalformedError unless spell(unspell(text)) == text."""
    if len(text) != 2 * HASH_SIZE or not set(text) <= set("0123456789abcdef"):
        raise MalformedError(f"not the hash of a chunk, a xorb or a file: {text[:80]!r}")
    turned = bytes.fromhex(text)
    return turned[7::-1] + turned[15:7:-1] + turned[23:15:-1] + turned[31:23:-1]


class Tree:
    """The aggregated tree of a run of chunks that comes one by one, in memory that grows with its height only."""

    def __init__(self) -> None:
        self._open: list[list[tuple[bytes, int]]] = []  # of each level, the children of the group that has not ended
        self._counts: list[int] = []  # of each level, how many nodes it has

    def add(self, chunk: bytes, size: int) -> None:
        """Take the next chunk."""
        level, node = 0, (chunk, size)
        while True:
            group = self._put(level, node)
            if len(group) < CHILDREN_MAX and (len(group) < CHILDREN_MIN or node[0][24] & 3):
                return
            level, node = level + 1, self._close(level)

    def root(self) -> bytes:
        """The root over what was added; nothing can be added after it."""
        level = 0
        while level < len(self._open):
            if self._counts[level] == 1 and self._open[level]:
                return self._open[level][0][0]
            if self._open[level]:
                self._put(level + 1, self._close(level))
            level += 1
        return ZERO

    def _put(self, level: int, node: tuple[bytes, int]) -> list[tuple[bytes, int]]:
        if level == len(self._open):
            self._open.append([])
            self._counts.append(0)
        self._open[level].append(node)
        self._counts[level] += 1
        return self._open[level]

    def _close(self, level: int) -> tuple[bytes, int]:
        group, self._open[level] = self._open[level], []
        return node_hash(group), sum(size for _, size in group)
