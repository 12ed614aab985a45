"""A log as static files: complete, verifiable by whoever has them, never over something that stands there."""

from pathlib import Path

import pytest

from concord.errors import MissingError, SettingsError, StorageError
from concord.home import open_home
from concord.ledger.tree import read_head
from concord.operations.export import export
from concord.tlog import merkle, note, tile
from concord.tlog.tile import WIDTH


@pytest.mark.parametrize("size", [8, WIDTH, WIDTH + 1, 3 * WIDTH + 5])
def test_the_files_make_the_signed_root_and_the_keys_verify_it(size: int, demo: Path, tmp_path: Path) -> None:
    node = open_home(demo)
    log = node.holdings.log(node.holdings.hosted()[0])
    log.append([b"%d" % number for number in range(log.tree.size, size)])
    node.cosign()
    told = export(node, log.tree.origin, tmp_path / "out")
    assert told["size"] == size
    head = read_head((tmp_path / "out" / "checkpoint").read_bytes())
    keys = [note.VerifierKey.parse(line) for line in (tmp_path / "out" / "vkeys").read_text().splitlines()]
    assert keys[0].name == log.tree.origin
    assert len(note.verify(head.note, keys)) == len(keys) == 6
    leaves = []
    for place in tile.bundle_places(0, size):
        leaves += map(merkle.leaf_hash, tile.parse_bundle((tmp_path / "out" / str(place)).read_bytes(), place.width))
    assert merkle.root_of(leaves) == head.checkpoint.root
    edge, full = tile.grow(tile.EMPTY_EDGE, leaves)
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    expected = {str(part.place): bytes(part) for part in (*full, *edge.tiles())}
    assert written == {"checkpoint", "vkeys", *expected, *map(str, tile.bundle_places(0, size))}
    assert told["files"] == len(written)
    assert all((tmp_path / "out" / name).read_bytes() == content for name, content in expected.items())


def test_nothing_is_written_over(founded: Path, tmp_path: Path) -> None:
    node = open_home(founded)
    origin = node.holdings.hosted()[0]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(SettingsError, match="not an empty folder"):
        export(node, origin, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        export(node, origin, tmp_path / "file" / "out")
    with pytest.raises(MissingError):
        export(node, "nobody", tmp_path / "new")
    assert not (tmp_path / "new").exists()
