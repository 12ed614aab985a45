"""A record: one typed statement by one member, and its only spelling in bytes.

Every kind of statement is a frozen class with a tag such as `members.accede`. Its bytes are JSON with sorted keys and no
spaces, in a profile on which that is also RFC 8785: no floats (decimals are strings), integers within 2**53 - 1, ASCII
keys, no duplicate keys, no control character in a string but the line break, at most 65,535 bytes. The bytes are what is
logged and hashed; they are never made again from the value in order to check something. The test for admission is that
they are what we would have written:

>>> class Greeting(Record, frozen=True, tag="example.greeting"):
...     words: Line
>>> codec = Codec([Greeting])
>>> codec.encode(Greeting(by="ke.example/0", at=1790000000, words="hello"))
b'{"at":1790000000,"by":"ke.example/0","type":"example.greeting","words":"hello"}'
>>> codec.decode(b'{"at": 1790000000, "by": "ke.example/0", "type": "example.greeting", "words": "hello"}')
Traceback (most recent call last):
concord.tlog.errors.NotCanonicalError: not the canonical spelling of this record

Fields are made of the types named here (`Line`, `Text`, `Digest`, `Ref`, …), which set the profile's limits. A field of type
`Ref` names another record by its leaf hash; the view lets a record wait until those it refers to are there.
"""

import re
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from concord.errors import MalformedError, NotCanonicalError, TooLargeError, UnknownTypeError
from concord.tlog import ed25519
from concord.tlog.spelling import base64, unbase64
from concord.tlog.tile import ENTRY_SIZE_MAX

NUMBER_MAX = 2**53 - 1

_HEX_32 = r"^[0-9a-f]{64}\Z"  # not $, which lets a line break pass at the end
_REF = "a reference to another record"

