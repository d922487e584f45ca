"""The configuration while it is written. Both calls and files end in a Builder."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Unpack

from kore._conf import (
    arguments,
    cross_checks,
    databases,
    domain_tls,
    filemaps,
    notices,
    route_options,
    settings_checks,
    signatures,
    websockets,
)
from kore._conf.diagnostics import Diagnostics, find_caller
from kore._conf.domain_handle import COMBINED, DomainHandle
from kore._conf.schema import (
    Config,
    DatabaseConfig,
    Domain,
    FunctionFinder,
    Handler,
    Prerequest,
    Route,
    RouteKeywords,
    Tracer,
)
from kore._conf.server_schema import (
    Address,
    CertificateFiles,
    DomainTls,
    Privsep,
    Server,
)
from kore._conf.settings import Settings
from kore.errors import ConfigError, KoreError

DEFAULT_NAME: Final = "kore"
DEFAULT_SERVER: Final = "default"
DOMAIN_KEYWORDS: Final = ", ".join(
    ("attach", "accesslog", "accesslog_format", *sorted(domain_tls.KEYWORDS))
)


@dataclass(frozen=True, slots=True)
class PendingRoute:
    """A route, and its domain, which may be configured later; None for the only domain."""

    route: Route
    domain: DomainHandle | str | None


class Builder:
    """Collects the configuration, call by call, until `build()` checks and freezes it."""

    def __init__(self, locate: Callable[[], str] | None = None) -> None:
        self.locate = locate or find_caller
        self.settings = Settings()
        self.servers: dict[str, Server] = {}
        # Further addresses of the servers.
        self.extra_addresses: list[Server] = []
        self.domains: list[DomainHandle] = []
        self.pending_routes: list[PendingRoute] = []
        self.databases: dict[str, DatabaseConfig] = {}
        self.tasks: list[Coroutine[Any, Any, Any]] = []
        self.prerequests: list[Prerequest] = []
        self.hooks: dict[str, Callable[..., Any]] = {}
        self.onloads: list[Callable[..., Any]] = []
        self.privseps: dict[str, Privsep] = {}
        self.traps: list[int] = []
        self.notices: list[str] = []
        self.find_function: FunctionFinder | None = None
        # Errors of a file. build() adds those of the whole, and raises all.
        self.problems = Diagnostics()
        self.name = DEFAULT_NAME
        # Of `kodev run --tls`: servers without TLS get it, with this certificate.
        self.local_certificate: CertificateFiles | None = None
        self.frozen = False
        # By the name of a setting: called at once with a new value.
        self.on_change: dict[str, Callable[[Any], object]] = {}
        self._tracer: Tracer | None = None
        # Places of settings and servers, for errors that build() finds.
        self._setting_places: dict[str, str] = {}
        self._server_places: dict[str, str] = {}

    def set(self, name: str, value: object) -> None:
        """Change a setting."""
        if self.frozen:
            raise KoreError(
                "configured cannot be changed at runtime: "
                "set it on import or in koreapp.configure()"
            )
        if name in arguments.OLD_PRIVSEP_KEYWORDS:
            self._set_old_privilege(name, value)
            return
        changed = arguments.find_setting(name).assign(getattr(self.settings, name), value)
        self.settings = replace(self.settings, **{name: changed})
        self._setting_places[name] = self.locate()
        if on_change := self.on_change.get(name):
            on_change(changed)

    def server(
        self, name: str, address: Address, *, tls: bool, redirect_https: bool = False
    ) -> None:
        """Listen on an address. *redirect_https*: redirect requests to servers with TLS."""
        self.check_open()
        cross_checks.check_server_name(arguments.check_printable(name, "name"), self.servers)
        cross_checks.check_address(address, self.list_addresses())
        if tls and redirect_https:
            hint = "pass tls=False or write `tls no`"
            raise ConfigError(f"redirect_https is for a server without TLS: {hint}")
        self.servers[name] = Server(name, address, tls, redirect_https)
        self._server_places[name] = self.locate()

    def add_address(self, name: str, address: Address) -> None:
        """Have a server listen on another address, too."""
        self.check_open()
        cross_checks.check_address(address, self.list_addresses())
        wanted = replace(self.servers[name], address=address)
        if wanted in self.list_addresses():
            raise ConfigError(f"{address} is already the address of server '{name}'")
        self.extra_addresses.append(wanted)

    def bind(self, address: Address) -> None:
        """Listen on an address without TLS, with the server `default`."""
        if DEFAULT_SERVER not in self.servers:
            self.server(DEFAULT_SERVER, address, tls=False)
            return
        cross_checks.check_no_tls(DEFAULT_SERVER, self.servers[DEFAULT_SERVER])
        self.add_address(DEFAULT_SERVER, address)

    def list_addresses(self) -> list[Server]:
        """Return a Server for each address, those of one server together."""
        return [
            entry
            for name, server in self.servers.items()
            for entry in (server, *(extra for extra in self.extra_addresses if extra.name == name))
        ]

    def domain(
        self,
        name: str,
        attach: str,
        *,
        accesslog: object = None,
        accesslog_format: object = COMBINED,
        **tls: object,
    ) -> DomainHandle:
        """Serve a host name on a server, which may be configured later."""
        self.check_open()
        name = arguments.normalize_domain_name(name)
        label = f"domain '{name}'"
        unknown = {name: value for name, value in tls.items() if name not in domain_tls.KEYWORDS}
        arguments.reject_keywords(label, unknown, DOMAIN_KEYWORDS, ())
        cross_checks.check_domain(name, arguments.check_text(attach, "attach"), self.domains)
        handle = DomainHandle(self, name, attach, self.locate())
        if accesslog is not None:
            handle.set_accesslog(accesslog, accesslog_format)
        handle.tls = domain_tls.read_keywords(tls, label)
        self.domains.append(handle)
        return handle

    def route(
        self,
        path: str,
        handler: Handler,
        *,
        methods: Sequence[str] | None = None,
        domain: DomainHandle | str | None = None,
        **keywords: Unpack[RouteKeywords],
    ) -> None:
        """Serve a path on a domain, which may be configured later; None for the only domain."""
        self.check_open()
        path = arguments.normalize_route_path(path)
        if not callable(handler):
            raise TypeError(f"route '{path}': {handler!r} is not callable")
        if domain is not None and not isinstance(domain, DomainHandle):
            domain = arguments.check_text(domain, "domain")
        taken = arguments.normalize_methods(methods)
        requirements = route_options.build_requirements(path, taken, keywords)
        route = Route(path, handler, taken, requirements, where=self.locate())
        signatures.check_handler(handler, path, route.pattern)
        self.pending_routes.append(PendingRoute(route, domain))

    def filemaps(self, maps: object, domain: DomainHandle) -> None:
        """Serve the files of directories on a domain."""
        self.check_open()
        for route in filemaps.build_filemap_routes(maps, self.locate()):
            self.pending_routes.append(PendingRoute(route, domain))

    def privsep(self, wanted: Privsep) -> None:
        """Have a kind of process drop privileges, beside those of earlier calls."""
        self.check_open()
        earlier = self.privseps.get(wanted.process, wanted)
        self.privseps[wanted.process] = replace(
            wanted,
            root=wanted.root or earlier.root,
            runas=wanted.runas or earlier.runas,
            skip=wanted.skip or earlier.skip,
            where=self.locate(),
        )

    def prerequest(self, hook: Prerequest) -> None:
        """Call *hook* before every handler."""
        self.check_open()
        if not callable(hook):
            raise TypeError(f"prerequest: {hook!r} is not callable")
        signatures.check_callable(hook, "(req)", "the prerequest")
        self.prerequests.append(hook)

    def database(self, name: str, connstring: str) -> None:
        """Give a database a name. The same call again has no effect, as in Kore."""
        self.check_open()
        databases.add_database(
            self.databases, databases.build_database(name, connstring, self.locate())
        )

    def create_task(self, task: Coroutine[Any, Any, Any]) -> int:
        """Keep a coroutine; each worker starts its own copy. Returns its number."""
        self.check_open()
        self.tasks.append(task)
        return len(self.tasks)

    @property
    def tracer(self) -> Tracer | None:
        """The function that is called with exceptions that nothing caught."""
        return self._tracer

    @tracer.setter
    def tracer(self, callback: Tracer) -> None:
        self.check_open()
        signatures.check_callable(callback, "(type, value, traceback)", "the tracer")
        self._tracer = callback

    def rename(self, name: str) -> None:
        """Set the name that process titles begin with."""
        self.check_open()
        self.name = arguments.check_printable(name, "name")

    def trap(self, number: int) -> None:
        """Have each worker pass a signal to the application."""
        self.check_open()
        self.traps.append(number)

    def check_open(self) -> None:
        """Raise KoreError if the configuration is final."""
        if self.frozen:
            raise KoreError("configuration is final: call this on import or in koreapp.configure()")

    def build(self) -> Config:
        """Check the whole and freeze it. Raises ConfigError with all that is wrong."""
        self.check_open()
        if self.local_certificate is not None:
            self.servers = {name: _add_tls(server) for name, server in self.servers.items()}
            self.extra_addresses = list(map(_add_tls, self.extra_addresses))
        files = any(pending.route.files for pending in self.pending_routes)
        settings = settings_checks.resolve_settings(
            self.settings, self._setting_places, self.problems, files=files
        )
        cross_checks.check_servers(
            list(self.servers.values()),
            self._server_places,
            self.problems,
            needed=self._needs_server(),
        )
        domains, tls = self._build_domains()
        cross_checks.check_tls_domains(
            list(self.servers.values()), self._server_places, self.domains, self.problems
        )
        self.problems.raise_if_any()
        self.settings = settings
        self.frozen = True
        return Config(
            settings=settings,
            servers=tuple(self.list_addresses()),
            domains=domains,
            databases=tuple(self.databases.values()),
            tasks=tuple(self.tasks),
            tracer=self.tracer,
            prerequests=tuple(self.prerequests),
            name=self.name,
            hooks=dict(self.hooks),
            onloads=tuple(self.onloads),
            privsep=tuple(self.privseps.values()),
            tls=tls,
            traps=tuple(self.traps),
            setting_places=dict(self._setting_places),
            find_function=self.find_function,
            notices=(
                *self.notices,
                *notices.find_settings_notices(settings, self._setting_places),
                *notices.find_privsep_notices(self.privseps.values()),
            ),
        )

    def take_over(self, other: "Builder") -> None:
        """Take from *other* the parts that a file cannot configure."""
        self.tasks += other.tasks
        self.traps += other.traps
        self.prerequests += other.prerequests
        self._tracer = other.tracer if self._tracer is None else self._tracer
        self.name = other.name if self.name == DEFAULT_NAME else self.name
        other.tasks, other.prerequests = [], []

    def discard(self) -> None:
        """Close the coroutines of tasks, which will not run."""
        for task in self.tasks:
            task.close()

    def _set_old_privilege(self, name: str, value: object) -> None:
        process, what = arguments.parse_privsep_keyword(name)
        given = {"root": None, "runas": None, what: value}
        self.privsep(arguments.build_privsep(process, skip=(), **given))
        call = f"kore.privsep({process!r}, {what}={value!r})"
        self.notices.append(f"{self.locate()}: kore.config.{name} is an old spelling, call {call}")

    def _needs_server(self) -> bool:
        # An application may have sockets of its own, or none.
        runs = self.tasks or self.onloads or "workerstart" in self.hooks
        return bool(self.domains or self.pending_routes or not runs)

    def _build_domains(self) -> tuple[tuple[Domain, ...], tuple[DomainTls, ...]]:
        """Return the domains, and the TLS parts of those whose server has TLS."""
        routes: dict[DomainHandle, list[Route]] = {domain: [] for domain in self.domains}
        tls: list[DomainTls] = []
        # Without any server, domains that are not attached are not reported as well.
        for domain in self.domains if self.servers else ():
            with self.problems.collect_errors(domain.where):
                cross_checks.check_attached(domain.name, domain.attach, self.servers)
                if not self.servers[domain.attach].tls:
                    self.notices += domain.find_tls_notices()
                elif not domain.tls.broken:
                    tls.append(domain.build_tls(self.local_certificate))
        for pending in self.pending_routes:
            with self.problems.collect_errors(pending.route.where):
                routes[self._find_domain(pending)].append(self._resolve_callbacks(pending.route))
        domains = tuple(domain.build(found, self.problems) for domain, found in routes.items())
        return domains, tuple(tls)

    def _resolve_callbacks(self, route: Route) -> Route:
        """Return *route* with functions in place of the names of WebSocket callbacks."""
        given = route.requirements
        if not given.websocket or self.find_function is None:
            return route
        try:
            functions = websockets.resolve_callbacks(given.websocket, self.find_function)
            websockets.check_callbacks(functions)
        except (NameError, ConfigError) as error:
            raise ConfigError(f"route '{route.path}': {error}") from None
        return replace(route, requirements=replace(given, websocket=functions))

    def _find_domain(self, pending: PendingRoute) -> DomainHandle:
        if isinstance(pending.domain, DomainHandle):
            return pending.domain
        return cross_checks.find_domain(pending.domain, self.domains)


def _add_tls(server: Server) -> Server:
    """Return a server with TLS, unless all it does is to redirect to one."""
    return server if server.redirect_https else replace(server, tls=True)
