"""The archive of this software's own source: the same bytes each time, and all that is needed to run it."""

import gzip
import io
import tarfile

from concord.operations import source


def members(raw: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as tar:
        return tar.getmembers()


def test_the_archive_holds_the_source_and_nothing_private() -> None:
    found = members(source.archive())
    names = {member.name.removeprefix(f"{source.name()}/") for member in found}
    assert any(name.endswith("concord/tlog/merkle.py") or name == "concord/tlog/merkle.py" for name in names)
    assert not any(part in {".git", ".venv", "var", "__pycache__", "keys"} for name in names for part in name.split("/"))
    assert [member.name for member in found] == sorted(member.name for member in found)


def test_the_archive_is_owned_by_nobody_and_made_at_no_time() -> None:
    raw = source.archive()
    assert raw[4:8] == bytes(4)
    assert {(member.uid, member.gid, member.uname, member.gname, member.mtime) for member in members(raw)} == {
        (0, 0, "", "", 315_532_800)
    }
    assert {member.mode for member in members(raw)} <= {0o644, 0o755}
    assert all(member.isfile() for member in members(raw))


def test_the_archive_leads_nowhere_else() -> None:
    for member in members(source.archive()):
        assert member.name.startswith(f"{source.name()}/")
        assert ".." not in member.name.split("/")
