"""Communities: what anybody sees of them, and what a publisher says of one."""

from collections.abc import Callable

import pytest
from markup import Element, parse
from starlette.testclient import TestClient

from concord.edges.web import communities
from concord.errors import MalformedError
from concord.node import Node
from concord.pillars.commons import RepoId
from concord.shelf import Shelf
from concord.testing.nodes import everything
from concord.testing.repos import ATTACK

COAST, ODD = "/commons/communities/br/coast", "/commons/communities/br/odd"
SignIn = Callable[[TestClient, Node, str], str]


def titles(root: Element) -> list[str]:
    return [link["href"] for link in root.one("main").all("a") if link.get("class") == "title"]


def test_the_last_statement_stands_whole(look: Callable[[str], Element]) -> None:
    root = look(COAST)
    assert titles(root) == ["/commons/models/ke/sheng-speech", "/commons/datasets/id/corpus", "/commons/spaces/ke/nothing-yet"]
    words = root.one("main").text
    assert "A beginning." not in words and "small enough for a telephone" in words and "of 2 members" in words


def test_it_is_found_from_the_list_its_member_and_its_repos(look: Callable[[str], Element]) -> None:
    for path in ("/commons/communities", "/commons/communities?member=br", "/members/br", "/commons/datasets/id/corpus"):
        assert COAST in [link["href"] for link in look(path).one("main").all("a")], path
    assert COAST not in [link["href"] for link in look("/commons/communities?member=ke").one("main").all("a")]


def test_what_is_private_looks_like_what_never_was(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    def lines() -> list[str]:
        root = parse(browser.get(ODD).text)
        return [
            item.text.replace("secret", "…").replace("never0", "…") for item in root.one("main").all("li") if "ke/" in item.text
        ]

    secret, never, _ = lines()
    assert secret == never and "not here" in secret
    sign_in(browser, sharing, "wanjiru")
    assert "private" in lines()[0] and "not here" in lines()[1]


def test_what_it_says_is_no_markup(client_of: Callable[[str], TestClient]) -> None:
    for path in (ODD, "/commons/communities", "/members/br", "/commons/models/ke/sheng-speech"):
        assert ATTACK not in client_of("sharing").get(path).text


def test_a_publisher_gathers_one_and_changes_it(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    fields = {"csrf": csrf, "name": "lakes", "title": "Words of the lakes", "about": "*Fresh* water.",
              "repos": "ke/sheng-speech\r\ndatasets/id/corpus\r\n"}  # fmt: skip
    made = browser.post("/commons/communities/new", data=fields)
    assert (made.status_code, made.headers["location"]) == (303, "/commons/communities/ke/lakes")
    assert "already" in browser.post("/commons/communities/new", data=fields).text
    form = parse(browser.get("/commons/communities/ke/lakes/change").text).one("main")
    assert "ke/sheng-speech\ndatasets/id/corpus" in next(area.text for area in form.all("textarea") if area["name"] == "repos")
    changed = browser.post("/commons/communities/ke/lakes/change", data=fields | {"repos": "http://x/commons/models/br/hostile"})
    assert changed.status_code == 303
    assert titles(parse(browser.get("/commons/communities/ke/lakes").text)) == ["/commons/models/br/hostile"]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"repos": "ke/secret"}, 400, "there is no model ke/secret"),
        ({"repos": "nobody/x"}, 400, "nobody"),
        ({"repos": "nothing"}, 400, "is no repo"),
        ({"repos": "ke/a\n" * 201}, 400, "at most 200"),
        ({"name": "Not a name"}, 400, "name"),
        ({"title": ""}, 400, "title"),
        ({"csrf": "x"}, 403, "not of your session"),
    ],
)
def test_what_cannot_be_said_is_told_in_the_form(
    browser: TestClient, sharing: Node, sign_in: SignIn, changes: dict[str, str], status: int, words: str
) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    fields = {"csrf": csrf, "name": "lakes", "title": "Lakes", "about": "", "repos": "ke/sheng-speech"} | changes
    answer = browser.post("/commons/communities/new", data=fields)
    assert answer.status_code == status and words in parse(answer.text).one("main").text
    assert browser.get("/commons/communities/ke/lakes").status_code == 404


def test_only_a_publisher_of_its_member_changes_it(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    assert browser.get("/commons/communities/new").status_code == 401
    csrf = sign_in(browser, sharing, "wanjiru")
    said = {"csrf": csrf, "title": "Ours now", "repos": ""}
    assert browser.post(f"{COAST}/change", data=said).status_code == 403
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "guest")
    answer = browser.post("/commons/communities/new", data=said | {"csrf": csrf, "name": "x"})
    assert answer.status_code == 403
    assert "Ours now" not in browser.get("/commons/communities").text


def test_a_repo_that_was_renamed_is_gathered_under_its_new_name(browser: TestClient, sharing: Node) -> None:
    shelf = Shelf(sharing)
    owner = everything(next(origin for origin in sharing.holdings.hosted() if origin.startswith("id.")))
    repo = shelf.find(RepoId(owner=owner.origin, kind="dataset", name="corpus"), None)
    shelf.move(owner, repo, "corpus-two")
    assert "/commons/datasets/id/corpus-two" in titles(parse(browser.get(COAST).text))
    assert COAST in browser.get("/commons/datasets/id/corpus-two").text
    shelf.close(owner, shelf.find(RepoId(owner=owner.origin, kind="dataset", name="corpus-two"), None))
    assert len(titles(parse(browser.get(COAST).text))) == 2


@pytest.mark.parametrize("line", ["x", "/", "models/x", "//x/", "datasets//x"])
def test_a_line_that_names_no_repo_is_refused(line: str) -> None:
    with pytest.raises(MalformedError):
        communities.named(line)
