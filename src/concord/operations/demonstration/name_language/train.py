"""Trains the model of this repo, from nothing: python train.py DATASET FOLDER.

DATASET is a folder with the files of the dataset example-id/country-names; what comes of it is written to FOLDER: weights,
configuration, tokenizer. requirements.txt names the versions that the published weights were made with. One thread of an
ordinary processor suffices.

The model reads a name byte by byte (no vocabulary to choose), through one layer of a small BERT with random weights at the start.
A name that is the same in several languages is taught as belonging to each in equal parts. Names are varied while they are
taught, each time in another way: whole or a stretch of at least five letters, as they are, in capitals, or in small letters. The
weights kept are a running mean of those of all steps.
"""

import json
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, ByT5Tokenizer

LANGUAGES = ("ar", "zh", "en", "fr", "ru", "es")
SEED = 20261124
STEPS = 1500
WARM_UP = 100  # steps
BATCH = 32  # names
RATE = 2e-3
KEPT = 0.99  # how much of the mean of the weights each step keeps
LENGTH_MAX = 64  # bytes of a name, and its end; what is longer is cut
SHAPE = {
    "vocab_size": 259,  # 256 bytes, and three signs: padding, end, unknown
    "hidden_size": 96,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "max_position_embeddings": LENGTH_MAX,
    "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.2,
    "pad_token_id": 0,
    "type_vocab_size": 1,
}

Taught = tuple[str, list[float]]


def names(path: Path) -> dict[str, set[str]]:
    """The names of a file of the dataset, each with the languages in which it is one."""
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["name"], set()).add(row["language"])
    return found


def taught(known: Mapping[str, set[str]]) -> list[Taught]:
    """Each name with the weight of each language."""
    return [(name, [(each in spoken) / len(spoken) for each in LANGUAGES]) for name, spoken in known.items()]


def varied(name: str, dice: random.Random) -> str:
    """A name as it may be met: whole or a stretch of it, in letters of one size or as it is."""
    if len(name) > 5 and dice.random() < 0.5:
        length = dice.randint(5, len(name))
        start = dice.randint(0, len(name) - length)
        name = name[start : start + length]
    return dice.choice((name, name, name.upper(), name.lower()))


def batches(all_names: list[Taught], dice: random.Random) -> Iterator[list[Taught]]:
    """Batches without end, each time round in another order."""
    while True:
        order = dice.sample(all_names, len(all_names))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield [(varied(name, dice), weights) for name, weights in order[start : start + BATCH]]


def rate(step: int) -> float:
    """The part of RATE at a step: up in a line, and down to nothing."""
    return min(step / WARM_UP, 1.0) * (1 - step / STEPS)


def train(folder: Path) -> tuple[BertForSequenceClassification, ByT5Tokenizer]:
    """The model, and its tokenizer."""
    torch.manual_seed(SEED)
    dice = random.Random(SEED)
    tokenizer = ByT5Tokenizer(extra_ids=0, model_max_length=LENGTH_MAX)
    model = BertForSequenceClassification(BertConfig(**SHAPE, id2label=dict(enumerate(LANGUAGES))))
    mean = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(KEPT))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for step, batch in enumerate(batches(taught(names(folder / "data" / "train.jsonl")), dice), 1):
        read = tokenizer([name for name, _ in batch], padding=True, truncation=True, return_tensors="pt")
        said = model(**read).logits
        loss = torch.nn.functional.cross_entropy(said, torch.tensor([weights for _, weights in batch]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(model)
        if step == STEPS:
            break
    return mean.module.eval(), tokenizer


def main(dataset: str, folder: str) -> None:
    """Train, and write what came of it."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    model, tokenizer = train(Path(dataset))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
