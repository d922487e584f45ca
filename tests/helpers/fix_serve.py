"""Start the real `kore` command for a test, watch it, stop it, and look what it left behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import pytest

from tests.helpers import procs
from tests.helpers.raw_client import Client
from tests.helpers.served_certificates import (
    ServedCertificate,
    SessionCertificates,
    add_certificate,
)
from tests.helpers.server_log import Log, tracebacks
from tests.helpers.tls_client import TlsClient

# What is logged of a start ends with the second line: whoever has read it has read all.
# In either format: a text ends with a bracket or a quote.
SERVING = (
    r"(?s)serving https? on 127\.0\.0\.1:(\d+)[]\"].*all worker processes started[]\"]"
)
KORE: Final = (sys.executable, "-m", "kore")
STOP_SECONDS = 40.0  # more than the drain's own limit

# What is being served right now, for the log check after each test and for reports of failures.
RUNNING: Final[list["Served"]] = []


class Served:
    """What clients and logs see of a server: an address, a log, a certificate."""

    def __init__(self, log: Log, tls: ServedCertificate | None = None) -> None:
        self.log = log
        self.tls = tls
        self.address = ("127.0.0.1", 0)

    @property
    def name(self) -> str:
        """The name for reports."""
        raise NotImplementedError

    def connect(self, *methods: str, receive_buffer: int = 0) -> Client:
        """Return a new connection, over TLS if the server is."""
        if self.tls is not None:
            context = self.tls.client_context()
            return TlsClient(self.address, methods, context=context, receive_buffer=receive_buffer)
        return Client(self.address, methods, receive_buffer=receive_buffer)

    @contextlib.contextmanager
    def expecting(self, *texts: str, errors: int | None = 1) -> Iterator[None]:
        """Require that the body of the `with` logs *texts*, and exactly so many tracebacks.

        None does not count them.
        """
        self.log.check()
        start = self.log.size()
        yield
        for text in texts:
            self.log.wait(text, start)
        logged = self.log.text(start)
        self.log.accept()
        assert errors in (None, tracebacks(logged)), logged


class Server(Served):
    """A running `kore`, as its user sees it: an address, a log, processes."""

    def __init__(
        self,
        command: list[str],
        directory: Path,
        env: dict[str, str],
        tls: ServedCertificate | None = None,
    ) -> None:
        super().__init__(Log(directory / "log"), tls)
        with self.log.path.open("wb") as out:
            # A session of its own is how everything it leaves behind is found.
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def name(self) -> str:
        return f"kore {self.process.pid}"

    def learn_port(self) -> None:
        """Wait for the line that says where it serves."""
        procs.until(lambda: self._port() or self.process.poll() is not None, what="a start")
        port = self._port()
        assert port, f"kore did not start, status {self.process.returncode}:\n{self.log.text()}"
        self.address = ("127.0.0.1", port)

    def _port(self) -> int:
        found = re.search(SERVING, self.log.text())
        return int(found[1]) if found else 0

    @property
    def workers(self) -> list[int]:
        """The workers' process ids."""
        return sorted(pid for pid in procs.children(self.process.pid) if "wrk" in procs.title(pid))

    @property
    def worker(self) -> int:
        """The process id of the only worker."""
        procs.until(lambda: len(self.workers) == 1, what="a worker")
        (pid,) = self.workers
        return pid

    def stop(self) -> None:
        """Ask it to end, and fail unless it ends well and leaves nothing."""
        RUNNING.remove(self)
        self.process.terminate()
        try:
            status = self.process.wait(STOP_SECONDS)
            procs.until(lambda: not procs.session(self.process.pid), what="all processes gone")
        finally:
            self.kill()
        self.log.check()
        assert status == 0, f"kore ended with status {status}:\n{self.log.text()}"

    def kill(self) -> None:
        """End whatever is left of it, unasked."""
        for pid in procs.session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def serving(app: Path, directory: Path) -> Iterator[Server]:
    """Serve an application that brings its own address, on a free port."""
    ports = {"PORT": "0", "HTTP_PORT": "0", "KORE_DEMO_PORT": "0", "ECHO_PORT": "0", "IDLE": "300"}
    server = Server([*KORE, str(app)], directory, ports)
    try:
        server.learn_port()
        RUNNING.append(server)
        yield server
        server.stop()
    finally:
        server.kill()


class Launcher:
    """The `serve` fixture: starts servers, and stops them when the fixture ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: list[Server] = []

    def __call__(
        self,
        app: str | Path,
        *,
        loop: str = "",
        settings: dict[str, Any] | None = None,
        command: Sequence[str] = KORE,
        port: int = 0,
        tls: ServedCertificate | None = None,
        **env: str,
    ) -> Server:
        """Serve *app* (source text, or a file) with one worker on a free port of loopback.

        The file is given a first part that applies *settings* and makes a server named
        `http`: what is left for the application is domains and routes. *tls*: the certificate
        of those domains that name none.
        """
        directory = self.directory / f"serve-{len(self.servers)}"
        directory.mkdir()
        source = app.read_text() if isinstance(app, Path) else textwrap.dedent(app)
        source = add_certificate(source, tls)
        (directory / "app.py").write_text(preamble(settings or {}, port, tls=bool(tls)) + source)
        if loop:
            env["KORE_LOOP"] = loop
        server = Server([*command, "app.py"], directory, env, tls)
        try:
            server.learn_port()
        except AssertionError:
            server.kill()
            raise
        self.servers.append(server)
        RUNNING.append(server)
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        running = [server for server in self.servers if server in RUNNING]
        failures = list(filter(None, map(stopped, running)))
        if failures:
            raise ExceptionGroup("kore did not stop as it should", failures)


def stopped(server: Server) -> Exception | None:
    """Stop *server* and return what was wrong about it."""
    try:
        server.stop()
    except (AssertionError, subprocess.TimeoutExpired) as problem:
        return problem
    return None


def preamble(settings: dict[str, Any], port: int, *, tls: bool = False) -> str:
    """Return the common first part of every application."""
    settings = {"workers": 1, **settings}
    return "".join(
        ["import kore\n"]
        + [f"kore.config.{name} = {value!r}\n" for name, value in settings.items()]
        + [f'kore.server(name="http", ip="127.0.0.1", port="{port}", tls={tls})\n']
    )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Launcher]:
    """Start servers for one test."""
    with Launcher(tmp_path) as launcher:
        yield launcher


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start servers that the tests of one file share."""
    with Launcher(tmp_path_factory.mktemp("module")) as launcher:
        yield launcher


@pytest.fixture(scope="session")
def serve_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start servers that all files share."""
    with Launcher(tmp_path_factory.mktemp("session")) as launcher:
        yield launcher


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> SessionCertificates:
    """Return an authority with certificates that all tests share."""
    return SessionCertificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    """Run a test on both event loops."""
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_unexpected_is_logged() -> Iterator[None]:
    """Hold a test responsible for what it makes a shared server log."""
    yield
    for server in RUNNING:
        server.log.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the servers' logs with a test that failed."""
    report = yield
    if report.failed:
        report.sections.extend(
            (f"log of {server.name}", server.log.text()[-4000:]) for server in RUNNING
        )
    return report
