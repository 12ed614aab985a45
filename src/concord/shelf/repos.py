"""Which repos a node has, and who may see them: those that stand in the logs it holds, and the private ones of its members.

A private repo is made of the very same records as a public one, which wait in node.db. It is seen by people of its owner only. To
everybody else it is not there, in so many words: the error is the same as for a repo that never was.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from concord.errors import MalformedError, MissingError, RefusedError
from concord.ledger.identity import label
from concord.node import Node
from concord.pillars.commons import Repo, RepoId, Said, fold
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.records import KINDS, Kind
from concord.pillars.commons.search import Entry
from concord.private import drafts, gates
from concord.private.people import Speaker
from concord.reading import resolve
from concord.tlog.merkle import leaf_hash

REPOS_KEPT = 64
RECORDS_KEPT = 100_000  # of all repos that are kept, or those of one: 1.6 kB each

Names = tuple[Mapping[RepoId, commons_view.Shelved], Mapping[RepoId, RepoId]]
FOLDED_MAX = 100  # repos that are looked at one by one, before all are read from the tables at once
Place = tuple[str, int]  # the origin of a log, and an index in it
_ROOT = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Listed:
    """The public repos as lists know them, when so much (`stamp`) was said of all, and so much (`versions`) under each name."""

    stamp: int
    versions: Mapping[tuple[str, str, str], int]
    entries: list[Entry]


@dataclass
class Moment:
    """What was found since the view had this `version`, and need not be asked for again: names of repos, and the last few repos."""

    version: tuple[int, ...] = ()
    names: Names | None = None
    repos: OrderedDict[RepoId, Repo | None] = field(default_factory=OrderedDict)


@dataclass(frozen=True)
class Known:
    """A repo as it was when so much was said of it (`version`), and what that was, by where it stands."""

    version: tuple[int | bytes, ...]
    repo: Repo | None
    said: Mapping[Place, Said]


class Finder:
    """The repos of a node, to be found and told of. What it remembers can be forgotten at any time."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._public_known: OrderedDict[RepoId, Known] = OrderedDict()
        self._private_known: OrderedDict[RepoId, Known] = OrderedDict()
        self._open: tuple[int, dict[RepoId, commons_view.Shelved], dict[RepoId, RepoId]] | None = None
        self._catalogue: Listed | None = None
        self._last = Moment()

    # One

    def find(self, repo: RepoId, asker: Speaker | None) -> Repo:
        """A repo that `asker` may see. MissingError if there is none, or none for this asker; of one renamed, the new one.

        Private ones are looked for only for people of the owner: the time that a stranger waits tells nothing of them.
        """
        if asker is not None and asker.origin == repo.owner and self._is_private(repo):
            return self._private(repo)
        shelved, renamed = self._shelves()
        known = shelved.get(repo) or shelved.get(renamed.get(repo, repo))
        found = self._public(known) if known is not None else None
        if found is None:
            raise self._missing(repo)
        return found

    def repo_id(self, kind: Kind, namespace: str, name: str) -> RepoId:
        """The repo `namespace/name`; the namespace is the id of a member, or an origin. MissingError if there is no such member."""
        return RepoId(owner=resolve(self.node, namespace), kind=kind, name=name)

    def names(self, repo: RepoId) -> set[str]:
        """What a public repo is called, and was before."""
        known = self._shelves()[0].get(repo)
        return {repo.name, *(known.aliases if known else ())}

    def renamed(self) -> Mapping[RepoId, RepoId]:
        """What each earlier name of a public repo leads to."""
        return self._shelves()[1]

    def taken(self, repo: RepoId) -> bool:
        """Whether a repo is called so, or was, before it was renamed."""
        return self._is_private(repo) or any(repo in names for names in self._shelves())

    def seen(self, repo: RepoId) -> Repo:
        """A repo of this name, whoever asks, for what is told to nobody. MissingError if there is none."""
        return self._private(repo) if self._is_private(repo) else self.find(repo, None)

    def rooted(self, owner: str, kind: Kind, name: str, root: str) -> Repo | None:
        """The repo that was opened by the record `root` and was called `name` once, whoever asks; None if it is gone."""
        repo = RepoId(owner=owner, kind=kind, name=name)
        found = self._whoever_asks(repo)
        return found if found and found.root == root else None

    def opened(self, root: str) -> Repo | None:
        """The repo that the record `root` of some log opened, under whatever name it has now; None if it is gone."""
        with self.node.reading() as db:
            repo = commons_view.opened_by(db, root)
        return self.rooted(repo.owner, repo.kind, repo.name, root) if repo else None

    def is_open(self, root: str) -> bool:
        """Whether the repo that the record `root` opened is public, and given to everybody."""
        found = self.opened(root)
        return found is not None and not found.private and found.gate == "open"

    def named(self, name: str) -> Repo:
        """The repo that `name` means, whoever asks: a root, or `namespace/name`, with `datasets/` or the like before it if need be.

        MissingError if it is not known here; MalformedError if it is no name, or could mean two repos.
        """
        if _ROOT.match(name):
            found = [self.opened(name)]
        else:
            kinds, namespace, last = _parts(name)
            found = [self._whoever_asks(self.repo_id(kind, namespace, last)) for kind in kinds]
        known = [repo for repo in found if repo is not None]
        if len(known) > 1:
            raise MalformedError(f"{name!r} could be several repos: put {' or '.join(f'{each}/' for each in KINDS)} before it")
        if not known:
            raise MissingError(f"there is no repo {name[:200]!r} here")
        return known[0]

    def _whoever_asks(self, repo: RepoId) -> Repo | None:
        try:
            return self.seen(repo)
        except MissingError:
            return None

    # All

    def listed(self, asker: Speaker | None, owner: str | None = None) -> list[RepoId]:
        """All repos that `asker` may see, or those of one owner, in the order of owner, kind and name."""
        public = [repo for repo in self._shelves()[0] if owner in (None, repo.owner)]
        mine = [repo for repo in self._private_ids() if asker and asker.origin == repo.owner and owner in (None, repo.owner)]
        return sorted([*public, *mine], key=lambda repo: (repo.owner, repo.kind, repo.name))

    def open_repos(self) -> list[Repo]:
        """All repos that are public, and given to everybody."""
        found = [self.find(repo, None) for repo in self.listed(None)]
        return [repo for repo in found if repo.gate == "open"]

    def everything(self) -> Iterator[Repo]:
        """All repos that there are here, whoever may see them: for upkeep, and for nobody to be told of.

        Private ones come first: one that is published meanwhile comes a second time, and none is passed over.
        """
        for each in self._private_ids():
            with suppress(MissingError):
                yield self._private(each)
        self.node.catch_up()
        with self.node.reading() as db:
            public = commons_view.shelved(db)
        yield from filter(None, map(self._public, public.values()))

    def catalogue(self, asker: Speaker | None) -> list[Entry]:
        """The repos that `asker` may see as lists know them, in no order."""
        return [*self.public(), *self.own_private(asker)]

    def public(self) -> list[Entry]:
        """The public repos; the same list, as long as nothing changes.

        One of which something was said since is looked at again, and an entry that is as it was is kept.
        """
        with self.node.reading() as db:
            stamp = commons_view.stamp_of(db)
            if self._catalogue is not None and self._catalogue.stamp == stamp:
                return self._catalogue.entries
            versions = commons_view.versions(db)
        before = self._catalogue or Listed(0, {}, [])
        changed = [name for name, count in versions.items() if before.versions.get(name) != count]
        known = self._looked_at({entry.id: entry for entry in before.entries}, changed)
        self._catalogue = Listed(stamp, versions, [known[each] for each in self._shelves()[0] if each in known])
        return self._catalogue.entries

    def own_private(self, asker: Speaker | None) -> list[Entry]:
        """The private repos that `asker` may see."""
        mine = [self._private(repo) for repo in self._private_ids() if asker and asker.origin == repo.owner]
        return [Entry.of(repo, repo.head()) for repo in mine]

    def _looked_at(self, known: Mapping[RepoId, Entry], changed: Sequence[tuple[str, str, str]]) -> dict[RepoId, Entry]:
        """The entries that are known, and anew those of repos of which something was said under the names that changed."""
        shelved, renamed = self._shelves()
        ids = [RepoId(owner=by, kind=msgspec.convert(kind, Kind), name=name) for by, kind, name in changed]
        again = {*ids, *(renamed[each] for each in ids if each in renamed)}
        found = dict(known)
        if len(again) > FOLDED_MAX:
            with self.node.reading() as db:
                entries, again = commons_view.listings(db)
            found = {entry.id: old if (old := known.get(entry.id)) == entry else entry for entry in entries}
        folded = ((each, self._public(shelved[each])) for each in again if each in shelved)
        return found | {each: Entry.of(repo, repo.head()) for each, repo in folded if repo is not None}

    # Who may

    def may_read(self, repo: Repo, asker: Speaker | None) -> bool:
        """Whether the files of a repo that `asker` may see are for `asker` to have, too."""
        if repo.gate == "open" or (asker is not None and asker.origin == repo.id.owner):
            return True
        if asker is None:
            return False
        with self.node.private_reading() as db:
            return gates.status(db, repo.root, asker.origin, asker.person) == "accepted"

    def check_open(self, repo: Repo) -> None:
        """RefusedError unless a repo is public, and given to everybody."""
        if repo.private or repo.gate != "open":
            raise RefusedError(f"{label(repo.id.owner)}/{repo.id.name} is not for everybody, so its files are not handed on")

    # Inside

    def _now(self) -> Moment:
        """What is known of this moment of the view. It is taken before anything is asked, so what is kept in it is never older."""
        version = self.node.view.version
        if self._last.version != version:
            self._last = Moment(version)
        return self._last

    def _shelves(self) -> Names:
        """All open repos, and what each of their earlier names leads to; read again once one is opened, renamed or closed."""
        now = self._now()
        if now.names is None:
            with self.node.reading() as db:
                stamp = commons_view.stamp_of(db, *commons_view.NAMING)
                if self._open is None or self._open[0] != stamp:
                    shelved = commons_view.shelved(db)
                    self._open = (stamp, shelved, commons_view.renamed(shelved))
                now.names = self._open[1:]
        return now.names

    def _missing(self, repo: RepoId) -> MissingError:
        """That there is no such repo here, and which public ones of other types are called so."""
        shelved, name = self._shelves()[0], f"{label(repo.owner)}/{repo.name}"
        others = [plural for plural, kind in KINDS.items() if msgspec.structs.replace(repo, kind=kind) in shelved]
        hint = f". Do you mean {' or '.join(f'{plural}/{name}' for plural in others)}?" if others else ""
        return MissingError(f"there is no {repo.kind} {name}{hint}")

    def _is_private(self, repo: RepoId) -> bool:
        with self.node.private_reading() as db:
            return drafts.has(db, repo.owner, repo.kind, repo.name)

    def _private(self, repo: RepoId) -> Repo:
        with self.node.private_reading() as db:
            version = drafts.version(db, repo.owner, repo.kind, repo.name)
        known = self._private_known.get(repo)
        if known is not None and known.version == version and known.repo is not None:
            self._private_known.move_to_end(repo)
            return known.repo
        said = [Said(leaf_hash(entry).hex(), None, self.node.read(entry)) for entry in self._drafted(repo)]
        found = self._drawn(repo, said)
        if found is None:
            raise self._missing(repo)
        _keep(self._private_known, repo, Known(version, found, {("", number): each for number, each in enumerate(said)}), _weight)
        return found

    def _drawn(self, repo: RepoId, said: Sequence[Said]) -> Repo | None:
        """A private repo, of all that was said of it."""
        own = [each for each in said if each.record.by == repo.owner]
        found = fold(repo, own, [each for each in said if each.record.by != repo.owner])
        if found is not None:
            found.private = True
        return found

    def _private_ids(self) -> list[RepoId]:
        with self.node.private_reading() as db:
            return [RepoId(owner=by, kind=msgspec.convert(kind, Kind), name=name) for by, kind, name in drafts.repos(db)]

    def _drafted(self, repo: RepoId) -> list[bytes]:
        with self.node.private_reading() as db:
            return drafts.entries(db, repo.owner, repo.kind, repo.name)

    def _public(self, shelved: commons_view.Shelved) -> Repo | None:
        now = self._now()
        if shelved.id not in now.repos:
            found = self._folded(shelved)
            _keep(now.repos, shelved.id, found, lambda repo: len(repo.revisions) if repo else 0)
            return found
        return now.repos[shelved.id]

    def _folded(self, shelved: commons_view.Shelved) -> Repo | None:
        """A public repo, of all that was said of it; what was read of that before is not read again."""
        repo, names = shelved.id, {shelved.id.name, *shelved.aliases}
        size, before = self.node.view.size(repo.owner), self._public_known.get(repo)
        with self.node.reading() as db:
            version = commons_view.version(db, repo, names), size
            if before is not None and before.version == version:
                self._public_known.move_to_end(repo)
                return before.repo
            pointers, answered = commons_view.pointers(db, repo, names), commons_view.answered(db, repo, names)
        said = {each[:2]: self._read_at(each, before.said if before else {}) for each in pointers}
        own = [each for (origin, _), each in said.items() if origin == repo.owner]
        found = fold(repo, own, [each for (origin, _), each in said.items() if origin != repo.owner])
        counted = Counter(each.discussion for each in pointers)
        for thread in found.threads.values() if found else ():
            thread.unheard = answered.get(thread.leaf, 0) - counted[thread.leaf]
        _keep(self._public_known, repo, Known(version, found, said), _weight)
        return found

    def _read_at(self, pointer: commons_view.Pointer, known: Mapping[Place, Said]) -> Said:
        """What stands at a place, which may be known."""
        before = known.get(pointer[:2])
        if before is not None and before.leaf == pointer.leaf:
            return before
        entry = self.node.holdings.tree(pointer.origin).entry(pointer.place)
        return Said(pointer.leaf, pointer.place, self.node.read(entry))


def _weight(known: Known) -> int:
    return len(known.said)


def _keep(kept: OrderedDict[RepoId, Any], repo: RepoId, found: Any, weight: Callable[[Any], int]) -> None:
    """Keep what is known of a repo, and of those that were used longest ago so few that all together have at most RECORDS_KEPT."""
    remember(kept, repo, found, REPOS_KEPT)
    kept.move_to_end(repo)
    while len(kept) > 1 and sum(map(weight, kept.values())) > RECORDS_KEPT:
        kept.popitem(last=False)


def _parts(name: str) -> tuple[list[Kind], str, str]:
    """The kinds that a repo of this name may have, its namespace, and its name."""
    before, _, last = name.rpartition("/")
    plural, slash, rest = before.partition("/")
    kinds, namespace = ([KINDS[plural]], rest) if slash and plural in KINDS else (list(KINDS.values()), before)
    if not namespace or not last or before in KINDS:
        raise MalformedError(f"{name[:200]!r} is no name of a repo, such as nairobi/words or datasets/nairobi/words")
    return kinds, namespace, last


def remember(kept: OrderedDict[Any, Any], key: object, value: object, most: int) -> None:
    """Keep a value, and of those that were used longest ago so few that there are at most `most`."""
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
