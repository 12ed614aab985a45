"""The card of a repo: what the front matter of its README.md says, in YAML between two lines of three hyphens.

>>> found = card(b"---\\nlicense: apache-2.0\\nlanguage:\\n- sw\\n- en\\ntags: [speech]\\n---\\n# Words\\n")
>>> found.license, found.languages, found.tags, found.base
('apache-2.0', ('sw', 'en'), ('speech',), ())
>>> matter(b"No front matter")
{}

What clients narrow lists of datasets and spaces by, besides, becomes tags, as on the Hub (`task_categories:translation`).

>>> card(b"---\\ntask_categories: [translation]\\nsize_categories: 1K<n<10K\\n---\\n").tags
('task_categories:translation', 'size_categories:1K<n<10K')

Anybody can write one, so it is read with a limit, without YAML's references (a file of a kilobyte could unfold to gigabytes),
and without its types beyond JSON's. What is not as expected is left out of the card, and named by `faults`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
import yaml

from concord.errors import MalformedError
from concord.ledger.record import Language
from concord.pillars.commons.records import Card, Relation, Tag

_WHY = ("one line of 1 to 100 characters that can be printed", "a language is a tag such as sw, zh-Hans or pt-BR")  # languages last
MATTER_MAX = 200_000  # bytes of front matter
DEPTH_MAX = 20
_FENCE = b"---"
_RELATION = "base_model_relation"
_LISTS = (("languages", "language", 200), ("tags", "tags", 100), ("base", "base_model", 20), ("datasets", "datasets", 100))
# What becomes tags with the name before them: of datasets, and of spaces (`models`, `sdk`).
CLAIMS = (
    *("task_categories", "task_ids", "size_categories", "multilinguality", "language_creators", "annotations_creators"),
    *("source_datasets", "models", "sdk"),
)
_TAGS_MAX = 100
_LINES = (
    ("license", "license", 100),
    ("task", "pipeline_tag", 100),
    ("library", "library_name", 100),
    ("title", "pretty_name", 300),
)


def matter(readme: bytes) -> dict[str, Any]:
    """The front matter of a README.md, or nothing if it has none. MalformedError says why it cannot be read."""
    return _read(readme, yaml.SafeLoader)


def _read(readme: bytes, loader: type[yaml.SafeLoader | yaml.BaseLoader]) -> dict[str, Any]:
    raw = _between_fences(readme)
    if raw is None:
        return {}
    if len(raw) > MATTER_MAX:
        raise MalformedError(f"front matter of {len(raw)} bytes, over {MATTER_MAX}")
    try:
        _check_shape(raw)
        read = yaml.load(raw, Loader=loader)  # noqa: S506  neither loader makes anything but plain values
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise MalformedError(f"front matter that is no YAML: {' '.join(str(e).split())[:200]}") from e
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise MalformedError("front matter that is no list of names and values")
    return {str(name): value for name, value in read.items()}


def card(readme: bytes) -> Card:
    """What lists and searches use of a README.md; what is malformed in it is left out."""
    try:
        said = matter(readme)
    except MalformedError:
        return Card()
    found: dict[str, Any] = {field: _line(said.get(name), most) for field, name, most in _LINES}
    found["relation"] = said.get(_RELATION) if _is_relation(said.get(_RELATION)) else ""
    found |= {field: tuple(_entries(said.get(name), field))[:most] for field, name, most in _LISTS}
    found["tags"] = (*found["tags"], *_claims(said))[:_TAGS_MAX]
    found["task"] = found["task"] or next(_entries(said.get(CLAIMS[0]), "tags"), "")
    return Card(**found)


def body(readme: bytes) -> bytes:
    """A README.md without its front matter.

    >>> body(b"---\\nlicense: mit\\n---\\n# Words\\n")
    b'# Words\\n'
    """
    if _between_fences(readme) is None:
        return readme
    _, _, rest = readme.replace(b"\r\n", b"\n").partition(b"\n---")
    return rest.partition(b"\n")[2]


def faults(said: Mapping[str, Any]) -> list[str]:
    """What is wrong with front matter that could be read, a sentence each: what of it the card leaves out, and why."""
    lists = (*(name for _, name, _ in _LISTS), *CLAIMS)
    found = [f"{name} is a list or a word of at most 100 characters" for name in lists if not _is_list(said.get(name))]
    found += [f"{name} is one line of at most {most} characters" for _, name, most in _LINES if _lost(said.get(name), most)]
    for field, name, most in _LISTS:
        given = _given(said.get(name))
        left = [each for each in given if not list(_entries([each], field))]
        found += [f"{name}: {_quoted(left)} left out: {_WHY[field == 'languages']}"] if left else []
        found += [f"{name} has {len(given)} entries, and {most} are read"] if len(given) > most else []
    for name in CLAIMS:
        left = [each for each in _given(said.get(name)) if not list(_entries([f"{name}:{each}"], "tags"))]
        found += [f"{name}: {_quoted(left)} left out: {_WHY[0]}"] if left else []
    if not _is_relation(said.get(_RELATION, "")):
        found.append(f"{_RELATION} is one of {', '.join(get_args(Relation)[1:])}")
    return found


def words(readme: bytes) -> dict[str, Any]:
    """The front matter with every number as its words were: 0.10 is "0.10". The errors are those of `matter`.

    >>> words(b"---\\nco2_eq_emissions:\\n  emissions: 0.10\\n---\\n")
    {'co2_eq_emissions': {'emissions': '0.10'}}
    """
    return _read(readme, yaml.BaseLoader)


def _check_shape(raw: bytes) -> None:
    """Refuse what costs a reader of YAML more than it costs to write."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise MalformedError("front matter with a YAML reference (*name), which can unfold without end")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise MalformedError(f"front matter that is nested more than {DEPTH_MAX} deep")


def _between_fences(readme: bytes) -> bytes | None:
    text = readme.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    first, _, rest = text.partition(b"\n")
    if first.rstrip() != _FENCE:
        return None
    raw, fence, _ = (b"\n" + rest).partition(b"\n---")
    return raw if fence else None


def _line(value: Any, most: int) -> str:
    words = " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
    return words if len(words) <= most and words.isprintable() else ""


def _lost(value: Any, most: int) -> bool:
    return value not in (None, "") and not _line(value, most)


def _given(value: Any) -> list[str]:
    """What a list says; nothing if it is none, which is told already."""
    return [value] if isinstance(value, str) else list(value or ()) if _is_list(value) else []


def _quoted(entries: list[str]) -> str:
    return ", ".join(repr(each[:40]) for each in entries[:3]) + (f" and {len(entries) - 3} more" if len(entries) > 3 else "")


def _is_list(value: Any) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _is_relation(value: Any) -> bool:
    return isinstance(value, str) and value in get_args(Relation)


def _claims(said: Mapping[str, Any]) -> Iterator[str]:
    for name in CLAIMS:
        yield from _entries([f"{name}:{each}" for each in _given(said.get(name))], "tags")


def _entries(value: Any, field: str) -> Iterator[str]:
    kind = Language if field == "languages" else Tag
    for each in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
        if isinstance(each, str) and each.isprintable():
            try:
                yield msgspec.convert(each, kind)
            except msgspec.ValidationError:
                continue
