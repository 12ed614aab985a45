"""Every page in every state: sound, accessible, light, labelled, and without a dead link."""

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from httpx2 import Response
from markup import Element, parse
from starlette.testclient import TestClient

from concord.edges.web.languages import LANGUAGES
from concord.ledger.pillar import Role
from concord.node import Node
from concord.private import damages, peers, people
from concord.server import build
from concord.testing import states

WEIGHT_MAX = 100_000  # bytes of a page with all that it loads, before packing
EMPTY = ("/", "/members", "/members/ke", "/records", "/records/ke/0", "/peers", "/sign-in", "/sign-in/some-link", "/nothing")
YOUNG = (*EMPTY, "/charter", "/members/br", "/records/ke/1", "/records/ke/2", "/records?type=none.such", "/members?region=Asia")
LIVELY = (
    *YOUNG,
    *(f"/members/{name}" for name in ("id", "kz", "pe")),
    *(f"/records/ke/{index}" for index in range(3, 13)),
    *(f"/records/br/{index}" for index in range(9)),
    "/members?standing=applicant",
    "/members?country=KE",
    "/records?member=br",
    "/records?until=2026-09-21",
    "/records?until=2020-01-01",
)
FIRST = "institute-ad"
LARGE = (
    *("/", "/members", "/members?start=150", f"/members/{FIRST}", "/records", f"/records/{FIRST}/1"),
    *("/charter", "/peers", "/peers?start=100", "/sign-in"),
)
MODEL, HOSTILE, CORPUS = "/commons/models/ke/sheng-speech", "/commons/models/br/hostile", "/commons/datasets/id/corpus"
ODD = tuple(
    f"odd/{name}" for name in ("rows.tsv", "rows.jsonl", "broken.csv", "walk.ipynb", "tone.wav", "not.parquet", "paper.pdf")
)
SHARING = (
    *("/commons", "/commons?q=speech", "/commons?language=sw", "/commons?q=nothing", "/commons/help", "/members/ke", "/members/br"),
    *(f"{repo}{part}" for repo in (MODEL, HOSTILE) for part in ("", "/files", "/history", "/discussions", "/passport")),
    *(f"{MODEL}/file?path={path}" for path in ("train.py", "model.safetensors", "picture.png", "docs/DATA_CARD.md")),
    *(f"{HOSTILE}/file?path={path}" for path in ("x.html", "x.svg", "nul.txt", "picture.png", "long.txt", "model.safetensors")),
    *(f"{MODEL}{part}" for part in ("?revision=refs/tags/v1", "/files?at=docs", "/files?revision=v1")),
    *(f"{CORPUS}{part}" for part in ("", "/passport", "/files", "/files?at=data", "/files?at=data&start=150", "/history")),
    *("/commons/models/id/gated", "/commons/models/id/gated/file?path=weights.bin", "/commons/models/id/elsewhere"),
    *("/commons/models/id/elsewhere/file?path=README.md", "/commons/spaces/ke/nothing-yet", "/commons/spaces/ke/nothing-yet/files"),
    *(f"{CORPUS}/file?path={path}" for path in ("rows.csv", *ODD)),
    *("/commons/spaces/ke/nothing-yet/history", "/commons/communities", "/commons/communities?member=ke"),
    *("/commons/communities/br/coast", "/commons/communities/br/odd"),
)
PAGES = [
    *(("empty", path) for path in EMPTY),
    *(("young", path) for path in YOUNG),
    *(("lively", path) for path in LIVELY),
    *(("sharing", path) for path in SHARING),
    *(("large", path) for path in LARGE),
]
every_page = pytest.mark.parametrize(("state", "path"), PAGES)


@pytest.fixture(scope="session")
def page(client_of: Callable[[str], TestClient]) -> Callable[..., Element]:
    """A page of a node in some state, asked for once."""

    @cache
    def page(state: str, path: str, language: str = "en") -> Element:
        answer = client_of(state).get(path, headers={"Accept-Language": language})
        assert answer.status_code == (404 if path == "/nothing" else 200), answer.text
        return parse(answer.text)

    return page


