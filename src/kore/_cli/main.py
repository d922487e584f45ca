"""The `kore` command: options, then an application, then the application's own arguments."""

import getopt
import sys
from collections.abc import Sequence
from typing import Final

from kore._conf.settings import VERSION
from kore._process.nursery import Options
from kore._process.parent import Parent

USAGE: Final = """\
usage: kore [-c conf] [-dfhnqrv] [--] app [args...]

  app       a .py file, a directory that is a package, or the name of a module
  args      what koreapp.configure() is given

  -c conf   configuration file
  -d        run as a daemon
  -f        stay in the foreground: the default
  -h        this help
  -n        do not chroot
  -q        log warnings and errors only, and what the application logs
  -r        do not switch user
  -v        show the version

Signals: TERM and INT stop it after the requests in progress, a second one or QUIT at once;
HUP loads the application anew; USR1 reopens the log file; USR2 logs the state of all processes.
"""
NOT_YET: Final = {
    "-c": "the configuration file is not part of this version yet: configure in the application",
    "-d": "running as a daemon is not part of this version yet: leave that to a service manager",
}
FOREGROUND_NOTE: Final = "note: -f is the default now, use -d to daemonize"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # It stops at the application: what follows belongs to that.
        options, rest = getopt.getopt(given, "c:dfhnqrv")
    except getopt.GetoptError as error:
        return refused(f"{error}\n\n{USAGE.rstrip()}")
    flags = [flag for flag, _ in options]
    if "-h" in flags:
        return shown(USAGE)
    if "-v" in flags:
        return shown(f"{VERSION} python-{sys.version.split()[0]}\n")
    for flag in flags:
        if flag in NOT_YET:
            return refused(f"{flag}: {NOT_YET[flag]}")
    if not rest:
        return refused(f"no application given\n\n{USAGE.rstrip()}")
    if "-f" in flags:
        shown(f"{FOREGROUND_NOTE}\n")
    return serve(rest[0], rest[1:], flags)


def serve(app: str, arguments: list[str], flags: list[str]) -> int:
    """Be the parent of a server."""
    same_user = "-n" in flags and "-r" in flags
    return Parent(Options(app, arguments, quiet="-q" in flags, same_user=same_user)).run()


def shown(text: str) -> int:
    """Write to standard output."""
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def refused(text: str) -> int:
    """Say why nothing was started."""
    sys.stderr.write(f"kore: {text}\n")
    return 1
