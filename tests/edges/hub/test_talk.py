"""Discussions and pull requests between people of two members."""

from typing import Any

import pytest
from asking import Person, failure, file


@pytest.fixture
def repo(owner: Person) -> str:
    repo = owner.open()
    owner.commit(repo, file("a"))
    return repo


def begin(person: Person, repo: str, title: str, **more: Any) -> str:
    answer = person.post(f"/api/models/{repo}/discussions", {"title": title, **more})
    assert answer.status_code == 201, answer.text
    return f"/api/models/{repo}/discussions/{answer.json()['num']}"


def test_people_of_two_members_talk(repo: str, owner: Person, other: Person, nobody: Person) -> None:
    url = begin(other, repo, "  A\n question ", description="How?")
    told = owner.post(f"{url}/comment", {"comment": "Like this."}).json()["newMessage"]
    assert (told["type"], told["data"]["latest"]["raw"]) == ("comment", "Like this.")
    assert other.post(f"{url}/title", {"title": "An answered question"}).json()["newTitle"]["data"]["to"] == "An answered question"
    assert owner.post(f"{url}/status", {"status": "closed", "comment": "Done."}).json()["newStatus"]
    details = nobody.get(f"{url}?diff=1").json()
    assert (details["title"], details["status"], details["isPullRequest"]) == ("An answered question", "closed", False)
    assert (details["author"]["name"], details["repo"]) == ("joana@br", {"name": repo, "type": "model"})
    words = [each["data"]["latest"]["raw"] for each in details["events"] if each["type"] == "comment"]
    assert (words[0], sorted(words[1:])) == ("How?", ["Done.", "Like this."])
    renamed = next(each["data"] for each in details["events"] if each["type"] == "title-change")
    assert renamed == {"from": "A question", "to": "An answered question"}
    assert owner.post(f"{url}/status", {"status": "closed"}).status_code == 400
    assert owner.post(f"{url}/status", {"status": "open"}).status_code == 200


def test_discussions_are_listed_by_kind_status_and_author(repo: str, owner: Person, other: Person, nobody: Person) -> None:
    closed = begin(owner, repo, "One")
    owner.post(f"{closed}/status", {"status": "closed"})
    begin(other, repo, "Two")
    begin(other, repo, "Three", pullRequest=True)

    def titles(query: str) -> set[str]:
        told = nobody.get(f"/api/models/{repo}/discussions?{query}").json()
        assert (told["start"], told["count"]) == (0, len(told["discussions"]))
        return {each["title"] for each in told["discussions"]}

    assert titles("p=0") == {"One", "Two", "Three"}
    assert titles("type=pull_request") == {"Three"}
    assert titles("type=discussion&status=open") == {"Two"}
    assert titles("status=closed") == {"One"}
    assert titles("author=joana@br") == titles("author=br") == {"Two", "Three"}
    assert nobody.get(f"/api/models/{repo}/discussions?p=x").status_code == 400
    assert nobody.get(f"/api/models/{repo}/discussions?p=9").json()["discussions"] == []


def test_a_pull_request_is_looked_at_and_merged_by_the_owner(repo: str, owner: Person, other: Person, nobody: Person) -> None:
    url = begin(other, repo, "Better", pullRequest=True)
    number = url.rpartition("/")[2]
    assert owner.post(f"{url}/merge").status_code == 400
    assert other.commit(repo, file("b"), file("a", b"better"), ref=f"refs%2Fpr%2F{number}").status_code == 200
    details = nobody.get(url).json()
    assert (details["changes"], details["filesWithConflicts"]) == ({"base": "refs/heads/main"}, [])
    assert details["diff"] == "M\ta\nM\tb\n"
    assert [each["data"]["subject"] for each in details["events"] if each["type"] == "commit"] == ["A change"]
    assert nobody.get(f"/api/models/{repo}/refs?include_prs=1").json()["pullRequests"][0]["ref"] == f"refs/pr/{number}"
    assert failure(other.post(f"{url}/merge")) == (403, None)
    owner.commit(repo, file("a", b"ours"))
    assert nobody.get(url).json()["filesWithConflicts"] == ["a"]
    assert owner.post(f"{url}/merge").status_code == 412
    owner.commit(repo, file("a"))
    merged = owner.post(f"{url}/merge", {"comment": "Thank you."}).json()["mergeCommitId"]
    details = nobody.get(url).json()
    assert (details["status"], details["changes"]["mergeCommitId"]) == ("merged", merged)
    assert nobody.get(f"/{repo}/resolve/main/a").text == "better"
    assert owner.post(f"{url}/status", {"status": "open"}).status_code == 400
    assert owner.post(f"{url}/merge").status_code == 403


