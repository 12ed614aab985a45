"""What is kept of repos, and what is asked of it.

`commons_said` lists everything that was said of any repo, so that `concord.pillars.commons.repo` can fold it; the other tables
are what lists and searches need without reading an entry.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Subquery,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
)

from concord.errors import ForgedError
from concord.ledger.pillar import Pillar, Role, Row, Stamp, row, row_of, table
from concord.ledger.record import Record, tag
from concord.pillars.commons import bounds
from concord.pillars.commons.records import (
    Card,
    Close,
    Comment,
    Commit,
    Community,
    Configure,
    Discussion,
    Gate,
    Like,
    Move,
    Open,
    Point,
    RepoId,
    Settle,
)
from concord.pillars.commons.repo import MAIN
from concord.pillars.commons.search import Entry
from concord.pillars.commons.tree import check_path

TABLES = MetaData()
NAMING = ("open", "close", "move")  # what says which repos there are, and under which names
AT_ONCE = 500  # leaf hashes in one question to the database
_LINES = ("license", "task", "library", "title", "relation")  # what is one line, in a card
_LISTS = {"tag": "tags", "language": "languages", "base": "base", "dataset": "datasets"}  # what is a facet, in a card


def _text(name: str, *, index: bool = False) -> Column[Any]:
    return Column(name, String, nullable=False, index=index)


said = table(
    TABLES,
    "commons_said",
    _text("what", index=True),
    _text("owner"),
    _text("kind"),
    _text("name"),
    _text("to"),
    _text("leaf"),
    _text("discussion", index=True),
    Column("at", Integer, nullable=False),
)
Index("commons_said_of", said.c.owner, said.c.kind, said.c.name)
commit = table(
    TABLES,
    "commons_commit",
    _text("owner", index=True),
    _text("kind"),
    _text("name"),
    _text("ref"),
    _text("leaf"),
    _text("parent"),
    _text("person"),
    Column("at", Integer, nullable=False),
    _text("license"),
    _text("task"),
    _text("library"),
    _text("title"),
    _text("relation"),
)
facet = table(TABLES, "commons_facet", _text("what"), _text("value", index=True), several=True)
like = table(
    TABLES, "commons_like", _text("owner", index=True), _text("kind"), _text("name"), _text("person"), Column("liked", Integer)
)
community = table(
    TABLES,
    "commons_community",
    _text("name", index=True),
    _text("title"),
    _text("about"),
    _text("person"),
    _text("leaf"),
    Column("at", Integer, nullable=False),
)
gathered = table(TABLES, "commons_gathered", _text("owner", index=True), _text("kind"), _text("name"), several=True)


class Pointer(NamedTuple):
    """Where something that was said of a repo stands; in which `discussion` ("": none), by its leaf hash."""

    origin: str
    place: int
    leaf: str
    discussion: str


@dataclass(frozen=True, slots=True)
class Gathering:
    """A community as it stands: who gathers it, what was said of it last, where and when; since when there is one of this name.

    `leaf` is the leaf hash of the statement that stands, `place` its index, `count` how many repos it names.
    """

    by: str
    place: int
    leaf: str
    name: str
    title: str
    about: str
    person: str
    at: int
    since: int
    count: int


class Shelved(NamedTuple):
    """An open repo as lists know it: whose, which, since when, and the names that it had before.

    `again`: a repo of such a name was closed before, and what others said until `opened` was of that one.
    """

    id: RepoId
    opened: int
    aliases: tuple[str, ...]
    again: bool = False


def _said(stamp: Stamp, record: Record, repo: RepoId | None, to: str = "", discussion: str = "") -> Row:
    owner, kind, name = (repo.owner, repo.kind, repo.name) if repo else ("", "", "")
    what = tag(type(record)).rpartition(".")[2]
    return row(said, what=what, owner=owner, kind=kind, name=name, to=to, leaf=stamp.leaf, discussion=discussion, at=record.at)


def on_own(stamp: Stamp, record: Open | Close | Point) -> Iterator[Row]:
    yield _said(stamp, record, RepoId(owner=stamp.origin, kind=record.kind, name=record.name))


def on_configure(stamp: Stamp, record: Configure) -> Iterator[Row]:
    yield _said(stamp, record, RepoId(owner=stamp.origin, kind=record.kind, name=record.name), to=record.gate)


def on_move(stamp: Stamp, record: Move) -> Iterator[Row]:
    yield _said(stamp, record, RepoId(owner=stamp.origin, kind=record.kind, name=record.name), to=record.to)


def on_commit(stamp: Stamp, record: Commit) -> Iterator[Row]:
    """A commit of somebody else can only go to a pull request."""
    if stamp.origin != record.repo.owner and not record.ref.startswith("refs/pr/"):
        raise ForgedError(f"{stamp.origin} commits to {record.ref} of a repo that is another's")
    for file in record.changes.put:
        check_path(file.path)
    card, repo = record.card, record.repo
    yield _said(stamp, record, repo)
    lines = {name: getattr(card, name) for name in _LINES}
    yield row_of(
        commit, record, owner=repo.owner, kind=repo.kind, name=repo.name, leaf=stamp.leaf, parent=record.parent or "", **lines
    )
    facets = [("tag", tag) for tag in card.tags] + [("language", language) for language in card.languages]
    facets += [("base", base) for base in card.base] + [("dataset", name) for name in card.datasets]
    for part, (what, value) in enumerate(facets):
        yield row(facet, part=part, what=what, value=value)


def on_discussion(stamp: Stamp, record: Discussion) -> Iterator[Row]:
    yield _said(stamp, record, record.repo)


def on_answer(stamp: Stamp, record: Comment | Settle) -> Iterator[Row]:
    yield _said(stamp, record, None, discussion=record.discussion)


def on_like(stamp: Stamp, record: Like) -> Iterator[Row]:
    repo = record.repo
    yield _said(stamp, record, repo)
    yield row(like, owner=repo.owner, kind=repo.kind, name=repo.name, person=record.person, liked=int(record.liked))


def on_community(stamp: Stamp, record: Community) -> Iterator[Row]:
    yield row_of(community, record, leaf=stamp.leaf)
    for part, repo in enumerate(record.repos):
        yield row(gathered, part=part, owner=repo.owner, kind=repo.kind, name=repo.name)


def shelved(db: Connection, owner: str | None = None) -> dict[RepoId, Shelved]:
    """All open repos, or those of one owner. A repo that was renamed is listed under its last name."""
    about = said.c.what.in_(NAMING) & (said.c.origin == said.c.owner)
    query = select(said.c.what, said.c.owner, said.c.kind, said.c.name, said.c.to, said.c.at).where(about)
    if owner is not None:
        query = query.where(said.c.owner == owner)
    found: dict[RepoId, Shelved] = {}
    closed: set[RepoId] = set()
    for what, by, kind, name, to, at in db.execute(query.order_by(said.c.origin, said.c.index)):
        repo = RepoId(owner=by, kind=kind, name=name)
        match what:
            case "open":
                found.setdefault(repo, Shelved(repo, at, (), repo in closed))
            case "close":
                found.pop(repo, None)
                closed.add(repo)
            case "move" if repo in found:
                before = found.pop(repo)
                moved = RepoId(owner=by, kind=kind, name=to)
                found.setdefault(moved, Shelved(moved, before.opened, (*before.aliases, name), before.again or moved in closed))
    return found


def renamed(shelved: Mapping[RepoId, Shelved]) -> dict[RepoId, RepoId]:
    """What open repos were called before, and what they are called now."""
    return {replace(each.id, name=name): each.id for each in shelved.values() for name in each.aliases}


def opened_by(db: Connection, leaf: str) -> RepoId | None:
    """The repo that the record with this leaf hash opened, under its name of then; None if that stands in no log."""
    row_ = db.execute(select(said.c.owner, said.c.kind, said.c.name).where(said.c.leaf == leaf, said.c.what == "open")).first()
    return RepoId(owner=row_[0], kind=row_[1], name=row_[2]) if row_ else None


def standing(db: Connection, by: str, leaves: Iterable[str]) -> set[str]:
    """Which of the records with these leaf hashes stand in a member's log."""
    mine, wanted, found = select(said.c.leaf).where(said.c.origin == by), list(leaves), set[str]()
    for start in range(0, len(wanted), AT_ONCE):
        found |= set(db.scalars(mine.where(said.c.leaf.in_(wanted[start : start + AT_ONCE]))))
    return found


