"""The `kore` command: parse options, then run the parent of a server, or check a configuration."""

import getopt
import sys
from collections.abc import Collection, Mapping, Sequence

from kore._cli.delayed_imports import delay_imports

# Before another module imports them. This process becomes the parent.
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
SHORT_USAGE: Final = USAGE.split("Signals:")[0].rstrip()
# Options of other servers, with what Kore has instead.
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
CHECK_MAIN: Final = "kore._process.template.check_config:main"
SHORT: Final = "c:dfhnqrtv"
LONG: Final = ("help", "pidfile=", "print-config", "version")


def run_command() -> NoReturn:
    """Run the command and exit with its status."""
    sys.exit(main())


def main(
    arguments: Sequence[str] | None = None, *, development: bool = False, local_tls: str = ""
) -> int:
    """Run the command, or serve for `kodev run`. Returns its exit status.

    *local_tls* is the directory of a certificate for servers without TLS.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Parsing stops at the application; options after it are the application's.
        found, rest = getopt.getopt(given, SHORT, LONG)
    except getopt.GetoptError as error:
        return _report_usage_error(f"{error}{_suggest_option(error.opt)}\n\n{SHORT_USAGE}")
    # The last one of repeated options counts.
    flags = dict(found)
    if flags.keys() & {"-h", "--help"}:
        return write_output(USAGE, "kore")
    if flags.keys() & {"-v", "--version"}:
        return write_output(f"{VERSION} python-{sys.version.split()[0]}\n", "kore")
    if {"-d", "-f"} <= flags.keys():
        return _report_usage_error("-d and -f exclude each other: in the background, or not")
    app, rest = _split_application(rest, conf=flags.get("-c", ""))
    if not app and not flags.get("-c"):
        return _report_usage_error(f"no application given\n\n{SHORT_USAGE}")
    options = LaunchOptions(
        app, rest, development=development, local_tls=local_tls, **_convert_flags(flags)
    )
    return run(options, flags)


def _suggest_option(option: str) -> str:
    """Return advice for an unknown option, or nothing."""
    if option in FOREIGN:
        return f": {FOREIGN[option]}"
    import difflib  # rarely needed; this process becomes the parent, which stays small

    names = [name.rstrip("=") for name in LONG]
    found = difflib.get_close_matches(option, names, n=1) if option not in names else []
    return f" (did you mean --{found[0]}?)" if found else ""


def _split_application(words: list[str], *, conf: str) -> tuple[str, list[str]]:
    """Return the application and its arguments; with a configuration file there may be none."""
    if words and (not conf or words[0].lower().endswith(".py") or Path(words[0]).is_dir()):
        return words[0], words[1:]
    return "", words


def _convert_flags(flags: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of LaunchOptions that flags set."""
    return {
        "conf": flags.get("-c", ""),
        "quiet": "-q" in flags,
        "same_user": {"-n", "-r"} <= flags.keys(),
        "background": True if "-d" in flags else False if "-f" in flags else None,
        "pidfile": flags.get("--pidfile", ""),
    }


def _check_config(what: str, options: LaunchOptions) -> NoReturn:
    """Check or print the configuration, in a new interpreter: this one loads no applications."""
    user = "same user" if options.same_user else ""
    exec_main(CHECK_MAIN, [what, user, options.app, options.conf, *options.arguments])


def run(options: LaunchOptions, flags: Collection[str]) -> int:
    """Run the parent of a server, or check its configuration only."""
    if "--print-config" in flags:
        _check_config("print", options)
    if "-t" in flags:
        _check_config("check", options)
    if not options.background:
        parent = Parent(options)
        status = parent.run()
        if not parent.wants_background:
            return status
    in_background = replace(options, background=True)
    return daemon.start_daemon(lambda startup_pipe: Parent(in_background, startup_pipe).run())


def _report_usage_error(text: str) -> int:
    """Write an error to standard error. Returns the exit status."""
    write_error(f"kore: {text}")
    return 1
