"""The table of countries, its sources, and the module that reads it."""

import csv
import io
import subprocess
import sys
import tomllib
import unicodedata
from collections import Counter
from datetime import date
from importlib.resources import files

import pytest

from concord.errors import MissingError
from concord.pillars.members import countries as module
from concord.pillars.members.countries import LANGUAGES, Country, countries, country

ALL = list(countries().values())
TEXT = files("concord.pillars.members").joinpath("countries.csv").read_text(encoding="utf-8")
SOURCES = tomllib.loads(files("concord.pillars.members").joinpath("countries.toml").read_text(encoding="utf-8"))
HEADER = TEXT.splitlines()[0].split(",")

# Brackets that are part of a name as the UN writes it: qualifiers and second names, no articles.
BRACKETED = {"BO", "CC", "CG", "FK", "FM", "IR", "MF", "NL", "SX", "TF", "VE"}
ARTICLES = {"the", "l’", "le", "la", "les", "el", "los", "las"}


def test_counts() -> None:
    assert len(ALL) == 249
    assert Counter(each.un for each in ALL) == {"member": 193, "observer": 2, "other": 54}
    assert sum(each.ldc for each in ALL) == 44
    assert sum(each.lldc for each in ALL) == 32
    assert sum(each.sids for each in ALL) == 53
    assert sum(each.sids and each.un == "member" for each in ALL) == 37


def test_income_groups_have_the_sizes_that_were_published() -> None:
    """The World Bank's 218 economies less Kosovo (upper-middle) and the Channel Islands (high), which have no code."""
    sizes = Counter(each.income for each in ALL)
    assert sizes == {"low": 25, "lower-middle": 47, "upper-middle": 59 - 1, "high": 87 - 1, "": 33}
    assert [each.alpha2 for each in ALL if each.un != "other" and not each.income] == ["VA"]


def test_observers() -> None:
    assert [each.alpha2 for each in ALL if each.un == "observer"] == ["PS", "VA"]


def test_groups_of_need_hold_states_that_belong_to_them() -> None:
    assert all(each.un == "member" for each in ALL if each.ldc or each.lldc)
    assert not country("ST").ldc and country("BD").ldc and country("NP").ldc and country("LA").ldc
    assert {each.alpha2 for each in ALL if each.ldc and each.income == "high"} == set()


def test_codes_are_well_formed_and_unique() -> None:
    for field in ("alpha2", "alpha3", "m49"):
        codes = [getattr(each, field) for each in ALL]
        assert len(set(codes)) == len(codes)
    assert all(each.alpha2.isascii() and each.alpha2.isupper() and len(each.alpha2) == 2 for each in ALL)
    assert all(each.alpha3.isascii() and each.alpha3.isupper() and len(each.alpha3) == 3 for each in ALL)
    assert all(each.m49.isascii() and each.m49.isdigit() and len(each.m49) == 3 for each in ALL)
    assert list(countries()) == sorted(countries())
    assert all(code == each.alpha2 for code, each in countries().items())


def test_regions_are_those_of_m49() -> None:
    assert {each.region for each in ALL} == {"", "Africa", "Americas", "Asia", "Europe", "Oceania"}
    assert [each.alpha2 for each in ALL if not each.region] == ["AQ", "TW"]
    assert all(bool(each.region) == bool(each.subregion) for each in ALL)
    assert len({(each.region, each.subregion) for each in ALL}) == 17 + 1


def test_every_state_has_its_own_square() -> None:
    tiles = [each.tile for each in ALL if each.tile]
    assert len(set(tiles)) == len(tiles) == 197
    assert all(each.tile for each in ALL if each.un != "other")
    assert {each.alpha2 for each in ALL if each.tile and each.un == "other"} == {"CK", "NU"}


def test_the_grid_is_compact() -> None:
    tiles = [each.tile for each in ALL if each.tile]
    columns, rows = {column for column, _ in tiles}, {row for _, row in tiles}
    assert columns == set(range(30)) and rows == set(range(20))


@pytest.mark.parametrize(
    "pair",
    "US-CA US-MX BR-AR GB-IE FR-ES FR-IT DE-PL DE-FR NO-SE GR-TR EG-SD DZ-LY NG-NE CD-AO ZA-BW KE-TZ RU-KZ RU-UA "
    "IR-IQ IN-PK IN-BD CN-MN CN-NP TH-MY VN-KH ID-PG AU-NZ JP-KR".split(),
)
def test_neighbours_stand_near_each_other(pair: str) -> None:
    one, other = (country(code).tile for code in pair.split("-"))
    assert one and other
    far = 2 if pair not in {"AU-NZ", "JP-KR"} else 5
    assert max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= far


@pytest.mark.parametrize("order", ["CA US MX PA CO BR AR", "NO DK DE IT TN NG AO NA ZA", "RU KZ IR SA OM", "MN CN MM MY AU NZ"])
def test_north_is_up(order: str) -> None:
    rows = [tile[1] for code in order.split() if (tile := country(code).tile)]
    assert rows == sorted(rows)


