"""Publishing a folder: its files become one commit of a repo, on the home itself, with or without a server beside it.

1. All is looked at before anything is said: the paths, whether they can stand on every disk, the licence, the card.
2. The repo is opened if there is none.
3. The files are kept, the large ones chunk by chunk, by the same rule as at the Hub door (`attributes`). What stands in the repo
   already, and is here, is only read.
4. One commit says them all. If nothing changed there is none.

A file that the repo has and the folder lacks stays. The folder is not written to: where its README.md names no licence, the card
that is committed does.
"""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import sha256
from json import dumps
from pathlib import Path

import msgspec

from concord.errors import DamagedError, MalformedError, MissingError, RefusedError
from concord.ledger.identity import label
from concord.ledger.record import Language
from concord.operations.snapshots import PIECE, open_regular
from concord.pillars.commons import File, Repo, RepoId, Revision, Tree, attributes
from concord.pillars.commons.card import card, matter
from concord.pillars.commons.licence import licence, licences
from concord.pillars.commons.tree import check_path, git_blob
from concord.private.people import Speaker
from concord.shelf import Draft, Shelf

README = "README.md"
FILES_MAX = 100_000
GIVEN = 500  # files that the repo is given at once
IGNORED = {".git", ".cache", ".concord", "__pycache__"}
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}
_RESERVED = {"models", "datasets", "spaces", "api", "resolve"}  # as names of repos they would be taken for parts of an address
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Words:
    """What is said of a publication. Empty words are what the card says already, or a default."""

    license: str = ""
    languages: tuple[str, ...] = ()
    title: str = ""
    message: str = ""


