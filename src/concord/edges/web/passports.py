"""The passport of a revision, and its exports. Facts with their sources and reasons, and no verdict."""

from urllib.parse import quote

from starlette.responses import Response

from concord.edges.web import commons, lineage, openness_chart, usage
from concord.edges.web.page import Page
from concord.edges.web.repos import Here, find, show
from concord.errors import ConcordError, MissingError
from concord.passports import FORMATS, Passports
from concord.pillars.commons import signing
from concord.pillars.commons.lineage import Kin, Lineage
from concord.shelf import Shelf

WEIGHTS_SHOWN = 30
NAMES = {"cyclonedx": "bom.cdx.json", "croissant": "croissant.json", "model-signing": "model.sig"}  # what downloads are called


def passport_page(passports: Passports, page: Page, shelf: Shelf) -> Response:
    """The passport of the revision."""
    here = find(page, shelf)
    if here.revision is None:
        raise MissingError("nothing was committed yet, so there is nothing to have a passport")
    passport = passports.passport(here.repo, here.revision, here.speaker)
    found = passports.lineage(here.repo, here.revision, here.speaker)
    signed = passports.published(here.repo.id.owner, signing.published_as(here.repo.id.name, here.revision.oid))
    return show(
        here,
        "repo-passport.html",
        "passport",
        passport=passport,
        chart=openness_chart.rows(passport.openness, page.component),
        lineage=found,
        rows=lineage.rows(found),
        picture=lineage.draw(found),
        pulled=usage.pulled(here.repo.id.kind, here.name),
        address_of=lambda kin: _address(here, kin),
        stood=_stood(found),
        weights=passport.weights[:WEIGHTS_SHOWN],
        formats=[form for form in FORMATS if _applies(form, here, signed)] if here.may_read else [],
        key=passports.published(here.repo.id.owner, signing.KEY) if signed else None,
    )


def export(passports: Passports, page: Page, shelf: Shelf) -> Response:
    """A revision in a format of others, as a download."""
    here, form = find(page, shelf), page.request.path_params["form"]
    if here.revision is None or form not in NAMES:
        raise MissingError("there is nothing at this address")
    body = passports.export(form, here.repo, here.revision, here.speaker, page.address)
    name = quote(f"{here.repo.id.name}-{here.revision.oid[:10]}.{NAMES[form]}", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    headers["Cache-Control"] = "no-store" if page.secret else "no-cache"
    return Response(body, headers=headers, media_type="application/json")


def _applies(form: str, here: Here, signed: str | None) -> bool:
    return {"cyclonedx": True, "croissant": here.repo.id.kind == "dataset", "model-signing": bool(signed)}[form]


def _address(here: Here, kin: Kin) -> str | None:
    """Where the repo of a kin is, if this reader may see it."""
    if kin.source is None or kin.source.id is None or kin.step == 0:
        return None
    try:
        return commons.address(here.page, here.shelf.find(kin.source.id, here.speaker).id)
    except ConcordError:
        return None


def _stood(found: Lineage) -> tuple[int, int]:
    """How many it was made of, and how many were made of it."""
    return len(found.origins), len(found.made)
