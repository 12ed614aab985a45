"""The chunk store under the blobs: what files have in common is kept once.

    chunks/xorbs/3a/3ad58b9e…          a xorb: packed chunks, then a footer that says where each is
    chunks/xorbs/3a/3ad58b9e….damaged  one that was found damaged and set aside
    chunks/shards/a9/a9dae0ad…         a shard with one file: which chunks of which xorbs it is, and its SHA-256
    chunks/incoming/                   what is being written; after a crash, what peers sent is kept, the rest goes
    chunks/coming/                     what comes from peers, until it is whole; goes on where it was cut
    chunks/index.db                    where every chunk is; derived from the files above, and may be deleted at any time
    chunks/lock                        held while something comes into the index or leaves it

Names are hashes as the Xet protocol spells them. A xorb or shard is written once: to a temporary file, made durable, renamed, and
only then put into the index, so that whatever the index names is there, whole. What leaves does so in the other order: first the
shard of the file, then the rows, then the xorbs. The time of a xorb's file is when it came or was last offered to somebody to
build on; whatever is younger than a running upload may be needed by it (`Chunks.gc`).

Nothing is believed. Chunks are hashed as they come and as they are read, what a shard says is computed again down to the SHA-256
of the file, and bytes that are not what was written are DamagedError, never content.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as home:
...     chunks = Chunks(Path(home))
...     file = chunks.ingest([b"Hello ", b"World!"], at=0)
...     file.hash[:8], b"".join(chunks.read(file.hash, 6)), chunks.by_digest(file.sha256) == file
('a9dae0ad', b'World!', True)
"""

from concord.ledger.chunks.answers import Fetch, Reconstruction, Span
from concord.ledger.chunks.index import Entry
from concord.ledger.chunks.reader import Stream
from concord.ledger.chunks.upkeep import Chunks, Damage, Garbage
from concord.ledger.chunks.writer import Writer

__all__ = ["Chunks", "Damage", "Entry", "Fetch", "Garbage", "Reconstruction", "Span", "Stream", "Writer"]
