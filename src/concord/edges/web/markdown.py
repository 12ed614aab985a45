"""Cards and comments: Markdown that strangers wrote, as markup that cannot do anything.

The parser is markdown-it (CommonMark, with tables and strikethrough). The renderer is our own, because it is short and closed:
a token becomes one of the elements below with attributes that are made here, or it becomes words. Nothing that was written
reaches a page but as escaped text, and there is no way to switch that off:

1. Markup in the source is shown as words; comments (`<!-- -->`) are left out.
2. A link leads to http, https or mailto, to a heading of the same text, or to a file that the repo has. Any other is words.
3. A picture is one that the repo has. One from elsewhere becomes a link, so that reading a card tells nobody who reads.
4. At most SOURCE_MAX characters are read, NESTING_MAX levels deep, and about OUTPUT_MAX bytes come out; whatever is open
   is closed then, and `cut` says that there was more.

>>> print(render("# Words\\n*Sheng* <b>&</b> [x](data:,)").markup)
<h2 id="card-words">Words</h2><p><em>Sheng</em> &lt;b&gt;&amp;&lt;/b&gt; [x](data:,)</p>
>>> print(render("[here](https://a.example) [there](nowhere)").markup)
<p><a href="https://a.example" rel="nofollow noopener">here</a> <span>there</span></p>
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from concord.edges.web.names import spell, tame

SOURCE_MAX = 40_000  # characters
OUTPUT_MAX = 60_000  # bytes
NESTING_MAX = 20
_HEADING_MAX = 6
_WIDEST = 6  # bytes that one character may need
_SAME = {
    "paragraph": "p", "bullet_list": "ul", "ordered_list": "ol", "list_item": "li", "blockquote": "blockquote", "thead": "thead",
    "tbody": "tbody", "tr": "tr", "td": "td", "em": "em", "strong": "strong", "s": "s",
}  # fmt: skip
_COMMENT = re.compile(r"\s*(<!--.*?-->\s*)+\Z", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_parser = MarkdownIt("commonmark", {"maxNesting": NESTING_MAX}).enable(["table", "strikethrough"])


@dataclass(frozen=True)
class Rendered:
    """Markup, and whether some of the text was left out for its size."""

    markup: Markup
    cut: bool


def _nowhere(_: str) -> str | None:
    return None


def render(
    text: str,
    link: Callable[[str], str | None] = _nowhere,
    image: Callable[[str], str | None] = _nowhere,
    top: int = 2,
    prefix: str = "card",
    room: int = OUTPUT_MAX,
) -> Rendered:
    """`text` as markup. `link` and `image` say at which address of ours a relative path is to be had, or None.

    `top` is the level of its highest headings, whose ids begin with `prefix`; at most `room` bytes come out.
    """
    tokens = _parsed(text[:SOURCE_MAX])
    writer = _Writer(link, image, top, prefix, _slugs(tokens, prefix), room)
    try:
        for token in _flat(tokens):
            writer.take(token)
    except _FullError:
        writer.close_all()
        return Rendered(Markup("".join(writer.out)), cut=True)  # noqa: S704  every part was escaped
    return Rendered(Markup("".join(writer.out)), cut=len(text) > SOURCE_MAX)  # noqa: S704  likewise


@lru_cache(maxsize=32)
def _parsed(text: str) -> list[Token]:
    """The parser's work, which is what takes time, done once for what many read."""
    return _parser.parse(text)


class _FullError(Exception):
    """There is no room for more."""