def last_closed(db: Connection, owner: str) -> int:
    """When a member said last that it takes a repo out of the commons (POSIX seconds, as it dated that; 0 if never)."""
    return int(db.scalar(select(func.max(said.c.at)).where(said.c.what == "close", said.c.origin == owner)) or 0)


def listings(db: Connection) -> tuple[list[Entry], set[RepoId]]:
    """All open repos as lists know them, and of which of them that is not certain until they are folded.

    Certain is one of whose story is told in one line: opened once, under one name, with a main branch that each commit goes on
    from the one before.
    """
    open_ = shelved(db)
    known = renamed(open_) | {id_: id_ for id_ in open_}
    since = {id_: each.opened for id_, each in open_.items() if each.again}
    newest, facets, liking = _newest(db, known), _facets(db), _likes(db, known, since)
    likes, members = Counter(repo for *_, repo in liking), Counter(repo for _, repo in {(by, repo) for by, _, repo in liking})
    said_once = {RepoId(owner=by, kind=kind, name=name): (leaf, gate) for by, kind, name, leaf, gate in db.execute(_opened())}
    found, odd = [], {known[each] for each in _odd(db) if each in known}
    for id_, each in open_.items():
        last, (root, gate) = newest.get(id_), said_once.get(id_, ("", ""))
        lists = facets.get((last.origin, last[1]), {}) if last is not None else {}  # a row has a method that is called index
        words: dict[str, Any] = {name: getattr(last, name) for name in _LINES} if last is not None else {}
        changed, leaf = (last.at, last.leaf) if last is not None else (each.opened, "")
        gate_: Gate = gate or "open"
        liked = likes[id_], members[id_]
        found.append(Entry(id_, Card(**words | lists), each.opened, changed, *liked, leaf=leaf, root=root, gate=gate_))
    return found, odd


