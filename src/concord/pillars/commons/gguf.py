"""The header of a GGUF file: which tensors it has, and what it says of its architecture. Nothing of the weights is loaded.

The format (ggml-org/ggml, docs/gguf.md, versions 2 and 3), in little-endian numbers, or, from version 3 on, in big-endian ones:

1. `GGUF`, the version (32 bits), how many tensors there are, and how many pairs (64 bits each).
2. The pairs: a key, the type of its value (32 bits), and the value. A text is its length (64 bits) and its bytes; an array is the
   type of its elements, how many there are (64 bits), and the elements, which may be arrays.
3. The tensors: a name, how many sides it has (32 bits), the sides (64 bits each), its type (32 bits), where it begins (64 bits).

>>> pair = _text("general.architecture") + pack("<I", 8) + _text("llama")
>>> tensor = _text("token_embd.weight") + pack("<IQQIQ", 2, 32, 4, 2, 0)
>>> whole = b"GGUF" + pack("<IQQ", 3, 1, 1) + pair + tensor + bytes(100)
>>> found = header(len(whole), lambda start, stop: whole[start:stop])
>>> found.architecture, found.parameters, found.by_type
('llama', 128, {'Q4_0': 128})

Anybody can write one, so every length is held against what is left of the file. A tokenizer has hundreds of thousands of words:
they are stepped over, and of the pairs only those are kept that are asked for below.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from struct import Struct, pack

from concord.errors import MalformedError

HEADER_MAX = 32 << 20  # bytes: more than the longest tokenizer that is in use
STEP = 1 << 20  # bytes that are read at once
PAIRS_MAX = 10_000
TENSORS_MAX = 50_000
SIDES_MAX = 8  # of a tensor: four are in use
NAME_MAX = 1_000  # bytes of the name of a tensor: 64 are in use
KEY_MAX = 65_535  # bytes, as the format has it
TEXT_MAX = 64 << 10  # bytes of a text that is kept
TEXTS_MAX = 2_000_000  # of one array: the longest tokenizers have some 800,000 words and merges
NESTED_MAX = 10_000  # arrays in arrays, of a whole header
ARCHITECTURE, NAME, CHAT = "general.architecture", "general.name", "tokenizer.chat_template"
_CONTEXT = ".context_length"
_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}  # types of values, for struct
_LEAST = 8  # numbers that a byte holds at most: no type spends less than a bit on one
# The types of tensors. Those that no number stands for were taken out of the format.
TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
    13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
    22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor, without its values."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class Gguf:
    """What a header says. `metadata` has the pairs that are kept, as text; a context length of 0 is none."""

    tensors: list[Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    context_length: int = 0

    @property
    def architecture(self) -> str:
        """What the weights are of, such as `llama`; "" if it is not said."""
        return self.metadata.get(ARCHITECTURE, "")

    @property
    def parameters(self) -> int:
        """How many numbers there are in all."""
        return sum(each.parameters for each in self.tensors)

    @property
    def by_type(self) -> dict[str, int]:
        """How many of each type."""
        found: dict[str, int] = {}
        for each in self.tensors:
            found[each.dtype] = found.get(each.dtype, 0) + each.parameters
        return found


def header(size: int, read: Callable[[int, int], bytes]) -> Gguf:
    """The header of a file of `size` bytes, of which `read(start, stop)` gives some. MalformedError if it has none."""
    head = _Head(size, read)
    if head.take(4) != _MAGIC:
        raise MalformedError("not a GGUF file")
    _version(head)
    tensors, pairs = head.number("Q"), head.number("Q")
    if tensors > TENSORS_MAX or pairs > PAIRS_MAX:
        raise MalformedError(
            f"a GGUF file of {tensors} tensors and {pairs} pairs, of which at most {TENSORS_MAX} and {PAIRS_MAX} are read"
        )
    found = dict(_pair(head) for _ in range(pairs))
    kept = {key: value for key, value in found.items() if isinstance(value, str)}
    length = found.get(f"{kept.get(ARCHITECTURE, '')}{_CONTEXT}")
    made = Gguf([_tensor(head, size) for _ in range(tensors)], kept, length if isinstance(length, int) and length > 0 else 0)
    if made.parameters > _LEAST * size:
        raise MalformedError(f"a GGUF file of {size} bytes that claims {made.parameters} parameters")
    return made


class _Head:
    """The beginning of a file, read in steps and never twice as a whole."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._most, self._read = min(size, HEADER_MAX), read
        self._from, self._raw = 0, b""
        self.at, self.order = 0, "<"
        self.nested = 0  # arrays in arrays, so far

    def take(self, count: int) -> bytes:
        """The next bytes. MalformedError if there are no so many."""
        self._reach(count)
        start = self.at - self._from
        self.at += count
        return self._raw[start : start + count]

    def skip(self, count: int) -> None:
        """Step over bytes, which need not be read."""
        if count > self._most - self.at:
            raise _ended()
        self.at += count

    def number(self, how: str) -> int:
        """The next number, spelled as `struct` calls it."""
        spelled = Struct(self.order + how)
        found: int = spelled.unpack(self.take(spelled.size))[0]
        return found

    def text(self, most: int) -> str | None:
        """The next text, or None, stepped over, if it is longer than `most` bytes. What is no UTF-8 is marked."""
        length = self.number("Q")
        if length > most:
            self.skip(length)
            return None
        return self.take(length).decode(errors="replace")

    def skip_texts(self, count: int) -> None:
        """Step over so many texts: without a call for each, because there are hundreds of thousands."""
        length = Struct(self.order + "Q").unpack_from
        while count:
            self._reach(8)
            at, raw, end = self.at - self._from, self._raw, len(self._raw) - 8
            while count and at <= end:
                at += 8 + length(raw, at)[0]
                count -= 1
            self.skip(at + self._from - self.at)

    def _reach(self, count: int) -> None:
        """Have the next `count` bytes at hand."""
        if count > self._most - self.at:
            raise _ended()
        if not self._from <= self.at <= self.at + count <= self._from + len(self._raw):
            self._raw = self._read(self.at, min(self.at + max(count, STEP), self._most))
            self._from = self.at
            if len(self._raw) < count:
                raise _ended()


