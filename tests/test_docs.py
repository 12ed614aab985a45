"""What the docs say is true: pages, commands, links."""

import re
import runpy
from pathlib import Path

import pytest
import typer

from concord.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> set[str]:
    """Every command, as words."""
    found = set()

    def walk(command: object, path: str) -> None:
        inner = getattr(command, "commands", None)
        if inner is None:
            found.add(path)
        for name, each in (inner or {}).items():
            walk(each, f"{path} {name}".strip())

    walk(typer.main.get_command(app), "")
    return found


def test_the_reference_is_what_the_code_would_write() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "reference.py"))["text"]()
    assert (ROOT / "docs" / "reference.md").read_text() == written, "say `make reference`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_docs_exists(page: Path) -> None:
    known = commands()
    groups = {name.split(" ")[0] for name in known}
    said = re.findall(r"(?:^|[`$ ])concord(?: --home \S+)? ((?:[a-z]+)(?: [a-z]+)?)", page.read_text(), re.MULTILINE)
    for words in said:
        first, _, second = words.partition(" ")
        if first in groups:
            deeper = any(name.startswith(f"{first} {second} ") for name in known)
            assert first in known or f"{first} {second}" in known or deeper, f"{page.name}: concord {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = (folder / "README.md").read_text()
    for path in folder.glob("[0-9]*.md"):
        assert path.name in listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_know_no_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(root|work|home/\w)", page.read_text())
