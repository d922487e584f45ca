"""`kodev create`: write a new project, all of its files or none."""

import keyword
import re
import shutil
from pathlib import Path
from typing import Final

from kore._cli.project import NoProjectError
from kore._cli.skeleton import render_files

# Valid without quotes as a directory, in a page and in a shell.
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)


def create_project(name: str) -> list[Path]:
    """Write a project below the working directory; return its files.

    Raises NoProjectError if the name is invalid, taken, or a file cannot be written.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise NoProjectError(
            f"{name!a} is not a name for a project: letters, digits, _ and -, 64 at most, "
            "a letter first"
        )
    directory = Path(name)
    try:
        directory.mkdir()
    except FileExistsError:
        raise NoProjectError(f"{name} exists already, and is left as it is") from None
    except OSError as error:
        raise NoProjectError(f"cannot make {name}: {error.strerror}") from None
    try:
        return [_write_file(directory / path, text) for path, text in render_files(name).items()]
    except OSError as error:
        # Nothing but our own files is in it.
        shutil.rmtree(directory, ignore_errors=True)
        raise NoProjectError(f"cannot write {error.filename}: {error.strerror}") from None


def _write_file(path: Path, text: str) -> Path:
    """Write one file; return its path."""
    path.parent.mkdir(exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    return path
