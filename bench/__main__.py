"""Run every benchmark, print the table, write bench/out/latest.json and the table in docs/performance.md.

make bench                       all of it: some minutes
python -m bench --records 100000 with a smaller catch-up
python -m bench append pages     only these
"""

import argparse
import json
import os
import platform
import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import append, catch_up, chunks, downloads, pages, pull, uploads
from bench.figure import Figure

ROOT = Path(__file__).parents[1]
OUT = ROOT / "bench" / "out" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"
SUITES = {
    "append": append.run,
    "catch_up": catch_up.run,
    "chunks": chunks.run,
    "downloads": downloads.run,
    "pages": pages.run,
    "pull": pull.run,
    "uploads": uploads.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], help="which suites; otherwise all")
    parser.add_argument("--records", type=int, default=1_000_000, help="how many records the catch-up has")
    asked = parser.parse_args()
    figures: list[Figure] = []
    for name in asked.suites or SUITES:
        with TemporaryDirectory(dir=ROOT / "bench", prefix=".work-") as folder:
            print(f"{name} …", file=sys.stderr)
            figures += SUITES[name](Path(folder), asked.records)
    print(table(figures))
    if not asked.suites:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps([figure.told() for figure in figures], indent=2) + "\n")
        write_page(figures)
    return 0 if all(figure.ok for figure in figures) else 1


def table(figures: list[Figure]) -> str:
    """The figures as a table in markdown."""
    lines = ["| what | measured | promised | peer | measured against it |", "|---|---|---|---|---|"]
    lines += [figure.line() for figure in figures]
    return "\n".join(lines)


def write_page(figures: list[Figure]) -> None:
    """Put the table between the marks in docs/performance.md."""
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d', time.gmtime())}"
    body = f"<!-- figures -->\nMeasured on {where}.\n\n{table(figures)}\n<!-- end -->"
    PAGE.write_text(re.sub(r"<!-- figures -->.*?<!-- end -->", lambda _: body, PAGE.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    sys.exit(main())
