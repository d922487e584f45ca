"""A project of `kodev`: where its application is, and whether its server runs."""

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
CHECK_TIMEOUT: Final = 30
CHECK_MAIN: Final = "kore._process.template.check_config:main"


class NoProjectError(Exception):
    """A command that cannot be run here, with the reason."""


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with an application."""

    directory: Path
    # The application, a configuration file, or both.
    app: str
    conf: str

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.directory.name

    @property
    def pidfile(self) -> Path:
        """Path of its pid file by default."""
        return self.directory / PIDFILE

    @property
    def kore_arguments(self) -> list[str]:
        """Arguments of the `kore` command for this project."""
        return [*(["-c", self.conf] if self.conf else []), "--", *filter(None, [self.app])]

    def run_check(self, what: str) -> subprocess.CompletedProcess[str]:
        """Load its configuration in a process of its own, which prints it."""
        # Without a switch of user, which may not be possible here.
        arguments = [what, "same user", self.app, self.conf]
        return subprocess.run(  # noqa: S603 - our own interpreter
            build_command(CHECK_MAIN, arguments),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=CHECK_TIMEOUT,
        )

    def load_plain(self) -> dict[str, Any]:
        """Return its configuration. Raises NoProjectError if that is invalid."""
        try:
            run = self.run_check("plain")
            if run.returncode:
                raise NoProjectError(run.stderr.strip())
            # An application may print before that.
            found: dict[str, Any] = json.loads(run.stdout.rstrip("\n").rpartition("\n")[2])
        except subprocess.TimeoutExpired:
            raise NoProjectError(f"not loaded within {CHECK_TIMEOUT} s") from None
        except ValueError:
            raise NoProjectError("the application prints while it is loaded") from None
        return found

    def find_pidfiles(self) -> list[Path]:
        """Return the paths its pid file may have: the default, and the configured one."""
        usual = [self.pidfile]
        try:
            named = self.directory / self.load_plain()["settings"]["pidfile"]
        except NoProjectError:
            return usual
        return [*usual, *([named] if named not in usual else [])]

    def find_server(self) -> tuple[int, Path]:
        """Return the pid of the running server, or 0, and the path it has locked."""
        # A server in the foreground writes no pid file, but has a lock on its directory.
        for place in (self.pidfile, self.directory):
            if pid := find_owner(place):
                return pid, place
        for path in self.find_pidfiles()[1:]:
            if pid := find_owner(path):
                return pid, path
        return 0, self.pidfile


def find_current_project() -> Project:
    """Return the project in the working directory. Raises NoProjectError if there is none."""
    try:
        return _find_project(Path.cwd())
    except FileNotFoundError:
        raise NoProjectError(
            "the working directory is gone: `cd` into the directory of the project again"
        ) from None


def _find_project(directory: Path) -> Project:
    """Return the project in a directory. Raises NoProjectError if there is none."""
    here = Path(os.path.abspath(directory))  # noqa: PTH100 - a link keeps its name
    conf = CONF if (here / CONF).is_file() else ""
    app = ""
    if (here / APPLICATION).is_file() and not (here / PACKAGE).is_file():
        app = APPLICATION
    elif (here / PACKAGE).is_file():
        app = str(here)
    # A configuration that imports the application needs no argument for it.
    if conf and "python_import" in (here / conf).read_text(errors="replace"):
        app = ""
    if not app and not conf:
        raise NoProjectError(
            f"{here} is not a project: it has no {APPLICATION}, no {PACKAGE} and no {CONF}; "
            "`kodev create NAME` begins one"
        )
    return Project(here, app, conf)


def describe_interpreter() -> str:
    """Return version and path of this Python."""
    return f"{sys.version.split()[0]} ({sys.executable})"
