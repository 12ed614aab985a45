"""Where the ledger's bytes are kept: the one interface, and the places that fulfil it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["Storage"]


class Storage(Protocol):
    """Named bytes. A name is a relative path with forward slashes.

    The laws, which `concord.ledger.conformance` checks: after `write` returns, all of its files are durable; if it is cut
    off, each file is there whole, as before, or not at all. `read` gives the whole of what was last written, or None.
    StorageError if the place is full, may not be written, or does not answer.
    """

    def read(self, name: str) -> bytes | None:
        """All bytes under `name`, or None if there are none."""

    def write(self, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        """Set each name to its bytes: each one at once or not at all, and all durable on return.

        What is not `durable` may be there in part until it is settled: whoever reads it before checks it.
        """

    def settle(self) -> None:
        """Make durable whatever was written and is not yet."""

    def remove(self, names: Iterable[str]) -> None:
        """Forget the names; those not there are passed over. Not durable before the next write."""

    def names(self, prefix: str) -> Iterator[str]:
        """All names below the folder `prefix`, in no order."""

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Held by one thread of one process at a time; waited for by the others."""
