"""A bill of materials for a revision: CycloneDX 1.6, JSON, with a model card where it is a model (an ML-BOM).

What is in it is what the passport has: licence as the card declares it, files with their digests, what it was made of as pedigree,
datasets, and where the commit and its receipt are. Nothing is made up to fill a field: what the format has no place for without
inventing something (energy wants a provider and a source of energy) stands as a property, in the words of the publisher.

The same revision at the same address gives the same bytes: the serial number follows from the commit, and the time is the commit's.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from concord.pillars.commons.edition import Edition
from concord.pillars.commons.licence import Licence
from concord.pillars.commons.lineage import DATASET, Kin

FILES_MAX = 5_000  # files that are listed, of those that there are
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_TYPES = {"model": "machine-learning-model", "dataset": "data", "space": "application"}


def bom(edition: Edition, version: str) -> dict[str, Any]:
    """The bill; `version` is that of this software, which the bill names as the tool that made it."""
    datasets = [kin for kin in edition.lineage.origins if kin.key[0] == "dataset" and _direct(edition, kin)]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(edition),
        "version": 1,
        "metadata": {
            "timestamp": edition.date,
            "tools": {"components": [{"type": "application", "name": "concord", "version": version}]},
            "component": _component(edition, datasets),
        },
        "components": [*map(_dataset, datasets), *_files(edition)],
        "dependencies": [{"ref": _ref(edition), "dependsOn": [_kin_ref(kin) for kin in datasets]}],
    }


def serial(edition: Edition) -> str:
    """The serial number: a UUID (version 5) of the commit."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'urn:concord:commit:{edition.revision.leaf}')}"


def _component(edition: Edition, datasets: list[Kin]) -> dict[str, Any]:
    member, _, name = edition.name.rpartition("/")
    told: dict[str, Any] = {
        "type": _TYPES[edition.repo.kind],
        "bom-ref": _ref(edition),
        "group": member,
        "name": name,
        "version": edition.revision.oid,
        "publisher": edition.publisher,
        "description": edition.card.title,
        "licenses": _licences(edition.passport.licence),
        "purl": _purl(edition),
        "pedigree": _pedigree(edition),
        "externalReferences": list(_references(edition)),
        "tags": list(dict.fromkeys(edition.card.tags)),
        "properties": list(_properties(edition)),
    }
    if edition.repo.kind == "model":
        told["modelCard"] = _model_card(edition, datasets)
    if edition.repo.kind == "dataset":
        told["data"] = [{"type": "dataset", "name": edition.title}]
    return _filled(told)


def _model_card(edition: Edition, datasets: list[Kin]) -> dict[str, Any]:
    parameters = {
        "task": edition.card.task,
        "datasets": [{"ref": _kin_ref(kin)} for kin in datasets],
    }
    return {"bom-ref": f"{_ref(edition)}#card", **_filled({"modelParameters": _filled(parameters)})}


def _licences(licence: Licence) -> list[dict[str, Any]]:
    """What the card declares; an identifier only if it is one of the SPDX list."""
    if not licence.said:
        return []
    named = {"id": licence.id} if licence.id else {"name": licence.named[0] if licence.named else licence.said}
    links = [each for each in licence.named if each.startswith(("https://", "http://")) and " " not in each]
    return [{"license": {**named, "acknowledgement": "declared", **({"url": links[0]} if links and not licence.id else {})}}]


def _pedigree(edition: Edition) -> dict[str, Any]:
    """What it was made of, in the words of cards: each ancestor with how, if that was said."""
    origins = [kin for kin in edition.lineage.origins if kin.key[0] == "model"]
    return _filled({"ancestors": [_ancestor(edition, kin) for kin in origins]})


def _ancestor(edition: Edition, kin: Kin) -> dict[str, Any]:
    link = edition.lineage.between(kin.key, edition.key)
    said = [_property("relation", link.how)] if link and link.how and link.how != DATASET else []
    where = _property("known", "a repo of this organisation" if kin.here else "named by a card, and not checked")
    steps = _property("steps", str(-kin.step))
    return {"type": "machine-learning-model", **_named(kin), "properties": [where, steps, *said]}


def _dataset(kin: Kin) -> dict[str, Any]:
    where = _property("known", "a repo of this organisation" if kin.here else "named by a card, and not checked")
    return {"type": "data", "bom-ref": _kin_ref(kin), **_named(kin), "data": [{"type": "dataset"}], "properties": [where]}


def _named(kin: Kin) -> dict[str, str]:
    member, _, name = kin.key[1].rpartition("/")
    return _filled({"group": member, "name": name or kin.key[1]})


def _files(edition: Edition) -> Iterator[dict[str, Any]]:
    for file in edition.files[:FILES_MAX]:
        hashes = [{"alg": "SHA-256", "content": file.sha256}]
        yield {"type": "file", "bom-ref": f"file:{file.path}", "name": file.path, "hashes": hashes,
               "properties": [_property("size", str(file.size))]}  # fmt: skip


def _references(edition: Edition) -> Iterator[dict[str, Any]]:
    page, receipt = edition.page(), edition.receipt
    if page:
        yield {"type": "website", "url": page}
        yield {"type": "distribution", "url": edition.page("files")}
    if receipt:
        yield {"type": "attestation", "url": receipt, "comment": "the commit's record with its proof (C2SP tlog-proof)"}
    if page and "README.md" in edition.tree:
        digest = edition.tree["README.md"].sha256
        kind = "model-card" if edition.repo.kind == "model" else "documentation"
        yield {"type": kind, "url": edition.link("README.md"), "hashes": [{"alg": "SHA-256", "content": digest}]}


def _properties(edition: Edition) -> Iterator[dict[str, str]]:
    yield _property("commit", edition.revision.leaf)
    yield _property("tree", edition.revision.commit.tree)
    yield _property("log", edition.revision.commit.by)
    if edition.revision.index is not None:
        yield _property("index", str(edition.revision.index))
    yield _property("files", str(len(edition.tree)))
    if edition.passport.parameters:
        yield _property("parameters", str(edition.passport.parameters.total))
    if edition.repo.kind == "model":
        reached = edition.passport.openness.reached
        yield _property("openness:mof-class", {None: "none", 1: "I", 2: "II", 3: "III"}[reached])
    if edition.card.library:
        yield _property("library", edition.card.library)
    for language in edition.card.languages:
        yield _property("language", language)
    for said in edition.passport.training:
        yield _property(f"training:{said.what}", f"{said.said} {said.unit}".strip())


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"concord:{name}", "value": value}


def _purl(edition: Edition) -> str:
    """A package URL, whose type for repos of this shape is that of the Hub; the address says that it is not the Hub."""
    where = quote(edition.address, safe="")
    return f"pkg:huggingface/{quote(edition.name)}@{edition.revision.oid}?repository_url={where}" if where else ""


def _direct(edition: Edition, kin: Kin) -> bool:
    return edition.lineage.between(kin.key, edition.key) is not None


def _ref(edition: Edition) -> str:
    return f"commit:{edition.revision.leaf}"


def _kin_ref(kin: Kin) -> str:
    return f"{kin.key[0]}:{kin.key[1]}"


def _filled(told: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: a bill says nothing rather than nothing much."""
    return {name: value for name, value in told.items() if value not in ("", [], {}, None)}
