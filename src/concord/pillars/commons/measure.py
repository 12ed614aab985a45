"""What a search knows of a revision beyond its card: how large it is, how open, and in how much memory its weights fit.

All of it follows from the card and the names and sizes in the tree. No file is read, so every node finds the same, whether the
bytes are here or not, and whoever asks.

>>> from concord.pillars.commons.tree import File
>>> tree = {path: File(path=path, size=size, sha256="9f" * 32) for path, size in (("model.safetensors", 6 * GB), ("a.md", 9))}
>>> found = measure(Card(), tree, "model")
>>> found.weights == 6 * GB, size_of(found), memories_of(found)
(True, '10GB', ('8GB', '16GB', '24GB', '80GB'))

**Memory** is an estimate for the weights alone, at the precision at which they are stored: their bytes and a fifth more, which is
what a run needs besides with a short context. Of what long contexts, training or another precision need it says nothing. If the
same weights are there in several forms, the one counts that is read first: all safetensors files together; or else the smallest
GGUF, with its parts; or else all files of the other forms.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from concord.pillars.commons.licence import licence
from concord.pillars.commons.openness import classify
from concord.pillars.commons.records import Card, Kind
from concord.pillars.commons.tree import File, Tree

EDITION = 1  # of these rules: what was measured by others is measured again
GB = 10**9
SIZES = {"100MB": GB // 10, "1GB": GB, "10GB": 10 * GB, "100GB": 100 * GB}  # below which size each class ends, in bytes
LARGEST = "more"
MEMORIES = {"4GB": 4 * GB, "8GB": 8 * GB, "16GB": 16 * GB, "24GB": 24 * GB, "80GB": 80 * GB}
UNCLASSED = "none"
OPENNESS = ("1", "2", "3", UNCLASSED)
COUNTED_MAX = 2**53 - 1  # bytes: what a record can say of one file; of many, no more is counted
_OTHERS = (".onnx", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras")
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf\Z)")


@dataclass(frozen=True, slots=True)
class Measure:
    """Bytes of all files and of the weights, and the openness class that is reached (None: none, or it is no model)."""

    size: int
    weights: int
    openness: int | None


def measure(card: Card, tree: Tree, kind: Kind) -> Measure:
    """The measure of a revision with this card and these files."""
    size = min(sum(file.size for file in tree.values()), COUNTED_MAX)
    reached = classify(card, tree, licence(card.license)).reached if kind == "model" else None
    return Measure(size, min(_weights(tree), COUNTED_MAX) if kind == "model" else 0, reached)


def size_of(found: Measure) -> str:
    """The class of its size."""
    return next((name for name, end in SIZES.items() if found.size < end), LARGEST)


def memories_of(found: Measure) -> tuple[str, ...]:
    """In which memories the weights fit, or that they need more; none if there are no weights."""
    if not found.weights:
        return ()
    needed = found.weights + found.weights // 5
    return tuple(name for name, most in MEMORIES.items() if needed <= most) or (LARGEST,)


def _weights(tree: Tree) -> int:
    kept = {path.lower(): file for path, file in tree.items() if "checkpoint" not in path.rpartition("/")[0].lower()}
    tensors = _sum(file for path, file in kept.items() if path.endswith(".safetensors"))
    if tensors:
        return tensors
    wholes: dict[str, list[File]] = {}
    for path, file in kept.items():
        if path.endswith(".gguf"):
            wholes.setdefault(_PART.sub("", path), []).append(file)
    return min(map(_sum, wholes.values())) if wholes else _sum(file for path, file in kept.items() if path.endswith(_OTHERS))


def _sum(files: Iterable[File]) -> int:
    return sum(file.size for file in files)
