"""A node that shares files, and a line to it."""

from hashlib import sha256

from concord.edges.peer.plan import Wanted
from concord.pillars.commons import File, Repo
from concord.shelf import Draft, Shelf
from concord.testing import NodeSource, everything, make_member, make_organisation
from concord.testing.lines import Line

KE = make_member("ke")


def stream(size: int, seed: str) -> bytes:
    return b"".join(sha256(b"%s/%d" % (seed.encode(), number)).digest() for number in range(-(-size // 32)))[:size]


class World:
    """A node that shares a repo, and what its files cost as stored."""

    def __init__(self) -> None:
        (self.node,) = make_organisation([[KE]])
        self.me = everything(KE.origin)
        self.shelf = Shelf(self.node)
        self.repo = self.shelf.open(self.me, "model", "words", private=False)

    def share(self, content: bytes, repo: Repo | None = None, path: str = "w.bin") -> Wanted:
        repo = repo or self.repo
        digest, size = self.shelf.content.take([content], sha256(content).hexdigest(), 1 << 30)
        self.shelf.content.give(repo, [digest])
        file = File(path=path, size=size, sha256=digest, xet=self.shelf.content.xet(digest))
        self.shelf.commit(self.me, repo, Draft("main", "Share", put=[file]))
        return Wanted(repo.root, digest, size, file.xet)

    def stored(self, wanted: Wanted, known: Wanted | None = None) -> int:
        """Bytes that the chunks of a file take as stored, but for those of another."""
        chunks = self.node.chunks
        listing = dict.fromkeys(chunk for chunk, _ in chunks.listing(wanted.xet))
        have = {chunk for chunk, _ in chunks.listing(known.xet)} if known else set()
        return sum(len(chunks.stored(chunk)) for chunk in listing if chunk not in have)


def source(world: World, **more: object) -> Line:
    return Line(NodeSource(world.node), **more)
