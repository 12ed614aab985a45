"""Reading through what is stored, a little every day, so that what the disk lost is had again before somebody asks for it.

1. All xorbs, shards and blobs are read once in `scrub_days`, in the order of their names, which are hashes: so the way through the
   names is the way through the bytes, and at any time it is known what is due. No more than `scrub_rate` bytes a second are read,
   and only within `scrub_window`. What is behind, because the node was off, is caught up with at that rate.
2. What is not what was written is found no more from that moment on (*set aside*), and what is sound of it is kept: a file that
   does not have the damaged chunk loses nothing (`Chunks.salvage`).
3. What files of repos lack is asked of peers, like a file that nobody waits for: at the rate and in the window of each. Only what
   a commit of a repo here puts is asked for, and nothing that was erased or is held. What no peer has is tried again every hour.
4. What was found, whether it was mended, and why not, is noted in node.db (`concord.private.damages`) and told in the log of the
   process, by `concord log status` and on the page of peers.

It can be cut off at any point: what is set aside stays so, what files lack is computed from the index each time, and the place
reached is noted every now and then, so that a little is read twice. Nothing of it is ever served before it is verified.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from logging import getLogger

from msgspec.structs import replace
from sqlalchemy import select

from concord.config import within
from concord.content import Content
from concord.errors import BusyError, ConcordError, DamagedError, MissingError, StorageError
from concord.ledger.identity import label
from concord.ledger.view import blobs as named_blobs
from concord.node import Node
from concord.operations.courier import Courier
from concord.pillars.commons import File, Repo
from concord.private import damages
from concord.private.damages import Damage, Round
from concord.shelf import Reader

logger = getLogger("concord.scrub")

DAY = 86_400
AGAIN = 3600  # seconds after which what could not be mended is tried again
BREATH = 0.05  # seconds that must be owed to the rate before it is waited for
SAVED = 16 << 20  # bytes after which the place is noted
FOLDERS = tuple(f"{number:02x}" for number in range(256))
KINDS = ("blobs", "xorbs", "shards", "notes")
ADVICE = "Add a peer that has it (`concord peer add`), take it in by a bundle, publish it again, or restore blobs/ from a backup"

Wait = Callable[[float], bool]  # wait so many seconds; whether to stop


def scrub(node: Node, courier: Courier, wait: Wait) -> None:
    """Read on as far as it is due, then mend what can be mended; return at once when `wait` says so. StorageError from the disk."""
    if node.settings.scrub_days and not _Reading(node, wait).go_on():
        return
    for name in node.chunks.lost() if node.has_chunks else ():
        node.lost("xorb", name, "it is not here, and files have chunks of it")
    mend(node, courier, lambda: wait(0))


# Reading: rules 1 and 2


class _Reading:
    """The way through all that is stored."""

    def __init__(self, node: Node, wait: Wait) -> None:
        self._node, self._wait = node, wait
        self._free = time.monotonic()  # until when the bytes that were read may take
        with node.private_reading() as db:
            self._round = damages.last_round(db) or Round(node.clock())
        self._saved = self._round.read

    def go_on(self) -> bool:
        """Read what is due. False if it was stopped."""
        try:
            for place in self._due():
                size = self._look(place)
                if size is None:
                    return False
                self._round = replace(self._round, place=place, read=self._round.read + size)
                if self._round.read - self._saved >= SAVED:
                    self._save()
        finally:
            self._save()
        return True

    def _due(self) -> Iterator[str]:
        """What is to be looked at now; behind the last of it the next round begins."""
        begun, after = self._round.begun, self._round.place
        for number in range(FOLDERS.index(after[:2]) if after else 0, len(FOLDERS)):
            if self._node.clock() < begun + self._node.settings.scrub_days * DAY * number // len(FOLDERS):
                return
            for place in _places(self._node, FOLDERS[number], after):
                if not within(self._node.settings.scrub_window or None, self._node.clock()):
                    return
                yield place
        self._end()

    def _end(self) -> None:
        """Let the next round begin when this one should have ended, or now if that was before."""
        now = self._node.clock()
        logger.info("all that is stored was read through: %d bytes since %d", self._round.read, self._round.begun)
        self._round = Round(max(now, self._round.begun + self._node.settings.scrub_days * DAY), ended=now)

    def _save(self) -> None:
        with self._node.private_writing() as db:
            damages.put_round(db, self._round)
        self._saved = self._round.read

    def _look(self, place: str) -> int | None:
        """Look at what is at a place: how many bytes were read, or None if it was stopped."""
        _, kind, name = place.split("/")
        size = 0
        for count in _LOOKS[int(kind)](self._node, name):
            size += count
            now = time.monotonic()
            self._free = max(self._free, now) + count / self._node.settings.scrub_rate
            if self._wait(self._free - now if self._free - now > BREATH else 0):
                return None
        return size


def _places(node: Node, folder: str, after: str) -> Iterator[str]:
    """What is to be looked at in a folder, behind a place: folder, number of the kind and name, in the order of their spelling."""
    for number, kind in enumerate(KINDS):
        for name in _names(node, kind, folder):
            if (place := f"{folder}/{number}/{name}") > after:
                yield place


def _names(node: Node, kind: str, folder: str) -> list[str]:
    match kind:
        case "blobs":
            return list(node.blobs.digests(folder))
        case "notes":
            return [folder]
    return node.chunks.names(kind, folder) if node.has_chunks else []


def _look_at_blob(node: Node, digest: str) -> Iterator[int]:
    try:
        yield from node.blobs.checking(digest)
    except DamagedError as e:
        node.lost("file", digest, str(e))
        node.blobs.set_aside(digest, node.clock())
    except MissingError:
        return  # cleared away meanwhile


def _look_at_xorb(node: Node, name: str) -> Iterator[int]:
    try:
        yield from node.chunks.checking(name)
    except DamagedError as e:
        node.lost("xorb", name, str(e))
        node.chunks.set_aside(name)
        node.chunks.salvage(node.clock())
    except MissingError:
        return


def _look_at_shard(node: Node, name: str) -> Iterator[int]:
    """What the index says to be here, and is not, is found by `Chunks.lost` from then on."""
    try:
        for xorb in node.chunks.check_shard(name):
            node.chunks.set_aside(xorb)
    except DamagedError as e:
        if (entry := node.chunks.by_hash(name)) is not None:
            node.lost("file", entry.sha256, str(e))
    except FileNotFoundError:
        return
    yield 0


def _look_at_notes(node: Node, folder: str) -> Iterator[int]:
    """What repos are noted to have, and nothing goes by that name any more."""
    for _, digest in Content(node).gone(folder):
        node.lost("file", digest, "it is noted as here, and its bytes are gone")
    yield 0


_LOOKS: tuple[Callable[[Node, str], Iterator[int]], ...] = (_look_at_blob, _look_at_xorb, _look_at_shard, _look_at_notes)


# Mending: rule 3


def mend(node: Node, courier: Courier, stopped: Callable[[], bool]) -> None:
    """Try to have again what is not mended, and was not tried within the hour."""
    with node.private_reading() as db:
        due = damages.due(db, node.clock() - AGAIN)
    mender = _Mender(node, courier) if due else None
    for each in due:
        if mender is None or stopped():
            return
        try:
            how = mender.mend(each)
        except (StorageError, BusyError):
            raise
        except ConcordError as e:
            _told(node, each, str(e))
        else:
            with node.private_writing() as db:
                damages.mended(db, each.kind, each.name, how, node.clock())
            logger.warning("mended: %s %s%s", each.kind, each.name, how and f": {how}")


def _told(node: Node, each: Damage, why: str) -> None:
    """Note why something could not be mended, and tell it if that is new."""
    with node.private_writing() as db:
        damages.tried(db, each.kind, each.name, why, node.clock())
    if each.why != why[: damages.WORDS_MAX]:
        logger.warning("not mended: %s %s: %s", each.kind, each.name, why)


@dataclass(frozen=True)
class _Needing:
    """A file that a repo here needs."""

    repo: Repo
    file: File

    @property
    def words(self) -> str:
        return f"{self.file.path} of {label(self.repo.id.owner)}/{self.repo.id.name}"


class _Mender:
    """Has again what repos need. Its methods say how it was mended, or raise why it was not."""

    def __init__(self, node: Node, courier: Courier) -> None:
        self._node, self._courier, self._shelf = node, courier, Reader(node)
        self._repos = {repo.root: repo for repo in self._shelf.everything()}

    def mend(self, each: Damage) -> str:
        return self._mend_xorb(each.name) if each.kind == "xorb" else self._mend_file(each.name)

    def _mend_xorb(self, name: str) -> str:
        chunks, errors, how = self._node.chunks, list[str](), ""
        chunks.salvage(self._node.clock())
        for digest in sorted(chunks.users(name)):
            if chunks.has_xorb(name):
                break
            try:
                how = self._mend_file(digest)
            except (StorageError, BusyError):
                raise
            except ConcordError as e:
                errors.append(str(e))
        if chunks.has_xorb(name):
            return how
        if not (errors or chunks.users(name)):
            return "no file here has chunks of it any more"
        raise DamagedError("; ".join(dict.fromkeys(errors)) or "no file that needs it could be made of others")

    def _mend_file(self, digest: str) -> str:
        if self._is_whole(digest):
            return ""
        needing = [found for root in sorted(self._shelf.content.brought(digest)) for found in self._needing(root, digest)]
        for each in sorted(needing, key=lambda found: found.repo.private or found.repo.gate != "open"):
            self._check(each)
            try:
                self._courier.repair(each.repo, each.file)
            except DamagedError as e:
                raise DamagedError(f"{each.words}: {e.__cause__ or e}. {ADVICE}") from e
            return f"{each.words} came again"
        return self._unneeded(digest)

    def _check(self, each: _Needing) -> None:
        """MissingError, HeldError or ErasedError if a file may not be asked for."""
        self._node.blobs.check_allowed(each.file.sha256)
        if each.repo.private or each.repo.gate != "open":
            raise MissingError(
                f"{each.words}: no peer has it, since the repo is not open. Send it again, or restore blobs/ from a backup"
            )

    def _is_whole(self, digest: str) -> bool:
        """Whether all of a file is here by now; its shard is written anew if that is what was damaged."""
        entry = self._node.chunks.by_digest(digest) if self._node.has_chunks else None
        if entry is None or self._node.chunks.missing(entry.hash):
            return entry is None and self._node.blobs.have(digest)
        try:
            self._node.chunks.check_shard(entry.hash)
        except (DamagedError, FileNotFoundError):
            self._node.chunks.remake(entry.hash, self._node.clock())
        return True

    def _needing(self, root: str, digest: str) -> Iterator[_Needing]:
        """The file in a repo, if a commit of it puts it."""
        repo = self._repos.get(root)
        for revision in repo.revisions.values() if repo else ():
            with suppress(ConcordError):  # its list of files is not here, or none
                for file in self._shelf.changes(revision).put:
                    if repo and file.sha256 == digest:
                        yield _Needing(repo, file)
                        return

    def _unneeded(self, digest: str) -> str:
        """Bytes that no commit names: what to say if nobody else does, either."""
        with self._node.reading() as db:
            query = select(named_blobs.c.salted).where(named_blobs.c.blob == digest)
            salted = db.scalars(query).all()
        if salted and not all(salted):
            raise MissingError("a record names it: it comes with the logs, from the first peer that has it")
        if salted:
            raise MissingError("it is personal, and nobody else has it: restore it from a backup")
        if self._shelf.content.brought(digest):
            raise MissingError("no commit here names it: it goes when the next clearing away finds it")
        return "nothing here needs it any more"
