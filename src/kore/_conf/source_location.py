"""Where something was written: file and line."""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Final

# How the names of the files begin that the import system's functions have.
IMPORT_SYSTEM: Final = "<frozen importlib"
OURS: Final = str(Path(__file__).parents[1]) + os.sep


def working_directory() -> Path:
    """Return the working directory; if it has been removed, where it was."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.environ.get("PWD", "/"))


def absolute(path: str) -> str:
    """Return a path from the root, without `..`; also if the working directory is gone."""
    return os.path.normpath(working_directory() / path)


def escaped(text: str) -> str:
    """Return *text* for one line of a message: what cannot be printed as in a literal of Python."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escaped_lines(text: str) -> str:
    """Return *text* for a message that may have several lines."""
    return "\n".join("\t".join(map(escaped, line.split("\t"))) for line in text.split("\n"))


def caller() -> str:
    """Return file and line of the call into this package."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - inspect is large
    while frame is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    return "?" if frame is None else f"{shown(frame.f_code.co_filename)}:{frame.f_lineno}"


def shown(filename: str) -> str:
    """Return a file's name as its author would call it."""
    return escaped(filename.removeprefix(str(working_directory()) + os.sep))


def is_importing() -> bool:
    """Return whether a module is being imported that is not the program itself."""
    in_module = False
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - as above
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            in_module = frame.f_globals.get("__name__") != "__main__"
        elif in_module and frame.f_code.co_filename.startswith(IMPORT_SYSTEM):
            return True
        frame = frame.f_back
    return False
