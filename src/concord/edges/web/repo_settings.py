"""Who may have the files of a repo: asking for them, and, for its publishers, admitting; what it is called, and taking it out.

Who asked is known to this node alone, and stands in no log. So it can be asked only where the owner's log is signed.
"""

from collections.abc import Callable

from starlette.responses import Response

from concord.edges.web import commons
from concord.edges.web.forms import Sent
from concord.edges.web.page import Page
from concord.edges.web.repos import Here, find, show
from concord.errors import ConcordError, MalformedError, RefusedError
from concord.pillars.commons.records import Gate
from concord.private import gates, people
from concord.shelf import Shelf

# Who may have the files, by what the record calls it.
GATES: dict[Gate, str] = {"open": "everybody", "auto": "whoever signs in and asks", "manual": "whom you admit of those who ask"}
ASKED_MAX = 100  # requests of one standing on the page; whoever has more answers those first


def settings_page(page: Page, shelf: Shelf) -> Response:
    """What the repo's publishers set, and who asked for its files."""
    page.require()
    return _shown(_own(find(page, shelf)))


def change(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Set what the button says."""
    page.require()
    here = _own(find(page, shelf))
    does = CHANGES.get(sent.fields.get("do", ""))
    try:
        if does is None:
            raise MalformedError("this form does not say what to do")
        return page.redirect(does(here, sent.fields))
    except ConcordError as e:
        return _shown(here, str(e), 400)


def ask(page: Page, shelf: Shelf, _: Sent) -> Response:
    """Ask for the files of a gated repo. With the gate `auto` that suffices."""
    speaker = page.require()
    here = find(page, shelf)
    if here.repo.gate == "open" or here.repo.id.owner not in page.hosted:
        raise RefusedError("the files of this repo are not asked for here")
    first = "accepted" if here.repo.gate == "auto" else "pending"
    with page.node.private_writing() as db:
        gates.ask(db, here.repo.root, speaker.origin, speaker.person, first, page.now)
    return page.redirect(here.plain())


def _own(here: Here) -> Here:
    if not here.may_change:
        raise RefusedError("a repo is set up by publishers of the member whose it is, where that member's log is signed")
    return here


def _shown(here: Here, wrong: str = "", status: int = 200) -> Response:
    with here.page.node.private_reading() as db:
        asked = {each: gates.asked(db, here.repo.root, each)[:ASKED_MAX] for each in ("pending", "accepted", "rejected")}
        names = {each.id: each.name for each in people.everybody(db)}
    rows = [(each, names.get(each.person, each.person)) for standing in asked.values() for each in standing]
    return show(here, "repo-settings.html", "settings", status, wrong=wrong, asked=rows, gates=GATES)


def _set_gate(here: Here, fields: dict[str, str]) -> str:
    gate = next((each for each in GATES if each == fields.get("gate")), None)
    if gate is None:
        raise MalformedError("choose who may have the files")
    if gate != here.repo.gate:
        here.shelf.configure(here.page.require(), here.repo, gate)
    return here.plain("settings")


def _answer(status: str) -> Callable[[Here, dict[str, str]], str]:
    """Admits, or turns down, whoever the form names."""

    def settle(here: Here, fields: dict[str, str]) -> str:
        with here.page.node.private_writing() as db:
            person = people.find(db, fields.get("person", "").strip())
            gates.settle(db, here.repo.root, person.origin, person.id, status, here.page.now)
        return here.plain("settings")

    return settle


def _rename(here: Here, fields: dict[str, str]) -> str:
    moved = here.shelf.move(here.page.require(), here.repo, fields.get("name", "").strip())
    return commons.address(here.page, moved.id, "settings")


def _close(here: Here, fields: dict[str, str]) -> str:
    if fields.get("sure", "").strip() != here.repo.id.name:
        raise MalformedError("to take it out, write its name as it is")
    here.shelf.close(here.page.require(), here.repo)
    here.shelf.content.forget(here.repo)
    return f"/commons?member={here.page.log_name(here.repo.id.owner)}"


CHANGES: dict[str, Callable[[Here, dict[str, str]], str]] = {
    "gate": _set_gate,
    "admit": _answer("accepted"),
    "refuse": _answer("rejected"),
    "rename": _rename,
    "close": _close,
}
