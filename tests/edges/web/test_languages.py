"""Words: everything that a reader sees can be translated, and a catalogue is all that it takes."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from markup import parse
from starlette.testclient import TestClient

from concord.edges.web import languages
from concord.edges.web.words import WORDS
from concord.ledger.statements import LEDGER
from concord.node import PILLARS

ROOT = Path(__file__).parents[3]
CATALOGUE = """\
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=2; plural=(n > 1);\\n"

msgid "Members"
msgstr "Membres"

msgctxt "standing"
msgid "member"
msgstr "membre"

msgid "%(num)s vote"
msgid_plural "%(num)s votes"
msgstr[0] "%(num)s voix"
msgstr[1] "%(num)s voix"
"""


@pytest.fixture(scope="module")
def extracted() -> set[object]:
    """What `make messages` finds: each message, or its context and the message."""
    with (files("concord.edges.web") / "translations" / "babel.cfg").open() as configuration:
        methods, options = parse_mapping_cfg(configuration)
    keywords = DEFAULT_KEYWORDS | parse_keywords(["says", "word:1c,2"])
    found = extract_from_dir(ROOT, methods, options, keywords, strip_comment_tags=False)
    return {(context, message) if context else message for _, _, message, _, context in found}


def test_the_words_of_pages_are_found(extracted: set[object]) -> None:
    assert {"Where the members are", "Skip to the content", ("%(num)s vote", "%(num)s votes")} <= extracted


def test_the_sentence_of_every_record_is_found(extracted: set[object]) -> None:
    sentences = {kind.SAYS for pillar in (LEDGER, *PILLARS) for kind in pillar.handlers}
    assert sentences <= extracted


def test_the_words_that_come_as_data_are_found(extracted: set[object]) -> None:
    assert extracted >= WORDS


def test_the_command_that_extracts_is_the_one_tested_here() -> None:
    assert "translations/babel.cfg" in (ROOT / "Makefile").read_text().replace("$(TRANSLATIONS)", "translations")
    assert "-k says -k word:1c,2" in (ROOT / "Makefile").read_text()


def test_a_catalogue_beside_the_code_is_read_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "translations").mkdir()
    (tmp_path / "translations" / "fr.po").write_text(CATALOGUE)
    monkeypatch.setattr(languages, "files", lambda _: tmp_path)
    french = languages.translations.__wrapped__("fr")
    assert french.gettext("Members") == "Membres"
    assert french.pgettext("standing", "member") == "membre"
    assert french.ngettext("%(num)s vote", "%(num)s votes", 2) == "%(num)s voix"
    assert french.gettext("Records") == "Records", "what is not translated stays as it is"
    assert languages.translations.__wrapped__("ru").gettext("Members") == "Members"
    assert (languages.speaks("fr"), languages.speaks("ru"), languages.speaks("en")) == (True, False, True)


@pytest.mark.parametrize("marked", [None, "en"])
def test_words_that_stay_english_are_marked_as_english(
    client_of: Callable[[str], TestClient], monkeypatch: pytest.MonkeyPatch, marked: str | None
) -> None:
    monkeypatch.setattr(languages, "speaks", lambda _: marked is None)
    root = parse(client_of("young").get("/", headers={"Accept-Language": "ar"}).text)
    assert (root.one("html")["lang"], root.one("html")["dir"]) == ("ar", "rtl")
    assert root.one("body").get("lang") == marked
