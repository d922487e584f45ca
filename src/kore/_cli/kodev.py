"""The `kodev` command: create a project, run it, reload it, clean it."""

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

from kore._cli.create import create_project
from kore._cli.project import NoProjectError, Project, describe_interpreter, find_current_project
from kore._cli.run import run
from kore._conf.diagnostics import escape_text
from kore._conf.settings import VERSION
from kore._process.output import write_error, write_output
from kore._process.parent.pidfile import find_owner, signal_owner

USAGE: Final = """\
usage: kodev command [arguments]

  create [-p] NAME   begin a project: an application, a test, a README, in a directory NAME.
                     -p says Python, as in C Kore; here it is always Python
  run [--tls] [args...]
                     serve the project in the foreground and load it anew whenever a file
                     changes; args go to the application. ctrl-C ends it.
                     --tls: its servers without TLS have it, with a certificate for localhost
                     of a certificate authority of your own, which it makes
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
  kodev run --tls    then see https://localhost:8888
  python -m pytest
"""
# Commands of C Kore for modules in C, with what to do in Python.
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


def run_command() -> NoReturn:
    """Run the command and exit with its status."""
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if name not in COMMANDS:
        return _report_failure(_describe_unknown(name))
    try:
        return COMMANDS[name](rest)
    except NoProjectError as error:
        return _report_failure(str(error))
    except OSError as error:
        # A file or directory of the project that cannot be read, or removed.
        where = "" if error.filename is None else f"{escape_text(os.fsdecode(error.filename))}: "
        return _report_failure(f"{name}: {where}{error.strerror or error}")


def _describe_unknown(name: str) -> str:
    """Return the error for an unknown command, with advice."""
    if not name:
        return f"which command?\n\n{USAGE.rstrip()}"
    if name in NATIVE or name.startswith("cross-"):
        why = NATIVE.get(name, "Python runs where it is installed")
        return f"{name} belongs to C Kore, for modules in C. Here {why}"
    close = difflib.get_close_matches(name, [*COMMANDS, *NATIVE], n=1)
    hint = f"did you mean '{close[0]}'?" if close else "`kodev help` lists them"
    return f"unknown command {name!a}: {hint}"


def _refuse_arguments(name: str, rest: list[str]) -> None:
    """Raise NoProjectError if a command without arguments is given some."""
    if rest:
        raise NoProjectError(f"{name} takes no arguments, not {rest[0]!a}")


# The commands


def _show_help(_: list[str]) -> int:
    """Show the help."""
    return _show_text(USAGE)


def _show_version(_: list[str]) -> int:
    """Show the version."""
    return _show_text(f"{VERSION} python-{platform.python_version()}\n")


def _run_create(rest: list[str]) -> int:
    """Run `kodev create`."""
    if rest in (["-h"], ["--help"]):
        return _show_help(rest)
    names = [word for word in rest if word != "-p"]
    if len(names) != 1 or rest.count("-p") > 1:
        raise NoProjectError("write `kodev create NAME`")
    if names[0].startswith("-"):
        raise NoProjectError(f"create: unknown option {names[0]!a}, there is -p")
    lines = [f"created {path}" for path in create_project(names[0])]
    lines += [
        "",
        f"Next:  cd {names[0]}",
        "       kodev run           then see http://127.0.0.1:8888",
        "       kodev run --tls     then see https://localhost:8888",
    ]
    lines += ["       python -m pytest    runs its tests"]
    return _show_text("\n".join(lines) + "\n")


def _run_project(rest: list[str]) -> int:
    """Run `kodev run`."""
    tls = rest[:1] == ["--tls"]
    rest = rest[1:] if tls else rest
    return run(find_current_project(), rest[1:] if rest[:1] == ["--"] else rest, tls=tls)


