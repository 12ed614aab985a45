"""The Hub door: what the clients of the Hugging Face Hub ask, answered as they expect it, from what stands in the logs.

    HF_ENDPOINT=https://concord.example hf download ke/words

Routes are read from the path as it was sent (`raw_path`): `dev%2Fx` is one segment, the name of a revision. Whoever asks shows a
token; a repo that the asker may not see is answered like one that never was.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from concord.edges.hub import git
from concord.edges.hub.asking import Hub
from concord.edges.hub.door import Door, asked
from concord.edges.hub.failures import STATUS, tell
from concord.measuring import Measures
from concord.node import Node
from concord.shelf import Courier

__all__ = ["STATUS", "asked", "git", "routes", "tell"]


def routes(node: Node, courier: Courier | None = None, measures: Measures | None = None) -> Sequence[BaseRoute]:
    """The door as one route. Files that are not here are brought by the courier, if there is one."""
    return [Door(Hub(node, courier, measures))]
