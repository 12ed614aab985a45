"""What two example institutes publish on the first day: a dataset, and a model trained on it. Both are real, and small.

The dataset is made, when it is published, from the table of countries that Concord has, by the very script that its repo shows. The
model was trained by `name_language/train.py`; its weights, and what was measured with them, lie beside that script. Two
institutes publish them so that the lineage of a model crosses from one log to another, as it does in life.

>>> sorted(dataset())[:4]
['.gitattributes', 'README.md', 'build.py', 'countries.jsonl']
>>> model()["test.jsonl"] == dataset()["data/test.jsonl"]
True
"""

from importlib.resources import files

from concord.operations.demonstration.country_names.build import build
from concord.pillars import members
from concord.pillars.commons.attributes import ATTRIBUTES, NAME

DATASET = "country-names"
MODEL = "name-language"
_WRITTEN = ("README.md", "build.py")
_TRAINED = (
    *("README.md", "LICENSE", "technical_report.md", "train.py", "evaluate.py", "predict.py", "requirements.txt"),
    *("config.json", "tokenizer_config.json", "model.safetensors", "eval_results.json"),
)


def dataset() -> dict[str, bytes]:
    """The files of the dataset by their paths."""
    table = files(members).joinpath("countries.csv").read_text(encoding="utf-8")
    return {NAME: ATTRIBUTES} | {path: _read("country_names", path) for path in _WRITTEN} | build(table)


def model() -> dict[str, bytes]:
    """The files of the model. The card of its data, and the names that it was tested with, are the dataset's own."""
    data = dataset()
    borrowed = {"data_card.md": data["README.md"], "test.jsonl": data["data/test.jsonl"]}
    return {NAME: ATTRIBUTES} | {path: _read("name_language", path) for path in _TRAINED} | borrowed


def _read(folder: str, path: str) -> bytes:
    return files(__package__).joinpath(folder, path).read_bytes()
