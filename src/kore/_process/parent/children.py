"""The parent's children: who they are, what they say, how they end.

Knows nothing of generations or policy. A child may send any bytes and die at any moment; neither
harms the parent.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from kore._process.ipc.channel import Channel
from kore._process.ipc.messages import LogLine, Message, ProtocolError, RoutedMessage, Signal, Stop
from kore._process.log.formats import DETAIL_LINES_MAX
from kore._process.log.handlers import log
from kore._process.parent import orphans
from kore._process.parent.eventloop import ParentLoop
from kore._process.parent.message_router import MessageRouter
from kore._process.privsep import STACK_DUMP_SIGNAL
from kore._process.roles import Role

if TYPE_CHECKING:
    from kore._process.parent.generation import Generation

# Datagrams against the rules that a child may send; a broken one gets this far, a hostile one no
# further.
FAULTS_MAX: Final = 8
# More than a socket holds, so that nothing a child said before its end is missed.
LAST_BATCHES: Final = 64
# Between "at once" and by force.
GRACE_SECONDS: Final = 1.0
DRAIN: Final = Stop(drain=True)
# What a child may log before others have their turn, roughly what its socket holds; the rest is
# left out and counted.
LOG_BYTES_PER_TURN: Final = 256 * 1024
# A line of its own costs as much as so many bytes.
LINE_COST: Final = 100
COUNT_SECONDS: Final = 1.0


@dataclass(eq=False, slots=True)
class Child:
    """One process. Its pid is 0 from the order to start it until the template has told it."""

    role: Role
    number: int
    channel: Channel
    # The load of the application it belongs to.
    generation: "Generation"
    pid: int = 0
    # Of a worker: its slot on the scoreboard.
    slot: int = 0
    # Of its template: what that and its workers start is told by it (see `orphans.py`).
    mark: str = ""
    ready: bool = False
    ended: bool = False
    # It drains, and another one has its number already.
    succeeded: bool = False
    # To be killed as soon as its pid is known.
    doomed: bool = False
    # Since when it has been on its way to be ready, and how many seconds it has; 0: all it wants.
    since: float = 0.0
    limit: int = 0
    faults: int = 0
    # It has sent another one more than there was room for.
    crowding: bool = False
    # Log messages left out since this was last said.
    unlogged: int = 0
    last_words: str = ""

    def __post_init__(self) -> None:
        self.slot = self.slot or self.number

    @property
    def who(self) -> str:
        """Its name in log lines."""
        return self.role.format_name(self.number)

    def __str__(self) -> str:
        number = f" {self.number}" if self.number else ""
        return f"{self.role.name}{number}" + (f" (pid {self.pid})" if self.pid else "")


class ChildEvents(Protocol):
    """Who owns the children, and is told about them."""

    def heard(self, child: Child, message: Message) -> None:
        """Take a message; a ProtocolError from here counts as the child's fault."""

    def died(self, child: Child, status: int) -> None:
        """Take note of an end, by its wait status."""


