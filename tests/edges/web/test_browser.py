"""The pages in a real browser: signing in by each way, what scripts may and may not, keyboard, narrow screens, paper."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from concord.node import Node
from concord.private import secrets
from concord.testing import Clock, states

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)
PATHS = (
    *("/", "/members", "/members/ke", "/members/br", "/members/id", "/members/pe", "/members/tn", "/records", "/records?member=br"),
    *("/records/ke/1", "/records/ke/6", "/records/ke/10", "/records/br/2", "/records/br/3", "/records/br/5", "/records/br/8"),
    *("/peers", "/charter", "/sign-in", "/sign-in/some-link", "/account", "/nothing"),
)
MODEL, HOSTILE = "/commons/models/ke/sheng-speech", "/commons/models/br/hostile"
REPOS = (
    *("/commons/communities", "/commons/communities/br/coast", "/commons/communities/br/odd", "/commons/communities/new"),
    *("/commons", "/commons?q=speech", "/commons/help", "/commons/new", "/commons/models/ke/secret", "/members/ke"),
    *(f"{repo}{part}" for repo in (MODEL, HOSTILE) for part in ("", "/files", "/history", "/discussions", "/passport", "/upload")),
    *(f"{MODEL}/file?path={path}" for path in ("train.py", "model.safetensors", "picture.png")),
    *(f"{HOSTILE}/file?path={path}" for path in ("x.html", "x.svg", "long.txt", "picture.png")),
    *(f"/commons/datasets/id/corpus/file?path={path}" for path in ("rows.csv", "odd/rows.tsv", "odd/tone.wav", "odd/walk.ipynb")),
    *(
        "/commons/datasets/id/corpus/files?at=data",
        "/commons/models/id/gated",
        f"{MODEL}/settings",
        "/commons/spaces/ke/nothing-yet",
    ),
)
NARROW = {"width": 390, "height": 844}
Serve = Callable[[Node], AbstractContextManager[str]]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"there is no {CHROMIUM} on this machine, so nothing is shown to a real browser"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lively(served: Serve, node_in: Callable[[str], Node]) -> Iterator[str]:
    """The address of a node in the lively state, to read from only."""
    with served(node_in("lively")) as address:
        yield address


@pytest.fixture(scope="module")
def sharing(served: Serve, node_in: Callable[[str], Node]) -> Iterator[str]:
    """The address of a node with repos, to read from only."""
    with served(node_in("sharing")) as address:
        yield address


@pytest.fixture
def own(served: Serve, node: Node) -> Iterator[str]:
    """The address of a node of one's own."""
    with served(node) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield watched(context)


def watched(context: BrowserContext) -> Page:
    """A page that remembers what the console says against it."""
    page = context.new_page()
    page.complaints = []  # type: ignore[attr-defined]
    page.on("console", lambda message: message.type in ("error", "warning") and page.complaints.append(message.text))  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
    page.on("dialog", lambda dialog: page.complaints.append(dialog.message))  # type: ignore[attr-defined]
    return page


def link(node: Node, person: str = "amina") -> str:
    with node.private_writing() as db:
        return f"/sign-in/{secrets.make_link(db, person, node.clock(), 30)}"


def enter(page: Page, address: str, node: Node, person: str = "amina") -> None:
    """Sign in by a link."""
    page.goto(address + link(node, person))
    page.locator("main button").click()
    page.wait_for_url("**/account")


# Signing in


def test_a_link_signs_in_once(page: Page, own: str, node: Node) -> None:
    once = own + link(node)
    page.goto(once)
    page.locator("main button").click()
    page.wait_for_url("**/account")
    assert page.locator("h1").inner_text().startswith("Amina")
    page.get_by_role("button", name="Sign out").click()
    page.goto(once)
    page.locator("main button").click()
    assert "this link was used already" in page.get_by_role("alert").first.inner_text()
    assert not page.context.cookies(), "signed out"


def test_a_password_signs_in_after_a_wrong_one_and_not_after_ten(page: Page, own: str, clock: Clock) -> None:
    def attempt(password: str) -> None:
        page.goto(f"{own}/sign-in")
        page.get_by_label("Your short name").fill("amina")
        page.locator("input[name=password]").fill(password)
        page.locator("form").get_by_role("button", name="Sign in").click()

    attempt("wrong")
    assert page.get_by_role("alert").first.inner_text() == "the name or the password is not right"
    attempt(states.PASSWORD)
    page.wait_for_url("**/account")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert page.evaluate("document.cookie") == ""
    page.context.clear_cookies()
    for _ in range(10):
        attempt("wrong")
    attempt(states.PASSWORD)
    assert page.locator("h1").inner_text() == "Too often"
    clock.now += 901
    attempt(states.PASSWORD)
    page.wait_for_url("**/account")