def versions(db: Connection) -> dict[tuple[str, str, str], int]:
    """How much was said under each name of a repo (owner, kind, name): what is to be looked at again, once that is more."""
    name = (said.c.owner, said.c.kind, said.c.name)
    query = select(*name, func.count()).where(said.c.owner != "").group_by(*name)
    return {(by, kind, called): count for by, kind, called, count in db.execute(query)}


def _opened() -> Select[Any]:
    """The last opening of each name of a repo, and what its owner last configured."""
    name = (said.c.owner, said.c.kind, said.c.name)
    own = select(*name, said.c.what, func.max(said.c.index).label("last")).where(said.c.origin == said.c.owner)
    last = own.where(said.c.what.in_(("open", "configure"))).group_by(*name, said.c.what).subquery()
    here = and_(said.c.origin == last.c.owner, said.c.index == last.c.last)
    rows = select(*name, said.c.what, said.c.leaf, said.c.to).join(last, here).subquery()
    leaf, gate = (
        func.max(case((rows.c.what == what, column), else_=""))
        for what, column in (("open", rows.c.leaf), ("configure", rows.c.to))
    )
    columns = rows.c.owner, rows.c.kind, rows.c.name
    return select(*columns, leaf, gate).group_by(*columns)


def _odd(db: Connection) -> set[RepoId]:
    """The repos whose story has turns: closed, renamed, a branch let name another commit; a commit that does not go on from the
    one before; a branch beside main."""
    name = (said.c.owner, said.c.kind, said.c.name)
    turned = select(*name).where(said.c.origin == said.c.owner, said.c.what.in_(("close", "move", "point"))).distinct()
    own = (commit.c.owner, commit.c.kind, commit.c.name)
    before = func.lag(commit.c.leaf).over(partition_by=own, order_by=commit.c.index).label("before")
    line = select(*own, commit.c.parent, before).where(commit.c.origin == commit.c.owner, commit.c.ref == MAIN).subquery()
    late = select(line.c.owner, line.c.kind, line.c.name).where(
        line.c.parent != "", line.c.parent != func.coalesce(line.c.before, "")
    )
    beside = select(*own).where(commit.c.origin == commit.c.owner, commit.c.ref != MAIN, commit.c.ref.not_like("refs/pr/%"))
    rows = (row_ for query in (turned, late.distinct(), beside.distinct()) for row_ in db.execute(query))
    return {RepoId(owner=by, kind=kind, name=called) for by, kind, called in rows}


def communities(db: Connection, by: str | None = None, name: str | None = None) -> list[Gathering]:
    """The communities that stand, those of one member, or the one that it calls `name`: in the order of title and member."""
    standing = _standing(by, name)
    here = and_(gathered.c.origin == standing.c.origin, gathered.c.index == standing.c.place)
    count = select(func.count()).where(here).scalar_subquery()
    names = [each.name for each in fields(Gathering) if each.name not in ("by", "count")]
    columns = select(standing.c.origin.label("by"), *(standing.c[name] for name in names), count.label("count"))
    found = [Gathering(**each) for each in db.execute(columns).mappings()]
    return sorted(found, key=lambda each: (each.title.casefold(), each.by, each.name))


def repos_in(db: Connection, gathering: Gathering) -> list[RepoId]:
    """The repos that a community names, in its order, whether they are here or not."""
    said_there = gathered.c.origin == gathering.by, gathered.c.index == gathering.place
    rows = db.execute(select(gathered.c.owner, gathered.c.kind, gathered.c.name).where(*said_there).order_by(gathered.c.part))
    return [RepoId(owner=owner, kind=kind, name=name) for owner, kind, name in rows]


