"""Passports of a node: who sees what of which repo, and what the catalogue makes of cards."""

import json

import pytest

from concord.errors import MissingError, RefusedError
from concord.node import Node
from concord.passports import FORMATS, Passports
from concord.pillars.commons import Repo, RepoId
from concord.shelf import Shelf
from concord.testing import states
from concord.testing.nodes import everything
from concord.testing.repos import put


@pytest.fixture
def node() -> Node:
    return states.sharing()


@pytest.fixture
def shelf(node: Node) -> Shelf:
    return Shelf(node)


def origin(node: Node, member: str) -> str:
    return next(each for each in node.holdings.hosted() if each.startswith(f"{member}."))


def repo(shelf: Shelf, member: str, name: str, kind: str = "model", asker: str | None = None) -> Repo:
    found = RepoId(owner=origin(shelf.node, member), kind=kind, name=name)  # type: ignore[arg-type]
    return shelf.find(found, everything(asker) if asker else None)


def make(shelf: Shelf, member: str, name: str, front: str, *, private: bool = False) -> Repo:
    speaker = everything(origin(shelf.node, member))
    made = shelf.open(speaker, "model", name, private=private)
    put(shelf, speaker.origin, made, {"README.md": f"---\n{front}\n---\n".encode()}, "Begin")
    return shelf.find(made.id, speaker)


def kin(passports: Passports, of: Repo, asker: str | None = None) -> dict[str, bool]:
    found = passports.lineage(of, of.find("main"), everything(asker) if asker else None)
    return {each.key[1]: each.here for each in found.kin}


def test_lineage_goes_across_members_and_names_what_is_not_here(shelf: Shelf) -> None:
    passports = Passports(shelf)
    found = kin(passports, repo(shelf, "ke", "sheng-speech"))
    assert found == {"id/corpus": True, "elsewhere/unknown": False, "br/hostile": True, "ke/secret": False, "ke/sheng-speech": True}
    assert "ke/sheng-speech" in kin(passports, repo(shelf, "id", "corpus", "dataset"))


def test_a_private_repo_stands_in_a_lineage_for_its_own_people_only(shelf: Shelf) -> None:
    passports, ke, br = Passports(shelf), origin(shelf.node, "ke"), origin(shelf.node, "br")
    make(shelf, "ke", "child", "base_model: br/hostile", private=True)
    hostile = repo(shelf, "br", "hostile")
    for asker in (None, br):
        seen = kin(passports, hostile, asker)
        assert seen["ke/secret"] is False and "ke/child" not in seen
    seen = kin(passports, hostile, ke)
    assert seen["ke/secret"] is True and seen["ke/child"] is True
    assert "ke/child" not in kin(passports, hostile, None), "and is forgotten for the next asker"


def test_what_was_said_since_is_seen_and_a_renamed_repo_is_followed(shelf: Shelf) -> None:
    passports = Passports(shelf)
    base = make(shelf, "ke", "base", "license: mit")
    assert kin(passports, base) == {"ke/base": True}
    make(shelf, "br", "tuned", "base_model: ke/base\nbase_model_relation: adapter")
    assert kin(passports, repo(shelf, "ke", "base")) == {"ke/base": True, "br/tuned": True}
    shelf.move(everything(origin(shelf.node, "ke")), repo(shelf, "ke", "base"), "renamed")
    assert kin(passports, repo(shelf, "br", "tuned")) == {"ke/renamed": True, "br/tuned": True}
    assert kin(passports, repo(shelf, "ke", "renamed")) == {"ke/renamed": True, "br/tuned": True}


def test_the_relation_survives_the_view(shelf: Shelf) -> None:
    make(shelf, "br", "tuned", "base_model: ke/sheng-speech\nbase_model_relation: quantized")
    assert [each.card.relation for each in shelf.catalogue(None) if each.id.name == "tuned"] == ["quantized"]


def test_gated_files_are_neither_read_nor_told_of_to_whom_is_not_admitted(shelf: Shelf) -> None:
    passports, gated = Passports(shelf), repo(shelf, "id", "gated")
    for form in FORMATS:
        with pytest.raises(RefusedError):
            passports.export(form, gated, gated.find("main"), None)
        with pytest.raises(RefusedError):
            passports.export(form, gated, gated.find("main"), everything(origin(shelf.node, "ke")))
    owner = everything(origin(shelf.node, "id"))
    assert json.loads(passports.export("cyclonedx", gated, gated.find("main"), owner))["specVersion"] == "1.6"
    read = passports.reader(gated, None)
    assert read(shelf.tree(gated, gated.find("main"))["README.md"], 0, 5) is None


def test_there_is_no_signature_before_its_owner_publishes_one(shelf: Shelf) -> None:
    model = repo(shelf, "ke", "sheng-speech")
    with pytest.raises(MissingError, match="published no signature"):
        Passports(shelf).export("model-signing", model, model.find("main"), None)


def test_a_held_file_is_not_read(shelf: Shelf) -> None:
    from concord.ledger.blobs import Hold  # noqa: PLC0415

    model = repo(shelf, "ke", "sheng-speech")
    file = shelf.tree(model, model.find("main"))["README.md"]
    assert Passports(shelf).passport(model, model.find("main"), None).front
    shelf.node.blobs.hold(file.sha256, Hold(by="operator", reason="a test", at=0))
    assert Passports(shelf).passport(model, model.find("main"), None).front == {}
