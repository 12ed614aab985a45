"""The fold of a repo: the order in which others' logs arrive changes nothing, and neither does what they may not say."""

from hashlib import sha256
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

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
    RepoId,
    Said,
    Settle,
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
