"""Which files of a model are loaded: a repo often has the same weights several times, in other forms, precisions and divisions.

1. Of each folder with safetensors files, the one that libraries load by its name (`model`, `diffusion_pytorch_model`,
   `adapter_model`), whole or in its parts; all of them where none is called so. Folders of checkpoints are passed over.
2. Without safetensors files, the smallest model among the GGUF files, whole or in its parts, because there is often one for each
   way to make it smaller. What sees for a model (`mmproj-…`), what was measured to make it smaller (`imatrix…`), what drafts for
   it (`mtp-…`), what only changes it (`…-lora`) and what has its words alone (`…-vocab`) are no models (ggml, docs/gguf.md,
   "GGUF Naming Convention", for the last two; the usage of llama.cpp for the others).

>>> names = ("model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors", "consolidated.safetensors", "a-Q4_0.gguf")
>>> found = loaded({name: File(path=name, size=9, sha256="9f" * 32) for name in names})
>>> found.form, [file.path[:11] for file in found.files], found.lacking
('safetensors', ['model-00001', 'model-00003'], 1)
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from concord.pillars.commons.tree import File, Tree

Form = Literal["safetensors", "gguf"]
NAMED = ("model", "diffusion_pytorch_model", "adapter_model")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\Z")
_NO_MODEL = re.compile(r"(mmproj|imatrix|mtp-)|.*-(lora|vocab)\Z")


@dataclass(frozen=True)
class Loaded:
    """Files of one form, and how many more their names tell of, which the tree lacks."""

    form: Form
    files: tuple[File, ...] = ()
    lacking: int = 0

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return sum(file.size for file in self.files)


def loaded(tree: Tree) -> Loaded:
    """What is loaded of a model with these files. It may be no file at all."""
    tensors = [_of_folder(stems) for _, stems in sorted(_by_folder(tree, ".safetensors").items())]
    if tensors:
        return Loaded("safetensors", tuple(file for each in tensors for file in each.files), sum(each.lacking for each in tensors))
    models = (files for stems in _by_folder(tree, ".gguf").values() for stem, files in stems.items() if not _NO_MODEL.match(stem))
    return min((_joined("gguf", files) for files in models), key=lambda each: each.size, default=Loaded("gguf"))


def _by_folder(tree: Tree, ending: str) -> dict[str, dict[str, list[tuple[str, File]]]]:
    """The files with this ending by folder and stem (the name without its part), each with what says which part it is."""
    found: dict[str, dict[str, list[tuple[str, File]]]] = {}
    for path, file in sorted(tree.items()):
        folder, _, name = path.lower().rpartition("/")
        if name.endswith(ending) and "checkpoint" not in folder:
            whole = name.removesuffix(ending)
            stem = _PART.sub("", whole)
            found.setdefault(folder, {}).setdefault(stem, []).append((whole.removeprefix(stem), file))
    return found


def _of_folder(stems: Mapping[str, list[tuple[str, File]]]) -> Loaded:
    named = next(([stems[name]] for name in NAMED if name in stems), [*stems.values()])
    parts = [_joined("safetensors", files) for files in named]
    return Loaded("safetensors", tuple(file for each in parts for file in each.files), sum(each.lacking for each in parts))


def _joined(form: Form, files: Iterable[tuple[str, File]]) -> Loaded:
    """A whole file, if it is there; or else its parts, of the division that has most of them here."""
    divisions: dict[int, list[File]] = {}
    for part, file in files:
        match = _PART.match(part)
        divisions.setdefault(int(match[2]) if match else 0, []).append(file)
    if 0 in divisions:
        return Loaded(form, tuple(divisions[0]))
    count, found = max(divisions.items(), key=lambda each: (len(each[1]), -each[0]))
    return Loaded(form, tuple(found), max(count - len(found), 0))
