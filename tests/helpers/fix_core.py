"""The core without a worker: a listener, its clients, and a poller that the test turns by hand.

No event loop, no thread, and a clock that leaps: what the core hands to its service lands in
lists here.
"""

import functools
import gc
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from kore._conf.settings import SETTINGS, Settings
from kore._core.connection import Connection
from kore._core.first_protocol import FirstProtocol
from kore._core.listener import Listener
from kore._core.poller import Poller
from kore._core.request import Request
from kore._core.server_context import ServerContext
from kore._core.tls_layer import TlsFactory
from tests.helpers.core_client import Client, get
from tests.helpers.core_reader_loop import Loop
from tests.helpers.core_sink import Sink
from tests.helpers.core_tls_client import TlsCoreClient, trusting_context
from tests.helpers.procs import PATIENCE

LIMITS: Final = {name: getattr(Settings(), name) for name in SETTINGS}
HUSH: Final = 5  # milliseconds without an event after which loopback TCP counts as quiet
SPIN: Final = 200  # turns with events and without progress
HELLO: Final = b"hello world"

# What the core calls: the attributes of its hooks.
HOOKS: Final = (
    "start_task", "send_stream", "discard_stream", "report_failure", "log_refusal", "call_soon",
    "call_later", "create_future", "make_request_data", "make_body_sink", "call_on_headers",
    "release_body", "query", "websockets",
)  # fmt: skip

Run = Callable[..., object]


def make_hooks(**hooks: Any) -> Any:
    """Return hooks for a context; those that are not given are None."""
    return SimpleNamespace(**{**dict.fromkeys(HOOKS), **hooks})


def hello(request: Request) -> None:
    """Answer as most handlers of these tests do."""
    request.response(200, HELLO)


class Route:
    """What a router would have found."""

    def __init__(self, run: Run, label: bytes = b"/route") -> None:
        self.run = run
        self.label = label
        self.extras: object = None


