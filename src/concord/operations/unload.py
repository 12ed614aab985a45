"""Taking the files of repos out of a bundle, or out of a folder that one was unzipped into, once its logs are here.

1. What lies there only says what could be asked for. A file is asked for if a commit of that very repo names it, the repo is
   public and open, and the bytes are not here, or no longer whole. All else is told in numbers: whoever made the bundle chose the
   names.
2. It comes as from any peer (`concord.operations.courier`): chunk by chunk, each verified against the commit, and counts once all
   of it is here. That the bytes are on this node already, for another repo, gives them to nobody.
3. What was taken in stays, so that the same bundle, taken in once more after a cut, only brings the rest.

One file that is forged or damaged stops none of the others.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from concord.edges.peer.pieces import counting
from concord.edges.peer.source import Carrier, Counted
from concord.errors import BusyError, ConcordError, MalformedError, MissingError, RefusedError, StorageError
from concord.ledger.identity import label
from concord.ledger.progress import Progress, silent
from concord.node import Node
from concord.operations import keeping
from concord.operations.courier import Courier
from concord.pillars.commons import File, Repo
from concord.shelf import Reader


@dataclass
class Unloaded:
    """How many files were taken in, and what went wrong, by file or repo."""

    files: int = 0
    wrong: dict[str, ConcordError] = field(default_factory=dict)


def unload(node: Node, source: Carrier, progress: Progress = silent) -> Unloaded:
    """Take in the files of repos that `source` has; the numbers are those of the module docstring. Progress is in bytes.

    StorageError if the disk refuses.
    """
    shelf, done = Reader(node), Unloaded()
    counted = Counted(source, partial(counting(source.size, progress), source.name))
    for root, digests in sorted(_by_root(source).items()):
        repo = shelf.opened(root)
        if repo is None or repo.private or repo.gate != "open":
            done.wrong[f"repo {root[:16]}"] = RefusedError(f"{len(digests)} files of a repo that is not here, or is not open")
            continue
        courier = Courier(node, lambda _repo, _settings, _patience: [counted])  # one for each, lest repos wait for each other
        _unload_repo(shelf, courier, repo, digests, done)
    keeping.evict(node)
    return done


def _by_root(source: Carrier) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for root, digest in source.contents():
        found[root].add(digest)
    return found


def _unload_repo(shelf: Reader, courier: Courier, repo: Repo, digests: set[str], done: Unloaded) -> None:
    name = f"{label(repo.id.owner)}/{repo.id.name}"
    named = {file.sha256: file for file in _named(shelf, repo) if file.sha256 in digests}  # 1
    if len(named) < len(digests):
        done.wrong[name] = RefusedError(f"{len(digests) - len(named)} files that no commit of it names")
    here = shelf.content.whole(repo, named)
    for file in sorted((file for digest, file in named.items() if digest not in here), key=lambda file: (file.size, file.sha256)):
        try:
            courier.bring(repo, file)
            done.files += 1
        except (StorageError, BusyError):
            raise
        except ConcordError as e:
            done.wrong[f"{file.path} of {name}"] = e


def _named(shelf: Reader, repo: Repo) -> Iterator[File]:
    """The files that any commit of a repo names."""
    for revision in repo.revisions.values():
        with suppress(MissingError, MalformedError):  # its list of files is not here, or none
            yield from shelf.changes(revision).put
