"""Beginning, and what it leaves: a node, members, an organisation; and the demonstration."""

from pathlib import Path

import pytest

from concord.errors import ConcordError, MissingError, RefusedError, SettingsError
from concord.home import create, open_home
from concord.ledger.blobs import SALT_SIZE
from concord.operations import begin, demonstrate
from concord.operations.begin import Member
from concord.pillars.members import Standing
from concord.pillars.members.charter import presets
from concord.reading import Filter, deposited, list_records
from concord.testing.imposter import Imposter, http

KENYA = Member("ke", name="Example Kenya", country="KE")


def test_founding_alone(tmp_path: Path) -> None:
    node = begin.node_at(tmp_path / "home")
    origin = begin.add_member(node, tmp_path / "home", "ke")
    charter = begin.found(node, begin.read_charter(presets()["open-to-all-states"], KENYA), KENYA)
    assert [founder.origin for founder in charter.founders] == [origin]
    assert node.organisation == charter.digest()
    assert node.holdings.tree(origin).identities() == [node.holdings.tree(origin).entry(0)]
    assert {record.type for record in list_records(node, Filter())} == {
        "ledger.identity",
        "members.found",
        "members.accede",
        "members.profile",
    }
    with pytest.raises(RefusedError, match="was founded here already"):
        begin.found(node, charter, KENYA)


def test_the_node_is_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    made = begin.node_at(tmp_path / "home")
    begin.add_member(made, tmp_path / "home", "ke")
    again = begin.node_at(tmp_path / "home")
    assert again.holdings.hosted() == made.holdings.hosted()
    with pytest.raises(SettingsError, match="a node here already"):
        create(tmp_path / "home")


def test_a_charter_that_names_others_is_not_ours_to_found(founded: Path, tmp_path: Path) -> None:
    charter = open_home(founded).charter
    assert charter is not None
    node = begin.node_at(tmp_path / "home")
    begin.add_member(node, tmp_path / "home", "ke")
    with pytest.raises(RefusedError, match="none of them has its log on this node"):
        begin.found(node, charter, KENYA)
    assert node.charter is None


def test_a_node_without_a_member_founds_nothing(tmp_path: Path) -> None:
    node = begin.node_at(tmp_path / "home")
    with pytest.raises(SettingsError, match="hosts no member"):
        begin.found(node, begin.read_charter(presets()["regional"], KENYA), KENYA)
    with pytest.raises(SettingsError, match="hosts no member"):
        begin.introduce(node, KENYA)


@pytest.mark.parametrize(
    "member",
    [Member(), Member(name="Example"), Member(country="KE"), Member(name="Example", country="KE", class_="nonsense")],
)
def test_a_founder_says_who_it_is(member: Member, tmp_path: Path) -> None:
    node = begin.node_at(tmp_path / "home")
    begin.add_member(node, tmp_path / "home", "ke")
    with pytest.raises(SettingsError):
        begin.found(node, begin.read_charter(presets()["regional"], KENYA), member)


@pytest.mark.parametrize("name", ["", "KE", "-ke", "k e", "ké", "k" * 33, "../ke", "ke\n"])
def test_what_is_no_name_of_a_member_makes_none(name: str, tmp_path: Path) -> None:
    node = begin.node_at(tmp_path / "home")
    with pytest.raises(ConcordError):
        begin.add_member(node, tmp_path / "home", name)
    assert node.holdings.origins() == []
    assert not any((tmp_path / "home" / "keys").iterdir())


def test_two_members_of_one_name_are_not_hosted(tmp_path: Path) -> None:
    node = begin.node_at(tmp_path / "home")
    begin.add_member(node, tmp_path / "home", "ke")
    with pytest.raises(RefusedError, match="Leave --member out"):
        begin.add_member(node, tmp_path / "home", "ke")
    assert len(node.holdings.hosted()) == 1


# The demonstration


def test_the_demonstration_is_six_institutes_of_four_regions_that_all_acceded(founded: Path) -> None:
    node = open_home(founded)
    node.catch_up()
    seats = list(node.roster().seats.values())
    assert len(seats) == len({seat.country for seat in seats}) == 6
    assert {seat.standing for seat in seats} == {Standing.MEMBER}
    assert node.roster().in_force


def test_the_demonstration_says_what_it_is(founded: Path) -> None:
    node = open_home(founded)
    node.catch_up()
    assert node.charter is not None
    assert node.charter.demonstration
    assert all(seat.name.startswith("Example ") for seat in node.roster().seats.values())
    entries = [node.holdings.tree(origin).entry(found.index) for found in list_records(node, Filter()) for origin in [found.origin]]
    assert sum(b"A demonstration, not a real institute." in entry for entry in entries) == 6


def test_the_logs_of_the_demonstration_are_well_cosigned_and_its_source_is_published(founded: Path) -> None:
    node = open_home(founded)
    node.catch_up()
    for origin in node.holdings.hosted():
        good = node.holdings.cosigned(origin)
        assert good is not None
        assert good.checkpoint.size == node.holdings.tree(origin).size
    (archive,) = deposited(node)
    assert archive["name"].endswith(".tar.gz")
    node.blobs.check(archive["blob"])


def test_names_of_people_stand_in_no_log(founded: Path) -> None:
    node = open_home(founded)
    for origin in node.holdings.hosted():
        tree = node.holdings.tree(origin)
        assert not any(b"Demonstration delegate of" in entry for entry in tree.entries(0, tree.size))
    personal = [digest for digest in node.blobs.digests() if b"Demonstration delegate of" in b"".join(node.blobs.get(digest))]
    assert len(personal) == 6
    assert all(len(b"".join(node.blobs.get(digest))) > SALT_SIZE for digest in personal)


def test_two_demonstrations_share_no_key(founded: Path, tmp_path: Path) -> None:
    other = demonstrate.found(tmp_path / "other")
    ours = {key.public.key for key in open_home(founded).holdings.keyring}
    assert not ours & {key.public.key for key in other.holdings.keyring}
    with pytest.raises(SettingsError):
        demonstrate.found(tmp_path / "other")


def test_there_is_no_charter_to_ask_for_where_no_organisation_is(tmp_path: Path) -> None:
    nothing = http(b'{"format":"concord-heads/1","organisation":"","heads":[]}')
    with Imposter(lambda _: nothing) as peer, pytest.raises(MissingError, match="serves no organisation yet"):
        begin.ask_charter(tmp_path / "home", peer.url, None, KENYA)
    assert not (tmp_path / "home").exists()
