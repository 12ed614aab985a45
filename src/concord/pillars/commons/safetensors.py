"""The header of a safetensors file: which tensors it has, of which type and shape. Nothing of them is loaded.

The format (huggingface/safetensors, README, "Format"): 8 bytes, little-endian, say how long the header is; the header is JSON,
{"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {text: text}}; the tensors follow without holes.

>>> import json
>>> raw = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
>>> whole = len(raw).to_bytes(8, "little") + raw + bytes(24)
>>> found = header(len(whole), lambda start, stop: whole[start:stop])
>>> found.parameters, found.tensors[0].name, found.by_type
(6, 'w', {'F32': 6})
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from concord.errors import MalformedError

HEADER_MAX = 4 << 20  # bytes: tens of thousands of tensors
_LENGTH = 8
_LEAST = 8  # numbers that a byte holds at most: no type spends less than a bit on one


class Tensor(msgspec.Struct, frozen=True):
    """One tensor, without its values."""

    dtype: Annotated[str, Meta(max_length=20)]
    shape: Annotated[tuple[Annotated[int, Meta(ge=0, lt=2**53)], ...], Meta(max_length=16)]
    data_offsets: tuple[int, int]
    name: str = ""

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class Tensors:
    """What a header says."""

    tensors: list[Tensor]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """How many numbers there are in all."""
        return sum(each.parameters for each in self.tensors)

    @property
    def by_type(self) -> dict[str, int]:
        """How many of each type."""
        found: dict[str, int] = {}
        for each in self.tensors:
            found[each.dtype] = found.get(each.dtype, 0) + each.parameters
        return found


def header(size: int, read: Callable[[int, int], bytes], most: int = HEADER_MAX) -> Tensors:
    """The header of a file of `size` bytes, of which `read(start, stop)` gives some. MalformedError if it has none.

    Or one of more than `most` bytes.
    """
    length = int.from_bytes(read(0, min(_LENGTH, size)), "little")
    if size < _LENGTH or not 2 <= length <= min(most, size - _LENGTH):
        raise MalformedError("not a safetensors file, or one whose header is longer than can be read here")
    try:
        said = msgspec.json.decode(read(_LENGTH, _LENGTH + length), type=dict[str, Any])
        metadata = msgspec.convert(said.pop("__metadata__", {}), dict[str, str])
        found = [msgspec.structs.replace(msgspec.convert(each, Tensor), name=name) for name, each in said.items()]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError("a safetensors file whose header cannot be read") from e
    end = size - _LENGTH - length
    if any(not 0 <= each.data_offsets[0] <= each.data_offsets[1] <= end for each in found):
        raise MalformedError("a safetensors file whose tensors lie beyond its end")
    if sum(each.parameters for each in found) > _LEAST * size:
        raise MalformedError(f"a safetensors file of {size} bytes that claims more parameters than it could hold")
    return Tensors(sorted(found, key=lambda each: each.data_offsets), metadata)