class Children:
    """All that are alive, and those on their way."""

    def __init__(self, loop: ParentLoop, family: ChildEvents) -> None:
        self.loop = loop
        self.family = family
        self.post = MessageRouter(self)
        self.all: list[Child] = []
        # Reaped before their pid was told. Only while somebody is on the way: the parent also
        # inherits, and reaps, what workers started and left behind.
        self.strangers: dict[int, int] = {}

    def add(self, child: Child) -> None:
        """Listen to a child."""
        self.all.append(child)
        self.watch(child)

    def watch(self, child: Child) -> None:
        """Wait for what the channel of a child waits for."""
        if not child.ended and not child.channel.eof:
            write = child.channel.wants_write
            self.loop.watch(child.channel, lambda: self.serve(child), write=write)

    def send(self, child: Child, message: Message) -> None:
        """Send, now or when there is room."""
        if not child.ended:
            child.channel.send(message)
            self.watch(child)

    def telling(self, number: int, action: Callable[[], object]) -> Callable[[], object]:
        """Return an action that tells the workers of a signal before it does what that means."""

        def tell_and_act() -> None:
            for child in self.all:
                if child.number:
                    self.send(child, Signal(number))
            action()

        return tell_and_act

    def serve(self, child: Child) -> None:
        """Do what the channel of a child is ready for."""
        writing = child.channel.wants_write
        if writing:
            child.channel.flush()
        self.hear(child)
        if child.channel.eof:
            self.loop.forget(child.channel)
            # Normally it is about to end. One that only closed its channel can no longer be told
            # anything, so it has to go.
            self.loop.after(GRACE_SECONDS, lambda: self._overdue(child, "has closed its channel"))
        elif writing:
            self.watch(child)

    def hear(self, child: Child) -> bool:
        """Take one batch from a child. False: nothing was there."""
        channel, room = child.channel, LOG_BYTES_PER_TURN
        for taken in range(1, channel.batch_size() + 1):
            try:
                message = channel.receive_one()
                if message is None:
                    return taken > 1
                if isinstance(message, LogLine) and room <= 0:
                    self._leave_out(child)
                else:
                    self._take(child, message)
                if isinstance(message, LogLine):
                    room -= cost(message)
            except ProtocolError as fault:
                self.blame(child, str(fault))
            if taken == 2:
                channel.saw_backlog()
        return True

    def _take(self, child: Child, message: Message) -> None:
        if type(message) not in child.role.sends:
            raise ProtocolError(f"a {child.role.name} may not send {type(message).__name__}")
        if isinstance(message, RoutedMessage):
            self.post.carry(child, message)
            return
        self.family.heard(child, message)

    def _leave_out(self, child: Child) -> None:
        """Count a log message that is left out, and say so soon."""
        child.unlogged += 1
        if child.unlogged == 1:
            self.loop.after(COUNT_SECONDS, lambda: self._say_left_out(child))

    def _say_left_out(self, child: Child) -> None:
        count, child.unlogged = child.unlogged, 0
        log.warning("%s: %d log messages left out, they were too many at a time", child, count)

    def blame(self, child: Child, fault: str) -> None:
        """Count what a child did wrong; say so once, and once more when that was enough."""
        child.faults += 1
        if child.faults == 1:
            log.error("%s broke the protocol: %s", child, fault)
        if child.faults == FAULTS_MAX:
            log.error("%s goes on breaking the protocol, killed", child)
            self.kill(child)

    def born(self, child: Child, pid: int) -> None:
        """Take note of the pid of a child that was on its way."""
        if any(other.pid == pid for other in self.all):
            raise ProtocolError(f"pid {pid} is somebody else")
        status = self.strangers.pop(pid, None)
        if status is None and not is_child(pid):
            # Or a template could have the parent, perhaps root, kill whatever it likes.
            raise ProtocolError(f"pid {pid} is not a child of the parent")
        child.pid = pid
        self._clear_strangers()
        if status is not None:
            self._bury(child, status)
        elif child.doomed:
            self.kill(child)

    def stop(self, child: Child, seconds: float, order: Stop = DRAIN) -> None:
        """Ask a child to end after what is in progress; insist when *seconds* are over."""
        if seconds <= 0:
            self.end(child)
            return
        self.send(child, order)
        if child.ready:
            # It keeps to the limit by itself, as long as nothing blocks it.
            self.loop.after(seconds + GRACE_SECONDS, lambda: self.end(child))
        else:
            self.loop.after(GRACE_SECONDS, lambda: self._look_again(child, seconds))

    def _look_again(self, child: Child, seconds: float) -> None:
        """Use force against a child that still is not ready; one that is has clients by now."""
        if child.ready:
            self.loop.after(seconds, lambda: self.end(child))
        else:
            self._overdue(child, "does not end when told to")

    def end(self, child: Child, *, orderly: bool = False) -> None:
        """Ask a child to end at once; use force soon after.

        *orderly*: it may do what it does at its end.
        """
        if child.ended:
            return
        self.send(child, Stop(drain=orderly))
        self.loop.after(GRACE_SECONDS, lambda: self._overdue(child, "does not end when told to"))

    def kill(self, child: Child) -> None:
        """End a child by force."""
        if child.ended:
            return
        child.doomed = True
        if not child.pid and child.generation.template is not None:
            # Nobody knows whom to kill. Its template does and may never say: with the end of that
            # one nobody is on the way any more.
            self.kill(child.generation.template)
        # Safe: a child's pid is nobody else's before it has been reaped.
        if child.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)

    def end_hanging(self, child: Child) -> None:
        """End a child that hangs, or whoever has not started it; it says where it is before."""
        child.doomed = True
        if not child.pid and child.generation.template is not None:
            self.end_hanging(child.generation.template)
        elif child.pid and not child.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, STACK_DUMP_SIGNAL)
            self.loop.after(GRACE_SECONDS, lambda: self.kill(child))

    def _overdue(self, child: Child, why: str) -> None:
        if not child.ended and not child.doomed:
            log.warning("%s %s, killed", child, why)
            self.kill(child)

    def give_up(self, child: Child) -> None:
        """Forget a child that never came. If it lives after all, it ends with its channel."""
        self._remove(child)
        self._clear_strangers()

    def reap(self) -> None:
        """Bury whoever has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = next((child for child in self.all if child.pid == pid), None)
            if child is not None:
                self._bury(child, status)
            elif any(child.pid == 0 for child in self.all):
                self.strangers[pid] = status

    def _bury(self, child: Child, status: int) -> None:
        # From here on its pid may be somebody else's.
        child.ended = True
        # Its last log lines first. Bounded: whoever inherited its channel could go on for ever.
        for _ in range(LAST_BATCHES):
            if not self.hear(child):
                break
        # After these: the last may have told of a worker.
        known = {other.pid for other in self.all}
        # While a successor of the same number is on its way, it could be taken for an orphan.
        if not (child.succeeded and 0 in known):
            if child.number:
                orphans.kill_leftovers_of_worker(child.mark, child.number, known)
            else:
                orphans.kill_leftovers(child.mark, known)
        self._remove(child)
        self.family.died(child, status)

    def _remove(self, child: Child) -> None:
        child.ended = True
        self.all.remove(child)
        self.loop.forget(child.channel)
        child.channel.close()
        if not child.succeeded:
            self.post.gone(child)

    def _clear_strangers(self) -> None:
        if not any(child.pid == 0 for child in self.all):
            self.strangers.clear()


def is_child(pid: int) -> bool:
    """Whether *pid* is a child of this process, ended or not."""
    if pid <= 1:
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:
        return False
    return True


def cost(message: LogLine) -> int:
    """Return what it takes to write a log message, in bytes."""
    detail = message.detail
    lines = min(1 + detail.count("\n"), DETAIL_LINES_MAX)
    return len(message.text) + len(detail) + LINE_COST * lines


def fate(status: int) -> str:
    """Say how a process ended."""
    if not os.WIFSIGNALED(status):
        return f"exited with status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {number}"