def _ended() -> MalformedError:
    return MalformedError("a GGUF file whose header does not end in it, or is longer than can be read here")


def _version(head: _Head) -> None:
    raw = head.take(4)
    if raw == pack(">I", 3):
        head.order = ">"
    elif raw not in (pack("<I", 2), pack("<I", 3)):
        raise MalformedError("a GGUF file of another version than 2 and 3")


def _pair(head: _Head) -> tuple[str, str | float | None]:
    """A key and what is kept of its value: a text or a number, or None."""
    key, kind = head.text(KEY_MAX), head.number("I")
    if key is None:
        raise MalformedError("a GGUF file with a key that is longer than the format allows")
    if kind == _STRING:
        return key, head.text(TEXT_MAX if key in (ARCHITECTURE, NAME, CHAT) else 0) or None
    if kind in _NUMBERS:
        return key, head.number(_NUMBERS[kind])
    if kind != _ARRAY:
        raise MalformedError(f"a GGUF file with a value of the type {kind}, which the format has not")
    left = 1
    while left:
        left += _skip(head) - 1
    return key, None


def _skip(head: _Head) -> int:
    """Step over an array; or, if it has arrays, over what stands before them, and say how many these are.

    An empty one has 12 bytes, so a header has room for millions: they are counted over all of it.
    """
    kind, count = head.number("I"), head.number("Q")
    if kind in _NUMBERS:
        head.skip(count * Struct(head.order + _NUMBERS[kind]).size)
    elif kind == _STRING and count <= TEXTS_MAX:
        head.skip_texts(count)
    elif kind == _ARRAY and head.nested + count <= NESTED_MAX:
        head.nested += count
        return count
    else:
        raise MalformedError("a GGUF file with an array that is longer than can be read here, or of a type that the format has not")
    return 0


def _tensor(head: _Head, size: int) -> Tensor:
    name, sides = head.text(NAME_MAX), head.number("I")
    if name is None or sides > SIDES_MAX:
        raise MalformedError("a GGUF file with a tensor of a name or a shape that no reader takes")
    shape = tuple(head.number("Q") for _ in range(sides))
    kind, start = head.number("I"), head.number("Q")
    if start > size or prod(shape) > _LEAST * size:
        raise MalformedError("a GGUF file with tensors that lie beyond its end")
    return Tensor(name, TYPES.get(kind, f"type {kind}"), shape)


def _text(value: str) -> bytes:
    return pack("<Q", len(value.encode())) + value.encode()
