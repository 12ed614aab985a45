"""Communities: the repos that a member gathers under a name, its own and those of others."""

from collections.abc import Sequence

import msgspec

from concord.errors import MissingError
from concord.ledger.identity import label
from concord.node import Node
from concord.pillars.commons import Community, RepoId
from concord.pillars.commons import view as commons_view
from concord.pillars.commons.search import Entry
from concord.pillars.commons.view import Gathering
from concord.private.people import Speaker
from concord.shelf.repos import Finder
from concord.shelf.shelf import Shelf


def gather(shelf: Shelf, speaker: Speaker, name: str, title: str, about: str, repos: Sequence[RepoId]) -> Gathering:
    """Say which repos a community of the speaker's member has; what was said of it before counts no more.

    Each must be public, because the record says its name to everybody. MissingError if one is not there.
    """
    found = [shelf.find(repo, None).id for repo in dict.fromkeys(repos)]
    fields = {"name": name, "title": title, "about": about, "repos": msgspec.to_builtins(list(dict.fromkeys(found)))}
    shelf.node.say(speaker, Community, {**fields, "person": speaker.spelled})
    return find(shelf.node, speaker.origin, name)


def find(node: Node, by: str, name: str) -> Gathering:
    """The community that a member calls so. MissingError if there is none."""
    with node.reading() as db:
        found = commons_view.communities(db, by, name)
    if not found:
        raise MissingError(f"{label(by)} gathers no community {name[:100]!r}")
    return found[0]


def repos_of(finder: Finder, gathering: Gathering, asker: Speaker | None) -> list[tuple[RepoId, Entry | None]]:
    """The repos that a community names; None for what is gone, or not for `asker` to see, which look the same."""
    with finder.node.reading() as db:
        named = commons_view.repos_in(db, gathering)
    known, moved = {entry.id: entry for entry in finder.catalogue(asker)}, finder.renamed()
    return [(repo, known.get(repo) or known.get(moved.get(repo, repo))) for repo in named]
