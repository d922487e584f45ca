"""From the data of a run to a table and a page."""

import contextlib
import io
import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage

from tests.cover.build import Copy
from tests.cover.core import Counters, counter_name
from tests.cover.reasons import REASONS, UNKNOWN


@dataclass(frozen=True)
class Figures:
    """What is known of one source file. *own* is the share of its own tests, if it has any."""

    name: str
    lines: int
    missing: tuple[int, ...]
    branches: int
    missing_branches: int
    own: float | None

    @property
    def percent(self) -> float:
        """The share of lines that were run."""
        return 100.0 * (self.lines - len(self.missing)) / self.lines if self.lines else 100.0


class Report:
    """All figures of a run."""

    def __init__(self, copy: Copy, counts: dict[str, int]) -> None:
        self.copy = copy
        self.counts = counts
        self.coverage = coverage.Coverage(config_file=str(copy.config))
        self.coverage.combine(keep=True)
        self.counters = Counters(copy.counters, copy.objects, copy.source / "_core")
        self.core = self.counters.lines(self.counters.contexts())
        tests = sorted((copy.folder / "tests").rglob("test_*.py"))
        self.tests = [str(path.relative_to(copy.folder)) for path in tests]
        self.sources = sorted(
            path
            for path in copy.source.rglob("*")
            if path.suffix in {".py", ".pyx", ".pxd"} and path.name != "__init__.py"
        )
        self.names = {str(path.relative_to(copy.source)) for path in self.sources}
        self.files = [self.figures(path) for path in self.sources]
        self.lines = sum(each.lines for each in self.files)
        self.missing = sum(len(each.missing) for each in self.files)
        self.total = 100.0 * (self.lines - self.missing) / self.lines

    def figures(self, path: Path) -> Figures:
        """Return the figures of a source file."""
        name = str(path.relative_to(self.copy.source))
        own = own_tests(name, self.tests, self.names)
        return (self.python_figures if path.suffix == ".py" else self.core_figures)(path, name, own)

    def python_figures(self, path: Path, name: str, own: list[str]) -> Figures:
        """Return the figures of a Python module."""
        found = self.measured(path)
        # What runs when a module is imported is run for no file of tests.
        contexts = ["^$", *(f"^{re.escape(test)}$" for test in own)]
        summary = self.measured(path, contexts)["summary"] if own else None
        return Figures(
            name,
            found["summary"]["num_statements"],
            tuple(found["missing_lines"]),
            found["summary"]["num_branches"],
            found["summary"]["missing_branches"],
            share(summary) if summary else None,
        )

    def core_figures(self, path: Path, name: str, own: list[str]) -> Figures:
        """Return the figures of a module of the core."""
        key = f"kore/{name}"
        lines = self.core.get(key, {})
        missing = tuple(sorted(line for line, was_run in lines.items() if not was_run))
        contexts = [test for test in map(counter_name, own) if test in self.counters.contexts()]
        modules = [path.stem] if path.suffix == ".pyx" else ()
        run_by_own = self.counters.lines(contexts, modules).get(key, {}) if contexts else {}
        covered = sum(run_by_own.get(line, False) for line in lines)
        return Figures(
            name, len(lines), missing, 0, 0, 100.0 * covered / len(lines) if own and lines else None
        )

    def measured(self, path: Path, contexts: list[str] | None = None) -> dict[str, Any]:
        """Return what coverage.py says of a file, as far as it was run for some contexts."""
        out = self.copy.folder / "report.json"
        with contextlib.redirect_stdout(io.StringIO()):
            self.coverage.json_report([str(path)], outfile=str(out), contexts=contexts)
        (found,) = json.loads(out.read_text())["files"].values()
        return dict(found)

    def table(self) -> str:
        """Return a line for each file, and the total."""
        rows = [
            f"{each.name:44} {each.lines:6} {each.percent:6.1f} % {branch_text(each):>11} "
            f"{own_text(each):>8}"
            for each in self.files
        ]
        head = f"{'file':44} {'lines':>6} {'run':>8} {'branches':>11} {'own tests':>9}"
        return "\n".join([head, *rows, "", *self.sentences()])

    def sentences(self) -> list[str]:
        """Return the sums."""
        branches = sum(each.branches for each in self.files)
        missing = sum(each.missing_branches for each in self.files)
        counts = self.counts
        return [
            f"Lines: {self.total:.1f} % of {self.lines} are run, {self.missing} are not.",
            f"Branches of Python: {100 - 100 * missing / max(branches, 1):.1f} % of {branches}.",
            f"Tests that need no server: {share_without(counts, 'tests')}.",
            f"Test functions that need no server: {share_without(counts, 'functions')}.",
        ]

    def page(self) -> str:
        """Return docs/coverage.md."""
        rows = [
            f"| `{each.name}` | {each.percent:.1f} % | {branch_text(each)} | {own_text(each)} |"
            f" {ranges(each.missing)} | {reason(each)} |"
            for each in self.files
        ]
        return "\n".join(
            [
                "# Coverage",
                "",
                "Written by `make cover`, which runs all tests with a core that counts its lines,",
                "and measures every process that they start. What a process that is killed has run",
                "is lost, so a line that is listed may still be run. The own tests of a file are",
                "those named after it. Of the core (Cython) lines are known, and no branches.",
                f"Measured with Python {platform.python_version()} at {self.copy.get_commit()}.",
                "",
                *(f"- {sentence}" for sentence in self.sentences()),
                "",
                "| file | lines run | branches | by its own tests | lines not run | why |",
                "|---|---|---|---|---|---|",
                *rows,
                "",
            ]
        )


