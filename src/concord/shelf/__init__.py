"""Repos as a node has them: those that stand in the logs it holds, and the private ones of its own members.

repos.py          Finder: which repos there are, and who may see them
files.py          Reader: that, and their trees and files; whoever changes no repo takes this
shelf.py          Shelf: that, and what a speaker says of them: commits, branches, discussions, settings
pull_requests.py  what is proposed to a repo, and merged
communities.py    what a member gathers, its own and others'
commits.py        a commit that is to be made, and what it follows
courier.py        who brings files that are elsewhere, or damaged here, while they are read
"""

from concord.shelf.commits import Draft
from concord.shelf.courier import Courier
from concord.shelf.files import Reader, Where
from concord.shelf.repos import Finder
from concord.shelf.shelf import Shelf

__all__ = ["Courier", "Draft", "Finder", "Reader", "Shelf", "Where"]
