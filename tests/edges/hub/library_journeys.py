"""What people do with transformers, datasets, safetensors and pandas. Run by a Python that knows nothing of Concord:
`library_journeys.py NAME FOLDER`.

Each journey is a function of the same name; an assertion that fails, or an error, is its end. What is read is what the
demonstration publishes.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import safetensors.numpy
from datasets import Dataset, load_dataset
from huggingface_hub import HfApi, get_safetensors_metadata, hf_hub_download, snapshot_download
from transformers import AutoConfig, AutoTokenizer

DATASET = "example-id/country-names"
MODEL = "example-kz/name-language"
LANGUAGES = {"ar", "zh", "en", "fr", "ru", "es"}
api = HfApi()


def datasets_load(folder: Path) -> None:
    names = load_dataset(DATASET)
    assert {split: len(rows) for split, rows in names.items()} == {"train": 1056, "validation": 180, "test": 258}
    assert names["train"].features.keys() == {"country", "language", "name"}
    table = load_dataset(DATASET, "table", split="train")
    assert len(table) == 249
    assert set(table.column_names) == {"country", *LANGUAGES}
    namibia = next(row for row in table if row["country"] == "NA")
    assert namibia["en"] == "Namibia"
    card = api.dataset_info(DATASET).card_data
    assert (card.license, set(card.language)) == ("cc-by-4.0", LANGUAGES)


def datasets_stream(folder: Path) -> None:
    rows = load_dataset(DATASET, split="test", streaming=True)
    assert sorted({row["language"] for row in rows.take(12)}) == sorted(LANGUAGES)


def datasets_push(folder: Path) -> None:
    repo = f"{api.whoami()['name']}/pushed"
    words = {"word": ["maji", "moto"], "count": [3, 5]}
    Dataset.from_dict(words).push_to_hub(repo)
    assert load_dataset(repo, split="train").to_dict() == words


def configuration_and_tokenizer(folder: Path) -> None:
    config = AutoConfig.from_pretrained(MODEL)
    assert (config.model_type, set(config.id2label.values())) == ("bert", LANGUAGES)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    read = tokenizer("Côte d’Ivoire")["input_ids"]
    assert len(read) == len("Côte d’Ivoire".encode()) + 1
    assert max(read) < config.vocab_size
    assert tokenizer.decode(read, skip_special_tokens=True) == "Côte d’Ivoire"


def transformers_pipeline(folder: Path) -> None:
    from transformers import pipeline  # noqa: PLC0415  needs torch

    classify = pipeline("text-classification", model=MODEL)
    said = classify(["Казахстан", "肯尼亚", "البرازيل"])
    assert [each["label"] for each in said] == ["ru", "zh", "ar"]


def weights_give_the_numbers_of_the_card(folder: Path) -> None:
    import torch  # noqa: F401, PLC0415  evaluate.py needs it

    model, data = snapshot_download(MODEL), snapshot_download(DATASET, repo_type="dataset")
    sys.path.insert(0, model)
    import evaluate  # noqa: PLC0415  the very file that was published

    said = json.loads(Path(model, "eval_results.json").read_text())
    assert evaluate.measured(Path(data, "data"), evaluate.of_model(Path(model))) == said["model"]


def safetensors_read(folder: Path) -> None:
    told = get_safetensors_metadata(MODEL)
    tensors = safetensors.numpy.load_file(hf_hub_download(MODEL, "model.safetensors"))
    assert told.parameter_count == {"F32": sum(tensor.size for tensor in tensors.values())}
    assert api.model_info(MODEL).safetensors.total == told.parameter_count["F32"]
    (file,) = told.files_metadata.values()
    assert {name: tuple(one.shape) for name, one in file.tensors.items()} == {name: each.shape for name, each in tensors.items()}


def pandas_read_and_write(folder: Path) -> None:
    table = pd.read_json(f"hf://datasets/{DATASET}/countries.jsonl", lines=True)
    assert table.shape == (249, 7)
    repo = api.create_repo("frames", repo_type="dataset").repo_id
    place = f"hf://datasets/{repo}/part"
    frame = pd.DataFrame({"word": ["maji", "文"], "count": [3, 5]})
    frame.to_csv(f"{place}.csv", index=False)
    assert pd.read_csv(f"{place}.csv").equals(frame)
    frame.to_parquet(f"{place}.parquet")
    assert pd.read_parquet(f"{place}.parquet").equals(frame)
    assert pd.read_parquet(f"{place}.parquet", columns=["count"])["count"].tolist() == [3, 5]


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
