"""The heartbeat of a worker on the scoreboard, and stack dumps on a signal of the parent."""

import contextlib
import faulthandler
import os
from collections.abc import Iterator
from threading import get_ident
from time import monotonic
from typing import Final

from kore._process.ipc.scoreboard import BEAT, BEAT_AT, BLOCKING_AT
from kore._process.privsep import STACK_DUMP_SIGNAL

COUNTER_MODULUS: Final = 1 << 32


class Heartbeat:
    """A counter that is incremented as long as the event loop runs."""

    def __init__(self, slot: memoryview, stacks: int, offset: int) -> None:
        self._slot = slot
        self._count = 0
        # The descriptor for stack dumps, or -1, and the offset for those of this worker.
        self._stacks = stacks
        self._offset = offset
        self._thread = get_ident()
        self._blocking = 0
        # When `kore.blocking()` last ended, on the monotonic clock.
        self.blocked_at = 0.0

    def open(self) -> None:
        """From now on, dump the stacks of all threads to the descriptor when the signal comes."""
        # Without one, they go to standard error, as before.
        if self._stacks >= 0:
            faulthandler.register(STACK_DUMP_SIGNAL, file=self._stacks)

    def beat(self) -> None:
        """Increment the counter. A later stack dump overwrites the one before."""
        self._count = (self._count + 1) % COUNTER_MODULUS
        BEAT.pack_into(self._slot, BEAT_AT, self._count)
        if self._stacks >= 0:
            os.lseek(self._stacks, self._offset, os.SEEK_SET)

    @contextlib.contextmanager
    def blocking(self) -> Iterator[None]:
        """Return a context manager whose block may block the event loop on purpose."""
        if get_ident() != self._thread:
            yield
            return
        self._blocking += 1
        self._slot[BLOCKING_AT] = 1
        try:
            yield
        finally:
            self._blocking -= 1
            self.blocked_at = monotonic()
            self._slot[BLOCKING_AT] = self._blocking > 0
            self.beat()
