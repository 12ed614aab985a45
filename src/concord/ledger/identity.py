"""Who a member is, in keys: offline roots that delegate the keys of daily work.

A member's first record says its identity: `k` of `n` root keys that stay offline, the digest of the *next* root (keys made
at the same time and kept elsewhere), and the keys that the root delegates: for the log, for witnessing others, for organs
of the member that may bind it. Later identities replace it whole, under one rule:

    same root    sealed by k of its keys; `next` stays as it was
    other root   its digest is the `next` of the identity before, and k of *its* keys sealed

Whoever steals the root keys can therefore not take the root away, and whoever loses them can still go on. Two log keys may
stand side by side for a while, so that readers who have not seen the change still verify.

An origin ends in the first 32 hexadecimal digits of the digest of the first root. Nobody else can ever speak under it, and
nobody has to be asked whose it is:

>>> root = Root(keys=("00" * 32,), threshold=1)
>>> origin_of("ke-ni", "concord.alt", root)
'ke-ni.concord.alt/259185709250cf2099d2a18f1e7ab34b'
>>> label("ke-ni.concord.alt/259185709250cf2099d2a18f1e7ab34b")
'ke-ni'
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, ClassVar

from msgspec import Meta

from concord.errors import ForgedError, MalformedError
from concord.ledger.record import ENCODER, Codec, Count, Digest, KeyHex, Name, Part, Sealed, says, sealed_by
from concord.tlog import ed25519
from concord.tlog.note import COSIGNATURE, ED25519, VerifierKey

DOMAIN = "concord.alt"  # RFC 9476: names under .alt are names, and never hosts
IDENTITY_MARK = b'"type":"ledger.identity"'  # in no string of another record: a quotation mark there is escaped
IDENTITIES_MAX = 64  # that take effect in one log, so that evidence can always carry them: two a year for a generation
_DIGEST_DIGITS = 32


class Root(Part, frozen=True):
    """`threshold` of `keys` speak for the member in what concerns its keys."""

    keys: Annotated[tuple[KeyHex, ...], Meta(min_length=1, max_length=16)]
    threshold: Annotated[int, Meta(ge=1, le=16)]

    def digest(self) -> str:
        """SHA-256 over the canonical bytes, in hexadecimal digits."""
        return sha256(ENCODER.encode(self)).hexdigest()


class Identity(Sealed, frozen=True, tag="ledger.identity"):
    """The speaker's keys from here on, sealed by its root. The module docstring gives the rule.

    `number` counts identities from 0; `next` is the digest of the next root; `log` are the keys of which each may sign
    checkpoints; `witness` cosigns others' logs; `organs` maps a name to the key of an organ that may bind the member.
    """

    SAYS: ClassVar[str] = says("declares its keys (identity {number})")

    number: Count
    root: Root
    next: Digest
    log: Annotated[tuple[KeyHex, ...], Meta(min_length=1, max_length=4)]
    witness: KeyHex
    organs: Annotated[dict[Name, KeyHex], Meta(max_length=16)] = {}  # noqa: RUF012  msgspec copies the default

    def log_keys(self) -> tuple[VerifierKey, ...]:
        """The keys that may sign this log's checkpoints."""
        return tuple(VerifierKey(self.by, ED25519, bytes.fromhex(key)) for key in self.log)

    def witness_key(self) -> VerifierKey:
        """The key that cosigns others' checkpoints for this member."""
        return VerifierKey(witness_name(self.by), COSIGNATURE, bytes.fromhex(self.witness))


_CODEC = Codec([Identity])


class Reset(Sealed, frozen=True, tag="ledger.reset"):
    """The speaker's root goes on from (`size`, `root`) after its log forked. It takes effect once a decision agrees."""

    SAYS: ClassVar[str] = says("asks to go on from size {size} after its log forked")

    size: Count
    root: Digest


def origin_of(name: str, domain: str, root: Root) -> str:
    """The origin of the member `name` whose first root is `root`."""
    return f"{name}.{domain}/{root.digest()[:_DIGEST_DIGITS]}"


def label(origin: str) -> str:
    """The short name in an origin: what people call the member by."""
    return origin.partition(".")[0]


def witness_name(origin: str) -> str:
    """The name under which the member with this origin cosigns."""
    return f"{origin}/witness"


def first(said: Identity) -> Identity:
    """`said`, if it may begin the log of its origin. ForgedError if not."""
    if said.number != 0:
        raise ForgedError(f"the log of {said.by} begins with identity {said.number}, not 0")
    if said.by.rpartition("/")[2] != said.root.digest()[:_DIGEST_DIGITS]:
        raise ForgedError(f"the origin {said.by} does not belong to the root that speaks under it")
    return _checked(said)


def follow(before: Identity, said: Identity) -> Identity:
    """`said`, if it may replace `before` in the same log. ForgedError if not."""
    if (said.by, said.number) != (before.by, before.number + 1):
        raise ForgedError(f"identity {said.number} of {said.by} does not follow identity {before.number}")
    if said.number >= IDENTITIES_MAX:
        raise ForgedError(f"{said.by} has changed its keys {IDENTITIES_MAX - 1} times, which is as often as one can")
    if said.root != before.root and said.root.digest() != before.next:
        raise ForgedError(f"identity {said.number} of {said.by} has a root that was not announced")
    if said.root == before.root and said.next != before.next:
        raise ForgedError(f"identity {said.number} of {said.by} announces another next root without going to the one announced")
    return _checked(said)


def chain(said: Iterable[Identity]) -> list[Identity]:
    """Those of `said`, in the order of their log, that took effect. One that may not stand where it stands changes nothing.

    ForgedError if the first may not begin a log.
    """
    standing: list[Identity] = []
    for identity in said:
        try:
            standing.append(follow(standing[-1], identity) if standing else first(identity))
        except (ForgedError, MalformedError):
            if not standing:
                raise
    if not standing:
        raise ForgedError("a log that does not begin with an identity")
    return standing


def read_chain(entries: Iterable[bytes]) -> list[Identity]:
    """The same, from entries; those that do not decode change nothing either."""
    said = []
    for entry in entries:
        try:
            said.append(_CODEC.decode(entry))
        except MalformedError:
            if not said:
                raise
    return chain(said)


def bound_by(current: Identity, said: Sealed) -> bool:
    """Whether an organ of the member, or enough of its root, sealed `said`."""
    return sealed_by(said, current.organs.values()) > 0 or sealed_by(said, current.root.keys) >= current.root.threshold


def _checked(said: Identity) -> Identity:
    root = said.root
    if len(set(root.keys)) != len(root.keys) or root.threshold > len(root.keys):
        raise MalformedError(f"a root of {root.threshold} of {len(set(root.keys))} keys")
    daily = (*said.log, said.witness, *said.organs.values())
    if not all(ed25519.is_public_key(bytes.fromhex(key)) for key in (*root.keys, *daily)):
        raise MalformedError(f"identity {said.number} of {said.by} has a key that is no key")
    if len(set(daily)) != len(daily) or set(daily) & set(root.keys):
        raise MalformedError(f"identity {said.number} of {said.by} uses one key for two purposes")
    if sealed_by(said, root.keys) < root.threshold:
        raise ForgedError(f"identity {said.number} of {said.by} is not sealed by {root.threshold} of its root keys")
    return said
