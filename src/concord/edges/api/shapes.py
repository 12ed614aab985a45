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


class LicenceShape(Shape, frozen=True):
    """What the card names as licence. `known`: the terms are in our table; `confirmed`: a second source calls it approved, too.

    `suits` are the kinds of content for which the framework holds it appropriate, `texts` files that are called like a licence.
    """

    said: str
    id: str | None
    name: str
    osi: bool
    confirmed: bool
    open: bool
    known: bool
    permits: list[str]
    requires: list[str]
    withholds: list[str]
    suits: list[str]
    texts: list[str]
    named: list[str]


class ComponentShape(Shape, frozen=True, rename={"class_": "class"}):
    """A component of the Model Openness Framework: files and names that were taken for it, and licence files beside them."""

    id: str
    class_: str
    optional: bool
    content: str
    found: list[str]
    named: list[str]
    own: list[str]


class OpennessShape(Shape, frozen=True):
    """The class that is reached (I is the best) and the next, each null if there is none, and what is missing for it."""

    reached: str | None
    next: str | None
    missing: list[str]
    licensed: bool
    unsuited: list[str]
    components: list[ComponentShape]


class ParametersShape(Shape, frozen=True):
    """How many parameters the weights say that they have; `unread` files could not be read."""

    total: int
    by_type: dict[str, int]
    unread: int


class StatedShape(Shape, frozen=True):
    """Something that the publisher says of the training, word for word. Nobody checked it."""

    what: str
    said: str
    unit: str
    where: str


class WeightShape(Shape, frozen=True):
    """A file of weights."""

    path: str
    size: int
    sha256: str


class KinShape(Shape, frozen=True):
    """A repo or name of a lineage. `step`: negative, it was made of this; positive, it was made of it. `here` false: elsewhere."""

    kind: str
    name: str
    step: int
    here: bool


class LinkShape(Shape, frozen=True):
    """`made` was made of `of`: finetune, adapter, merge, quantized, dataset, or "" if nobody said how."""

    of: str
    of_kind: str
    made: str
    how: str


class PassportShape(Shape, frozen=True):
    """The passport of a revision. `openness` is of models only; `index` and `receipt` are null for what stands in no log."""

    name: str
    kind: str
    revision: str
    publisher: str
    date: str
    licence: LicenceShape
    openness: OpennessShape | None
    parameters: ParametersShape | None
    formats: dict[str, int]
    languages: list[str]
    files: int
    size: int
    training: list[StatedShape]
    weights: list[WeightShape]
    kin: list[KinShape]
    links: list[LinkShape]
    lineage_cut: bool
    commit: str
    tree: str
    log: str
    index: int | None
    receipt: str | None


class ErrorShape(Shape, frozen=True):
    """What went wrong, of what kind it is, and whose fault."""

    error: str
    kind: str
    fault: str
