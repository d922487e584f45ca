"""The `kodev` command: begin a project, run it, look after it."""

import difflib
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from kore._cli.create import create
from kore._cli.project import NoProjectError, Project, found_here, interpreter
from kore._cli.run import run
from kore._conf.diagnostics import escape_text
from kore._conf.settings import VERSION
from kore._process.output import write_error, write_output
from kore._process.parent.pidfile import find_owner, signal_owner

USAGE: Final = """\
usage: kodev command [arguments]

  create [-p] NAME   begin a project: an application, a test, a README, in a directory NAME.
                     -p says Python, as in C Kore; here it is always Python
  run [args...]      serve the project in the foreground and load it anew whenever a file
                     changes; args go to the application. ctrl-C ends it
  reload             have the running server of the project load its code anew
  info               what the project is, whether it runs, and where
  clean              remove what running it left behind: __pycache__, .pytest_cache, a kore.pid
                     of no server
  help, -h, --help   this help
  version, -v, --version
                     show the version

A project is a directory with a kore.conf, an app.py or an __init__.py; all commands but create are
for the working directory. `run` never switches user and never goes into the background, whatever
the configuration says.

Exit status: 0 when it was done, 1 when not, and the reason is on standard error.

Environment: as for `kore`. The project that create writes listens on $PORT, 8888 without it.

Examples:
  kodev create shop && cd shop && kodev run
  python -m pytest
"""
# Of C Kore: what is compiled, or goes with it.
NATIVE: Final = MappingProxyType(
    {
        "build": "there is nothing to build: `kodev run` serves the project, `kore -t` checks it",
        "flavor": "an application may look at os.environ, or use one kore.conf for each flavor",
        "cflags": "a module in C for Python is built with setuptools",
        "ldflags": "a module in C for Python is built with setuptools",
        "gen": "read the file in the application, or serve its directory",
        "genasset": "read the file in the application, or serve its directory",
        "source": "the package is where `python -c 'import kore; print(kore)'` says",
    }
)
LEFT_BEHIND: Final = ("__pycache__", ".pytest_cache")


def command() -> NoReturn:
    """Be the command."""
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if name not in COMMANDS:
        return refused(unknown(name))
    try:
        return COMMANDS[name](rest)
    except NoProjectError as error:
        return refused(str(error))
    except OSError as error:
        # A file or directory of the project that cannot be read, or removed.
        where = "" if error.filename is None else f"{escape_text(os.fsdecode(error.filename))}: "
        return refused(f"{name}: {where}{error.strerror or error}")


def unknown(name: str) -> str:
    """Return what to say about a word that is no command."""
    if not name:
        return f"which command?\n\n{USAGE.rstrip()}"
    if name in NATIVE or name.startswith("cross-"):
        why = NATIVE.get(name, "Python runs where it is installed")
        return f"{name} belongs to C Kore, for modules in C. Here {why}"
    close = difflib.get_close_matches(name, [*COMMANDS, *NATIVE], n=1)
    hint = f"did you mean '{close[0]}'?" if close else "`kodev help` lists them"
    return f"unknown command {name!a}: {hint}"


def nothing(name: str, rest: list[str]) -> None:
    """Refuse arguments where there are none."""
    if rest:
        raise NoProjectError(f"{name} takes no arguments, not {rest[0]!a}")


# The commands


def show_help(_: list[str]) -> int:
    """Show the help."""
    return shown(USAGE)


def show_version(_: list[str]) -> int:
    """Show the version."""
    return shown(f"{VERSION} python-{platform.python_version()}\n")


def make(rest: list[str]) -> int:
    """Run `kodev create`."""
    if rest in (["-h"], ["--help"]):
        return show_help(rest)
    names = [word for word in rest if word != "-p"]
    if len(names) != 1 or rest.count("-p") > 1:
        raise NoProjectError("write `kodev create NAME`")
    if names[0].startswith("-"):
        raise NoProjectError(f"create: unknown option {names[0]!a}, there is -p")
    lines = [f"created {path}" for path in create(names[0])]
    lines += [
        "",
        f"Next:  cd {names[0]}",
        "       kodev run           then see http://127.0.0.1:8888",
    ]
    lines += ["       python -m pytest    runs its tests"]
    return shown("\n".join(lines) + "\n")


