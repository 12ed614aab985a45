"""A sum of every stored chunk, by which a reader sees quickly that the disk gives what it was given.

    xorb file    chunks │ footer │ sums
    sums         of each chunk, u64 little-endian: XXH3-64 over its packed bytes, seeded with its header as a little-endian number
                 XXH3-64 over the footer, u64 │ count of chunks, u32 │ "XXH3"

A chunk is hashed with BLAKE3 when it comes, and that hash is what it goes by. To compute it again at every reading costs more than
all the rest of sending a file. What a reader must find out is only whether the disk still has what was written, and for that a sum
will do: a changed byte that it does not show is one chance in 2**64. It does not protect from somebody who can write to the home;
who can may as well write another xorb, another index, or another program.

The sum of a chunk only ever says yes. Where it does not agree, or where there is none (a file that ends with its footer), the chunk
is hashed in full, and that decides. So damaged sums cost time and nothing else. `Chunks.check_xorb` does not rely on them.

>>> stored = bytes(8) + b"the packed bytes"
>>> of_many(stored[:8] * 2, [stored[8:], b""])[0] == sum_of(stored)
True
>>> raw = trailer([1, 2**64 - 1], b"the footer")
>>> parse(raw, b"the footer"), parse(raw, b"another one"), length(raw[-8:]) == len(raw)
((1, 18446744073709551615), None, True)
"""

import struct
from collections.abc import Sequence

from xxhash import xxh3_64_intdigest

from concord.xet.xorb import CHUNKS_MAX, HEADER_SIZE

SIZE = 8  # bytes of one sum
MARK = b"XXH3"
END_SIZE = 4 + len(MARK)
TRAILER_MAX = SIZE * (CHUNKS_MAX + 1) + END_SIZE


def sum_of(stored: bytes | memoryview) -> int:
    """The sum of a chunk as it is stored."""
    view = memoryview(stored)
    return xxh3_64_intdigest(view[HEADER_SIZE:], int.from_bytes(view[:HEADER_SIZE], "little"))


def of_many(headers: bytes | memoryview, contents: Sequence[bytes | memoryview]) -> tuple[int, ...]:
    """The sums of chunks whose headers lie one after the other, apart from what follows each."""
    return tuple(map(xxh3_64_intdigest, contents, struct.unpack(f"<{len(contents)}Q", headers)))


def trailer(sums: Sequence[int], footer: bytes) -> bytes:
    """As they stand at the end of the file of a xorb."""
    return struct.pack(f"<{len(sums)}QQI", *sums, xxh3_64_intdigest(footer), len(sums)) + MARK


def length(end: bytes) -> int:
    """How long the trailer is that ends with the END_SIZE bytes `end`; 0 if it is none."""
    count = int.from_bytes(end[:4], "little")
    return SIZE * (count + 1) + END_SIZE if end[4:] == MARK and count <= CHUNKS_MAX else 0


def parse(raw: bytes, footer: bytes) -> tuple[int, ...] | None:
    """The sums of the chunks that a trailer says; None if it is that of another footer."""
    sums = struct.unpack_from(f"<{(len(raw) - END_SIZE) // SIZE}Q", raw)
    return sums[:-1] if sums[-1] == xxh3_64_intdigest(footer) else None
