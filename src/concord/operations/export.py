"""Writing a log as static files, for any web server and any tool that reads tlog-tiles."""

from pathlib import Path
from typing import Any

from concord.errors import MissingError, SettingsError
from concord.ledger.storage.files import told
from concord.node import Node
from concord.tlog import tile


def export(node: Node, origin: str, directory: Path) -> dict[str, Any]:
    """Write the log of `origin` to `directory`: `checkpoint`, `tile/…`, and `vkeys` with a verifier key a line.

    The log's key comes first, then the keys of those who cosigned this checkpoint. SettingsError if the directory is not empty.
    """
    tree = node.holdings.tree(origin)
    head = tree.head
    if head is None:
        raise MissingError(f"{origin} is not held here")
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise SettingsError(f"{directory} is not an empty folder")
    size = head.checkpoint.size
    names = {(line.name, line.id) for line in head.note.signatures}
    keys = [*node.holdings.log_keys(origin), *node.policy(origin).witnesses.values()]
    files = {"checkpoint": bytes(head.note), "vkeys": "".join(f"{key}\n" for key in keys if (key.name, key.id) in names).encode()}
    count = len(files)
    try:
        for name, content in files.items():
            _write(directory / name, content)
        for place in (*tile.places(0, size), *tile.bundle_places(0, size)):
            _write(directory / str(place), tree.read(place))
            count += 1
    except OSError as e:
        raise told(e, directory) from e
    return {
        "origin": origin,
        "size": size,
        "directory": str(directory),
        "files": count,
        "vkeys": files["vkeys"].decode().splitlines(),
    }


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
