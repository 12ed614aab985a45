"""How a chunk is packed in a xorb (Xet specification v1.1.0): as it is, by LZ4, or by LZ4 after its bytes were grouped.

    NONE  the bytes themselves          LZ4  an LZ4 frame          GROUPED_LZ4  an LZ4 frame of the grouped bytes

Grouping puts every fourth byte together: first bytes 0, 4, 8 …, then 1, 5, 9 …, and so on. Of numbers of 16 or 32 bits, as in the
weights of models, the exponents then lie side by side, and pack well.

Unpacking never makes more bytes than it was told to expect, whatever the frame claims: a few bytes that would swell to
gigabytes are MalformedError after the expected number and one.

>>> content = bytes(70_000)
>>> scheme, packed = pack(content)
>>> scheme.name, len(packed) < 400, unpack(scheme, packed, 70_000) == content
('LZ4', True, True)
>>> unpack(scheme, packed, 69_999)
Traceback (most recent call last):
concord.tlog.errors.MalformedError: a chunk that does not unpack to 69999 bytes
"""

from enum import IntEnum

import lz4.frame

from concord.tlog.errors import MalformedError
from concord.xet.kernel import kernel

SAMPLE = 4096  # bytes from the middle on which it is tried what helps
LEAST = 16  # a chunk is packed if that spares one byte in so many: each reading must unpack it
LEVEL = -2  # of LZ4: a fifth faster than the usual, and one hundredth larger


class Scheme(IntEnum):
    """How a chunk is packed."""

    NONE = 0
    LZ4 = 1
    GROUPED_LZ4 = 2


def pack(content: bytes) -> tuple[Scheme, bytes]:
    """The content packed in the way that seems shortest by a sample; NONE if none makes it shorter by one byte in LEAST."""
    middle = len(content) // 8 * 4
    sample = content[middle : middle + SAMPLE]
    plain, grouped = len(_frame(sample)), len(_frame(kernel().group(sample)))
    if min(plain, grouped) > _worth(sample) and len(content) > len(sample) * 2:
        return Scheme.NONE, content
    packed = _frame(kernel().group(content) if grouped < plain else content)
    if len(packed) > _worth(content):
        return Scheme.NONE, content
    return Scheme.GROUPED_LZ4 if grouped < plain else Scheme.LZ4, packed


def _worth(content: bytes) -> int:
    """How long it may be packed, to be worth it."""
    return len(content) - max(1, len(content) // LEAST)


def unpack(scheme: Scheme, packed: bytes | memoryview, size: int) -> bytes:
    """The `size` bytes of content. MalformedError if they are not that many, or anything follows them."""
    match scheme:
        case Scheme.NONE:
            content = bytes(packed)
        case Scheme.LZ4:
            content = _unframe(packed, size)
        case Scheme.GROUPED_LZ4:
            content = bytes(kernel().ungroup(_unframe(packed, size)))
    if len(content) != size:
        raise MalformedError(f"a chunk that does not unpack to {size} bytes")
    return content


def _frame(content: bytes | bytearray) -> bytes:
    framed: bytes = lz4.frame.compress(
        content, block_size=lz4.frame.BLOCKSIZE_MAX256KB, block_linked=False, compression_level=LEVEL
    )
    return framed


def _unframe(packed: bytes | memoryview, size: int) -> bytes:
    """What the frame holds, or the first size + 1 bytes of it."""
    context = lz4.frame.create_decompression_context()
    try:
        content, used, ended = lz4.frame.decompress_chunk(context, packed, max_length=size + 1)
    except RuntimeError as e:  # the library's only error
        raise MalformedError(f"a chunk that is no LZ4 frame: {e}") from e
    if not ended or used != len(packed):
        raise MalformedError(f"a chunk that does not unpack to {size} bytes")
    return bytes(content)
