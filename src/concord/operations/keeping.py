"""Which files of other members' repos a node keeps: fetched ahead as the settings say, and dropped when there are too many.

`keep` says whose files come without being asked for: `demand` (nobody's), `all`, or members and repos. What comes so never pushes
out what somebody asked for: it stops where `content_bytes` is reached. What somebody asks for comes in any case, and pushes out
what was read longest ago. Bytes of our own members are never dropped, nor those that a hold keeps.

>>> matches("nairobi, lagos/words", "nairobi", "anything"), matches("nairobi, lagos/words", "lagos", "other")
(True, False)
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from logging import getLogger
from shutil import rmtree

from sqlalchemy import delete, select

from concord.errors import BusyError, ConcordError, MissingError, StorageError
from concord.ledger.identity import label
from concord.ledger.view import blobs as named_blobs
from concord.node import Node
from concord.operations.courier import Courier
from concord.pillars.commons import File, Repo
from concord.private import kept
from concord.private.tables import content
from concord.shelf import Reader

logger = getLogger("concord.keeping")

FRESH = 3600  # seconds for which a small file that came, or that somebody builds on, stays for whoever is about to be given it
UNFINISHED = 7 * 86_400  # seconds after which what came of a file that nobody went on with is dropped
DEMAND, ALL = "demand", "all"


@dataclass(frozen=True)
class Evicted:
    """How many files were dropped, and how many bytes these have. What large files alone were made of, and small ones that

    came within the hour, stay on the disk until `gc`.
    """

    files: int
    size: int


def keep(node: Node, courier: Courier, stopped: Callable[[], bool] = lambda: False) -> None:
    """Drop what is too much, then fetch what the settings say, until `stopped`."""
    dropped = evict(node)
    if dropped.files:
        logger.info("dropped %d files of others, %d bytes", dropped.files, dropped.size)
    sweep(node)
    prefetch(node, courier, stopped)


def prefetch(node: Node, courier: Courier, stopped: Callable[[], bool] = lambda: False) -> int:
    """Fetch files that are wanted and not here, the smallest of each repo first; how many came."""
    shelf, came = Reader(node), 0
    for repo, file in _wanted(node, shelf):
        if stopped():
            break
        with node.private_reading() as db:
            room = node.settings.content_bytes - kept.total(db)
        if file.size > room or shelf.have(repo, file) or not courier.may(repo):
            continue
        try:
            courier.bring(repo, file)
            came += 1
        except (StorageError, BusyError):
            raise
        except ConcordError as e:
            logger.info("%s of %s: %s", file.path, repo.id.name, e)
    return came


def evict(node: Node) -> Evicted:
    """Drop files of others until they take no more than the settings allow: those first that were read longest ago."""
    with node.private_reading() as db:
        over = kept.total(db) - node.settings.content_bytes
        oldest = list(kept.oldest(db)) if over > 0 else []
    files = size = 0
    for each in oldest:
        if over <= size:
            break
        if not node.blobs.holds(each.sha256):
            files, size = files + 1, size + _drop(node, each)
    return Evicted(files, size)


def sweep(node: Node) -> None:
    """Drop what came of files that nobody went on with for a week."""
    folder, now = node.blobs.root / "chunks" / "coming", time.time()
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            newest = max(each.stat().st_mtime for each in (path, *path.rglob("*")))
            if path.is_dir() and now - newest > UNFINISHED:
                rmtree(path)


def matches(policy: str, member: str, repo: str) -> bool:
    """Whether a policy names a repo, by its member or by itself."""
    named = {each.strip() for each in policy.split(",")}
    return policy.strip() == ALL or bool(named & {member, f"{member}/{repo}"})


def _wanted(node: Node, shelf: Reader) -> Iterator[tuple[Repo, File]]:
    """The files of branches and tags of all repos that the settings name."""
    policy, most = node.settings.keep, node.settings.keep_bytes
    if policy.strip() in ("", DEMAND):
        return
    hosted, seats = set(node.holdings.hosted()), node.roster().seats
    for identity in shelf.listed(None):
        seat = seats.get(identity.owner)
        if identity.owner in hosted or not matches(policy, seat.id if seat else label(identity.owner), identity.name):
            continue
        with suppress(MissingError):
            repo = shelf.find(identity, None)
            yield from ((repo, file) for file in _files(shelf, repo) if not most or file.size <= most)


def _files(shelf: Reader, repo: Repo) -> list[File]:
    """The files of the branches and tags of a repo, the smallest first."""
    found: dict[str, File] = {}
    for leaf in {*repo.branches.values(), *(leaf for leaf, _ in repo.tags.values())}:
        with suppress(ConcordError):  # a tree that cannot be read here stops nothing else
            found |= {file.sha256: file for file in shelf.tree(repo, repo.revisions[leaf]).values()}
    return sorted(found.values(), key=lambda file: (file.size, file.path))


def _drop(node: Node, each: kept.Fetched) -> int:
    """Let a repo have a file no more; how many bytes that makes free, which are none if another repo has it.

    First the notes go, for good, then the bytes, while nobody can be given them: whatever cuts this off, nothing is noted as here
    that is gone.
    """
    with node.private_writing() as db:
        kept.drop(db, each.repo, each.sha256)
        db.execute(delete(content).where(content.c.repo == each.repo, content.c.sha256 == each.sha256))
    with node.reading() as db:
        named = db.execute(select(named_blobs.c.blob).where(named_blobs.c.blob == each.sha256).limit(1)).first() is not None
    with node.private_writing() as db:
        elsewhere = db.execute(select(content.c.repo).where(content.c.sha256 == each.sha256).limit(1)).first() is not None
        if not elsewhere and not named:
            node.blobs.discard(each.sha256, node.clock() - FRESH)  # a large file is no blob: its chunks go with `gc`
    return 0 if elsewhere else each.size
