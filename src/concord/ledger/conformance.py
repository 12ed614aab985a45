"""Laws that every pillar and every storage must pass, as functions that raise AssertionError with the law that broke.

The tests of Concord run them over all pillars and storages, `concord verify` over the pillars of the running node, and
whoever adds a pillar or a storage runs them over that.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import inspect

from concord.ledger.pillar import Pillar, Role
from concord.ledger.record import NUMBER_MAX, Record, tag
from concord.ledger.storage import Storage

_NOT_ASCII = ("é", "aé", "éa")  # what a pattern of keys must not find


def pillar_laws(pillars: tuple[Pillar, ...]) -> None:
    """Names, tables, types and roles of a line of pillars."""
    seen_types: set[str] = set()
    for pillar in pillars:
        for kept in pillar.tables.tables.values():
            assert kept.name.startswith(f"{pillar.name}_"), f"table {kept.name} does not bear the name of pillar {pillar.name}"
            key = [column.name for column in kept.primary_key]
            assert key[:2] == ["origin", "index"], f"a row of {kept.name} must belong to the record that said it"
            assert not kept.foreign_keys, f"{kept.name} points into another table, which depends on the order of arrival"
        for kind in pillar.handlers:
            name = tag(kind)
            assert name.startswith(f"{pillar.name}."), f"record type {name} does not bear the name of pillar {pillar.name}"
            assert name not in seen_types, f"record type {name} stands twice"
            seen_types.add(name)
            record_laws(kind)
            assert isinstance(pillar.roles.get(kind), Role), f"nobody is named who may say {name}"


def record_laws(kind: type[Record]) -> None:
    """A record type stays within the canonical profile, and is documented."""
    name = tag(kind)
    assert (kind.__doc__ or "").strip(), f"{name} says nothing of itself"
    assert kind.SAYS, f"{name} has no sentence"
    config = kind.__struct_config__
    assert config.frozen and config.forbid_unknown_fields and config.omit_defaults, f"{name} is not frozen, strict and sparse"
    _profile(inspect.type_info(kind), name, set())


def _profile(info: inspect.Type, where: str, seen: set[type[Any]]) -> None:  # noqa: C901  one case for each kind of type
    """No float anywhere, no unbounded number, no unbounded text or list, keys in ASCII."""
    match info:
        case inspect.Metadata(type=inner):
            _profile(inner, where, seen)
        case inspect.IntType(ge=low, le=high):
            assert low is not None and high is not None, f"{where}: a number without limits"
            assert -NUMBER_MAX <= low <= high <= NUMBER_MAX, f"{where}: a number beyond 2**53 - 1"
        case inspect.StrType(max_length=most, pattern=pattern):
            assert most is not None or pattern is not None, f"{where}: text without a limit"
        case inspect.DictType(key_type=key, value_type=value, max_length=most):
            assert isinstance(_bare(key), inspect.StrType), f"{where}: keys that are not text"
            pattern = _bare(key).pattern  # type: ignore[attr-defined]
            strange = pattern is None or any(re.search(pattern, probe) for probe in _NOT_ASCII)
            assert not strange, f"{where}: keys that may be other than ASCII"
            assert most is not None, f"{where}: a mapping without a limit"
            _profile(value, where, seen)
        case inspect.VarTupleType(item_type=item, max_length=most):
            assert most is not None, f"{where}: a list without a limit"
            _profile(item, where, seen)
        case inspect.UnionType(types=types) | inspect.TupleType(item_types=types):
            for each in types:
                _profile(each, where, seen)
        case inspect.StructType(cls=kind, fields=parts):
            if kind not in seen:
                for part in parts:
                    _profile(part.type, f"{where}.{part.name}", seen | {kind})
        case inspect.EnumType() | inspect.LiteralType() | inspect.NoneType() | inspect.BoolType():
            pass
        case _:
            raise AssertionError(f"{where}: {type(info).__name__} is not in the canonical profile")


def _bare(info: inspect.Type) -> inspect.Type:
    return info.type if isinstance(info, inspect.Metadata) else info


def storage_laws(make: Callable[[], Storage]) -> None:
    """What every storage does, tried on fresh ones from `make`."""
    storage = make()
    assert storage.read("a/b") is None, "a name never written has no bytes"
    assert list(storage.names("a")) == [], "and is not listed"
    storage.write({"a/b": b"1", "a/c/d": b"22", "e": b""})
    assert storage.read("a/b") == b"1", "what was written is read"
    assert storage.read("e") == b"", "and empty bytes are not no bytes"
    storage.write({"a/b": b"3"})
    assert storage.read("a/b") == b"3", "the last writing stands"
    assert sorted(storage.names("a")) == ["a/b", "a/c/d"], "all names below a folder are listed, whole"
    storage.remove(["a/b", "never"])
    assert storage.read("a/b") is None, "what was removed is gone"
    assert storage.read("a/c/d") == b"22", "and nothing else"
    with storage.lock("a/lock"):
        storage.write({"a/b": b"4"})
    with storage.lock("a/lock"):
        assert storage.read("a/b") == b"4", "a lock can be taken again"
    assert all(first < second for first, second in pairwise(sorted(storage.names("a")))), "no name is listed twice"


def handler_laws(pillar: Pillar, records: list[tuple[Any, Any]]) -> None:
    """A handler is a pure function: the same stamp and record give the same rows, of its own pillar's tables only."""
    own = set(pillar.tables.tables.values())
    for stamp, record in records:
        handler = pillar.handlers[type(record)]
        once, twice = list(handler(stamp, record)), list(handler(stamp, record))
        assert once == twice, f"{tag(type(record))}: two readings, two results"
        for kept, names, _ in once:
            assert kept in own, f"{tag(type(record))} writes {kept.name}, a table of another pillar"
            expected = {column.name for column in kept.c} - {"origin", "index"}
            filled = f"{tag(type(record))} fills {sorted(names)} of {kept.name}, not {sorted(expected)}"
            assert sorted(names) == sorted(expected), filled


def codec_laws(encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], record: Any) -> None:
    """One record, one spelling."""
    entry = encode(record)
    assert decode(entry) == record, "what was said is what is read"
    assert encode(decode(entry)) == entry, "and it is spelled in one way"
    assert msgspec.json.decode(entry)["type"] == tag(type(record)), "which names its type"
