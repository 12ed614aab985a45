"""What a page shows of a file: the lines of a text, a picture, the tensors of a safetensors file. Bytes in, a value out.

>>> look("a.txt", 6, lambda start, stop: b"two\\nup"[start:stop])
Preview(kind='text', lines=['two', 'up'], cut=False, tensors=None)
>>> look("a.bin", 3, lambda start, stop: b"\\x00\\xff\\x00"[start:stop]).kind
'bytes'
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from markupsafe import escape

from concord.edges.web.names import spell
from concord.errors import MalformedError
from concord.pillars.commons import safetensors
from concord.pillars.commons.safetensors import Tensors

LINES_MAX = 500
TEXT_MAX = 45_000  # bytes of markup that the lines of a text may make
IMAGE_MAX = 4 << 20  # bytes of a picture that a page loads by itself
PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"))
_LINE = 9  # bytes of markup around a line
_WIDEST = 6  # bytes that one character may need

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Preview:
    """What can be shown: text, image, tensors, or only that there are bytes. `cut`: there is more of it."""

    kind: str
    lines: list[str] = field(default_factory=list)
    cut: bool = False
    tensors: Tensors | None = None


def look(path: str, size: int, read: Read) -> Preview:
    """What can be shown of a file of `size` bytes."""
    if path.endswith(".safetensors"):
        try:
            return Preview("tensors", tensors=safetensors.header(size, read))
        except MalformedError:
            return Preview("bytes")
    head = read(0, min(size, 2 * TEXT_MAX))
    if media_of(head) is not None:
        return Preview("image" if size <= IMAGE_MAX else "bytes")
    return _text(head, size)


def media_of(head: bytes) -> str | None:
    """The type of a picture that browsers draw without running anything in it, or None."""
    found = next((media for magic, media in PICTURES if head.startswith(magic)), None)
    return None if found == "image/webp" and head[8:12] != b"WEBP" else found


def _text(head: bytes, size: int) -> Preview:
    whole = len(head) >= size
    try:
        text = head.decode("utf-8-sig") if whole else head.decode("utf-8-sig", "ignore")
    except UnicodeDecodeError:
        return Preview("bytes")
    if "\0" in text or (not whole and len(text.encode()) < len(head) - 3):
        return Preview("bytes")
    lines: list[str] = []
    cut, room = not whole, TEXT_MAX
    for line in text.removesuffix("\n").split("\n"):
        if len(lines) == LINES_MAX or room <= 0:
            cut = True
            break
        shown = spell(line.removesuffix("\r").replace("\t", "    "))
        weight = len(escape(shown).encode()) + _LINE
        lines.append(shown if weight <= room else shown[: room // _WIDEST])
        cut, room = cut or weight > room, room - weight
    return Preview("text", lines, cut)