class Pending:
    """What a handler returns that waits: the test answers in its place."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Task:
    """What runs a handler that waits, as far as the core cares."""

    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self) -> None:
        """Count how often it was cancelled."""
        self.cancelled += 1

    def done(self) -> bool:
        return False


class Future:
    """What a stream waits for until its client has caught up."""

    def __init__(self) -> None:
        self.resolved = False

    def done(self) -> bool:
        return self.resolved

    def set_result(self, _: None) -> None:
        self.resolved = True


class Logged(logging.Handler):
    """What the core has said."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Pair:
    """A listener, its clients, and lists of what happened between them.

    *run* handles every request that *resolve*, if given, has not answered; None holds them all for
    the test to answer; *hub* hears of WebSockets. On an abstract Unix socket by default, where
    whatever was sent has arrived; with *tcp* on loopback. *tls*: the clients speak TLS.
    """

    def __init__(
        self,
        run: Run | None = hello,
        *,
        resolve: Callable[[Request], object] | None = None,
        tcp: bool = False,
        slot: memoryview | None = None,
        hub: object = None,
        tls: TlsFactory | None = None,
        context: ssl.SSLContext | None = None,
        **limits: Any,
    ) -> None:
        self.hub = hub
        self.seen: list[str] = []
        self.held: list[Request] = []
        self.tasks: list[Task] = []
        self.streams: list[tuple[Request, int, Any]] = []
        self.failures: list[BaseException | None] = []
        self.discarded: list[Any] = []
        self.deferred: list[Callable[[], object]] = []
        self.laters: list[Callable[[], object]] = []
        self.futures: list[Future] = []
        # Whose bodies go there, and where that is.
        self.requests: list[Request] = []
        self.sinks: list[Sink] = []
        self.least, self.room = 1, 1 << 30
        self.sink_of: Callable[..., Sink] = self.sink
        self.freed: list[tuple[Request, Sink | None]] = []
        # Who was asked about, and whether they are let in.
        self.greeted: list[Request] = []
        self.welcome = True
        self.clients: list[Client] = []
        self.turns = 0
        self.log = Logged()
        logging.getLogger("kore").addHandler(self.log)
        self.tcp = tcp
        self.tls = tls
        self.client_context = context or trusting_context()
        self.route = Route(run or self.hold)
        self.resolve = resolve
        self.socket = listening(tcp=tcp)
        if tcp and tls is not None:  # the last record of a batch would wait for an acknowledgement
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.poller = Poller()
        self.loop = self.make_loop()
        self.poller.attach_loop(self.loop)
        self.service = self.make_context({**LIMITS, **limits}, slot)
        self.listeners = 1
        self.listener = Listener(
            self.poller, self.service, self.socket, FirstProtocol(self.find), tls=tls
        )
        self.client = self.connect()

    def make_context(self, limits: dict[str, Any], slot: memoryview | None) -> ServerContext:
        return ServerContext(limits, self.make_hooks(), slot)

    def make_hooks(self) -> Any:
        return make_hooks(
            start_task=self.spawn,
            send_stream=lambda *stream: self.streams.append(stream),
            discard_stream=lambda _, items: self.discarded.append(items),
            report_failure=lambda _, error, *result: self.failures.append(error),
            call_soon=self.deferred.append,
            call_later=lambda _, call, *args: self.laters.append(lambda: call(*args)),
            create_future=self.future,
            make_request_data=lambda request, route: None,
            make_body_sink=lambda *asked: self.sink_of(*asked),
            call_on_headers=self.greet,
            release_body=lambda request, extras, sink: self.freed.append((request, sink)),
            websockets=self.hub,
        )

    def make_loop(self) -> Any:
        return Loop(self.deferred.append)

    def find(self, request: Request) -> object:
        self.seen.append(request.path)
        return self.resolve(request) if self.resolve else self.route

    def spawn(self, pending: Any, request: Request) -> None:
        request.register_task(self.task())

    def sink(self, request: Request, extras: object) -> Sink:
        self.requests.append(request)
        self.sinks.append(Sink(self.least, self.room))
        return self.sinks[-1]

    def greet(self, request: Request, extras: object) -> bool:
        self.greeted.append(request)
        return self.welcome

    def task(self) -> Task:
        self.tasks.append(Task())
        return self.tasks[-1]

    def future(self) -> Future:
        self.futures.append(Future())
        return self.futures[-1]

    def hold(self, request: Request, *_: str) -> Pending:
        """Handle a request by leaving it to the test."""
        self.held.append(request)
        return Pending()

    # ---- clients

    def connect(self, *methods: str, receive_buffer: int = 0) -> Client:
        """Return a new client; the core has accepted it."""
        client = self.knock(*methods, receive_buffer=receive_buffer)
        self.turn()
        if isinstance(client, TlsCoreClient):
            self.shake_hands(client)
        return client

    def shake_hands(self, client: TlsCoreClient) -> None:
        """Let a client do its handshake."""
        while not client.established:
            assert client.error is None, client.error
            client.step()
            self.turn()

    def knock(self, *methods: str, receive_buffer: int = 0) -> Client:
        """Return a new client that waits in the kernel's queue."""
        sock = socket.socket(self.socket.family)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(self.socket.getsockname())
        if self.tls is None:
            self.clients.append(Client(sock, methods))
        else:
            self.clients.append(TlsCoreClient(sock, methods, self.client_context))
        return self.clients[-1]

    def ask(self, data: bytes, client: Client | None = None) -> list[int]:
        """Send *data*, let the core work, and return the statuses of the answers to it."""
        client = client or self.client
        before = len(client.statuses)
        self.pour(data, client)
        self.turn()
        client.read()
        return client.statuses[before:]

    def pour(self, data: bytes, client: Client | None = None) -> None:
        """Send *data*, however much it is, as the core takes it; read nothing."""
        client = client or self.client
        left = memoryview(data)
        while left:
            taken = client.send(bytes(left[: 1 << 18]))
            left = left[taken:]
            if left:
                self.turn()
                if not taken and not select.select([], [client.socket], [], HUSH / 1000)[1]:
                    return

    def drink(self, client: Client | None = None, data: bytes = b"") -> None:
        """Let *client* send *data* and read until nothing moves any more."""
        client = client or self.client
        while True:
            sent, taken, turns = client.send(data[: 1 << 18]), client.read(), self.turns
            data = data[sent:]
            self.turn()
            if not sent and not taken and turns == self.turns:
                return

    # ---- the core

    def turn(self, until: Callable[[], object] | None = None) -> None:
        """Dispatch until nothing is ready, or *until* something is true. A busy loop fails."""
        idle = 0
        deadline = time.monotonic() + PATIENCE
        while not (until and until()):
            before = self.progress()
            if self.deferred or self.ready(HUSH if self.tcp or until else 0):
                self.step()
                idle = idle + 1 if self.progress() == before else 0
                assert idle < SPIN, "a busy loop: events, dispatches and no progress"
            elif not until:
                return
            else:
                self.poller.dispatch()  # the loop of a test that is in here calls nothing
            assert time.monotonic() < deadline, "it does not happen"

    def ready(self, milliseconds: int = 0) -> bool:
        """Say whether the poller has events."""
        watch = select.poll()
        watch.register(self.poller.fileno(), select.POLLIN)
        return bool(watch.poll(milliseconds))

    def step(self) -> None:
        """Dispatch once, then do what was deferred."""
        self.turns += 1
        self.poller.dispatch()
        for _ in range(len(self.deferred)):
            self.deferred.pop(0)()

    def progress(self) -> tuple[object, ...]:
        """Return what changes as long as the core does anything of use."""
        sizes = [client.queues() for client in self.clients]
        counts = (self.service.connections, self.service.requests, len(self.poller))
        return (len(self.seen), *counts, len(self.deferred), sizes)

    def sweep(self, seconds: float) -> None:
        """Let *seconds* pass and look at the deadlines.

        Only its clock is ahead then, so limits may be so long that no delay of the machine counts.
        """
        self.poller.advance_clock(round(seconds * 1000))
        self.poller.sweep()
        self.turn()

    def drain(self, *, patient: bool = False) -> None:
        """Drain as a worker does."""
        self.service.drain(patient=patient)
        self.poller.drain(patient=patient, accept=not patient)
        self.turn()

    def failed(self) -> list[type[BaseException] | None]:
        """Return which errors were reported, and forget them."""
        found = [None if error is None else type(error) for error in self.failures]
        self.failures.clear()
        return found

    def logged(self) -> list[str]:
        """Return what was logged, and forget it."""
        found, self.log.texts = self.log.texts, []
        return found

    def connection(self) -> Connection:
        """Return the connection of the latest request that is held."""
        return self.held[-1].connection

    # ---- the end

    def close(self) -> None:
        """End everything; what is left then is a leak, and what nobody asked about a failure."""
        for client in self.clients:
            client.close(reset=True)
        for request in self.held:
            if not request.answered:
                request.response(200, b"")
        try:
            self.turn(lambda: not self.service.connections)
            left = (self.service.requests, len(self.poller) - self.listening)
        finally:
            self.close_sockets()
        assert left == (0, 0), "requests and descriptors that nobody needs"
        assert (self.failures, self.log.texts) == ([], [])

    def close_sockets(self) -> None:
        """Let go of everything, whatever state it is in."""
        for client in self.clients:
            client.close(reset=True)
        self.poller.close()
        self.socket.close()
        logging.getLogger("kore").removeHandler(self.log)

    @property
    def listening(self) -> int:
        """How many listeners are among the sources."""
        return self.listeners * int(not self.service.draining and self.poller.fileno() >= 0)


