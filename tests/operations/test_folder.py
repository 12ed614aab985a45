"""Which files of a folder are taken, and which folders cannot be."""

from pathlib import Path

import pytest

from concord.errors import MalformedError
from concord.operations.folder import Chosen, listed


@pytest.mark.parametrize(
    ("chosen", "paths"),
    [
        (Chosen(), {"a.txt", "b.bin", "deep/a.txt", "deep/er/c"}),
        (Chosen(include=["*.txt"]), {"a.txt", "deep/a.txt"}),
        (Chosen(include=["deep/"]), {"deep/a.txt", "deep/er/c"}),
        (Chosen(exclude=["deep/er/", "*.bin"]), {"a.txt", "deep/a.txt"}),
        (Chosen(include=["deep/"], exclude=["*.txt"]), {"deep/er/c"}),
    ],
)
def test_which_files_are_taken(chosen: Chosen, paths: set[str], tmp_path: Path) -> None:
    for path in ("a.txt", "b.bin", "deep/a.txt", "deep/er/c", "deep/.git/x", "__pycache__/y"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert set(listed(tmp_path, chosen)) == paths


def test_two_spellings_of_one_name_are_refused(tmp_path: Path) -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    for name in (composed, decomposed):
        (tmp_path / name).touch()
    with pytest.raises(MalformedError, match="two spellings"):
        listed(tmp_path)
    (tmp_path / composed).unlink()
    assert set(listed(tmp_path)) == {composed}
