"""The template process: loads the application once, and forks workers when the parent asks.

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
from kore._conf.server_schema import build_local_files
from kore._conf.settings import VERSION
from kore._maybe_async import await_result, is_awaitable
from kore._process.heap import trim_heap
from kore._process.ipc import scoreboard
from kore._process.ipc.channel import Channel, close_descriptors
from kore._process.ipc.datagrams import encode
from kore._process.ipc.descriptors import (
    CHANNEL,
    KEYS,
    PARENT_DEATH,
    SCOREBOARD,
    parse_arguments,
    select_accesslogs,
    select_listeners,
)
from kore._process.ipc.messages import (
    ConfigLoaded,
    FatalError,
    Fork,
    Forked,
    Hello,
    LogLine,
    NotForked,
    StartTimeout,
    Stop,
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
from kore._process.template.host_lookup import resolve_host_names
from kore._process.worker import databases, objects, tls
from kore._process.worker.params import WorkerParams
from kore._tracebacks import format_traceback

# Seconds to send the last messages, if the parent is busy.
FLUSH_TIMEOUT: Final = 1.0
# Seconds between two checks whether the parent has adopted a new worker.
ADOPTION_CHECK_INTERVAL: Final = 0.0002

# Methods of routes that have no use for a form.
WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})

WorkerMain = Callable[[WorkerParams], int]


@dataclass(frozen=True, slots=True)
class TemplateArguments:
    """The command line of a template."""

    # Its descriptors by name.
    handed: Mapping[str, int]
    # Pid of the parent.
    parent: int
    # `module:function` that a worker runs.
    worker: str
    # The server runs in the background; the terminal shows only errors of the load.
    background: bool
    # Under `kodev run`.
    development: bool
    # When the server was started, in seconds since the epoch.
    started: float
    # Of `kodev run --tls`: the directory of the certificate; else empty.
    local_tls: str
    app: str
    conf: str
    arguments: list[str]


def main() -> NoReturn:
    """Run the template, in an interpreter of its own."""
    # Before anything that may differ in another version of kore, such as the arguments.
    with contextlib.suppress(OSError):  # the parent has exited already
        os.write(parse_arguments(sys.argv[1])[CHANNEL], encode(Hello(VERSION)))
    handed, parent, worker, mode, started, local_tls, app, conf, *arguments = sys.argv[1:]
    options = TemplateArguments(
        handed=parse_arguments(handed),
        parent=int(parent),
        worker=worker,
        background=mode == BACKGROUND,
        development=mode == DEVELOPMENT,
        started=float(started),
        local_tls=local_tls,
        app=app,
        conf=conf,
        arguments=arguments,
    )
    # As in a program that is run as a script.
    sys.argv = [app or conf, *arguments]
    for fd in options.handed.values():
        os.set_inheritable(fd, False)
    # Before the signal for it is unblocked.
    enable_stack_dumps()
    apply_restrictions(
        ProcessRestrictions(
            TEMPLATE.format_title("kore"), options.parent, frozenset(options.handed.values())
        )
    )
    template = Template(options)
    _exit_process(template.channel, template.run())


class Template:
    """The loaded application, and the channel to the parent."""

    def __init__(self, options: TemplateArguments) -> None:
        self.options = options
        self.channel = Channel(
            socket.socket(fileno=options.handed[CHANNEL]), takes_descriptors=True
        )
        handlers.log_to_channel(self.channel)
        self.pid = os.getpid()
        # The application may fork while it is loaded.
        call_after_fork(self._detach_forked_child)

    def run(self) -> int:
        """Load the application and serve the parent. Returns the exit status."""
        try:
            self.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an application raises
            if os.getpid() != self.pid:
                _exit_forked_child(error)
            self.channel.send(FatalError(_app.format_reason(error)))
            return 1
        if os.getpid() != self.pid:
            _exit_forked_child(SystemExit(0))
        self.prepare()
        return self.serve()

    def _detach_forked_child(self) -> None:
        """Close the channel and restore signals, in a process that the application forks."""
        self.channel.close()
        restore_default_signals()

    def load(self) -> None:
        """Load the application, and send its configuration to the parent."""
        options = self.options
        policy = BytecodePolicy(
            options.app, trusted_before=options.started, writes=not options.development
        )
        policy.install()
        # Sent as soon as it is set, since the rest of the load may take long.
        on_set = {"start_timeout": lambda seconds: self.channel.send(StartTimeout(seconds))}
        local = build_local_files(options.local_tls) if options.local_tls else None
        self.config = _app.load(options.app, options.arguments, options.conf, on_set, local)
        databases.check_databases(self.config)
        check_directories(self.config)
        tls.load_core_modules(self.config)
        if options.background:
            self._detach_from_terminal()
        self.channel.send(ConfigLoaded(resolve_host_names(self.config)))
        # After the application, so that its own set-up comes first.
        self.worker: WorkerMain = import_main(self.options.worker)

    def _detach_from_terminal(self) -> None:
        """Detach from the terminal, as the parent has, and call the application's hook."""
        flush_output()
        redirect_to_null()
        _app.call_hook(self.config.hooks.get("daemonized"), "daemonized")

    def _load_optional_modules(self) -> None:
        """Load what only some configurations need: all workers share its memory."""
        routes = [route for domain in self.config.domains for route in domain.routes]
        methods = {method for route in routes for method in route.methods}
        if not methods <= WITHOUT_BODY:
            import_module("kore._http.body.multipart")
        if any(route.files for route in routes):
            import_module("kore._process.worker.filemaps")

    def prepare(self) -> None:
        """Prepare this process to be forked."""
        _warn_about_threads()
        for notice in self.config.notices:
            handlers.log.warning("%s", notice)
        objects.import_codec(self.config.hooks)
        self._load_optional_modules()
        # Files that the application has opened stay open in every worker.
        self.opened = open_descriptors() - STANDARD_FDS - {self.channel.fileno()}
        trim_heap()
        # Workers share these objects with the template until a collection writes to them.
        gc.freeze()

    def serve(self) -> int:
        """Fork workers when the parent asks, until it stops this process or exits."""
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
        """Run the cleanup hook of the application: every worker has exited."""
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
        """Fork one worker and report its pid."""
        flush_output()
        try:
            pid = self._fork_twice(order)
        except OSError as error:
            self.channel.send(NotForked(order.number, error.strerror or "it exited immediately"))
        else:
            self.channel.send(Forked(order.number, pid))
        finally:
            close_descriptors(order.descriptors)

    def _fork_twice(self, order: Fork) -> int:
        """Fork a process that forks the worker and exits, so that the parent adopts the worker.

        Returns the worker's pid. Raises OSError if one of the forks fails.
        """
        pid_reader, pid_writer = os.pipe()
        try:
            middle = _fork_quietly()
            if middle == 0:
                self._run_intermediate_child(order, pid_writer)
        finally:
            os.close(pid_writer)
        try:
            pid = os.read(pid_reader, 16)
        finally:
            os.close(pid_reader)
        # When this returns, the kernel has made the worker a child of the parent.
        os.waitpid(middle, 0)
        if not pid:
            raise OSError
        return int(pid)

    def _run_intermediate_child(self, order: Fork, pid_writer: int) -> NoReturn:
        """Fork the worker and write its pid, in the process between template and worker."""
        try:
            middle = os.getpid()
            pid = _fork_quietly()
            if pid == 0:
                self._run_worker(order, middle)
            os.write(pid_writer, b"%d" % pid)
            os._exit(0)
        finally:
            os._exit(1)

    def _run_worker(self, order: Fork, middle: int) -> NoReturn:
        """Run a worker in this process; never returns."""
        # Before its number can be given to another descriptor.
        self.channel.close()
        _wait_for_adoption(self.options.parent, middle)
        channel = Channel(socket.socket(fileno=order.handed[CHANNEL]), takes_descriptors=True)
        handlers.log_to_channel(channel)
        status = 1
        try:
            status = self.worker(self._build_params(order, channel))
        except SystemExit as end:
            status = _get_exit_status(end)
        except BaseException as error:  # noqa: BLE001 - it is the last frame of this process
            text = format_traceback(error)
            channel.send(LogLine(handlers.ERR, f"worker {order.number} cannot go on", text))
        finally:
            _exit_process(channel, status)

    def _build_params(self, order: Fork, channel: Channel) -> WorkerParams:
        """Restrict this process, and return the start parameters of the worker."""
        settings = self.config.settings
        mark_worker(order.number)
        cpus = frozenset(os.sched_getaffinity(0))
        warning = apply_restrictions(
            ProcessRestrictions(
                title=WORKER.format_title(self.config.name, order.number),
                parent=self.options.parent,
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
            sockets=tuple((name, _open_socket(fd)) for name, fd in select_listeners(handed)),
            accesslogs=select_accesslogs(handed),
            stacks=scoreboard.open_stacks(handed[SCOREBOARD], order.slot),
            slot=scoreboard.map_slot(handed[SCOREBOARD], order.slot),
            death_pipe=handed[PARENT_DEATH],
            keys=handed.get(KEYS, -1),
            cpus=cpus,
            parent=self.options.parent,
            development=self.options.development,
        )


def _open_socket(fd: int) -> socket.socket:
    """Return the socket object of a descriptor."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def _wait_for_adoption(parent: int, middle: int) -> None:
    """Wait until the intermediate process *middle* has exited, and *parent* is our parent."""
    while (now := os.getppid()) != parent:
        if now != middle:
            os._exit(1)
        time.sleep(ADOPTION_CHECK_INTERVAL)


def _exit_forked_child(error: BaseException) -> NoReturn:
    """Exit a process that the application has forked while it was loaded, as Python would."""
    status = _get_exit_status(error) if isinstance(error, SystemExit) else 1
    if status == 1:
        handlers.write_stderr(_app.format_reason(error))
    flush_output()
    os._exit(status)


def _get_exit_status(end: SystemExit) -> int:
    """Return the exit status of a SystemExit."""
    if end.code is None:
        return 0
    return end.code & 0xFF if isinstance(end.code, int) else 1


def _warn_about_threads() -> None:
    """Log the threads that the application has started: workers will not have them."""
    names = [thread.name for thread in threading.enumerate() if thread != threading.main_thread()]
    if names:
        handlers.log.warning(
            "importing the application started a thread (%s): threads do not survive the fork of a "
            "worker, start them in koreapp.workerstart()",
            ", ".join(names),
        )


def _fork_quietly() -> int:
    """Fork without Python's warning about threads; `_warn_about_threads()` gives better advice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _exit_process(channel: Channel, status: int) -> NoReturn:
    """Exit this process after its last messages have been sent.

    With os._exit(): the interpreter's own end waits for threads, and runs exit handlers that other
    processes have inherited as well.
    """
    flush_output()
    channel.drain(FLUSH_TIMEOUT)
    os._exit(status)
