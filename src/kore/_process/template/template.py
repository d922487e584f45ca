"""The template: imports the application once, says what it wants, forks workers on command.

It never serves. A worker forked from it shares its memory and starts in milliseconds.
"""

import asyncio
import contextlib
import gc
import os
import select
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final, NoReturn

from kore import _app
from kore._bytecode import BytecodePolicy
from kore._conf.settings import VERSION
from kore._maybe_async import await_result, is_awaitable
from kore._process.ipc import scoreboard
from kore._process.ipc.channel import Channel, close_descriptors
from kore._process.ipc.descriptors import (
    CHANNEL,
    PARENT_DEATH,
    SCOREBOARD,
    parse_arguments,
    select_accesslogs,
    select_listeners,
)
from kore._process.ipc.messages import (
    ConfigLoaded,
    Fatal,
    Fork,
    Forked,
    Hello,
    LogLine,
    NotForked,
    StartTimeout,
    Stop,
    encode,
)
from kore._process.log import handlers
from kore._process.privsep import (
    STANDARD_FDS,
    ProcessRestrictions,
    apply_restrictions,
    call_after_fork,
    enable_stack_dumps,
    open_descriptors,
    redirect_to_null,
    restore_default_signals,
)
from kore._process.process_end import flush_output, run_exit_handlers
from kore._process.process_marks import mark_worker
from kore._process.roles import BACKGROUND, DEVELOPMENT, TEMPLATE, WORKER, import_main
from kore._process.template.directory_checks import check_directories
from kore._process.template.host_lookup import plain_with_addresses
from kore._process.worker import databases, objects
from kore._process.worker.params import WorkerParams
from kore._tracebacks import format_traceback

# For last words, when the parent is busy.
FLUSH_SECONDS: Final = 1.0
# Between two looks at who the parent of a new worker is.
ADOPTION_STEP: Final = 0.0002

# Methods of routes that have no use for a form.
WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})

WorkerMain = Callable[[WorkerParams], int]


@dataclass(frozen=True, slots=True)
class TemplateArguments:
    """What the parent put on the command line."""

    handed: Mapping[str, int]
    parent: int
    worker: str
    # In the background: of a terminal only the errors on import are seen.
    background: bool
    # Under `kodev run`.
    development: bool
    # When the server began, in seconds since the epoch.
    started: float
    app: str
    conf: str
    arguments: list[str]


def main() -> NoReturn:
    """Be the template, in an interpreter of its own."""
    # Before anything that another version may do otherwise, its arguments included.
    with contextlib.suppress(OSError):  # the parent is gone already
        os.write(parse_arguments(sys.argv[1])[CHANNEL], encode(Hello(VERSION)))
    handed, parent, worker, mode, started, app, conf, *arguments = sys.argv[1:]
    orders = TemplateArguments(
        handed=parse_arguments(handed),
        parent=int(parent),
        worker=worker,
        background=mode == BACKGROUND,
        development=mode == DEVELOPMENT,
        started=float(started),
        app=app,
        conf=conf,
        arguments=arguments,
    )
    # What a program sees that is run as a script.
    sys.argv = [app or conf, *arguments]
    for fd in orders.handed.values():
        os.set_inheritable(fd, False)
    apply_restrictions(
        ProcessRestrictions(
            TEMPLATE.format_title("kore"), orders.parent, frozenset(orders.handed.values())
        )
    )
    enable_stack_dumps()
    template = Template(orders)
    leave(template.channel, template.run())


