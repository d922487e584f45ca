"""A project as `kodev` sees it: where its application is, and whether its server runs."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kore._process.parent.pidfile import find_owner
from kore._process.spawn import build_command

CONF: Final = "kore.conf"
APPLICATION: Final = "app.py"
PACKAGE: Final = "__init__.py"
# Where `kodev run` has the server's pid, and a server in the background by default.
PIDFILE: Final = "kore.pid"
CHECK_SECONDS: Final = 30
TRIAL: Final = "kore._process.template.check_config:main"


class NoProjectError(Exception):
    """What cannot be done here, and why."""


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with an application."""

    directory: Path
    # The application, a configuration file, or both.
    app: str
    conf: str

    @property
    def name(self) -> str:
        """What the directory is called."""
        return self.directory.name

    @property
    def pidfile(self) -> Path:
        """Where its pid is."""
        return self.directory / PIDFILE

    @property
    def words(self) -> list[str]:
        """What the `kore` command is told of it."""
        return [*(["-c", self.conf] if self.conf else []), "--", *filter(None, [self.app])]

    def asked(self, what: str) -> subprocess.CompletedProcess[str]:
        """Load its configuration in a process of its own, which says what is in it."""
        # Without a switch of user: what is asked is what the file says.
        arguments = [what, "same user", self.app, self.conf]
        return subprocess.run(  # noqa: S603 - our own interpreter
            build_command(TRIAL, arguments),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=CHECK_SECONDS,
        )

    def plain(self) -> dict[str, Any]:
        """Return its configuration. NoProjectError: there is something wrong with it."""
        try:
            run = self.asked("plain")
            if run.returncode:
                raise NoProjectError(run.stderr.strip())
            # An application may print what it likes before.
            found: dict[str, Any] = json.loads(run.stdout.rstrip("\n").rpartition("\n")[2])
        except subprocess.TimeoutExpired:
            raise NoProjectError(f"not loaded within {CHECK_SECONDS} s") from None
        except ValueError:
            raise NoProjectError("the application prints while it is loaded") from None
        return found

    def pidfiles(self) -> list[Path]:
        """Return where the pid of its server may be: in the usual place, or where it says."""
        usual = [self.pidfile]
        try:
            named = self.directory / self.plain()["settings"]["pidfile"]
        except NoProjectError:
            return usual
        return [*usual, *([named] if named not in usual else [])]

    def server(self) -> tuple[int, Path]:
        """Return the pid of the server that runs, and its file; 0: none does."""
        # A server in the foreground writes no pid file, but has a lock on its directory.
        for place in (self.pidfile, self.directory):
            if pid := find_owner(place):
                return pid, place
        for path in self.pidfiles()[1:]:
            if pid := find_owner(path):
                return pid, path
        return 0, self.pidfile


def found_here() -> Project:
    """Return the project in the working directory. Raises NoProjectError if there is none."""
    try:
        return found(Path.cwd())
    except FileNotFoundError:
        raise NoProjectError(
            "the working directory is gone: `cd` into the directory of the project again"
        ) from None


def found(directory: Path) -> Project:
    """Return the project in a directory, or raise NoProjectError."""
    here = Path(os.path.abspath(directory))  # noqa: PTH100 - a link keeps its name
    conf = CONF if (here / CONF).is_file() else ""
    app = ""
    if (here / APPLICATION).is_file() and not (here / PACKAGE).is_file():
        app = APPLICATION
    elif (here / PACKAGE).is_file():
        app = str(here)
    # A file that imports the application itself needs no other word.
    if conf and "python_import" in (here / conf).read_text(errors="replace"):
        app = ""
    if not app and not conf:
        raise NoProjectError(
            f"{here} is no project: it has no {APPLICATION}, no {PACKAGE} and no {CONF}; "
            "`kodev create NAME` begins one"
        )
    return Project(here, app, conf)


def interpreter() -> str:
    """Return which Python this is."""
    return f"{sys.version.split()[0]} ({sys.executable})"
