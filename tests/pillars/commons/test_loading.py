"""Which files of a model are loaded: each weight once, in whatever forms a repo has it."""

import pytest

from concord.pillars.commons.loading import Loaded, loaded
from concord.pillars.commons.passport import Parameters, parameters
from concord.pillars.commons.tree import File
from concord.testing.repos import safetensors

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def found(*names: str) -> Loaded:
    return loaded({name: File(path=name, size=len(name), sha256="9f" * 32) for name in names})


@pytest.mark.parametrize(
    ("names", "wanted", "lacking"),
    [
        (("model.safetensors",), ("model.safetensors",), 0),
        ((*SHARDS, "consolidated.safetensors"), SHARDS, 0),
        (("model.safetensors", *SHARDS), ("model.safetensors",), 0),
        (("model.safetensors", "model.fp16.safetensors"), ("model.safetensors",), 0),
        ((SHARDS[1],), (SHARDS[1],), 1),
        ((*SHARDS, "model-00001-of-00005.safetensors"), SHARDS, 0),
        (("a.safetensors", "b.safetensors"), ("a.safetensors", "b.safetensors"), 0),
        (("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors", "vae/other.safetensors"),
         ("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"), 0),
        (("checkpoint-10/model.safetensors", "model.safetensors"), ("model.safetensors",), 0),
        (("model.safetensors", "a-Q4_0.gguf"), ("model.safetensors",), 0),
        (("a-Q4.gguf", "a-BF16-00001-of-00002.gguf", "a-BF16-00002-of-00002.gguf"), ("a-Q4.gguf",), 0),
        (("a-bf16-00001-of-00002.gguf", "a-bf16-00002-of-00002.gguf", "mmproj-a.gguf", "imatrix.gguf", "mtp-a.gguf", "a-LoRA.gguf"),
         ("a-bf16-00001-of-00002.gguf", "a-bf16-00002-of-00002.gguf"), 0),
        (("a-00002-of-00003.gguf",), ("a-00002-of-00003.gguf",), 2),
        (("mmproj-a.gguf", "words-vocab.gguf", "pytorch_model.bin"), (), 0),
        ((), (), 0),
    ],
)  # fmt: skip
def test_each_weight_is_loaded_once(names: tuple[str, ...], wanted: tuple[str, ...], lacking: int) -> None:
    for order in (names, names[::-1]):
        assert ({file.path for file in found(*order).files}, found(*order).lacking) == ({*wanted}, lacking)


def test_a_part_that_a_tree_lacks_is_unread() -> None:
    content = safetensors({"w": [7]})
    tree = {SHARDS[0]: File(path=SHARDS[0], size=len(content), sha256="9f" * 32)}
    assert parameters(tree, lambda _, start, stop: content[start:stop]) == Parameters(7, {"F32": 7}, 1)
