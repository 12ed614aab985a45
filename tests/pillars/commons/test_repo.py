"""The fold of a repo: the order in which others' logs arrive changes nothing, and neither does what they may not say."""

from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.errors import MissingError
from concord.ledger.conformance import codec_laws, handler_laws
from concord.ledger.pillar import Stamp
from concord.ledger.record import Codec, Record
from concord.pillars.commons import (
    PILLAR,
    Changes,
    Close,
    Comment,
    Commit,
    Community,
    Configure,
    Discussion,
    File,
    Like,
    Move,
    Open,
    Point,
    Repo,
    RepoId,
    Said,
    Settle,
    Thread,
    fold,
)
from concord.pillars.commons.repo import number
from concord.pillars.commons.tree import digest, git_blob, grow
from concord.testing import NOW, make_member
from concord.tlog.merkle import leaf_hash

KE, TN, BR = make_member("ke"), make_member("tn"), make_member("br")
CODEC = Codec(PILLAR.handlers)
REPO = RepoId(owner=KE.origin, kind="model", name="words")
FILE = File(path="a", size=1, sha256=sha256(b"x").hexdigest(), oid=git_blob(b"x"))
TREE = digest(grow({}, [FILE], []))


def said(record: Record, index: int = 0) -> Said:
    return Said(leaf_hash(CODEC.encode(record)).hex(), index, record)


def commit(by: str, ref: str, parent: Said | None, at: int, **more: Any) -> Said:
    return said(
        Commit(
            by=by,
            at=at,
            repo=REPO,
            ref=ref,
            tree=TREE,
            title="t",
            parent=parent.leaf if parent else None,
            changes=Changes(put=(FILE,)),
            **more,
        )
    )


OPENED = said(Open(by=KE.origin, at=NOW, kind="model", name="words"))
FIRST = commit(KE.origin, "main", None, NOW + 1)
SECOND = commit(KE.origin, "main", FIRST, NOW + 2)
PULL = said(Discussion(by=TN.origin, at=NOW + 3, repo=REPO, title="Better", pull=True))
REF = f"refs/pr/{number(PULL.leaf)}"
PROPOSED = commit(TN.origin, REF, SECOND, NOW + 4)
AMENDED = commit(TN.origin, REF, PROPOSED, NOW + 4)
TALK = said(Discussion(by=BR.origin, at=NOW + 5, repo=REPO, title="A question"))
OTHERS = [
    PULL,
    PROPOSED,
    AMENDED,
    TALK,
    said(Comment(by=TN.origin, at=NOW + 6, discussion=TALK.leaf, text="yes")),
    said(Comment(by=TN.origin, at=NOW + 6, discussion=TALK.leaf, text="no")),
    said(Settle(by=BR.origin, at=NOW + 7, discussion=TALK.leaf, status="closed")),
    said(Settle(by=TN.origin, at=NOW + 8, discussion=TALK.leaf, status="open")),
    said(Like(by=TN.origin, at=NOW + 9, repo=REPO, person="sami")),
    said(Like(by=BR.origin, at=NOW + 9, repo=REPO, person="rosa")),
    said(Like(by=BR.origin, at=NOW + 10, repo=REPO, person="rosa", liked=False)),
    commit(BR.origin, REF, AMENDED, NOW + 11),
    commit(TN.origin, REF, FIRST, NOW + 12),
]
MERGED = commit(KE.origin, "main", SECOND, NOW + 13, merges=AMENDED.leaf)
OWN = [OPENED, FIRST, SECOND, MERGED]


@given(st.integers(0, 2**32), st.integers(0, len(OTHERS)))
def test_the_order_in_which_others_arrive_changes_nothing(seed: int, count: int) -> None:
    some = Random(seed).sample(OTHERS, count)
    assert fold(REPO, OWN, some) == fold(REPO, OWN, sorted(some, key=OTHERS.index))


