"""The configuration while it is being written. Both doors, calls and text, end here."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn, Unpack

from kore._conf import (
    check,
    databases,
    domain_rules,
    filemaps,
    route_options,
    settings_checks,
    signatures,
    websockets,
)
from kore._conf.diagnostics import Diagnostics
from kore._conf.pending_routes import PendingRoute, distinct, guard_maps
from kore._conf.schema import (
    Config,
    Database,
    Domain,
    Handler,
    Named,
    Prerequest,
    RedirectRule,
    Route,
    RouteKeywords,
    Tracer,
)
from kore._conf.server_schema import AccessLogConfig, Address, Privsep, Server
from kore._conf.settings import Settings
from kore._conf.source_location import caller
from kore.errors import ConfigError, KoreError

DEFAULT_NAME: Final = "kore"
DEFAULT_SERVER: Final = "default"
DOMAIN_KEYWORDS: Final = "attach, accesslog, accesslog_format"
COMBINED: Final = "combined"
PAIR: Final = 2


class DomainHandle:
    """One domain while it is configured: what `kore.domain()` returns."""

    __slots__ = ("_builder", "answers", "attach", "log", "name", "tls", "where")

    def __init__(self, builder: "Builder", name: str, attach: str, where: str) -> None:
        self._builder = builder
        self.name = name
        self.attach = attach
        self.where = where
        self.answers: list[RedirectRule] = []
        self.log: AccessLogConfig | None = None
        self.tls: list[str] = []

    def route(
        self,
        path: str,
        handler: Handler,
        *,
        methods: Sequence[str] | None = None,
        **keywords: Unpack[RouteKeywords],
    ) -> None:
        """Have *handler* answer requests for *path*, a regular expression unless it begins with /.

        *methods* are names in any case; "get" implies "head"; without it all are taken. Keywords:
        `get`, `post` and so on declare the parameters of a method, `qs` those that stand in the
        query under every method: dicts of names and validators. `required` lists parameters
        without which the answer is 400, `strict=True` has it say what was wrong. `auth` is a dict
        of `type`, `value`, `verify` and `redirect`. `hooks` is a dict of `on_headers`,
        `on_body_chunk` and `on_free`; `stream=True` runs the handler before the body is there, for
        `req.chunks()`; `body_max` is the most bytes of a body, in place of `http_body_max`;
        `websocket` is a dict of what a handshake on this route need not say.
        """
        self._builder.route(path, handler, methods=methods, domain=self, **keywords)

    def filemaps(self, maps: Mapping[str, object]) -> None:
        """Serve the files of directories.

        *maps* is a dict: paths that begin and end with /, and for each a directory, or a tuple of
        a directory and an `auth` as routes have it.
        """
        self._builder.filemaps(maps, self)

    def redirect(self, path: str, status: int, target: str) -> None:
        """Send clients elsewhere who ask for a path that the regular expression *path* matches.

        *status* is 300 to 399. In *target*, `$1` to `$15` are captures, `$qs` is the query and
        `$$` a dollar sign. Redirects and refusals come before routes; the first match wins.
        """
        self._builder.open()
        with route_options.labelled(f"domain '{self.name}'"):
            self.answers.append(domain_rules.redirect(path, status, target))

    def return_(self, path: str, status: int) -> None:
        """Refuse paths that the regular expression *path* matches, with 400 to 599."""
        self._builder.open()
        with route_options.labelled(f"domain '{self.name}'"):
            self.answers.append(domain_rules.refusal(path, status))

    @property
    def accesslog(self) -> NoReturn:
        """The file requests are logged to: can be set once, not read.

        A path, or a tuple of path and format: `combined`, `json`, or text with variables.
        """
        raise AttributeError("attribute 'accesslog' of a domain is not readable")

    @accesslog.setter
    def accesslog(self, given: object) -> None:
        self._builder.open()
        path, form = given if isinstance(given, tuple) and len(given) == PAIR else (given, COMBINED)
        self.log_to(path, form)

    def log_to(self, path: object, form: object) -> None:
        """Log requests to a file."""
        if self.log is not None:
            raise ConfigError(f"domain '{self.name}' accesslog already set: {self.log.path}")
        with route_options.labelled(f"domain '{self.name}'"):
            self.log = domain_rules.log(path, form, self._builder.locate())

    def made(self, wanted: Sequence[PendingRoute], problems: Diagnostics) -> Domain:
        """Return the domain when it is done."""
        routes = guard_maps(distinct(wanted, problems), self.answers)
        return Domain(self.name, self.attach, routes, tuple(self.answers), self.log)

    def __repr__(self) -> str:
        return f"<kore.domain '{self.name}' on server '{self.attach}'>"


class Builder:
    """What an application asks for, call by call, until `build()`."""

    def __init__(self, locate: Callable[[], str] | None = None) -> None:
        self.locate = locate or caller
        self.settings = Settings()
        self.servers: dict[str, Server] = {}
        # Their further addresses.
        self.more: list[Server] = []
        self.domains: list[DomainHandle] = []
        self.wanted: list[PendingRoute] = []
        self.databases: dict[str, Database] = {}
        self.tasks: list[Coroutine[Any, Any, Any]] = []
        self.prerequests: list[Prerequest] = []
        self.hooks: dict[str, Callable[..., Any]] = {}
        self.onloads: list[Callable[..., Any]] = []
        self.privseps: dict[str, Privsep] = {}
        self.traps: list[int] = []
        self.notices: list[str] = []
        # Finds functions of the application by their names.
        self.named: Named | None = None
        # What a file has wrong; build() adds what shows only at the end, and tells all of it.
        self.problems = Diagnostics()
        self.name = DEFAULT_NAME
        self.frozen = False
        # Who wants to know of a setting at once, before anything else is configured.
        self.told: dict[str, Callable[[Any], object]] = {}
        self._tracer: Tracer | None = None
        # Where each setting and each server comes from, for errors that show only at the end.
        self._set: dict[str, str] = {}
        self._placed: dict[str, str] = {}

    def set(self, name: str, value: object) -> None:
        """Change a setting."""
        if self.frozen:
            raise KoreError(
                "configured cannot be changed at runtime: "
                "set it on import or in koreapp.configure()"
            )
        if name in check.LEGACY:
            self._moved(name, value)
            return
        changed = check.setting(name).changed(getattr(self.settings, name), value)
        self.settings = replace(self.settings, **{name: changed})
        self._set[name] = self.locate()
        if tell := self.told.get(name):
            tell(changed)

    def server(self, name: str, address: Address, *, tls: bool) -> None:
        """Listen on an address."""
        self.open()
        check.free_name(check.printable(name, "name"), self.servers)
        check.free_address(address, self.listening())
        self.servers[name] = Server(name, address, tls)
        self._placed[name] = self.locate()

    def also(self, name: str, address: Address) -> None:
        """Have a server listen on one more address."""
        self.open()
        check.free_address(address, self.listening())
        wanted = replace(self.servers[name], address=address)
        if wanted in self.listening():
            raise ConfigError(f"{address} is already the address of server '{name}'")
        self.more.append(wanted)

    def bind(self, address: Address) -> None:
        """Listen on an address without TLS, on the server `default` together with others."""
        if DEFAULT_SERVER not in self.servers:
            self.server(DEFAULT_SERVER, address, tls=False)
            return
        check.without_tls_only(DEFAULT_SERVER, self.servers[DEFAULT_SERVER])
        self.also(DEFAULT_SERVER, address)

    def listening(self) -> list[Server]:
        """Return an entry for each address, those of a server together."""
        return [
            entry
            for name, server in self.servers.items()
            for entry in (server, *(more for more in self.more if more.name == name))
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
        """Serve a host name on a server, which may come later."""
        self.open()
        name = check.domain_name(name)
        unknown = {name: value for name, value in tls.items() if name not in check.TLS_KEYWORDS}
        check.keywords(f"domain '{name}'", unknown, DOMAIN_KEYWORDS, ())
        check.free_domain(name, check.text(attach, "attach"), self.domains)
        handle = DomainHandle(self, name, attach, self.locate())
        if accesslog is not None:
            handle.log_to(accesslog, accesslog_format)
        # One without a value asks for nothing.
        handle.tls += [name for name, value in tls.items() if value]
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
        """Serve a path on a domain, which may come later; None: the only one."""
        self.open()
        path = check.route_path(path)
        if not callable(handler):
            raise TypeError(f"route '{path}': {handler!r} is not callable")
        if domain is not None and not isinstance(domain, DomainHandle):
            domain = check.text(domain, "domain")
        taken = check.methods(methods)
        route = Route(path, handler, taken, route_options.demands(path, taken, keywords))
        signatures.takes_captures(handler, path, route.pattern)
        self.wanted.append(PendingRoute(route, domain, self.locate()))

    def filemaps(self, maps: object, domain: DomainHandle) -> None:
        """Serve the files of directories on a domain."""
        self.open()
        for route in filemaps.routes(maps, domain.name):
            self.wanted.append(PendingRoute(route, domain, self.locate()))

    def privsep(self, wanted: Privsep) -> None:
        """Have a kind of process give something up. What an earlier call said stays."""
        self.open()
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
        self.open()
        if not callable(hook):
            raise TypeError(f"prerequest: {hook!r} is not callable")
        signatures.takes(hook, "(req)", "the prerequest")
        self.prerequests.append(hook)

    def database(self, name: str, connstring: str) -> None:
        """Give a database a name. The same again is nothing new, as in Kore."""
        self.open()
        databases.add(self.databases, databases.database(name, connstring, self.locate()))

    def create_task(self, task: Coroutine[Any, Any, Any]) -> int:
        """Keep a coroutine; each worker starts its own copy. Returns its number."""
        self.open()
        self.tasks.append(task)
        return len(self.tasks)

    @property
    def tracer(self) -> Tracer | None:
        """What is called with exceptions that nothing caught."""
        return self._tracer

    @tracer.setter
    def tracer(self, callback: Tracer) -> None:
        self.open()
        signatures.takes(callback, "(type, value, traceback)", "the tracer")
        self._tracer = callback

    def rename(self, name: str) -> None:
        """Set the name that process titles begin with."""
        self.open()
        self.name = check.printable(name, "name")

    def trap(self, number: int) -> None:
        """Have each worker hear of a signal."""
        self.open()
        self.traps.append(number)

    def open(self) -> None:
        """Refuse to go on when the configuration is final."""
        if self.frozen:
            raise KoreError("configuration is final: call this on import or in koreapp.configure()")

    def build(self) -> Config:
        """Check the whole and freeze it, or tell everything that is wrong with it."""
        self.open()
        files = any(one.route.files for one in self.wanted)
        settings = settings_checks.in_force(self.settings, self._set, self.problems, files=files)
        servers = list(self.servers.values())
        check.servers(servers, self._placed, self.problems, needed=self._needs_server())
        domains = self._routed()
        self.problems.tell()
        self.settings = settings
        self.frozen = True
        return Config(
            settings=settings,
            servers=tuple(self.listening()),
            domains=domains,
            databases=tuple(self.databases.values()),
            tasks=tuple(self.tasks),
            tracer=self.tracer,
            prerequests=tuple(self.prerequests),
            name=self.name,
            hooks=dict(self.hooks),
            onloads=tuple(self.onloads),
            privsep=tuple(self.privseps.values()),
            traps=tuple(self.traps),
            named=self.named,
            notices=(
                *self.notices,
                *settings_checks.notices(self.settings, self._set),
                *check.privsep_notices(self.privseps.values()),
            ),
        )

    def take(self, other: "Builder") -> None:
        """Take from *other* what a file has no words for, and leave it the rest."""
        self.tasks += other.tasks
        self.traps += other.traps
        self.prerequests += other.prerequests
        self._tracer = other.tracer if self._tracer is None else self._tracer
        self.name = other.name if self.name == DEFAULT_NAME else self.name
        other.tasks, other.prerequests = [], []

    def discard(self) -> None:
        """Give up: nothing kept here will ever run."""
        for task in self.tasks:
            task.close()

    def _moved(self, name: str, value: object) -> None:
        process, what = check.privilege(name)
        self.privsep(check.privsep(process, skip=(), **{"root": None, "runas": None, what: value}))
        call = f"kore.privsep({process!r}, {what}={value!r})"
        self.notices.append(f"{self.locate()}: kore.config.{name} is an old spelling, call {call}")

    def _needs_server(self) -> bool:
        # An application may have sockets of its own, or none.
        runs = self.tasks or self.onloads or "workerstart" in self.hooks
        return bool(self.domains or self.wanted or not runs)

    def _routed(self) -> tuple[Domain, ...]:
        wanted: dict[DomainHandle, list[PendingRoute]] = {domain: [] for domain in self.domains}
        # Without any server there is another problem, of which this is only what follows.
        for domain in self.domains if self.servers else ():
            with self.problems.noted(domain.where):
                check.attached(domain.name, domain.attach, self.servers)
                if not self.servers[domain.attach].tls:
                    self.notices += check.without_tls(domain, domain.tls, domain.where)
        for one in self.wanted:
            with self.problems.noted(one.where):
                wanted[self._owner(one)].append(self._with_functions(one))
        return tuple(domain.made(routes, self.problems) for domain, routes in wanted.items())

    def _with_functions(self, wanted: PendingRoute) -> PendingRoute:
        given = wanted.route.demands
        if not given.websocket or self.named is None:
            return wanted
        try:
            functions = websockets.resolved(given.websocket, self.named)
            websockets.check_callbacks(functions)
        except (NameError, ConfigError) as error:
            raise ConfigError(f"route '{wanted.route.path}': {error}") from None
        route = replace(wanted.route, demands=replace(given, websocket=functions))
        return replace(wanted, route=route)

    def _owner(self, wanted: PendingRoute) -> DomainHandle:
        if isinstance(wanted.domain, DomainHandle):
            return wanted.domain
        return check.owner(wanted.domain, self.domains)
