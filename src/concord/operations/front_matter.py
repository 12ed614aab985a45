"""What a README.md is to say of a repo: words are added to its front matter, and nothing that stands in it is changed.

Where the card names no licence and none is said, nothing is published: others would not know what they may do with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from json import dumps

import msgspec

from concord.errors import MalformedError
from concord.ledger.record import Language
from concord.pillars.commons.card import card, matter
from concord.pillars.commons.licence import licence, licences

README = "README.md"


@dataclass(frozen=True)
class Words:
    """What is said of a publication. Empty words are what the card says already, or a default."""

    license: str = ""
    languages: tuple[str, ...] = ()
    title: str = ""
    message: str = ""


def with_matter(readme: bytes | None, words: Words, name: str, *, ours: bool = True) -> bytes:
    """A README.md (None: there is none) that says what is in `words`. Its text stays as it is, and so does what it says already.

    MalformedError if it says something else, or if nothing names a licence. `ours`: it is that of the folder, and not of the repo.

    >>> with_matter(b"# Words\\n", Words("Apache-2.0"), "words")
    b'---\\nlicense: apache-2.0\\n---\\n# Words\\n'
    >>> with_matter(b"---\\nlicense: mit\\n---\\n", Words("Apache-2.0"), "words")
    Traceback (most recent call last):
    concord.tlog.errors.MalformedError: README.md says license: mit, and not apache-2.0. Change one of the two
    """
    said = matter(readme or b"")
    lines = [f"{key}: {spelled}" for key, value, spelled in _wanted(words) if value and not _says(said, key, value, ours=ours)]
    if not words.license and not str(said.get("license") or "").strip():
        raise MalformedError(
            "no licence is named: say --license with an SPDX identifier such as apache-2.0, or name one in README.md"
        )
    if readme is None:
        readme = f"# {words.title or name}\n".encode()
    return _checked(_inserted(readme, lines, fenced=bool(said) or _is_fenced(readme)), words) if lines else readme


def completed(words: Words, readme: bytes | None, standing: bytes | None) -> Words:
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


def _says(said: dict[str, object], key: str, value: object, *, ours: bool = True) -> bool:
    """Whether front matter, of the folder's card (`ours`) or the repo's, says this. MalformedError if it says something else."""
    standing = said.get(key)
    if standing in (None, "", []):
        return False
    known = [standing] if isinstance(value, list) and isinstance(standing, str) else standing
    same = known == value or (key == "license" and str(known).lower() == value)
    if not same:
        whose = README if ours else f"the {README} that the repo has"
        what = "Change one of the two" if ours else "The folder has none: put one there that says so, or say what the repo's says"
        raise MalformedError(f"{whose} says {key}: {str(standing)[:100]}, and not {str(value)[:100]}. {what}")
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