def test_a_passkey_is_added_signs_in_and_is_removed(page: Page, own: str, node: Node) -> None:
    authenticator = page.context.new_cdp_session(page)
    authenticator.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    authenticator.send("WebAuthn.addVirtualAuthenticator", {"options": options | {"automaticPresenceSimulation": True}})
    enter(page, own, node)
    page.get_by_label("Name for a new passkey").fill("a stick <b>")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("a stick <b>", exact=True).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{own}/")
    page.goto(f"{own}/sign-in")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/account")
    assert page.locator("h1").inner_text().startswith("Amina")
    assert "last used" in page.locator("section", has_text="Passkeys").last.inner_text()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("None yet. A passkey").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{own}/sign-in")
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("alert").get_by_text("this passkey is not known here").wait_for()
    assert "/sign-in" in page.url


def test_a_token_made_on_the_page_works_until_it_is_ended(page: Page, own: str, node: Node) -> None:
    enter(page, own, node)
    page.get_by_label("What it is for").fill("laptop")
    page.get_by_label("delegate").check()
    page.get_by_role("button", name="Make a token").click()
    token = page.get_by_role("status").locator("pre").first.inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    shown = page.request.get(f"{own}/api/v1/me", headers=headers)
    assert (shown.status, shown.json()["scopes"]) == (200, ["delegate", "read"])
    page.goto(f"{own}/account")
    assert token not in page.content()
    page.get_by_role("button", name="End it").click()
    page.get_by_text("None. A token lets a program act for you").wait_for()
    assert page.request.get(f"{own}/api/v1/me", headers=headers).status == 401