def own_tests(name: str, tests: list[str], sources: set[str]) -> list[str]:
    """Return the files of tests that are named after a source file.

    `tests/unit/conf/test_paths_odd.py` is about `_conf/paths.py`, unless there is a
    `_conf/paths_odd.py`.
    """
    own = subject(name)
    others = [subject(other) for other in sources if other != name]
    nearer = [other for other in others if is_about(other, own)]
    return [
        test
        for test in tests
        if test.startswith("tests/unit/")
        and is_about(subject_of_test(test), own)
        and not any(is_about(subject_of_test(test), other) for other in nearer)
    ]


def subject_of_test(test: str) -> tuple[str, ...]:
    """Return folders and name of a test file, without what all of them have."""
    path = Path(test)
    return (*path.parts[2:-1], path.stem.removeprefix("test_"))


def subject(name: str) -> tuple[str, ...]:
    """Return folders and name of a source file, as those of its tests are called."""
    return tuple(part.strip("_") for part in Path(name).with_suffix("").parts)


def is_about(test: tuple[str, ...], source: tuple[str, ...]) -> bool:
    """Return whether a test file is named after a module, or after a part of it.

    Tests of a room may lie in the folder of the package.
    """
    in_folder = test[:-1] == source[: len(test) - 1] and len(test) <= len(source)
    return in_folder and f"{test[-1]}_".startswith(f"{source[-1]}_")


def share(summary: dict[str, Any]) -> float:
    """Return the share of lines, in per cent."""
    lines = summary["num_statements"]
    return 100.0 * summary["covered_lines"] / lines if lines else 100.0


def share_without(counts: dict[str, int], kind: str) -> str:
    """Return the share of tests that need no server."""
    total, servers = counts[kind], counts[f"{kind} with a server"]
    return f"{100 * (total - servers) / total:.0f} % of {total}"


def branch_text(each: Figures) -> str:
    """Return how many branches are taken, of how many."""
    return f"{each.branches - each.missing_branches}/{each.branches}" if each.branches else ""


def reason(each: Figures) -> str:
    """Return why lines of a file are not run."""
    return REASONS.get(each.name, UNKNOWN) if each.missing else ""


def own_text(each: Figures) -> str:
    """Return the share of the file's own tests."""
    return "" if each.own is None else f"{each.own:.0f} %"


def ranges(numbers: tuple[int, ...]) -> str:
    """Return sorted numbers as text, neighbours as a range."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)