def gatherers(db: Connection, repo: RepoId, names: set[str]) -> list[tuple[str, str, str]]:
    """The communities that name a repo, under any of its `names`, as they stand: by whom, under which name, and the title."""
    standing = _standing()
    here = and_(gathered.c.origin == standing.c.origin, gathered.c.index == standing.c.place)
    about = (gathered.c.owner == repo.owner, gathered.c.kind == repo.kind, gathered.c.name.in_(names))
    query = select(standing.c.origin, standing.c.name, standing.c.title).join(gathered, here).where(*about).distinct()
    return sorted(((by, name, title) for by, name, title in db.execute(query)), key=lambda each: (each[2].casefold(), each))


def _standing(by: str | None = None, name: str | None = None) -> Subquery:
    """The last statement of each name of each member; a row has a method that is called index, so it is `place`."""
    columns = select(
        community.c.origin, community.c.name, func.max(community.c.index).label("place"), func.min(community.c.at).label("since")
    )
    if by is not None:
        columns = columns.where(community.c.origin == by)
    if name is not None:
        columns = columns.where(community.c.name == name)
    newest = columns.group_by(community.c.origin, community.c.name).subquery()
    here = and_(community.c.origin == newest.c.origin, community.c.index == newest.c.place)
    return select(community, newest.c.place, newest.c.since).join(newest, here).subquery()


def people(db: Connection, origin: str) -> list[str]:
    """Who of a member committed, liked or gathered something in public, by name."""
    said_by = (select(each.c.person).where(each.c.origin == origin).distinct() for each in (commit, like, community))
    return sorted({name for query in said_by for name in db.scalars(query)})


def stamp_of(db: Connection, *what: str) -> int:
    """How much was said of all repos, or how often any of `what`: a number that changes when what follows from it may."""
    query = select(func.count()).select_from(said)
    return int(db.scalar(query.where(said.c.what.in_(what)) if what else query) or 0)


def _newest_commits() -> Subquery:
    """Where the newest commit on main stands, of each name of a repo. One that lost a race counts too; the repo itself knows."""
    columns = select(commit.c.origin, func.max(commit.c.index).label("index"))
    own = columns.where(commit.c.origin == commit.c.owner, commit.c.ref == MAIN)
    return own.group_by(commit.c.origin, commit.c.kind, commit.c.name).subquery()


def _newest(db: Connection, known: Mapping[RepoId, RepoId]) -> dict[RepoId, Any]:
    last = _newest_commits()
    query = select(commit).join(last, and_(commit.c.origin == last.c.origin, commit.c.index == last.c.index))
    found: dict[RepoId, Any] = {}
    for each in db.execute(query.order_by(commit.c.index)):
        repo = known.get(RepoId(owner=each.owner, kind=each.kind, name=each.name))
        if repo is not None:
            found[repo] = each
    return found


def _facets(db: Connection) -> dict[tuple[str, int], dict[str, tuple[str, ...]]]:
    """What the newest commits say in lists, by where each stands."""
    last = _newest_commits()
    query = select(facet).join(last, and_(facet.c.origin == last.c.origin, facet.c.index == last.c.index))
    found: dict[tuple[str, int], dict[str, tuple[str, ...]]] = {}
    for each in db.execute(query.order_by(facet.c.origin, facet.c.index, facet.c.part)):
        of_one, name = found.setdefault((each.origin, each[1]), {}), _LISTS[each.what]  # a row has a method that is called index
        of_one[name] = (*of_one.get(name, ()), each.value)
    return found


def _likes(db: Connection, known: Mapping[RepoId, RepoId], since: Mapping[RepoId, int]) -> set[tuple[str, str, RepoId]]:
    """Who likes which repo, as in its fold: the last word of each person counts, as it is dated, within the bound of its member."""
    name = (like.c.owner, like.c.kind, like.c.name)
    place = func.row_number().over(partition_by=(like.c.origin, *name), order_by=like.c.index)
    here = and_(said.c.origin == like.c.origin, said.c.index == like.c.index)
    placed = select(like, said.c.at, place.label("place")).join(said, here).subquery()
    counting = or_(placed.c.origin == placed.c.owner, placed.c.place <= bounds.LIKES_MAX)
    found: set[tuple[str, str, RepoId]] = set()
    for each in db.execute(select(placed).where(counting).order_by(placed.c.at, placed.c.origin, placed.c.index)):
        repo = known.get(RepoId(owner=each.owner, kind=each.kind, name=each.name))
        if repo is not None and each.at >= since.get(repo, each.at):
            (found.add if each.liked else found.discard)((each.origin, each.person, repo))
    return found