def test_a_page_of_another_site_cannot_make_anybody_act(page: Page, own: str, node: Node) -> None:
    enter(page, own, node)
    form = f'<form method="post" action="{own}/sign-out"><button>Win a prize</button></form>'
    page.route("https://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto("https://evil.example/")
    page.get_by_role("button").click()
    assert page.locator("h1").inner_text() == "Not for you to do, or not now"
    page.goto(f"{own}/account")
    assert page.locator("h1").inner_text().startswith("Amina"), "still signed in"


# What scripts may


def test_no_page_runs_what_a_member_wrote_or_breaks_the_content_policy(
    page: Page, lively: str, node_in: Callable[[str], Node]
) -> None:
    enter(page, lively, node_in("lively"))
    for path in PATHS:
        page.goto(lively + path)
        assert "hacked" not in page.title().replace("document.title='hacked'", "")
        assert page.locator("main script, main img").count() == 0
    assert [line for line in page.complaints if "404" not in line] == []  # type: ignore[attr-defined]


def test_no_page_of_a_repo_runs_what_is_in_it_or_asks_another_site(
    page: Page, sharing: str, node_in: Callable[[str], Node]
) -> None:
    enter(page, sharing, node_in("sharing"), "wanjiru")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in REPOS:
        page.goto(sharing + path)
        assert "hacked" not in page.title().replace("document.title='hacked'", "")
        assert page.locator("main script").count() == 0
    assert [url for url in asked if not url.startswith(sharing)] == []
    assert [line for line in page.complaints if "404" not in line] == []  # type: ignore[attr-defined]


def test_everything_but_passkeys_works_without_javascript(browser: Browser, own: str, node: Node) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{own}/records")
        page.get_by_label("Type").select_option("members.accede")
        page.get_by_role("button", name="Show").click()
        assert page.locator("a.what").all_text_contents() == ["Example Institute Kenya accedes to the charter"]
        page.goto(f"{own}/sign-in")
        assert not page.get_by_role("button", name="Use a passkey").is_visible()
        assert "Passkeys need JavaScript" in page.locator("main").inner_text()
        page.get_by_label("Your short name").fill("amina")
        page.locator("input[name=password]").fill(states.PASSWORD)
        page.locator("form").get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/account")
        page.locator("summary").first.click()
        page.get_by_role("link", name="العربية").click()
        page.wait_for_url("**/account")
        assert page.locator("html").get_attribute("dir") == "rtl"


# Keyboard, narrow screens, paper


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(page: Page, own: str, node: Node) -> None:
    enter(page, own, node)
    for path in ("/", "/members", "/records", "/account"):
        page.goto(own + path)
        expected = page.evaluate(REACHABLE)
        reached: list[str] = []
        while len(reached) < len(expected):
            page.keyboard.press("Tab")
            here = page.evaluate("document.activeElement.outerHTML")
            if here in reached[-1:]:
                continue  # a date has several parts of its own
            reached.append(here)
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", here
        assert reached == expected
        assert 'href="#main"' in reached[0]


REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")]
    .filter((each) => each.tabIndex >= 0 && each.type !== "hidden" && each.checkVisibility())
    .map((each) => each.outerHTML)"""


def test_the_skip_link_is_seen_when_it_is_reached_and_leads_to_the_content(page: Page, own: str) -> None:
    page.goto(own)
    skip = page.locator(".skip")
    assert skip.bounding_box()["width"] <= 1  # type: ignore[index]
    page.keyboard.press("Tab")
    assert skip.bounding_box()["width"] > 50  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


@pytest.mark.parametrize("language", ["ar", "ru"])
def test_nothing_is_wider_than_a_narrow_screen(
    browser: Browser, lively: str, node_in: Callable[[str], Node], language: str
) -> None:
    with browser.new_context(viewport=NARROW) as context:
        page = context.new_page()
        enter(page, lively, node_in("lively"))
        context.add_cookies([{"name": "concord_language", "value": language, "url": lively}])
        for path in PATHS:
            page.goto(lively + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path
            assert page.evaluate(SMALL) == [], path


@pytest.mark.parametrize("language", ["ar", "ru"])
def test_no_page_of_a_repo_is_wider_than_a_narrow_screen(
    browser: Browser, sharing: str, node_in: Callable[[str], Node], language: str
) -> None:
    with browser.new_context(viewport=NARROW) as context:
        page = context.new_page()
        enter(page, sharing, node_in("sharing"), "wanjiru")
        context.add_cookies([{"name": "concord_language", "value": language, "url": sharing}])
        for path in REPOS:
            page.goto(sharing + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path
            assert page.evaluate(SMALL) == [], path


def test_no_page_of_a_repo_scrolls_sideways_at_four_times_the_size(browser: Browser, sharing: str) -> None:
    """1280 pixels at 400 % are 320 (WCAG 1.4.10)."""
    with browser.new_context(viewport={"width": 320, "height": 256}) as context:
        page = context.new_page()
        for path in (*(f"{MODEL}{part}" for part in ("", "/files", "/history", "/passport")), HOSTILE, "/commons"):
            page.goto(sharing + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


def test_a_passport_on_paper_is_a_document(page: Page, sharing: str) -> None:
    """It says that it is one, from where, and how to check it, and opens what a reader would have to unfold."""
    page.goto(f"{sharing}{MODEL}/passport")
    assert not page.get_by_text("concord proof verify").is_visible() and not page.get_by_text("This paper shows").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".tabs a").locator("visible=true").all_inner_texts() == ["Passport"]
    assert page.get_by_text("concord proof verify").is_visible()
    assert f"{MODEL}/passport" in page.locator("footer").inner_text()
    assert not page.locator("form, button, .screen").locator("visible=true").count()


def test_the_codes_of_members_can_be_read_on_a_narrow_grid(browser: Browser, own: str) -> None:
    with browser.new_context(viewport=NARROW) as context:
        page = context.new_page()
        page.goto(f"{own}/members")
        squares = page.locator(".grid a")
        assert set(squares.locator("text").all_text_contents()) == {"BRA", "IDN", "KEN"}
        for square in squares.all():
            code, around = square.locator("text").bounding_box(), square.locator("use").bounding_box()
            assert code and around
            assert code["height"] >= 9
            assert around["x"] <= code["x"] and code["x"] + code["width"] <= around["x"] + around["width"]


# What must be pressed with a finger and does not stand in a line of words is at least 24 pixels high (WCAG 2.2, 2.5.8).
SMALL = """() => [...document.querySelectorAll("button, select, input:not([type=checkbox]), summary, nav a, a.button")]
    .filter((each) => each.checkVisibility() && each.type !== "hidden" && each.getBoundingClientRect().height < 24)
    .map((each) => each.outerHTML)"""


def test_text_grows_with_the_reader_s_own_font_size(page: Page, lively: str) -> None:
    page.goto(lively)
    before = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    page.context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": {"standard": 32}})
    page.reload()
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == before * 2


def test_paper_has_no_navigation_and_keeps_the_label(page: Page, lively: str) -> None:
    page.emulate_media(media="print")
    for path in ("/", "/records", "/sign-in"):
        page.goto(lively + path)
        assert not page.locator("nav, form, .menu").locator("visible=true").count()
        assert page.locator("header").get_by_text("demonstration", exact=True).is_visible()
        assert "as of" in page.locator("header").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(browser: Browser, lively: str, scheme: str) -> None:
    """The colours of test_look.py are those that are really drawn."""
    with browser.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(lively)
        paper, ink = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
        assert (paper, ink) == {
            "light": ("rgb(251, 250, 247)", "rgb(23, 32, 42)"),
            "dark": ("rgb(18, 22, 26)", "rgb(232, 230, 225)"),
        }[scheme]