def test_what_all_of_it_makes() -> None:
    repo = fold(REPO, OWN, OTHERS)
    assert repo is not None
    pull, talk = repo.threads[number(PULL.leaf)], repo.threads[number(TALK.leaf)]
    assert (pull.head, pull.status, pull.merged) == (AMENDED.leaf, "merged", MERGED.leaf)
    assert (talk.status, len(talk.answers)) == ("closed", 3)
    assert repo.likes == {(TN.origin, "sami")}
    assert repo.branches == {"main": MERGED.leaf}
    assert set(repo.revisions) == {FIRST.leaf, SECOND.leaf, MERGED.leaf, PROPOSED.leaf, AMENDED.leaf}
    assert repo.find("main").oid == MERGED.leaf[:40]
    assert repo.find(AMENDED.leaf[:10]).leaf == AMENDED.leaf


def test_a_repo_that_is_closed_is_none_and_begins_empty_when_it_is_opened_again() -> None:
    closed = said(Close(by=KE.origin, at=NOW + 20, kind="model", name="words"))
    assert fold(REPO, [*OWN, closed], OTHERS) is None
    again = fold(REPO, [*OWN, closed, said(Open(by=KE.origin, at=NOW + 21, kind="model", name="words"))])
    assert again is not None
    assert (again.branches, again.revisions) == ({}, {})
    assert fold(REPO, [FIRST, SECOND]) is None


def test_a_tag_of_a_commit_that_is_not_there_is_none() -> None:
    lost = Point(by=KE.origin, at=NOW, kind="model", name="words", what="tag", ref="v1", target="0" * 64)
    repo = fold(REPO, [OPENED, FIRST, said(lost)])
    assert repo is not None
    assert repo.tags == {}


# Hostile members: whatever they say, in whatever order it comes, the owner's branches, tags, gate and merges stay as they are.

STOLEN = said(Discussion(by=BR.origin, at=NOW + 4, repo=REPO, title="Mine", pull=True))
WHO = st.sampled_from([TN.origin, BR.origin])
WHEN = st.integers(NOW - 5, NOW + 40)
LEAVES = st.sampled_from([each.leaf for each in (*OWN, *OTHERS, STOLEN)] + ["0" * 64])
REFS = st.sampled_from(["main", REF, f"refs/pr/{number(STOLEN.leaf)}", "refs/pr/0"])
WORDS = st.sampled_from(["a", "b"])
HOSTILE = st.one_of(
    st.builds(lambda by, at, ref, parent, merges: Commit(by=by, at=at, repo=REPO, ref=ref, tree=TREE, title="t", parent=parent,
                                                         merges=merges), WHO, WHEN, REFS, LEAVES | st.none(), LEAVES | st.none()),
    st.builds(lambda by, at, what, target: Point(by=by, at=at, kind="model", name="words", what=what, ref="main", target=target),
              WHO, WHEN, st.sampled_from(["branch", "tag"]), LEAVES | st.none()),
    st.builds(lambda by, at, leaf, status: Settle(by=by, at=at, discussion=leaf, status=status, title="Taken over"),
              WHO, WHEN, LEAVES, st.sampled_from(["open", "closed", "merged", "draft"])),
    st.builds(lambda by, at, leaf: Comment(by=by, at=at, discussion=leaf, text="x"), WHO, WHEN, LEAVES),
    st.builds(lambda by, at, title: Discussion(by=by, at=at, repo=REPO, title=title, pull=True), WHO, WHEN, WORDS),
    st.builds(lambda by, at, person, liked: Like(by=by, at=at, repo=REPO, person=person, liked=liked), WHO, WHEN, WORDS,
              st.booleans()),
    st.builds(lambda by, at: Close(by=by, at=at, kind="model", name="words"), WHO, WHEN),
    st.builds(lambda by, at: Configure(by=by, at=at, kind="model", name="words", gate="manual"), WHO, WHEN),
    st.builds(lambda by, at: Move(by=by, at=at, kind="model", name="words", to="gone"), WHO, WHEN),
    st.builds(lambda by, at: Open(by=by, at=at, kind="model", name="words"), WHO, WHEN),
)  # fmt: skip


