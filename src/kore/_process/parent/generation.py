"""A generation: one load of the application, its template and its workers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kore._conf.settings import Settings
from kore._process.ipc.descriptors import (
    PARENT_DEATH,
    SCOREBOARD,
    name_accesslog,
    name_listener,
)
from kore._process.ipc.scoreboard import Scoreboard
from kore._process.parent.children import Child
from kore._process.parent.listeners import Named
from kore._process.plan import ParentConfig

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 10.0
# After so many seconds of life an earlier death no longer counts.
HEALTHY_AFTER: Final = 60.0


class Backoff:
    """When the next one may start: at once after a first death, ever later after more.

    The time counts from the start of the last one: what makes a crash loop harmful is how often
    it starts, and who died after a longer life is replaced at once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.delay = 0.0
        self.started = 0.0

    def start(self) -> None:
        """Take note of a start."""
        self.started = self.clock()

    def wait(self) -> float:
        """Return for how long the next start has to wait, after a death now."""
        now = self.clock()
        if now - self.started >= HEALTHY_AFTER:
            self.delay = 0.0
        due = self.started + self.delay
        self.delay = min(max(FIRST_DELAY, self.delay * 2), LONGEST_DELAY)
        return max(0.0, due - now)


@dataclass(eq=False, slots=True)
class WorkerSlot:
    """The place of a worker: a number that its successors take over."""

    number: int
    child: Child | None = None
    # On the scoreboard: another one than its predecessor's, which may still be draining.
    slot: int = 0
    # To be filled as soon as there is a template.
    vacant: bool = True
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(eq=False, slots=True)
class Generation:
    """All that belongs to one load of the application."""

    template: Child | None = None
    # None until the template has said what it wants.
    plan: ParentConfig | None = None
    board: Scoreboard | None = None
    sockets: dict[int, list[Named]] = field(default_factory=dict)
    # The descriptors of its access logs, as they are now.
    accesslogs: Callable[[], tuple[int, ...]] = tuple
    # What ends the processes that workers start.
    leash: int = -1
    seats: dict[int, WorkerSlot] = field(default_factory=dict)
    # Workers that drain, while others have their numbers already.
    leaving: list[Child] = field(default_factory=list)
    # The template can fork.
    loaded: bool = False
    # Its latest template had loaded the application when it died, and another one is likely to.
    recoverable: bool = False
    # It has been the one that serves.
    served: bool = False
    # Its workers are to end, and nobody takes their places.
    retired: bool = False
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def workers(self) -> list[Child]:
        """The workers that live or are on their way."""
        seated = [seat.child for seat in self.seats.values() if seat.child is not None]
        return seated + self.leaving

    @property
    def complete(self) -> bool:
        """Whether every worker serves."""
        seated = [seat.child for seat in self.seats.values()]
        return bool(seated) and all(child and child.ready and child.pid for child in seated)

    def begin(self, template: Child) -> None:
        """Take a template, the first or another one."""
        self.template = template
        self.loaded = False

    def equip(self, plan: ParentConfig, sockets: dict[int, list[Named]]) -> None:
        """Make the places of the workers."""
        self.plan = plan
        self.sockets = sockets
        self.board = Scoreboard(2 * len(plan.numbers))
        self.seats = {number: WorkerSlot(number) for number in plan.numbers}

    def descriptors(self, seat: WorkerSlot) -> dict[str, int]:
        """Return what a new worker is handed beside its channel, by name. Clears its slot."""
        assert self.board is not None  # noqa: S101 - equip() comes before any worker
        seat.slot = seat.number if seat.slot > len(self.seats) else seat.number + len(self.seats)
        self.board.clear(seat.slot)
        handed = {SCOREBOARD: self.board.fd, PARENT_DEATH: self.leash}
        for index, (server, sock) in enumerate(self.sockets.get(seat.number, [])):
            handed[name_listener(index, server)] = sock.fileno()
        for index, fd in enumerate(self.accesslogs()):
            handed[name_accesslog(index)] = fd
        return handed

    @property
    def settings(self) -> Settings:
        """The settings, of a generation that has workers."""
        assert self.plan is not None  # noqa: S101 - equip() comes before any worker
        return self.plan.settings

    @property
    def start_timeout(self) -> int:
        """How many seconds a start may take, as far as it has been said."""
        return (self.plan.settings if self.plan else Settings()).start_timeout

    def patience(self, *, patient: bool) -> int:
        """How many seconds its workers may take to finish."""
        if self.plan is None:
            return 0
        settings = self.plan.settings
        return settings.drain_timeout + (settings.http_keepalive_time if patient else 0)

    def without_template(self, give_up: Callable[[Child], None]) -> None:
        """Forget the template, and the workers it had not started yet."""
        self.template = None
        self.recoverable, self.loaded = self.loaded, False
        for seat in self.seats.values():
            if seat.child is not None and not seat.child.pid:
                give_up(seat.child)
                seat.child = None
                seat.vacant = True

    def report(self, child: Child) -> str:
        """Say how a child is doing."""
        if not child.number or self.board is None:
            return "loaded" if self.loaded else "loading"
        seen = self.board.read(child.slot)
        return (
            f"{seen.state}, {seen.requests} requests served, {seen.connections} connections, "
            f"{seen.describe_activity()}"
        )

    def whereabouts(self, worker: Child) -> str:
        """Say in which route a worker is or was."""
        return self.board.read(worker.slot).describe_activity() if self.board else "in no route"

    def starting(self, worker: Child) -> str:
        """Say what a worker that does not serve yet is doing."""
        stage = self.board.read(worker.slot).running if self.board else ""
        return f"in {stage}" if stage else "starting"

    def begin_leaving(self, worker: Child) -> WorkerSlot | None:
        """Free the seat of a worker that drains. None: it has none."""
        seat = self.seats.get(worker.number)
        if seat is None or seat.child is not worker:
            return None
        seat.child = None
        worker.succeeded = True
        self.leaving.append(worker)
        return seat

    def remove(self, worker: Child) -> WorkerSlot | None:
        """Take note of the end of a worker; return its seat, if it had that still."""
        if worker in self.leaving:
            self.leaving.remove(worker)
            return None
        self.seats[worker.number].child = None
        return self.seats[worker.number]

    def close(self) -> None:
        """Give up what the generation held; its sockets are the Listeners' business."""
        if self.board is not None:
            self.board.close()
            self.board = None
