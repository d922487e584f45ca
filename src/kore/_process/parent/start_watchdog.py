"""Watches over starts: a template that loads, a worker until it serves. Says which of them hang."""

import time
from collections.abc import Callable
from typing import Final

from kore._process.parent.children import Child
from kore._process.parent.eventloop import ParentLoop

# Between two looks, in seconds; there are none while nothing starts.
STEP: Final = 0.2


class StartWatchdog:
    """Those who are on their way, and until when. *hangs* is called once for who is late."""

    def __init__(
        self,
        loop: ParentLoop,
        hangs: Callable[[Child, str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.loop = loop
        self.hangs = hangs
        self.clock = clock
        self.pending: list[Child] = []

    def begin(self, child: Child, seconds: int) -> None:
        """Expect *child* to be ready in so many seconds from now on; 0: at any time."""
        child.since = self.clock()
        child.limit = seconds
        if not self.pending:
            self.loop.after(STEP, self.look)
        self.pending.append(child)

    def look(self) -> None:
        """Report who should have been ready by now."""
        self.pending = [child for child in self.pending if awaited(child)]
        late = [child for child in self.pending if self.overdue(child)]
        self.pending = [child for child in self.pending if child not in late]
        # One of them may have been the end of all.
        for child in filter(awaited, late):
            self.hangs(child, f"{stage(child)} for {child.limit} s (start_timeout)")
        if self.pending:
            self.loop.after(STEP, self.look)

    def overdue(self, child: Child) -> bool:
        """Whether a child has had its time."""
        return bool(child.limit) and self.clock() - child.since >= child.limit


def awaited(child: Child) -> bool:
    """Whether somebody still waits for a child to be ready."""
    return not (child.ready or child.ended or child.doomed or child.generation.retired)


def stage(child: Child) -> str:
    """Say what a child has been doing, as the beginning of a sentence."""
    if not child.number:
        return f"{child} has been loading the application"
    if not child.pid:
        return f"{child.generation.template} has not forked worker {child.number}"
    return f"{child} has been {child.generation.starting(child)}"
