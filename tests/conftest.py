"""What tests share: known answers of other projects, how patient hypothesis is, and how a stranger reads a log."""

import gc
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from concord.ledger.identity import IDENTITY_MARK, read_chain
from concord.ledger.mirror import signed_by
from concord.ledger.tree import Tree
from concord.operations import demonstrate
from concord.testing.processes import copy_home, mount
from concord.tlog import merkle, tile
from concord.tlog.tile import EMPTY_EDGE

settings.register_profile("concord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("concord")

SHARED = Path(__file__).parents[2] / "shared" / "vectors"


@pytest.fixture(scope="session")
def shared_vectors() -> Path:
    """Known answers of other projects, which lie beside this one and not in it."""
    if not SHARED.is_dir():
        pytest.skip("the shared vectors do not lie beside this checkout (../shared/vectors)")
    return SHARED


@pytest.fixture(scope="session")
def audit() -> Callable[[Tree], list[bytes]]:
    """The entries of a stored log, once all that is published of it proves to follow from them."""

    def read(tree: Tree) -> list[bytes]:
        head = tree.head
        assert head is not None
        entries = list(tree.entries(0, tree.size))
        leaves = [merkle.leaf_hash(entry) for entry in entries]
        assert merkle.root_of(leaves) == head.checkpoint.root
        edge, full = tile.grow(EMPTY_EDGE, leaves)
        assert edge == tree.edge()
        for part in (*full, *edge.tiles()):
            assert tree.read(part.place) == bytes(part)
        identities = [entry for entry in entries if IDENTITY_MARK in entry]
        assert signed_by(head.note, tree.origin, identities) == read_chain(tree.identities())
        return entries

    return read


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a demonstration. It is made once; whoever changes something takes `demo`."""
    home = tmp_path_factory.mktemp("founded") / "home"
    demonstrate.found(home)
    gc.collect()  # closes its databases, so that all of it is in them
    assert not [*home.glob("*.db-wal")]
    return home


@pytest.fixture
def demo(founded: Path, tmp_path: Path) -> Path:
    """A copy of it of one's own."""
    return copy_home(founded, tmp_path / "home")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of sixteen megabytes."""
    (tmp_path / "disk").mkdir()
    if not mount("-t", "tmpfs", "-o", "size=16m", "none", tmp_path / "disk"):
        pytest.skip("nothing can be mounted here")
    yield tmp_path / "disk"
    subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)
