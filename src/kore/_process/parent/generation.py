"""Children and what they belong to: a child, a worker slot, a generation.

A generation is one load of the application: its template and its workers. At a reload the active
generation serves until a pending one is complete. This module holds state only; `children.py`
talks to the processes, `launcher.py` starts them, `shutdown.py` ends them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from kore._conf.server_schema import DomainTls
from kore._conf.settings import Settings
from kore._process.ipc.channel import Channel
from kore._process.ipc.descriptors import (
    PARENT_DEATH,
    SCOREBOARD,
    name_accesslog,
    name_listener,
)
from kore._process.ipc.scoreboard import Scoreboard
from kore._process.parent.listeners import NamedSocket
from kore._process.parent_config import ParentConfig
from kore._process.roles import Role, RoleKind

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 10.0
# After so many seconds of life an earlier exit no longer counts.
HEALTHY_AFTER: Final = 60.0


class Backoff:
    """Delay of restarts: none after a first exit, then doubled up to LONGEST_DELAY.

    The delay counts from the previous start, because the rate of starts makes a crash loop
    harmful: a process that has lived longer than the delay is restarted immediately.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.delay = 0.0
        self.started = 0.0

    def start(self) -> None:
        """Note that a process is started now."""
        self.started = self.clock()

    def wait(self) -> float:
        """Return in how many seconds to restart a process that has just exited."""
        now = self.clock()
        if now - self.started >= HEALTHY_AFTER:
            self.delay = 0.0
        due = self.started + self.delay
        self.delay = min(max(FIRST_DELAY, self.delay * 2), LONGEST_DELAY)
        return max(0.0, due - now)


class ChildOwner(Protocol):
    """What a child belongs to: a generation, or a singleton."""

    # Its children are to end, and are not replaced.
    retiring: bool

    def describe_child(self, child: "Child") -> str:
        """Return the state of a child, for a status report."""

    def describe_start(self, child: "Child") -> str:
        """Return what a child has been doing since its start, as the beginning of a sentence."""


@dataclass(eq=False, slots=True)
class Child:
    """A child process, or one that has been ordered and has no pid yet."""

    role: Role
    # Tells workers of a generation apart; 0 for other roles.
    number: int
    channel: Channel
    owner: ChildOwner
    # 0 from the order to fork a worker until the template has reported its pid.
    pid: int = 0
    # Of a worker: its slot of the scoreboard.
    board_slot: int = 0
    # Mark of a spawned process, and of the workers it forks (`process_marks.py`).
    mark: str = ""
    ready: bool = False
    ended: bool = False
    # It drains, and another worker has its number already.
    has_successor: bool = False
    # It is to be killed, as soon as its pid is known.
    kill_requested: bool = False
    # When it was started, and how many seconds it has to become ready; 0: no limit.
    start_time: float = 0.0
    start_timeout: int = 0
    violation_count: int = 0
    # It has been logged that it sent another worker more than fits.
    over_quota_logged: bool = False
    # Log messages dropped since that was last logged.
    dropped_log_count: int = 0
    exit_reason: str = ""

    def __post_init__(self) -> None:
        self.board_slot = self.board_slot or self.number

    @property
    def generation(self) -> "Generation":
        """The generation of a template or worker; a singleton has none."""
        assert isinstance(self.owner, Generation)  # noqa: S101 - the caller knows the role
        return self.owner

    @property
    def is_worker(self) -> bool:
        """Whether it is a worker of a generation."""
        return self.role.kind is RoleKind.WORKER

    @property
    def log_name(self) -> str:
        """Its name in the log."""
        return self.role.format_name(self.number)

    def __str__(self) -> str:
        number = f" {self.number}" if self.number else ""
        return f"{self.role.name}{number}" + (f" (pid {self.pid})" if self.pid else "")


