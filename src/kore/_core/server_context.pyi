"""What all connections of a worker share; see server_context.pyx."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

from kore._core.connection import Connection
from kore._core.request import Request

class BodySink(Protocol):
    """Where a request body goes that is not kept in memory."""

    # Bytes that are worth a call of feed().
    min_chunk: int
    def feed(self, data: bytes) -> bool:
        """Take a piece; False: no more until `request.resume_body()` is called."""
    def end(self) -> None:
        """Note that the body is complete."""
    def stop(self) -> None:
        """Note that no more of it will come."""

class WebSocketHooks(Protocol):
    """What the core calls for WebSockets."""

    def handshake(
        self, request: Request, route: Any, callbacks: tuple[Any, Any, Any], options: dict[str, Any]
    ) -> bool:
        """Decide on a handshake: accept it by `request.upgrade()`, or respond with a refusal."""
    def on_open(self, connection: Connection) -> None:
        """Register a WebSocket."""
    def on_close(self, connection: Connection) -> None:
        """Forget a WebSocket."""
    def await_callback(self, websocket: Any, callback: Awaitable[object]) -> None:
        """Await a callback of the application."""
    def report_failure(self, label: bytes, error: BaseException) -> None:
        """Report what a callback raised."""
    def report_lost(self, label: bytes, count: int) -> None:
        """Report messages that were never handled."""

class ServerHooks(Protocol):
    """What the core calls. None of these has more than six parameters."""

    def start_task(self, handler: Coroutine[Any, Any, Any], request: Request) -> object:
        """Run a handler that is a coroutine."""
    def send_stream(self, request: Request, status: int, items: AsyncIterator[object]) -> None:
        """Send the items of an async iterator as a response body."""
    def discard_stream(self, request: Request, items: Any) -> None:
        """Close an async iterator whose items are not sent."""
    def report_failure(
        self, request: Request, error: BaseException | None, result: object = None
    ) -> None:
        """Report an error of a handler; None: it gave no response, or did not end it."""
    def log_refusal(self, connection: Connection, reason: int, quote: bytes) -> None:
        """Note that a request was refused, for which reason, and the bytes to quote."""
    def call_soon(self, callback: Callable[[], object]) -> object:
        """Call *callback* in the next turn of the event loop."""
    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> object:
        """Call *callback* after so many seconds."""
    def create_future(self) -> Any:
        """Return a new future of the event loop."""
    def make_request_data(self, request: Request, route: Any) -> Any:
        """Return what reads parameters, cookies and files of a request."""
    def make_body_sink(self, request: Request, extras: Any) -> BodySink:
        """Return where the body of a request goes."""
    def call_on_headers(self, request: Request, extras: Any) -> bool:
        """Call the route's `on_headers`.

        False: it has responded, or `request.resume()` will be called.
        """
    def release_body(self, request: Request, extras: Any, sink: Any) -> None:
        """Release what holds the body of a request that is over."""
    def query(
        self, database: str, query: str, params: Any, binary: bool, bytea: bool
    ) -> Coroutine[Any, Any, Any]:
        """Query a database."""
    @property
    def websockets(self) -> WebSocketHooks: ...

class ServerContext:
    """Limits, counters, and the hooks of a worker's connections."""

    def __init__(
        self, limits: Mapping[str, Any], hooks: ServerHooks, slot: memoryview | None = None
    ) -> None: ...
    @property
    def requests(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def draining(self) -> bool: ...
    def accept_any_method(self) -> None: ...
    def drain(self, *, patient: bool = False) -> None: ...
