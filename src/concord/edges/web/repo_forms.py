"""What a person does to a repo on its pages: put files, propose, discuss, settle, merge, like, publish."""

from starlette.responses import Response

from concord.edges.web import commons
from concord.edges.web.forms import Sent
from concord.edges.web.page import Page
from concord.edges.web.repo_threads import newest, thread_of, thread_page, threads_page
from concord.edges.web.repos import README, Here, find, show
from concord.errors import ConcordError, MalformedError, RefusedError, StaleError
from concord.pillars.commons import Thread
from concord.pillars.commons.card import card
from concord.pillars.commons.repo import MAIN
from concord.pillars.commons.tree import check_path
from concord.private.people import Speaker
from concord.shelf import Draft, Shelf, pull_requests

UPLOAD_MAX = 10 << 20  # bytes of a form with files; more is for programs, which can resume
TEXT_MAX = 256 << 10  # bytes of a form with words


def ask_upload(page: Page, shelf: Shelf) -> Response:
    """The form that takes files."""
    page.require()
    return _ask_upload(find(page, shelf))


def upload(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Commit the files; from somebody else, as a pull request."""
    here, speaker = _taking_part(page, shelf)
    fields = sent.fields
    try:
        folder = fields.get("folder", "").strip().strip("/")
        contents = {check_path(f"{folder}/{name}" if folder else name): content for name, content in sent.files}
        if not contents:
            raise MalformedError("choose a file")
        title = fields.get("title", "").strip() or f"Add {', '.join(contents)}"[:200]
        readme = contents.get(README)
        put = [shelf.keep(here.repo, path, content) for path, content in contents.items()]
        draft = Draft(MAIN, title, put=put, card=card(readme) if readme else None)
        back = _commit(here, speaker, draft, propose="propose" in fields)
    except ConcordError as e:
        return _ask_upload(here, str(e), 400)
    return page.redirect(back)


def remove(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Remove a file from main."""
    here, speaker = _taking_part(page, shelf)
    path = sent.fields.get("path", "")
    shelf.commit(speaker, here.repo, Draft(MAIN, f"Remove {path}"[:200], removed=[path]))
    return page.redirect(here.plain("files"))


def discuss(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Begin a discussion."""
    here, speaker = _taking_part(page, shelf)
    title, text = " ".join(sent.fields.get("title", "").split()), _text(sent)
    try:
        if not title:
            raise MalformedError("a discussion has a title")
        thread = shelf.discuss(speaker, here.repo, title, text, pull=False)
    except MalformedError as e:
        return threads_page(page, shelf, str(e), sent.fields)
    return page.redirect(here.plain(f"discussions/{thread.number}"))


def take_part(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Answer, close, open again or merge, as the button says."""
    here, speaker = _taking_part(page, shelf)
    thread = thread_of(here)
    try:
        _do(here, speaker, thread, sent.fields.get("do", ""), _text(sent))
    except (MalformedError, StaleError) as e:
        return thread_page(page, shelf, str(e), 409 if isinstance(e, StaleError) else 400, _text(sent))
    now = find(page, shelf)
    return page.redirect(newest(now, now.repo.thread(thread.number)))


def _do(here: Here, speaker: Speaker, thread: Thread, what: str, text: str) -> None:
    match what:
        case "answer" if not text:
            raise MalformedError("an answer has words: write them, or close the discussion with the other button")
        case "answer":
            here.shelf.answer(speaker, here.repo, thread, text)
        case "close" | "open":
            here.shelf.settle(speaker, here.repo, thread, "closed" if what == "close" else "open", text=text)
        case "merge":
            pull_requests.merge(here.shelf, speaker, here.repo, thread, f"Merge pull request {thread.number}: {thread.title}"[:300])
        case _:
            raise MalformedError("this form does not say what to do")


def _text(sent: Sent) -> str:
    return sent.fields.get("text", "").replace("\r\n", "\n").strip()


def like(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Like it, or no longer."""
    here, speaker = _taking_part(page, shelf)
    shelf.like(speaker, here.repo, liked=sent.fields.get("liked") == "yes")
    return page.redirect(here.plain())


def publish(page: Page, shelf: Shelf, sent: Sent) -> Response:
    """Make a private repo public, once whoever does it said that it is for good."""
    here, speaker = _taking_part(page, shelf)
    if "sure" not in sent.fields:
        raise MalformedError("publishing is for good: say so in the form")
    return page.redirect(commons.address(page, shelf.publish(speaker, here.repo).id))


def _taking_part(page: Page, shelf: Shelf) -> tuple[Here, Speaker]:
    """The repo, and who does something to it. RefusedError for those who may not, before anything of theirs is kept."""
    speaker = page.require()
    here = find(page, shelf)
    if not here.may_take_part:
        raise RefusedError("this is for publishers of a member whose log this node signs")
    return here, speaker


def _ask_upload(here: Here, wrong: str = "", status: int = 200) -> Response:
    return show(here, "repo-upload.html", "files", status, wrong=wrong, most=UPLOAD_MAX)


def _commit(here: Here, speaker: Speaker, draft: Draft, *, propose: bool) -> str:
    """Commit, or propose it to the owner; which page shows it then."""
    if here.may_change and not propose:
        here.shelf.commit(speaker, here.repo, draft)
        return here.plain("files")
    thread, _ = pull_requests.propose(here.shelf, speaker, here.repo, draft)
    return here.plain(f"discussions/{thread.number}")
