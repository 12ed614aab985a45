"""Markdown of strangers: what people write comes out as meant, and nothing that was written does anything."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markup import Element, parse

from concord.edges.web.markdown import OUTPUT_MAX, SOURCE_MAX, is_outside, render
from concord.testing.repos import README, VECTORS

MORE = (
    "<svg onload=alert(1)>", "<math><mtext><script>x</script></mtext></math>", "<form action=//evil.example><input></form>",
    "<object data=x.svg></object>", "<base href=//evil.example>", "<meta http-equiv=refresh content=0>",
    "<img srcset='x 1x, //evil 2x'>", "[a](data:image/svg+xml;base64,PHN2Zz4=)", "![a](data:image/png;base64,iVBORw0KGgo=)",
    "[a](JAVA\tSCRIPT:x)", "[a](<java\nscript:x>)", "[a](feed:javascript:x)", "[a](view-source:x)",
    "[a](jar:https://evil.example!/x)", "[a](https://evil.example\\@good.example)", "<a xlink:href='javascript:x'>x</a>",
    "<details open ontoggle=x>", "<style>@import '//evil.example'</style>", "|a|\n|-|\n|<img src=x onerror=x>|",
    "| [a](javascript:x) |\n|---|\n| ![b](data:text/html,x) |", "[^1]\n\n[^1]: <script>x</script>",
    "$$\\href{javascript:x}{y}$$", ":::<script>x</script>:::", "{% raw %}{{ 7*7 }}{% endraw %}",
)  # fmt: skip
ELEMENTS = set("a p em strong s code pre ul ol li blockquote hr br img table thead tbody tr th td div span h2 h3 h4 h5 h6".split())
ATTRIBUTES = {
    "a": {"href", "rel"}, "img": {"src", "alt", "loading"}, "th": {"scope"}, "ol": {"start"}, "div": {"class", "tabindex"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
}  # fmt: skip
INSIDE = ("/inside/", "#card-")


def link(target: str) -> str | None:
    return f"/inside/{len(target)}" if target in ("train.py", "docs/DATA_CARD.md", "picture.svg") else None


def image(target: str) -> str | None:
    return "/inside/picture" if target == "picture.png" else None


def checked(text: str) -> Element:
    """The markup as a tree, if it holds nothing but what the renderer is for."""
    root = parse(render(text, link, image).markup)
    for element in root.all():
        assert element.name in ELEMENTS, element
        assert set(element.attributes) <= ATTRIBUTES.get(element.name, set()), element
        for name in ("href", "src"):
            address = element.get(name)
            assert address is None or address.startswith(INSIDE) or (name == "href" and is_outside(address)), address
        assert element.get("class") in (None, "scroll")
        if element.name == "a":
            assert not list(element.all("a"))
    return root


@pytest.mark.parametrize("text", [*VECTORS, *MORE])
def test_what_attacks_comes_out_as_words(text: str) -> None:
    checked(text)
    checked(f"- > {text}\n\n{text}\n")


@given(
    st.lists(st.sampled_from([*VECTORS, "[", "](", ")", "<", ">", "`", "|", "\n", "*", "&", '"', "javascript:", "x"])).map("".join)
)
def test_no_mixture_of_attacks_does_anything(text: str) -> None:
    checked(text)


@given(st.text(max_size=300))
def test_any_text_is_markup_that_is_sound(text: str) -> None:
    checked(text)


def test_what_people_write_comes_out_as_meant() -> None:
    root = checked(README.partition("---\n# ")[2].join(("# ", "")))
    assert [(each.name, each.text) for each in root.all("h2", "h3")] == [("h2", "Sheng speech"), ("h3", "Use")]
    links = {each.text: each["href"] for each in root.all("a")}
    assert links["what it is for"] == "#card-use"
    assert links["the training script" if "the training script" in links else "training script"].startswith("/inside/")
    assert links["A badge from elsewhere"] == "https://badges.example/b.svg"
    assert [(each["src"], each["alt"]) for each in root.all("img")] == [("/inside/picture", "The two languages")]
    assert "what a template says" not in root.text
    assert [head.text for head in root.one("table").all("th")] == ["test", "words", "error"]
    assert root.one("pre").text.startswith("model = AutoModel")


def test_headings_never_skip_a_level_and_have_ids_of_their_own() -> None:
    root = checked("# a\n#### b\n# b\n###### c\n## &\n")
    assert [each.name for each in root.all("h2", "h3", "h4", "h5", "h6")] == ["h2", "h3", "h2", "h3", "h3"]
    ids = [each["id"] for each in root.all() if each.get("id")]
    assert len(ids) == len(set(ids)) == 5 and all(name.startswith("card-") for name in ids)


def test_a_remote_picture_is_a_link_and_within_a_link_words() -> None:
    assert not list(checked("![a](https://a.example/x.png)").all("img"))
    nested = checked("[![badge](https://a.example/b.svg)](https://b.example)")
    assert [each["href"] for each in nested.all("a")] == ["https://b.example"] and nested.text == "badge"


def test_where_links_may_lead() -> None:
    for target in ("https://a.example/x", "mailto:a@b.example", "HTTP://a.example"):
        assert is_outside(target)
    for target in ("https:", "https:///x", "ftp://a.example", "javascript:x", "/x", "//a.example", "https://[x", "", "http://a b"):
        assert not is_outside(target), target


@pytest.mark.parametrize(
    "unit",
    ["[", "![", "*a **b ", "> ", "<", "[a](", "<!-- ", "&", "a**b", "[x]: y\n", "# a\n", "|a", "- a\n", "语音 ", "`a", "\n\n---\n"],
)
def test_size_depth_and_time_are_bounded(unit: str) -> None:
    began = time.process_time()
    found = render(unit * (2 * SOURCE_MAX // len(unit)))
    assert time.process_time() - began < 10
    assert len(found.markup.encode()) <= OUTPUT_MAX and found.cut
    parse(found.markup)
    assert len(re.findall(r"<blockquote>", found.markup)) <= 40


@pytest.mark.parametrize(
    "text",
    [
        "|" + "a|" * 3_000 + "\n|" + "-|" * 3_000 + "\n" + ("|" + "b|" * 3_000 + "\n") * 5,
        "|a|b|\n|-|-|\n" + "|1|2|\n" * 20_000,
        "|a|\n|-|\n" + "\n".join("> " * depth + "|x|" for depth in range(200)),
        "- " * 3_000 + "a",
        "".join(f"{'  ' * depth}- a\n" for depth in range(400)),
        "*" * 20_000 + "a" + "*" * 20_000,
        "".join(f"[{number}]: https://a.example/{number}\n" for number in range(2_000)) + "[1] " * 4_000,
    ],
    ids=["wide", "long", "in quotes", "lists in a line", "lists in lists", "stars", "references"],
)
def test_tables_and_nests_without_measure_are_bounded(text: str) -> None:
    found = render(text, link, image)
    assert len(found.markup.encode()) <= OUTPUT_MAX
    parse(found.markup)


def test_what_is_cut_is_closed() -> None:
    found = render("- **" + "语" * 5000 + "**", room=300)
    assert found.cut and found.markup.endswith("</strong></li></ul>") and len(found.markup.encode()) <= 300
