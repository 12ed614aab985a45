"""What the demonstration publishes: it is what it says that it is, and others can make it again."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from concord.home import open_home
from concord.ledger.identity import label
from concord.operations import demonstration
from concord.operations.demonstration import country_names, name_language
from concord.pillars import members
from concord.pillars.commons import Repo
from concord.pillars.commons.card import card, faults, matter
from concord.pillars.commons.passport import issue
from concord.pillars.commons.repo import MAIN
from concord.pillars.members.countries import LANGUAGES, countries
from concord.shelf import Shelf

ROOT = Path(__file__).parents[2]
SIZE_MAX = 1_500_000  # bytes of all that the package brings for it


@pytest.fixture(scope="module")
def shelf(founded: Path) -> Shelf:
    return Shelf(open_home(founded))


@pytest.fixture(scope="module")
def repos(shelf: Shelf) -> Mapping[str, Repo]:
    return {repo.name: shelf.find(repo, None) for repo in shelf.listed(None)}


def lines(raw: bytes) -> list[dict[str, str]]:
    return [json.loads(line) for line in raw.splitlines()]


def results() -> dict[str, dict[str, dict[str, int]]]:
    return dict(json.loads(demonstration.model()["eval_results.json"]))


def test_two_members_publish_a_dataset_and_a_model_and_a_third_takes_part(repos: Mapping[str, Repo]) -> None:
    assert {name: (label(repo.id.owner), repo.id.kind) for name, repo in repos.items()} == {
        "country-names": ("example-id", "dataset"),
        "name-language": ("example-kz", "model"),
    }
    (thread,) = repos["name-language"].threads.values()
    assert label(thread.begun.by) == "example-ch"
    assert thread.begun.text.startswith("This discussion belongs to the demonstration")


def test_what_is_served_is_what_the_package_has(shelf: Shelf, repos: Mapping[str, Repo]) -> None:
    for name, contents in (("country-names", demonstration.dataset()), ("name-language", demonstration.model())):
        tree = shelf.tree(repos[name], repos[name].find(MAIN))
        assert tree.keys() == contents.keys()
        for path, file in tree.items():
            assert b"".join(shelf.read(repos[name], file)) == contents[path]
    assert tree["model.safetensors"].large
    assert tree["model.safetensors"].xet is not None


def test_the_cards_say_that_they_belong_to_a_demonstration_and_whose_the_data_are() -> None:
    for contents in (demonstration.dataset(), demonstration.model()):
        said = matter(contents["README.md"])
        assert faults(said) == []
        assert "demonstration" in said["tags"]
        assert b"is an example and does not exist" in contents["README.md"]
    assert card(contents["README.md"]).datasets == ("example-id/country-names",)


def test_a_model_with_all_of_this_is_an_open_tooling_model(shelf: Shelf, repos: Mapping[str, Repo]) -> None:
    repo = repos["name-language"]
    revision = repo.find(MAIN)
    found = issue(
        revision.commit.card, shelf.tree(repo, revision), lambda file, start, stop: b"".join(shelf.read(repo, file, start, stop))
    )
    assert (found.licence.id, found.openness.reached) == ("Apache-2.0", 2)
    assert found.parameters is not None
    assert f"{found.parameters.total:,} parameters" in demonstration.model()["README.md"].decode()
    assert shelf.find(repos["country-names"].id, None).find(MAIN).commit.card.license == "cc-by-4.0"


def test_it_stays_small() -> None:
    folder = Path(demonstration.__file__).parent
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc") < SIZE_MAX
    assert Path(name_language.__file__).with_name("LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


# The dataset


def test_the_dataset_has_every_name_once_and_a_country_in_one_split() -> None:
    contents = demonstration.dataset()
    splits = {name: lines(contents[f"data/{name}.jsonl"]) for name in ("train", "validation", "test")}
    said = [(row["country"], row["language"], row["name"]) for rows in splits.values() for row in rows]
    assert sorted(said) == sorted((code, each, found.names[each]) for code, found in countries().items() for each in LANGUAGES)
    where = {split: {row["country"] for row in rows} for split, rows in splits.items()}
    assert sum(map(len, where.values())) == len(countries())
    assert {row["country"]: row["zh"] for row in lines(contents["countries.jsonl"])}["NA"] == countries()["NA"].names["zh"]
    counts = ", ".join(str(len(codes)) for codes in where.values())
    assert f"of {counts.replace(', 43', ' and 43')} countries" in contents["README.md"].decode()


def test_whoever_runs_the_script_of_the_dataset_gets_its_files(tmp_path: Path) -> None:
    script, table = Path(country_names.__file__).with_name("build.py"), Path(members.__file__).with_name("countries.csv")
    subprocess.run([sys.executable, script, table, tmp_path], check=True, timeout=60)
    made = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    assert made == {path: content for path, content in demonstration.dataset().items() if path.endswith(".jsonl")}


# The model


def test_the_card_and_the_report_say_what_was_measured() -> None:
    contents, measured = demonstration.model(), results()
    (told,) = matter(contents["README.md"])["model-index"][0]["results"]
    test, baseline = measured["model"]["test"], measured["baseline"]["test"]
    shares = [test["right"] / test["names"], test["latin_right"] / test["latin_names"]]
    assert [metric["value"] for metric in told["metrics"]] == [round(share, 4) for share in shares]
    rows = re.findall(r"\| (\d+) \| (\d+) \(([\d.]+) %\) \| (\d+) \(([\d.]+) %\) \|", contents["README.md"].decode())
    for row, names, right in zip(rows, ("names", "latin_names"), ("right", "latin_right"), strict=True):
        count, hits, share, others, their_share = row
        assert (int(count), int(hits), int(others)) == (test[names], test[right], baseline[right])
        assert share == f"{100 * test[right] / test[names]:.1f}"
        assert their_share == f"{100 * baseline[right] / baseline[names]:.1f}"
    assert f"{test['right']} of {test['names']} test names" in contents["technical_report.md"].decode()
    assert f"| **{measured['model']['validation']['right']}** |" in contents["technical_report.md"].decode()


def test_the_baseline_comes_out_again(tmp_path: Path) -> None:
    folder = Path(name_language.__file__).parent
    for path, content in demonstration.dataset().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    code = "import json, pathlib, sys, evaluate as e; d = pathlib.Path(sys.argv[1], 'data'); "
    code += "print(json.dumps(e.measured(d, e.baseline(e.names(d / 'train.jsonl')))))"
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=folder, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == results()["baseline"]
