"""Peers and disputes: whom this node hears, which logs contradict themselves, and what the disk lost."""

from typing import Any

from starlette.responses import Response

from concord.edges.web.page import Page
from concord.ledger import evidence
from concord.ledger.pillar import Role
from concord.private import damages, peers
from concord.private.peers import Peer
from concord.reading import SKEW_MAX
from concord.tlog.spelling import base64

PER_PAGE = 100  # logs
LOST_MAX = 100  # damages that are named
NOTES_MAX = 5  # disputes whose signed checkpoints are shown; of more, the evidence record has them


def show(page: Page) -> Response:
    """The peers, the logs, the disputes, the disk. What was lost is counted for everybody, and named for who runs the node."""
    with page.node.private_reading() as db:
        everyone, lost, read = peers.everyone(db), damages.everything(db), damages.last_round(db)
    admin = page.speaker is not None and page.speaker.may(Role.ADMIN)
    origins, more = page.part(page.node.holdings.origins(), PER_PAGE)
    disputes = [_dispute(page, origin, found) for origin, found in page.disputes.items()]
    return page.render(
        "peers.html",
        peers=[(peer, _ahead(peer)) for peer in everyone],
        logs=[_log(page, origin) for origin in origins],
        more=more,
        disputes=disputes,
        with_notes=len(disputes) <= NOTES_MAX,
        read=read,
        lost=len(lost),
        unmended=sum(each.mended is None for each in lost),
        named=lost[:LOST_MAX] if admin else [],
    )


def _ahead(peer: Peer) -> int:
    """How many seconds a peer's clock is ahead of ours (below 0: behind), or 0 if it is not worth a word."""
    return peer.skew if peer.skew is not None and abs(peer.skew) > SKEW_MAX else 0


def _log(page: Page, origin: str) -> dict[str, Any]:
    holdings = page.node.holdings
    head, good = holdings.tree(origin).head, holdings.cosigned(origin)
    hosted = origin in page.hosted
    return {
        "origin": origin,
        "size": head.checkpoint.size if head else 0,
        "root": base64(head.checkpoint.root) if head else "",
        "cosigners": sum(line.name != origin for line in head.note.signatures) if head else 0,
        "cosigned": good.checkpoint.size if good else 0,
        "hosted": hosted,
        "paused": holdings.log(origin).paused if hosted else None,
        "disputed": origin in page.disputes,
    }


def _dispute(page: Page, origin: str, found: evidence.Evidence) -> dict[str, Any]:
    first, second = evidence.check(found)
    good = page.node.holdings.cosigned(origin)
    return {
        "origin": origin,
        "trees": [(first.size, base64(first.root)), (second.size, base64(second.root))],
        "cosigned": good.checkpoint.size if good else 0,
        "notes": (found.first, found.second),
    }
