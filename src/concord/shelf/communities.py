"""Communities: the repos that a member gathers under a name, its own and those of others."""

from collections.abc import Callable, Collection, Sequence

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


def gather(
    shelf: Shelf, speaker: Speaker, name: str, title: str, about: str, repos: Sequence[RepoId], said: Collection[RepoId] = ()
) -> Gathering:
    """Say which repos a community of the speaker's member has; what was said of it before counts no more.

    Each must be public, because the record says its name to everybody, unless it is among those that were `said` before: they
    may be gone. MissingError if one is not there.
    """
    found = [repo if repo in said else shelf.find(repo, None).id for repo in dict.fromkeys(repos)]
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


def named_in(node: Node, gathering: Gathering) -> list[RepoId]:
    """The repos that a community names, in its order, whether they are here or not."""
    with node.reading() as db:
        return commons_view.repos_in(db, gathering)


def seen_by(finder: Finder, asker: Speaker | None) -> Callable[[RepoId], Entry | None]:
    """What there is under a name that a community says; None for what is gone, or not for `asker` to see, which look the same."""
    known, moved = {entry.id: entry for entry in finder.catalogue(asker)}, finder.renamed()
    return lambda repo: known.get(repo) or known.get(moved.get(repo, repo))


def repos_of(finder: Finder, gathering: Gathering, asker: Speaker | None) -> list[tuple[RepoId, Entry | None]]:
    """The repos that a community names, each with what `asker` sees under that name."""
    seen = seen_by(finder, asker)
    return [(repo, seen(repo)) for repo in named_in(finder.node, gathering)]
