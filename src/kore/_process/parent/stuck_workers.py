"""Workers whose event loop is stuck: logged with route and stacks, killed after a time limit."""

import contextlib
import os
from dataclasses import dataclass
from typing import Final

from kore._process.eventloop import CallbackLoop
from kore._process.ipc.scoreboard import SlotSnapshot
from kore._process.log.handlers import log
from kore._process.parent.children import Children
from kore._process.parent.generation import Child
from kore._process.privsep import STACK_DUMP_SIGNAL

# Seconds between two checks. Time is counted in checks: while the whole machine is busy, the parent
# makes fewer checks, and does not take workers for stuck.
CHECK_INTERVAL: Final = 1.0
REPORT_AFTER: Final = 5
# Seconds for a worker to write its stacks.
STACKS_TIMEOUT: Final = 0.3


@dataclass(slots=True)
class Observation:
    """The latest heartbeat of a worker, and for how many checks it has not moved."""

    beat: int = -1
    checks: int = 0


class StuckWorkers:
    """Watches the heartbeats of all workers that serve."""

    def __init__(self, loop: CallbackLoop, children: Children, *, may_kill: bool) -> None:
        self.loop = loop
        self.children = children
        self.may_kill = may_kill
        self.observations: dict[Child, Observation] = {}

    def watch(self) -> None:
        """Check now, and every CHECK_INTERVAL seconds."""
        self.check()
        self.loop.after(CHECK_INTERVAL, self.watch)

    def check(self) -> None:
        """Compare each heartbeat with the previous one."""
        serving = [child for child in self.children.all if _is_serving(child)]
        self.observations = {
            child: self.observations.get(child) or Observation() for child in serving
        }
        for child, observation in self.observations.items():
            snapshot = _read(child)
            if snapshot is not None:
                self._compare(child, observation, snapshot)

    def _compare(self, child: Child, observation: Observation, snapshot: SlotSnapshot) -> None:
        """Act on a heartbeat that has not moved."""
        if snapshot.beat != observation.beat or snapshot.blocking:
            if observation.checks >= REPORT_AFTER:
                log.warning("%s goes on after %d s", child, observation.checks)
            observation.beat, observation.checks = snapshot.beat, 0
            return
        observation.checks += 1
        kill_after = self._get_kill_after(child)
        if observation.checks == kill_after:
            self.loop.after(STACKS_TIMEOUT, lambda: self._kill(child, observation))
        elif observation.checks == REPORT_AFTER:
            self.loop.after(STACKS_TIMEOUT, lambda: self._report(child, observation))
        else:
            return
        if (board := child.generation.scoreboard) is not None:
            board.clear_stacks(child.board_slot)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, STACK_DUMP_SIGNAL)

    def _get_kill_after(self, child: Child) -> int:
        """Return after how many checks a stuck worker is killed; 0: never."""
        # One that drains has a time limit already.
        if not self.may_kill or child.generation.retiring:
            return 0
        return child.generation.settings.worker_stuck_timeout

    def _report(self, child: Child, observation: Observation) -> None:
        """Log where a worker is stuck."""
        if self._is_stuck(child, observation):
            log.warning(
                "%s is stuck %s: its event loop has not turned for %d s; a handler must not block, "
                "see kore.blocking()",
                child, child.generation.describe_activity(child), observation.checks,
                extra={"detail": _read_stacks(child)},
            )  # fmt: skip

    def _kill(self, child: Child, observation: Observation) -> None:
        """Log where a worker is stuck, and kill it; its exit has it restarted."""
        if self._is_stuck(child, observation):
            log.error(
                "%s is stuck %s: its event loop has not turned for %d s (worker_stuck_timeout), "
                "killed",
                child, child.generation.describe_activity(child), observation.checks,
                extra={"detail": _read_stacks(child)},
            )  # fmt: skip
            self.children.kill(child)

    def _is_stuck(self, child: Child, observation: Observation) -> bool:
        """Return whether a worker is still stuck, a moment later."""
        snapshot = _read(child) if _is_serving(child) else None
        return snapshot is not None and snapshot.beat == observation.beat and not snapshot.blocking


def _is_serving(child: Child) -> bool:
    if not child.is_worker or child.ended or child.kill_requested:
        return False
    return bool(child.pid and child.ready)


def _read(child: Child) -> SlotSnapshot | None:
    board = child.generation.scoreboard
    return None if board is None else board.read(child.board_slot)


def _read_stacks(child: Child) -> str:
    board = child.generation.scoreboard
    return "" if board is None else board.stacks(child.board_slot)
