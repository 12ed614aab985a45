"""The benchmarks run, with little work: what they measure then says nothing, but that they measure is seen."""

from pathlib import Path

import pytest
from bench import __main__ as bench


@pytest.mark.parametrize("suite", bench.SUITES)
def test_a_suite_gives_its_figures(suite: str, tmp_path: Path) -> None:
    figures = bench.SUITES[suite](tmp_path, 300)
    assert figures
    for figure in figures:
        assert figure.value > 0
        assert set(figure.told()) == {"name", "note", "value", "unit", "target", "ok", "peer", "ratio"}
        assert figure.line().count("|") == 6
