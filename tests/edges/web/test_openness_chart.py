"""The picture of openness says what the passport says: as many squares as components, filled as they were found."""

from hypothesis import given
from hypothesis import strategies as st

from concord.edges.web import openness_chart
from concord.pillars.commons import Card, File
from concord.pillars.commons.licence import licence
from concord.pillars.commons.openness import Openness, classify

NAMES = ("README.md", "config.json", "model.safetensors", "train.py", "infer.py", "eval.py", "eval_results.json", "paper.pdf",
         "technical_report.md", "data_card.md", "requirements.txt", "samples/1.txt", "checkpoint-1/model.safetensors")  # fmt: skip


def openness(names: set[str], license_: str) -> Openness:
    tree = {name: File(path=name, size=1, sha256="9f" * 32) for name in names}
    return classify(Card(license=license_), tree, licence(license_))


@given(st.sets(st.sampled_from(NAMES)), st.sampled_from(["apache-2.0", "", "odd"]))
def test_a_row_is_reached_when_the_class_is_and_counts_what_it_draws(names: set[str], license_: str) -> None:
    found = openness(names, license_)
    rows = openness_chart.rows(found, str)
    assert [row.name for row in rows] == ["III", "II", "I"]
    assert sum(row.needed for row in rows) == sum(not each.optional for each in found.components)
    for row, number in zip(rows, (3, 2, 1), strict=True):
        assert row.reached == (found.reached is not None and found.reached <= number)
        assert row.picture.count('<rect class="have"') == row.done and row.picture.count("<rect") == row.needed
        assert not row.reached or row.done == row.needed
        assert row.picture.count("<title>") == sum(each.class_ == number for each in found.components)


def test_a_paper_stands_for_the_technical_report_and_names_are_escaped() -> None:
    with_paper = openness_chart.rows(openness({"paper.pdf"}, "mit"), str)[0]
    without = openness_chart.rows(openness(set(), "mit"), lambda name: f"<{name}>")[0]
    assert (with_paper.done, without.done) == (1, 0)
    assert "&lt;technical report&gt;" in without.picture and "<technical" not in without.picture