@pytest.mark.parametrize("order", ["US PT DE UA KZ MN JP", "CL BR CV SN ER YE IN VN PH PG FJ", "PE AO MZ MG AU NZ"])
def test_east_is_right(order: str) -> None:
    columns = [tile[0] for code in order.split() if (tile := country(code).tile)]
    assert columns == sorted(columns)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_country_has_a_name(language: str) -> None:
    names = [each.names[language] for each in ALL]
    assert all(names) and len(set(names)) == len(names)
    assert all(name == unicodedata.normalize("NFC", name).strip() for name in names)
    assert not any(unicodedata.category(letter) in {"Cc", "Cf"} for name in names for letter in name)


def test_names_are_in_the_six_languages_of_the_un() -> None:
    assert set(LANGUAGES) == {"ar", "zh", "en", "fr", "ru", "es"} and len(LANGUAGES) == 6
    assert all(set(each.names) == set(LANGUAGES) for each in ALL)


def test_names_keep_no_article_and_no_mark_of_the_source() -> None:
    for each in ALL:
        for name in each.names.values():
            assert not set("*[]'_") & set(name)
            assert name.count("(") == name.count(")") and name.count("（") == name.count("）")
            assert not ({"(", "（"} & set(name)) or each.alpha2 in BRACKETED, name
            assert name.rpartition("(")[2].rstrip(")") not in ARTICLES


def test_the_table_has_one_spelling() -> None:
    """Written again from what was read, it is the same, byte for byte."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(map(_row, ALL))
    assert text.getvalue() == TEXT


def _row(each: Country) -> list[str]:
    flags = ["yes" if flag else "" for flag in (each.ldc, each.lldc, each.sids)]
    tile = list(map(str, each.tile)) if each.tile else ["", ""]
    names = [each.names[language] for language in HEADER[-6:]]
    return [
        each.alpha2,
        each.alpha3,
        each.m49,
        each.region,
        each.subregion,
        each.un,
        *flags,
        each.income,
        *tile,
        *names,
    ]


BAD = {
    "header": ("alpha2,", "code,"),
    "order": ("\nAE,", "\nZZ,"),
    "twice": ("\nAE,", "\nAD,"),
    "empty row": ("\nAE,", "\n\nAE,"),
    "open quote": (",أندورا", ',"أندورا'),
    "short row": (",أندورا", ""),
    "long row": (",أندورا", ",أندورا,"),
    "lower case": (",AND,", ",and,"),
    "two digits": (",020,", ",20,"),
    "other digits": (",020,", ",٠٢٠,"),
    "standing": (",member,", ",friend,"),
    "flag": (",member,,,,high,", ",member,no,,,high,"),
    "income": (",high,", ",rich,"),
    "half a tile": (",high,11,5,", ",high,11,,"),
    "leading zero": (",high,11,5,", ",high,11,05,"),
    "signed": (",high,11,5,", ",high,+1,5,"),
    "no name": (",Andorre,", ",,"),
    "spaced name": (",Andorre,", ", Andorre,"),
}


@pytest.mark.parametrize("defect", BAD)
def test_a_wrong_table_is_our_own_mistake(defect: str) -> None:
    old, new = BAD[defect]
    assert old in TEXT
    with pytest.raises(RuntimeError, match=r"countries\.csv"):
        list(module._parse(TEXT.replace(old, new, 1)))


@pytest.mark.parametrize("code", ["", "XX", "ke", "KEN", "KE ", "XK"])
def test_an_unknown_code_is_missing(code: str) -> None:
    with pytest.raises(MissingError):
        country(code)


def test_values_are_frozen_and_read_once() -> None:
    assert countries() is countries()
    with pytest.raises(TypeError):
        countries()["KE"] = country("KE")  # type: ignore[index]
    with pytest.raises(TypeError):
        country("KE").names["en"] = "Kenia"  # type: ignore[index]
    with pytest.raises(AttributeError):
        country("KE").ldc = True  # type: ignore[misc]


def test_importing_reads_nothing() -> None:
    code = "import concord.pillars.members.countries as c; assert c.countries.cache_info().currsize == 0"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_the_sources_cover_every_column_once() -> None:
    assert sorted(column for source in SOURCES["source"] for column in source["columns"]) == sorted(HEADER)


@pytest.mark.parametrize("source", SOURCES["source"], ids=lambda source: "+".join(source["columns"]))
def test_each_source_says_what_we_know_of_it(source: dict[str, object]) -> None:
    for key in ("title", "publisher", "note", "terms"):
        assert isinstance(source[key], str) and source[key]
    assert str(source["url"]).startswith("https://") and "\n" not in str(source["terms"])
    as_of, read = source["as_of"], source["read"]
    assert isinstance(as_of, date) and isinstance(read, date) and as_of <= read
    named = source.get("confirmed_by", [])
    assert isinstance(named, list)
    assert len(named) >= 2 if source["confirmed"] is True else not named


@pytest.mark.parametrize("change", SOURCES["scheduled"], ids=lambda change: change["alpha2"])
def test_scheduled_changes_are_not_in_the_table_yet(change: dict[str, object]) -> None:
    assert isinstance(change["date"], date) and change["date"] > SOURCES["as_of"]
    assert change["column"] == "ldc" and country(str(change["alpha2"])).ldc
    assert change["resolution"] and change["note"] and isinstance(change["confirmed"], bool)
