"""Trust policies (C2SP tlog-policy): which log, and how many witnesses, make a checkpoint good.

    log nairobi.example/log+…
    witness geneva geneva.example/witness+…
    witness astana astana.example/witness+…
    group others 1 geneva astana
    quorum others

A policy is what a verifier brings along: with it, a proof is checked without a network. A safe quorum among n witnesses
of whom fewer than a third fail is 1 + floor(2n/3): two quorums then share an honest witness. A plain majority is not safe.

>>> [safe_quorum(n) for n in range(7)]
[0, 1, 2, 3, 3, 4, 5]
>>> parse(b"quorum none\\n").quorum
'none'
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from concord.tlog import checkpoint as checkpoints
from concord.tlog import note
from concord.tlog.checkpoint import Checkpoint
from concord.tlog.errors import ForgedError, MalformedError, TooLargeError
from concord.tlog.note import COSIGNATURE, ED25519, Note, Seen, VerifierKey
from concord.tlog.spelling import decimal

POLICY_SIZE_MAX = 262_144  # bytes
NONE = "none"


@dataclass(frozen=True)
class Group:
    """`k` of `members` (names of witnesses or of groups defined before)."""

    k: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Which logs are accepted and which witnesses suffice. `quorum` names a witness, a group, or NONE."""

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str = NONE

    def __str__(self) -> str:
        lines = [f"log {key}" for key in self.logs]
        lines += [f"witness {name} {key}" for name, key in self.witnesses.items()]
        lines += [f"group {name} {group.k} {' '.join(group.members)}" for name, group in self.groups.items()]
        return "".join(f"{line}\n" for line in (*lines, f"quorum {self.quorum}"))


class Accepted(NamedTuple):
    """A checkpoint that a policy accepts, and the cosignatures that counted or might have."""

    checkpoint: Checkpoint
    cosigned: tuple[Seen, ...]


def safe_quorum(witnesses: int) -> int:
    """How many of `witnesses` must agree so that two quorums share an honest one while fewer than a third fail."""
    return 1 + 2 * witnesses // 3 if witnesses else 0


def accept(policy: Policy, signed: Note) -> Accepted:
    """The checkpoint in `signed`, if `policy` holds. ForgedError says what is missing."""
    checkpoint = checkpoints.open_note(signed, policy.logs)
    names = {(key.name, key.id) for key in policy.witnesses.values()}
    lines = tuple(line for line in signed.signatures if (line.name, line.id) in names)
    cosigned = tuple(note.verify(Note(signed.text, lines), policy.witnesses.values())) if lines else ()
    if not _suffices(policy, policy.quorum, {seen.key for seen in cosigned}):
        raise ForgedError(
            f"the checkpoint of {checkpoint.origin} at size {checkpoint.size} has {len(cosigned)} cosignatures of witnesses "
            f"in the policy, which do not make its quorum ({policy.quorum})"
        )
    return Accepted(checkpoint, cosigned)


def tally(policy: Policy, accepted: Accepted) -> tuple[int, int]:
    """Of those whom the quorum counts, how many cosigned, and how many there are."""
    cosigners = {seen.key for seen in accepted.cosigned}
    group = policy.groups.get(policy.quorum)
    counted = group.members if group else () if policy.quorum == NONE else (policy.quorum,)
    return sum(_suffices(policy, member, cosigners) for member in counted), len(counted)


def parse(raw: bytes) -> Policy:
    """The policy in a file. MalformedError names the line that is wrong."""
    if len(raw) > POLICY_SIZE_MAX:
        raise TooLargeError(f"a policy of {len(raw)} bytes, over {POLICY_SIZE_MAX}")
    if any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in raw):
        raise MalformedError("a control character in a policy")
    reader = _Reader()
    for number, line in enumerate(raw.decode(errors="surrogateescape").split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.read(words)
        except MalformedError as e:
            raise MalformedError(f"policy, line {number}: {e}") from e
    return reader.done()


class _Reader:
    """What has been read of a policy so far."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.used: set[str] = set()
        self.quorum: str | None = None

    def read(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(_key(vkey, ED25519, self.logs))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._define(name)
                self.witnesses[name] = _key(vkey, COSIGNATURE, self.witnesses.values())
            case ["group", name, k, *members] if members:
                self._group(name, k, tuple(members))
            case ["quorum", name] if self.quorum is None:
                if name != NONE:
                    self._known(name)
                self.quorum = name
            case _:
                raise MalformedError(f"cannot read {' '.join(words)[:80]!r}")

    def done(self) -> Policy:
        if self.quorum is None:
            raise MalformedError("a policy has one quorum line")
        return Policy(tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _group(self, name: str, k: str, members: tuple[str, ...]) -> None:
        for member in members:
            self._known(member)
            if member in self.used:
                raise MalformedError(f"{member!r} is a member twice")
            self.used.add(member)
        self._define(name)
        needed = {"any": 1, "all": len(members)}.get(k) or decimal(k)
        if not 1 <= needed <= len(members):
            raise MalformedError(f"{needed} of {len(members)} members")
        self.groups[name] = Group(needed, members)

    def _define(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise MalformedError(f"{name!r} is taken")

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise MalformedError(f"{name!r} is not defined above")


def _key(text: str, kind: int, others: Iterable[VerifierKey]) -> VerifierKey:
    key = VerifierKey.parse(text)
    if key.kind != kind:
        raise MalformedError(f"a key of kind {key.kind} where {kind} belongs")
    if any(other.key == key.key for other in others):
        raise MalformedError(f"the key of {key.name} stands twice")
    return key


def _suffices(policy: Policy, name: str, cosigners: set[VerifierKey]) -> bool:
    if name == NONE:
        return True
    if name in policy.witnesses:
        return policy.witnesses[name] in cosigners
    group = policy.groups[name]
    return sum(_suffices(policy, member, cosigners) for member in group.members) >= group.k
