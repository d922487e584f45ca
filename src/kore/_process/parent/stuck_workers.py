"""Workers whose event loop does not turn: reported with route and stacks, replaced later."""

import contextlib
import os
from dataclasses import dataclass
from typing import Final

from kore._process.ipc.scoreboard import SlotSnapshot
from kore._process.log.handlers import log
from kore._process.parent.children import Child, Children
from kore._process.parent.eventloop import ParentLoop
from kore._process.privsep import STACK_DUMP_SIGNAL

# Seconds between two checks. Time counts in checks: a parent that had no processor for a while
# does not blame workers that had none either.
CHECK_INTERVAL: Final = 1.0
REPORT_AFTER: Final = 5
# How long a worker has to write its stacks.
STACKS_TIMEOUT: Final = 0.3


@dataclass(slots=True)
class Observation:
    """The latest heartbeat of a worker, and for how many checks it has not moved."""

    beat: int = -1
    checks: int = 0


class StuckWorkers:
    """Watches the heartbeats of all workers that serve."""

    def __init__(self, loop: ParentLoop, children: Children, *, may_kill: bool) -> None:
        self.loop = loop
        self.children = children
        self.may_kill = may_kill
        self.observations: dict[Child, Observation] = {}

    def watch(self) -> None:
        """Check now, and again and again."""
        self.check()
        self.loop.after(CHECK_INTERVAL, self.watch)

    def check(self) -> None:
        """Compare every heartbeat with the one before."""
        serving = [child for child in self.children.all if _is_serving(child)]
        self.observations = {
            child: self.observations.get(child) or Observation() for child in serving
        }
        for child, observation in self.observations.items():
            reading = _read(child)
            if reading is not None:
                self.compare(child, observation, reading)

    def compare(self, child: Child, observation: Observation, reading: SlotSnapshot) -> None:
        """Act on a heartbeat that has not moved."""
        if reading.beat != observation.beat or reading.blocking:
            if observation.checks >= REPORT_AFTER:
                log.warning("%s goes on after %d s", child, observation.checks)
            observation.beat, observation.checks = reading.beat, 0
            return
        observation.checks += 1
        limit = self.limit(child)
        if observation.checks == limit:
            self.loop.after(STACKS_TIMEOUT, lambda: self.replace(child, observation))
        elif observation.checks == REPORT_AFTER:
            self.loop.after(STACKS_TIMEOUT, lambda: self.report(child, observation))
        else:
            return
        if child.generation.board is not None:
            child.generation.board.clear_stacks(child.slot)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, STACK_DUMP_SIGNAL)

    def limit(self, child: Child) -> int:
        """Return after how many checks a worker is replaced; 0: it is not."""
        # One that ends has a limit in time already.
        if not self.may_kill or child.generation.retired:
            return 0
        return child.generation.settings.worker_stuck_timeout

    def report(self, child: Child, observation: Observation) -> None:
        """Log where a worker is stuck."""
        if self.is_stuck(child, observation):
            log.warning(
                "%s is stuck %s: its event loop has not turned for %d s; a handler must not block, "
                "see kore.blocking()",
                child, _place(child), observation.checks, extra={"detail": _stacks(child)},
            )  # fmt: skip

    def replace(self, child: Child, observation: Observation) -> None:
        """Log where a worker is stuck, and kill it. Its successor is started when it is dead."""
        if self.is_stuck(child, observation):
            log.error(
                "%s is stuck %s: its event loop has not turned for %d s (worker_stuck_timeout), "
                "killed",
                child, _place(child), observation.checks, extra={"detail": _stacks(child)},
            )  # fmt: skip
            self.children.kill(child)

    def is_stuck(self, child: Child, observation: Observation) -> bool:
        """Return whether it still is, a moment later."""
        reading = _read(child) if _is_serving(child) else None
        return reading is not None and reading.beat == observation.beat and not reading.blocking


def _is_serving(child: Child) -> bool:
    return bool(child.number and child.pid and child.ready) and not (child.ended or child.doomed)


def _read(child: Child) -> SlotSnapshot | None:
    board = child.generation.board
    return None if board is None else board.read(child.slot)


def _place(child: Child) -> str:
    return child.generation.whereabouts(child)


def _stacks(child: Child) -> str:
    board = child.generation.board
    return "" if board is None else board.stacks(child.slot)
