"""Peers and disputes: whom this node hears, and which logs contradict themselves."""

from typing import Any

from starlette.responses import Response

from concord import reading
from concord.edges.web.page import Page
from concord.ledger import evidence
from concord.private import peers
from concord.tlog.spelling import base64


def show(page: Page) -> Response:
    """The peers, the logs, the disputes."""
    node = page.node
    with node.private_reading() as db:
        everyone = peers.everyone(db)
    return page.render(
        "peers.html",
        peers=everyone,
        doubts=dict(reading.doubts(node)),
        logs=[_log(page, origin) for origin in node.holdings.origins()],
        disputes=[_dispute(page, origin, found) for origin, found in node.disputes().items()],
    )


def _log(page: Page, origin: str) -> dict[str, Any]:
    holdings = page.node.holdings
    head, good = holdings.tree(origin).head, holdings.cosigned(origin)
    hosted = origin in holdings.hosted()
    return {
        "origin": origin,
        "log": page.log_name(origin),
        "size": head.checkpoint.size if head else 0,
        "root": base64(head.checkpoint.root) if head else "",
        "cosigners": sum(line.name != origin for line in head.note.signatures) if head else 0,
        "cosigned": good.checkpoint.size if good else 0,
        "hosted": hosted,
        "paused": holdings.log(origin).paused if hosted else None,
    }


def _dispute(page: Page, origin: str, found: evidence.Evidence) -> dict[str, Any]:
    first, second = evidence.check(found)
    good = page.node.holdings.cosigned(origin)
    return {
        "origin": origin,
        "log": page.log_name(origin),
        "first": first,
        "second": second,
        "roots": (base64(first.root), base64(second.root)),
        "cosigned": good.checkpoint.size if good else 0,
        "notes": (found.first, found.second),
    }