Digest = Annotated[str, Meta(pattern=_HEX_32, description="SHA-256, 64 hexadecimal digits")]
Ref = Annotated[str, Meta(pattern=_HEX_32, title=_REF, description="the leaf hash of another record, 64 hexadecimal digits")]
KeyHex = Annotated[str, Meta(pattern=_HEX_32, description="an Ed25519 public key, 64 hexadecimal digits")]
Origin = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-*,-~]+\Z", description="the origin of a log")]
Time = Annotated[int, Meta(ge=0, le=NUMBER_MAX, description="POSIX seconds")]
Count = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z", description="a short name: a-z, 0-9, inner hyphens")]
Line = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^[^\n]+\Z", description="one line of words")]
Text = Annotated[str, Meta(max_length=20_000, description="words, with line breaks")]
Url = Annotated[str, Meta(max_length=500, pattern=r"^https?://[!-~]+\Z", description="an absolute http or https address")]
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z", description="ISO 3166-1 alpha-2")]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?\Z", description="a BCP 47 language tag")]
Media = Annotated[str, Meta(pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+\Z", max_length=100, description="a media type")]


def says(sentence: str) -> str:
    """Marks the sentence of a record type for translators. `{name}` in it is the field `name`, which every such record has."""
    return sentence


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of what stands inside records."""


class Detached(Part, frozen=True):
    """Bytes that are kept beside the log and not in it: too large for it, or too personal to stay for ever.

    `digest` is the SHA-256 of the blob, `size` its bytes. When `salted`, the blob begins with 32 random bytes, so that
    nobody can guess a short content from its digest, and erasing the blob erases the content.
    """

    digest: Digest
    size: Count
    media: Media
    salted: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of all records: who speaks, for which organisation, when, and on what it builds.

    `by` is the origin of the speaker's log, so that no two members' entries are ever the same bytes. `org` is the digest of
    the charter, empty in what a member says of itself before it belongs anywhere. `at` is the time that the speaker claims.
    `seen` names records that the speaker had before it.

    `SAYS` is the sentence that pages and lists make of the record, with its fields in braces, marked by `says`. A field added
    later needs a default: bytes written before it stay canonical.
    """

    SAYS: ClassVar[str] = ""

    by: Annotated[str, Meta(min_length=1, max_length=200)]
    org: Annotated[str, Meta(max_length=64)] = ""
    at: Time
    seen: Annotated[tuple[Ref, ...], Meta(max_length=16)] = ()


class Seal(Part, frozen=True):
    """A signature within a record: the public key, and base64 of the Ed25519 signature over `sealed_message`."""

    key: KeyHex
    signature: Annotated[str, Meta(min_length=88, max_length=88)]


class Sealed(Record, frozen=True, kw_only=True):
    """Base of records that bind beyond the log they stand in: they carry signatures of their own, verified once."""

    seals: Annotated[tuple[Seal, ...], Meta(max_length=16)] = ()


class Header(msgspec.Struct, frozen=True):
    """As much of a record as every version can read."""

    type: str
    by: str
    at: int = 0
    org: str = ""


class Codec:
    """Bytes to records and back, for the record types that a node knows."""

    def __init__(self, types: Iterable[type[Record]]) -> None:
        self.types = {tag(kind): kind for kind in types}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(reduce(or_, self.types.values()))
        self._refs = {kind: ref_fields(kind) for kind in self.types.values()}

    def encode(self, record: Record) -> bytes:
        """The one spelling of `record`. TooLargeError over ENTRY_SIZE_MAX; MalformedError if it is not within the profile."""
        entry = _spell(record)
        self.decode(entry)
        return entry

    def decode(self, entry: bytes) -> Any:
        """The record that `entry` spells. MalformedError says why it is none; UnknownTypeError if only its type is strange."""
        if len(entry) > ENTRY_SIZE_MAX:
            raise TooLargeError(f"an entry of {len(entry)} bytes, over {ENTRY_SIZE_MAX}")
        try:
            record = self._decoder.decode(entry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            self._check_type(entry)
            raise MalformedError(str(e)) from e
        if ENCODER.encode(record) != entry:
            raise NotCanonicalError("not the canonical spelling of this record")
        if (0x5C in entry or 0x7F in entry or 0xC2 in entry) and _CONTROL.search(entry):  # numbers are looked for at once
            raise MalformedError("a control character in a string")
        return record

    def refs(self, record: Record) -> Iterator[str]:
        """The leaf hashes (hex) of the records that `record` refers to."""
        yield from record.seen
        for name in self._refs[type(record)]:
            value = getattr(record, name)
            if isinstance(value, str):
                yield value
            elif value is not None:
                yield from value

    def _check_type(self, entry: bytes) -> None:
        header = read_header(entry)
        if header is not None and header.type not in self.types:
            raise UnknownTypeError(f"a record of type {header.type[:80]!r}, which this version does not know")


ENCODER = msgspec.json.Encoder(order="sorted")
# In canonical JSON a control character of ASCII is always escaped, but for DEL, and those of Latin-1 never are. A backslash before
# an escape that is itself escaped comes in a pair.
_CONTROL = re.compile(rb"(?<!\\)(?:\\\\)*\\[bfrtu]|\x7f|\xc2[\x80-\x9f]")
_HEADER = msgspec.json.Decoder(Header)


def read_header(entry: bytes) -> Header | None:
    """The header of an entry that may be of any type or version, or None if it has none."""
    try:
        return _HEADER.decode(entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def seal(record: Sealed, seeds: Iterable[bytes]) -> Any:
    """`record` with a seal by each of `seeds` (32 bytes each), in place of any it had."""
    message = sealed_message(record)
    seals = tuple(Seal(key=ed25519.public_key(seed).hex(), signature=base64(ed25519.sign(seed, message))) for seed in seeds)
    return msgspec.structs.replace(record, seals=seals)


def sealed_by(record: Sealed, keys: Iterable[str]) -> int:
    """How many of `keys` (hex) sealed `record`. A seal by another key counts for nothing."""
    message = sealed_message(record)
    wanted = frozenset(keys)
    return len({part.key for part in record.seals if part.key in wanted and _verifies(part, message)})


def sealed_message(record: Sealed) -> bytes:
    """What a seal signs: the record's own bytes without seals, after a line that says what this is."""
    return b"concord/seal/v1\n" + _spell(msgspec.structs.replace(record, seals=()))


def ref_fields(kind: type[Record]) -> tuple[str, ...]:
    """The names of the fields of `kind`, besides `seen`, whose values are of type Ref (one, several, or none)."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name in kind.__struct_fields__ if name != "seen" and _mentions_ref(hints[name]))


def time_fields(kind: type[Record]) -> tuple[str, ...]:
    """The names of the fields of `kind`, besides `at`, whose values are of type Time (one, several, or none)."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name in kind.__struct_fields__ if name != "at" and (hints[name] == Time or Time in get_args(hints[name])))


def detached_fields(kind: type[Record]) -> tuple[str, ...]:
    """The names of the fields of `kind` whose values are of type Detached (one, several, or none)."""
    hints = get_type_hints(kind)
    return tuple(name for name in kind.__struct_fields__ if hints[name] is Detached or Detached in get_args(hints[name]))


def fields(record: Record) -> dict[str, Any]:
    """The record's own fields as builtin values, for its sentence and for display."""
    told: dict[str, Any] = msgspec.to_builtins(record)
    return told


def _spell(record: Record) -> bytes:
    try:
        return ENCODER.encode(record)
    except UnicodeEncodeError as e:
        raise MalformedError("half of a surrogate pair in a text") from e


def _verifies(part: Seal, message: bytes) -> bool:
    try:
        return ed25519.accepts(bytes.fromhex(part.key), message, unbase64(part.signature))
    except MalformedError:
        return False


def _mentions_ref(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        inner, *metas = get_args(hint)
        return any(isinstance(meta, Meta) and meta.title == _REF for meta in metas) or _mentions_ref(inner)
    return any(map(_mentions_ref, get_args(hint))) if get_origin(hint) is not Literal else False


def tag(kind: type[Record]) -> str:
    """The type name of `kind`, such as `members.accede`."""
    name = kind.__struct_config__.tag
    assert isinstance(name, str), f"{kind.__name__} has no tag"
    return name
