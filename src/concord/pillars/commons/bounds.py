"""How much counts of what one member says of another's repo: more than whoever means well says, and too little to drown a repo.

1. In one discussion count the first `ANSWERS_MAX` answers of each member but the owner: what it says, settles and retitles.
2. Of what a member says of another's repo, and what 1 lets count, count the first `SAID_MAX`: discussions, answers, commits to
   pull requests.
3. Likes, given and taken back, count apart from that: the first `LIKES_MAX` of each member. Nobody knows whether the persons are,
   whom a member names; so repos are put in order by how many members like them, and only then by how many people.

First is what stands first in the member's log, whatever its dates. So the bound is the same on every node, and what counted once
counts for good: nothing that a member says later takes the place of it. What is over a bound stays in the log, and is told of by
number. The owner is bound by nothing in its own repo, and nobody by what others say.

>>> order(members=3, people=4) > order(members=2, people=900) > order(members=2, people=899)
True
"""

ANSWERS_MAX = 500
SAID_MAX = 10_000
LIKES_MAX = 1_000
_PEOPLE = 1 << 32  # more than all members together can name


def order(members: int, people: int) -> int:
    """Where a repo stands among others that are liked: the higher, the earlier in a list."""
    return members * _PEOPLE + people
