"""The WebSockets of a worker: handshakes, callbacks that are awaited, broadcasts."""

from asyncio import Task
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from threading import get_ident
from typing import Any, Final

from kore._conf import websockets
from kore._conf.schema import Config
from kore._core.broadcast import broadcast_frame
from kore._core.connection import Connection
from kore._core.refusals import REFUSALS
from kore._core.request import Request
from kore._core.websocket import WebSocket
from kore._core.ws_options import WebSocketOptions, build_frame
from kore._http.router import RouteEntry
from kore._process.ipc.messages import MessageKind
from kore._process.log.handlers import log
from kore._process.worker.bus import MessageBus
from kore._process.worker.tasks import RequestTasks
from kore._websocket.broadcast import decode_broadcast, encode_broadcast
from kore._websocket.deflate import Deflater, negotiate_deflate
from kore._websocket.groups import Groups
from kore._websocket.handshake import (
    HandshakeRefusal,
    check_handshake,
    choose_protocol,
    compute_accept_key,
)

Callbacks = tuple[Any, Any, Any]
# WebSocketOptions objects that are shared between connections.
OPTIONS_CACHE_SIZE: Final = 256
LOCAL: Final = 1
GLOBAL: Final = 2


class WebSockets:
    """The WebSockets of a worker, as the core calls it."""

    def __init__(
        self,
        config: Config,
        tasks: RequestTasks,
        bus: MessageBus,
        report: Callable[[str, BaseException], None],
    ) -> None:
        self.settings = config.settings
        self.find_function = config.find_function
        self.tasks = tasks
        self.report = report
        self.bus = bus
        bus.set_receiver(MessageKind.BROADCAST, self.receive)
        self.thread = get_ident()
        # Handshakes are refused: the worker stops.
        self.is_ending = False
        self.groups: Groups[Connection] = Groups()
        self.get_options = lru_cache(OPTIONS_CACHE_SIZE)(self.make_options)

    # ---- the handshake

    def handshake(
        self, request: Request, entry: RouteEntry, callbacks: Callbacks, given: Mapping[str, Any]
    ) -> bool:
        """Accept a handshake and return True, or respond with the reason against it."""
        own = websockets.normalize_options({**self.name_callbacks(callbacks), **given})
        options = {**entry.route.requirements.websocket, **own}
        if self.find_function is not None:
            options = websockets.resolve_callbacks(options, self.find_function)
        # Those of the route were checked when the configuration was built.
        websockets.check_callbacks({name: options[name] for name in own})
        refusal = check_handshake(request, options.get("origins"))
        if self.is_ending:
            refusal = HandshakeRefusal(503, "this server is about to restart")
        if refusal is not None:
            if refusal.rule:
                Request.note_refusal(request, REFUSALS[refusal.rule].number)
            for field in refusal.fields:
                Request.response_header(request, *field)
            Request.response(request, refusal.status, f"{refusal.reason}\n")
            return False
        self.send_accept_key(request)
        protocol = self.negotiate_protocol(request, options.get("protocols") or ())
        deflater = self.negotiate_deflater(request) if options.get("compress") else None
        numbers = tuple(options.get(name) for name in websockets.SETTING_NAMES)
        chosen = tuple(options.get(name) for name in websockets.CALLBACKS)
        limits = self.get_options(entry.label, numbers)
        return Request.upgrade(request, limits, chosen, deflater, protocol)

    def name_callbacks(self, callbacks: Callbacks) -> dict[str, Any]:
        """Return the callbacks that a call has given, by their names."""
        given = zip(websockets.CALLBACKS, callbacks, strict=True)
        return {name: callback for name, callback in given if callback is not None}

    def send_accept_key(self, request: Request) -> None:
        """Set the response field for the client's key."""
        key = request.request_header("sec-websocket-key") or ""
        Request.response_header(request, "sec-websocket-accept", compute_accept_key(key))

    def negotiate_protocol(self, request: Request, supported: Sequence[str]) -> str | None:
        """Choose a sub-protocol, set its response field and return it; None without a match."""
        protocol = choose_protocol(request.header_values("sec-websocket-protocol"), supported)
        if protocol is not None:
            Request.response_header(request, "sec-websocket-protocol", protocol)
        return protocol

    def negotiate_deflater(self, request: Request) -> Deflater | None:
        """Negotiate compression and return a deflater; None if the client does not offer it."""
        offers = ", ".join(request.header_values("sec-websocket-extensions"))
        parameters = negotiate_deflate(offers)
        if parameters is None:
            return None
        Request.response_header(request, "sec-websocket-extensions", parameters.format_field())
        return Deflater(parameters)

    def make_options(self, label: bytes, numbers: tuple[Any, ...]) -> WebSocketOptions:
        """Return the options of a route; None among *numbers* stands for the setting."""
        names = websockets.SETTING_NAMES.items()
        own = {name: getattr(self.settings, setting) for name, setting in names}
        own.update(
            (name, number)
            for name, number in zip(websockets.SETTING_NAMES, numbers, strict=True)
            if number is not None
        )
        if own["ping"] >= own["timeout"] > 0:
            where = label.decode("utf-8", "replace")
            log.warning(
                "websocket '%s': ping interval (%d s) is not shorter than timeout (%d s): "
                "pings disabled", where, own["ping"], own["timeout"],
            )  # fmt: skip
        own["close_timeout"] = self.settings.websocket_close_timeout
        return WebSocketOptions(own, label=label)

    # ---- hooks of the core

    def on_open(self, connection: Connection) -> None:
        """Register an open WebSocket."""
        self.groups.add(connection)

    def on_close(self, connection: Connection) -> None:
        """Remove a closed WebSocket."""
        self.groups.remove(connection)

    def report_failure(self, label: bytes, error: BaseException) -> None:
        """Report an exception of a callback."""
        self.report(f"websocket '{label.decode('utf-8', 'replace')}'", error)

    def report_lost(self, label: bytes, count: int) -> None:
        """Log messages that arrived before the end and were not handled."""
        where = label.decode("utf-8", "replace")
        log.warning("websocket '%s': %d messages lost, an earlier one took too long", where, count)

    def await_callback(self, socket: WebSocket, callback: Awaitable[object]) -> None:
        """Await a callback; further messages of that client wait."""
        task = self.tasks.run_callback(callback)
        if task.done():
            self.report_outcome(socket, task)
        else:
            socket.add_task(task)
            task.add_done_callback(partial(self.resume, socket))

    def report_outcome(self, socket: WebSocket, task: Task[BaseException | None]) -> None:
        """Tell the WebSocket if its callback has raised an error."""
        error = None if task.cancelled() else task.result()
        if error is not None:
            socket.report_callback_error(error)

    def resume(self, socket: WebSocket, task: Task[BaseException | None]) -> None:
        """Deliver the messages that have waited for a callback."""
        self.report_outcome(socket, task)
        socket.resume_after(task)

    # ---- broadcasts

    def broadcast(
        self, source: Connection | None, op: int, data: Any, scope: int, group: str | None
    ) -> None:
        """Send a message to the WebSockets of this worker or of all workers, or to a group of them.

        Raises TypeError or ValueError for an invalid argument, RuntimeError in another thread,
        BusyError if a worker has too much to handle.
        """
        if source is not None and not isinstance(source, Connection):
            raise TypeError(f"src must be a kore.connection or None, not {source!r}")
        if group is not None and not isinstance(group, str):
            raise TypeError(f"a group is a str or None, not {group!r}")
        if get_ident() != self.thread:
            raise RuntimeError(
                "websocket_broadcast() belongs to the worker's thread: use "
                "loop.call_soon_threadsafe(kore.websocket_broadcast, src, op, data, scope)"
            )
        if scope not in (LOCAL, GLOBAL):
            raise ValueError(
                "invalid scope: WEBSOCKET_BROADCAST_LOCAL or WEBSOCKET_BROADCAST_GLOBAL, not "
                f"{scope!r}"
            )
        frame = build_frame(op, data)
        if scope == GLOBAL:  # first: if a worker is too busy, it raises and nothing is sent
            self.bus.send(MessageKind.BROADCAST, encode_broadcast(frame, group), None, echo=False)
        self.deliver(frame, group, source)

    def receive(self, sender: int, payload: bytes) -> None:
        """Deliver a broadcast of another worker."""
        try:
            group, frame = decode_broadcast(payload)
        except ValueError as error:
            log.warning("worker %d: malformed broadcast: %s", sender, error)
        else:
            self.deliver(frame, group)

    def deliver(self, frame: bytes, group: str | None, source: Connection | None = None) -> None:
        """Send a frame to the members of a group, or to all, but not to *source*."""
        broadcast_frame(self.groups.get_members(group), frame, source)
