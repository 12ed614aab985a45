"""Communities: what stands of them, and which of their repos who sees."""

import pytest
from meeting import AMINA, SAMI, meet
from msgspec.structs import replace

from concord.errors import MissingError
from concord.node import Node
from concord.shelf import Shelf, communities


def test_what_was_said_last_of_a_community_stands_and_leads_to_the_names_that_repos_have_now(
    nodes: list[Node], shelf: Shelf
) -> None:
    ours, other = shelf.open(AMINA, "model", "words", private=False), Shelf(nodes[1])
    meet(nodes)
    theirs = other.open(SAMI, "dataset", "corpus", private=False)
    communities.gather(other, SAMI, "coast", "The coast", "", [ours.id])
    communities.gather(other, SAMI, "coast", "Words of the coast", "", [ours.id, theirs.id, ours.id])
    shelf.move(AMINA, ours, "better")
    meet(nodes)
    for each in (shelf, other):
        found = communities.find(each.node, SAMI.origin, "coast")
        assert (found.title, found.count) == ("Words of the coast", 2)
        gathered = dict(communities.repos_of(each, found, None))
        assert {repo: entry.id for repo, entry in gathered.items() if entry} == {
            ours.id: replace(ours.id, name="better"),
            theirs.id: theirs.id,
        }
    other.close(SAMI, other.find(theirs.id, None))
    assert dict(communities.repos_of(other, found, None))[theirs.id] is None


def test_nobody_gathers_what_is_private_nor_finds_what_nobody_gathers(nodes: list[Node], shelf: Shelf) -> None:
    secret = shelf.open(AMINA, "model", "secret", private=True)
    with pytest.raises(MissingError, match="there is no model"):
        communities.gather(shelf, AMINA, "coast", "The coast", "", [secret.id])
    with pytest.raises(MissingError, match="gathers no community"):
        communities.find(nodes[0], AMINA.origin, "coast")
