"""Run the server in the background, or in the terminal it was started in.

The command waits until it is known whether the server has started, so that errors are shown in the
terminal and the exit status tells.
"""

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

from kore._process.eventloop import CallbackLoop
from kore._process.log.outputs import STDERR
from kore._process.log.writer import LogWriter
from kore._process.privsep import (
    STANDARD_FDS,
    close_all_except,
    redirect_to_null,
    unblock_signals,
)

# Files of the server are writable only by their owner, unless the owner has asked for less.
UMASK: Final = 0o022
STARTED: Final = b"+"
# Exit status after an interrupt, as in a shell.
INTERRUPTED: Final = 130
STDIN_AND_STDOUT: Final = (0, 1)
# Sent by `kodev run` to its server: stop, unless it is stopping already. A second TERM would mean
# to stop immediately.
DEVELOPMENT_STOP: Final = int(signal.SIGRTMIN)


class StartupPipe:
    """The server's end of a socket to the command that waits for the start."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.waiting = True

    def fileno(self) -> int:
        """Return the descriptor; it becomes readable when the command has exited."""
        return self.end.fileno()

    def report_started(self, *, keep_stderr: bool) -> None:
        """Detach from the terminal, and have the command exit with status 0."""
        self.waiting = False
        redirect_to_null(STANDARD_FDS - {STDERR} if keep_stderr else STANDARD_FDS)
        with contextlib.suppress(OSError):
            self.end.send(STARTED)
        self.end.close()


class Terminal:
    """The terminal that the server was started in, if its standard descriptors are one."""

    def __init__(self, startup_pipe: StartupPipe | None = None) -> None:
        self.descriptors = [fd for fd in STDIN_AND_STDOUT if os.isatty(fd)]
        # In the background only.
        self.startup_pipe = startup_pipe

    @property
    def is_closed(self) -> bool:
        """Whether the terminal has been closed: its descriptors are open still, but useless."""
        return not all(map(os.isatty, self.descriptors))

    def watch(self, loop: CallbackLoop, stop: Callable[[], None]) -> None:
        """Call *stop* if the command that waits for the start is interrupted."""
        if self.startup_pipe is not None:
            loop.watch(self.startup_pipe, stop)

    def detach(self, loop: CallbackLoop, log_writer: LogWriter) -> None:
        """Detach from the terminal, if the server is to run in the background."""
        if self.startup_pipe is not None and self.startup_pipe.waiting:
            loop.forget(self.startup_pipe)
            self.descriptors = []
            self.startup_pipe.report_started(keep_stderr=not log_writer.is_redirected)


def start_daemon(serve: Callable[[StartupPipe], int]) -> int:
    """Run *serve* in a background process. Returns the exit status for the command.

    The second fork makes a process that is no session leader: it cannot acquire a terminal.
    """
    ours, theirs = socket.socketpair()
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unblock_signals()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            ours.close()
            _run_daemon_child(serve, theirs)
        os._exit(0)
    theirs.close()
    os.waitpid(middle, 0)
    try:
        return 0 if ours.recv(1) == STARTED else 1
    except KeyboardInterrupt:
        # Our end of the socket is closed with this process, which stops the server.
        return INTERRUPTED


def _run_daemon_child(serve: Callable[[StartupPipe], int], end: socket.socket) -> NoReturn:
    """Run the daemon child; never returns."""
    status = 1
    try:
        os.umask(os.umask(UMASK) | UMASK)
        # A program that waits for the end of a pipe must not wait for the server's end.
        close_all_except({end.fileno()})
        status = serve(StartupPipe(end))
    except BaseException:  # noqa: BLE001 - it is the last frame of this process
        traceback.print_exc()
    finally:
        os._exit(status)
