"""Records: one spelling, which is that of RFC 8785, and no neighbour of it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from concord.errors import MalformedError, NotCanonicalError, TooLargeError, UnknownTypeError
from concord.ledger.conformance import codec_laws, record_laws
from concord.ledger.record import (
    ENCODER,
    NUMBER_MAX,
    Codec,
    Detached,
    Digest,
    Line,
    Name,
    Part,
    Record,
    Ref,
    Seal,
    Sealed,
    Text,
    detached_fields,
    fields,
    read_header,
    ref_fields,
    seal,
    sealed_by,
    sealed_message,
)
from concord.ledger.statements import LEDGER
from concord.pillars import members
from concord.tlog import ed25519
from concord.tlog.spelling import base64
from concord.tlog.tile import ENTRY_SIZE_MAX

VECTORS = Path(__file__).parents[1] / "vectors" / "record"
KNOWN = Codec([*LEDGER.handlers, *members.PILLAR.handlers])

SIGNED_NUMBER = Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]


class Inner(Part, frozen=True):
    """A part with a field of each kind."""

    number: SIGNED_NUMBER
    truth: bool = False
    words: Text = ""


class Whole(Record, frozen=True, tag="test.whole"):
    """A record with everything that the profile allows."""

    SAYS = "says {words}"

    words: Text
    line: Line
    number: SIGNED_NUMBER
    parts: Annotated[tuple[Inner, ...], Meta(max_length=8)] = ()
    named: Annotated[dict[Name, Text], Meta(max_length=8)] = {}  # noqa: RUF012  msgspec copies the default
    maybe: Inner | None = None
    class_: Name | None = msgspec.field(name="class", default=None)


class Vow(Sealed, frozen=True, tag="test.vow"):
    """A record that carries seals."""

    SAYS = "vows {words}"

    words: Line


CODEC = Codec([Whole, Vow])
SPEAKER = "ke.example/0"
LEAF = "ab" * 32

numbers = st.integers(-NUMBER_MAX, NUMBER_MAX)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=40)
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
parts = st.builds(Inner, number=numbers, truth=st.booleans(), words=texts)
wholes = st.builds(
    Whole,
    by=st.just(SPEAKER),
    at=st.integers(0, NUMBER_MAX),
    org=st.sampled_from(["", LEAF]),
    seen=st.lists(st.just(LEAF), max_size=3).map(tuple),
    words=texts,
    line=lines,
    number=numbers,
    parts=st.lists(parts, max_size=3).map(tuple),
    named=st.dictionaries(names, texts, max_size=3),
    maybe=st.none() | parts,
    class_=st.none() | names,
)


def said(**changed: Any) -> Whole:
    return Whole(**{"by": SPEAKER, "at": 1, "words": "", "line": "a", "number": 0} | changed)


@given(wholes)
def test_a_record_has_one_spelling_and_it_is_that_of_rfc_8785(record: Whole) -> None:
    codec_laws(CODEC.encode, CODEC.decode, record)
    assert CODEC.encode(record) == rfc8785.dumps(msgspec.to_builtins(record)) == rfc8785.dumps(json.loads(CODEC.encode(record)))


@given(wholes, st.data())
def test_another_spelling_of_the_same_is_refused(record: Whole, data: st.DataObject) -> None:
    entry = CODEC.encode(record)
    loaded = json.loads(entry)
    other = data.draw(
        st.sampled_from(
            [
                json.dumps(loaded).encode(),
                json.dumps(loaded, sort_keys=True, separators=(",", ": "), ensure_ascii=False).encode(),
                json.dumps(dict(reversed(loaded.items())), separators=(",", ":"), ensure_ascii=False).encode(),
                entry + b"\n",
                b" " + entry,
                entry.replace(b"{", b'{"at":1,', 1),
            ]
        )
    )
    with pytest.raises(NotCanonicalError):
        CODEC.decode(other)


@given(wholes, st.data())
def test_a_changed_byte_is_malformed_or_says_something_else(record: Whole, data: st.DataObject) -> None:
    entry = bytearray(CODEC.encode(record))
    entry[data.draw(st.integers(0, len(entry) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(MalformedError):
        assert CODEC.decode(bytes(entry)) != record


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_noise_is_malformed_and_nothing_worse(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        CODEC.decode(raw)
    read_header(raw)


# The vectors


@pytest.mark.parametrize("path", sorted((VECTORS / "good").iterdir()), ids=lambda path: path.stem)
def test_good_records_print_back_and_are_rfc_8785(path: Path) -> None:
    entry = path.read_bytes()
    assert KNOWN.encode(KNOWN.decode(entry)) == entry == rfc8785.dumps(json.loads(entry))


@pytest.mark.parametrize("path", sorted((VECTORS / "bad").iterdir()), ids=lambda path: path.stem)
def test_bad_records_are_refused(path: Path) -> None:
    with pytest.raises(MalformedError):
        KNOWN.decode(path.read_bytes())


# RFC 8785's own vectors, carried in the field of a record as far as our profile lets values be nested.

AsciiKey = Annotated[str, Meta(pattern=r"^[ -~]{0,40}\Z")]
Value: Any = None | bool | Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)] | Text
for _ in range(4):
    Value = (
        None
        | bool
        | Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
        | Text
        | Annotated[tuple[Value, ...], Meta(max_length=8)]
        | Annotated[dict[AsciiKey, Value], Meta(max_length=16)]
    )


class Carrier(Record, frozen=True, tag="test.carrier"):
    """A record that carries any value of the profile."""

    SAYS = "carries"

    payload: Value


CARRIER = Codec([Carrier])


def carried(payload: bytes) -> bytes:
    return b'{"at":1,"by":"ke.example/0","payload":' + payload + b',"type":"test.carrier"}'


def test_the_carrier_is_within_the_profile() -> None:
    record_laws(Carrier)


@pytest.mark.parametrize("name", ["arrays", "unicode"])
def test_what_lies_within_the_profile_agrees_with_rfc_8785(shared_vectors: Path, name: str) -> None:
    given_, expected = ((shared_vectors / "jcs" / kind / f"{name}.json").read_bytes() for kind in ("input", "output"))
    record = Carrier(by=SPEAKER, at=1, payload=json.loads(given_))
    assert CARRIER.encode(record) == carried(expected)
    assert CARRIER.encode(CARRIER.decode(carried(expected))) == carried(expected)
    with pytest.raises(NotCanonicalError):
        CARRIER.decode(carried(given_))


@pytest.mark.parametrize("name", ["french", "structures", "values", "weird"])
def test_what_lies_outside_the_profile_is_refused(shared_vectors: Path, name: str) -> None:
    """Keys beyond ASCII, a key with a line break, numbers with a point, a carriage return."""
    with pytest.raises(MalformedError):
        CARRIER.decode(carried((shared_vectors / "jcs" / "output" / f"{name}.json").read_bytes()))


# Limits and types


def test_the_largest_entry_is_the_largest() -> None:
    room = ENTRY_SIZE_MAX - len(CODEC.encode(said(words="")))
    full = said(words="", parts=tuple(Inner(number=0, words="x" * 8000) for _ in range(8)))
    rest = ENTRY_SIZE_MAX - len(CODEC.encode(full))
    largest = said(words="x" * rest, parts=full.parts)
    assert room > rest > 0
    assert len(CODEC.encode(largest)) == ENTRY_SIZE_MAX
    with pytest.raises(TooLargeError):
        CODEC.encode(said(words="x" * (rest + 1), parts=full.parts))


def test_an_unknown_type_is_told_from_a_broken_record() -> None:
    newer = b'{"at":1,"by":"ke.example/0","mood":"good","type":"test.newer"}'
    with pytest.raises(UnknownTypeError):
        CODEC.decode(newer)
    header = read_header(newer)
    assert header is not None
    assert (header.type, header.by, header.at) == ("test.newer", SPEAKER, 1)
    with pytest.raises(MalformedError) as broken:
        CODEC.decode(newer.replace(b"test.newer", b"test.whole"))
    assert not isinstance(broken.value, UnknownTypeError)


@pytest.mark.parametrize(
    "changed",
    [
        {"line": "a\nb"},
        {"line": ""},
        {"line": "tab\t"},
        {"words": "\x00"},
        {"words": "\x7f"},
        {"words": "\x85"},
        {"words": "\ud800"},
        {"words": "x" * 20_001},
        {"number": NUMBER_MAX + 1},
        {"number": 0.5},
        {"named": {"Ä": ""}},
        {"class_": "a\n"},
        {"seen": (LEAF + "\n",)},
        {"at": -1},
        {"by": ""},
    ],
    ids=repr,
)
def test_what_is_outside_the_profile_cannot_be_said(changed: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        CODEC.encode(said(**changed))


def test_the_text_around_a_backslash_is_left_in_peace() -> None:
    for words in ("\\", "\\n", "\\\\u0001", 'C:\\temp "x"', "\\\n", "\\\\\n\\t"):
        assert CODEC.decode(CODEC.encode(said(words=words))).words == words


# References and what is detached


class Links(Record, frozen=True, tag="test.links"):
    """A record whose references stand in fields of every shape."""

    SAYS = "links"

    one: Ref
    perhaps: Ref | None = None
    several: Annotated[tuple[Ref, ...], Meta(max_length=4)] = ()
    digest: Digest = "00" * 32
    blob: Detached | None = None
    blobs: Annotated[tuple[Detached, ...], Meta(max_length=4)] = ()


def test_references_are_found_by_their_type_and_digests_are_none() -> None:
    codec = Codec([Links])
    leaves = [f"{number:02x}" * 32 for number in range(6)]
    record = Links(by=SPEAKER, at=1, seen=(leaves[0],), one=leaves[1], several=(leaves[2], leaves[3]), digest=leaves[5])
    assert ref_fields(Links) == ("one", "perhaps", "several")
    assert list(codec.refs(record)) == leaves[:4]
    assert leaves[4] in codec.refs(msgspec.structs.replace(record, perhaps=leaves[4]))


def test_detached_fields_are_found_by_their_type() -> None:
    assert detached_fields(Links) == ("blob", "blobs")
    assert detached_fields(Whole) == ()


def test_the_fields_of_a_record_are_plain_values() -> None:
    plain = {"type": "test.vow", "by": SPEAKER, "at": 1, "words": "I will"}
    assert fields(VOW) == plain
    assert fields(said(class_="a"))["class"] == "a"


# Seals

SEEDS = [bytes([number]) * 32 for number in range(3)]
KEYS = [ed25519.public_key(seed).hex() for seed in SEEDS]
VOW = Vow(by=SPEAKER, at=1, words="I will")


def test_a_seal_counts_for_its_key() -> None:
    sealed = seal(VOW, SEEDS[:2])
    assert CODEC.decode(CODEC.encode(sealed)) == sealed
    assert [sealed_by(sealed, keys) for keys in (KEYS, KEYS[:1], KEYS[2:], [])] == [2, 1, 0, 0]


def test_sealing_anew_replaces_the_seals() -> None:
    assert seal(seal(VOW, SEEDS[:2]), SEEDS[2:]) == seal(VOW, SEEDS[2:])


@pytest.mark.parametrize("changed", [{"words": "I will not"}, {"at": 2}, {"by": "tn.example/0"}, {"org": "x"}, {"seen": (LEAF,)}])
def test_a_seal_binds_every_field(changed: dict[str, Any]) -> None:
    assert sealed_by(msgspec.structs.replace(seal(VOW, SEEDS), **changed), KEYS) == 0


def test_a_seal_of_another_type_of_record_counts_for_nothing() -> None:
    class Oath(Sealed, frozen=True, tag="test.oath"):
        """The same fields under another name."""

        words: Line

    oath = Oath(by=SPEAKER, at=1, words="I will", seals=seal(VOW, SEEDS).seals)
    assert sealed_by(oath, KEYS) == 0


def test_a_seal_by_another_key_than_it_names_counts_for_nothing() -> None:
    theirs = seal(VOW, SEEDS[1:2]).seals[0]
    assert sealed_by(msgspec.structs.replace(VOW, seals=(Seal(key=KEYS[0], signature=theirs.signature),)), KEYS) == 0


def test_duplicate_seals_count_once() -> None:
    (own,) = seal(VOW, SEEDS[:1]).seals
    assert sealed_by(msgspec.structs.replace(VOW, seals=(own, own)), [KEYS[0], KEYS[0]]) == 1


def test_a_bad_seal_beside_a_good_one_takes_nothing_away() -> None:
    (own,) = seal(VOW, SEEDS[:1]).seals
    bad = [
        Seal(key=KEYS[0], signature=base64(bytes(64))),
        Seal(key=KEYS[0], signature="!" * 88),
        Seal(key=KEYS[0], signature=own.signature[:-3] + "x=="),
        Seal(key="00" * 32, signature=own.signature),
    ]
    for other in bad:
        assert sealed_by(msgspec.structs.replace(VOW, seals=(other, own)), [*KEYS, "00" * 32]) == 1
        assert sealed_by(msgspec.structs.replace(VOW, seals=(other,)), [*KEYS, "00" * 32]) == 0


def test_what_a_seal_signs_says_what_it_is() -> None:
    assert sealed_message(seal(VOW, SEEDS)) == b"concord/seal/v1\n" + ENCODER.encode(VOW)
