"""What can be wrong with bytes from outside.

    ConcordError
    ├── MalformedError         the bytes' author: not in the format
    │   ├── NotCanonicalError  the bytes' author: right meaning, wrong spelling
    │   └── TooLargeError      the bytes' author: over a limit that the format sets
    └── ForgedError            whoever made it: a signature, a hash or a proof does not verify

The whole tree, of which these are the roots, is drawn in `concord.errors`.
"""

from typing import ClassVar


class ConcordError(Exception):
    """Base of all errors that Concord raises on purpose. `fault` says, in words for a message, whose it is."""

    fault: ClassVar[str] = "nobody's"


class MalformedError(ConcordError):
    """Bytes from outside that do not parse."""

    fault: ClassVar[str] = "their author's"


class NotCanonicalError(MalformedError):
    """Bytes that parse but are not the one spelling of what they say."""


class TooLargeError(MalformedError):
    """More bytes than the format allows."""


class ForgedError(ConcordError):
    """A signature, hash or proof that does not verify."""

    fault: ClassVar[str] = "its maker's"
