"""Pulling a repo: its files, from several nodes at once, into the cache that the usual clients read.

1. The logs come first, from every peer that answers, so that the newest revision is known. If none does, what is here counts, and
   the result says as of when.
2. Each file that the target lacks is read from the store of this node, which fetches what it lacks chunk by chunk from whoever has
   it. What came stays, however the run ends, so that the next one asks only for the rest.
3. The snapshot gets its links, its receipt, and last its ref.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from threading import Lock

from concord.config import Settings
from concord.edges.peer.pull import pull as pull_logs
from concord.edges.peer.source import Carrier, HttpSource, Source
from concord.errors import ConcordError, MissingError, RefusedError, StorageError, UnreachableError
from concord.ledger.progress import Progress
from concord.node import Node
from concord.operations import keeping, receipts
from concord.operations.cache import Target
from concord.operations.courier import Courier
from concord.operations.lines import Line
from concord.operations.upkeep import pull_from
from concord.pillars.commons import File, Repo, Revision, Tree
from concord.pillars.commons.records import Kind
from concord.private import peers
from concord.private.people import Speaker
from concord.shelf import Reader

FILES = 4  # that are on their way at a time
AHEAD = 64  # files that wait for their turn
SHOWN = 5  # files that are named where none fits


@dataclass(frozen=True)
class Wish:
    """What to pull: files whose path fits one of `include` (none: all) and none of `exclude`, as `fnmatch` reads them.

    `sources` are addresses to ask instead of the peers of the node, `carried` bundles and folders to take from instead (none of
    either: the peers).
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    sources: Sequence[str] = ()
    carried: Sequence[Carrier] = ()

    def has(self, path: str) -> bool:
        """Whether a file is wanted.

        >>> Wish(include=["*.json", "data/"]).has("data/a.bin"), Wish(exclude=["*.bin"]).has("a.bin")
        (True, False)
        """
        included = not self.include or any(_fits(path, pattern) for pattern in self.include)
        return included and not any(_fits(path, pattern) for pattern in self.exclude)


@dataclass
class Heard:
    """How the pull of the logs went: who answered, what went wrong with the others, and as of when what is here is."""

    answered: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)
    as_of: int | None = None


@dataclass
class Pulled:
    """What was pulled: how many files and bytes the revision has of those wanted, how many were written, and what went wrong.

    `idle` are the patterns to include that fit nothing, while others did.
    """

    files: int = 0
    size: int = 0
    written: int = 0
    wrong: dict[str, ConcordError] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)


def hear(node: Node, wish: Wish, progress: Progress) -> Heard:
    """Pull the logs from every source. MissingError if there is none to ask."""
    with node.private_reading() as db:
        known = {peer.url: peer.answered for peer in peers.everyone(db)}
    heard = Heard()
    asked: list[str | Source] = [*wish.carried, *wish.sources] or list(known)
    for each in asked:
        name = each if isinstance(each, str) else each.name
        try:
            if isinstance(each, str) and each.rstrip("/") in known:
                pull_from(node, each.rstrip("/"), progress)
            else:
                pull_logs(node, HttpSource(each, node.settings) if isinstance(each, str) else each, progress)
            heard.answered.append(name)
        except ConcordError as e:
            heard.wrong[name] = str(e)
    heard.as_of = node.clock() if heard.answered else max((at for at in known.values() if at), default=None)
    return heard


def courier_for(node: Node, wish: Wish) -> Courier:
    """Who brings the files: from the sources that were named, or from the peers."""
    if not wish.sources and not wish.carried:
        return Courier(node)
    line = Line(node)
    with node.private_reading() as db:
        known = {peer.url: peer for peer in peers.everyone(db)}
    named = [known.get(url.rstrip("/"), peers.Peer(url, 0)) for url in wish.sources]

    def sources(_repo: Repo, settings: Settings, patience: int) -> list[Source]:
        return [*wish.carried, *(line.source(peer, settings, patience) for peer in named)]

    return Courier(node, sources)


