"""Routers, file handlers and listeners of one worker."""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kore._conf.schema import Config, ParameterRules, Route
from kore._conf.schema import Handler as RouteHandler
from kore._conf.signatures import locate_function
from kore._core.first_protocol import FirstProtocol
from kore._core.listener import Listener
from kore._core.poller import Poller
from kore._core.request import Request
from kore._core.server_context import ServerContext
from kore._core.tls_layer import TlsFactory
from kore._http.https_redirect import HttpsRedirect, SecureDomain, choose_port
from kore._http.pipeline import fold_steps
from kore._http.request_data import RequestData
from kore._http.router import RouteEntry, Router
from kore._http.steps import build_steps
from kore._http.streaming import ResponseBody, stream_body
from kore._process.worker.accesslogs import AccessLogs
from kore._process.worker.params import WorkerParams
from kore._process.worker.slow_handlers import SlowHandlers
from kore._process.worker.tasks import RequestTasks
from kore._values.methods import METHODS

if TYPE_CHECKING:
    from kore._process.worker.filemaps import Filemaps

NO_RULES: Final = ParameterRules()

Resolver = Callable[[Any], RouteEntry | None]


class Routing:
    """Makes the routes of a configuration callable, and listens for their requests."""

    def __init__(
        self,
        params: WorkerParams,
        tasks: RequestTasks,
        accesslogs: AccessLogs,
        slow_handlers: SlowHandlers | None,
    ) -> None:
        self.slow_handlers = slow_handlers
        self.config: Config = params.config
        self.sockets = params.sockets
        self.tasks = tasks
        self.accesslogs = accesslogs
        # Hints about parameters that were logged once.
        self.hints: set[str] = set()
        # `file:line` of handlers by route; empty for routes with several.
        self.handler_places: dict[str, str] = {}
        self.filemaps = _build_filemaps(self.config, self._list_routes())

    def _list_routes(self) -> list[Route]:
        return [route for domain in self.config.domains for route in domain.routes]

    def listen(
        self, poller: Poller, context: ServerContext, tls_servers: Mapping[str, TlsFactory]
    ) -> None:
        """Start to accept on the sockets of each server, with a router for its domains."""
        if any(route.methods[-1] not in METHODS for route in self._list_routes()):
            context.accept_any_method()
        secure = self._find_secure_domains()
        redirecting = {server.name for server in self.config.servers if server.redirect_https}
        for name, sock in self.sockets:
            # A socket that was bound for a reload does not listen yet.
            sock.listen(self.config.settings.socket_backlog)
            domains = [domain for domain in self.config.domains if domain.server == name]
            verified = self._find_verified_domains(name)
            router = Router(domains, self.make_handler, self.accesslogs.find, verified)
            resolve: Resolver = router.resolve
            if name in redirecting:
                resolve = HttpsRedirect(secure, router.resolve).resolve
            default_log = self.accesslogs.find_first(domains)
            first = FirstProtocol(resolve, default_log)
            Listener(poller, context, sock, first, tls=tls_servers.get(name))
            # The listener has a descriptor of its own. With this one open, the kernel would still
            # queue clients here when the listener is closed.
            sock.close()

    def _find_verified_domains(self, server: str) -> frozenset[str]:
        """Return the names of a server's domains that require client certificates."""
        own = (entry for entry in self.config.tls if entry.server == server)
        return frozenset(entry.domain for entry in own if entry.client_verify)

    def _find_secure_domains(self) -> list[SecureDomain]:
        """Return the domains of servers with TLS, to which plain servers redirect."""
        names = {entry.server for entry in self.config.tls}
        ports = {name: choose_port(self._list_ports(name)) for name in names}
        return [
            SecureDomain(domain.name, ports[domain.server], self.accesslogs.find(domain))
            for domain in self.config.domains
            if domain.server in names
        ]

    def _list_ports(self, server: str) -> list[int]:
        """Return the ports that a server listens on."""
        own = [sock for name, sock in self.sockets if name == server]
        return [sock.getsockname()[1] for sock in own if sock.family != socket.AF_UNIX]

    def make_handler(self, route: Route) -> RouteHandler:
        """Return the function that the core calls for a route: its steps and its handler."""
        if self.filemaps is None or not route.files:
            place = locate_function(route.handler)
            known = self.handler_places.get(route.path, place)
            self.handler_places[route.path] = place if known == place else ""
            run = fold_steps(route, build_steps(route, self.config.prerequests))
            if self.slow_handlers is not None:
                return self.slow_handlers.wrap(route.path, route.handler, run)
            return run
        serve = self.filemaps.make_handler(route)
        # No prerequests: they are for handlers.
        return fold_steps(replace(route, handler=serve), build_steps(route, ()))

    def expire_files(self) -> None:
        """Close files of filemaps that have not been asked for lately."""
        if self.filemaps is not None:
            self.filemaps.expire()

    def make_request_data(self, request: Request, entry: RouteEntry) -> RequestData:
        """Return the object that reads parameters, cookies and files of a request."""
        declared = entry.route.requirements.parameters.get(request.method, NO_RULES)
        return RequestData(self.config.settings, declared, self.hints)

    def send_stream(self, request: Request, status: int, items: Any) -> None:
        """Send an async iterator as the body of a response."""
        body = ResponseBody(items)
        task = self.tasks.spawn(stream_body(request, status, body), request)

        def discard_if_not_started(_: object) -> None:
            if not body.begun:
                self.discard_stream(request, items)

        task.add_done_callback(discard_if_not_started)

    def discard_stream(self, request: Request, items: Any) -> None:
        """Close an async iterator whose items are not sent."""
        if close := getattr(items, "aclose", None):
            self.tasks.run_after_request(close(), f"route '{Request.get_route_label(request)}'")


def _build_filemaps(config: Config, routes: Sequence[Route]) -> "Filemaps | None":
    """Return the filemaps of a configuration; None if it has none: their code takes 0.3 MB."""
    maps = [route for route in routes if route.files]
    if not maps:
        return None
    from kore._process.worker.filemaps import Filemaps

    return Filemaps(config.settings, maps)
