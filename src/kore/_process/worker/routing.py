"""What a worker serves: routes made callable, files behind them, sockets they are asked on."""

from dataclasses import replace
from typing import Any, Final

from kore._conf.schema import Config, ParameterRules, Route
from kore._conf.schema import Handler as RouteHandler
from kore._conf.signatures import locate_function
from kore._core.file import open_beneath
from kore._core.listener import Listener
from kore._core.poller import Poller
from kore._core.request import Request
from kore._core.server_context import ServerContext
from kore._http.files.file_cache import OpenFileCache
from kore._http.files.filemap import Directory, Filemap, build_policy
from kore._http.pipeline import fold_steps
from kore._http.request_data import RequestData
from kore._http.router import RouteEntry, Router
from kore._http.steps import build_steps
from kore._http.streaming import ResponseBody, stream_body
from kore._process.worker.accesslogs import AccessLogs
from kore._process.worker.params import WorkerParams
from kore._process.worker.slow_handlers import SlowHandlers
from kore._process.worker.tasks import RequestTasks

NOTHING: Final = ParameterRules()


class Routing:
    """The domains of a configuration, as one worker has them."""

    def __init__(
        self,
        birth: WorkerParams,
        tasks: RequestTasks,
        journals: AccessLogs,
        slow: SlowHandlers | None,
    ) -> None:
        self.slow = slow
        self.config: Config = birth.config
        self.sockets = birth.sockets
        self.tasks = tasks
        self.journals = journals
        # What was said about parameters that cannot be there.
        self.hints: set[str] = set()
        # Where handlers are, by their paths; empty where there are several.
        self.places: dict[str, str] = {}
        # Files that stay open for a moment.
        self.keeper = OpenFileCache(open_beneath)
        self.policy = build_policy(birth.config.settings, self.keeper.open)
        self.directories = {
            route.files: Directory(route.files, self.keeper.clear)
            for domain in birth.config.domains
            for route in domain.routes
            if route.files
        }

    def listen(self, poller: Poller, service: ServerContext) -> None:
        """Accept on the sockets of each server, with a router for its domains."""
        for name, sock in self.sockets:
            # One that joins others on a reload does not do so yet.
            sock.listen(self.config.settings.socket_backlog)
            domains = [domain for domain in self.config.domains if domain.server == name]
            router = Router(domains, self.fold, self.journals.of)
            stray = self.journals.first(domains)
            Listener(poller, service, sock, router.resolve, stray)
            # The listener has a descriptor of its own: with this one open, the kernel would go on
            # to queue clients here when the listener is closed.
            sock.close()

    def fold(self, route: Route) -> RouteHandler:
        """Make of a route what the core calls for it."""
        if not route.files:
            place = locate_function(route.handler)
            self.places[route.path] = place * (self.places.get(route.path, place) == place)
            run = fold_steps(route, build_steps(route, self.config.prerequests))
            return self.slow.watch(route.path, route.handler, run) if self.slow else run
        served = Filemap(route, self.directories[route.files], self.policy).serve
        # Prerequests are for handlers.
        return fold_steps(replace(route, handler=served), build_steps(route, ()))

    def parts(self, request: Request, entry: RouteEntry) -> RequestData:
        """Make what reads the parameters, cookies and files of a request."""
        declared = entry.route.requirements.parameters.get(request.method, NOTHING)
        return RequestData(self.config.settings, declared, self.hints)

    def stream(self, request: Request, status: int, items: Any) -> None:
        """Send an async iterator as the body of a response."""
        body = ResponseBody(items)
        task = self.tasks.spawn(stream_body(request, status, body), request)

        def close_if_not_started(_: object) -> None:
            if not body.begun:
                self.discard(request, items)

        task.add_done_callback(close_if_not_started)

    def discard(self, request: Request, items: Any) -> None:
        """Close an async iterator whose items are not sent."""
        if close := getattr(items, "aclose", None):
            self.tasks.run_after_request(close(), f"route '{Request.where(request)}'")