class Template:
    """The application, loaded, and who asks for workers."""

    def __init__(self, orders: TemplateArguments) -> None:
        self.orders = orders
        self.channel = Channel(socket.socket(fileno=orders.handed[CHANNEL]), takes_descriptors=True)
        handlers.log_to_channel(self.channel)
        self.pid = os.getpid()
        # Children that the application forks while it is loaded are no templates.
        call_after_fork(self.abandon)

    def run(self) -> int:
        """Load the application and serve the parent. Returns the exit status."""
        try:
            self.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an application raises
            if os.getpid() != self.pid:
                end_forked_child(error)
            self.channel.send(Fatal(_app.reason(error)))
            return 1
        if os.getpid() != self.pid:
            end_forked_child(SystemExit(0))
        self.prepare()
        return self.serve()

    def abandon(self) -> None:
        """Be no template any more, in a process forked from it: signals are for that again."""
        self.channel.close()
        restore_default_signals()

    def load(self) -> None:
        """Load the application, and tell the parent what it wants."""
        orders = self.orders
        policy = BytecodePolicy(
            orders.app, trusted_before=orders.started, writes=not orders.development
        )
        policy.install()
        # Before what takes long, or it would be too late.
        told = {"start_timeout": lambda seconds: self.channel.send(StartTimeout(seconds))}
        self.config = _app.load(orders.app, orders.arguments, orders.conf, told)
        databases.check(self.config)
        check_directories(self.config)
        if orders.background:
            self.leave_terminal()
        self.channel.send(ConfigLoaded(plain_with_addresses(self.config)))
        # After the application, so that what it sets up for its own sake comes first.
        self.worker: WorkerMain = import_main(self.orders.worker)

    def leave_terminal(self) -> None:
        """Be in the background, where the parent is already, and tell the application."""
        flush_output()
        redirect_to_null()
        _app.call(self.config.hooks.get("daemonized"), "daemonized")

    def load_parsers(self) -> None:
        """Load the parser of forms where a route takes bodies: all workers share its memory."""
        methods = {
            method
            for domain in self.config.domains
            for route in domain.routes
            for method in route.methods
        }
        if not methods <= WITHOUT_BODY:
            import_module("kore._http.body.multipart")

    def prepare(self) -> None:
        """Make this process good to be forked from."""
        warn_about_threads()
        for notice in self.config.notices:
            handlers.log.warning("%s", notice)
        objects.prepare(self.config.hooks)
        self.load_parsers()
        # Files it opened on import belong to the application in every worker, too.
        self.opened = open_descriptors() - STANDARD_FDS - {self.channel.fileno()}
        # What is here now is shared by all workers as long as the collector does not touch it.
        gc.freeze()

    def serve(self) -> int:
        """Fork workers as the parent asks, until it says stop or is gone."""
        waiter = select.poll()
        while True:
            for message in self.channel.receive():
                match message:
                    case Fork():
                        self.fork(message)
                    case Stop(drain):
                        return self.stop(orderly=drain)
            if self.channel.eof:
                return 1
            writing = select.POLLOUT if self.channel.wants_write else 0
            waiter.register(self.channel, select.POLLIN | writing)
            waiter.poll()
            self.channel.flush()

    def stop(self, *, orderly: bool) -> int:
        """Run the application's last hook: every worker has ended."""
        cleanup = self.config.hooks.get("cleanup")
        if orderly and cleanup is not None:
            try:
                pending = cleanup()
                if is_awaitable(pending):
                    asyncio.run(await_result(pending))
            except Exception as error:  # noqa: BLE001 - whatever an application raises
                text = format_traceback(error)
                self.channel.send(
                    LogLine(handlers.ERR, "the last hook of the application failed", text)
                )
        if orderly:
            run_exit_handlers()
        return 0

    def fork(self, order: Fork) -> None:
        """Start one worker and tell its pid."""
        flush_output()
        try:
            pid = self.fork_twice(order)
        except OSError as error:
            self.channel.send(NotForked(order.number, error.strerror or "it died at once"))
        else:
            self.channel.send(Forked(order.number, pid))
        finally:
            close_descriptors(order.descriptors)

    def fork_twice(self, order: Fork) -> int:
        """Fork a process that forks the worker and ends: the parent inherits the worker."""
        told, tell = os.pipe()
        try:
            middle = quiet_fork()
            if middle == 0:
                self.in_between(order, tell)
        finally:
            os.close(tell)
        try:
            answer = os.read(told, 16)
        finally:
            os.close(told)
        # When this returns, the kernel has given the worker to the parent.
        os.waitpid(middle, 0)
        if not answer:
            raise OSError
        return int(answer)

    def in_between(self, order: Fork, tell: int) -> NoReturn:
        """Fork the worker, in the process between it and the template."""
        try:
            middle = os.getpid()
            pid = quiet_fork()
            if pid == 0:
                self.become_worker(order, middle)
            os.write(tell, b"%d" % pid)
            os._exit(0)
        finally:
            os._exit(1)

    def become_worker(self, order: Fork, middle: int) -> NoReturn:
        """Be a worker, and nothing else, from here to the end of this process."""
        # Before its number can be given to another descriptor.
        self.channel.close()
        await_adoption(self.orders.parent, middle)
        channel = Channel(socket.socket(fileno=order.handed[CHANNEL]), takes_descriptors=True)
        handlers.log_to_channel(channel)
        status = 1
        try:
            birth = self.birth(order, channel)
            status = self.worker(birth)
        except SystemExit as end:
            status = exit_status(end)
        except BaseException as error:  # noqa: BLE001 - it is the last frame of this process
            text = format_traceback(error)
            channel.send(LogLine(handlers.ERR, f"worker {order.number} cannot go on", text))
        finally:
            leave(channel, status)

    def birth(self, order: Fork, channel: Channel) -> WorkerParams:
        """Give up what is not the worker's, and collect what is."""
        settings = self.config.settings
        mark_worker(order.number)
        cpus = frozenset(os.sched_getaffinity(0))
        warning = apply_restrictions(
            ProcessRestrictions(
                title=WORKER.format_title(self.config.name, order.number),
                parent=self.orders.parent,
                descriptors=frozenset({*order.descriptors, *self.opened}),
                files=settings.worker_rlimit_nofiles,
                processor=order.number if settings.worker_set_affinity else None,
            )
        )
        if warning:
            channel.send(LogLine(handlers.WARNING, warning))
        handed = order.handed
        return WorkerParams(
            number=order.number,
            config=self.config,
            channel=channel,
            sockets=tuple((name, adopted(fd)) for name, fd in select_listeners(handed)),
            accesslogs=select_accesslogs(handed),
            stacks=scoreboard.open_stacks(handed[SCOREBOARD], order.slot),
            slot=scoreboard.map_slot(handed[SCOREBOARD], order.slot),
            death_pipe=handed[PARENT_DEATH],
            cpus=cpus,
            parent=self.orders.parent,
            development=self.orders.development,
        )


