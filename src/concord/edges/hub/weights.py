"""What the header of a safetensors file says of the weights in it. It is read with limits, because anybody can write one.

The file begins with the length of the header (8 bytes, little-endian) and the header, a JSON object: names of tensors, each with
its type, shape and place in the file.

>>> header = b'{"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}'
>>> count(parse(len(header).to_bytes(8, "little") + header, 8 + len(header) + 24))
{'F32': 6}
"""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import msgspec

from concord.errors import ConcordError, MalformedError
from concord.pillars.commons import File, Repo
from concord.shelf import Reader

HEADER_MAX = 25_000_000  # bytes
INDEX_MAX = 10_000_000  # bytes of the list of shards
SHARDS_MAX = 200
SINGLE = "model.safetensors"
CONFIG = "config.json"
CONFIG_MAX = 1_000_000  # bytes
_METADATA = "__metadata__"


class Tensor(msgspec.Struct):
    """Where a tensor stands."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def parse(raw: bytes, size: int) -> dict[str, Any]:
    """The header at the beginning of a file of `size` bytes. MalformedError if it is none."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= length <= min(HEADER_MAX, size - 8) or len(raw) < 8 + length:
        raise MalformedError("not a safetensors file: the length of its header cannot be right")
    try:
        header = msgspec.json.decode(raw[8 : 8 + length], type=dict[str, Any])
        for name, tensor in header.items():
            _check(name, tensor, size - 8 - length)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"not a safetensors file: {e}") from e
    return header


def count(header: Mapping[str, Any]) -> dict[str, int]:
    """How many parameters there are of each type."""
    counted: dict[str, int] = {}
    for name, tensor in header.items():
        if name != _METADATA:
            counted[tensor["dtype"]] = counted.get(tensor["dtype"], 0) + prod(tensor["shape"])
    return counted


def read(shelf: Reader, repo: Repo, file: File) -> dict[str, Any]:
    """The header of a file of a repo. MalformedError if it has none."""
    raw = shelf.peek(repo, file, 0, min(8, file.size))
    length = int.from_bytes(raw, "little")
    if length > HEADER_MAX:
        raise MalformedError("not a safetensors file: the length of its header cannot be right")
    return parse(raw + shelf.peek(repo, file, 8, min(8 + length, file.size)), file.size)


def sharded(shelf: Reader, repo: Repo, tree: Mapping[str, File], index: File) -> dict[str, Any]:
    """What an index of shards says, and the header of each shard. MalformedError if it names none that is there."""
    said = _json(shelf, repo, index, INDEX_MAX)
    shards = said.get("weight_map", {}).values() if isinstance(said.get("weight_map"), dict) else ()
    folder = index.path.rpartition("/")[0]
    paths = {name: f"{folder}/{name}" if folder else name for name in set(map(str, shards))}
    if not paths or len(paths) > SHARDS_MAX or not all(path in tree for path in paths.values()):
        raise MalformedError(f"an index of shards that names none, too many, or some that are not there: {index.path}")
    headers = {name: read(shelf, repo, tree[path]) for name, path in sorted(paths.items())}
    return {"index": {"metadata": said.get("metadata", {})}, "headers": headers}


def described(shelf: Reader, repo: Repo, tree: Mapping[str, File]) -> dict[str, Any]:
    """What a model says of itself in its files, as far as they are here and can be read."""
    return dict(_described(shelf, repo, tree))


def _described(shelf: Reader, repo: Repo, tree: Mapping[str, File]) -> Iterator[tuple[str, Any]]:
    try:
        if SINGLE in tree and shelf.have(repo, tree[SINGLE]):
            counted = count(read(shelf, repo, tree[SINGLE]))
            yield "safetensors", {"parameters": counted, "total": sum(counted.values())}
        if CONFIG in tree and shelf.have(repo, tree[CONFIG]):
            config = _json(shelf, repo, tree[CONFIG], CONFIG_MAX)
            yield "config", {name: config[name] for name in ("architectures", "model_type") if name in config}
    except ConcordError:
        return  # not here, or not readable: then it says nothing


def _json(shelf: Reader, repo: Repo, file: File, most: int) -> dict[str, Any]:
    if file.size > most:
        raise MalformedError(f"{file.path} has more than {most} bytes")
    try:
        return msgspec.json.decode(shelf.peek(repo, file, 0, file.size), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"{file.path} is no JSON object: {e}") from e


def _check(name: str, tensor: Any, size: int) -> None:
    if name == _METADATA:
        return
    start, stop = msgspec.convert(tensor, Tensor).data_offsets
    if not 0 <= start <= stop <= size or any(each < 0 for each in tensor["shape"]):
        raise MalformedError(f"not a safetensors file: tensor {name[:100]!r} is not in it")
