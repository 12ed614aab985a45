"""Durable records with 64 writers that each wait for their own: our log, and SQLite that syncs every commit."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.figure import Figure
from concord.ledger.log import Log
from concord.ledger.storage.files import Files
from concord.ledger.tree import Tree
from concord.tlog import checkpoint

WRITERS = 64
EACH_MAX = 400  # records a writer
ENTRY = b'{"about":"' + b"x" * 470 + b'"}'


def run(folder: Path, records: int) -> list[Figure]:
    each = min(EACH_MAX, max(1, records // WRITERS))
    ours = max(_rate(_log_writer(folder / f"log-{turn}"), each) for turn in range(2))
    theirs = max(_rate(_sqlite_writer(folder / f"peer-{turn}.db"), each) for turn in range(2))
    peer = "SQLite, WAL, synchronous=FULL, a transaction a record"
    return [Figure("durable records appended, 64 waiting writers", ours, "records/s", (">=", 3000), peer, theirs)]


def _rate(write: Callable[[], None], each: int) -> float:
    """Records a second, when every writer writes `each`."""

    def work() -> None:
        for _ in range(each):
            write()

    threads = [threading.Thread(target=work) for _ in range(WRITERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return WRITERS * each / (time.perf_counter() - began)


def _log_writer(folder: Path) -> Callable[[], None]:
    origin = "bench.concord.alt/0"
    log = Log(Tree(Files(folder), origin), lambda head: checkpoint.sign(head, bytes(32)))

    def write() -> None:
        log.append([ENTRY])

    return write


def _sqlite_writer(path: Path) -> Callable[[], None]:
    own = threading.local()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE record (number INTEGER PRIMARY KEY, entry BLOB)")

    def write() -> None:
        if not hasattr(own, "db"):
            own.db = sqlite3.connect(path, timeout=60, isolation_level=None)
            own.db.execute("PRAGMA synchronous=FULL")
        own.db.execute("INSERT INTO record (entry) VALUES (?)", (ENTRY,))

    return write