@dataclass
class _Writer:
    link: Callable[[str], str | None]
    image: Callable[[str], str | None]
    top: int
    prefix: str
    slugs: dict[int, str]
    most: int
    out: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    size: int = 0
    level: int = 0

    def __post_init__(self) -> None:
        self.anchors = frozenset(self.slugs.values())

    def take(self, token: Token) -> None:
        kind, _, end = token.type.rpartition("_")
        match token.type:
            case _ if token.hidden:
                pass
            case "heading_open":
                self.begin(self._heading(token), f' id="{self.slugs[id(token)]}"')
            case "th_open":
                self.begin("th", ' scope="col"')
            case "table_open":
                self.begin("div", ' class="scroll" tabindex="0"')
                self.begin("table")
            case "table_close":
                self.finish(2)
            case "link_open":
                self._link(str(token.attrs.get("href", "")))
            case "ordered_list_open":
                start = token.attrs.get("start", 1)
                self.begin("ol", f' start="{start:d}"' if isinstance(start, int) and start != 1 else "")
            case _ if end == "open" and kind in _SAME:
                self.begin(_SAME[kind])
            case _ if end == "close":
                self.finish()
            case _:
                self._leaf(token)

    def _leaf(self, token: Token) -> None:
        match token.type:
            case "softbreak":
                self.put("\n")
            case "hardbreak":
                self.put("<br>")
            case "hr":
                self.put("<hr>")
            case "code_inline":
                self.wrap("code", spell(token.content))
            case "fence" | "code_block":
                self.begin("pre")
                self.wrap("code", spell(token.content))
                self.finish()
            case "image":
                self._image(str(token.attrs.get("src", "")), token.content)
            case "html_block" if not _COMMENT.match(token.content):
                self.wrap("p", tame(token.content.strip()))
            case "html_block":
                pass
            case "html_inline" if _COMMENT.match(token.content):
                pass
            case _:
                self.words(tame(token.content))

    def _heading(self, token: Token) -> str:
        """The element of a heading: never more than one level below the heading before."""
        self.level = min(int(token.tag[1]) + self.top - 1, (self.level or self.top - 1) + 1, _HEADING_MAX)
        return f"h{self.level}"

    def _link(self, target: str) -> None:
        href, outside = self._address(target)
        if href is None or "a" in self.open:
            self.begin("span")
        else:
            self.begin("a", f' href="{escape(href)}"' + (' rel="nofollow noopener"' if outside else ""))

    def _address(self, target: str) -> tuple[str | None, bool]:
        if target.startswith("#"):
            anchor = f"{self.prefix}-{target[1:].lower()}"
            return (f"#{anchor}" if anchor in self.anchors else None), False
        return (target, True) if is_outside(target) else (None if _has_scheme(target) else self.link(target), False)

    def _image(self, source: str, words: str) -> None:
        address = None if _has_scheme(source) else self.image(source)
        if address is not None:
            self.put(f'<img src="{escape(address)}" alt="{escape(tame(words, 300))}" loading="lazy">')
            return
        self._link(source)
        self.words(tame(words or source, 300))
        self.finish()

    def begin(self, name: str, attributes: str = "") -> None:
        """Open an element; the room to close it is taken at once."""
        self.put(f"<{name}{attributes}>", len(f"</{name}>"))
        self.open.append(name)

    def finish(self, count: int = 1) -> None:
        for _ in range(count):
            name = self.open.pop()
            self.out.append(f"</{name}>")

    def wrap(self, name: str, words: str) -> None:
        self.begin(name)
        self.words(words)
        self.finish()

    def words(self, text: str) -> None:
        """Text, as much of it as there is room for."""
        room = max(self.most - self.size, 0)
        markup = str(escape(text))
        if len(markup.encode()) <= room:
            self.put(markup)
            return
        self.put(str(escape(text[: room // _WIDEST])))
        raise _FullError

    def put(self, markup: str, besides: int = 0) -> None:
        size = len(markup.encode()) + besides
        if self.size + size > self.most:
            raise _FullError
        self.size += size
        self.out.append(markup)

    def close_all(self) -> None:
        self.finish(len(self.open))


def is_outside(target: str) -> bool:
    """Whether an address leads out of this site, by a scheme that is known to do no more than that."""
    scheme = _SCHEME.match(target)
    if scheme is None or not target.isprintable() or " " in target:
        return False
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return parts.scheme == "mailto" or (parts.scheme in ("http", "https") and bool(parts.hostname))


def _has_scheme(target: str) -> bool:
    """Whether `target` is anything but a path: a scheme, another host, or what a browser would read as one of them."""
    return _SCHEME.match(target) is not None or target.startswith(("//", "\\")) or not target.isprintable() or "\\" in target


def _flat(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type == "inline":
            yield from token.children or []
        else:
            yield token


def _slugs(tokens: list[Token], prefix: str) -> dict[int, str]:
    """The ids of headings, each once, by the identity of the token that opens it."""
    found: dict[int, str] = {}
    taken: Counter[str] = Counter()
    for token, inner in pairwise(tokens):
        if token.type == "heading_open":
            slug = "-".join(re.findall(r"[^\W_]+", tame(inner.content, 80).lower())) or "part"
            taken[slug] += 1
            found[id(token)] = f"{prefix}-{slug}" if taken[slug] == 1 else f"{prefix}-{slug}_{taken[slug]}"
    return found
