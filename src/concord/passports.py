"""Passports as a node gives them: of a revision that somebody may see, with the lineage that the catalogue makes, and exports.

What needs the bytes of files (front matter, headers, columns) is read only where the asker may have the files. A private repo
stands in the lineage of others for people of its own member, and for nobody else.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec
from sqlalchemy import select

import concord
from concord.errors import DamagedError, MissingError, RefusedError, TooLargeError
from concord.ledger.identity import label
from concord.ledger.statements import deposits
from concord.pillars.commons import File, Repo, RepoId, Revision, signing
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.bom import bom
from concord.pillars.commons.croissant import croissant
from concord.pillars.commons.edition import Edition
from concord.pillars.commons.lineage import Index, Lineage, Source, trace
from concord.pillars.commons.passport import Passport, Read, issue
from concord.pillars.commons.search import Entry
from concord.pillars.commons.view import Shelved
from concord.private.people import Speaker
from concord.shelf import Reader

FORMATS = ("cyclonedx", "croissant", "model-signing")
BUNDLE_MAX = 64 << 20  # bytes of a published signature


class Passports:
    """The passports of a node. What it remembers of the catalogue can be forgotten at any time."""

    def __init__(self, shelf: Reader) -> None:
        self._shelf = shelf
        self._node = shelf.node
        self._known: tuple[object, Index] | None = None

    def namespace(self, origin: str) -> str:
        """The first half of the names of a member's repos."""
        seat = self._node.roster().seats.get(origin)
        return seat.id if seat else label(origin)

    def edition(self, repo: Repo, revision: Revision, asker: Speaker | None, address: str = "") -> Edition:
        """A revision with its passport and lineage, as `asker` may see them."""
        seat = self._node.roster().seats.get(repo.id.owner)
        return Edition(
            name=f"{self.namespace(repo.id.owner)}/{repo.id.name}",
            publisher=seat.name if seat else label(repo.id.owner),
            revision=revision,
            tree=self._shelf.tree(repo, revision),
            passport=self.passport(repo, revision, asker),
            lineage=self.lineage(repo, revision, asker),
            address=address.rstrip("/"),
        )

    def passport(self, repo: Repo, revision: Revision, asker: Speaker | None) -> Passport:
        """The passport alone."""
        return issue(revision.commit.card, self._shelf.tree(repo, revision), self.reader(repo, asker))

    def lineage(self, repo: Repo, revision: Revision, asker: Speaker | None) -> Lineage:
        """What it was made of and what was made of it, as far as `asker` may see."""
        name = self._namer()
        key = (repo.id.kind, name(repo.id))
        mine = [Source((each.id.kind, name(each.id)), each.card, each.id) for each in self._shelf.catalogue(asker) if each.private]
        indexes = [self._public(name), Index(mine)]
        aliases = next((index.by_key[key].aliases for index in indexes if key in index.by_key), ())
        return trace(Source(key, revision.commit.card, repo.id, aliases), indexes)

    def reader(self, repo: Repo, asker: Speaker | None) -> Read:
        """Reads files of a repo: None for what is not here, or damaged, or not for `asker`, or held."""
        allowed = self._shelf.may_read(repo, asker)

        def read(file: File, start: int, stop: int) -> bytes | None:
            if not allowed or not self._shelf.have(repo, file) or self._node.blobs.holds(file.sha256):
                return None
            try:
                return b"".join(self._shelf.read(repo, file, start, stop))
            except DamagedError:
                return None

        return read

    def export(self, form: str, repo: Repo, revision: Revision, asker: Speaker | None, address: str = "") -> bytes:
        """A revision in a format of others, as JSON. RefusedError if its files are not for `asker`; MissingError if it has none."""
        if not self._shelf.may_read(repo, asker):
            raise RefusedError(f"the files of {repo.id.name}, and what tells of them, are given to those whom its owner admits")
        match form:
            case "cyclonedx":
                return msgspec.json.encode(bom(self.edition(repo, revision, asker, address), concord.__version__))
            case "croissant" if repo.id.kind == "dataset":
                return msgspec.json.encode(croissant(self.edition(repo, revision, asker, address), self.reader(repo, asker)))
            case "croissant":
                raise MissingError(f"Croissant describes datasets, and {repo.id.name} is none")
            case "model-signing":
                return self.signature(repo, revision)
        raise MissingError(f"there is no format {form[:40]!r}: {', '.join(FORMATS)}")

    def signature(self, repo: Repo, revision: Revision) -> bytes:
        """The bundle of OpenSSF model signing that the owner published for a revision. MissingError if it published none."""
        blob = self.published(repo.id.owner, signing.published_as(repo.id.name, revision.oid))
        if blob is None:
            raise MissingError("its owner published no signature of this revision (`concord commons export … --publish` does)")
        if self._node.blobs.size(blob) > BUNDLE_MAX:
            raise TooLargeError(f"a signature of more than {BUNDLE_MAX} bytes")
        return b"".join(self._node.blob(blob))

    def published(self, origin: str, name: str) -> str | None:
        """The digest of what a member published last under a name, or None."""
        query = select(deposits.c.blob).where(deposits.c.origin == origin, deposits.c.name == name)
        with self._node.reading() as db:
            found: str | None = db.scalar(query.order_by(deposits.c.index.desc()).limit(1))
        return found

    def _namer(self) -> Callable[[RepoId], str]:
        """Names of repos, by a roster that is computed once."""
        seats = self._node.roster().seats
        return lambda repo: f"{seats[repo.owner].id if repo.owner in seats else label(repo.owner)}/{repo.name}"

    def _public(self, name: Callable[[RepoId], str]) -> Index:
        """The public catalogue, read again once something was said of a repo, or a member is called otherwise."""
        seats = sorted((origin, seat.id) for origin, seat in self._node.roster().seats.items())
        with self._node.reading() as db:
            stamp = commons_view.stamp_of(db), seats
            shelved = commons_view.shelved(db) if self._known is None or self._known[0] != stamp else {}
        if self._known is None or self._known[0] != stamp:
            self._known = (stamp, Index(list(_sources(self._shelf.catalogue(None), shelved, name))))
        return self._known[1]


def _sources(entries: Iterable[Entry], shelved: Mapping[RepoId, Shelved], name: Callable[[RepoId], str]) -> Iterable[Source]:
    for entry in entries:
        key = (entry.id.kind, name(entry.id))
        member = key[1].partition("/")[0]
        before = shelved[entry.id].aliases if entry.id in shelved else ()
        yield Source(key, entry.card, entry.id, tuple((key[0], f"{member}/{alias}") for alias in before))
