"""The labels of a repo: what clients of the Hub call its tags, and by which they narrow lists down.

>>> card = Card(tags=("speech",), languages=("sw",), license="MIT", base=("ke/words",), relation="quantized", datasets=("id/all",))
>>> labels(card, "model", ("gguf",))[:4]
('speech', 'gguf', 'sw', 'license:mit')
>>> labels(card, "model")[3:]
('base_model:ke/words', 'base_model:quantized:ke/words', 'dataset:id/all')
>>> labels(Card(task="translation", languages=("sw",)), "dataset")
('language:sw', 'task_categories:translation')

Who asks may write them otherwise: capitals do not matter, and a language or a library has its name before it or not.

>>> sorted(spellings(card, "model"))[2:4]
['dataset:id/all', 'language:sw']
"""

from collections.abc import Iterable

from concord.pillars.commons.card import CLAIMS
from concord.pillars.commons.records import Card, Kind

_HIDDEN = ("models:", "sdk:")  # tags that carry a field of a space's card, which clients are told by itself


def labels(card: Card, kind: Kind, formats: Iterable[str] = ()) -> tuple[str, ...]:
    """The labels of a repo with this card, whose files have these formats."""
    found = [tag for tag in card.tags if kind != "space" or not tag.startswith(_HIDDEN)]
    found += formats
    found += [f"language:{each}" for each in card.languages] if kind == "dataset" else card.languages
    found += [card.library] if card.library else []
    if card.task:
        found.append(f"{CLAIMS[0]}:{card.task}" if kind == "dataset" else card.task)
    found += claimed(card, "sdk") if kind == "space" else []
    found += [f"license:{card.license.lower()}"] if card.license else []
    for name in card.base:
        found += [f"base_model:{name}", *([f"base_model:{card.relation}:{name}"] if card.relation else [])]
    found += [f"dataset:{name}" for name in card.datasets]
    return tuple(dict.fromkeys(found))


def claimed(card: Card, name: str) -> list[str]:
    """What the field `name` of a card says, which stands among its tags."""
    return [tag.removeprefix(f"{name}:") for tag in card.tags if tag.startswith(f"{name}:")]


def spellings(card: Card, kind: Kind, formats: Iterable[str] = ()) -> set[str]:
    """The ways in which the labels of a repo may be asked for, in small letters."""
    said = [
        *card.tags,
        *card.languages,
        *(f"language:{each}" for each in card.languages),
        card.library,
        f"library:{card.library}",
        card.task,
    ]
    return {each.casefold() for each in (*labels(card, kind, formats), *said)} - {"", "library:"}