@every_page
def test_it_is_sound(page: Callable[..., Element], state: str, path: str) -> None:
    root = page(state, path)
    ids = [element["id"] for element in root.all() if element.get("id") is not None]
    assert len(ids) == len(set(ids)), sorted(ids)
    for element in root.all():
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"], "CSP would refuse it"
        for reference in ("aria-labelledby", "for"):
            assert element.get(reference) is None or element[reference] in ids
    for script in root.all("script"):
        assert script.get("src") and not script.text
    assert not list(root.all("style", "iframe", "object"))
    for picture in root.all("img"):
        assert picture["src"].startswith("/commons/") and "/raw?" in picture["src"] and picture.get("alt") is not None


@every_page
def test_it_can_be_used_without_seeing_it(page: Callable[..., Element], state: str, path: str) -> None:
    root = page(state, path)
    html = root.one("html")
    assert (html["lang"], html["dir"]) == ("en", "ltr")
    assert "·" in root.one("head").one("title").text
    assert len(list(root.all("h1"))) == 1
    levels = [int(element.name[1]) for element in root.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels)), levels
    for landmark in ("header", "main", "footer"):
        assert len(list(root.all(landmark))) == 1
    assert all(nav["aria-label"] for nav in root.all("nav"))
    skip = next(root.all("a"))
    assert skip["href"] == "#main" and root.one("main")["id"] == "main"
    for element in root.all("a", "button", "summary"):
        assert element.text.strip() or "tabindex" in element.attributes, element
    for control in root.all("input", "select", "textarea"):
        assert control.get("type") == "hidden" or "hidden" in control.attributes or _has_label(root, control), control
    for table in root.all("table"):
        for head in table.all("th"):
            assert head["scope"] in ("row", "col")
    for element in root.all("div"):
        kinds = (element.get("class") or "").split()
        if "scroll" in kinds and not {"stack", "lean"} & set(kinds):
            assert element["tabindex"] == "0", "what scrolls sideways can be reached by keyboard"


def _has_label(root: Element, control: Element) -> bool:
    return any(control in list(label.all("input", "select", "textarea")) and label.text.strip() for label in root.all("label"))


@every_page
def test_one_place_of_the_navigation_is_marked(page: Callable[..., Element], state: str, path: str) -> None:
    marked = [link for link in next(page(state, path).all("nav")).all("a") if link.get("aria-current")]
    inside = urlsplit(path).path.split("/")[1] in ("", "members", "charter", "records", "peers", "commons")
    assert len(marked) == inside
    if marked and marked[0]["aria-current"] == "page":
        assert marked[0]["href"] == urlsplit(path).path


@every_page
def test_it_begins_with_what_it_is_and_says_as_of_when(page: Callable[..., Element], state: str, path: str) -> None:
    root = page(state, path)
    lead = next(element for element in root.one("main").all("p") if "lead" in (element.get("class") or ""))
    assert len(lead.text.strip()) > 10
    assert "as of 21 Sept 2026, 14:13 UTC" in root.one("header").text


@pytest.mark.parametrize(("state", "path"), [case for case in PAGES if case[0] != "empty"])
def test_it_is_labelled_as_a_demonstration(page: Callable[..., Element], state: str, path: str) -> None:
    root = page(state, path)
    assert "demonstration" in root.one("header").text
    assert "Nothing here is the act of a state, an institution or a person." in root.one("footer").text


@pytest.mark.parametrize(
    ("state", "path", "language"),
    [
        *(("large", path, language) for path in LARGE for language in LANGUAGES),
        *(("lively", path, "ar") for path in LIVELY if "/ke" in path),
        *(("sharing", path, "ar") for path in SHARING),
    ],
)
def test_it_is_light(client_of: Callable[[str], TestClient], state: str, path: str, language: str) -> None:
    client = client_of(state)
    answer = client.get(path, headers={"Accept-Language": language})
    loaded = re.findall(r'(?:href|src)="(/static/[^"]+)"', answer.text)
    assert len(loaded) >= 2
    weights = [len(_static(client, address)) for address in loaded]
    assert len(answer.content) + sum(weights) < WEIGHT_MAX, (len(answer.content), weights)


