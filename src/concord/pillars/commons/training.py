"""What a publisher says of the training of a model: compute, time, energy, emissions, hardware. Nobody here has checked any of it.

Two published conventions are read, and nothing is guessed from others:

1. `co2_eq_emissions` in the front matter of README.md (Hub documentation, "Displaying carbon emissions for your model"):
   `emissions` in grams of CO2 equivalent, `source`, `training_type`, `geographical_location`, `hardware_used`; and what Sentence
   Transformers writes there besides, from CodeCarbon: `energy_consumed` in kWh, `hours_used`.
2. The results that the Trainer of Transformers leaves beside the weights: `total_flos`, floating-point operations, and
   `train_runtime` in seconds.

A number stays in the words that it was said in, so that none of its digits is added or lost. What is no number stands as words.

>>> front = {"co2_eq_emissions": {"emissions": "0.10", "hardware_used": "1 x a GPU", "on_cloud": "false"}}
>>> [(each.what, each.said, each.unit, each.where) for each in stated(front, {})]
[('emissions', '0.10', 'g CO2e', 'README.md'), ('hardware', '1 x a GPU', '', 'README.md')]
>>> stated({}, {"train_results.json": b'{"total_flos": 5.4e18}'})
[Stated(what='compute', said='5.4e18', unit='FLOP', where='train_results.json')]
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

README = "README.md"
RESULTS = ("train_results.json", "all_results.json", "trainer_state.json")  # the first that says it counts
RESULTS_MAX = 4 << 20  # bytes: a state lists every step that was logged
WORDS_MAX = 200
_EMISSIONS = "co2_eq_emissions"
_NUMBER = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?\Z")
_CARD = (
    ("energy_consumed", "energy", "kWh"),
    ("emissions", "emissions", "g CO2e"),
    ("hours_used", "time", "h"),
    ("hardware_used", "hardware", ""),
    ("geographical_location", "place", ""),
    ("training_type", "kind of training", ""),
    ("source", "source", ""),
)
_TRAINER = (("total_flos", "compute", "FLOP"), ("train_runtime", "time", "s"))


@dataclass(frozen=True)
class Stated:
    """One thing that was said: `said` word for word, `unit` as the convention has it ("" for words), `where` the file."""

    what: str
    said: str
    unit: str
    where: str


def stated(front: Mapping[str, Any], results: Mapping[str, bytes]) -> list[Stated]:
    """All that is said, compute first. `front`: front matter with numbers as words; `results`: the files by path."""
    return [*_of_results(results), *_of_card(front)]


def _of_card(front: Mapping[str, Any]) -> Iterator[Stated]:
    said = front.get(_EMISSIONS)
    told = said if isinstance(said, dict) else {"emissions": said}
    for name, what, unit in _CARD:
        words = _words(told.get(name))
        if words:
            yield Stated(what, words, unit if _NUMBER.match(words) else "", README)


def _of_results(results: Mapping[str, bytes]) -> Iterator[Stated]:
    read = [(path, _object(results[path])) for path in RESULTS if path in results]
    for name, what, unit in _TRAINER:
        for path, told in read:
            words = _words(told.get(name))
            if _NUMBER.match(words):
                yield Stated(what, words, unit, path)
                break


def _object(raw: bytes) -> dict[str, Any]:
    """A JSON object with its numbers as words; empty if it is none."""
    try:
        found = json.loads(raw, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _words(value: Any) -> str:
    words = " ".join(value.split()) if isinstance(value, str) else ""
    return words if len(words) <= WORDS_MAX and words.isprintable() else ""
