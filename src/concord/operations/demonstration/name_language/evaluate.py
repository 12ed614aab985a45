"""Measures a model of this repo: python evaluate.py DATASET MODEL, which prints JSON.

DATASET is a folder with the files of the dataset example-id/country-names. A name is right if the language that the model puts
first is one in which the country is called so; names that several languages share count once. Nothing of the test countries was
seen in training. Russian, Chinese and Arabic can be told by their letters alone, so the names in Latin letters are counted
besides. The baseline is naive Bayes on the characters of a name, one to three at a time, taught with the same names.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

LANGUAGES = ("ar", "zh", "en", "fr", "ru", "es")
LATIN_END = 0x250  # code point after the Latin letters that the names use
SPREAD = 0.1  # of the baseline: what is added to each count
BATCH = 64

Known = Mapping[str, set[str]]
Guess = Callable[[list[str]], list[str]]


def names(path: Path) -> dict[str, set[str]]:
    """The names of a file of the dataset, each with the languages in which it is one."""
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["name"], set()).add(row["language"])
    return found


def is_latin(name: str) -> bool:
    """Whether a name is in Latin letters."""
    return all(ord(each) < LATIN_END or not each.isalpha() for each in name)


def right(known: Known, guess: Guess) -> dict[str, int]:
    """How many names are told rightly, and of how many."""
    asked = sorted(known)
    said = guess(asked)
    hits = [name for name, language in zip(asked, said, strict=True) if language in known[name]]
    return {
        "names": len(asked),
        "right": len(hits),
        "latin_names": sum(map(is_latin, asked)),
        "latin_right": sum(map(is_latin, hits)),
    }


def pieces(name: str) -> Iterable[str]:
    """The characters of a name, one to three at a time, with its ends."""
    text = f" {name.lower()} "
    return (text[start : start + length] for length in (1, 2, 3) for start in range(len(text) - length + 1))


def baseline(taught: Known) -> Guess:
    """Naive Bayes."""
    counts: dict[str, Counter[str]] = {each: Counter() for each in LANGUAGES}
    for name, spoken in taught.items():
        for language in spoken:
            counts[language].update(pieces(name))
    size = len({piece for each in counts.values() for piece in each})
    totals = {each: math.log(counts[each].total() + SPREAD * size) for each in LANGUAGES}

    def score(name: str, language: str) -> float:
        return sum(math.log(counts[language][piece] + SPREAD) - totals[language] for piece in pieces(name))

    return lambda asked: [max(LANGUAGES, key=lambda each: score(name, each)) for name in asked]


def of_model(folder: Path) -> Guess:
    """The model in a folder."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(1)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def guess(asked: list[str]) -> list[str]:
        read = tokenizer(asked, padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            first = model(**read).logits.argmax(-1).tolist()
        return [model.config.id2label[number] for number in first]

    return lambda asked: [each for start in range(0, len(asked), BATCH) for each in guess(asked[start : start + BATCH])]


def measured(data: Path, guess: Guess) -> dict[str, dict[str, int]]:
    """How a guess fares on the countries that were held out."""
    return {split: right(names(data / f"{split}.jsonl"), guess) for split in ("validation", "test")}


def main(dataset: str, model: str) -> None:
    """Measure, and print what was found."""
    data = Path(dataset, "data")
    found = {"model": measured(data, of_model(Path(model))), "baseline": measured(data, baseline(names(data / "train.jsonl")))}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
