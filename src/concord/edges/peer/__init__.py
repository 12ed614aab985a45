"""Federation: serve logs and blobs to peers, pull theirs, carry them on a stick.

The same paths serve a node over HTTP, a bundle, and a folder that a bundle was unzipped into:

    peer/heads                            which organisation, and the head of each log (JSON)
    peer/charter                          the organisation's charter (canonical JSON; its SHA-256 is the organisation)
    peer/logs/<hex of origin>/checkpoint  as in C2SP tlog-mirror and tlog-tiles, with tile/… beside it
    peer/blobs/<digest>                   with ranges
    peer/content/<root>/…                 the files of repos that are public and open (concord.edges.peer.content)
    peer/witness/add-checkpoint           as in C2SP tlog-witness (a running node only)
    peer/bundle                           a bundle may be pushed here (a running node only)
"""

from concord.edges.peer import door

__all__ = ["door"]
