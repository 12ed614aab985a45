"""Editions for the tests of exports: one that has everything, and one that attacks."""

from hashlib import sha256

from concord.pillars.commons.card import card
from concord.pillars.commons.edition import Edition
from concord.pillars.commons.lineage import Index, Source, trace
from concord.pillars.commons.passport import Read, issue
from concord.pillars.commons.records import Card, Commit, RepoId
from concord.pillars.commons.repo import Revision
from concord.pillars.commons.tree import File
from concord.testing.members import NOW

ADDRESS = "https://concord.example"
README = """---
license: apache-2.0
language: [sw, en]
tags: [speech, example]
pipeline_tag: automatic-speech-recognition
base_model: [br/base, elsewhere/large]
base_model_relation: finetune
datasets: [id/corpus]
pretty_name: Words of the coast
co2_eq_emissions: {emissions: 0.50, hardware_used: 1 GPU}
---
# Words
"""


def edition(
    contents: dict[str, bytes], kind: str = "model", name: str = "ke/words", address: str = ADDRESS, index: int | None = 7
) -> Edition:
    """A revision with files of these contents."""
    tree = {path: File(path=path, size=len(raw), sha256=sha256(raw).hexdigest()) for path, raw in contents.items()}
    said = card(contents.get("README.md", b""))
    repo = RepoId(owner="ke.example/0", kind=kind, name=name.partition("/")[2])  # type: ignore[arg-type]
    commit = Commit(by="ke.example/0", at=NOW, repo=repo, ref="main", tree="9f" * 32, title="Begin", card=said)
    others = [Source(("model", "br/base"), Card(datasets=("x y",), base=("older/one",))), Source(("dataset", "id/corpus"), Card())]
    lineage = trace(Source((kind, name), said), [Index(others)])
    passport = issue(said, tree, reader(contents))
    return Edition(name, "Example Institute", Revision("ab" * 32, index, commit), tree, passport, lineage, address)


def reader(contents: dict[str, bytes]) -> Read:
    """Reads files of these contents."""
    return lambda file, start, stop: contents[file.path][start:stop] if file.path in contents else None