@given(st.lists(HOSTILE, max_size=25), st.integers(0, 2**32))
def test_what_others_say_moves_nothing_of_the_owners(records: list[Record], seed: int) -> None:
    theirs = [STOLEN, *OTHERS, *(said(record, index) for index, record in enumerate(records, 100))]
    plain, repo = fold(REPO, OWN), fold(REPO, OWN, theirs)
    assert plain is not None and repo is not None
    assert repo == fold(REPO, OWN, Random(seed).sample(theirs, len(theirs)))
    assert (repo.root, repo.gate, repo.branches, repo.tags) == (plain.root, plain.gate, plain.branches, plain.tags)
    assert [each for each in repo.revisions.values() if each.commit.ref == "main"] == [*plain.revisions.values()]
    for thread in repo.threads.values():
        assert (thread.status == "merged") == (thread.merged is not None) == (thread.head == AMENDED.leaf)
        assert thread.head is None or repo.revisions[thread.head].commit.ref == thread.ref
    mine = [each for each in repo.revisions.values() if each.commit.ref == REF]
    assert {each.commit.by for each in mine} <= {TN.origin}
    assert {by for by, _ in repo.likes} <= {TN.origin, BR.origin}


def test_nobody_but_the_owner_merges() -> None:
    claimed = said(Settle(by=TN.origin, at=NOW + 9, discussion=PULL.leaf, status="merged", title="Done"))
    forged = commit(BR.origin, f"refs/pr/{number(STOLEN.leaf)}", SECOND, NOW + 9, merges=AMENDED.leaf)
    own = commit(TN.origin, REF, AMENDED, NOW + 9, merges=AMENDED.leaf)
    repo = fold(REPO, OWN[:-1], [*OTHERS, STOLEN, claimed, forged, own])
    assert repo is not None
    pull = repo.threads[number(PULL.leaf)]
    assert (pull.status, pull.merged, pull.title, pull.answers) == ("draft", None, "Better", [])


def test_a_pull_request_ends_where_it_was_merged() -> None:
    repo = fold(REPO, OWN, [*OTHERS, commit(TN.origin, REF, AMENDED, NOW + 30)])
    assert repo is not None
    pull = repo.threads[number(PULL.leaf)]
    assert (pull.status, pull.head, pull.merged) == ("merged", AMENDED.leaf, MERGED.leaf)


# Two discussions of one number are looked for in hours, so here their leaf hashes are made up.
GENUINE = replace(PULL, leaf="0a1b2c3d4e" + "1" * 54)
ALIKE = replace(said(Discussion(by=BR.origin, at=NOW - 99, repo=REPO, title="Hidden", pull=True)), leaf="0a1b2c3d4e" + "2" * 54)
ITS_REF = f"refs/pr/{number(GENUINE.leaf)}"
ITS_COMMIT = commit(TN.origin, ITS_REF, SECOND, NOW + 5)
ANSWER = said(Comment(by=TN.origin, at=NOW + 6, discussion=GENUINE.leaf, text="yes"))


def threads_of(repo: Repo | None) -> dict[str, Thread]:
    assert repo is not None
    assert all(repo.thread(number) is thread for number, thread in repo.threads.items())
    return {thread.leaf: thread for thread in repo.threads.values()}


@pytest.mark.parametrize("order", [1, -1])
def test_a_discussion_that_has_the_number_of_another_hides_nothing(order: int) -> None:
    """Also not by being dated earlier, and not by commits to the other's ref."""
    forged = commit(BR.origin, ITS_REF, SECOND, NOW - 50)
    merged = commit(KE.origin, "main", SECOND, NOW + 8, merges=ITS_COMMIT.leaf)
    theirs = [GENUINE, ALIKE, ITS_COMMIT, ANSWER, forged][::order]
    repo = fold(REPO, [*OWN[:-1], merged], theirs)
    found = threads_of(repo)
    assert found[GENUINE.leaf].head == ITS_COMMIT.leaf and found[GENUINE.leaf].merged == merged.leaf
    assert [each.leaf for each in found[GENUINE.leaf].answers] == [ANSWER.leaf]
    assert (found[ALIKE.leaf].head, found[ALIKE.leaf].answers) == (forged.leaf, [])
    assert len({found[GENUINE.leaf].number, found[ALIKE.leaf].number, number(GENUINE.leaf)}) == 3
    assert max(found[each.leaf].number for each in (GENUINE, ALIKE)) < 2**53
    with pytest.raises(MissingError, match=f"{found[GENUINE.leaf].number}, {found[ALIKE.leaf].number}"):
        repo and repo.thread(number(GENUINE.leaf))