@dataclass(frozen=True)
class Chosen:
    """Which files of a folder: those that fit `include` (all, if there is none), but for those that fit `exclude`."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def takes(self, path: str) -> bool:
        """Whether a file is chosen. A pattern is one of a shell; one that ends in a slash means all below."""
        fits = [any(fnmatchcase(path, _whole(each)) for each in some) for some in (self.include, self.exclude)]
        return (fits[0] or not self.include) and not fits[1]


@dataclass(frozen=True)
class Published:
    """What came of it: the repo, the revision that stands, whether the repo was opened, and how many files changed."""

    repo: Repo
    revision: Revision
    opened: bool
    changed: int
    files: int
    size: int


def publish(
    shelf: Shelf,
    speaker: Speaker,
    target: tuple[RepoId, bool],
    folder: Path,
    words: Words,
    chosen: Chosen = Chosen(),
    progress: Progress = lambda _name, _done, _all: None,
) -> Published:
    """Publish `folder` as the repo of `target`, which is made private if the second half says so, and there is none.

    MalformedError says what about the folder or the words cannot be; RefusedError if the speaker may not.
    """
    identity, private = target
    before = _standing(shelf, speaker, identity)
    if before is not None and private and not before.private:
        raise RefusedError(f"{identity.name} is public already, and what was public stays public")
    if before is None and identity.name.lower() in _RESERVED:
        raise MalformedError(f"{identity.name!r} is no name for a repo here: it would be taken for a part of an address")
    head = before.find("main") if before is not None and before.branches else None
    tree = shelf.tree(before, head) if before is not None and head is not None else {}
    paths = listed(folder, chosen)
    standing = _standing_card(shelf, before, tree)
    readme = _small(paths[README], README) if README in paths else standing
    told = with_matter(readme, _completed(words, readme, standing), identity.name)
    _check_names(paths)
    _check_case({*paths, README, *tree})
    repo = before or shelf.open(speaker, identity.kind, identity.name, private=private)
    files = list(_Keeper(shelf, repo, tree, paths, progress).keep(told))
    title = words.message or f"Publish {len(files)} files"
    draft = Draft("main", title, put=files, parent=head.oid if head else None, card=card(told))
    done = shelf.commit(speaker, repo, draft)
    changed = sum(tree.get(file.path) != file for file in files)
    return Published(shelf.find(repo.id, speaker), done, before is None, changed, len(files), sum(file.size for file in files))


def listed(folder: Path, chosen: Chosen = Chosen()) -> dict[str, Path]:
    """The files of a folder that can be published: the path that each has in a repo, and where it really lies.

    MalformedError for none, too many, a path that cannot stand in a repo, a link that leads out, or what is no file.
    """
    if not folder.is_dir():
        raise MissingError(f"{folder} is no folder")
    root, found = folder.resolve(), dict[str, Path]()
    for path, real in _walk(root):
        if chosen.takes(path):
            if path in found:
                raise MalformedError(f"{path} is there twice: two spellings of one name")
            found[check_path(path)] = real
        if len(found) > FILES_MAX:
            raise MalformedError(f"{folder} has more than {FILES_MAX} files: publish it in parts, as several repos")
    if not found:
        raise MalformedError(f"{folder} has no files to publish")
    return found


def with_matter(readme: bytes | None, words: Words, name: str) -> bytes:
    """A README.md (None: there is none) that says what is in `words`. Its text stays as it is, and so does what it says already.

    MalformedError if it says something else, or if nothing names a licence.

    >>> with_matter(b"# Words\\n", Words("Apache-2.0"), "words")
    b'---\\nlicense: apache-2.0\\n---\\n# Words\\n'
    >>> with_matter(b"---\\nlicense: mit\\n---\\n", Words("Apache-2.0"), "words")
    Traceback (most recent call last):
    concord.tlog.errors.MalformedError: README.md says license: mit, and not apache-2.0. Change one of the two
    """
    said = matter(readme or b"")
    lines = [f"{key}: {spelled}" for key, value, spelled in _wanted(words) if value and not _says(said, key, value)]
    if not words.license and not str(said.get("license") or "").strip():
        raise MalformedError(
            "no licence is named: say --license with an SPDX identifier such as apache-2.0, or name one in README.md"
        )
    if readme is None:
        readme = f"# {words.title or name}\n".encode()
    return _checked(_inserted(readme, lines, fenced=bool(said) or _is_fenced(readme)), words) if lines else readme


def _checked(readme: bytes, words: Words) -> bytes:
    """A card to which lines were added, if it says them now."""
    try:
        if all(_says(matter(readme), key, value) for key, value, _ in _wanted(words) if value):
            return readme
    except MalformedError:
        pass
    raise MalformedError(f"the front matter of {README} is written in a way to which nothing can be added. Name the licence in it")


def _wanted(words: Words) -> Iterator[tuple[str, object, str]]:
    """What the front matter is to say: the name, the value, and how YAML spells it."""
    if words.license:
        yield "license", (spelled := _known_licence(words.license)), spelled
    for language in words.languages:
        _check_language(language)
    yield "language", list(words.languages), dumps(list(words.languages))
    yield "pretty_name", words.title, dumps(words.title, ensure_ascii=False)


def _says(said: dict[str, object], key: str, value: object) -> bool:
    """Whether front matter says this. MalformedError if it says something else."""
    standing = said.get(key)
    if standing in (None, "", []):
        return False
    known = [standing] if isinstance(value, list) and isinstance(standing, str) else standing
    same = known == value or (key == "license" and str(known).lower() == value)
    if not same:
        raise MalformedError(f"{README} says {key}: {str(standing)[:100]}, and not {str(value)[:100]}. Change one of the two")
    return True


def _known_licence(said: str) -> str:
    """An SPDX identifier as cards spell it. MalformedError if it is none that is known here."""
    found = licence(said)
    if found.id is None:
        near = get_close_matches(said.strip().lower(), licences(), 3)
        raise MalformedError(
            f"{said[:100]!r} is no identifier of the SPDX list that is known here"
            + (f"; perhaps {' or '.join(near)}" if near else "; see spdx.org/licenses")
        )
    return found.id.lower()


def _check_language(language: str) -> None:
    try:
        msgspec.convert(language, Language)
    except msgspec.ValidationError as e:
        raise MalformedError(f"{language[:100]!r} is no language: say a BCP 47 tag, such as sw or zh-Hant") from e


def _is_fenced(readme: bytes) -> bool:
    return readme.removeprefix(b"\xef\xbb\xbf").startswith((b"---\n", b"---\r\n")) and b"\n---" in readme[3:]


def _inserted(readme: bytes, lines: Sequence[str], *, fenced: bool) -> bytes:
    """`readme` with lines at the beginning of its front matter."""
    end = b"\r\n" if b"\r\n" in readme[:1000] else b"\n"
    new = b"".join(line.encode() + end for line in lines)
    if not fenced:
        return b"---" + end + new + b"---" + end + readme.removeprefix(b"\xef\xbb\xbf")
    first, newline, rest = readme.partition(b"\n")
    return first + newline + new + rest


def _standing(shelf: Shelf, speaker: Speaker, identity: RepoId) -> Repo | None:
    """The repo, if it is there. RefusedError if it is not the speaker's to publish."""
    if identity.owner != speaker.origin:
        raise RefusedError(
            f"{label(identity.owner)}/{identity.name} is published by {label(identity.owner)}, whose log is not signed here. "
            "Propose your files with `hf upload --create-pr`"
        )
    try:
        return shelf.find(identity, speaker)
    except MissingError:
        return None