def test_who_may_not_say_what(repo: str, owner: Person, other: Person, nobody: Person) -> None:
    url = begin(owner, repo, "Ours")
    for path, body in (("comment", {"comment": "x"}), ("status", {"status": "closed"}), ("title", {"title": "x"}), ("merge", {})):
        assert nobody.post(f"{url}/{path}", body).status_code == 401
    assert other.post(f"{url}/status", {"status": "closed"}).status_code == 403
    assert other.post(f"{url}/title", {"title": "Mine"}).status_code == 403
    assert other.post(f"{url}/comment", {"comment": "x"}).status_code == 201


def test_what_is_nothing_to_say(repo: str, owner: Person) -> None:
    url = begin(owner, repo, "Ours")
    bad = [
        (f"/api/models/{repo}/discussions", {"title": ""}),
        (f"/api/models/{repo}/discussions", {"title": "x" * 5000}),
        (f"/api/models/{repo}/discussions", {}),
        (f"{url}/comment", {"comment": " "}),
        (f"{url}/comment", {"comment": "x" * 20_001}),
        (f"{url}/comment", None),
        (f"{url}/title", {"title": " "}),
        (f"{url}/status", {"status": "merged"}),
        (f"{url}/merge", {}),
    ]
    for path, body in bad:
        assert owner.post(path, body).status_code == 400, (path, body)
    for number in ("0", "x", "-1", "9" * 400, "%00", "%D9%A1"):
        assert owner.get(f"/api/models/{repo}/discussions/{number}").status_code in (400, 404)
        assert owner.post(f"/api/models/{repo}/discussions/{number}/comment", {"comment": "x"}).status_code in (400, 404)


def test_a_long_discussion_is_told_page_by_page_the_newest_first(
    repo: str, owner: Person, other: Person, nobody: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = begin(owner, repo, "Long", description="How?")
    for number in range(7):
        other.post(f"{url}/comment", {"comment": f"{number}" * (number + 1)})

    def told(address: str) -> tuple[list[str], str | None]:
        answer = nobody.get(address)
        said = [each["data"]["latest"]["raw"][0] for each in answer.json()["events"]]
        return said, answer.links.get("next", {}).get("url")

    assert told(url) == (["H", *"0123456"], None)
    for name, most, expected in (
        ("EVENTS_MAX", 3, [["H", *"456"], ["1", "2", "3"], ["0"]]),
        ("WORDS_MAX", 13, [["H", *"56"], ["2", "3", "4"], ["0", "1"]]),
        ("WORDS_MAX", 1, [["H", "6"], *([str(number)] for number in (5, 4, 3, 2, 1, 0))]),
    ):
        with monkeypatch.context() as little:
            little.setattr(f"concord.edges.hub.talk.{name}", most)
            found, address = [], url
            while address:
                part, address = told(address)
                found.append(part)
            assert found == expected
    assert told(f"{url}?p=99") == ([], None)
    assert nobody.get(f"{url}?p=x").status_code == 400


def test_a_member_that_says_too_much_is_told_so_and_so_are_others(
    repo: str, owner: Person, other: Person, nobody: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concord.pillars.commons.bounds.ANSWERS_MAX", 2)
    url = begin(owner, repo, "Ours")
    said = [other.post(f"{url}/comment", {"comment": f"{number}"}) for number in range(3)]
    assert [each.status_code for each in said] == [201, 201, 403]
    assert "has said so much" in said[-1].headers["X-Error-Message"]
    for number in range(5):
        assert owner.post(f"{url}/comment", {"comment": f"ours {number}"}).status_code == 201
    told = nobody.get(url).json()
    assert (told["numComments"], told["numUnheard"]) == (7, 0)
