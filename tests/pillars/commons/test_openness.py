"""Which files count as which component: the quick way finds what the plain definition finds."""

import tomllib
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from concord.pillars.commons import openness
from concord.pillars.commons.licence import FILES, licence
from concord.pillars.commons.records import Card
from concord.pillars.commons.tree import File, Paths, Tree, fits

KINDS: list[dict[str, Any]] = tomllib.loads(files(openness.__package__).joinpath("openness.toml").read_text("utf-8"))["component"]
PATTERNS = [pattern for kind in KINDS for pattern in kind.get("patterns", [])]
WORDS = st.sampled_from(
    sorted({part for pattern in PATTERNS for part in pattern.split("*")} | {"LICENSE", "Copying", "checkpoint-1", "É"})
)
PART = st.lists(WORDS | st.sampled_from("ab./-"), min_size=1, max_size=4).map("".join)
WHOLE = st.lists(PART, min_size=1, max_size=3).map(lambda parts: "/".join(filter(None, "/".join(parts).split("/")))).filter(bool)
PATHS = st.lists(WHOLE, max_size=30, unique=True)  # a path of a tree has no empty part
ANY_PATTERN = st.text("ab*?[]!/", max_size=8)


def plainly(path: str, patterns: Any) -> bool:
    return any(fnmatchcase(path.lower(), pattern) for pattern in patterns)


def own(found: list[str], tree: Tree) -> list[str]:
    above = {path[:at] for path in found for at, char in enumerate(path) if char == "/"}
    return [path for path in tree if path.rpartition("/")[0] in above and plainly(path.rpartition("/")[2], FILES)]


@given(PATHS, st.sampled_from(["", "transformers"]))
def test_each_component_finds_what_its_names_say(paths: list[str], library: str) -> None:
    tree = {path: File(path=path, size=1, sha256="9f" * 32) for path in paths}
    classified = openness.classify(Card(library=library), tree, licence("apache-2.0"))
    for kind, each in zip(KINDS, classified.components, strict=True):
        patterns = kind.get("patterns", []) + (kind.get("with_library", []) if library else [])
        found = [path for path in paths if plainly(path, patterns) and not plainly(path, kind.get("except", []))]
        assert each.found == tuple(sorted(found)[: openness.FOUND_MAX])
        assert each.own == tuple(sorted(own(found, tree))[: openness.FOUND_MAX])


@given(st.lists(st.text("abA*?[]!/\n", max_size=12)), st.lists(ANY_PATTERN, max_size=5))
def test_any_pattern_fits_what_it_plainly_fits(paths: list[str], patterns: list[str]) -> None:
    assert Paths(paths).like(patterns) == [path for path in paths if plainly(path, patterns)]
    assert [fits(path, patterns) for path in paths] == [plainly(path, patterns) for path in paths]
