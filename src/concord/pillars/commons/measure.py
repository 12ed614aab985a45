"""What a search knows of a revision beyond its card: how large it is, how open, in which formats, how many parameters it has, and
in how much memory its weights fit.

All of it but the parameters follows from the card and the names and sizes in the tree, so every node finds the same, whether the
bytes are here or not, and whoever asks. Parameters are counted in the headers of safetensors files, or of a GGUF,
where those are here: of a model of which one is elsewhere, how many it has is not known.

>>> from concord.pillars.commons.tree import File
>>> tree = {path: File(path=path, size=size, sha256="9f" * 32) for path, size in (("model.safetensors", 6 * GB), ("a.md", 9))}
>>> found = measure(Card(), tree, "model")
>>> found.weights == 6 * GB, size_of(found), memories_of(found)
(True, '10GB', ('8GB', '16GB', '24GB', '80GB'))
>>> found.formats, found.parameters, found.unread
(('safetensors',), None, 1)

**Memory** is an estimate for the weights alone, at the precision at which they are stored: their bytes and a fifth more, which is
what a run needs besides with a short context. Of what long contexts, training or another precision need it says nothing. If the
same weights are there several times, those count that are loaded (`concord.pillars.commons.loading`); or else all files of the
other forms.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from concord.pillars.commons.licence import licence
from concord.pillars.commons.loading import loaded
from concord.pillars.commons.openness import classify
from concord.pillars.commons.passport import Read, parameters
from concord.pillars.commons.records import Card, Kind
from concord.pillars.commons.tree import File, Tree

EDITION = 4  # of these rules: what was measured by others is measured again
GB = 10**9
SIZES = {"100MB": GB // 10, "1GB": GB, "10GB": 10 * GB, "100GB": 100 * GB}  # below which size each class ends, in bytes
LARGEST = "more"
MEMORIES = {"4GB": 4 * GB, "8GB": 8 * GB, "16GB": 16 * GB, "24GB": 24 * GB, "80GB": 80 * GB}
PARAMETERS = {"100M": 10**8, "1B": 10**9, "10B": 10**10, "100B": 10**11}  # below how many parameters each class ends
UNCLASSED = "none"
OPENNESS = ("1", "2", "3", UNCLASSED)
COUNTED_MAX = 2**53 - 1  # bytes: what a record can say of one file; of many, no more is counted
_OTHERS = (".onnx", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras")
# How the Hub calls the formats of a model's weights and of a dataset's rows, by the paths that show them.
_PATTERNS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "model": (
        ("safetensors", r"\.safetensors\Z"),
        ("pytorch", r"(\A|/)(pytorch_model|diffusion_pytorch_model|adapter_model)[^/]*\.bin\Z|\.(pt|pth|ckpt)\Z"),
        ("gguf", r"\.gguf\Z"),
        ("onnx", r"\.onnx\Z"),
        ("tf", r"(\A|/)(tf_model[^/]*\.h5|saved_model\.pb)\Z"),
        ("jax", r"(\A|/)flax_model[^/]*\.msgpack\Z"),
        ("keras", r"\.keras\Z"),
        ("tflite", r"\.tflite\Z"),
        ("coreml", r"\.mlmodel\Z|\.mlpackage/"),
        ("openvino", r"(\A|/)openvino_[^/]*\.xml\Z"),
        ("joblib", r"\.joblib\Z"),
        ("tensorboard", r"(\A|/)events\.out\.tfevents\."),
    ),
    "dataset": (
        ("format:parquet", r"\.parquet\Z"),
        ("format:csv", r"\.[ct]sv(\.gz)?\Z"),
        ("format:json", r"\.jsonl?(\.gz)?\Z"),
        ("format:text", r"\.txt\Z"),
        ("format:arrow", r"\.arrow\Z"),
        ("format:webdataset", r"\.tar\Z"),
        ("format:imagefolder", r"\.(png|jpe?g|gif|webp|avif|bmp|tiff)\Z"),
        ("format:audiofolder", r"\.(wav|flac|mp3|ogg|opus)\Z"),
    ),
    "space": (),
}
_FORMATS = {kind: [(name, re.compile(pattern)) for name, pattern in patterns] for kind, patterns in _PATTERNS.items()}


@dataclass(frozen=True, slots=True)
class Measure:
    """Bytes of all files and of the weights, and the openness class that is reached (None: none, or it is no model).

    `formats` are called as on the Hub. `parameters` None: not known; the headers of `unread` files were not here, or unreadable.
    """

    size: int
    weights: int
    openness: int | None
    formats: tuple[str, ...] = ()
    parameters: int | None = None
    unread: int = 0


def measure(card: Card, tree: Tree, kind: Kind, read: Read = lambda file, start, stop: None) -> Measure:  # noqa: ARG005  nothing is here
    """The measure of a revision with this card and these files, of which `read` gives some."""
    size = min(sum(file.size for file in tree.values()), COUNTED_MAX)
    if kind != "model":
        return Measure(size, 0, None, formats(tree, kind))
    counted = parameters(tree, read)
    known = min(counted.total, COUNTED_MAX) if counted and not counted.unread else None
    return Measure(
        size=size,
        weights=min(_weights(tree), COUNTED_MAX),
        openness=classify(card, tree, licence(card.license)).reached,
        formats=formats(tree, kind),
        parameters=known,
        unread=counted.unread if counted else 0,
    )


def formats(tree: Iterable[str], kind: Kind) -> tuple[str, ...]:
    """The formats that the paths of a tree show."""
    paths = {path.lower() for path in tree}
    return tuple(name for name, pattern in _FORMATS[kind] if any(map(pattern.search, paths)))


def size_of(found: Measure) -> str:
    """The class of its size."""
    return next((name for name, end in SIZES.items() if found.size < end), LARGEST)


def parameters_of(found: Measure) -> tuple[str, ...]:
    """The class of how many parameters it has; none if that is not known."""
    if found.parameters is None:
        return ()
    return (next((name for name, end in PARAMETERS.items() if found.parameters < end), LARGEST),)


def memories_of(found: Measure) -> tuple[str, ...]:
    """In which memories the weights fit, or that they need more; none if there are no weights."""
    if not found.weights:
        return ()
    needed = found.weights + found.weights // 5
    return tuple(name for name, most in MEMORIES.items() if needed <= most) or (LARGEST,)


def _weights(tree: Tree) -> int:
    kept = (file for path, file in tree.items() if "checkpoint" not in path.rpartition("/")[0].lower())
    return loaded(tree).size or _sum(file for file in kept if file.path.lower().endswith(_OTHERS))


def _sum(files: Iterable[File]) -> int:
    return sum(file.size for file in files)
