"""The WebSockets of a worker: handshakes, callbacks that wait, messages to many."""

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
from kore._websocket.broadcast import packed, unpacked
from kore._websocket.deflate import Deflater, agreed
from kore._websocket.groups import Groups
from kore._websocket.handshake import HandshakeRefusal, accept_key, chosen, refusal

Callbacks = tuple[Any, Any, Any]
# WebSocketOptions that routes and handshakes have in common; more of them are made anew.
TERMS_KEPT: Final = 256
LOCAL: Final = 1
GLOBAL: Final = 2


class WebSockets:
    """What the core hands its WebSockets to."""

    def __init__(
        self,
        config: Config,
        tasks: RequestTasks,
        relay: MessageBus,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self.settings = config.settings
        self.named = config.find_function
        self.tasks = tasks
        self.report = failed
        self.relay = relay
        relay.on(MessageKind.BROADCAST, self.receive)
        self.thread = get_ident()
        self.ending = False
        self.rooms: Groups[Connection] = Groups()
        self.terms = lru_cache(TERMS_KEPT)(self.agreed)

    # ---- the handshake

    def handshake(
        self, request: Request, entry: RouteEntry, callbacks: Callbacks, given: Mapping[str, Any]
    ) -> bool:
        """Answer a request with a WebSocket, or say why not."""
        own = websockets.normalize_options({**self.named_by(callbacks), **given})
        said = {**entry.route.requirements.websocket, **own}
        if self.named is not None:
            said = websockets.resolve_callbacks(said, self.named)
        # Those of the route have been checked when the configuration was built.
        websockets.check_callbacks({name: said[name] for name in own})
        refused = refusal(request, said.get("origins"))
        if self.ending:
            refused = HandshakeRefusal(503, "this server is about to restart")
        if refused is not None:
            if refused.rule:
                Request.note_refusal(request, REFUSALS[refused.rule].number)
            for field in refused.fields:
                Request.response_header(request, *field)
            Request.response(request, refused.status, f"{refused.reason}\n")
            return False
        self.accept(request)
        protocol = self.protocol(request, said.get("protocols") or ())
        deflater = self.deflater(request) if said.get("compress") else None
        numbers = tuple(said.get(name) for name in websockets.SETTING_NAMES)
        wanted = tuple(said.get(name) for name in websockets.CALLBACKS)
        terms = self.terms(entry.label, numbers)
        return Request.upgrade(request, terms, wanted, deflater, protocol)

    def named_by(self, callbacks: Callbacks) -> dict[str, Any]:
        """Return the callbacks of a call that it has."""
        given = zip(websockets.CALLBACKS, callbacks, strict=True)
        return {name: callback for name, callback in given if callback is not None}

    def accept(self, request: Request) -> None:
        """Prove that a WebSocket was understood."""
        key = request.request_header("sec-websocket-key") or ""
        Request.response_header(request, "sec-websocket-accept", accept_key(key))

    def protocol(self, request: Request, spoken: Sequence[str]) -> str | None:
        """Agree on a sub-protocol, and return it."""
        protocol = chosen(request.header_values("sec-websocket-protocol"), spoken)
        if protocol is not None:
            Request.response_header(request, "sec-websocket-protocol", protocol)
        return protocol

    def deflater(self, request: Request) -> Deflater | None:
        """Agree on compression, and return what does it; None: the client does not want it."""
        offers = ", ".join(request.header_values("sec-websocket-extensions"))
        agreement = agreed(offers)
        if agreement is None:
            return None
        Request.response_header(request, "sec-websocket-extensions", agreement.text())
        return Deflater(agreement)

    def agreed(self, label: bytes, numbers: tuple[Any, ...]) -> WebSocketOptions:
        """Return the terms of a route; None among *numbers*: as the setting says."""
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
                "websocket '%s': ping (%d s) is no shorter than timeout (%d s): nobody is asked",
                where, own["ping"], own["timeout"],
            )  # fmt: skip
        own["close_timeout"] = self.settings.websocket_close_timeout
        return WebSocketOptions(own, label=label)

    # ---- what the core tells

    def opened(self, connection: Connection) -> None:
        """Take note of one more."""
        self.rooms.enter(connection)

    def closed(self, connection: Connection) -> None:
        """Forget one."""
        self.rooms.exit(connection)

    def failed(self, label: bytes, error: BaseException) -> None:
        """Report what a callback raised."""
        self.report(f"websocket '{label.decode('utf-8', 'replace')}'", error)

    def lost(self, label: bytes, count: int) -> None:
        """Report messages that came before the end and were never handled."""
        where = label.decode("utf-8", "replace")
        log.warning("websocket '%s': %d messages lost, an earlier one took too long", where, count)

    def converse(self, socket: WebSocket, callback: Awaitable[object]) -> None:
        """Await a callback; messages of that client wait."""
        task = self.tasks.run_callback(callback)
        if task.done():
            self.over(socket, task)
        else:
            socket.waits(task)
            task.add_done_callback(partial(self.go_on, socket))

    def over(self, socket: WebSocket, task: Task[BaseException | None]) -> None:
        """Take note of how a callback ended."""
        error = None if task.cancelled() else task.result()
        if error is not None:
            socket.spoiled(error)

    def go_on(self, socket: WebSocket, task: Task[BaseException | None]) -> None:
        """Go on with what has waited for a callback."""
        self.over(socket, task)
        socket.carry_on(task)

    # ---- many

    def broadcast(
        self, source: Connection | None, op: int, data: Any, scope: int, group: str | None
    ) -> None:
        """Send a message to all of this worker, or of all workers, or to a group."""
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
        whole = build_frame(op, data)
        if scope == GLOBAL:  # first, and all or nothing: a worker may have too much to do
            self.relay.send(MessageKind.BROADCAST, packed(whole, group), None, echo=False)
        self.deliver(whole, group, source)

    def receive(self, sender: int, payload: bytes) -> None:
        """Send what another worker has sent to everybody."""
        try:
            group, whole = unpacked(payload)
        except ValueError as error:
            log.warning("worker %d sends what is no broadcast: %s", sender, error)
        else:
            self.deliver(whole, group)

    def deliver(self, whole: bytes, group: str | None, source: Connection | None = None) -> None:
        """Send a frame to those whom it is for."""
        broadcast_frame(self.rooms.addressed(group), whole, source)
