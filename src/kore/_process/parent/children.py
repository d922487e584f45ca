"""The parent's child processes: receive their messages, signal and reap them.

Knows nothing of policy. A child may send any bytes and exit at any time; neither harms the parent.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Final, Protocol

from kore._process.eventloop import CallbackLoop
from kore._process.ipc.messages import LogLine, Message, ProtocolError, RoutedMessage, Signal, Stop
from kore._process.log.formats import DETAIL_LINES_MAX
from kore._process.log.handlers import log
from kore._process.parent import orphans
from kore._process.parent.generation import Child
from kore._process.parent.message_router import MessageRouter
from kore._process.privsep import STACK_DUMP_SIGNAL

# Malformed or forbidden messages after which a child is killed.
VIOLATIONS_MAX: Final = 8
# Batches received after an exit: more than a socket holds, so that no message is missed.
FINAL_BATCHES: Final = 64
# Seconds from a request to terminate to SIGKILL.
GRACE_SECONDS: Final = 1.0
DRAIN: Final = Stop(drain=True)
# Bytes that a child may log in one turn of the loop, about what its socket holds; further log
# messages are dropped and counted.
LOG_BYTES_PER_TURN: Final = 256 * 1024
# Writing a line costs as much as so many bytes.
LINE_COST: Final = 100
# Seconds between two log lines about dropped messages of one child.
DROP_REPORT_INTERVAL: Final = 1.0


class ChildEvents(Protocol):
    """Receives what happens to children."""

    def on_message(self, child: Child, message: Message) -> None:
        """Handle a message. A ProtocolError counts as a violation by the child."""

    def on_exit(self, child: Child, status: int) -> None:
        """Handle an exit, with its wait status."""


class Children:
    """All children that run, and those that have been ordered."""

    def __init__(self, loop: CallbackLoop, events: ChildEvents) -> None:
        self.loop = loop
        self.events = events
        self.router = MessageRouter(self.watch)
        self.all: list[Child] = []
        # Wait statuses of processes reaped before their `Forked` message arrived. Only kept while a
        # worker is on the way: the parent also reaps orphans of its workers.
        self.early_exits: dict[int, int] = {}

    def add(self, child: Child) -> None:
        """Receive the messages of a child from now on."""
        self.all.append(child)
        self.watch(child)

    def watch(self, child: Child) -> None:
        """Have the loop watch a child's channel for what it waits for."""
        if not child.ended and not child.channel.eof:
            write = child.channel.wants_write
            self.loop.watch(child.channel, lambda: self.handle_io(child), write=write)

    def send(self, child: Child, message: Message) -> None:
        """Send a message, now or when the channel is writable."""
        if not child.ended:
            child.channel.send(message)
            self.watch(child)

    def notify_workers_then(
        self, number: int, action: Callable[[], object]
    ) -> Callable[[], object]:
        """Return an action that tells the workers of a signal, and then runs *action*."""

        def notify_and_act() -> None:
            for child in self.all:
                if child.is_worker:
                    self.send(child, Signal(number))
            action()

        return notify_and_act

    def handle_io(self, child: Child) -> None:
        """Read from and write to a child's channel."""
        writing = child.channel.wants_write
        if writing:
            child.channel.flush()
        self.receive(child)
        if child.channel.eof:
            self.loop.forget(child.channel)
            # Normally it is about to exit. One that only closed its channel can no longer be told
            # to, so it is killed.
            self._kill_after_grace(child, "has closed its channel")
        elif writing:
            self.watch(child)

    def receive(self, child: Child) -> bool:
        """Handle a batch of messages from a child. Returns False if there was none."""
        channel, log_budget = child.channel, LOG_BYTES_PER_TURN
        for count in range(1, channel.batch_size() + 1):
            try:
                message = channel.receive_one()
                if message is None:
                    return count > 1
                if isinstance(message, LogLine) and log_budget <= 0:
                    self._drop_log_message(child)
                else:
                    self._dispatch(child, message)
                if isinstance(message, LogLine):
                    log_budget -= _estimate_cost(message)
            except ProtocolError as error:
                self.count_violation(child, str(error))
            if count == 2:
                channel.saw_backlog()
        return True

    def _dispatch(self, child: Child, message: Message) -> None:
        if type(message) not in child.role.sends:
            raise ProtocolError(f"a {child.role.name} may not send {type(message).__name__}")
        if isinstance(message, RoutedMessage):
            self.router.route(child, message)
            return
        self.events.on_message(child, message)

    def _drop_log_message(self, child: Child) -> None:
        """Count a dropped log message, and log the count soon."""
        child.dropped_log_count += 1
        if child.dropped_log_count == 1:
            self.loop.after(DROP_REPORT_INTERVAL, lambda: self._log_dropped_count(child))

    def _log_dropped_count(self, child: Child) -> None:
        count, child.dropped_log_count = child.dropped_log_count, 0
        log.warning("%s: %d log messages dropped, too many at a time", child, count)

    def count_violation(self, child: Child, error: str) -> None:
        """Count a violation of the protocol; log the first, kill the child at VIOLATIONS_MAX."""
        child.violation_count += 1
        if child.violation_count == 1:
            log.error("%s broke the protocol: %s", child, error)
        if child.violation_count == VIOLATIONS_MAX:
            log.error("%s goes on breaking the protocol, killed", child)
            self.kill(child)

    def set_pid(self, child: Child, pid: int) -> None:
        """Record the pid of a worker that was ordered. Raises ProtocolError if it cannot be its."""
        if any(other.pid == pid for other in self.all):
            raise ProtocolError(f"pid {pid} already belongs to another child")
        status = self.early_exits.pop(pid, None)
        if status is None and not is_child(pid):
            # Otherwise a template could have the parent, perhaps root, kill any process.
            raise ProtocolError(f"pid {pid} is not a child of the parent")
        child.pid = pid
        self._clear_early_exits()
        if status is not None:
            self._handle_exit(child, status)
        elif child.kill_requested:
            self.kill(child)

    def stop(self, child: Child, timeout: float, message: Stop = DRAIN) -> None:
        """Tell a child to stop after what is in progress; terminate it after *timeout* seconds."""
        if timeout <= 0:
            self.terminate(child)
            return
        self.send(child, message)
        if child.ready:
            # It keeps to the limit by itself, unless it is blocked.
            self.loop.after(timeout + GRACE_SECONDS, lambda: self.terminate(child))
        else:
            self.loop.after(GRACE_SECONDS, lambda: self._stop_unready(child, timeout))

    def _stop_unready(self, child: Child, timeout: float) -> None:
        """Kill a child that is not ready yet; if it has become ready, it has clients and time."""
        if child.ready:
            self.loop.after(timeout, lambda: self.terminate(child))
        else:
            self._kill_late(child, "does not end when told to")

    def terminate(self, child: Child, *, orderly: bool = False) -> None:
        """Tell a child to stop immediately; kill it after GRACE_SECONDS.

        *orderly*: it runs the application's exit hooks first.
        """
        if child.ended:
            return
        self.send(child, Stop(drain=orderly))
        self._kill_after_grace(child, "does not end when told to")

    def kill(self, child: Child) -> None:
        """Kill a child with SIGKILL, as soon as its pid is known."""
        if child.ended:
            return
        child.kill_requested = True
        if not child.pid and child.generation.template is not None:
            # Only the template knows the pid, and may never report it. When it has exited, no
            # worker of it is on the way any more.
            self.kill(child.generation.template)
        # The pid is not reused before the child has been reaped.
        if child.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)

    def dump_stacks_and_kill(self, child: Child) -> None:
        """Have a child that hangs, or its template, log its stacks; kill it a moment later."""
        child.kill_requested = True
        if not child.pid and child.generation.template is not None:
            self.dump_stacks_and_kill(child.generation.template)
        elif child.pid and not child.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, STACK_DUMP_SIGNAL)
            self.loop.after(GRACE_SECONDS, lambda: self.kill(child))

    def _kill_after_grace(self, child: Child, reason: str) -> None:
        self.loop.after(GRACE_SECONDS, lambda: self._kill_late(child, reason))

    def _kill_late(self, child: Child, reason: str) -> None:
        if not child.ended and not child.kill_requested:
            log.warning("%s %s, killed", child, reason)
            self.kill(child)

    def forget_unstarted(self, child: Child) -> None:
        """Forget a worker that was not forked. If it runs after all, it ends with its channel."""
        self._remove(child)
        self._clear_early_exits()

    def reap(self) -> None:
        """Reap all processes that have exited."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = next((child for child in self.all if child.pid == pid), None)
            if child is not None:
                self._handle_exit(child, status)
            elif any(child.pid == 0 for child in self.all):
                self.early_exits[pid] = status

    def _handle_exit(self, child: Child, status: int) -> None:
        # From here on its pid may be reused.
        child.ended = True
        # Its last log lines first. Bounded: a process that inherited its channel may still write.
        for _ in range(FINAL_BATCHES):
            if not self.receive(child):
                break
        self._kill_leftovers(child)
        self._remove(child)
        self.events.on_exit(child, status)

    def _kill_leftovers(self, child: Child) -> None:
        """Kill what a child has left. After its last messages, which may report a worker's pid."""
        known = {other.pid for other in self.all}
        if not child.is_worker:
            orphans.kill_leftovers(child.mark, known)
        elif not (child.has_successor and 0 in known):
            # A successor of the same number, whose pid is not known yet, would pass for an orphan.
            orphans.kill_leftovers_of_worker(child.mark, child.number, known)

    def _remove(self, child: Child) -> None:
        child.ended = True
        self.all.remove(child)
        self.loop.forget(child.channel)
        child.channel.close()
        if child.is_worker and not child.has_successor:
            self.router.worker_exited(child)

    def _clear_early_exits(self) -> None:
        if not any(child.pid == 0 for child in self.all):
            self.early_exits.clear()


def is_child(pid: int) -> bool:
    """Return whether *pid* is a child of this process, exited or not."""
    if pid <= 1:
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:
        return False
    return True


def _estimate_cost(message: LogLine) -> int:
    """Return what writing a log message costs, in bytes."""
    detail = message.detail
    lines = min(1 + detail.count("\n"), DETAIL_LINES_MAX)
    return len(message.text) + len(detail) + LINE_COST * lines


def describe_exit(status: int) -> str:
    """Return how a process exited, by its wait status."""
    if not os.WIFSIGNALED(status):
        return f"exited with status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {number}"
