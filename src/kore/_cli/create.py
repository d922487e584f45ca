"""`kodev create`: a new project, all of it or nothing."""

import keyword
import re
import shutil
from pathlib import Path
from typing import Final

from kore._cli.project import NoProjectError
from kore._cli.skeleton import files

# What is a directory, a name in a page and a word of the shell, everywhere and without quotes.
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)


def create(name: str) -> list[Path]:
    """Write a project below the working directory; return its files."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise NoProjectError(
            f"{name!a} is no name for a project: letters, digits, _ and -, 64 at most, "
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
        return [write(directory / path, text) for path, text in files(name).items()]
    except OSError as error:
        # It was made by us, a moment ago.
        shutil.rmtree(directory, ignore_errors=True)
        raise NoProjectError(f"cannot write {error.filename}: {error.strerror}") from None


def write(path: Path, text: str) -> Path:
    """Write one file."""
    path.parent.mkdir(exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    return path