def _standing_card(shelf: Shelf, repo: Repo | None, tree: Tree) -> bytes | None:
    """The card of the repo as it stands."""
    return b"".join(shelf.read(repo, tree[README])) if repo is not None and README in tree else None


def _completed(words: Words, readme: bytes | None, standing: bytes | None) -> Words:
    """`words`, and what the repo's card said before that the folder's does not say: so that it need not be said each time.

    MalformedError if the two name different licences: that is changed in README.md, where everybody sees it.
    """
    said, before = matter(readme or b""), matter(standing or b"")
    known = card(standing or b"")
    if words.license and known.license and not said.get("license") and words.license.lower() != known.license.lower():
        raise MalformedError(
            f"the repo's card names the licence {known.license}, and not {words.license}. To change it, name it in {README}"
        )
    return Words(
        words.license or (known.license if not said.get("license") and licence(known.license).id else ""),
        words.languages or (known.languages if not said.get("language") and before.get("language") else ()),
        words.title or (known.title if not said.get("pretty_name") else ""),
        words.message,
    )


def _small(real: Path, path: str) -> bytes:
    with os.fdopen(_open(real, path), "rb") as file:
        raw = file.read(attributes.REGULAR_MAX + 1)
    if len(raw) > attributes.REGULAR_MAX:
        raise MalformedError(f"{path}: a card has at most {attributes.REGULAR_MAX} bytes")
    return raw


