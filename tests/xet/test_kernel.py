"""The two kernels give the same answers, and one that is not what it should be is not used."""

import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.xet import kernel, native
from concord.xet.gear import MASK, TABLE, hash_of
from concord.xet.kernel import Kernel

SOURCE = Path(native.__file__).with_suffix(".c")
KERNELS = [kernel.plain(), *({kernel.kernel()} - {kernel.plain()})]
LEAST, MOST = 100, 1000

# Runs of few values, in which places where a chunk may end lie thick, and noise.
CONTENT = st.lists(
    st.one_of(st.binary(max_size=300), st.tuples(st.binary(max_size=9), st.integers(0, 90)).map(lambda p: p[0] * p[1]))
)


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler here")
    return found


@pytest.mark.skipif(not Path(native.LIBRARY).exists(), reason="nothing was compiled when Concord was installed")
def test_what_was_compiled_is_used() -> None:
    assert kernel.kernel().name == "compiled"


@pytest.fixture
def hook() -> ModuleType:
    """What compiles at installation."""
    pytest.importorskip("hatchling")
    spec = spec_from_file_location("hook", Path(__file__).parents[2] / "requirements" / "native.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hook_compiles_what_is_used(compiler: str, hook: ModuleType, tmp_path: Path) -> None:
    assert hook._compiled(SOURCE, tmp_path / "library")
    assert native.load(str(tmp_path / "library")) is not None


def test_no_installation_fails_for_want_of_a_compiler(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler --at-all")
    assert not hook._compiled(SOURCE, tmp_path / "library")
    assert "native.c was not compiled" in capsys.readouterr().err


def compiled(compiler: str, source: str, folder: Path) -> str:
    (folder / "other.c").write_text(source)
    subprocess.run([compiler, "-O1", "-fPIC", "-shared", str(folder / "other.c"), "-o", str(folder / "other")], check=True)
    return str(folder / "other")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("hash << 1", "hash << 2"),
        ("third[i] =", "fourth[i] ="),
        ("concord_cut(", "concord_cut_in_two("),
        ("first[quads] = content[4 * quads]", "first[quads] = 0"),
    ],
)
def test_a_library_that_does_something_else_is_not_used(compiler: str, wrong: str, right: str, tmp_path: Path) -> None:
    source = SOURCE.read_text()
    assert native.load(compiled(compiler, source, tmp_path)) is not None
    assert wrong in source
    (tmp_path / "x").mkdir()
    assert native.load(compiled(compiler, source.replace(wrong, right), tmp_path / "x")) is None


def test_what_is_no_library_is_not_used(tmp_path: Path) -> None:
    assert native.load(str(tmp_path / "none")) is None
    (tmp_path / "text").write_text("not a library")
    assert native.load(str(tmp_path / "text")) is None


@pytest.mark.parametrize("by", KERNELS, ids=lambda by: by.name)
@given(content=st.binary(max_size=2000))
def test_groups_go_back(by: Kernel, content: bytes) -> None:
    grouped = by.group(content)
    assert grouped == content[0::4] + content[1::4] + content[2::4] + content[3::4]
    assert by.ungroup(grouped) == content
    assert by.group(memoryview(content)) == grouped and by.ungroup(memoryview(bytearray(grouped))) == content


@given(CONTENT, st.integers(0, 99))
def test_the_kernels_cut_alike(parts: list[bytes], scanned: int) -> None:
    window = memoryview(bytearray(b"".join(parts)))
    scanned = min(scanned, len(window))
    cuts = {tuple(by.cutter(LEAST, MOST)(window, scanned, len(window))) for by in KERNELS}
    assert len(cuts) == 1
    stops = [0, *cuts.pop()]
    for start, stop in pairwise(stops):
        assert LEAST <= stop - start <= MOST
        assert stop - start == MOST or hash_of(window[stop - 64 : stop]) & MASK == 0


@pytest.mark.parametrize("by", KERNELS, ids=lambda by: by.name)
def test_chunks_end_where_the_hash_allows_it_as_soon_as_it_does(by: Kernel) -> None:
    # 64 equal bytes whose entry is t leave -t; a 65th byte with entry e makes 2 * -t + e: search for one that ends a chunk
    ending = next((a, b) for a in range(256) for b in range(256) if (-2 * TABLE[a] + TABLE[b]) % 2**64 & MASK == 0)
    content = bytearray(bytes([ending[0]]) * 200 + bytes([ending[1]]) + bytes([ending[0]]) * 200)
    assert by.cutter(LEAST, MOST)(memoryview(content), 0, len(content)) == [201]
    assert by.cutter(202, MOST)(memoryview(content), 0, len(content)) == []
    assert by.cutter(201, MOST)(memoryview(content), 200, len(content)) == [201]


def test_the_window_has_what_is_looked_at(compiler: str, tmp_path: Path) -> None:
    found = native.load(compiled(compiler, SOURCE.read_text(), tmp_path))
    assert found is not None
    for scanned, filled in ((0, 11), (5, 4)):
        with pytest.raises(RuntimeError):
            found.cutter(LEAST, MOST)(memoryview(bytearray(10)), scanned, filled)
