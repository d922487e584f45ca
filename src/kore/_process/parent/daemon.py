"""A server in the background, and who waits in the terminal until it is known how it started.

So that what is wrong is said where somebody reads it, and the exit status of the command tells.
"""

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Final

from kore._process.log.outputs import STDERR
from kore._process.privsep import (
    STANDARD_FDS,
    close_all_except,
    redirect_to_null,
    unblock_signals,
)

# What nobody but the owner may write, if the owner has not asked for less.
UMASK: Final = 0o022
GOOD: Final = b"+"
INTERRUPTED: Final = 130


class StartupPipe:
    """Who waits in the terminal, as the server sees it."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.waiting = True

    def fileno(self) -> int:
        """Return the descriptor; it is readable when nobody waits any more."""
        return self.end.fileno()

    def started(self, *, keep_stderr: bool) -> None:
        """Let go of the terminal, and say that all is well."""
        self.waiting = False
        redirect_to_null(STANDARD_FDS - {STDERR} if keep_stderr else STANDARD_FDS)
        with contextlib.suppress(OSError):
            self.end.send(GOOD)
        self.end.close()


def start(serve: Callable[[StartupPipe], int]) -> int:
    """Run *serve* in a process of its own, in the background. Returns the status of its start.

    It is of no terminal's session, and leads none: it cannot get one by accident.
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
            be(serve, theirs)
        os._exit(0)
    theirs.close()
    os.waitpid(middle, 0)
    try:
        return 0 if ours.recv(1) == GOOD else 1
    except KeyboardInterrupt:
        # Our end of the socket goes with us, and that ends the server.
        return INTERRUPTED


def be(serve: Callable[[StartupPipe], int], end: socket.socket) -> None:
    """Be the server, and nothing else, to the end of this process."""
    status = 1
    try:
        os.umask(os.umask(UMASK) | UMASK)
        # Whoever waits for the end of a pipe must not wait for the server's.
        close_all_except({end.fileno()})
        status = serve(StartupPipe(end))
    except BaseException:  # noqa: BLE001 - it is the last frame of this process
        traceback.print_exc()
    finally:
        os._exit(status)
