"""Errors of a configuration: where each is, and a list of them that is raised at once.

Places are `file:line`, as text. A call from an application is placed where the application calls;
a statement of a file has its place from the parser.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from kore.errors import ConfigError, KoreError

# How the names of the files begin that the functions of the import system have.
IMPORT_SYSTEM: Final = "<frozen importlib"
PACKAGE_DIRECTORY: Final = str(Path(__file__).parents[1]) + os.sep
LOCATED_LINE: Final = re.compile(r"(?P<file>[^\n]*?):(?P<line>\d+): ")


# Paths and text, as messages show them


def get_working_directory() -> Path:
    """Return the working directory; its former path if it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.environ.get("PWD", "/"))


def make_absolute(path: str) -> str:
    """Return an absolute path without `..`, also if the working directory has been removed."""
    return os.path.normpath(get_working_directory() / path)


def shorten_path(filename: str) -> str:
    """Return a path as messages show it: relative if it is below the working directory."""
    return escape_text(filename.removeprefix(str(get_working_directory()) + os.sep))


def escape_text(text: str) -> str:
    """Return *text* for one line of a message, with unprintable characters escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_lines(text: str) -> str:
    """Return *text* for a message of several lines: line breaks and tabs are kept."""
    return "\n".join("\t".join(map(escape_text, line.split("\t"))) for line in text.split("\n"))


# Places


def find_caller() -> str:
    """Return file and line of the innermost frame that is not in this package."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - inspect is large
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE_DIRECTORY):
        frame = frame.f_back
    return "?" if frame is None else f"{shorten_path(frame.f_code.co_filename)}:{frame.f_lineno}"


def is_importing() -> bool:
    """Return whether a module other than the program itself is being imported."""
    in_module = False
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - inspect is large
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            in_module = frame.f_globals.get("__name__") != "__main__"
        elif in_module and frame.f_code.co_filename.startswith(IMPORT_SYSTEM):
            return True
        frame = frame.f_back
    return False


# The list


class Diagnostics:
    """Error messages, most of them with `file:line: ` in front."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, where: str, text: str) -> None:
        """Add a message, unless the same one is there."""
        line = escape_lines(f"{where}: {text}" if where else text)
        if line not in self.found:
            self.found.append(line)

    @contextmanager
    def collect_errors(
        self, where: str = "", label: str = "", words: Iterable[str] = ()
    ) -> Iterator[None]:
        """Add an error that the block raises, and continue behind the block.

        *words* of the file are escaped if the message quotes them.
        """
        try:
            yield
        except (KoreError, ValueError) as error:
            text = f"{label}: {error}" if label else str(error)
            for word in filter(None, words):
                text = text.replace(word, escape_text(word))
            self.add(where, text)

    def raise_if_any(self) -> None:
        """Raise all messages as one ConfigError, in the order of files and lines."""
        if not self.found:
            return
        lines = _sort_by_place(self.found)
        count = f"{len(lines)} errors in the configuration:\n" if len(lines) > 1 else ""
        raise ConfigError(count + "\n".join(lines))


def _sort_by_place(lines: list[str]) -> list[str]:
    """Sort messages by file, in the order of first appearance, and line; those without are last."""
    places = [LOCATED_LINE.match(line) for line in lines]
    files = list(dict.fromkeys(place["file"] for place in places if place))
    keys = [
        (files.index(place["file"]), int(place["line"])) if place else (len(files), 0)
        for place in places
    ]
    return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda pair: pair[0])]
