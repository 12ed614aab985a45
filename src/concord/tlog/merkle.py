"""The Merkle tree of a log (RFC 6962, section 2.1; proofs are verified as in RFC 9162, sections 2.1.3.2 and 2.1.4.2).

A log is a growing list of entries. Its root is one hash that stands for all of them, in order:

    leaf(entry)        = SHA-256(0x00 || entry)
    node(left, right)  = SHA-256(0x01 || left || right)

A tree of n leaves splits at the largest power of two below n; a lone right child is promoted, never doubled. A subtree
over 2**level leaves that starts at a multiple of 2**level is *perfect*; its hash never changes again, so logs publish
only those, and everything else is computed from them. An inclusion proof is the list of sibling hashes from a leaf up
to the root; a consistency proof shows that a smaller tree is a prefix of a larger one.

>>> leaves = [leaf_hash(entry) for entry in (b"a", b"b", b"c")]
>>> proof = prove_inclusion(2, 3, nodes_of(leaves))
>>> root_from_inclusion(leaves[2], 2, 3, proof) == root_of(leaves)
True
>>> check_consistency(2, root_of(leaves[:2]), 3, root_of(leaves), prove_consistency(2, 3, nodes_of(leaves)))
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from concord.tlog.errors import ForgedError, MalformedError

HASH_SIZE = 32
EMPTY_ROOT = sha256().digest()

# (level, index) -> the hash of the perfect subtree over leaves [index * 2**level, (index + 1) * 2**level)
Node = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """The hash that stands for `entry` in the tree (32 bytes)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes (RFC 6962, 2.1)."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        lone = level[len(level) & ~1 :]
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)] + lone
    return level[0]


def range_root(start: int, stop: int, node: Node) -> bytes:
    """The hash over leaves [start, stop), a range that some tree splits off, from perfect subtrees."""
    width = stop - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(width)
    return node_hash(range_root(start, middle, node), range_root(middle, stop, node))


def root(size: int, node: Node) -> bytes:
    """The root of a tree of `size` leaves, from perfect subtrees."""
    return range_root(0, size, node) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Sibling hashes of leaf `index` in a tree of `size`, from the leaf upward (RFC 6962, 2.1.1)."""
    if not 0 <= index < size:
        raise RuntimeError(f"no leaf {index} among {size}")
    proof, start, stop = [], 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(range_root(middle, stop, node))
            stop = middle
        else:
            proof.append(range_root(start, middle, node))
            start = middle
    return proof[::-1]


def prove_consistency(size1: int, size2: int, node: Node) -> list[bytes]:
    """Hashes that show the tree of `size1` to be a prefix of that of `size2` (RFC 6962, 2.1.2)."""
    if not 0 < size1 <= size2:
        raise RuntimeError(f"no consistency proof from {size1} to {size2}")
    proof, start, stop, whole = [], 0, size2, True
    while size1 != stop:
        middle = start + _split(stop - start)
        if size1 <= middle:
            proof.append(range_root(middle, stop, node))
            stop = middle
        else:
            proof.append(range_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(range_root(start, stop, node))
    return proof[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that `proof` implies for `leaf` at `index` in a tree of `size` (RFC 9162, 2.1.3.2).

    The caller compares it with a signed root. MalformedError if the proof cannot belong to that place.
    """
    if not 0 <= index < size:
        raise MalformedError(f"index {index} outside a tree of {size}")
    _check_hashes(leaf, *proof)
    place, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise MalformedError("inclusion proof too long")
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise MalformedError("inclusion proof too short")
    return result


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """ForgedError unless `leaf` stands at `index` in the tree of `size` with `root`."""
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise ForgedError(f"the inclusion proof does not lead from entry {index} to the root of size {size}")


def check_consistency(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> None:
    """ForgedError unless the tree (size1, root1) is a prefix of (size2, root2) (RFC 9162, 2.1.4.2).

    `size1` is at least 1: the empty tree is a prefix of all, and there is nothing to prove.
    """
    if not 0 < size1 <= size2:
        raise MalformedError(f"no consistency proof leads from size {size1} to {size2}")
    if size1 == size2:
        if proof:
            raise MalformedError("a consistency proof between equal sizes is empty")
        if root1 != root2:
            raise ForgedError(f"two roots at size {size1}")
        return
    _check_hashes(root1, root2, *proof)
    if _roots_from_consistency(size1, root1, size2, proof) != (root1, root2):
        raise ForgedError(f"the consistency proof does not lead from size {size1} to {size2}")


def _roots_from_consistency(size1: int, root1: bytes, size2: int, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Both roots that the proof implies. The numbered steps are those of RFC 9162, 2.1.4.2."""
    if not proof:
        raise MalformedError("consistency proof empty")  # step 1
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)  # step 2
    first, second = size1 - 1, size2 - 1  # step 3
    while first & 1:  # step 4
        first, second = first >> 1, second >> 1
    old = new = path[0]  # step 5
    for sibling in path[1:]:  # step 6
        if second == 0:
            raise MalformedError("consistency proof too long")
        if first & 1 or first == second:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            new = node_hash(new, sibling)
        first, second = first >> 1, second >> 1
    if second != 0:  # step 7
        raise MalformedError("consistency proof too short")
    return old, new


def nodes_of(leaves: Sequence[bytes]) -> Node:
    """Perfect subtrees of a tree held in memory."""
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])


def _check_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_SIZE for value in hashes):
        raise MalformedError(f"a hash is {HASH_SIZE} bytes long")


def _split(width: int) -> int:
    """Largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1