@cache
def _static(client: TestClient, address: str) -> bytes:
    return client.get(address).content


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_reads_in_the_direction_of_its_language(page: Callable[..., Element], language: str) -> None:
    html = page("young", "/members", language).one("html")
    assert (html["lang"], html["dir"]) == (language, "rtl" if language == "ar" else "ltr")


@pytest.mark.parametrize("state", ["empty", "young", "lively", "sharing"])
def test_no_link_is_dead(client_of: Callable[[str], TestClient], state: str) -> None:
    client = client_of(state)
    seen, waiting = set(), ["/"]
    combined: set[tuple[str, ...]] = set()
    while waiting:
        path = waiting.pop()
        if not _is_new(path, combined):
            continue
        answer = client.get(path, headers={"Accept-Encoding": ""})
        assert answer.status_code < 400 or path.startswith("/leaf/abab") or _is_gone(answer) or _is_given_to_some(path), (
            path,
            answer.status_code,
        )
        if answer.headers["content-type"].startswith("text/html"):
            root = parse(answer.text)
            ids = {element.get("id") for element in root.all()}
            for link in (element["href"] for element in root.all("a", "link")):
                target, _, fragment = link.partition("#")
                target = f"{urlsplit(path).path}{target}" if target.startswith("?") else target
                assert fragment in ids or not fragment or target, link
                if target.startswith("/") and target not in seen and not target.startswith("/language/"):
                    seen.add(target)
                    waiting.append(target)
    assert len(seen) > 8


def _is_new(path: str, combined: set[tuple[str, ...]]) -> bool:
    """Whether a page is to be followed. Choices of a search combine without end: of two at once one example does, of three none."""
    address, _, query = path.partition("?")
    names = tuple(sorted({part.partition("=")[0] for part in query.split("&")}))
    if len(names) < 2:
        return True
    if len(names) > 2 or (address, *names) in combined:
        return False
    combined.add((address, *names))
    return True


def _is_given_to_some(path: str) -> bool:
    """Whether only those whom the owner admits get it."""
    return "/gated/" in path


def _is_gone(answer: Response) -> bool:
    """Whether a blob is not served because it was erased, or is held: the record that names it stays, and so does the link."""
    return answer.status_code in (410, 451)


# What stands on them


def test_nothing_that_a_member_wrote_is_markup(client_of: Callable[[str], TestClient]) -> None:
    for path in LIVELY:
        text = client_of("lively").get(path).text
        assert states.SCRIPT not in text and "<img" not in text and "{0}49" not in text, path
        assert "\u202e" not in text, path
        assert "\u0317" * 4 not in text, path


def test_the_home_page_tells_the_organisation_at_a_glance(page: Callable[..., Element]) -> None:
    figures = next(element for element in page("lively", "/").all("dl") if "figures" in element["class"].split())
    assert {each.one("dt").text.strip(): each.one("dd").text for each in figures.all("div")} == {
        "members, 1 applying, 1 invited": "4",
        "records in their logs": "30",
        "logs well cosigned to the end": "2 / 4",
        "disputed logs": "1",
        "models": "0",
        "datasets": "0",
    }


def test_the_home_page_leads_to_the_commons(page: Callable[..., Element]) -> None:
    main = page("sharing", "/").one("main")
    figures = {each.one("a")["href"]: each.one("dd").text for each in next(main.all("dl")).all("div")}
    listed = next(each for each in main.all("ul") if "repos" in each["class"].split())
    assert int(figures["/commons?kind=model"]) + int(figures["/commons?kind=dataset"]) >= len(list(listed.all("li"))) - 1 > 0
    assert all(link["href"].startswith("/commons/") for link in listed.all("a"))
    assert next(main.all("form"))["action"] == "/commons"


