"""`kodev run`: run the server in the foreground, and reload it whenever a file changes.

A running server gets HUP: connections are kept, and if the new code fails, the old code goes on
serving. A server that could not start is started again after the next change.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from kore._cli.main import main as kore
from kore._cli.project import PIDFILE, NoProjectError, Project
from kore._cli.watch import POLL_INTERVAL, PollingWatcher, open_watcher
from kore._conf.diagnostics import escape_text
from kore._process.output import write_error
from kore._process.parent.daemon import DEVELOPMENT_STOP
from kore._process.parent.pidfile import find_owner
from kore._process.privsep import set_parent_death_signal
from kore._process.spawn import build_command

# Seconds to wait for changes of files before signals and the server are checked.
TURN_TIMEOUT: Final = 0.05
# An editor may write several files: changes within so many seconds are one.
SETTLE_TIMEOUT: Final = 0.04
# `si_code` of a signal from the kernel, as on ctrl-C: the server has received it, too.
SI_KERNEL: Final = 128
TRAPPED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
SERVER_MAIN: Final = "kore._cli.run:_run_server"
# Where Debian keeps certificate authorities that its programs trust.
TRUSTED_CA: Final = "/usr/local/share/ca-certificates/kore-local.crt"


def _run_server() -> NoReturn:
    """Run the server of `kodev run`, which ends with it."""
    parent, local_tls, *arguments = sys.argv[1:]
    set_parent_death_signal(int(parent), signal.SIGTERM)
    sys.exit(kore(arguments, development=True, local_tls=local_tls))


class ServerRunner:
    """Runs a server, and has it reloaded when files change."""

    def __init__(
        self,
        project: Project,
        arguments: list[str],
        notify: Callable[[str], Any],
        local_tls: str = "",
    ) -> None:
        self.project = project
        # The directory of a certificate for servers without TLS; empty: they are without.
        self.local_tls = local_tls
        self.arguments = arguments
        self.notify = notify
        self.pid = 0
        self.status = 0
        # The signal that ends this command, or 0.
        self.stop_signal = 0

    def start(self) -> None:
        """Start the server."""
        options = ["-nr", "-f", "--pidfile", PIDFILE]
        arguments = [*options, *self.project.kore_arguments, *self.arguments]
        self.pid = os.posix_spawn(
            sys.executable,
            build_command(SERVER_MAIN, [str(os.getpid()), self.local_tls, *arguments]),
            os.environ,
            setsigmask=(),
            setsigdef=TRAPPED,
        )

    def serve(self) -> int:
        """Serve until told to stop. Returns the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, TRAPPED)
        # If the program that started this had SIGCHLD ignored, the exit status would be lost.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(self.project.directory)
        if pid := find_owner(self.project.pidfile):
            raise NoProjectError(f"its server runs already, as process {pid}")
        files = open_watcher(self.project.directory)
        try:
            self.notify(f"{self.project.name} is loaded anew whenever it changes; ctrl-C ends it")
            self.start()
            while not self.stop_signal or self.pid:
                self.turn(files)
        finally:
            files.close()
        return self.status

    def turn(self, files: PollingWatcher) -> None:
        """Check signals, the server and the files, once each."""
        while info := signal.sigtimedwait(TRAPPED, 0):
            self._handle_signal(info.si_signo, from_terminal=info.si_code == SI_KERNEL)
        if self.pid:
            self._check_server()
        if files.wait_for_change(TURN_TIMEOUT):
            while files.wait_for_change(SETTLE_TIMEOUT):
                pass
            if names := files.take_changes():
                self._reload(_describe_files(names))
        if reason := files.take_polling_reason():
            self.notify(
                f"inotify: {reason}: looking for changes every {POLL_INTERVAL} s from now on"
            )

    def _handle_signal(self, number: int, *, from_terminal: bool) -> None:
        """Handle a signal."""
        if number == signal.SIGHUP and not from_terminal:
            self._reload("SIGHUP")
            return
        immediate = bool(self.stop_signal) or number == signal.SIGQUIT
        self.stop_signal = number
        # A signal from the terminal has reached the server as well. It must not get a second one,
        # which would abort requests in progress.
        if self.pid and not from_terminal:
            os.kill(self.pid, signal.SIGQUIT if immediate else DEVELOPMENT_STOP)

    def _check_server(self) -> None:
        """Handle the exit of the server, if it has exited."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        if self.stop_signal:
            self.status = 0 if code == 0 else 1
        elif code == 0:
            # Another program or the application itself has stopped it.
            self.stop_signal = signal.SIGTERM
        else:
            self.notify("not serving: it starts again with the next change")

    def _reload(self, what: str) -> None:
        """Have the new code loaded, because of *what*."""
        if self.stop_signal:
            return
        self.notify(f"{what}, {'loading it anew' if self.pid else 'starting'}")
        if not self.pid:
            self.start()
        elif self.pid in (find_owner(self.project.pidfile), find_owner(self.project.directory)):
            os.kill(self.pid, signal.SIGHUP)
        else:
            # It is still loading the old code, and may not handle signals yet.
            self._restart()

    def _restart(self) -> None:
        """Kill a server that does not serve yet, and start another."""
        os.kill(self.pid, signal.SIGQUIT)
        deadline = time.monotonic() + 2
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(TURN_TIMEOUT / 4)
        self.start()


def _describe_files(files: list[str]) -> str:
    """Return a sentence about changed files: the first one, and how many others."""
    first = escape_text(files[0])
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{first}{more} changed"


def run(project: Project, arguments: list[str], *, tls: bool = False) -> int:
    """Serve a project until ctrl-C; with *tls*, with a certificate for localhost."""
    local_tls = str(_prepare_tls()) if tls else ""
    return ServerRunner(project, arguments, _write_notice, local_tls).serve()


def _prepare_tls() -> Path:
    """Prepare the certificate for localhost, and say how clients trust it.

    Returns its directory. Raises OSError if a file cannot be read or written.
    """
    from kore._cli.local_ca import get_directory, prepare_certificate  # large libraries

    found = prepare_certificate(get_directory(), datetime.now(UTC))
    ca = escape_text(str(found.ca))
    if found.is_new:
        _write_notice(f"{ca} is a certificate authority of your own, for this machine only")
        _write_notice("to trust it, import that file in the settings of your browser, or run")
        _write_notice(f"  sudo cp {ca} {TRUSTED_CA} && sudo update-ca-certificates")
    _write_notice(f"TLS is for https://localhost; elsewhere: curl --cacert {ca} https://...")
    return found.directory


def _write_notice(text: str) -> None:
    """Write a line of `kodev` among those of the server."""
    write_error(f"kodev: {text}")
