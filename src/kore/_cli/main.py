"""The `kore` command: options, then an application, then the application's own arguments."""

import getopt
import sys
from collections.abc import Collection, Mapping, Sequence

from kore._cli.delayed_imports import delay_imports

# Before anything imports them. This process becomes the parent.
delay_imports("inspect", "ipaddress")

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from kore._conf.settings import VERSION
from kore._process.output import write_error, write_output
from kore._process.parent import daemon
from kore._process.parent.launcher import LaunchOptions
from kore._process.parent.parent import Parent
from kore._process.spawn import exec_main

USAGE: Final = """\
usage: kore [-dfhnqrtv] [--pidfile path] [--print-config] [--] app [args...]
       kore [-dfhnqrtv] [--pidfile path] [--print-config] -c conf [--] [app] [args...]

  app       a .py file, a directory that is a package, or, without -c, the name of a module
  args      what koreapp.configure() or kore_parent_configure() is given

  -c conf   configuration file; with an app it is read after koreapp.configure()
  -d        run in the background: the command ends when the server serves, or has failed to.
            The log goes to the logfile, or to syslog; the pid to the pidfile
  -f        stay in the foreground: the default, but for deployment production
  -h, --help
            this help
  -n        do not chroot
  -q        log warnings and errors only, and what the application logs
  -r        do not switch user
  -t        load the configuration, say what is wrong with it, start nothing
  -v, --version
            show the version
  --pidfile path
            write the pid there, whatever the configuration says
  --print-config
            show the whole configuration, defaults included, and start nothing

Signals: TERM and INT stop it after the requests in progress, a second one or QUIT at once;
HUP loads the application anew; USR1 reopens the log file; USR2 logs the state of all processes.
In the background INT is ignored. The application's hook for signals sees all of them but USR2.

Exit status: 0 after a stop in good order, or, with -d, when the server serves; with -t and
--print-config when all is well. 1 when it could not start, or had to stop; 130 when -d was
interrupted.

Environment: KORE_LOOP=asyncio does without uvloop. A configuration file may use any variable.

Examples:
  kore app.py                  serve an application
  kore -t app.py               only say what is wrong with it
  kore -c kore.conf            serve what a configuration file says
  kore -d -c kore.conf         the same, in the background; `kodev reload` loads new code
  kodev create shop            begin a project
"""
# Of other servers.
ADDRESS: Final = "an application says where it listens: kore.server(ip=..., port=...)"
FOREIGN: Final = MappingProxyType(
    {
        **dict.fromkeys(("reload", "debug", "watch", "dev"), "`kodev run` loads what has changed"),
        **dict.fromkeys(("port", "host", "bind", "listen", "p", "b", "H"), ADDRESS),
        **dict.fromkeys(("workers", "processes", "w"), "write kore.config.workers = N"),
        **dict.fromkeys(("daemon", "daemonize", "D"), "-d runs in the background"),
        "config": "-c names a configuration file",
    }
)
TRIAL: Final = "kore._process.template.check_config:main"
SHORT: Final = "c:dfhnqrtv"
LONG: Final = ("help", "pidfile=", "print-config", "version")


def command() -> NoReturn:
    """Be the command, where nobody else passes the status on."""
    sys.exit(main())


def main(arguments: Sequence[str] | None = None, *, development: bool = False) -> int:
    """Run the command, or serve for `kodev run`. Returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # It stops at the application: what follows belongs to that.
        options, rest = getopt.getopt(given, SHORT, LONG)
    except getopt.GetoptError as error:
        return refused(f"{error}{near(error.opt)}\n\n{USAGE.split('Signals:')[0].rstrip()}")
    # Of an option given twice the last one counts.
    flags = dict(options)
    if flags.keys() & {"-h", "--help"}:
        return write_output(USAGE, "kore")
    if flags.keys() & {"-v", "--version"}:
        return write_output(f"{VERSION} python-{sys.version.split()[0]}\n", "kore")
    if {"-d", "-f"} <= flags.keys():
        return refused("-d and -f exclude each other: in the background, or not")
    app, rest = application(rest, conf=flags.get("-c", ""))
    if not app and not flags.get("-c"):
        return refused(f"no application given\n\n{USAGE.split('Signals:')[0].rstrip()}")
    return run(LaunchOptions(app, rest, development=development, **from_flags(flags)), flags)


def near(option: str) -> str:
    """Return a guess at what an unknown option was meant to be."""
    if option in FOREIGN:
        return f": {FOREIGN[option]}"
    import difflib  # only for a mistake: the parent, which this becomes, stays small

    names = [name.rstrip("=") for name in LONG]
    found = difflib.get_close_matches(option, names, n=1) if option not in names else []
    return f" (did you mean --{found[0]}?)" if found else ""


def application(words: list[str], *, conf: str) -> tuple[str, list[str]]:
    """Tell the application from its arguments; with a configuration file there may be none."""
    if words and (not conf or words[0].lower().endswith(".py") or Path(words[0]).is_dir()):
        return words[0], words[1:]
    return "", words


def from_flags(flags: Mapping[str, str]) -> dict[str, Any]:
    """Return what the flags say to whoever starts processes."""
    return {
        "conf": flags.get("-c", ""),
        "quiet": "-q" in flags,
        "same_user": {"-n", "-r"} <= flags.keys(),
        "background": True if "-d" in flags else False if "-f" in flags else None,
        "pidfile": flags.get("--pidfile", ""),
    }


def attempt(what: str, options: LaunchOptions) -> NoReturn:
    """Become the process that only tries: no import of it here, it loads applications."""
    user = "same user" if options.same_user else ""
    exec_main(TRIAL, [what, user, options.app, options.conf, *options.arguments])


def run(options: LaunchOptions, flags: Collection[str]) -> int:
    """Be the parent of a server, or try its configuration only."""
    if "--print-config" in flags:
        attempt("print", options)
    if "-t" in flags:
        attempt("check", options)
    if not options.background:
        parent = Parent(options)
        status = parent.run()
        if not parent.wants_background:
            return status
    hidden = replace(options, background=True)
    return daemon.start_daemon(lambda startup_pipe: Parent(hidden, startup_pipe).run())


def refused(text: str) -> int:
    """Say why nothing was started."""
    write_error(f"kore: {text}")
    return 1
