"""The page of a passport: the picture of a lineage and the list that says the same, what applies to what, and downloads."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markup import Element, parse
from starlette.testclient import TestClient

from concord.edges.web.lineage import MARGIN_MAX, ROW, draw, rows
from concord.node import Node
from concord.pillars.commons.lineage import Index, Lineage, Source, trace
from concord.pillars.commons.records import Card
from concord.server import build
from concord.shelf import Shelf
from concord.testing import states
from concord.testing.nodes import everything
from concord.testing.repos import put

MODEL, CORPUS, GATED = "/commons/models/ke/sheng-speech", "/commons/datasets/id/corpus", "/commons/models/id/gated"
NAMES = ("ke/a", "br/b", "id/c", "elsewhere/x", "<script>", "a\u202eb")
some = st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)


def lineage_of(cards: list[Card]) -> Lineage:
    sources = [Source(("model", name), card) for name, card in zip(NAMES, cards, strict=False)]
    return trace(sources[0], [Index(sources)])


lineages = st.lists(st.builds(Card, base=some, datasets=some), min_size=1, max_size=4).map(lineage_of)


@pytest.fixture
def look(client_of: Callable[[str], TestClient]) -> Callable[..., Element]:
    def look(path: str) -> Element:
        answer = client_of("sharing").get(path)
        assert answer.status_code == 200, answer.text
        return parse(answer.text).one("main")

    return look


@given(lineages)
def test_the_picture_has_a_mark_in_each_row_and_a_line_for_each_link(lineage: Lineage) -> None:
    root = parse(f"<div>{draw(lineage)}</div>")
    marks = [*root.all("circle"), *root.all("rect")]
    assert len(marks) == len(lineage.kin) == len(rows(lineage)) and len(list(root.all("path"))) == len(lineage.links)
    width, height = map(float, root.one("svg")["viewbox"].split()[2:])
    assert height == ROW * len(lineage.kin) and width <= MARGIN_MAX + 20
    for each in root.all("path"):
        numbers = [float(number) for number in each["d"].translate(str.maketrans("MVQH", "    ")).split()]
        assert all(-9 <= number <= max(width, height) for number in numbers)


@given(lineages)
def test_the_list_says_every_link_in_words(lineage: Lineage) -> None:
    said = {(part, row.kin.key): how for row in rows(lineage) for part, how in row.parts}
    assert said == {(link.of, link.made): link.how for link in lineage.links}


def test_a_lineage_is_shown_across_members(look: Callable[..., Element]) -> None:
    main = look(f"{MODEL}/passport")
    items = [item for each in main.all("ol") for item in each.all("li")]
    words = " ".join(item.text for item in items)
    assert "elsewhere, not checked" in words and "this one" in words and "id/corpus (dataset)" in words
    assert [link["href"] for item in items for link in item.all("a")] == [CORPUS, "/commons/models/br/hostile"]
    assert "ke/secret" in words, "a name that a card gives is shown, and leads nowhere"
    assert "3 made of it" not in main.text


def test_a_dataset_has_what_applies_to_it(look: Callable[..., Element]) -> None:
    main = look(f"{CORPUS}/passport")
    assert "classifies models" in main.text and "Component" not in main.text and "Training" not in main.text
    links = [link["href"] for link in main.all("a")]
    assert f"{CORPUS}/export/croissant" in links and f"{CORPUS}/export/cyclonedx" in links
    assert not any("model-signing" in link for link in links), "nobody published a signature"


def test_what_was_said_of_training_is_told_and_otherwise_that_nothing_was(look: Callable[..., Element]) -> None:
    assert "are not stated" in look(f"{MODEL}/passport").text
    node = states.sharing()
    shelf, ke = Shelf(node), next(each for each in node.holdings.hosted() if each.startswith("ke."))
    repo = shelf.open(everything(ke), "model", "told", private=False)
    front = b"---\nlicense: unlicense\nco2_eq_emissions: {emissions: 0.50, hardware_used: '<b>GPU'}\n---\n"
    put(shelf, ke, repo, {"README.md": front, "LICENSE": b"x"}, "Begin")
    main = parse(TestClient(build(node)).get("/commons/models/ke/told/passport").text).one("main")
    assert "0.50 g CO2e" in main.text and "<b>GPU" in main.text and "not checked" in main.text and "(one source)" in main.text


def test_exports_are_downloads_with_names(client_of: Callable[[str], TestClient]) -> None:
    client = client_of("sharing")
    answer = client.get(f"{MODEL}/export/cyclonedx?revision=v1")
    oid = answer.json()["metadata"]["component"]["version"]
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''sheng-speech-{oid[:10]}.bom.cdx.json"
    assert client.get(f"{CORPUS}/export/croissant").json()["@type"] == "sc:Dataset"
    assert client.get(f"{MODEL}/export/croissant").status_code == 404
    assert client.get(f"{MODEL}/export/nothing").status_code == 404
    assert client.get("/commons/spaces/ke/nothing-yet/export/cyclonedx").status_code == 404


def test_what_is_gated_or_private_is_exported_to_whom_it_is_for(
    client_of: Callable[[str], TestClient], look: Callable[..., Element], sign_in: Callable[[TestClient, Node, str], str]
) -> None:
    assert client_of("sharing").get(f"{GATED}/export/cyclonedx").status_code == 403
    assert not any("/export/" in link["href"] for link in look(f"{GATED}/passport").all("a"))
    secret = "/commons/models/ke/secret/export/cyclonedx"
    assert client_of("sharing").get(secret).status_code == 404
    node = states.sharing()
    client = TestClient(build(node), headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
    sign_in(client, node, "admin")
    answer = client.get(secret)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"


def test_checking_it_offline_names_the_files_and_the_receipt(look: Callable[..., Element]) -> None:
    told = look(f"{MODEL}/passport").text
    assert "concord proof verify commit.tlog-proof" in told
    assert "concord pull ke/sheng-speech --local-dir FOLDER" in told and "concord verify ./FOLDER --policy ke.policy" in told
