"""Settings: one frozen value from a TOML file and the environment.

`concord.toml` in the home sets what it names; a variable such as CONCORD_PULL_EVERY sets the same and wins; everything else
has the default below. There is no default secret, because there is no secret among the settings.

>>> read(b"pull_every = 60", {}).pull_every
60
>>> read(b"", {"CONCORD_PULL_EVERY": "30"}).pull_every
30
>>> read(b"pull_evry = 60", {})
Traceback (most recent call last):
concord.errors.SettingsError: concord.toml: there is no setting 'pull_evry'; did you mean 'pull_every'?
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

import msgspec

from concord.errors import MalformedError, SettingsError

FILE = "concord.toml"
_MIB, _GIB = 1 << 20, 1 << 30
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])\Z")


def _setting(default: Any, about: str, least: int = 0) -> Any:
    return field(default=default, metadata={"about": about, "least": least})


@dataclass(frozen=True)
class Settings:
    """How this node behaves. `about(name)` says what each setting means."""

    url: str = _setting("", "Where others reach this node, such as https://concord.example; empty if they cannot.")
    pull_every: int = _setting(300, "Seconds between pulls from peers; 0: only on demand.")
    pull_timeout: int = _setting(
        30, "Seconds that whoever we ask, or who asks us, may be silent before it counts as unreachable.", least=1
    )
    pull_rate: int = _setting(
        200,
        "Bytes a second below which whoever sends us something counts as unreachable: a poor line is faster, a trap is not.",
        least=1,
    )
    pull_patience: int = _setting(
        1800, "Seconds that one pull may take, so that a slow peer keeps no other waiting; the next goes on from there.", least=1
    )
    log_bytes: int = _setting(16 * _GIB, "The most that a copy of one member's log may take.")
    applicant_bytes: int = _setting(4 * _MIB, "The most that the log of an applicant may take before it is admitted.")
    applicants: int = _setting(64, "How many applicants' logs are kept at a time.")
    blob_bytes: int = _setting(_GIB, "Blobs up to this size are pulled with the records that name them; larger ones on demand.")
    bundle_bytes: int = _setting(64 * _MIB, "The largest bundle that may be pushed to this node.")
    keep: str = _setting(
        "demand",
        "Which files of other members' repos are fetched without being asked for: `demand` (none), `all`, or a list with commas of "
        "members and of repos such as `nairobi/words`. Files of repos that are not open are never fetched.",
    )
    keep_bytes: int = _setting(0, "The largest file that is fetched without being asked for, in bytes; 0: any.")
    content_bytes: int = _setting(
        64 * _GIB,
        "The most that files of other members' repos may take, counted whole; beyond it, what was read longest ago goes first. "
        "A file larger than this is not fetched at all.",
    )
    reserve_bytes: int = _setting(
        256 * _MIB, "Bytes of the disk that large files leave free, however they come, so that the node can go on saying records."
    )
    give_rate: int = _setting(0, "The most bytes a second of files of repos that are given to all peers together; 0: any.")
    give_requests: int = _setting(
        6000, "Requests for files of repos that one address may make within a minute; beyond, it is told to wait. 0: any."
    )
    scrub_days: int = _setting(
        30,
        "Days within which all stored bytes of files are read once, so that what the disk lost or changed is found before somebody "
        "asks for it, and comes again from a peer that has it; 0: never.",
    )
    scrub_rate: int = _setting(20_000_000, "The most bytes a second that are read for that.", least=1)
    scrub_window: str = _setting("", "The hours (UTC) within which they are read, such as 22:00-06:00; empty: any.")
    session_days: int = _setting(14, "Days after which a signed-in browser must sign in again.", least=1)
    link_minutes: int = _setting(30, "Minutes for which a one-time sign-in link is good.", least=1)
    token_days: int = _setting(90, "Days for which a token is good unless its maker says otherwise.", least=1)
    attempts: int = _setting(10, "Failed sign-ins from one address, or for one person, within a quarter of an hour.", least=1)
    proxies: int = _setting(0, "How many proxies before this node append to X-Forwarded-For; 0: the header is not believed.")

    def __post_init__(self) -> None:
        """SettingsError for a number that is too small to mean anything, or hours that are none."""
        for each in fields(self):
            value, least = getattr(self, each.name), each.metadata["least"]
            if isinstance(value, int) and value < least:
                raise SettingsError(f"{each.name} is {value}, and must be at least {least}")
        try:
            within(self.scrub_window or None, 0)
        except MalformedError as e:
            raise SettingsError(f"scrub_window: {e}") from e


def within(window: str | None, now: int) -> bool:
    """Whether a time (POSIX seconds) lies in a window of the day (None: any does). MalformedError if it is none.

    >>> [within("22:00-06:00", hour * 3600) for hour in (21, 22, 5, 6)], within(None, 0)
    ([False, True, True, False], True)
    """
    if window is None:
        return True
    start, stop = read_window(window)
    minute = now // 60 % (24 * 60)
    return start <= minute < stop if start <= stop else minute >= start or minute < stop


def read_window(text: str) -> tuple[int, int]:
    """The minutes of the day between which a window is open. MalformedError if it is none.

    >>> read_window("22:00-06:30")
    (1320, 390)
    """
    found = _WINDOW.match(text)
    if found is None:
        raise MalformedError(f"{text[:40]!r} is no window of a day, such as 22:00-06:00 (UTC)")
    start, stop = (60 * int(found[part]) + int(found[part + 1]) for part in (1, 3))
    if start == stop:
        raise MalformedError(f"the window {text} is never open")
    return start, stop


def about(name: str) -> str:
    """What the setting `name` means."""
    return next(str(each.metadata["about"]) for each in fields(Settings) if each.name == name)


def read(raw: bytes, environment: Mapping[str, str]) -> Settings:
    """The settings in a TOML file's bytes, overruled by CONCORD_… in `environment`. SettingsError says what is wrong."""
    try:
        values = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise SettingsError(f"{FILE}: {e}") from e
    names = [each.name for each in fields(Settings)]
    for name in values:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            raise SettingsError(f"{FILE}: there is no setting {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    said = {name: environment[variable] for name in names if (variable := f"CONCORD_{name.upper()}") in environment}
    try:
        return msgspec.convert({**msgspec.convert(values, dict), **said}, Settings, strict=False)
    except msgspec.ValidationError as e:
        raise SettingsError(f"{FILE} or environment: {e}") from e
