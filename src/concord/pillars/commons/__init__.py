"""Commons: models, datasets and code that members share."""

from concord.pillars.commons.records import (
    Card,
    Changes,
    Close,
    Comment,
    Commit,
    Community,
    Configure,
    Discussion,
    Like,
    Move,
    Open,
    Point,
    RepoId,
    Settle,
)
from concord.pillars.commons.repo import Repo, Revision, Said, Thread, fold
from concord.pillars.commons.tree import File, Tree
from concord.pillars.commons.view import PILLAR

__all__ = [
    "PILLAR",
    "Card",
    "Changes",
    "Close",
    "Comment",
    "Commit",
    "Community",
    "Configure",
    "Discussion",
    "File",
    "Like",
    "Move",
    "Open",
    "Point",
    "Repo",
    "RepoId",
    "Revision",
    "Said",
    "Settle",
    "Thread",
    "Tree",
    "fold",
]
