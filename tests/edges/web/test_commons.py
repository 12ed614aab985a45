"""Pages of the commons: what anybody sees, what only the owner's people see, and what a person can do there."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from markup import Element, parse
from msgspec import to_builtins
from starlette.testclient import TestClient

from concord.edges.web.languages import LANGUAGES
from concord.edges.web.repo_forms import UPLOAD_MAX
from concord.edges.web.words import WORDS
from concord.ledger.identity import label
from concord.node import Node
from concord.pillars.commons import Comment, Like
from concord.server import build
from concord.shelf import Shelf
from concord.testing import states
from concord.testing.nodes import everything
from concord.testing.repos import ATTACK, HOSTILE_PATHS, png

MODEL, SECRET, HOSTILE = "/commons/models/ke/sheng-speech", "/commons/models/ke/secret", "/commons/models/br/hostile"
SignIn = Callable[[TestClient, Node, str], str]


def names(root: Element) -> list[str]:
    return [link["href"].rpartition("/")[2] for link in root.one("main").all("a") if link.get("class") == "title"]


# Searching


def test_a_search_that_finds_nothing_says_what_to_take_away(look: Callable[..., Element]) -> None:
    main = look("/commons?q=zzzz&kind=model&language=sw").one("main")
    assert "Nothing fits" in [each.text for each in main.all("h2")]
    away = next(each for each in main.all("ul") if each.get("class") == "chosen")
    left = [link["href"] for link in away.all("a")]
    assert left == ["/commons?kind=model&language=sw", "/commons?q=zzzz&language=sw", "/commons?q=zzzz&kind=model", "/commons"]
    assert [names(look(href)) for href in left[:1]] == [["sheng-speech"]]


def test_a_list_says_which_files_are_on_request(look: Callable[..., Element]) -> None:
    rows = {row.one("b").text: row.text for row in look("/commons").all("li") if row.get("class") is None and list(row.all("b"))}
    assert {name for name, words in rows.items() if "files on request" in words} == {"gated"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=speech", ["sheng-speech"]), ("q=语音识别", ["sheng-speech"]), ("q=演示语料", ["corpus"]),
        ("language=sw", ["sheng-speech"]), ("kind=dataset", ["corpus"]), ("license=cc-by-4.0", ["corpus"]),
        ("country=BR", ["hostile"]), ("member=br", ["hostile"]), ("q=secret", ["hostile"]), ("q=sheng&kind=dataset", []),
        ("parameters=100M", ["sheng-speech"]),
        ("memory=4GB", ["gated", "hostile", "sheng-speech"]), ("size=100MB&kind=dataset", ["corpus"]), ("memory=more", []),
        ("openness=none&language=sw", ["sheng-speech"]), ("openness=1", []), ("size=nonsense", []),
        ("task=automatic-speech-recognition&library=transformers", ["sheng-speech"]),
    ],
)  # fmt: skip
def test_repos_are_found(look: Callable[..., Element], query: str, found: list[str]) -> None:
    assert names(look(f"/commons?{query}")) == found


def test_every_facet_leads_to_what_it_counts(look: Callable[..., Element]) -> None:
    root = look("/commons")
    facets = next(each for each in root.all("div") if each.get("class") == "card facets")
    choices = [(item.one("a")["href"], int(item.one("small").text)) for item in facets.all("li")]
    assert len(choices) > 10
    for href, count in choices:
        assert len(names(look(href))) == count, href


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_its_words_for_languages_and_sizes(look: Callable[..., Element], language: str) -> None:
    words = look(MODEL, **{"Accept-Language": language}).one("main").text
    expected = {"ar": "السواحلية", "zh": "斯瓦希里语", "en": "Swahili", "fr": "swahili", "ru": "суахили", "es": "suajili"}
    assert expected[language] in words


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_size_is_named_as_programs_name_it(look: Callable[..., Element], language: str) -> None:
    assert "digital-" not in look("/commons", **{"Accept-Language": language}).one("main").text


def test_an_unknown_member_or_start_is_told(client_of: Callable[[str], TestClient]) -> None:
    client = client_of("sharing")
    assert client.get("/commons?member=nobody").status_code == 404
    assert client.get("/commons?start=x").status_code == 400


# What is not shown


@pytest.mark.parametrize(
    "part", ["", "/files", "/file?path=README.md", "/raw?path=README.md", "/history", "/discussions", "/upload"]
)
def test_a_private_repo_is_the_same_404_as_one_that_never_was(
    browser: TestClient, sharing: Node, sign_in: SignIn, part: str
) -> None:
    def told(name: str) -> tuple[int, str]:
        answer = browser.get(f"/commons/models/ke/{name}{part}")
        return answer.status_code, answer.text.replace(name, "…").replace(quote(name), "…")

    expected = 401 if part == "/upload" else 404
    assert told("secret") == told("never0") and told("secret")[0] == expected
    sign_in(browser, sharing, "bruna")
    assert browser.get(f"{SECRET}{part}").status_code == 404
    assert "secret" not in browser.get("/commons").text + browser.get("/members/ke").text + browser.get(HOSTILE).text.replace(
        "ke/secret", ""
    )
    browser.cookies.clear()
    sign_in(browser, sharing, "wanjiru")
    assert browser.get(f"{SECRET}{part}").status_code == 200
    assert "private" in browser.get(SECRET).text and "secret" in browser.get("/commons").text


def test_files_of_a_gated_repo_are_for_its_owner_s_people(client_of: Callable[[str], TestClient]) -> None:
    client = client_of("sharing")
    assert client.get("/commons/models/id/gated").status_code == 200
    assert client.get("/commons/models/id/gated/raw?path=weights.bin").status_code == 403
    assert "The owner gives it" in client.get("/commons/models/id/gated/file?path=weights.bin").text


@pytest.mark.parametrize(
    "path",
    [f"{MODEL}/file?path=nothing", f"{MODEL}/raw?path=../etc/passwd", f"{MODEL}/files?at=nothing", f"{MODEL}?revision=nothing",
     f"{MODEL}/commit/0000000", f"{MODEL}/discussions/0", f"{MODEL}/discussions/x", "/commons/things/ke/sheng-speech",
     "/commons/models/nobody/x", "/commons/models/ke/%00", "/commons/models/ke/" + "x" * 300, f"{MODEL}/passports"],
)  # fmt: skip
def test_what_is_not_there_is_told(client_of: Callable[[str], TestClient], path: str) -> None:
    assert client_of("sharing").get(path).status_code == 404


# What is hostile


def test_nothing_that_a_repo_says_is_markup(client_of: Callable[[str], TestClient]) -> None:
    client, seen, waiting = client_of("sharing"), set(), [HOSTILE]
    while waiting:
        path = waiting.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        if "/raw" in path or "/export/" in path:
            assert answer.headers["content-disposition"].startswith("attachment")
            continue
        root = parse(answer.text)
        assert "evil.example" not in "".join(picture["src"] for picture in root.all("img"))
        assert ATTACK not in answer.text and "{0}49" not in answer.text and "\u202e" not in answer.text, path
        assert not list(root.one("main").all("script", "style", "iframe"))
        drawn = [each for picture in root.one("main").all("svg") for each in picture.children]
        assert path.partition("?")[0] in (HOSTILE, f"{HOSTILE}/passport") or not drawn
        assert all(each.name in ("path", "rect", "circle") for each in drawn), "lines and marks of ours"
        titles = [title for each in drawn for title in each.all()]
        assert all(title.name == "title" and ("component", title.text) in WORDS for title in titles)
        links = {link["href"].partition("#")[0] for link in root.one("main").all("a") if link["href"].startswith(HOSTILE)}
        waiting += links - seen
        seen |= links
    assert len(seen) > 2 * len(HOSTILE_PATHS)


@pytest.mark.parametrize("path", [*HOSTILE_PATHS, "picture.png", "README.md"])
def test_a_raw_file_is_a_download_that_nothing_runs(client_of: Callable[[str], TestClient], path: str) -> None:
    answer = client_of("sharing").get(f"{HOSTILE}/raw", params={"path": path})
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert answer.headers["content-disposition"].isascii() and answer.headers["content-disposition"].count(";") == 1
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] in ("application/octet-stream", "image/png")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["x.html", "x.svg", "README.md", "picture.png"])
def test_a_file_that_a_client_resolves_runs_nothing_in_a_browser_either(client_of: Callable[[str], TestClient], path: str) -> None:
    answer = client_of("sharing").get(f"/br/hostile/resolve/main/{path}")
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"] and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"].partition(";")[0] in ("text/plain", "application/octet-stream")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("rows.csv", "<th"), ("odd/rows.tsv", "كلمة"), ("odd/rows.jsonl", "词"), ("odd/walk.ipynb", "A walk"),
        ("odd/tone.wav", "<audio"), ("odd/not.parquet", "cannot be read as one"), ("odd/broken.csv", 'class="code"'),
        ("odd/paper.pdf", "bytes that a page cannot show"),
    ],
)  # fmt: skip
def test_each_kind_of_file_is_shown_in_its_way(client_of: Callable[[str], TestClient], path: str, shown: str) -> None:
    answer = client_of("sharing").get(f"/commons/datasets/id/corpus/file?path={path}")
    assert shown in answer.text and ATTACK not in answer.text


def test_a_raw_file_comes_whole_or_in_part(client_of: Callable[[str], TestClient]) -> None:
    client = client_of("sharing")
    assert client.get(f"{MODEL}/raw?path=picture.png").content == png()
    part = client.get(f"{MODEL}/raw?path=picture.png", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")


# What is shown


def test_a_card_is_rendered_with_how_to_use_it(look: Callable[..., Element]) -> None:
    main = look(MODEL).one("main")
    assert [picture["src"] for picture in main.all("img")] == [f"{MODEL}/raw?path=picture.png"]
    assert "hf download ke/sheng-speech" in main.text and "export HF_ENDPOINT=http://testserver" in main.text
    assert {link["href"] for link in main.all("a")} >= {HOSTILE, f"{MODEL}/file?path=train.py", "https://example.org/paper"}
    assert "load_dataset" in look("/commons/datasets/id/corpus").text


def _glance(main: Element) -> dict[str, str]:
    """What stands at a glance, each by its name."""
    told = next(each for each in main.all("section") if each.get("aria-labelledby") == "glance")
    return dict(zip([each.text for each in told.all("dt")], [each.text for each in told.all("dd")], strict=True))


def test_the_first_page_tells_what_is_new_since_the_version_before(look: Callable[..., Element]) -> None:
    main = look(MODEL).one("main")
    files = next(each for each in main.all("section") if each.get("aria-labelledby") == "files")
    assert [each.text for each in files.all("th")][:3] == ["Name", "Size", "since v1"]
    rows = [" ".join(each.text for each in row.all("td")) for row in list(files.all("tr"))[1:]]
    assert ["~ changed" in rows[0], "+ new" in rows[1], {row.endswith("as it was") for row in rows[2:]}] == [True, True, {True}]
    assert "since v1: new: 1, changed: 1" in _glance(main)["Files"]
    first = look(f"{MODEL}?revision=v1").one("main").text
    assert "the first version" in first and "since v1" not in first


def test_the_first_page_tells_what_was_said_and_by_whom(look: Callable[..., Element]) -> None:
    main = look(MODEL).one("main")
    said = next(each for each in main.all("section") if each.get("aria-labelledby") == "said")
    assert len(list(said.all("li"))) == 6
    assert {each.text for each in said.all("span") if each.get("class") == "tag"} >= {"commons.commit", "commons.settle"}
    assert all(each["href"].startswith("/records/") for each in said.all("a") if each.get("class") == "what")


def test_the_first_page_tells_what_it_needs_and_what_is_here(look: Callable[..., Element]) -> None:
    told = _glance(look(MODEL).one("main"))
    assert "class III needs: technical report" in told["Openness"]
    assert told["Runs on"].startswith("4 GB of memory, or more") and "an estimate" in told["Runs on"]
    assert "all of it is on this node" in told["Copies"]
    elsewhere = _glance(look("/commons/models/id/elsewhere").one("main"))
    assert "none of it is on this node" in elsewhere["Copies"] and "Runs on" not in elsewhere
    assert "Copies" not in _glance(look("/commons/models/id/gated").one("main"))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (f"{MODEL}/files", "open to you"), ("/commons/models/id/gated/files", "whom the owner admits"),
        (f"{MODEL}/history", "in the log of whoever made it"), (f"{MODEL}/discussions", "Everybody may read it"),
        (f"{MODEL}/passport", "no verdict"),
    ],
)  # fmt: skip
def test_each_part_of_a_repo_begins_by_saying_what_it_is(look: Callable[..., Element], path: str, says: str) -> None:
    assert says in next(each.text for each in look(path).one("main").all("p") if each.get("class") == "soft")


def test_discussions_are_counted_by_whether_they_wait(look: Callable[..., Element]) -> None:
    assert "open: 1" in look(f"{MODEL}/discussions").text and "settled: 1" in look(f"{MODEL}/discussions").text


def test_what_was_said_of_a_private_repo_is_in_no_list(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    sign_in(browser, sharing, "wanjiru")
    main = parse(browser.get(SECRET).text).one("main")
    assert "A secret of ours" in main.text and "Said about it" not in main.text


def test_a_file_is_shown_as_what_it_is(look: Callable[..., Element]) -> None:
    lines = [item.text for item in next(look(f"{MODEL}/file?path=train.py").all("ol")).all("li")]
    assert lines[:4] == ["import torch", "", "", "def train(steps: int) -> None:"]
    tensors = look(f"{MODEL}/file?path=model.safetensors").one("main")
    assert "12,320 parameters in 7 tensors" in tensors.text and "64 × 32" in tensors.text
    assert "cannot show" in look(f"{HOSTILE}/file?path=nul.txt").text
    assert "cannot show" in look(f"{HOSTILE}/file?path=model.safetensors").text
    assert "not here" in look("/commons/models/id/elsewhere/file?path=README.md").text


def test_a_commit_shows_what_it_changed_line_by_line(look: Callable[..., Element]) -> None:
    history = look(f"{MODEL}/history")
    newest = next(link["href"] for link in history.all("a") if link.get("class") == "title")
    root = look(newest)
    assert [each.text for each in root.all("del")] == ["-    step_7 = 7"]
    assert [each.text for each in root.all("ins")] == ["+    step_7 = 8"]
    assert any(link["href"].startswith("/leaf/") for link in root.one("main").all("a"))


def test_a_folder_is_leafed_through(look: Callable[..., Element]) -> None:
    seen, path = [], "/commons/datasets/id/corpus/files?at=data"
    while path:
        root = look(path)
        seen += [row.one("th").text for row in root.one("tbody").all("tr")]
        path = next((link["href"] for link in root.all("a") if link.get("rel") == "next"), "")
    assert len(seen) == len(set(seen)) == 180


# What a person does


def post(client: TestClient, address: str, csrf: str, **fields: str) -> str:
    answer = client.post(address, data={"csrf": csrf, **fields})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize("private", [{}, {"private": "on"}])
def test_a_repo_opened_in_the_form_begins_as_one_that_a_client_makes(
    browser: TestClient, sharing: Node, sign_in: SignIn, private: dict[str, str]
) -> None:
    there = post(browser, "/commons/new", sign_in(browser, sharing, "wanjiru"), kind="model", name="new", **private)
    assert "hf upload ke/new ./folder ." in browser.get(there).text
    shelf, ke = Shelf(sharing), next(each for each in sharing.holdings.hosted() if label(each) == "ke")
    repo = shelf.find(shelf.repo_id("model", "ke", "new"), everything(ke))
    head = repo.head()
    assert head is not None and (head.commit.title, head.commit.by) == ("initial commit", ke)
    assert list(shelf.tree(repo, head)) == [".gitattributes"]


def test_a_publisher_opens_a_private_repo_fills_it_and_publishes_it(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    there = post(browser, "/commons/new", csrf, kind="dataset", name="rain", private="on")
    assert there == "/commons/datasets/ke/rain"
    files = [("files", ("README.md", b"---\nlicense: mit\n---\n# Rain\n")), ("files", ("数据.csv", b"a,b\r\n\r\n--x\r\n"))]
    answer = browser.post(f"{there}/upload", data={"csrf": csrf, "folder": "", "title": "Begin"}, files=files)
    assert answer.status_code == 303, answer.text
    assert browser.get(f"{there}/raw", params={"path": "数据.csv"}).content == b"a,b\r\n\r\n--x\r\n"
    assert browser.get(f"{there}/raw", params={"path": "数据.csv"}).headers["cache-control"] == "no-store"
    assert "Rain" in browser.get(there).text and browser.post(f"{there}/publish", data={"csrf": csrf}).status_code == 400
    assert post(browser, f"{there}/publish", csrf, sure="on") == there
    post(browser, f"{there}/remove", csrf, path="数据.csv")
    browser.cookies.clear()
    assert browser.get(there).status_code == 200 and "数据" not in browser.get(f"{there}/files").text


def test_people_of_two_members_discuss_propose_and_merge(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "bruna")
    assert post(browser, f"{MODEL}/like", csrf, liked="yes") == MODEL
    thread = post(browser, f"{MODEL}/discussions", csrf, title="A question", text="How **much**?\r\n- one")
    assert "<strong>much</strong>" in browser.get(thread).text
    answer = browser.post(f"{MODEL}/upload", data={"csrf": csrf}, files=[("files", ("NOTES.md", b"notes"))])
    pull = answer.headers["location"]
    assert "Merge into" not in browser.get(pull).text
    assert browser.post(pull, data={"csrf": csrf, "do": "merge"}).status_code == 403
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "wanjiru")
    assert "Merge into" in browser.get(pull).text
    post(browser, pull, csrf, do="merge")
    post(browser, thread, csrf, do="answer", text="This much.")
    post(browser, thread, csrf, do="close")
    assert "Merged into" in browser.get(pull).text and "NOTES.md" in browser.get(f"{MODEL}/files").text
    assert "closed it" in browser.get(thread).text
    post(browser, thread, csrf, do="open")
    assert browser.post(thread, data={"csrf": csrf, "do": "other"}).status_code == 400


@pytest.mark.parametrize(("do", "heading"), [("merge", "What they changed"), ("close", "What they change")])
def test_what_a_pull_request_changed_stays_readable_after_it_was_settled(
    browser: TestClient, sharing: Node, sign_in: SignIn, do: str, heading: str
) -> None:
    csrf = sign_in(browser, sharing, "bruna")
    theirs = browser.post(f"{MODEL}/upload", data={"csrf": csrf}, files=[("files", ("evaluate.py", b"print('theirs')\n"))])
    pull = theirs.headers["location"]
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "wanjiru")
    post(browser, pull, csrf, do=do)
    browser.post(f"{MODEL}/upload", data={"csrf": csrf}, files=[("files", ("evaluate.py", b"print('later')\n"))])
    shown = parse(browser.get(pull).text).one("main")
    assert [(each.text, other.text) for each, other in zip(shown.all("del"), shown.all("ins"), strict=True)] == [
        ("-print('0.12')", "+print('theirs')")
    ]
    assert heading in [each.text for each in shown.all("h3")] and "cannot be merged" not in shown.text


def test_a_pull_request_that_clashes_says_so_and_is_not_merged(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "bruna")
    theirs = browser.post(f"{MODEL}/upload", data={"csrf": csrf}, files=[("files", ("evaluate.py", b"print('theirs')\n"))])
    pull = theirs.headers["location"]
    shown = parse(browser.get(pull).text).one("main")
    assert [each.text for each in shown.all("ins")] == ["+print('theirs')"] and "cannot be merged" not in shown.text
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "wanjiru")
    browser.post(f"{MODEL}/upload", data={"csrf": csrf}, files=[("files", ("evaluate.py", b"print('ours')\n"))])
    assert "cannot be merged" in browser.get(pull).text and "Merge into" not in browser.get(pull).text
    answer = browser.post(pull, data={"csrf": csrf, "do": "merge"})
    assert answer.status_code == 409 and "evaluate.py changed on main" in answer.text
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "bruna")
    post(browser, pull, csrf, do="close", text="Anew, then.")
    assert "closed it" in browser.get(pull).text


def test_nothing_is_done_without_a_role_a_session_or_its_word(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    forms = ("/upload", "/remove", "/discussions", "/like", "/publish")
    for form in forms:
        assert browser.post(f"{MODEL}{form}", data={"path": "train.py"}).status_code == 401
    csrf = sign_in(browser, sharing, "guest")
    for form in forms:
        assert browser.post(f"{MODEL}{form}", data={"path": "train.py"}).status_code == 403
        assert browser.post(f"{MODEL}{form}", data={"csrf": csrf, "path": "train.py", "title": "x"}).status_code == 403
    assert browser.post("/commons/new", data={"csrf": csrf, "kind": "model", "name": "x"}).status_code == 400
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "bruna")
    assert browser.post(f"{MODEL}/remove", data={"csrf": csrf, "path": "train.py"}).status_code == 403
    assert browser.post(f"{MODEL}/publish", data={"csrf": csrf, "sure": "on"}).status_code == 403
    other = browser.post(f"{MODEL}/like", data={"csrf": csrf}, headers={"Sec-Fetch-Site": "cross-site"})
    assert other.status_code == 403


@pytest.mark.parametrize("name", ["../x", "a/../b", ".git/config", "x" * 300, "a\u202eb"])
def test_a_path_that_is_none_is_refused_before_anything_is_kept(
    browser: TestClient, sharing: Node, sign_in: SignIn, name: str
) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    before = list(sharing.blobs.digests())
    answer = browser.post(f"{MODEL}/upload", data={"csrf": csrf, "folder": name}, files=[("files", ("a.txt", b"new bytes"))])
    assert answer.status_code == 400 and list(sharing.blobs.digests()) == before


def test_a_form_that_is_too_large_is_refused(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    answer = browser.post(f"{MODEL}/upload", data={"csrf": csrf}, files=[("files", ("a", bytes(UPLOAD_MAX)))])
    assert answer.status_code == 413
    assert "/commons/help" in {link["href"] for link in parse(answer.text).one("main").all("a")}


@pytest.mark.parametrize("name", ["", "a b", "sheng-speech", "../x", "x" * 97])
def test_a_name_that_is_none_or_taken_is_told_in_the_form(browser: TestClient, sharing: Node, sign_in: SignIn, name: str) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    answer = browser.post("/commons/new", data={"csrf": csrf, "kind": "model", "name": name})
    assert answer.status_code == 400 and 'role="alert"' in answer.text


def test_pages_for_people_who_act_are_sound_and_light(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    sign_in(browser, sharing, "wanjiru")
    shelf = Shelf(sharing)
    thread = next(iter(shelf.find(shelf.repo_id("model", "ke", "sheng-speech"), None).threads))
    for path in (
        MODEL,
        f"{MODEL}/settings",
        SECRET,
        "/commons",
        "/commons/new",
        "/commons/help",
        f"{MODEL}/upload",
        f"{MODEL}/discussions/{thread}",
    ):
        answer = browser.get(path)
        assert answer.status_code == 200 and len(answer.content) < 70_000
        root = parse(answer.text)
        assert len(list(root.all("h1"))) == 1
        for control in root.all("input", "select", "textarea"):
            labels = [each for label in root.all("label") for each in label.all("input", "select", "textarea")]
            assert control.get("type") == "hidden" or control in labels


def test_a_card_of_any_script_stays_light(browser: TestClient, sharing: Node) -> None:
    shelf, origin = Shelf(sharing), next(each for each in sharing.holdings.origins() if each.startswith("ke."))
    repo = shelf.open(everything(origin), "model", "long", private=False)
    states.repos.put(shelf, origin, repo, {"README.md": "语音识别 ".encode() * 30_000}, "Long")
    for part in ("", "/file?path=README.md"):
        answer = browser.get(f"/commons/models/ke/long{part}")
        assert len(answer.content) < 78_000 and "This is the beginning" in answer.text


def test_a_passport_says_what_was_found_and_what_is_missing(look: Callable[..., Element]) -> None:
    main = look(f"{MODEL}/passport").one("main")
    assert "Apache License 2.0" in main.text and "commercial use" in main.text and "12,320" in main.text
    assert "no class yet" in main.text and "technical report" in main.text
    assert f"{MODEL}/file?path=train.py" in {link["href"] for link in main.all("a")}
    hostile = look(f"{HOSTILE}/passport").one("main").text
    assert "Not an identifier of the SPDX list" in hostile
    assert not any(word in (main.text + hostile).lower().split() for word in ("legal", "safe"))
    assert "not confirmed" in hostile


@pytest.mark.parametrize(
    "sent",
    [{"do": "answer", "text": ""}, {"do": "answer", "text": "x" * 20_001}, {"do": "answer", "text": "a\0b"}, {"do": "merge"}],
)
def test_what_no_record_can_say_is_told(browser: TestClient, sharing: Node, sign_in: SignIn, sent: dict[str, str]) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    thread = post(browser, f"{MODEL}/discussions", csrf, title="A question")
    assert browser.post(thread, data={"csrf": csrf, **sent}).status_code in (400, 403)
    assert browser.post(f"{MODEL}/discussions", data={"csrf": csrf, "title": " "}).status_code == 400
    assert browser.post(f"{MODEL}/remove", data={"csrf": csrf, "path": "nothing"}).status_code == 400


@pytest.mark.parametrize("words", ["x ", "&" * 300 + " ", "&" * 3_000 + " "], ids=["short", "middling", "long"])
def test_a_long_discussion_is_read_page_by_page_and_no_page_is_heavy(
    browser: TestClient, sharing: Node, sign_in: SignIn, words: str
) -> None:
    csrf, shelf = sign_in(browser, sharing, "wanjiru"), Shelf(sharing)
    address = post(browser, f"{MODEL}/discussions", csrf, title="A long one")
    repo = shelf.find(shelf.repo_id("model", "ke", "sheng-speech"), None)
    thread = repo.thread(int(address.rpartition("/")[2]))
    fields = [{"discussion": thread.leaf, "text": f"answer{number:03}. {words}"} for number in range(70)]
    me = everything(repo.id.owner)
    sharing.say_composed(me, [sharing.compose(me, Comment, each) for each in fields])
    read, at, pages = list[str](), address, list[str]()
    while at:
        answer = browser.get(at)
        assert answer.status_code == 200 and len(answer.content) < 100_000
        page = parse(answer.text)
        read += re.findall(r"answer\d{3}", page.one("main").text)
        following = [each["href"] for each in page.all("a") if each.get("rel") == "next"]
        pages.append(at)
        at = following[0] if following else ""
    assert read == [f"answer{number:03}" for number in range(70)]
    before = [each["href"] for each in parse(browser.get(pages[-1]).text).all("a") if each.get("rel") == "prev"]
    assert browser.get(before[0]).status_code == 200
    assert "No answer stands here" in browser.get(f"{address}?start=999").text
    assert browser.get(f"{address}?start=x").status_code == 400
    assert "My words" in browser.get(post(browser, address, csrf, do="answer", text="My words")).text


def test_whoever_answered_sees_it_though_few_answers_fill_a_page(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf, shelf = sign_in(browser, sharing, "wanjiru"), Shelf(sharing)
    address = post(browser, f"{MODEL}/discussions", csrf, title="Few and long")
    repo = shelf.find(shelf.repo_id("model", "ke", "sheng-speech"), None)
    thread = repo.thread(int(address.rpartition("/")[2]))
    assert post(browser, address, csrf, do="answer", text="All of it fits") == address
    me = everything(repo.id.owner)
    fields = [{"discussion": thread.leaf, "text": ("long " * 100 + "\n\n") * 18} for _ in range(12)]
    sharing.say_composed(me, [sharing.compose(me, Comment, each) for each in fields])
    assert "My words" in browser.get(post(browser, address, csrf, do="answer", text="My words")).text
    (newest,) = (each["href"] for each in parse(browser.get(address).text).all("a") if each.text == "The newest")
    assert "My words" in browser.get(newest).text


def test_answers_that_do_not_count_are_told_of_by_number(
    browser: TestClient, sharing: Node, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concord.pillars.commons.bounds.ANSWERS_MAX", 3)
    csrf, shelf = sign_in(browser, sharing, "bruna"), Shelf(sharing)
    repo = shelf.find(shelf.repo_id("model", "ke", "sheng-speech"), None)
    address = post(browser, f"{MODEL}/discussions", csrf, title="Theirs")
    thread = shelf.find(repo.id, None).thread(int(address.rpartition("/")[2]))
    other = everything(thread.begun.by)
    said = [sharing.compose(other, Comment, {"discussion": thread.leaf, "text": f"answer{number}"}) for number in range(8)]
    sharing.say_composed(other, said)
    shown = browser.get(address).text
    assert ("answer2" in shown, "answer3" in shown) == (True, False)
    assert "5 more answers are not shown" in shown
    refused = browser.post(address, data={"csrf": csrf, "do": "answer", "text": "more"})
    assert refused.status_code == 403 and "has said so much in this discussion" in refused.text


def test_likes_are_told_with_how_many_members_they_are_of(browser: TestClient, sharing: Node) -> None:
    shelf = Shelf(sharing)
    repo = shelf.find(shelf.repo_id("model", "ke", "sheng-speech"), None)
    ke = everything(repo.id.owner)
    for person in ("a", "b"):
        sharing.say(ke, Like, {"repo": to_builtins(repo.id), "person": person})
    for address in (MODEL, "/commons"):
        assert "3 likes (2 members)" in parse(browser.get(address).text).text


# Who may have the files, and what its publishers set


def test_the_files_of_a_gated_repo_are_asked_for_and_given(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    assert post(browser, f"{MODEL}/settings", csrf, do="gate", gate="manual") == f"{MODEL}/settings"
    browser.cookies.clear()
    assert "Ask for the files" not in browser.get(MODEL).text and "Sign in" in browser.get(MODEL).text
    csrf = sign_in(browser, sharing, "bruna")
    raw = f"{MODEL}/raw?path=train.py"
    assert browser.get(raw).status_code == 403 and "Ask for the files" in browser.get(MODEL).text
    assert post(browser, f"{MODEL}/ask", csrf) == MODEL
    assert "You asked" in browser.get(MODEL).text and browser.get(raw).status_code == 403
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "wanjiru")
    row = parse(browser.get(f"{MODEL}/settings").text).one("tbody").one("tr")
    assert "pending" in row.text and {each["value"] for each in row.all("input") if each["name"] == "do"} == {"admit", "refuse"}
    for do, status in (("refuse", 403), ("admit", 200)):
        post(browser, f"{MODEL}/settings", csrf, do=do, person="bruna")
        browser.cookies.clear()
        sign_in(browser, sharing, "bruna")
        assert browser.get(raw).status_code == status
        browser.cookies.clear()
        csrf = sign_in(browser, sharing, "wanjiru")


def test_with_an_automatic_gate_asking_suffices(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    post(browser, f"{MODEL}/settings", csrf, do="gate", gate="auto")
    browser.cookies.clear()
    csrf = sign_in(browser, sharing, "bruna")
    assert browser.get(f"{MODEL}/raw?path=train.py").status_code == 403
    post(browser, f"{MODEL}/ask", csrf)
    assert browser.get(f"{MODEL}/raw?path=train.py").status_code == 200 and "Have the files" not in browser.get(MODEL).text


def test_a_repo_gets_another_name_and_is_taken_out(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    moved = post(browser, f"{MODEL}/settings", csrf, do="rename", name="coast-speech")
    assert moved == "/commons/models/ke/coast-speech/settings" and browser.get(MODEL).status_code == 200, "the old name leads on"
    answer = browser.post(moved, data={"csrf": csrf, "do": "close", "sure": "sheng-speech"})
    assert answer.status_code == 400 and "write its name as it is" in answer.text
    assert post(browser, moved, csrf, do="close", sure="coast-speech") == "/commons?member=ke"
    assert browser.get("/commons/models/ke/coast-speech").status_code == 404


def test_what_cannot_be_set_is_told_on_the_page(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    odd = ({"do": "gate", "gate": "odd"}, {"do": "admit", "person": "nobody"}, {"do": "rename", "name": "../x"}, {"do": "x"}, {})
    for fields in odd:
        answer = browser.post(f"{MODEL}/settings", data={"csrf": csrf, **fields})
        assert answer.status_code == 400 and 'role="alert"' in answer.text


def test_settings_are_for_publishers_of_the_owner(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    assert browser.get(f"{MODEL}/settings").status_code == 401
    for person in ("guest", "bruna"):
        csrf = sign_in(browser, sharing, person)
        assert browser.get(f"{MODEL}/settings").status_code == 403 and "/settings" not in browser.get(MODEL).text
        assert browser.post(f"{MODEL}/settings", data={"csrf": csrf, "do": "close", "sure": "sheng-speech"}).status_code == 403
        assert browser.post(f"{MODEL}/ask", data={"csrf": csrf}).status_code == 403, "nothing to ask for"
        browser.cookies.clear()
    csrf = sign_in(browser, sharing, "wanjiru")
    other = browser.post(f"{MODEL}/settings", data={"csrf": "x", "do": "gate", "gate": "auto"})
    assert other.status_code == 403 and csrf


def test_files_of_another_node_s_repo_are_not_asked_for_here(sharing: Node) -> None:
    there = TestClient(build(states.watching(sharing)))
    text = there.get("/commons/models/id/gated").text
    assert "asked for on the owner’s node" in text and "Ask for the files" not in text


def test_what_was_written_is_kept_when_it_cannot_be_said(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    csrf = sign_in(browser, sharing, "wanjiru")
    answer = browser.post(f"{MODEL}/discussions", data={"csrf": csrf, "title": "  ", "text": "Long </textarea> words"})
    shown = parse(answer.text).one("main")
    assert answer.status_code == 400 and "a discussion has a title" in shown.text
    assert shown.one("textarea").text == "Long </textarea> words"
    thread = post(browser, f"{MODEL}/discussions", csrf, title="A question", text="")
    answer = browser.post(thread, data={"csrf": csrf, "do": "answer", "text": " \r\n"})
    assert answer.status_code == 400 and "an answer has words" in answer.text and "$.text" not in answer.text
    answer = browser.post(thread, data={"csrf": csrf, "do": "other", "text": "kept"})
    assert answer.status_code == 400 and parse(answer.text).one("main").one("textarea").text == "kept"


# The addresses that clients of the Hub print


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/ke/sheng-speech", MODEL),
        ("/ke/sheng-speech/tree/main", f"{MODEL}/files"),
        ("/ke/sheng-speech/tree/main/results", f"{MODEL}/files?at=results"),
        ("/ke/sheng-speech/tree/v1", f"{MODEL}/files?revision=v1"),
        ("/ke/sheng-speech/blob/main/train.py", f"{MODEL}/file?path=train.py"),
        ("/ke/sheng-speech/commits/main", f"{MODEL}/history"),
        ("/ke/sheng-speech/discussions", f"{MODEL}/discussions"),
        ("/datasets/id/corpus/blob/main/odd/rows.tsv", "/commons/datasets/id/corpus/file?path=odd%2Frows.tsv"),
    ],
)
def test_an_address_of_the_hub_leads_to_the_page_that_it_means(
    client_of: Callable[[str], TestClient], path: str, there: str
) -> None:
    answer = client_of("sharing").get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    assert client_of("sharing").get(there).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/ke/secret", "/ke/nothing", "/no/body", "/datasets/ke", "/ke/sheng-speech/edit/main/x", "/ke/sheng-speech/commit/a-b"],
)
def test_an_address_of_nothing_for_this_reader_is_a_404(client_of: Callable[[str], TestClient], path: str) -> None:
    assert client_of("sharing").get(path, follow_redirects=False).status_code == 404


def test_the_address_that_a_commit_is_answered_with_shows_it(browser: TestClient, sharing: Node, sign_in: SignIn) -> None:
    shelf = Shelf(sharing)
    repo = shelf.find(shelf.repo_id("model", "ke", "sheng-speech"), None)
    oid, thread = repo.find("main").oid, next(iter(repo.threads))
    for part in (f"commit/{oid}", f"discussions/{thread}"):
        answer = browser.get(f"/ke/sheng-speech/{part}")
        assert answer.headers["location"] == f"{MODEL}/{part}" and browser.get(answer.headers["location"]).status_code == 200
