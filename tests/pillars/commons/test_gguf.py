"""Headers of GGUF files: what the versions have in common is read, and whatever else a file claims is refused, in little time."""

from collections.abc import Callable
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MalformedError
from concord.pillars.commons import gguf as module
from concord.pillars.commons.gguf import Gguf, header
from concord.pillars.commons.passport import Parameters, parameters
from concord.pillars.commons.tree import File
from concord.testing.repos import gguf, gguf_pair, gguf_text

SHAPES = {"token_embd.weight": [8, 4], "output.weight": [4]}
LLAMA = (gguf_pair("general.architecture", "llama"), gguf_pair("llama.context_length", 4096))
WORDS = gguf_text("tokenizer.ggml.tokens") + pack("<IIQ", 9, 8, 3) + gguf_text("a") + gguf_text("b") + gguf_text("ç")
NUMBERS = gguf_text("tokenizer.ggml.scores") + pack("<IIQ", 9, 6, 2) + bytes(8)
NESTED = gguf_text("odd") + pack("<IIQ", 9, 9, 2) + (pack("<IQ", 0, 3) + bytes(3)) * 2


def read(whole: bytes) -> Gguf:
    return header(len(whole), lambda start, stop: whole[start:stop])


@pytest.mark.parametrize("step", [1 << 20, 1])
@pytest.mark.parametrize(("version", "order"), [(2, "<"), (3, "<"), (3, ">")])
def test_what_a_header_says_is_read(version: int, order: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP", step)
    pairs = [gguf_pair("general.architecture", "llama", order), gguf_pair("llama.context_length", 4096, order)]
    found = read(gguf(SHAPES, 2, *pairs, *([WORDS, NUMBERS, NESTED] if order == "<" else []), version=version, order=order))
    assert (found.architecture, found.context_length, found.parameters, found.by_type) == ("llama", 4096, 36, {"Q4_0": 36})
    assert [(each.name, each.shape) for each in found.tensors] == [("token_embd.weight", (8, 4)), ("output.weight", (4,))]


def test_what_is_not_said_is_not_known() -> None:
    found = read(gguf({}))
    assert (found.architecture, found.context_length, found.parameters, found.metadata) == ("", 0, 0, {})
    assert read(gguf(SHAPES, 77)).by_type == {"type 77": 36}
    long = gguf_pair("tokenizer.chat_template", "x" * (module.TEXT_MAX + 1))
    assert read(gguf(SHAPES, 0, long)).metadata == {}


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        b"GGUF",
        b"gguf" + gguf(SHAPES)[4:],
        gguf(SHAPES, version=1),
        gguf(SHAPES, version=4),
        gguf(SHAPES)[:-200],
        b"GGUF" + pack("<IQQ", 3, 2**63, 0),
        b"GGUF" + pack("<IQQ", 3, 0, 2**63),
        b"GGUF" + pack("<IQQ", 3, 0, 1) + pack("<Q", 2**63),
        gguf(SHAPES, 0, gguf_text("x" * 70_000) + pack("<II", 4, 1)),
        gguf(SHAPES, 0, gguf_text("a") + pack("<I", 13)),
        gguf(SHAPES, 0, gguf_text("a") + pack("<IIQ", 9, 8, 2**40)),
        gguf(SHAPES, 0, gguf_text("a") + pack("<IIQ", 9, 4, 2**40)),
        gguf(SHAPES, 0, gguf_text("a") + pack("<IIQ", 9, 9, module.NESTED_MAX + 1)),
        gguf(SHAPES, 0, gguf_text("a") + pack("<I", 9) + pack("<IQ", 9, 1) * (module.NESTED_MAX + 2)),
        gguf(SHAPES, 0, gguf_text("a") + pack("<IIQ", 9, 13, 1)),
        gguf(SHAPES, 0, *[gguf_text(f"{n}") + pack("<IIQ", 9, 9, 1_000) + pack("<IQ", 0, 0) * 1_000 for n in range(11)]),
        gguf({"x" * 2000: [1]}),
        gguf({"x": [1] * 9}),
        b"GGUF" + pack("<IQQ", 3, 1, 0) + gguf_text("x") + pack("<IQIQ", 1, 2**62, 0, 0),
        b"GGUF" + pack("<IQQ", 3, 1, 0) + gguf_text("x") + pack("<IQIQ", 1, 1, 0, 2**62),
    ],
)
def test_what_cannot_be_is_refused(whole: bytes) -> None:
    with pytest.raises(MalformedError):
        read(whole)


def test_many_small_claims_are_not_more_than_the_file() -> None:
    tensor = gguf_text("x") + pack("<IQIQ", 1, 8 * 2000, 0, 0)
    with pytest.raises(MalformedError, match="claims"):
        read((b"GGUF" + pack("<IQQ", 3, 9, 0) + tensor * 9).ljust(2000, b"\0"))


@given(st.binary(max_size=80), st.integers(0, 200))
def test_whatever_follows_is_read_or_refused(tail: bytes, cut: int) -> None:
    with suppress(MalformedError):
        read(gguf(SHAPES, 0, *LLAMA, WORDS)[:cut] + tail)


def of(contents: dict[str, bytes | None]) -> tuple[dict[str, File], Callable[[File, int, int], bytes | None]]:
    tree = {path: File(path=path, size=len(content or b"x"), sha256="9f" * 32) for path, content in contents.items()}

    def part(file: File, start: int, stop: int) -> bytes | None:
        content = contents[file.path]
        return None if content is None else content[start:stop]

    return tree, part


def test_parameters_are_counted_in_all_parts_and_what_is_elsewhere_is_told() -> None:
    first, second = gguf(SHAPES, 2, *LLAMA), gguf({"more": [10]}, 0)
    names = ("a-00001-of-00002.gguf", "a-00002-of-00002.gguf")
    tree, part = of(dict(zip(names, (first, second), strict=True)))
    assert parameters(tree, part) == Parameters(46, {"Q4_0": 36, "F32": 10}, 0)
    tree, part = of(dict(zip(names, (first, None), strict=True)))
    assert parameters(tree, part) == Parameters(36, {"Q4_0": 36}, 1)
    tree, part = of(dict(zip(names, (first, b"broken"), strict=True)))
    assert parameters(tree, part) == Parameters(36, {"Q4_0": 36}, 1)
