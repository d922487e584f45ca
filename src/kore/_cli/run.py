"""`kodev run`: the server in the foreground, loaded anew whenever a file changes.

A server that runs gets HUP, so that nobody's connection is lost and new code that fails leaves the
old one serving. One that has not started is started again with the next change.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from kore._cli.main import main as kore
from kore._cli.project import PIDFILE, NoProjectError, Project
from kore._cli.watch import LOOK, Looking, watcher
from kore._conf.diagnostics import escape_text
from kore._process.output import write_error
from kore._process.parent.daemon import DEVELOPMENT_STOP
from kore._process.parent.pidfile import find_owner
from kore._process.privsep import set_parent_death_signal
from kore._process.spawn import build_command

# How long a turn waits for files before it looks after signals and the server.
TURN: Final = 0.05
# An editor writes several files: what follows a change this closely belongs to it.
SETTLED: Final = 0.04
# A signal that the kernel sends, as on ctrl-C: it has gone to the server, too.
SI_KERNEL: Final = 128
TRAPPED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
TELLS: Final = "kore._cli.run:served"


def served() -> NoReturn:
    """Be the server of `kodev run`, and end with it."""
    parent, *arguments = sys.argv[1:]
    set_parent_death_signal(int(parent), signal.SIGTERM)
    sys.exit(kore(arguments, development=True))


class Run:
    """A server, and who watches over its files."""

    def __init__(self, project: Project, arguments: list[str], say: Callable[[str], Any]) -> None:
        self.project = project
        self.arguments = arguments
        self.say = say
        self.pid = 0
        self.status = 0
        self.ending = 0

    def start(self) -> None:
        """Start the server."""
        words = ["-nr", "-f", "--pidfile", PIDFILE, *self.project.words, *self.arguments]
        self.pid = os.posix_spawn(
            sys.executable,
            build_command(TELLS, [str(os.getpid()), *words]),
            os.environ,
            setsigmask=(),
            setsigdef=TRAPPED,
        )

    def serve(self) -> int:
        """Go on until somebody says stop. Returns the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, TRAPPED)
        # Ignored by the program that started this, the status of the server would be lost.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(self.project.directory)
        if pid := find_owner(self.project.pidfile):
            raise NoProjectError(f"its server runs already, as process {pid}")
        files = watcher(self.project.directory)
        try:
            self.say(f"{self.project.name} is loaded anew whenever it changes; ctrl-C ends it")
            self.start()
            while not self.ending or self.pid:
                self.turn(files)
        finally:
            files.close()
        return self.status

    def turn(self, files: Looking) -> None:
        """Look after signals, the server and the files, once each."""
        while info := signal.sigtimedwait(TRAPPED, 0):
            self.told(info.si_signo, from_terminal=info.si_code == SI_KERNEL)
        if self.pid:
            self.look_after_server()
        if files.changed(TURN):
            while files.changed(SETTLED):
                pass
            if names := files.take():
                self.changed(named(names))
        if why := files.why_looking():
            self.say(f"inotify: {why}: looking for changes every {LOOK} s from now on")

    def told(self, number: int, *, from_terminal: bool) -> None:
        """Act on a signal."""
        if number == signal.SIGHUP and not from_terminal:
            self.changed("SIGHUP")
            return
        at_once = bool(self.ending) or number == signal.SIGQUIT
        self.ending = number
        # Sent to the whole group, the server has it already, and must not count it twice: a
        # second TERM would end requests in progress.
        if self.pid and not from_terminal:
            os.kill(self.pid, signal.SIGQUIT if at_once else DEVELOPMENT_STOP)

    def look_after_server(self) -> None:
        """Take note of the server's end."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        if self.ending:
            self.status = 0 if code == 0 else 1
        elif code == 0:
            # Nobody here has stopped it: somebody else, or the application itself.
            self.ending = signal.SIGTERM
        else:
            self.say("not serving: it starts again with the next change")

    def changed(self, what: str) -> None:
        """Have the new code loaded, because of *what*."""
        if self.ending:
            return
        self.say(f"{what}, {'loading it anew' if self.pid else 'starting'}")
        if not self.pid:
            self.start()
        elif self.pid in (find_owner(self.project.pidfile), find_owner(self.project.directory)):
            os.kill(self.pid, signal.SIGHUP)
        else:
            # It is loading code that is old by now, and may not know of signals yet.
            self.restart()

    def restart(self) -> None:
        """End a server that does not serve yet, and start another one."""
        os.kill(self.pid, signal.SIGQUIT)
        deadline = time.monotonic() + 2
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(TURN / 4)
        self.start()


def named(files: list[str]) -> str:
    """Return what to say about files that changed: the first one, and how many more."""
    first = escape_text(files[0])
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{first}{more} changed"


def run(project: Project, arguments: list[str]) -> int:
    """Serve a project until ctrl-C."""
    return Run(project, arguments, say).serve()


def say(text: str) -> None:
    """Write a line of our own among those of the server."""
    write_error(f"kodev: {text}")