def test_who_comes_later_has_the_other_number_once_the_owner_took_part() -> None:
    answer = said(Comment(by=KE.origin, at=NOW + 6, discussion=GENUINE.leaf, text="thank you"))
    found = threads_of(fold(REPO, [*OWN[:-1], answer], [GENUINE, ALIKE, ITS_COMMIT]))
    assert (found[GENUINE.leaf].number, found[GENUINE.leaf].head) == (number(GENUINE.leaf), ITS_COMMIT.leaf)
    assert found[ALIKE.leaf].number not in (number(GENUINE.leaf), None)
    own = replace(said(Discussion(by=KE.origin, at=NOW + 9, repo=REPO, title="Ours")), leaf=GENUINE.leaf[:20] + "3" * 44)
    found = threads_of(fold(REPO, [*OWN[:-1], own], [ALIKE]))
    assert found[own.leaf].number == number(own.leaf)


def test_the_owner_commits_to_the_pull_request_that_its_commit_follows() -> None:
    amended = commit(KE.origin, ITS_REF, ITS_COMMIT, NOW + 7)
    found = threads_of(fold(REPO, [*OWN[:-1], amended], [GENUINE, ALIKE, ITS_COMMIT]))
    assert (found[GENUINE.leaf].head, found[ALIKE.leaf].head) == (amended.leaf, None)


def test_there_is_no_discussion_of_another_number() -> None:
    repo = fold(REPO, OWN, OTHERS)
    assert repo is not None
    with pytest.raises(MissingError, match="has no discussion 7"):
        repo.thread(7)


def test_a_commit_that_begins_like_one_of_the_owners_does_not_hide_it() -> None:
    repo = fold(REPO, OWN, OTHERS)
    assert repo is not None
    alike = FIRST.leaf[:7] + "0" * 57
    repo.revisions[alike] = replace(repo.revisions[PROPOSED.leaf], leaf=alike)
    assert repo.find(FIRST.leaf[:7]).leaf == FIRST.leaf
    assert repo.find(alike[:20]).leaf == alike


def test_many_commits_that_are_dated_backwards_are_followed_in_one_go() -> None:
    """Each passes over all others once if they are followed one by one: 20,000 took minutes, and a page waits for it."""
    chain = [SECOND]
    for count in range(20_000):
        chain.append(commit(TN.origin, REF, chain[-1], NOW + 90_000 - count))
    repo = fold(REPO, OWN[:-1], [PULL, *chain[1:]])
    assert repo is not None
    assert repo.threads[number(PULL.leaf)].head == chain[-1].leaf


RECORDS: list[Record] = [
    *(each.record for each in (*OWN, *OTHERS)),
    Configure(by=KE.origin, at=NOW, kind="model", name="words", gate="manual"),
    Move(by=KE.origin, at=NOW, kind="model", name="words", to="better"),
    Close(by=KE.origin, at=NOW, kind="model", name="words"),
    Point(by=KE.origin, at=NOW, kind="model", name="words", what="tag", ref="v1"),
    Community(by=TN.origin, at=NOW, name="coast", title="Words of the coast", repos=(REPO,)),
]


def test_records_and_handlers_keep_the_laws() -> None:
    assert {type(record) for record in RECORDS} == set(PILLAR.handlers)
    for record in RECORDS:
        codec_laws(CODEC.encode, CODEC.decode, record)
    handler_laws(PILLAR, [(Stamp(record.by, 1, "ab" * 32, KE.identity), record) for record in RECORDS])
