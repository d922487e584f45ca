"""A worker in a thread of the test's process: the real one, without parent, template and signals.

It serves on a real socket what an application configures, so the clients of `fix_serve` can be
used. It takes a tenth of the time of a server, and a test needs no process.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from kore import _app, _context
from kore._conf.schema import Config
from kore._process.ipc.channel import Channel, close_descriptors, open_pair
from kore._process.ipc.messages import Stop
from kore._process.ipc.scoreboard import READY, SLOT_SIZE, STATE_AT
from kore._process.log.handlers import ParentLogHandler, install_handler
from kore._process.log.writer import LogWriter
from kore._process.worker.params import WorkerParams
from kore._process.worker.worker import Worker
from tests.helpers import procs
from tests.helpers.fix_serve import RUNNING, Served, preamble
from tests.helpers.key_thread import KeyThread
from tests.helpers.served_certificates import ServedCertificate, add_certificate
from tests.helpers.server_log import Log

BACKLOG = 128
# What an application prints is in the log of a server, too. On the line of the first import: so
# the lines of an application have the same numbers.
PRINT = (
    "import os as _os; print = lambda *words, **_: "
    "_os.write({}, (' '.join(map(str, words)) + '\\n').encode()); "
)


class ThreadWorker(Worker):
    """A worker that leaves the process alone it runs in."""

    def catch_signals(self) -> None:
        """Leave signals to the test."""

    def on_parent_death(self) -> NoReturn:
        raise AssertionError("the channel was closed before the worker had stopped")

    def exit(self) -> NoReturn:
        raise AssertionError("the application has ended its worker")


class ThreadServer(Served):
    """One worker in a thread, seen like a server."""

    def __init__(self, app: Path, log: int, tls: ServedCertificate | None = None) -> None:
        super().__init__(Log(app.with_name("log")), tls)
        self.app = app
        self.log_fd = log
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.sock.setblocking(False)
        self.address = self.sock.getsockname()[:2]
        self.ends = [Channel(end, takes_descriptors=True) for end in open_pair()]
        self.slot = memoryview(bytearray(SLOT_SIZE))
        self.keys: KeyThread | None = None
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._before = self._global_state()
        self.thread.start()
        procs.until(lambda: self.slot[STATE_AT] == READY or self.failure, what="a worker")
        if self.failure is not None:
            self._restore()
            raise self.failure

    @property
    def name(self) -> str:
        return "worker in a thread"

    def stop(self) -> None:
        """Let the worker drain, and fail unless it ends well."""
        RUNNING.remove(self)
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._worker.loop.call_soon_threadsafe(self._worker.on_stop, Stop(drain=True))
        self.thread.join(procs.PATIENCE)
        assert not self.thread.is_alive(), "the worker does not end"
        self._restore()
        self.log.check()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        """Be the worker, from its configuration to its end."""
        try:
            self._serve()
        except BaseException as failure:  # noqa: BLE001 - it is raised where the test waits
            self.failure = failure

    def _serve(self) -> None:
        config = _app.load(str(self.app))
        keys = self._start_key_process(config)
        params = WorkerParams(
            number=1,
            config=config,
            channel=self.ends[0],
            sockets=(("http", self.sock),),
            accesslogs=(),
            slot=self.slot,
            death_pipe=-1,
            cpus=frozenset(os.sched_getaffinity(0)),
            parent=os.getpid(),
            keys=keys,
        )
        self._worker = ThreadWorker(params)
        writer = LogWriter()
        writer.open(str(self.log.path))
        install_handler(
            ParentLogHandler(
                lambda priority, text, detail: writer.write("[wrk 1]", text, priority, detail)
            )
        )
        loop = self._worker.loop
        _context.current.worker = self._worker
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(self._worker.on_loop_error)
        try:
            loop.run_until_complete(self._worker.serve())
        finally:
            self._worker.poller.close()
            self._worker.accesslogs.close()
            loop.close()
            writer.open("")

    def _start_key_process(self, config: Config) -> int:
        """Return a descriptor for signatures, if there is TLS. Queue what a worker starts with."""
        if not config.tls:
            return -1
        self.keys = KeyThread(config)
        sock, messages = self.keys.serve_worker()
        for message in messages:
            self.ends[1].send(message)
            close_descriptors(getattr(message, "descriptors", ()))
        return sock.detach()

    def _global_state(self) -> tuple[Any, ...]:
        """Return what a worker changes in its process."""
        log = logging.getLogger("kore")
        return (
            (log.handlers[:], log.level, log.propagate, logging.lastResort),
            vars(_context.current).copy(),
            sys.path[:],
            set(sys.modules),
            warnings.showwarning,
        )

    def _restore(self) -> None:
        """Put back what a worker has changed, and close what it has left."""
        logs, context, path, modules, warnings.showwarning = self._before
        log = logging.getLogger("kore")
        log.handlers[:], log.level, log.propagate, logging.lastResort = logs
        vars(_context.current).update(context)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(self.app.parent):
                del sys.modules[name]
        if self.keys is not None:
            self.keys.stop()
        for end in self.ends:
            end.close()
        self.sock.close()
        os.close(self.log_fd)


class ThreadLauncher:
    """The `serve_thread` fixture: starts workers, and stops them when the fixture ends."""

    def __init__(self, directory: Path, environment: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.environment = environment
        self.servers: list[ThreadServer] = []
        self.count = 0

    def __call__(
        self,
        app: str | Path,
        *,
        loop: str = "",
        settings: dict[str, Any] | None = None,
        beside: bool = False,
        tls: ServedCertificate | None = None,
        **env: str,
    ) -> ThreadServer:
        """Serve *app* as `serve` does, in the place of what was served before.

        *beside*: that goes on. The public functions of `kore` then are of this worker.
        """
        if not beside:
            self.stop()
        self.count += 1
        directory = self.directory / f"serve-{self.count}"
        directory.mkdir()
        source = app.read_text() if isinstance(app, Path) else textwrap.dedent(app)
        path = directory / "app.py"
        log = os.open(directory / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        start = PRINT.format(log) + preamble(settings or {}, 0, tls=bool(tls))
        path.write_text(start + add_certificate(source, tls))
        self.environment.setenv("KORE_LOOP", loop)
        for name, value in env.items():
            self.environment.setenv(name, value)
        server = ThreadServer(path, log, tls)
        self.servers.append(server)
        RUNNING.append(server)
        return server

    def stop(self) -> None:
        """Stop what is being served."""
        for server in reversed(self.servers):
            if server in RUNNING:
                server.stop()


@pytest.fixture(scope="module")
def serve_thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadLauncher]:
    """Start a worker in this process, for the tests of one file."""
    with pytest.MonkeyPatch.context() as environment:
        launcher = ThreadLauncher(tmp_path_factory.mktemp("thread"), environment)
        yield launcher
        launcher.stop()