def adopted(fd: int) -> socket.socket:
    """Return the socket object for a descriptor."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def await_adoption(parent: int, middle: int) -> None:
    """Wait until the process in between has ended, and the parent is the parent."""
    while (now := os.getppid()) != parent:
        if now != middle:
            os._exit(1)
        time.sleep(ADOPTION_STEP)


def end_forked_child(error: BaseException) -> NoReturn:
    """End a process that the application has forked while it was loaded, as Python would."""
    status = exit_status(error) if isinstance(error, SystemExit) else 1
    if status == 1:
        handlers.write_stderr(_app.reason(error))
    flush_output()
    os._exit(status)


def exit_status(end: SystemExit) -> int:
    """Return the exit status that a SystemExit stands for."""
    if end.code is None:
        return 0
    return end.code & 0xFF if isinstance(end.code, int) else 1


def warn_about_threads() -> None:
    """Say which threads the application has started: no worker will have them."""
    names = [thread.name for thread in threading.enumerate() if thread != threading.main_thread()]
    if names:
        handlers.log.warning(
            "importing the application started a thread (%s): threads do not survive the fork of a "
            "worker, start them in koreapp.workerstart()",
            ", ".join(names),
        )


def quiet_fork() -> int:
    """Fork, without Python's own warning about threads: ours says what to do about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def leave(channel: Channel, status: int) -> NoReturn:
    """End this process with its last words delivered.

    Not through the interpreter's own end: that waits for threads, and runs what was registered
    to run once in every process forked from the one that registered it.
    """
    flush_output()
    channel.drain(FLUSH_SECONDS)
    os._exit(status)
