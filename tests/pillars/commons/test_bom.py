"""Bills of materials, held against the schema of CycloneDX 1.6."""

import json
from importlib.resources import files

import pytest
from exported import README, edition
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft7Validator, Registry, ValidationError

from concord.pillars.commons.bom import FILES_MAX, bom
from concord.pillars.commons.edition import Edition
from concord.testing.repos import HOSTILE_PATHS, VECTORS
from concord.testing.repos import safetensors as weights

WHOLE = {"README.md": README.encode(), "model.safetensors": weights({"a": [2, 3]}), "train.py": b"1\n"}
SCHEMAS = {name: json.loads(files("cyclonedx.schema._res").joinpath(f"{name}.SNAPSHOT.schema.json").read_bytes())
           for name in ("bom-1.6", "spdx", "jsf-0.82")}  # fmt: skip
REGISTRY = Registry(
    [(f"http://cyclonedx.org/schema/{name}.{end}", told)
     for name, told in SCHEMAS.items() for end in ("schema.json", "SNAPSHOT.schema.json")]
)  # fmt: skip
VALIDATOR = Draft7Validator(SCHEMAS["bom-1.6"], registry=REGISTRY, validate_formats=True)


def checked(of: Edition) -> dict:  # type: ignore[type-arg]
    """The bill, which is good by the schema."""
    told = json.loads(json.dumps(bom(of, "0.1.0")))
    VALIDATOR.validate(told)
    return told  # type: ignore[no-any-return]


def test_the_schema_would_notice() -> None:
    told = bom(edition(WHOLE), "1")
    told["metadata"]["component"]["licenses"] = [{"license": {"id": "No-Such-Licence"}}]
    with pytest.raises(ValidationError):
        VALIDATOR.validate(told)


def test_a_model_has_everything_that_was_said_of_it() -> None:
    told = checked(edition(WHOLE))
    model = told["metadata"]["component"]
    assert (model["type"], model["group"], model["name"], model["version"]) == ("machine-learning-model", "ke", "words", "ab" * 20)
    assert model["licenses"] == [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}]
    assert model["modelCard"]["modelParameters"]["task"] == "automatic-speech-recognition"
    properties = {each["name"]: each["value"] for each in model["properties"]}
    assert properties["concord:parameters"] == "6" and properties["concord:training:emissions"] == "0.50 g CO2e"
    references = {each["type"]: each["url"] for each in model["externalReferences"]}
    assert references["attestation"] == "https://concord.example/api/v1/records/ke/7/proof"


def test_what_it_was_made_of_is_its_pedigree_and_datasets_are_components() -> None:
    told = checked(edition(WHOLE))
    model = told["metadata"]["component"]
    ancestors = {(each.get("group"), each["name"]): each["properties"] for each in model["pedigree"]["ancestors"]}
    assert set(ancestors) == {("br", "base"), ("elsewhere", "large"), ("older", "one")}
    assert {"name": "concord:relation", "value": "finetune"} in ancestors["elsewhere", "large"]
    assert {"name": "concord:known", "value": "named by a card, and not checked"} in ancestors["older", "one"]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": "dataset:id/corpus"}]
    refs = [each["bom-ref"] for each in told["components"]]
    assert len(set(refs)) == len(refs) and set(told["dependencies"][0]["dependsOn"]) <= set(refs)


def test_every_file_stands_there_with_its_digest() -> None:
    made = edition(WHOLE)
    listed = {each["name"]: each["hashes"] for each in checked(made)["components"] if each["type"] == "file"}
    assert listed == {path: [{"alg": "SHA-256", "content": file.sha256}] for path, file in made.tree.items()}


def test_the_same_revision_gives_the_same_bill_and_another_another_number() -> None:
    assert bom(edition(WHOLE), "1") == bom(edition(dict(reversed(WHOLE.items()))), "1")
    serial = bom(edition(WHOLE), "1")["serialNumber"]
    assert serial == "urn:uuid:" + serial.removeprefix("urn:uuid:") and serial[23] == "5", "of version 5"


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_datasets_and_code_have_bills_without_a_model_card(kind: str) -> None:
    component = checked(edition(WHOLE, kind))["metadata"]["component"]
    assert component["type"] == {"dataset": "data", "space": "application"}[kind] and "modelCard" not in component
    assert not any(each["name"] == "concord:openness:mof-class" for each in component["properties"])


def test_without_an_address_or_a_log_there_are_no_links() -> None:
    text = json.dumps(checked(edition(WHOLE, address="", index=None)))
    assert "https://concord.example" not in text and "pkg:" not in text and "attestation" not in text


@pytest.mark.parametrize(
    ("front", "licenses"),
    [
        ("license: other\nlicense_name: ours\nlicense_link: https://example.org/l", {"name": "ours", "url": "https://example.org/l"}),
        ("license: llama3", {"name": "llama3"}), ("license: other\nlicense_link: 'javascript:x'", {"name": "javascript:x"}),
    ],
)  # fmt: skip
def test_a_licence_without_an_identifier_is_named(front: str, licenses: dict[str, str]) -> None:
    told = checked(edition({"README.md": f"---\n{front}\n---\n".encode()}))["metadata"]["component"]["licenses"]
    assert told == [{"license": licenses | {"acknowledgement": "declared"}}]


def test_attacks_are_words() -> None:
    front = json.dumps({"license": "<b>", "tags": [each[:90] for each in VECTORS if each.isprintable()], "base_model": "../x y\"'"})
    checked(edition(dict.fromkeys(HOSTILE_PATHS, b"x") | {"README.md": f"---\n{front}\n---\n".encode()}))


@given(st.dictionaries(st.sampled_from(["license", "tags", "datasets", "base_model", "language"]), st.text(max_size=20)))
def test_whatever_a_card_says_the_bill_is_good(front: dict[str, str]) -> None:
    checked(edition({"README.md": f"---\n{json.dumps(front)}\n---\n".encode()}))


def test_many_files_are_cut_and_counted() -> None:
    told = bom(edition({f"{number}": b"" for number in range(FILES_MAX + 1)}), "1")
    assert len(told["components"]) == FILES_MAX
    assert {"name": "concord:files", "value": str(FILES_MAX + 1)} in told["metadata"]["component"]["properties"]
