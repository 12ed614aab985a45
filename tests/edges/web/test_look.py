"""The style sheet: contrast that can be read, directions that mirror, print without navigation, and few bytes."""

import re
from importlib.resources import files

import pytest

CSS = (files("concord.edges.web") / "static" / "concord.css").read_text()
SCRIPT = (files("concord.edges.web") / "static" / "passkey.js").read_text()
BACKGROUNDS = {
    "ink": ("paper", "card", "accent-soft", "warm-soft", "bad-soft"),
    "soft": ("paper", "card", "warm-soft"),
    "accent": ("paper", "card", "accent-soft", "warm-soft", "bad-soft"),
    "warm": ("paper", "card", "warm-soft"),
    "bad": ("paper", "card", "bad-soft"),
    "good": ("paper", "card"),
    "card": ("accent",),  # the words on a button and on a filled square
}


def colours(block: str) -> dict[str, str]:
    """The custom properties of a block that are colours, as six hexadecimal digits."""
    found = re.findall(r"--([a-z-]+): #([0-9a-f]{3,6});", block)
    return {name: value if len(value) == 6 else "".join(digit * 2 for digit in value) for name, value in found}


LIGHT = colours(CSS.split("@media", maxsplit=1)[0])
DARK = colours(CSS.split("prefers-color-scheme: dark", maxsplit=1)[1].split("}", maxsplit=1)[0])


def luminance(colour: str) -> float:
    """WCAG 2.2: relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: contrast ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_arithmetic_of_contrast() -> None:
    assert contrast("000000", "ffffff") == pytest.approx(21)
    assert contrast("777777", "ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_words_can_be_read_on_every_background_that_they_stand_on(scheme: dict[str, str]) -> None:
    for name, backgrounds in BACKGROUNDS.items():
        for background in backgrounds:
            assert contrast(scheme[name], scheme[background]) >= 4.5, (name, background)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_edges_of_what_can_be_used_are_seen(scheme: dict[str, str]) -> None:
    for name in ("field", "accent", "warm"):
        for background in ("paper", "card"):
            assert contrast(scheme[name], scheme[background]) >= 3, (name, background)


def test_light_and_dark_name_the_same_colours() -> None:
    assert set(LIGHT) == set(DARK) and len(LIGHT) >= 12


def test_nothing_says_left_or_right_but_code() -> None:
    physical = re.findall(r"[^;{}]*(?:left|right|padding-top|margin-bottom)\b[^;{}]*", CSS)
    assert [rule.strip() for rule in physical] == ["text-align: left"]
    for right, left in re.findall(r"(?:margin|padding): [^ ;]+ ([^ ;]+) [^ ;]+ ([^ ;]+) *[;}]", CSS):
        assert right == left, "a shorthand that does not mirror"


def test_colours_are_named_once() -> None:
    rules = CSS[CSS.index("/* Text */") : CSS.index("@media print")]
    assert re.findall(r"#[0-9a-f]{3,8}\b", rules) == ["#0002"], "a shadow, and nothing else"


def test_print_has_no_navigation_and_no_forms_and_keeps_the_label() -> None:
    block = CSS[CSS.index("@media print") :]
    hidden = re.search(r"([^{}]+)\{ display: none \}", block)
    assert hidden
    assert {"nav.main", ".menu", "form", "button", ".pager"} <= {selector.strip() for selector in hidden[1].split(",")}
    assert ".flag" not in hidden[1]


def test_it_is_small_and_calls_nobody() -> None:
    assert len(CSS.encode()) < 18_000
    assert len(SCRIPT.encode()) < 4_000
    assert "url(" not in CSS and "@import" not in CSS and "!important" not in CSS
    assert "http" not in SCRIPT