def pointers(db: Connection, repo: RepoId, names: set[str]) -> list[Pointer]:
    """What counts of all that was said of a repo under any of its `names`, each log's in its order (`commons.bounds`)."""
    own, about = said.c.origin == repo.owner, _about(repo, names)
    columns = (said.c.origin, said.c.index, said.c.leaf, said.c.discussion)
    crowded = sum(_count(db, and_(each, ~own)) for each in about) > min(bounds.ANSWERS_MAX, bounds.SAID_MAX, bounds.LIKES_MAX)
    queries = [select(*columns).where(each, own) if crowded else select(*columns).where(each) for each in about]
    if crowded:
        heard = _heard(*(and_(each, ~own) for each in about))
        queries.append(select(*columns).join(heard, and_(said.c.origin == heard.c.origin, said.c.index == heard.c.index)))
    return sorted(Pointer(*row_) for query in queries for row_ in db.execute(query))


def _heard(of: ColumnElement[bool], answers: ColumnElement[bool]) -> Subquery:
    """Where that stands which counts of what others said `of` a repo, and as `answers` in its discussions."""
    columns = (said.c.origin, said.c.index, (said.c.what == "like").label("liked"))
    among = func.row_number().over(partition_by=(said.c.discussion, said.c.origin), order_by=said.c.index)  # as the index has it
    ranked = (
        select(said.c.origin, said.c.index, literal(value=False).label("liked"), among.label("among")).where(answers).subquery()
    )
    within = select(*list(ranked.c)[:3]).where(ranked.c.among <= bounds.ANSWERS_MAX)
    all_ = union_all(select(*columns).where(of), within).subquery()
    place = func.row_number().over(partition_by=(all_.c.origin, all_.c.liked), order_by=all_.c.index)
    placed = select(all_, place.label("place")).subquery()
    most = case((placed.c.liked, bounds.LIKES_MAX), else_=bounds.SAID_MAX)
    return select(placed.c.origin, placed.c.index).where(placed.c.place <= most).subquery()


def answered(db: Connection, repo: RepoId, names: set[str]) -> dict[str, int]:
    """How much was said in each discussion of a repo, whether it counts or not, by the leaf hash of the discussion."""
    _, answers = _about(repo, names)
    counts = select(said.c.discussion, func.count()).where(answers).group_by(said.c.discussion)
    return dict(map(tuple, db.execute(counts)))


def has_room(db: Connection, repo: RepoId, names: set[str], by: str, discussion: str | None) -> bool:
    """Whether one thing more counts that a member says of another's repo, in a `discussion` of it (""), or as a like (None)."""
    mine = said.c.origin == by
    of, answers = (and_(mine, each) for each in _about(repo, names))
    if discussion is None:
        return _count(db, and_(of, said.c.what == "like")) < bounds.LIKES_MAX
    room = _count(db, and_(of, said.c.what != "like")) + _count(db, answers) < bounds.SAID_MAX
    return room and (not discussion or _count(db, and_(mine, said.c.discussion == discussion)) < bounds.ANSWERS_MAX)


def version(db: Connection, repo: RepoId, names: set[str]) -> int:
    """How much was said of a repo: a number that grows with it."""
    return sum(_count(db, each) for each in _about(repo, names))


def _count(db: Connection, which: ColumnElement[bool]) -> int:
    return int(db.scalar(select(func.count()).select_from(said).where(which)) or 0)


def _about(repo: RepoId, names: set[str]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """What was said of a repo by its name, and what in its discussions: nothing is both."""
    of = and_(said.c.owner == repo.owner, said.c.kind == repo.kind, said.c.name.in_(names))
    return of, said.c.discussion.in_(select(said.c.leaf).where(of, said.c.what == "discussion"))


PILLAR = Pillar(
    "commons",
    TABLES,
    {
        Open: on_own,
        Configure: on_configure,
        Move: on_move,
        Close: on_own,
        Commit: on_commit,
        Point: on_own,
        Discussion: on_discussion,
        Comment: on_answer,
        Settle: on_answer,
        Like: on_like,
        Community: on_community,
    },
    {
        Open: Role.PUBLISHER,
        Configure: Role.PUBLISHER,
        Move: Role.PUBLISHER,
        Close: Role.PUBLISHER,
        Commit: Role.PUBLISHER,
        Point: Role.PUBLISHER,
        Discussion: Role.PUBLISHER,
        Comment: Role.PUBLISHER,
        Settle: Role.PUBLISHER,
        Like: Role.PUBLISHER,
        Community: Role.PUBLISHER,
    },
)
