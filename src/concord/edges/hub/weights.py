"""What clients are told of the weights of a model: the headers of safetensors files, and what these and GGUF files say in short.

Anybody can write such a file, so headers are read with limits (`pillars.commons.safetensors`, `pillars.commons.gguf`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from concord.edges.hub.asking import Hub
from concord.errors import MalformedError
from concord.pillars.commons import File, Repo, gguf, safetensors
from concord.pillars.commons.loading import loaded
from concord.pillars.commons.passport import parameters
from concord.shelf import Reader

HEADER_MAX = 25_000_000  # bytes: what clients take
INDEX_MAX = 10_000_000  # bytes of the list of shards
SHARDS_MAX = 200
CONFIG = "config.json"
CONFIG_MAX = 1_000_000  # bytes


def read(shelf: Reader, repo: Repo, file: File) -> dict[str, Any]:
    """The header of a safetensors file of a repo. MalformedError if it has none."""
    found = safetensors.header(file.size, partial(shelf.peek, repo, file), HEADER_MAX)
    told = {each.name: {"dtype": each.dtype, "shape": each.shape, "data_offsets": each.data_offsets} for each in found.tensors}
    return {"__metadata__": found.metadata, **told} if found.metadata else told


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


def described(hub: Hub, repo: Repo, tree: Mapping[str, File]) -> dict[str, Any]:
    """What a model says of itself in its files, as far as all of them are here and can be read."""
    weights = loaded(tree)
    form, files = weights.form, () if weights.lacking else weights.files
    config = [tree[CONFIG]] if CONFIG in tree else []
    told = {
        form: hub.readings.of(form, repo, files, lambda: _OF_FORM[form](hub.shelf, repo, tree)),
        CONFIG: hub.readings.of(CONFIG, repo, config, lambda: _config(hub.shelf, repo, *config)),
    }
    if repo.gate != "open":  # text out of a file, which is for those who may have the file
        told[form] = {name: value for name, value in told[form].items() if name != "chat_template"}
    return {name.removesuffix(".json"): value for name, value in told.items() if value}


def _safetensors(shelf: Reader, repo: Repo, tree: Mapping[str, File]) -> dict[str, Any]:
    found = parameters(tree, partial(shelf.peek, repo))
    return {"parameters": found.by_type, "total": found.total} if found and not found.unread else {}


def _gguf(shelf: Reader, repo: Repo, tree: Mapping[str, File]) -> dict[str, Any]:
    """As the Hub tells of a GGUF. What the header does not say is left out."""
    found, first = parameters(tree, partial(shelf.peek, repo)), loaded(tree).files[0]
    if not found or found.unread:
        return {}
    head = gguf.header(first.size, partial(shelf.peek, repo, first))
    said = {"architecture": head.architecture, "context_length": head.context_length, "chat_template": head.metadata.get(gguf.CHAT)}
    return {"total": found.total, **{name: value for name, value in said.items() if value}}


def _config(shelf: Reader, repo: Repo, file: File) -> dict[str, Any]:
    config = _json(shelf, repo, file, CONFIG_MAX)
    return {name: config[name] for name in ("architectures", "model_type") if name in config}


_OF_FORM = {"safetensors": _safetensors, "gguf": _gguf}


def _json(shelf: Reader, repo: Repo, file: File, most: int) -> dict[str, Any]:
    if file.size > most:
        raise MalformedError(f"{file.path} has more than {most} bytes")
    try:
        return msgspec.json.decode(shelf.peek(repo, file, 0, file.size), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise MalformedError(f"{file.path} is no JSON object: {e}") from e
