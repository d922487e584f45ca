"""Measure how much of the sources the tests run, and write docs/coverage.md.

Arguments are those of pytest; without any, all tests run. With the environment variable
COVER_FOLDER the copy of the tree stays there, and what is measured adds to earlier runs.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.cover.build import ROOT, Copy
from tests.cover.report import Report

LEAST = 95.0  # per cent of all lines


def main() -> int:
    """Build, run, report; return 1 if too little is covered."""
    if kept := os.environ.get("COVER_FOLDER"):
        return measure(Path(kept), sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="kore-cover.") as folder:
        return measure(Path(folder), sys.argv[1:])


def measure(folder: Path, arguments: list[str]) -> int:
    """Measure in a folder."""
    copy = Copy(folder)
    copy.make()
    # Measured code is slower: what is too late for a test is no fault.
    jobs = os.environ.get("JOBS", "4")
    status = copy.run_tests(arguments or ["-q", "-n", jobs, "--dist", "loadfile", "--timeout=300"])
    report = Report(copy, json.loads((copy.folder / "tests.json").read_text()))
    print(report.table())
    if status:
        print("cover: tests failed, so some of what they run is not in the figures")
    if not arguments:
        (ROOT / "docs" / "coverage.md").write_text(report.page())
    return int(report.total < LEAST)


if __name__ == "__main__":
    sys.exit(main())
