"""The `kore` command: options, then an application, then the application's own arguments."""

import getopt
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from kore._conf.settings import VERSION
from kore._process.nursery import Options
from kore._process.parent import Parent
from kore._process.spawn import become

USAGE: Final = """\
usage: kore [-dfhnqrtv] [--print-config] [--] app [args...]
       kore [-dfhnqrtv] [--print-config] -c conf [--] [app] [args...]

  app       a .py file, a directory that is a package, or, without -c, the name of a module
  args      what koreapp.configure() or kore_parent_configure() is given

  -c conf   configuration file; with an app it is read after koreapp.configure()
  -d        run as a daemon
  -f        stay in the foreground: the default
  -h        this help
  -n        do not chroot
  -q        log warnings and errors only, and what the application logs
  -r        do not switch user
  -t        load the configuration, say what is wrong with it, start nothing
  -v        show the version
  --print-config
            show the whole configuration, defaults included, and start nothing

Signals: TERM and INT stop it after the requests in progress, a second one or QUIT at once;
HUP loads the application anew; USR1 reopens the log file; USR2 logs the state of all processes.
"""
NOT_YET: Final = {
    "-d": "running as a daemon is not part of this version yet: leave that to a service manager",
}
TRIAL: Final = "kore._process.trial:main"
FOREGROUND_NOTE: Final = "note: -f is the default now, use -d to daemonize"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # It stops at the application: what follows belongs to that.
        options, rest = getopt.getopt(given, "c:dfhnqrtv", ["help", "print-config", "version"])
    except getopt.GetoptError as error:
        return refused(f"{error}\n\n{USAGE.rstrip()}")
    # Of an option given twice the last one counts.
    flags = dict(options)
    if flags.keys() & {"-h", "--help"}:
        return shown(USAGE)
    if flags.keys() & {"-v", "--version"}:
        return shown(f"{VERSION} python-{sys.version.split()[0]}\n")
    for flag in flags:
        if flag in NOT_YET:
            return refused(f"{flag}: {NOT_YET[flag]}")
    app, rest = application(rest, conf=flags.get("-c", ""))
    if not app and not flags.get("-c"):
        return refused(f"no application given\n\n{USAGE.rstrip()}")
    return run(Options(app, rest, **from_flags(flags)), flags)


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
    }


def attempt(what: str, options: Options) -> NoReturn:
    """Become the process that only tries: no import of it here, it loads applications."""
    user = "same user" if options.same_user else ""
    become(TRIAL, [what, user, options.app, options.conf, *options.arguments])


def run(options: Options, flags: Collection[str]) -> int:
    """Be the parent of a server, or try its configuration only."""
    if "--print-config" in flags:
        attempt("print", options)
    if "-t" in flags:
        attempt("check", options)
    if "-f" in flags:
        shown(f"{FOREGROUND_NOTE}\n")
    return Parent(options).run()


def shown(text: str) -> int:
    """Write to standard output."""
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def refused(text: str) -> int:
    """Say why nothing was started."""
    sys.stderr.write(f"kore: {text}\n")
    return 1
