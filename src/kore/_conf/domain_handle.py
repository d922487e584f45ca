"""A domain while it is configured: what `kore.domain()` returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn, Protocol, Unpack

from kore._conf import domain_routes, domain_rules, domain_tls, route_options
from kore._conf.diagnostics import Diagnostics
from kore._conf.domain_tls import TlsOptions
from kore._conf.schema import Domain, Handler, RedirectRule, Route, RouteKeywords
from kore._conf.server_schema import AccessLogConfig, CertificateFiles, DomainTls
from kore.errors import ConfigError

COMBINED: Final = "combined"
PAIR: Final = 2


class DomainOwner(Protocol):
    """The configuration that a domain is part of."""

    locate: Callable[[], str]

    def check_open(self) -> None:
        """Raise KoreError if the configuration is final."""

    def route(
        self,
        path: str,
        handler: Handler,
        *,
        methods: Sequence[str] | None = None,
        domain: Any = None,
        **keywords: Unpack[RouteKeywords],
    ) -> None:
        """Serve a path on a domain."""

    def filemaps(self, maps: object, domain: Any) -> None:
        """Serve the files of directories on a domain."""


class DomainHandle:
    """A domain while it is configured: `kore.domain()` returns it."""

    __slots__ = ("_builder", "attach", "log_config", "name", "rules", "tls", "where")

    def __init__(self, builder: DomainOwner, name: str, attach: str, where: str) -> None:
        self._builder = builder
        self.name = name
        self.attach = attach
        self.where = where
        self.rules: list[RedirectRule] = []
        self.log_config: AccessLogConfig | None = None
        self.tls = TlsOptions()

    def route(
        self,
        path: str,
        handler: Handler,
        *,
        methods: Sequence[str] | None = None,
        **keywords: Unpack[RouteKeywords],
    ) -> None:
        """Have *handler* respond to requests for *path*, a regular expression unless / comes first.

        *methods* are names in any case; "get" implies "head", and "*" stands for all; without it
        a route takes those that have a number (`kore.HTTP_METHOD_GET`...). Keywords:
        `get`, `post` and so on declare the parameters of a method, `qs` those that stand in the
        query under every method: dicts of names and validators. `required` lists parameters
        without which the response is 400, `strict=True` has it say what was wrong. `auth` is a dict
        of `type`, `value`, `verify` and `redirect`. `hooks` is a dict of `on_headers`,
        `on_body_chunk` and `on_free`; `stream=True` runs the handler before the body is there, for
        `req.chunks()`; `body_max` is the most bytes of a body, in place of `http_body_max`;
        `websocket` is a dict of defaults for the handshakes of this route.
        """
        self._builder.route(path, handler, methods=methods, domain=self, **keywords)

    def filemaps(self, maps: Mapping[str, object]) -> None:
        """Serve the files of directories.

        *maps* is a dict: paths that begin and end with /, and for each a directory, or a tuple of
        a directory and an `auth` as routes have it.
        """
        self._builder.filemaps(maps, self)

    def redirect(self, path: str, status: int, target: str) -> None:
        """Redirect requests for paths that the regular expression *path* matches.

        *status* is 300 to 399. In *target*, `$1` to `$15` are captures, `$qs` is the query and
        `$$` a dollar sign. Redirects and refusals come before routes; the first match wins.
        """
        self._builder.check_open()
        with route_options.label_errors(f"domain '{self.name}'"):
            self.rules.append(domain_rules.build_redirect(path, status, target))

    def return_(self, path: str, status: int) -> None:
        """Refuse paths that the regular expression *path* matches, with 400 to 599."""
        self._builder.check_open()
        with route_options.label_errors(f"domain '{self.name}'"):
            self.rules.append(domain_rules.build_refusal(path, status))

    @property
    def accesslog(self) -> NoReturn:
        """The file requests are logged to: can be set once, not read.

        A path, or a tuple of path and format: `combined`, `json`, or text with variables.
        """
        raise AttributeError("attribute 'accesslog' of a domain is not readable")

    @accesslog.setter
    def accesslog(self, given: object) -> None:
        self._builder.check_open()
        path, form = given if isinstance(given, tuple) and len(given) == PAIR else (given, COMBINED)
        self.set_accesslog(path, form)

    def set_accesslog(self, path: object, form: object) -> None:
        """Log requests to a file."""
        if self.log_config is not None:
            raise ConfigError(f"domain '{self.name}' accesslog already set: {self.log_config.path}")
        with route_options.label_errors(f"domain '{self.name}'"):
            self.log_config = domain_rules.build_accesslog(path, form, self._builder.locate())

    def build(self, routes: Sequence[Route], problems: Diagnostics) -> Domain:
        """Return the finished domain."""
        complete = domain_routes.complete_routes(routes, problems)
        guarded = domain_routes.guard_maps(complete, self.rules)
        return Domain(self.name, self.attach, guarded, tuple(self.rules), self.log_config)

    def build_tls(self, local: CertificateFiles | None) -> DomainTls:
        """Return the TLS part of the domain, whose server has TLS.

        *local* is its certificate if it has none.
        """
        options = self.tls
        if local is not None and not options.certificates and not options.keys:
            certificates, keys = (local.certificate,), (local.key,)
            options = replace(options, certificates=certificates, keys=keys, acme=False)
        return domain_tls.build_domain_tls(options, self.name, self.attach, self.where)

    def find_tls_notices(self) -> list[str]:
        """Return notices for TLS keywords, which have no effect: the server is without TLS."""
        found = domain_tls.find_notices(self.tls, self.name, self.attach)
        return [f"{self.where}: {notice}" for notice in found]

    def __repr__(self) -> str:
        return f"<kore.domain '{self.name}' on server '{self.attach}'>"
