"""The heartbeat of a worker on the scoreboard, and the stacks it writes when the parent asks."""

import contextlib
import faulthandler
import os
from collections.abc import Iterator
from threading import get_ident
from time import monotonic
from typing import Final

from kore._process.ipc.scoreboard import BEAT, BEAT_AT, BLOCKING_AT
from kore._process.privsep import STACK_DUMP_SIGNAL

BEATS: Final = 1 << 32


class Heartbeat:
    """A counter that moves as long as the event loop turns."""

    def __init__(self, slot: memoryview, stacks: int, offset: int) -> None:
        self._slot = slot
        self._count = 0
        # A descriptor for stacks, or -1, and where in it those of this worker belong.
        self._stacks = stacks
        self._offset = offset
        self._thread = get_ident()
        self._blocking = 0
        # When it was last blocked on purpose, on the monotonic clock.
        self.blocked_at = 0.0

    def open(self) -> None:
        """Write the stacks of all threads to the scoreboard when asked, from now on."""
        # Otherwise to standard error, as before: the parent asks in any case.
        if self._stacks >= 0:
            faulthandler.register(STACK_DUMP_SIGNAL, file=self._stacks)

    def beat(self) -> None:
        """Show that the event loop turns. Earlier stacks may be written over."""
        self._count = (self._count + 1) % BEATS
        BEAT.pack_into(self._slot, BEAT_AT, self._count)
        if self._stacks >= 0:
            os.lseek(self._stacks, self._offset, os.SEEK_SET)

    @contextlib.contextmanager
    def blocking(self) -> Iterator[None]:
        """Say that the block may keep the event loop from turning."""
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
