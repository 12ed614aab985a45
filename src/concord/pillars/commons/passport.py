"""The passport of a revision: licence, openness, formats, parameters, computed from its card and its tree, with reasons.

Nothing in it is a verdict. A licence is what the card names, and what published tables say of it; a component counts as found if
a file bears a name that we take for it (`openness.toml`), and nobody has read the file. So whoever opens the passport finds
which file, or which name is missing, and can look.

>>> from concord.pillars.commons.tree import File
>>> tree = {path: File(path=path, size=1, sha256="9f" * 32) for path in ("README.md", "model.safetensors", "train.py")}
>>> found = issue(Card(license="apache-2.0"), tree, lambda file, start, stop: None)
>>> found.licence.id, found.openness.reached, [each.id for each in found.openness.missing(3)][:2]
('Apache-2.0', None, ['architecture', 'evaluation results'])
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from concord.errors import MalformedError
from concord.pillars.commons import gguf, openness, safetensors, training
from concord.pillars.commons import licence as licences
from concord.pillars.commons.card import MATTER_MAX, words
from concord.pillars.commons.licence import Licence
from concord.pillars.commons.loading import loaded
from concord.pillars.commons.openness import Openness
from concord.pillars.commons.records import Card
from concord.pillars.commons.training import README, RESULTS, RESULTS_MAX, Stated
from concord.pillars.commons.tree import File, Tree

HEADERS_MAX = 64  # safetensors files whose header is read
PARTS_MAX = 16  # of a GGUF, of which the same
_FORMATS = {
    "safetensors": "safetensors", "gguf": "GGUF", "onnx": "ONNX", "bin": "pickle", "pt": "pickle", "pth": "pickle", "pkl": "pickle",
    "ckpt": "pickle", "h5": "HDF5", "parquet": "Parquet", "arrow": "Arrow", "csv": "CSV", "jsonl": "JSON Lines", "npz": "NumPy",
    "npy": "NumPy", "tar": "tar", "zip": "ZIP", "wav": "WAV", "flac": "FLAC", "mp3": "MP3",
}  # fmt: skip

Read = Callable[[File, int, int], bytes | None]  # some bytes of a file, or None if it is not here
Header = Callable[[int, Callable[[int, int], bytes]], safetensors.Tensors | gguf.Gguf]


@dataclass(frozen=True)
class Parameters:
    """How many, by type; `unread` files were not here, or could not be read, so there may be more."""

    total: int
    by_type: Mapping[str, int]
    unread: int


@dataclass(frozen=True)
class Passport:
    """All of it. `parameters` None: there are no weights of a form that says it.

    `front` is what README.md says, with numbers as words; `weights` are the files of weights, with their digests.
    """

    licence: Licence
    openness: Openness
    formats: Mapping[str, int]
    parameters: Parameters | None
    size: int
    training: tuple[Stated, ...] = ()
    weights: tuple[File, ...] = ()
    front: Mapping[str, Any] = field(default_factory=dict)


def issue(card: Card, tree: Tree, read: Read) -> Passport:
    """The passport of a revision with this card and these files."""
    front = _front(tree, read)
    known = licences.of(card.license, tree, front)
    return Passport(
        licence=known,
        openness=openness.classify(card, tree, known),
        formats=_formats(tree),
        parameters=parameters(tree, read),
        size=sum(file.size for file in tree.values()),
        training=tuple(training.stated(front, _results(tree, read))),
        weights=openness.weights(tree),
        front=front,
    )


def _front(tree: Tree, read: Read) -> Mapping[str, Any]:
    """What the front matter says; nothing if README.md is not here or cannot be read."""
    file = tree.get(README)
    raw = read(file, 0, min(file.size, MATTER_MAX + 8)) if file else None
    try:
        return words(raw or b"")
    except MalformedError:
        return {}


def _results(tree: Tree, read: Read) -> dict[str, bytes]:
    """The results of training that are here and not too long to read."""
    files = [tree[path] for path in RESULTS if path in tree and tree[path].size <= RESULTS_MAX]
    return {file.path: raw for file in files if (raw := read(file, 0, file.size)) is not None}


def _formats(tree: Tree) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in tree:
        name = _FORMATS.get(path.rpartition(".")[2].lower())
        if name is not None:
            found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def parameters(tree: Tree, read: Read) -> Parameters | None:
    """How many parameters the weights of a tree have, as their headers say; None if there are none of a form that says it."""
    weights = loaded(tree)
    header, most = (safetensors.header, HEADERS_MAX) if weights.form == "safetensors" else (gguf.header, PARTS_MAX)
    found = [*_counted(weights.files[:most], header, read)]
    return _summed(found, len(weights.files) + weights.lacking) if weights.files else None


def _summed(found: Sequence[Mapping[str, int]], files: int) -> Parameters:
    """What was found in the headers of some of so many `files`."""
    by_type: Counter[str] = Counter()
    for each in found:
        by_type.update(each)
    return Parameters(by_type.total(), dict(by_type), files - len(found))


def _counted(files: Iterable[File], header: Header, read: Read) -> Iterator[Mapping[str, int]]:
    """How many parameters of each type there are in each of these files that is here, and can be read."""
    for file in files:
        if read(file, 0, 1) is not None:
            with suppress(MalformedError):
                yield header(file.size, lambda start, stop, file=file: read(file, start, stop) or b"").by_type  # type: ignore[misc]
