"""What the API answers and takes: each a type with its own description."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all shapes. A later version may add fields."""


class OrganisationShape(Shape, frozen=True):
    """The organisation that the node serves. `organisation` is the digest of its charter."""

    organisation: str
    name: str
    demonstration: bool
    in_force: bool
    members: int
    charter: dict[str, Any]


class SeatShape(Shape, frozen=True, rename={"class_": "class"}):
    """Somebody who has a standing. `votes` is 0 unless it is a member in good standing."""

    id: str
    origin: str
    name: str
    country: str
    class_: str
    standing: str
    votes: int


class LogShape(Shape, frozen=True):
    """A log. `root` is in base64, as in its checkpoint; `cosigned` is the largest size that had a quorum."""

    origin: str
    size: int
    root: str
    cosigners: list[str]
    cosigned: int
    hosted: bool
    disputed: bool


class RecordShape(Shape, frozen=True):
    """A record. `at` is what its speaker claims (POSIX seconds); `state`: applied, waiting, unreadable or foreign."""

    origin: str
    index: int
    type: str
    at: int
    state: str
    leaf: str
    says: str


class WholeRecordShape(RecordShape, frozen=True):
    """A record with its entry, as it stands in the log. `cosigned`: it is under a checkpoint with a quorum."""

    entry: str
    cosigned: bool
    wrong: str | None = None


class RecordsShape(Shape, frozen=True):
    """A page of records, the newest first. `after` is where the next page begins, or null."""

    records: list[RecordShape]
    after: str | None


class CommunityShape(Shape, frozen=True):
    """Repos of several members under one name and purpose, as the member `by` said last, in the record `leaf`.

    `at` is when, `since` when it said so first (POSIX seconds, claimed); `count` is how many repos it names.
    """

    by: str
    name: str
    title: str
    about: str
    person: str
    leaf: str
    at: int
    since: int
    count: int


class NamedRepoShape(Shape, frozen=True):
    """A repo as a community names it: whose, of which kind, under which name. It need not be there."""

    owner: str
    kind: str
    name: str


class WholeCommunityShape(CommunityShape, frozen=True):
    """A community with the repos that it names, in its order."""

    repos: list[NamedRepoShape]


class SayShape(Shape, frozen=True, forbid_unknown_fields=True):
    """What to say: a record type and its fields."""

    type: Annotated[str, Meta(min_length=1, max_length=80)]
    fields: dict[str, Any]


class SaidShape(Shape, frozen=True):
    """Where the record stands that was said."""

    origin: str
    index: int
    leaf: str


class MeShape(Shape, frozen=True):
    """Who the token speaks for, and what it may do."""

    person: str
    name: str
    origin: str
    roles: list[str]
    scopes: list[str]


class TypeShape(Shape, frozen=True):
    """A record type: who may say it, and the JSON Schema of its fields."""

    type: str
    role: str
    says: str
    schema: dict[str, Any]


class ErrorShape(Shape, frozen=True):
    """What went wrong, of what kind it is, and whose fault."""

    error: str
    kind: str
    fault: str