def test_a_peer_is_shown_with_how_fast_and_when_it_is_read(client: TestClient, node: Node) -> None:
    with node.private_writing() as db:
        kept = peers.add(db, "https://peer.example", node.clock())
        assert "a second" not in client.get("/peers").text
        peers.limit(db, kept, 200_000, "22:00-06:00")
    told = parse(client.get("/peers").text).one("main").text
    assert "files at most at 200 kB a second" in told and "22:00-06:00 UTC" in told


def test_what_the_disk_lost_is_counted_for_everybody_and_named_for_who_runs_the_node(
    client: TestClient, node: Node, sign_in: Callable[[TestClient, Node, str], str]
) -> None:
    assert "The disk of this node" not in client.get("/peers").text
    with node.private_writing() as db:
        damages.put_round(db, damages.Round(node.clock()))
    assert "Nothing was found damaged" in client.get("/peers").text
    with node.private_writing() as db:
        damages.note(db, "xorb", "3a" * 32, "chunk 7 is not what was written", node.clock())
        damages.tried(db, "xorb", "3a" * 32, "weights.bin of ke/secret: nobody has it", node.clock())
    told = parse(client.get("/peers").text).one("main").text
    assert "1 damage was found. 1 is not mended" in told and "secret" not in told and "3a3a" not in told
    sign_in(client, node, "admin")
    assert "weights.bin of ke/secret: nobody has it" in parse(client.get("/peers").text).one("main").text
    with node.private_writing() as db:
        damages.mended(db, "xorb", "3a" * 32, "", node.clock())
    assert "All of it is mended." in client.get("/peers").text


def test_the_grid_has_every_state_once_and_leads_to_the_members(page: Callable[..., Element]) -> None:
    grid = next(svg for svg in page("lively", "/members").all("svg") if "grid" in svg["class"].split())
    codes = [text.text for text in grid.all("text")]
    assert len(codes) == len(set(codes)) == 197
    links = {link["href"]: link.one("text").text for link in grid.all("a")}
    assert links == {
        "/members/ke": "KEN",
        "/members/br": "BRA",
        "/members/id": "IDN",
        "/members/kz": "KAZ",
        "/members/pe": "PER",
        "/members/tn": "TUN",
    }
    assert grid["aria-hidden"] == "true" and all(link["tabindex"] == "-1" for link in grid.all("a"))


def test_squares_grow_on_a_narrow_screen_only_where_none_touch(page: Callable[..., Element]) -> None:
    for state, sparse in (("empty", True), ("young", True), ("large", False)):
        (grid,) = (svg for svg in page(state, "/members").all("svg") if "grid" in svg["class"].split())
        assert ("sparse" in grid["class"].split()) is sparse


def test_members_can_be_filtered_and_leafed_through(page: Callable[..., Element]) -> None:
    def names(path: str, state: str = "lively") -> list[str]:
        return [row.one("code").text for row in page(state, path).one("main").all("tr") if list(row.all("code"))]

    assert names("/members") == ["ke", "id", "kz", "br", "tn", "pe"]
    assert names("/members?region=Africa") == ["ke", "tn"]
    assert names("/members?region=Africa&standing=invited") == ["tn"]
    assert names("/members?country=PE") == ["pe"]
    assert names("/members?region=Europe") == []
    leafed = [name for start in (0, 50, 100, 150) for name in names(f"/members?start={start}", "large")]
    assert len(leafed) == len(set(leafed)) == 200


def test_records_are_leafed_through_without_gap_or_repetition(client_of: Callable[[str], TestClient]) -> None:
    seen, path = [], "/records"
    while path:
        root = parse(client_of("large").get(path).text)
        seen += [link["href"] for link in root.all("a") if link.get("class") == "what"]
        older = [link["href"] for link in root.all("a") if link.get("rel") == "next"]
        path = f"/records{older[0]}" if older else ""
    assert len(seen) == len(set(seen)) == 401


