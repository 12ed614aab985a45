"""The schema in the footer of a Parquet file. Nothing else of the file is read, and of the footer nothing behind the schema.

The footer is a `FileMetaData` (parquet.thrift of apache/parquet-format) in Thrift's compact protocol: 1 version, 2 the schema as a
list of `SchemaElement` in depth-first order, of which each has 1 type, 4 name, 5 how many children. Anybody can write one, so every
length is held against what is left, and no value is smaller than a byte.

>>> leaf = b"\\x15\\x0c" + b"\\x38\\x04word" + b"\\x00"
>>> root = b"\\x48\\x06schema" + b"\\x15\\x02" + b"\\x00"
>>> schema(b"\\x15\\x04" + b"\\x19\\x2c" + root + leaf)
[('word', 'Text')]
"""

from typing import Any

from concord.errors import MalformedError

HEAD_MAX = 256 << 10  # bytes of the footer that are read: the schema stands at its beginning
ELEMENTS_MAX = 5_000
DEPTH_MAX = 16
_TYPES = {0: "Boolean", 1: "Integer", 2: "Integer", 4: "Float", 5: "Float", 6: "Text", 7: "Text"}
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)  # of 16, 32 and 64 bits
_SCHEMA, _TYPE, _NAME, _CHILDREN = 2, 1, 4, 5


def schema(footer: bytes) -> list[tuple[str, str]]:
    """The columns at the top, by name and type; one that has columns inside is left out. MalformedError if there is no schema."""
    elements = _Compact(footer).field(_SCHEMA)
    if not isinstance(elements, list) or not elements or not all(isinstance(each, dict) for each in elements):
        raise MalformedError("a Parquet footer without a schema")
    found, at = [], 1
    while at < len(elements):
        element = elements[at]
        if not element.get(_CHILDREN) and isinstance(element.get(_NAME), bytes) and element.get(_TYPE) in _TYPES:
            found.append((element[_NAME].decode(errors="replace"), _TYPES[element[_TYPE]]))
        at = _past(elements, at)
    return found


def _past(elements: list[dict[int, Any]], at: int) -> int:
    """Where the element after this one and all inside it is."""
    left = 1
    while left and at < len(elements):
        children = elements[at].get(_CHILDREN, 0)
        left += (children if isinstance(children, int) and 0 <= children <= ELEMENTS_MAX else 0) - 1
        at += 1
    return at


class _Compact:
    """Thrift's compact protocol, read from the front."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def field(self, wanted: int) -> Any:
        """One field of the struct that begins here; what stands before it is read over. None if there is none."""
        number = 0
        while (kind := self._byte()) != 0:
            number = number + (kind >> 4) if kind >> 4 else self._zigzag()
            value = self._value(kind & 15, 0)
            if number == wanted:
                return value
        return None

    def _value(self, kind: int, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise MalformedError("a Parquet footer that is nested too deep")
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in _INTEGERS:
            return self._zigzag()
        if kind in (_BYTE, _DOUBLE, _BINARY):
            return self._take({_BYTE: 1, _DOUBLE: 8}.get(kind) or self._varint())
        return self._nested(kind, depth)

    def _nested(self, kind: int, depth: int) -> Any:
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _STRUCT:
            return self._struct(depth)
        raise MalformedError(f"a Parquet footer with a value of the unknown kind {kind}")

    def _struct(self, depth: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        number = 0
        while (kind := self._byte()) != 0:
            number = number + (kind >> 4) if kind >> 4 else self._zigzag()
            found[number] = self._value(kind & 15, depth + 1)
        return found

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._varint()
        if count > ELEMENTS_MAX:
            raise MalformedError(f"a Parquet footer with a list of more than {ELEMENTS_MAX}")
        of = head & 15 if head & 15 not in (_TRUE, _FALSE) else _BYTE  # in a list, a truth value takes a byte
        return [self._value(of, depth + 1) for _ in range(count)]

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise MalformedError("a Parquet footer with a number that does not end")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        piece = self._raw[self._at : self._at + count]
        if len(piece) < count:
            raise MalformedError("a Parquet footer that is cut off")
        self._at += count
        return piece