@dataclass(eq=False, slots=True)
class WorkerSlot:
    """A worker slot: a stable number; a restarted worker keeps it."""

    number: int
    child: Child | None = None
    # Slot of the scoreboard: differs from that of its predecessor, which may still be draining.
    board_slot: int = 0
    # A worker is to be started as soon as there is a template.
    vacant: bool = True
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(eq=False, slots=True)
class Generation:
    """One load of the application: its template, its workers and what they share."""

    template: Child | None = None
    # None until the template has sent its configuration.
    config: ParentConfig | None = None
    scoreboard: Scoreboard | None = None
    # Listening sockets by worker number.
    sockets: dict[int, list[NamedSocket]] = field(default_factory=dict)
    # Returns the current descriptors of its access logs.
    get_accesslogs: Callable[[], tuple[int, ...]] = tuple
    # Read end of the pipe whose end kills the processes that workers start.
    death_pipe: int = -1
    slots: dict[int, WorkerSlot] = field(default_factory=dict)
    # Workers that drain while others have their numbers already.
    draining: list[Child] = field(default_factory=list)
    # The template has loaded the application and can fork.
    loaded: bool = False
    # Its latest template had loaded the application when it exited: another may do so, too.
    recoverable: bool = False
    # It serves, or has served.
    was_active: bool = False
    # Its workers are to end, and are not replaced.
    retiring: bool = False
    # Of its templates.
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def workers(self) -> list[Child]:
        """The workers that run or have been ordered."""
        current = [slot.child for slot in self.slots.values() if slot.child is not None]
        return current + self.draining

    @property
    def all_ready(self) -> bool:
        """Whether every worker serves."""
        current = [slot.child for slot in self.slots.values()]
        return bool(current) and all(child and child.ready and child.pid for child in current)

    def set_template(self, template: Child) -> None:
        """Use a new template, the first or a later one."""
        self.template = template
        self.loaded = False

    def prepare(self, config: ParentConfig, sockets: dict[int, list[NamedSocket]]) -> None:
        """Create the worker slots, with the listening sockets of each worker."""
        self.config = config
        self.sockets = sockets
        self.scoreboard = Scoreboard(2 * len(config.numbers))
        self.slots = {number: WorkerSlot(number) for number in config.numbers}

    def collect_descriptors(self, slot: WorkerSlot) -> dict[str, int]:
        """Return what a new worker is handed beside its channel, by name; clear its board slot."""
        assert self.scoreboard is not None  # noqa: S101 - prepare() comes before any worker
        count = len(self.slots)
        slot.board_slot = slot.number if slot.board_slot > count else slot.number + count
        self.scoreboard.clear(slot.board_slot)
        handed = {SCOREBOARD: self.scoreboard.fd, PARENT_DEATH: self.death_pipe}
        for index, (server, sock) in enumerate(self.sockets.get(slot.number, [])):
            handed[name_listener(index, server)] = sock.fileno()
        for index, fd in enumerate(self.get_accesslogs()):
            handed[name_accesslog(index)] = fd
        return handed

    @property
    def tls(self) -> tuple[DomainTls, ...]:
        """The domains with TLS; none until the configuration is known."""
        return self.config.tls if self.config else ()

    @property
    def settings(self) -> Settings:
        """The settings; only after prepare()."""
        assert self.config is not None  # noqa: S101 - prepare() comes before any worker
        return self.config.settings

    @property
    def start_timeout(self) -> int:
        """How many seconds a start may take; the default until the configuration is known."""
        return (self.config.settings if self.config else Settings()).start_timeout

    def get_drain_timeout(self, *, patient: bool) -> int:
        """Return how many seconds its workers may drain, with *patient* for idle clients, too."""
        if self.config is None:
            return 0
        settings = self.config.settings
        return settings.drain_timeout + (settings.http_keepalive_time if patient else 0)

    def drop_template(self, forget: Callable[[Child], None]) -> None:
        """Remove the template after its exit; *forget* the workers it had not forked yet."""
        self.template = None
        self.recoverable, self.loaded = self.loaded, False
        for slot in self.slots.values():
            if slot.child is not None and not slot.child.pid:
                forget(slot.child)
                slot.child = None
                slot.vacant = True

    def describe_child(self, child: Child) -> str:
        """Return the state of a child, for a status report."""
        if not child.is_worker or self.scoreboard is None:
            return "loaded" if self.loaded else "loading"
        seen = self.scoreboard.read(child.board_slot)
        return (
            f"{seen.state}, {seen.requests} requests served, {seen.connections} connections, "
            f"{seen.describe_activity()}"
        )

    def describe_activity(self, worker: Child) -> str:
        """Return in which route a worker is, or was when it exited."""
        if self.scoreboard is None:
            return "in no route"
        return self.scoreboard.read(worker.board_slot).describe_activity()

    def describe_start(self, child: Child) -> str:
        """Return what a child has been doing since its start, as the beginning of a sentence."""
        if not child.is_worker:
            return f"{child} has been loading the application"
        if not child.pid:
            return f"{self.template} has not forked worker {child.number}"
        stage = self.scoreboard.read(child.board_slot).running if self.scoreboard else ""
        return f"{child} has been {f'in {stage}' if stage else 'starting'}"

    def release_slot(self, worker: Child) -> WorkerSlot | None:
        """Free the slot of a worker that drains, for its successor. None if it has none."""
        slot = self.slots.get(worker.number)
        if slot is None or slot.child is not worker:
            return None
        slot.child = None
        worker.has_successor = True
        self.draining.append(worker)
        return slot

    def remove_worker(self, worker: Child) -> WorkerSlot | None:
        """Remove a worker after its exit; return its slot, unless it was released before."""
        if worker in self.draining:
            self.draining.remove(worker)
            return None
        self.slots[worker.number].child = None
        return self.slots[worker.number]

    def close(self) -> None:
        """Close the scoreboard. The sockets belong to `Listeners`."""
        if self.scoreboard is not None:
            self.scoreboard.close()
            self.scoreboard = None