def run_project(rest: list[str]) -> int:
    """Run `kodev run`."""
    return run(found_here(), rest[1:] if rest[:1] == ["--"] else rest)


def reload(rest: list[str]) -> int:
    """Run `kodev reload`."""
    nothing("reload", rest)
    project = found_here()
    for path in candidates(project):
        try:
            if pid := signal_owner(path, signal.SIGHUP):
                return shown(f"reloading application, process {pid}; its log says how that goes\n")
        except PermissionError:
            raise NoProjectError(f"process {find_owner(path)} belongs to another user") from None
    stale = " (its kore.pid was left behind by one that has ended)" * project.pidfile.exists()
    raise NoProjectError(f"{project.name} is not running{stale}")


def candidates(project: Project) -> list[Path]:
    """Return where to look for a pid; what the configuration names only when it has to be asked."""
    for place in (project.pidfile, project.directory):
        if find_owner(place):
            return [place]
    return project.pidfiles()


def info(rest: list[str]) -> int:
    """Run `kodev info`."""
    nothing("info", rest)
    project = found_here()
    try:
        plain = project.plain()
        rows = described(plain)
        wrong = ""
    except NoProjectError as error:
        rows, wrong = {}, str(error)
    pid, _ = project.server()
    table = {
        "project": project.name,
        "directory": str(project.directory),
        "application": project.app or "as the configuration says",
        "configuration": project.conf or "in the application",
        "kore": VERSION,
        "python": interpreter(),
        "running": f"yes, process {pid}" if pid else "no",
        **rows,
    }
    status = shown("".join(f"{name:14}{escape_text(value)}\n" for name, value in table.items()))
    if wrong:
        raise NoProjectError(f"its configuration is not good:\n{wrong}")
    return status


def described(plain: Mapping[str, Any]) -> dict[str, str]:
    """Return what a configuration says about where it serves."""
    places = [place(server) for server in plain["servers"]]
    settings = plain["settings"]
    return {
        "addresses": ", ".join(places) or "none",
        "workers": str(settings["workers"]),
        "log": settings["logfile"] or "standard output, in the background syslog",
        "deployment": settings["deployment"],
    }


def place(server: Mapping[str, Any]) -> str:
    """Return an address as one would ask for it."""
    address, scheme = server["address"], "https" if server["tls"] else "http"
    if address["path"]:
        return str(address["path"])
    host = f"[{address['ip']}]" if ":" in address["ip"] else address["ip"]
    return f"{scheme}://{host}:{address['port'] or '(any free port)'}"


def clean(rest: list[str]) -> int:
    """Run `kodev clean`."""
    nothing("clean", rest)
    project = found_here()
    removed = 0
    for directory in leftovers(project.directory):
        shutil.rmtree(directory, ignore_errors=True)
        removed += 1
    if project.pidfile.is_file() and not find_owner(project.pidfile):
        project.pidfile.unlink(missing_ok=True)
        removed += 1
    things = "thing" if removed == 1 else "things"
    return shown(f"removed {removed} {things}\n" if removed else "nothing to remove\n")


def leftovers(top: Path) -> list[Path]:
    """Return the directories that running leaves behind; not those of other environments."""
    found: list[Path] = []
    waiting = [top]
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            if entry.is_symlink() or not entry.is_dir():
                continue
            if entry.name in LEFT_BEHIND:
                found.append(entry)
            elif not entry.name.startswith(".") and not (entry / "pyvenv.cfg").exists():
                waiting.append(entry)
    return found


def refused(text: str) -> int:
    """Say why nothing was done."""
    write_error(f"kodev: {text}")
    return 1


def shown(text: str) -> int:
    """Write to standard output. Returns the exit status."""
    return write_output(text, "kodev")


COMMANDS: Final[Mapping[str, Callable[[list[str]], int]]] = MappingProxyType(
    {
        "create": make,
        "run": run_project,
        "reload": reload,
        "info": info,
        "clean": clean,
        "help": show_help,
        "-h": show_help,
        "--help": show_help,
        "version": show_version,
        "-v": show_version,
        "--version": show_version,
    }
)
