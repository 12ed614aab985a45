"""The commons in the JSON API: the passport of a revision, and the same in formats of others."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from concord import reading
from concord.edges import access
from concord.edges.api.shapes import (
    ComponentShape,
    KinShape,
    LicenceShape,
    LinkShape,
    OpennessShape,
    ParametersShape,
    PassportShape,
    StatedShape,
    WeightShape,
)
from concord.errors import MissingError
from concord.node import Node
from concord.passports import Passports
from concord.pillars.commons import Repo, RepoId, Revision
from concord.pillars.commons.edition import Edition
from concord.pillars.commons.licence import Licence
from concord.pillars.commons.openness import Component, Openness
from concord.pillars.commons.records import KINDS
from concord.pillars.commons.repo import MAIN
from concord.private.people import Speaker
from concord.shelf import Reader

CLASSES = {1: "I", 2: "II", 3: "III"}


class Commons:
    """What programs ask of repos. What is private or gated is for those who may have it, by their token."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._shelf = Reader(node)
        self._passports = Passports(self._shelf)

    def passport(self, request: Request) -> Response:
        asker, repo, revision = self._found(request)
        return _json(msgspec.json.encode(_shape(self._passports.edition(repo, revision, asker, self._address(request)))))

    def bom(self, request: Request) -> Response:
        return self._export("cyclonedx", request)

    def croissant(self, request: Request) -> Response:
        return self._export("croissant", request)

    def signature(self, request: Request) -> Response:
        return self._export("model-signing", request)

    def _export(self, form: str, request: Request) -> Response:
        asker, repo, revision = self._found(request)
        return _json(self._passports.export(form, repo, revision, asker, self._address(request)))

    def _found(self, request: Request) -> tuple[Speaker | None, Repo, Revision]:
        """Who asks, and of which revision of which repo. MissingError if there is none that the asker may see."""
        asker, words = access.bearer(self._node, request), request.path_params
        kind = KINDS.get(words["kinds"])
        if kind is None:
            raise MissingError(f"there are models, datasets and spaces, and no {words['kinds'][:40]!r}")
        owner = reading.resolve(self._node, words["member"])
        repo = self._shelf.find(RepoId(owner=owner, kind=kind, name=words["name"]), asker)
        return asker, repo, repo.find(request.query_params.get("revision") or MAIN)

    def _address(self, request: Request) -> str:
        return self._node.settings.url or str(request.base_url)


def _shape(edition: Edition) -> PassportShape:
    passport, lineage = edition.passport, edition.lineage
    return PassportShape(
        name=edition.name,
        kind=edition.repo.kind,
        revision=edition.revision.oid,
        publisher=edition.publisher,
        date=edition.date,
        licence=_licence(passport.licence),
        openness=_openness(passport.openness) if edition.repo.kind == "model" else None,
        parameters=ParametersShape(**{name: getattr(passport.parameters, name) for name in ("total", "by_type", "unread")})
        if passport.parameters
        else None,
        formats=dict(passport.formats),
        languages=list(edition.card.languages),
        files=len(edition.tree),
        size=passport.size,
        training=[StatedShape(what=each.what, said=each.said, unit=each.unit, where=each.where) for each in passport.training],
        weights=[WeightShape(path=each.path, size=each.size, sha256=each.sha256) for each in passport.weights],
        kin=[KinShape(kind=each.key[0], name=each.key[1], step=each.step, here=each.here) for each in lineage.kin],
        links=[LinkShape(of=link.of[1], of_kind=link.of[0], made=link.made[1], how=link.how) for link in lineage.links],
        lineage_cut=lineage.cut,
        commit=edition.revision.leaf,
        tree=edition.revision.commit.tree,
        log=edition.revision.commit.by,
        index=edition.revision.index,
        receipt=edition.receipt,
    )


def _licence(licence: Licence) -> LicenceShape:
    lists = ("permits", "requires", "withholds", "suits", "texts", "named")
    told: dict[str, Any] = {name: getattr(licence, name) for name in ("said", "id", "name", "osi", "confirmed", "open", "known")}
    return LicenceShape(**told | {name: list(getattr(licence, name)) for name in lists})


def _openness(openness: Openness) -> OpennessShape:
    next_ = openness.next
    return OpennessShape(
        reached=CLASSES.get(openness.reached or 0),
        next=CLASSES.get(next_ or 0),
        missing=[each.id for each in openness.missing(next_)] if next_ else [],
        licensed=openness.licensed,
        unsuited=[each.id for each in openness.unsuited],
        components=[_component(each) for each in openness.components],
    )


def _component(each: Component) -> ComponentShape:
    return ComponentShape(
        id=each.id,
        class_=CLASSES[each.class_],
        optional=each.optional,
        content=each.content,
        found=list(each.found),
        named=list(each.named),
        own=list(each.own),
    )


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
