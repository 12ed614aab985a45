"""Fakes with the real interfaces, for the tests of Concord and of whoever builds on it. No mocks.

>>> storage = MemoryStorage()
>>> storage.write({"a/b": b"1"})
>>> storage.read("a/b"), list(storage.names("a"))
(b'1', ['a/b'])
>>> make_member("ke").origin == make_member("ke").origin
True
"""

from concord.testing.members import NOW, bytes_from, make_member
from concord.testing.nodes import Clock, NodeSource, everything, make_charter, make_node, make_organisation
from concord.testing.storage import CrashError, MemoryStorage

__all__ = [
    "NOW",
    "Clock",
    "CrashError",
    "MemoryStorage",
    "NodeSource",
    "bytes_from",
    "everything",
    "make_charter",
    "make_member",
    "make_node",
    "make_organisation",
]