def test_records_can_be_filtered(client_of: Callable[[str], TestClient]) -> None:
    def count(query: str) -> int:
        return client_of("lively").get(f"/records?{query}").text.count('class="what"')

    assert count("type=members.accede") == 4
    assert count("member=ke&type=ledger.deposit") == 4
    assert count("until=2026-09-20") == 4  # unreadable ones, which are undated
    assert count("type=none.such") == 0
    assert client_of("lively").get("/records?until=yesterday").status_code == 400
    assert client_of("lively").get("/records?member=nobody").status_code == 404


def test_a_record_shows_what_it_says_as_a_tree(page: Callable[..., Element]) -> None:
    main = page("lively", "/records/ke/1").one("main")
    fields = [term.text for term in main.all("dt")]
    assert {"charter", "organs", "founders", "admission"} <= set(fields)
    tables = [[head.text for head in table.all("th")] for table in main.all("table")]
    assert ["id", "name", "country", "class", "origin"] in tables


def test_the_entry_can_be_had_byte_for_byte(client_of: Callable[[str], TestClient], node_in: Callable[[str], Node]) -> None:
    holdings = node_in("lively").holdings
    origin = next(origin for origin in holdings.origins() if origin.startswith("br."))
    for index in range(9):
        answer = client_of("lively").get(f"/records/br/{index}.entry")
        assert answer.content == holdings.tree(origin).entry(index)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_what_hides_in_an_entry_is_spelled_out(page: Callable[..., Element]) -> None:
    shown = [pre.text for pre in page("lively", "/records/br/2").all("pre")]
    assert "\\u202e" in "".join(shown)


def test_names_of_people_are_shown_to_their_own_member_only(node_in: Callable[[str], Node], sign_in: Callable[..., str]) -> None:
    node = node_in("lively")
    client = TestClient(build(node), headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
    assert "Nairobi" not in client.get("/members/ke").text
    sign_in(client, node, "guest")
    assert "Amina &lt;b&gt;of&lt;/b&gt; Nairobi" in client.get("/members/ke").text


def test_a_member_that_has_not_acceded_is_told_so(client: TestClient, node: Node, sign_in: Callable[..., str]) -> None:
    origin = next(seat.origin for seat in node.roster().seats.values() if seat.id == "br")
    with node.private_writing() as db:
        people.add(db, "bruna", "Bruna", origin, [Role.DELEGATE], node.clock())
    assert "Open to you" not in client.get("/").text
    sign_in(client, node, "bruna")
    assert "concord member accede" in client.get("/").text


def test_a_delegate_is_told_who_needs_a_sponsor(sign_in: Callable[..., str]) -> None:
    node = states.lively()
    client = TestClient(build(node), headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
    sign_in(client, node, "amina")
    assert "Open to you" not in client.get("/").text, "its member is a sponsor already"
    origin = next(seat.origin for seat in node.roster().seats.values() if seat.id == "id")
    with node.private_writing() as db:
        people.add(db, "indah", "Indah", origin, [Role.DELEGATE], node.clock())
    client.cookies.clear()
    sign_in(client, node, "indah")
    text = client.get("/").text
    assert "Sponsor the application of <bdi>Example Institute Peru</bdi>" in text
    assert "The log that you speak in signs nothing at present" in text


def test_an_applicant_shows_what_it_asks_for(page: Callable[..., Element]) -> None:
    main = page("lively", "/members/pe").one("main").text
    assert "Its application" in main
    assert "1 of 1 that the charter asks for" in main


def test_what_is_packed_is_the_same_page(client_of: Callable[[str], TestClient]) -> None:
    client = client_of("large")
    plain, packed = (client.get("/members", headers={"Accept-Encoding": how}) for how in ("identity", "gzip"))
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 4


def test_what_is_for_a_session_is_neither_packed_nor_kept(client: TestClient, node: Node, sign_in: Callable[..., str]) -> None:
    assert client.get("/").headers["cache-control"] == "no-cache"
    sign_in(client, node, "amina")
    answer = client.get("/account")
    assert answer.headers["cache-control"] == "no-store"
    assert "content-encoding" not in answer.headers