def find(shelf: Reader, kind: Kind, name: str, asker: Speaker | None) -> Repo:
    """The repo that clients call `name`. MissingError if there is none; RefusedError if its files are not for `asker`."""
    namespace, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        raise MissingError(f"{name[:200]!r} is not the id of a repo, such as nairobi/words")
    repo = shelf.find(shelf.repo_id(kind, namespace, rest), asker)
    if not shelf.may_read(repo, asker):
        raise RefusedError(f"{name} is given to those whom its owner admits. Ask there, then download it from the owner's node")
    return repo


def pull(shelf: Reader, repo: Repo, revision: Revision, target: Target, wish: Wish, progress: Progress) -> Pulled:
    """Pull the files of a revision into a target; what goes wrong with one stops no other.

    MissingError if there are files and none is wanted; StorageError if the disk refuses.
    """
    tree = shelf.tree(repo, revision)
    wanted = _chosen(tree, wish)
    done = Pulled(len(wanted), sum(file.size for file in wanted))
    done.idle = [pattern for pattern in wish.include if not any(_fits(path, pattern) for path in tree)]
    counted, turn = 0, Lock()
    often = Counter(file.sha256 for file in wanted)
    alone = {digest: Lock() for digest, count in often.items() if count > 1}  # two paths may have the same bytes

    def came(name: str, count: int) -> None:
        nonlocal counted
        with turn:
            counted += count
            progress(name, counted, done.size)

    def one(file: File) -> bool:
        with alone.get(file.sha256) or nullcontext():
            here = target.has(file)
            if here:
                came(file.path, file.size)
            else:
                target.put(file, shelf.read(repo, file), lambda count: came(file.path, count))
            target.link(file)
            return not here

    with ThreadPoolExecutor(FILES) as pool:
        for file, written in _ahead(pool, one, wanted):
            try:
                done.written += written.result()
            except StorageError:
                pool.shutdown(cancel_futures=True)
                raise
            except ConcordError as e:
                done.wrong[file.path] = e
    return done


def _chosen(tree: Tree, wish: Wish) -> list[File]:
    """The files that are wanted, in order. MissingError if there are some, and none is."""
    wanted = [file for path, file in sorted(tree.items()) if wish.has(path)]
    if tree and not wanted:
        raise MissingError(_unfitting(wish, sorted(tree)))
    return wanted


def _ahead(pool: Executor, work: Callable[[File], bool], files: Iterable[File]) -> Iterator[tuple[File, "Future[bool]"]]:
    """The files and their work, in order, begun AHEAD files before it is waited for: a repo may have a hundred thousand."""
    rest = iter(files)
    begun = deque((file, pool.submit(work, file)) for file in islice(rest, AHEAD))
    while begun:
        yield begun.popleft()
        begun.extend((file, pool.submit(work, file)) for file in islice(rest, 1))


def settle(node: Node, courier: Courier, repo: Repo, revision: Revision, target: Target, ref: str | None) -> None:
    """Once all files are there: the receipt, the ref, and what is too much for this node goes."""
    courier.wait()
    if not repo.private:
        receipts.save(node, repo, revision, target.notes, alone=target.alone)
    target.finish(ref)
    keeping.evict(node)


def complaint(done: Pulled) -> ConcordError:
    """What to say of files that did not come."""
    path, error = next(iter(done.wrong.items()))
    more = f", and {len(done.wrong) - 1} more" if len(done.wrong) > 1 else ""
    words = f"{len(done.wrong)} of {done.files} files did not come; what came stays. {path}{more}: {error}"
    return UnreachableError(words) if isinstance(error, UnreachableError) else MissingError(words)


def _unfitting(wish: Wish, paths: Sequence[str]) -> str:
    """What to say where nothing is wanted of what there is."""
    included = [f"--include {pattern!r}" for pattern in wish.include]
    asked = " ".join([*included, *(f"--exclude {pattern!r}" for pattern in wish.exclude)])
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    few = f"none of the {len(paths)} files fits" if len(paths) > 1 else "the one file that there is does not fit"
    return (
        f"nothing to pull: {few} {asked}. There is {', '.join(paths[:SHOWN])}{more}. A * fits slashes, too; a folder ends with one"
    )


def _fits(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern + "*" if pattern.endswith("/") else pattern)
