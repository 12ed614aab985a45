"""Languages: which there are, which one a reader gets, and the catalogue of its words.

A catalogue is `translations/<language>.po`, read as it is: there is nothing to compile. Words that it lacks stay English.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from starlette.requests import Request

# Each language by its own name, in the order in which the United Nations lists its six.
LANGUAGES = {"ar": "العربية", "zh": "中文", "en": "English", "fr": "Français", "ru": "Русский", "es": "Español"}
LOCALES = {"en": "en_GB"}  # whose dates and numbers, if not simply the language's: the United Nations write 16 July 2026
LANGUAGE = "concord_language"  # the cookie of a reader who chose
SOURCE = "en"  # the language of the messages themselves
_HEADER_MAX = 200  # characters of Accept-Language that are looked at


def chosen(request: Request) -> str:
    """The language that the reader chose, or the first of ours that the browser asks for, or English."""
    cookie = request.cookies.get(LANGUAGE, "")
    if cookie in LANGUAGES:
        return cookie
    asked = (part.split(";")[0].strip() for part in request.headers.get("accept-language", "")[:_HEADER_MAX].split(","))
    return next((code for tag in asked if (code := tag.lower().split("-")[0]) in LANGUAGES), SOURCE)


def speaks(language: str) -> bool:
    """Whether there are words of a language here, or its readers get those of the source."""
    return language == SOURCE or _catalogue(language).is_file()


@cache
def translations(language: str) -> NullTranslations:
    """The words of a language."""
    path = _catalogue(language)
    if not path.is_file():
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(path.read_bytes()), locale=language))
    compiled.seek(0)
    return Translations(compiled)


def _catalogue(language: str) -> Traversable:
    return files(__package__ or "") / "translations" / f"{language}.po"