def listening(*, tcp: bool) -> socket.socket:
    """Return a listening socket."""
    if tcp:
        sock = socket.create_server(("127.0.0.1", 0), backlog=100)
        # Clients inherit both.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind("")  # an abstract name of the kernel's choice
        sock.listen(100)
    sock.setblocking(False)
    return sock


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def told(pair: Callable[..., Pair], data: bytes, ask: Callable[[Request], object]) -> Any:
    """Return what a handler learns by asking the request in *data*."""
    found: list[object] = []

    def run(request: Request, *captures: str) -> None:
        found.append(ask(request))
        request.response(200)

    house = pair(run)
    assert house.ask(data) == [200]
    return found[0]


def shake(house: Pair, client: Client) -> None:
    """Let a client have its WebSocket."""
    client.send(get())
    house.turn()
    assert client.take().startswith(b"HTTP/1.1 101")


@functools.cache
def collect_once(_: Path) -> None:
    """Collect what the tests of other files left: its descriptors would be closed as we count."""
    gc.collect()


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[Callable[..., Pair]]:
    """Make pairs for one test, and see to it that none leaves anything behind."""
    pairs: list[Pair] = []

    def make(run: Run | None = hello, **options: Any) -> Pair:
        pairs.append(Pair(run, **options))
        return pairs[-1]

    collect_once(request.path)
    before = descriptors()
    yield make
    try:
        for made in pairs:
            made.close()
    finally:
        for made in pairs:
            made.close_sockets()
    assert descriptors() == before, "a descriptor was left open"
