"""Whole nodes in memory, and a network between them that a test can break."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Lock

from msgspec import to_builtins

from concord.config import Settings
from concord.edges.peer import content, heads
from concord.edges.peer.bundle import BundleSource
from concord.edges.peer.pull import pull
from concord.edges.peer.source import PIECE, until
from concord.errors import ConcordError, ForgedError, ForkedError, MissingError, RefusedError, StaleError, UnreachableError
from concord.ledger import witness
from concord.ledger.blobs import Blobs
from concord.ledger.holdings import Holdings
from concord.ledger.keyring import Keyring, NewMember
from concord.ledger.pillar import PERSONAL_ROLES
from concord.ledger.record import ENCODER
from concord.ledger.storage.database import open_database
from concord.ledger.tree import folder
from concord.node import Node
from concord.pillars.members import Accede, Charter, Found, Founder
from concord.pillars.members.charter import load, presets, with_founders
from concord.private.people import Speaker
from concord.testing.members import NOW
from concord.testing.storage import MemoryStorage
from concord.tlog.tile import Place

_TURN = Lock()  # a database in memory has one connection


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def make_node(
    members: Iterable[NewMember] = (),
    storage: MemoryStorage | None = None,
    clock: Callable[[], int] | None = None,
    settings: Settings | None = None,
) -> Node:
    """A node in memory that hosts `members`, with their logs begun. Its blobs are files in a temporary folder."""
    members = list(members)
    keyring = Keyring(key for member in members for key in member.keys.values())
    holdings = Holdings(storage or MemoryStorage(), keyring)
    blobs = Blobs(Path(mkdtemp(prefix="concord-test-")))
    node = Node(settings or Settings(), holdings, blobs, open_database(None), open_database(None), clock or Clock())
    for member in members:
        if member.origin not in holdings.origins():
            node.found(member)
    return node


def make_charter(founders: Iterable[NewMember]) -> Charter:
    """The demonstration charter, founded by `founders`, of whom all must accede."""
    named = [
        Founder(
            id=member.origin.partition(".")[0], name="Example institute", country="KE", class_="institute", origin=member.origin
        )
        for member in founders
    ]
    return with_founders(load(presets()["demonstration"]), named)


def make_organisation(groups: list[list[NewMember]], clock: Callable[[], int] | None = None) -> list[Node]:
    """A node for each group of founding members, all of one organisation, each member having acceded in its own log."""
    charter = make_charter([member for group in groups for member in group])
    nodes = []
    for group in groups:
        node = make_node(group, clock=clock)
        node.adopt(charter)
        for member in group:
            node.say(everything(member.origin), Found, {"charter": to_builtins(charter)})
            node.say(everything(member.origin), Accede, {"charter": charter.digest()})
        nodes.append(node)
    return nodes


def everything(origin: str) -> Speaker:
    """Somebody who may say everything for the member `origin`."""
    return Speaker("tester", "Tester", origin, frozenset(PERSONAL_ROLES))


class NodeSource:
    """A node as a source for others (`concord.edges.peer.source.Source`), without a network between.

    `broken(path)` is asked before each answer; if it answers True, the line breaks.
    """

    ahead = 1

    def __init__(self, node: Node, broken: Callable[[str], bool] = lambda _: False) -> None:
        self.name = "a node in memory"
        self._node = node
        self._shared = content.Shared(node)
        self._turn = _TURN
        self._broken = broken

    def get(self, path: str, most: int) -> bytes:
        self._check(path)
        match path.split("/", 3):
            case ["peer", "content", root, name]:
                return b"".join(until(most, self._content(root, name, 0, None)))
            case ["peer", "heads"]:
                return heads.write(heads.of(self._node))
            case ["peer", "charter"] if self._node.charter:
                return ENCODER.encode(self._node.charter)
            case ["peer", "logs", log, tile]:
                return self._node.holdings.tree(self._origin(log)).read(Place.parse(tile))
        raise MissingError(f"no {path}")

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        self._check(path)
        yield from self._node.blob(path.rpartition("/")[2], start)

    def part(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        self._check(path)
        match path.split("/", 3):
            case ["peer", "content", root, name]:
                yield from until(stop - start, self._content(root, name, start, stop))
            case _:
                yield from until(stop - start, self.stream(path, start))

    def _content(self, root: str, name: str, start: int, stop: int | None) -> Iterator[bytes]:
        """What a request for a file of a repo, or for what it is made of, is answered."""
        with self._turn:
            size, read = content.find(self._shared, root, name)
        first, last = start, size if stop is None else min(stop, size)
        while first < last:
            with self._turn:
                piece = b"".join(read(first, min(first + PIECE, last)))
            yield piece
            first += len(piece)

    def post(self, path: str, body: bytes, most: int) -> tuple[int, bytes]:  # noqa: ARG002
        self._check(path)
        if path == "peer/bundle":
            return self._take_in(body)
        try:
            return 200, "".join(map(str, self._node.cosign_for(witness.parse(body)))).encode()
        except StaleError as e:
            return 409, f"{e.size}\n".encode()
        except ForkedError:
            return 422, b""
        except (ForgedError, RefusedError):
            return 403, b""
        except ConcordError:
            return 400, b""

    def _take_in(self, body: bytes) -> tuple[int, bytes]:
        with TemporaryDirectory() as folder_:
            path = Path(folder_) / "push.zip"
            path.write_bytes(body)
            with BundleSource([path]) as source:
                pull(self._node, source)
        return 200, b"{}"

    def _check(self, path: str) -> None:
        if self._broken(path):
            raise UnreachableError("the line broke")

    def _origin(self, log: str) -> str:
        found = next((origin for origin in self._node.holdings.origins() if folder(origin) == log), None)
        if found is None:
            raise MissingError("no such log")
        return found
