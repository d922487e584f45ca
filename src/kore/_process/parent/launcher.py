"""Start child processes: templates and singletons by fork and exec, workers through a template.

A template is a new interpreter that loads the application. The parent asks it to fork a worker
(`Fork`), it replies with the pid (`Forked`), and the worker itself reports `Ready`. A worker that
has exited is restarted with the back-off of its slot.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kore._process.eventloop import CallbackLoop
from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.descriptors import CHANNEL, KEYS
from kore._process.ipc.messages import Fork, Forked, NotForked, ProtocolError, StartTimeout
from kore._process.log.handlers import log
from kore._process.parent.children import Children
from kore._process.parent.generation import Child, ChildOwner, Generation, WorkerSlot
from kore._process.parent.optional_tls import OptionalTls
from kore._process.process_marks import new_mark
from kore._process.roles import BACKGROUND, DEVELOPMENT, TEMPLATE, WORKER, Role
from kore._process.spawn import spawn

# Seconds between two checks of start-up deadlines, while a child is starting.
CHECK_INTERVAL: Final = 0.2


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """The command line. It names an application, a configuration file, or both."""

    app: str = ""
    arguments: list[str] = field(default_factory=list)
    conf: str = ""
    quiet: bool = False
    # Neither chroot nor a switch of user is wanted.
    same_user: bool = False
    # Whether to run in the background; None: as the configuration says.
    background: bool | None = None
    # Where to write the pid, whatever the configuration says.
    pidfile: str = ""
    # Under `kodev run`.
    development: bool = False
    # Of `kodev run --tls`: the directory of the certificate.
    local_tls: str = ""
    # When this server began: bytecode written since then is not read again.
    started: float = field(default_factory=time.time)
    template: Role = TEMPLATE
    worker: Role = WORKER
    # Processes that run beside the generations.
    singletons: tuple[Role, ...] = ()

    @property
    def template_mode(self) -> str:
        """What the template is told about the circumstances."""
        return BACKGROUND if self.background else DEVELOPMENT * self.development

    def list_directories(self) -> set[Path]:
        """Return the directories of the application and of its configuration file."""
        found = {Path(self.conf).absolute().parent} if self.conf else set()
        app = Path(self.app).absolute()
        if self.app and app.is_dir():
            found.add(app)
        elif self.app:
            found.add(app.parent)
        return found


class StartWatchdog:
    """Start-up deadlines. Calls *on_timeout* once for each child that misses its deadline."""

    def __init__(
        self,
        loop: CallbackLoop,
        on_timeout: Callable[[Child, str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.loop = loop
        self.on_timeout = on_timeout
        self.clock = clock
        self.starting: list[Child] = []

    def watch(self, child: Child, timeout: int) -> None:
        """Give *child* *timeout* seconds to become ready; 0 means no limit."""
        child.start_time = self.clock()
        child.start_timeout = timeout
        if not self.starting:
            self.loop.after(CHECK_INTERVAL, self.check)
        self.starting.append(child)

    def check(self) -> None:
        """Report children past their deadline, and schedule the next check."""
        self.starting = [child for child in self.starting if _is_starting(child)]
        late = [child for child in self.starting if self._is_late(child)]
        self.starting = [child for child in self.starting if child not in late]
        # A report may end other children, so each is checked again.
        for child in filter(_is_starting, late):
            stage = child.owner.describe_start(child)
            self.on_timeout(child, f"{stage} for {child.start_timeout} s (start_timeout)")
        if self.starting:
            self.loop.after(CHECK_INTERVAL, self.check)

    def _is_late(self, child: Child) -> bool:
        """Return whether a child has missed its deadline."""
        elapsed = self.clock() - child.start_time
        return bool(child.start_timeout) and elapsed >= child.start_timeout


def _is_starting(child: Child) -> bool:
    """Return whether a child is still expected to become ready."""
    return not (child.ready or child.ended or child.kill_requested or child.owner.retiring)


class Launcher:
    """Starts child processes for the parent, again if they have exited.

    *on_timeout* is called for a child that misses its start-up deadline, *on_start_error* with the
    reason if a worker of a generation that does not serve yet cannot be started.
    """

    def __init__(
        self,
        options: LaunchOptions,
        children: Children,
        tls: OptionalTls,
        on_timeout: Callable[[Child, str], object],
        on_start_error: Callable[[str], object],
    ) -> None:
        self.options = options
        self.children = children
        self.tls = tls
        self.loop = children.loop
        self.on_start_error = on_start_error
        self.watchdog = StartWatchdog(self.loop, on_timeout)
        self.spawn = spawn

    # Spawned processes.

    def start_template(self, generation: Generation, timeout: int) -> None:
        """Start a template, with *timeout* seconds until the application says otherwise.

        Raises OSError if there is no interpreter to run.
        """
        # A failure counts as a start: the next one is delayed.
        generation.backoff.start()
        options = self.options
        arguments = [options.worker.main, options.template_mode, str(options.started)]
        arguments += [options.local_tls, options.app, options.conf, *options.arguments]
        generation.set_template(
            self.start_spawned(options.template, generation, arguments, timeout)
        )

    def start_spawned(
        self, role: Role, owner: ChildOwner, arguments: list[str], timeout: int
    ) -> Child:
        """Start a process of *role* in a new interpreter, with *timeout* seconds to become ready.

        Its arguments are its descriptors, the parent's pid, and *arguments*. Raises OSError if
        there is no interpreter to run.
        """
        ours, theirs = open_pair()
        mark = new_mark()
        with theirs:
            try:
                pid = self.spawn(
                    role.main,
                    [str(os.getpid()), *arguments],
                    descriptors={CHANNEL: theirs.fileno()},
                    mark=mark,
                )
            except OSError:
                ours.close()
                raise
        channel = Channel(ours, takes_descriptors=role.sends_descriptors)
        child = Child(role, 0, channel, owner, pid, mark=mark)
        self.children.add(child)
        self.watchdog.watch(child, timeout)
        return child

    def set_start_timeout(self, template: Child, message: StartTimeout) -> None:
        """Handle the start-up time limit that the application has set for its template."""
        template.start_timeout = message.seconds

    # Workers.

    def start_worker(self, generation: Generation, slot: WorkerSlot) -> None:
        """Have a worker forked; try again later if that is not possible now."""
        try:
            self._order_worker(generation, slot)
        except OSError as error:
            reason = f"cannot start worker {slot.number}: {error.strerror}"
            if not generation.was_active:
                self.on_start_error(reason)
                return
            log.error("%s", reason)
            self.loop.after(slot.backoff.wait(), lambda: self.start_worker(generation, slot))

    def _order_worker(self, generation: Generation, slot: WorkerSlot) -> None:
        """Tell the template to fork a worker. Raises OSError if the parent lacks a resource.

        Without a template the slot stays vacant until there is one.
        """
        slot.vacant = not generation.loaded
        template = generation.template
        if slot.vacant or generation.retiring or slot.child or template is None:
            return
        slot.backoff.start()
        descriptors = generation.collect_descriptors(slot)
        ours, theirs = open_pair()
        with theirs, self.tls.open_key_channel(generation) as keys:
            handed = {CHANNEL: theirs.fileno(), **descriptors}
            if keys is not None:
                handed[KEYS] = keys.fileno()
            order = Fork(slot.number, slot.board_slot, tuple(handed), tuple(handed.values()))
            self.children.send(template, order)
        child = Child(self.options.worker, slot.number, Channel(ours), generation)
        child.board_slot = slot.board_slot
        child.mark = template.mark
        slot.child = child
        self.children.add(child)
        self.tls.hand_over(child)
        self.watchdog.watch(child, generation.start_timeout)

    def start_vacant(self, generation: Generation) -> None:
        """Start the workers that are missing, now that the template has loaded the application."""
        for slot in generation.slots.values():
            if slot.vacant:
                self.start_worker(generation, slot)

    def restart_worker(self, generation: Generation, slot: WorkerSlot) -> None:
        """Start the successor of a worker, after the delay of its slot."""
        log.info("restarting worker %d", slot.number)
        if delay := slot.backoff.wait():
            self.loop.after(delay, lambda: self.start_worker(generation, slot))
        else:
            self.start_worker(generation, slot)

    def record_forked(self, template: Child, message: Forked) -> Child:
        """Record the pid of a worker, and return the worker."""
        worker = _find_ordered(template, message.number)
        self.children.set_pid(worker, message.pid)
        return worker

    def record_not_forked(self, template: Child, message: NotForked) -> Child:
        """Forget a worker that could not be forked, and return it."""
        worker = _find_ordered(template, message.number)
        self.children.forget_unstarted(worker)
        return worker


def _find_ordered(template: Child, number: int) -> Child:
    """Return the worker that a template was told to fork. Raises ProtocolError if it was not."""
    slot = template.generation.slots.get(number)
    if slot is None or slot.child is None or slot.child.pid:
        raise ProtocolError(f"worker {number} was not ordered")
    return slot.child