def _open(real: Path, path: str) -> int:
    try:
        return open_regular(real)
    except (DamagedError, MissingError) as e:
        raise MissingError(f"{path} {e}") from e


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder, links followed as far as they stay inside, without what tools keep there."""
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as e:
            raise MissingError(f"{root / folder} cannot be read: {e.strerror}") from e
        for entry in entries:
            path = f"{folder}{entry.name}"
            if entry.name in IGNORED:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{path}/")
            else:
                yield unicodedata.normalize("NFC", path), _real(root, path)


def _real(root: Path, path: str) -> Path:
    """Where a file really lies. MalformedError if that is no file, or outside."""
    try:
        real = Path(os.path.realpath(root / path, strict=True))
    except OSError as e:
        raise MalformedError(f"{path} is a link that leads nowhere: {e.strerror}") from e
    if not real.is_relative_to(root):
        raise MalformedError(f"{path} is a link that leads out of the folder: copy the file into it")
    if not real.is_file():
        raise MalformedError(f"{path} is no file: a link to a folder, a pipe or a device cannot be published")
    return real


def _check_names(paths: Iterable[str]) -> None:
    for path in paths:
        for part in path.split("/"):
            if part.partition(".")[0].lower() in _DEVICES or part.endswith((" ", ".")):
                raise MalformedError(f"{path}: no Windows disk takes the name {part!r}. Give it another")


def _check_case(paths: Iterable[str]) -> None:
    """That no two files or folders are one on some disk."""
    seen: dict[str, str] = {}
    for path in sorted(paths):
        for end in (*(at for at, char in enumerate(path) if char == "/"), len(path)):
            spelled = path[:end]
            other = seen.setdefault(spelled.casefold(), spelled)
            if other != spelled:
                raise MalformedError(f"{spelled} and {other} are one on disks that do not tell large letters from small ones")


def _whole(pattern: str) -> str:
    return f"{pattern}*" if pattern.endswith("/") else pattern


class _Keeper:
    """Keeps the files of a publication, and says what a commit says of each."""

    def __init__(self, shelf: Shelf, repo: Repo, tree: Tree, paths: dict[str, Path], progress: Progress) -> None:
        self._shelf, self._repo, self._tree, self._paths, self._progress = shelf, repo, tree, paths, progress
        self._given: list[str] = []

    def keep(self, readme: bytes) -> Iterator[File]:
        """All files, the card as it is to be."""
        patterns = self._patterns()
        yield self._small(README, readme)
        if attributes.NAME not in {**self._tree, **self._paths}:
            yield self._small(attributes.NAME, attributes.ATTRIBUTES)
        for number, (path, real) in enumerate(self._paths.items()):
            self._progress(path, number, len(self._paths))
            if path != README:
                yield self._keep(path, real, patterns)
        self._give()

    def _patterns(self) -> list[str]:
        if attributes.NAME in self._paths:
            return attributes.large_patterns(_small(self._paths[attributes.NAME], attributes.NAME))
        return self._shelf.large_patterns(self._repo, self._tree)

    def _keep(self, path: str, real: Path, patterns: Sequence[str]) -> File:
        with os.fdopen(_open(real, path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            sample = file.read(attributes.SAMPLE)
            file.seek(0)
            if not attributes.is_large(path, size, sample, patterns):
                raw = file.read(attributes.REGULAR_MAX + 1)
                if len(raw) != size:
                    raise MalformedError(f"{path} changed while it was read. Publish it again")
                return self._small(path, raw)
            standing = self._tree.get(path)
            if standing is not None and standing.size == size and self._stands(standing, iter(lambda: file.read(PIECE), b"")):
                return standing
            file.seek(0)
            return self._take(path, iter(lambda: file.read(PIECE), b""), size)

    def _stands(self, standing: File, pieces: Iterator[bytes]) -> bool:
        """Whether a large file is the one that the repo has, and is here."""
        content = sha256()
        for piece in pieces:
            content.update(piece)
        same = standing.large and content.hexdigest() == standing.sha256
        return same and bool(self._shelf.content.whole(self._repo, [standing.sha256]))

    def _take(self, path: str, pieces: Iterator[bytes], size: int) -> File:
        digest, taken = self._shelf.content.take(pieces, None, size)
        self._give(digest)
        return File(path=path, size=taken, sha256=digest, xet=self._shelf.content.xet(digest))

    def _small(self, path: str, raw: bytes) -> File:
        digest = self._shelf.content.keep(raw)
        self._give(digest)
        return File(path=path, size=len(raw), sha256=digest, oid=git_blob(raw))

    def _give(self, *digests: str) -> None:
        """Let the repo have these, and, many at a time, those before them."""
        self._given += digests
        if len(self._given) >= GIVEN or not digests:
            self._shelf.content.give(self._repo, self._given)
            self._given.clear()
