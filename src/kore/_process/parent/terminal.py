"""Where a server runs: in the terminal it was started in, if it was, or in the background."""

import os
import signal
from collections.abc import Callable
from typing import Final

from kore._process.log.writer import LogWriter
from kore._process.parent.daemon import StartupPipe
from kore._process.parent.eventloop import ParentLoop

STDIN_AND_STDOUT: Final = (0, 1)
# Sent by `kodev run` to its server: stop, unless it stops already. TERM cannot say that: a second
# one means at once.
DEVELOPMENT_STOP: Final = int(signal.SIGRTMIN)


class Terminal:
    """Remembers which standard descriptors were a terminal, and who waits there for the start."""

    def __init__(self, witness: StartupPipe | None = None) -> None:
        self.descriptors = [fd for fd in STDIN_AND_STDOUT if os.isatty(fd)]
        # In the background only.
        self.witness = witness

    @property
    def gone(self) -> bool:
        """Whether it has been closed: its descriptors are open still, and of no use."""
        return not all(map(os.isatty, self.descriptors))

    def watch(self, loop: ParentLoop, stop: Callable[[], None]) -> None:
        """Stop when somebody interrupts who waits for the start."""
        if self.witness is not None:
            loop.watch(self.witness, stop)

    def leave(self, loop: ParentLoop, destination: LogWriter) -> None:
        """Be in the background from now on, if that is where this belongs."""
        if self.witness is not None and self.witness.waiting:
            loop.forget(self.witness)
            self.descriptors = []
            self.witness.started(keep_stderr=not destination.is_redirected)
