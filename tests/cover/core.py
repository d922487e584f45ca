"""Which lines of the core were run, from the counters of its C code (gcov)."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Cython writes the line a piece of C code was made from in front of it.
MARK: Final = re.compile(r' */\* "(kore/_core/\w+\.p(?:yx|xd))":(\d+)$')
# What follows releases what a function holds.
EXIT: Final = re.compile(r" */\* function exit code \*/")
DEFINITION: Final = re.compile(r"(?!#)\w.*\) ?\{$")

Lines = dict[str, dict[int, bool]]


class Counters:
    """The counters that the processes of a run have written below *folder*."""

    def __init__(self, folder: Path, objects: Path, sources: Path) -> None:
        self.folder = folder
        self.objects = objects
        self.sources = sources
        self.regions = {path.stem: read_regions(path) for path in sources.glob("*.c")}

    def contexts(self) -> list[str]:
        """Return the files of tests for which there are counters."""
        return sorted(path.name for path in self.folder.iterdir())

    def lines(self, contexts: Iterable[str], modules: Iterable[str] = ()) -> Lines:
        """Return the lines of each source file, and whether they were run in some contexts.

        Only as *modules* were compiled, if any are given: a .pxd is part of several.
        """
        found: Lines = defaultdict(dict)
        contexts = list(contexts)
        for module in sorted(modules or self.regions):
            counts: dict[int, int] = defaultdict(int)
            for context in contexts:
                for line, count in self.count(self.folder / context, module):
                    counts[line] += count
            for region in self.regions[module]:
                if line := next((line for line in region.code if line in counts), None):
                    lines = found[region.name]
                    lines[region.line] = lines.get(region.line, False) or counts[line] > 0
        return found

    def count(self, folder: Path, module: str) -> Iterator[tuple[int, int]]:
        """Yield the lines of a module's C code with their counts."""
        data = folder / f"{module}.gcda"
        if not data.exists():
            return
        notes = data.with_suffix(".gcno")
        if not notes.exists():
            notes.symlink_to(self.objects / notes.name)
        done = subprocess.run(
            ["gcov", "--json-format", "--stdout", data.name],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        for file in json.loads(done.stdout)["files"]:
            if file["file"].endswith(f"/{module}.c"):
                for line in file["lines"]:
                    yield line["line_number"], line["count"]


def counter_name(test: str) -> str:
    """Return the folder of the counters of a file of tests: the core's own tests have one each."""
    path = Path(test)
    return path.stem if path.parent.name == "core" else "others"


@dataclass(frozen=True)
class Region:
    """The lines of C code that a line of a source file has become, or some of them."""

    name: str
    line: int
    code: range


def read_regions(path: Path) -> list[Region]:
    """Return the regions of a C file, without those of the heads of functions."""
    regions: list[Region] = []
    heads: set[tuple[str, int]] = set()
    lines = path.read_text().splitlines()
    mark: tuple[str, int, int] | None = None
    for number, text in enumerate(lines, 1):
        start = MARK.match(text)
        if mark and (start or EXIT.match(text) or text == "}"):
            regions.append(Region(mark[0], mark[1], range(mark[2], number)))
            mark = None
        elif mark and DEFINITION.match(text):
            heads.add(mark[:2])
        if start:
            mark = (start[1], int(start[2]), number)
    return [region for region in regions if (region.name, region.line) not in heads]