def _run_reload(rest: list[str]) -> int:
    """Run `kodev reload`."""
    _refuse_arguments("reload", rest)
    project = find_current_project()
    for path in _list_lock_paths(project):
        try:
            if pid := signal_owner(path, signal.SIGHUP):
                return _show_text(
                    f"reloading application, process {pid}; its log says how that goes\n"
                )
        except PermissionError:
            raise NoProjectError(f"process {find_owner(path)} belongs to another user") from None
    stale = " (its kore.pid was left behind by one that has ended)" * project.pidfile.exists()
    raise NoProjectError(f"{project.name} is not running{stale}")


def _list_lock_paths(project: Project) -> list[Path]:
    """Return the paths that the server of a project may have locked.

    The configuration is loaded only if the usual paths are not locked.
    """
    for path in (project.pidfile, project.directory):
        if find_owner(path):
            return [path]
    return project.find_pidfiles()


def _run_info(rest: list[str]) -> int:
    """Run `kodev info`."""
    _refuse_arguments("info", rest)
    project = find_current_project()
    try:
        plain = project.load_plain()
        rows = _describe_config(plain)
        wrong = ""
    except NoProjectError as error:
        rows, wrong = {}, str(error)
    pid, _ = project.find_server()
    table = {
        "project": project.name,
        "directory": str(project.directory),
        "application": project.app or "as the configuration says",
        "configuration": project.conf or "in the application",
        "kore": VERSION,
        "python": describe_interpreter(),
        "running": f"yes, process {pid}" if pid else "no",
        **rows,
    }
    status = _show_text(
        "".join(f"{name:14}{escape_text(value)}\n" for name, value in table.items())
    )
    if wrong:
        raise NoProjectError(f"its configuration is not good:\n{wrong}")
    return status


def _describe_config(plain: Mapping[str, Any]) -> dict[str, str]:
    """Return the rows of `kodev info` that come from the configuration."""
    addresses = [_format_url(server) for server in plain["servers"]]
    settings = plain["settings"]
    return {
        "addresses": ", ".join(addresses) or "none",
        "workers": str(settings["workers"]),
        "log": settings["logfile"] or "standard output, in the background syslog",
        "deployment": settings["deployment"],
    }


def _format_url(server: Mapping[str, Any]) -> str:
    """Return the URL of a server, or the path of its unix socket."""
    address, scheme = server["address"], "https" if server["tls"] else "http"
    if address["path"]:
        return str(address["path"])
    host = f"[{address['ip']}]" if ":" in address["ip"] else address["ip"]
    return f"{scheme}://{host}:{address['port'] or '(any free port)'}"


def _run_clean(rest: list[str]) -> int:
    """Run `kodev clean`."""
    _refuse_arguments("clean", rest)
    project = find_current_project()
    removed = 0
    for directory in _find_leftovers(project.directory):
        shutil.rmtree(directory, ignore_errors=True)
        removed += 1
    if project.pidfile.is_file() and not find_owner(project.pidfile):
        project.pidfile.unlink(missing_ok=True)
        removed += 1
    things = "thing" if removed == 1 else "things"
    return _show_text(f"removed {removed} {things}\n" if removed else "nothing to remove\n")


def _find_leftovers(top: Path) -> list[Path]:
    """Return the directories that running leaves, but for those in virtual environments."""
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


def _report_failure(text: str) -> int:
    """Write an error to standard error. Returns the exit status."""
    write_error(f"kodev: {text}")
    return 1


def _show_text(text: str) -> int:
    """Write to standard output. Returns the exit status."""
    return write_output(text, "kodev")


COMMANDS: Final[Mapping[str, Callable[[list[str]], int]]] = MappingProxyType(
    {
        "create": _run_create,
        "run": _run_project,
        "reload": _run_reload,
        "info": _run_info,
        "clean": _run_clean,
        "help": _show_help,
        "-h": _show_help,
        "--help": _show_help,
        "version": _show_version,
        "-v": _show_version,
        "--version": _show_version,
    }
)
