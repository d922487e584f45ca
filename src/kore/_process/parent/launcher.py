"""Brings processes into the world: templates by fork and exec, workers through their template."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.descriptors import CHANNEL
from kore._process.ipc.messages import Fork, Forked, NotForked, ProtocolError, StartTimeout
from kore._process.parent.children import Child, Children
from kore._process.parent.generation import Generation, WorkerSlot
from kore._process.parent.start_watchdog import StartWatchdog
from kore._process.process_marks import new_mark
from kore._process.roles import BACKGROUND, DEVELOPMENT, TEMPLATE, WORKER, Role
from kore._process.spawn import spawn


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """What the command line says. There is an application, a configuration file, or both."""

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
    # When this server began: bytecode written since then is not read again.
    started: float = field(default_factory=time.time)
    template: Role = TEMPLATE
    worker: Role = WORKER

    def directories(self) -> set[Path]:
        """Return where the application is, and its configuration file."""
        found = {Path(self.conf).absolute().parent} if self.conf else set()
        app = Path(self.app).absolute()
        if self.app and app.is_dir():
            found.add(app)
        elif self.app:
            found.add(app.parent)
        return found


class Launcher:
    """Starts children for the parent. *hangs* is told who does not get ready, and what they do."""

    def __init__(
        self, options: LaunchOptions, children: Children, hangs: Callable[[Child, str], object]
    ) -> None:
        self.options = options
        self.children = children
        self.starts = StartWatchdog(children.loop, hangs)
        self.spawn = spawn

    def template(self, generation: Generation, seconds: int) -> None:
        """Start a fresh interpreter that loads the application. OSError: there is none.

        It may take so many seconds, unless the application itself says something else.
        """
        # What fails is a start, too: the next one has to wait for it.
        generation.backoff.start()
        ours, theirs = open_pair()
        mark = new_mark()
        with theirs:
            end = theirs.fileno()
            options = self.options
            orders = [str(os.getpid()), options.worker.main, _template_mode(options)]
            orders.append(str(options.started))
            orders += [options.app, options.conf]
            try:
                arguments = orders + options.arguments
                pid = self.spawn(
                    options.template.main, arguments, descriptors={CHANNEL: end}, mark=mark
                )
            except OSError:
                ours.close()
                raise
        child = Child(self.options.template, 0, Channel(ours), generation, pid, mark=mark)
        generation.begin(child)
        self.children.add(child)
        self.starts.begin(child, seconds)

    def patience(self, template: Child, message: StartTimeout) -> None:
        """Give a template as long as its application wants."""
        template.limit = message.seconds

    def worker(self, generation: Generation, seat: WorkerSlot) -> None:
        """Have the template fork a worker, or leave the seat vacant until there is one.

        OSError: the parent itself lacks something.
        """
        seat.vacant = not generation.loaded
        if seat.vacant or generation.retired or seat.child or generation.template is None:
            return
        seat.backoff.start()
        descriptors = generation.descriptors(seat)
        ours, theirs = open_pair()
        with theirs:
            handed = {CHANNEL: theirs.fileno(), **descriptors}
            order = Fork(seat.number, seat.slot, tuple(handed), tuple(handed.values()))
            self.children.send(generation.template, order)
        seat.child = Child(self.options.worker, seat.number, Channel(ours), generation)
        seat.child.slot = seat.slot
        seat.child.mark = generation.template.mark
        self.children.add(seat.child)
        self.starts.begin(seat.child, generation.start_timeout)

    def forked(self, template: Child, message: Forked) -> Child:
        """Take note of a worker's pid."""
        worker = on_its_way(template, message.number)
        self.children.born(worker, message.pid)
        return worker

    def not_forked(self, template: Child, message: NotForked) -> Child:
        """Take note of a worker that could not be started."""
        worker = on_its_way(template, message.number)
        self.children.give_up(worker)
        return worker


def _template_mode(options: LaunchOptions) -> str:
    """Return what the template is told about the circumstances."""
    return BACKGROUND if options.background else DEVELOPMENT * options.development


def on_its_way(template: Child, number: int) -> Child:
    """Return the worker that a template was asked for."""
    seat = template.generation.seats.get(number)
    if seat is None or seat.child is None or seat.child.pid:
        raise ProtocolError(f"nobody asked for worker {number}")
    return seat.child
