"""A repo as git knows it: the objects that its commits, folders and files are there, made from the records alone.

Every node makes the same of the same records, so whoever cloned a repo from one node can fetch from another. A file or folder has
the hash that it has everywhere in the commons (`concord.pillars.commons.tree`); a large file is the pointer to it. A commit of git
is made of a record, and its last line names that record by leaf hash:

    tree 0d4b…                                                      all files after it
    parent 5ac3…                                                    the commit before, and the head of a pull request that it merges
    author amina <amina@example-ke.concord.alt> 1795592097 +0000    the person, and the origin of the member who said it

    The first version

    Concord-Commit: e49911f11aeeb7540e588a2d7bbc9be921b54611…

A change costs the folders that it touches. Formats: git's own documentation, gitformat-pack(5), and chapter 10.2 of its book.

>>> objects = Objects()
>>> objects.add_tree(None, Changes(put=(File(path="a/b", size=3, sha256="9f" * 32, oid="ab" * 20),))).hex()
'28129406a37dad9c97d586f71bae4f566d22cbbd'
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha1

from concord.errors import MissingError, TooLargeError
from concord.pillars.commons.records import Changes
from concord.pillars.commons.repo import Repo, Revision
from concord.pillars.commons.tree import File, git_oid

SIZE_MAX = 64 << 20  # bytes of the commits and folders of one repo, which are in memory while it is cloned
OPEN_MAX = 200_000  # entries of folders that are kept ready to be changed

Oid = bytes  # 20 of them
Entry = tuple[bool, Oid]  # whether it is a folder, and its hash
Folder = dict[bytes, Entry]


@dataclass
class Patch:
    """What becomes of a folder: what is put into it. With `anew`, all that was there goes first."""

    anew: bool = False
    into: "dict[bytes, File | Patch]" = field(default_factory=dict)


class Objects:
    """The commits and folders of a repo, by their hash, and which file each hash of a file is."""

    def __init__(self) -> None:
        self.commits: dict[Oid, bytes] = {}
        self.folders: dict[Oid, bytes] = {}
        self.files: dict[Oid, File] = {}
        self.names: dict[str, Oid] = {}  # of revisions, by their leaf hash
        self.parents: dict[Oid, tuple[Oid, ...]] = {}
        self.trees: dict[Oid, Oid] = {}
        self.size = 0
        self._open: dict[Oid, Folder] = {}
        self._room = OPEN_MAX

    def add(self, revision: Revision, changes: Changes, most: int = SIZE_MAX) -> Oid:
        """The commit of a revision, after those that it follows. TooLargeError once all is over `most` bytes."""
        if self.size > most:
            raise TooLargeError(f"the commits and folders of this repo are over {most >> 20} MiB for git. Use hf download")
        commit = revision.commit
        before = self.names.get(commit.parent) if commit.parent else None
        merged = self.names.get(commit.merges) if commit.merges else None
        tree = self.add_tree(self.trees[before] if before else None, changes)
        parents = tuple(each for each in (before, merged) if each is not None)
        raw = _commit(revision, tree, parents)
        name = self._kept(self.commits, b"commit", raw)
        self.names[revision.leaf], self.parents[name], self.trees[name] = name, parents, tree
        return name

    def add_tree(self, before: Oid | None, changes: Changes) -> Oid:
        """The folder of all files that `changes` make of another (None: of nothing)."""
        return self._grown(before, _patch(changes)) or self._kept(self.folders, b"tree", b"")

    def entries(self, folder: Oid) -> Iterator[Entry]:
        """What is in a folder: whether each is a folder, and its hash."""
        return iter(self._opened(folder).values())

    def _grown(self, before: Oid | None, patch: Patch) -> Oid | None:
        """The folder that a patch makes of another; None if nothing is in it, for git has no empty folders."""
        folder = dict(self._opened(before)) if before is not None and not patch.anew else {}
        for name, change in patch.into.items():
            if isinstance(change, File):
                oid = bytes.fromhex(git_oid(change))
                self.files[oid] = change
                folder[name] = (False, oid)
                continue
            is_folder, old = folder.pop(name, (False, b""))
            grown = self._grown(old if is_folder else None, change)
            if grown is not None:
                folder[name] = (True, grown)
        if not folder:
            return None
        return self._ready(self._kept(self.folders, b"tree", _tree(folder)), folder)

    def _opened(self, oid: Oid) -> Folder:
        folder = self._open.get(oid)
        if folder is None:
            folder = dict(_parsed(self.folders[oid]))
            self._ready(oid, folder)
        return folder

    def _ready(self, oid: Oid, folder: Folder) -> Oid:
        """Keep a folder ready to be changed, and if there are too many, only this one. Nobody changes it any more."""
        if self._room < 0:
            self._open, self._room = {}, OPEN_MAX
        self._open[oid] = folder
        self._room -= len(folder)
        return oid

    def _kept(self, objects: dict[Oid, bytes], kind: bytes, raw: bytes) -> Oid:
        oid = sha1(b"%b %d\0" % (kind, len(raw)) + raw, usedforsecurity=False).digest()
        if oid not in objects:
            objects[oid] = raw
            self.size += len(raw)
        return oid


def ordered(repo: Repo, leaf: str, known: Mapping[str, object]) -> Iterator[Revision]:
    """The commit of a repo with this leaf hash, and all that it follows and is not `known`, each after those that it follows."""
    done: set[str] = set()
    pending = [(leaf, False)]
    while pending:
        leaf, ready = pending.pop()
        if leaf in known or leaf in done:
            continue
        revision = repo.revisions[leaf]
        if ready:
            done.add(leaf)
            yield revision
            continue
        before = (revision.commit.parent, revision.commit.merges)
        pending += [(leaf, True), *((each, False) for each in before if each in repo.revisions)]


def refs(repo: Repo, names: Mapping[str, Oid]) -> dict[str, Oid]:
    """What git calls the branches, tags and pull requests of a repo, with the commit of each if it has a name."""
    found = {f"refs/heads/{branch}": leaf for branch, leaf in repo.branches.items()}
    found |= {f"refs/tags/{tag}": leaf for tag, (leaf, _) in repo.tags.items()}
    found |= {thread.ref: thread.head for thread in repo.threads.values() if thread.head}
    return {ref: names[leaf] for ref, leaf in sorted(found.items()) if leaf in names}


def closure(objects: Objects, commits: Iterable[Oid], cut: frozenset[Oid] = frozenset()) -> set[Oid]:
    """`commits`, and all that they follow, but for what those in `cut` follow. MissingError for one that there is none."""
    found: set[Oid] = set()
    pending = list(commits)
    while pending:
        commit = pending.pop()
        if commit in found:
            continue
        if commit not in objects.commits:
            raise MissingError(f"this repo has no commit {commit.hex()}")
        found.add(commit)
        pending += () if commit in cut else objects.parents[commit]
    return found


def contents(objects: Objects, trees: Iterable[Oid], known: set[Oid]) -> Iterator[Oid]:
    """The folders and files in `trees` that are not `known`, each once; they are known then."""
    pending = list(trees)
    while pending:
        folder = pending.pop()
        if folder in known:
            continue
        known.add(folder)
        yield folder
        for is_folder, oid in objects.entries(folder):
            if is_folder:
                pending.append(oid)
            elif oid not in known:
                known.add(oid)
                yield oid


def _patch(changes: Changes) -> Patch:
    patch = Patch()
    for path in changes.removed:
        folder, name = _reached(patch, path)
        folder.into[name] = Patch(anew=True)
    for file in changes.put:
        folder, name = _reached(patch, file.path)
        folder.into[name] = file
    return patch


def _reached(patch: Patch, path: str) -> tuple[Patch, bytes]:
    """The patch of the folder that a path is in, and its name there."""
    *folders, name = path.encode().split(b"/")
    for each in folders:
        inner = patch.into.get(each)
        if not isinstance(inner, Patch):
            inner = patch.into[each] = Patch()
        patch = inner
    return patch, name


def _tree(folder: Folder) -> bytes:
    """A folder as git writes it, in whose order the name of a folder ends with a slash."""
    lines = sorted((name + b"/" if is_folder else name, is_folder, oid) for name, (is_folder, oid) in folder.items())
    return b"".join(
        b"40000 %b\0%b" % (name[:-1], oid) if is_folder else b"100644 %b\0%b" % (name, oid) for name, is_folder, oid in lines
    )


def _parsed(raw: bytes) -> Iterator[tuple[bytes, Entry]]:
    at = 0
    while at < len(raw):
        space, end = raw.index(b" ", at), raw.index(b"\0", at)
        yield raw[space + 1 : end], (raw[at:space] == b"40000", raw[end + 1 : end + 21])
        at = end + 21


def _commit(revision: Revision, tree: Oid, parents: Iterable[Oid]) -> bytes:
    commit = revision.commit
    who = f"{commit.person} <{commit.person}@{commit.by.partition('/')[0]}> {commit.at} +0000"
    heads = [f"tree {tree.hex()}", *(f"parent {parent.hex()}" for parent in parents), f"author {who}", f"committer {who}"]
    words = [commit.title, commit.message.strip(), f"Concord-Commit: {revision.leaf}"]
    message = "\n\n".join(part for part in words if part).replace("\0", "")
    return "\n".join([*heads, "", f"{message}\n"]).encode()
