"""An edition: one revision with all that is computed of it, as exports tell of it. Exports are pure functions of an edition.

>>> from concord.pillars.commons.records import Commit, RepoId
>>> commit = Commit(by="ke.example/0", at=1790000000, repo=RepoId(owner="ke.example/0", kind="dataset", name="corpus"),
...                 ref="main", tree="9f" * 32, title="Begin")
>>> edition = Edition("ke/corpus", "Example Institute", Revision("ab" * 32, 7, commit), {}, address="https://concord.example")
>>> edition.link("rows/a b.csv")
'https://concord.example/datasets/ke/corpus/resolve/abababababababababababababababababababab/rows/a%20b.csv'
>>> edition.page("passport")[:60], edition.receipt
('https://concord.example/commons/datasets/ke/corpus/passport?', 'https://concord.example/api/v1/records/ke/7/proof')
>>> edition.date
'2026-09-21T14:13:20Z'
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from urllib.parse import quote

from concord.pillars.commons.lineage import Key, Lineage
from concord.pillars.commons.passport import Passport, issue
from concord.pillars.commons.records import PLURALS, PREFIXES, Card, RepoId
from concord.pillars.commons.repo import Revision
from concord.pillars.commons.tree import File, Tree

LATEST = 253_402_300_799  # POSIX seconds: the end of the year 9999, the last that formats can write


def _nothing() -> Passport:
    return issue(Card(), {}, lambda _file, _start, _stop: None)


@dataclass(frozen=True)
class Edition:
    """`name` is what clients call the repo, `publisher` what its member calls itself.

    `address` is where the node is reached, without a slash at its end; "" if it is not known, and then links are paths within the
    repo, and there is none to the node.
    """

    name: str
    publisher: str
    revision: Revision
    tree: Tree
    passport: Passport = field(default_factory=_nothing)
    lineage: Lineage = field(default_factory=Lineage)
    address: str = ""

    @property
    def repo(self) -> RepoId:
        """The repo."""
        return self.revision.commit.repo

    @property
    def key(self) -> Key:
        """Its place in a lineage."""
        return self.repo.kind, self.name

    @property
    def card(self) -> Card:
        """Its card."""
        return self.revision.commit.card

    @property
    def title(self) -> str:
        """What it calls itself, or else its name."""
        return self.card.title or self.name

    @cached_property
    def files(self) -> Sequence[File]:
        """The files, by path."""
        return [self.tree[path] for path in sorted(self.tree, key=str.encode)]

    @property
    def date(self) -> str:
        """When it was committed, as its publisher dates it."""
        return datetime.fromtimestamp(min(self.revision.commit.at, LATEST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def receipt(self) -> str | None:
        """Where the receipt of the commit is, if it stands in a log and the address of the node is known."""
        if self.revision.index is None or not self.address:
            return None
        return f"{self.address}/api/v1/records/{quote(self.name.partition('/')[0])}/{self.revision.index}/proof"

    def link(self, path: str) -> str:
        """Where a file is."""
        where = f"{self.address}/{PREFIXES[self.repo.kind]}{quote(self.name)}/resolve/{self.revision.oid}/" if self.address else ""
        return where + quote(path)

    def page(self, part: str = "") -> str | None:
        """A page about it, if the address of the node is known."""
        there = f"{self.address}/commons/{PLURALS[self.repo.kind]}/{quote(self.name)}{'/' if part else ''}{part}"
        return f"{there}?revision={self.revision.oid}" if self.address else None
