"""What can go wrong, and whose fault it is.

    ConcordError
    ├── MalformedError         the bytes' author: not in the format
    │   ├── NotCanonicalError  the bytes' author: right meaning, wrong spelling
    │   ├── TooLargeError      the bytes' author: over a limit that the format sets
    │   └── UnknownTypeError   nobody: a record of a type that this version does not know
    ├── ForgedError            whoever made it: a signature, a hash or a proof does not verify
    │   └── ForkedError        the log's owner: it signed a tree that does not continue the one it signed before
    ├── RefusedError           the speaker: well said, but not theirs to say, or not now
    │   ├── SignInError        the person: not signed in, or not with these words
    │   └── TooManyError       the asker: too often, too soon
    ├── MissingError           the asker: no such thing here
    │   ├── ErasedError        nobody: it was here and was erased, by right
    │   └── HeldError          nobody: it is here, but a hold stops it from being served
    ├── StaleError             the sender: older than what is known here
    ├── UnreachableError       the line, or the peer: nothing came, or too little, too slowly
    │   ├── LaterError         nobody: the peer gives others their turn first, and says when to ask again
    │   └── SlowError          the line, or the asker: what was promised comes too slowly, or not at all
    └── HomeError              this machine, or whoever runs it
        ├── SettingsError      the operator: a setting that cannot be right
        ├── BusyError          the operator: a port, a home or a log that another process holds
        ├── StorageError       the machine: the disk is full, may not be written, or does not answer
        ├── DamagedError       the machine: what is stored is not what was written
        └── ClockError         the machine: its clock contradicts its own log

Each class says in `fault` who can do something about it, in words for a message. A mistake of the programmer is an
assertion or a RuntimeError, and never stands here.
"""

from typing import ClassVar

from concord.tlog.errors import ConcordError, ForgedError, MalformedError, NotCanonicalError, TooLargeError

__all__ = [
    "BusyError",
    "ClockError",
    "ConcordError",
    "DamagedError",
    "ErasedError",
    "ForgedError",
    "ForkedError",
    "HeldError",
    "HomeError",
    "LaterError",
    "MalformedError",
    "MissingError",
    "NotCanonicalError",
    "RefusedError",
    "SettingsError",
    "SignInError",
    "SlowError",
    "StaleError",
    "StorageError",
    "TooLargeError",
    "TooManyError",
    "UnknownTypeError",
    "UnreachableError",
]


class UnknownTypeError(MalformedError):
    """A record of a type that this version does not know: perhaps a newer version wrote it. It is kept, and not read."""

    fault: ClassVar[str] = "nobody's"


class ForkedError(ForgedError):
    """A validly signed checkpoint that is not shown to continue what its log signed before."""

    fault: ClassVar[str] = "the log's owner's, or of whoever brought the proof"


class RefusedError(ConcordError):
    """A statement that its speaker may not make, or not now."""

    fault: ClassVar[str] = "the speaker's"


class SignInError(RefusedError):
    """Nobody is signed in, or the words, link, token or key do not fit."""

    fault: ClassVar[str] = "the person's"


class TooManyError(RefusedError):
    """Too many attempts. `wait` is in seconds."""

    fault: ClassVar[str] = "the asker's"

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(message)
        self.wait = wait


class MissingError(ConcordError):
    """No such thing here."""

    fault: ClassVar[str] = "the asker's"


class ErasedError(MissingError):
    """It was here, and was erased at the request of the member that published it."""

    fault: ClassVar[str] = "nobody's"


class HeldError(MissingError):
    """It is here, and a hold stops it from being served."""

    fault: ClassVar[str] = "nobody's"


class StaleError(ConcordError):
    """Older than what is known here. `size` is the size of the log that is known."""

    fault: ClassVar[str] = "the sender's"

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class UnreachableError(ConcordError):
    """Nothing came, or too little, or too slowly. It says nothing about the honesty of whoever did not answer."""

    fault: ClassVar[str] = "the line's or the peer's"


class LaterError(UnreachableError):
    """The peer gives others their turn first. `wait` is how many seconds it asks for."""

    fault: ClassVar[str] = "nobody's"

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(message)
        self.wait = wait


class SlowError(UnreachableError):
    """Whoever asks does not send what the request promises, or so slowly that it can only be a trap."""

    fault: ClassVar[str] = "the line's or the asker's"


class HomeError(ConcordError):
    """Something about this machine or this node's home directory."""

    fault: ClassVar[str] = "this machine's"


class SettingsError(HomeError):
    """A setting that cannot be right."""

    fault: ClassVar[str] = "the operator's"


class BusyError(HomeError):
    """Another process holds it."""

    fault: ClassVar[str] = "the operator's"


class StorageError(HomeError):
    """The disk is full, may not be written, or does not answer. Nothing acknowledged is lost."""


class DamagedError(HomeError):
    """What is stored is not what was written."""


class ClockError(HomeError):
    """This machine's clock contradicts its own log."""
