"""The domain and route blocks of kore.conf."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from kore._conf import check, domain_rules, filemaps
from kore._conf.builder import COMBINED, DomainHandle
from kore._conf.file.directives import Directive, Scope, Table, flag, number, opened
from kore._conf.file.routes import RouteScope, add_route
from kore._conf.file.syntax import Block
from kore._conf.schema import RedirectRule, compiled
from kore._conf.server_schema import AccessLogConfig
from kore.errors import ConfigError

DEPTH_MAX: Final = 2**31 - 1
# On a server without TLS these have nothing to do; the others protect something.
IDLE_WITHOUT_TLS: Final = frozenset({"certfile", "certkey", "client_verify_depth"})


@dataclass(slots=True)
class FilemapScope(Scope):
    """A `filemap` statement; *value* is that of `filemaps()` in Python."""

    uri: str = ""
    value: object = None


@dataclass(slots=True)
class DomainScope(Scope):
    """A domain block."""

    name: str = ""
    attach: str = ""
    # In their order, which decides whose a request is.
    parts: list[RouteScope | FilemapScope] = field(default_factory=list)
    tls: dict[str, Block] = field(default_factory=dict)
    acme: bool = False
    answers: list[RedirectRule] = field(default_factory=list)
    accesslog: AccessLogConfig | None = None

    @property
    def routes(self) -> list[RouteScope]:
        """The route blocks."""
        return [part for part in self.parts if isinstance(part, RouteScope)]


# Domains


def domain(top: Scope, block: Block) -> DomainScope:
    """Read `domain NAME {`."""
    name = check.domain_name(block.arguments[0])
    return DomainScope(top.reading, label=f"domain '{name}'", name=name)


def finish_domain(scope: DomainScope, block: Block) -> None:
    """Make a domain of what its block says."""
    if not scope.attach and not block.has("attach"):
        scope.attach = scope.reading.implicit or only_server(scope, block)
        if not scope.attach:
            raise ConfigError(f"domain '{scope.name}' not attached to server: write `attach NAME`")
    if not scope.attach or ("server", scope.attach) in scope.reading.broken:
        return
    check_tls(scope)
    # Its own name is in the builder's messages.
    with scope.reading.at(block.where):
        handle = scope.reading.builder.domain(scope.name, scope.attach)
        handle.answers += scope.answers
        handle.log = scope.accesslog
        for part in scope.parts:
            if isinstance(part, FilemapScope):
                add_filemap(handle, part)
            else:
                add_route(handle, part)


def only_server(scope: DomainScope, block: Block) -> str:
    """Return the server of a domain in the spelling of 3.x, where none was named: the only one."""
    reading = scope.reading
    rows = reading.contexts["domain"]
    is_old = any(b.keyword in rows and rows[b.keyword].form(b).old for b in block.body or ())
    if not is_old or len(reading.builder.servers) != 1:
        return ""
    (name,) = reading.builder.servers
    reading.notice(block, f"{scope.label} is attached to the only server: write `attach {name}`")
    return name


def check_tls(scope: DomainScope) -> None:
    """See that what a domain says about TLS is complete, and has a server that speaks it."""
    builder = scope.reading.builder
    server = builder.servers.get(scope.attach)
    if server is not None and not server.tls:
        for keyword, block in scope.tls.items():
            if keyword in IDLE_WITHOUT_TLS:
                text = f"{keyword} has no effect: server '{scope.attach}' is without TLS"
                scope.reading.notice(block, f"{scope.label}: {text}")
            else:
                text = f"{keyword} needs a server with TLS, and '{scope.attach}' is without"
                builder.problems.add(block.where, f"{scope.label}: {text}")
    elif server is not None and not scope.acme and not {"certfile", "certkey"} <= scope.tls.keys():
        raise ConfigError(f"incomplete TLS setup for '{scope.name}': write certfile and certkey")


def attach(scope: DomainScope, block: Block) -> None:
    """Read `attach SERVER`."""
    if scope.attach:
        raise ConfigError(f"already attached to server '{scope.attach}'")
    scope.attach = check.text(block.arguments[0], block.keyword)


def tls_option(scope: DomainScope, block: Block) -> None:
    """Read `certfile`, `certkey` and `client_verify`."""
    if block.keyword == "client_verify" and block.keyword in scope.tls:
        raise ConfigError(f"client_verify already set for '{scope.name}'")
    for path in block.arguments:
        check.text(path, block.keyword)
    scope.tls[block.keyword] = block


def client_verify_depth(scope: DomainScope, block: Block) -> None:
    """Read `client_verify_depth N`."""
    number(block, 0, 0, DEPTH_MAX)
    scope.tls[block.keyword] = block


def acme(scope: DomainScope, block: Block) -> None:
    """Read `acme yes|no`."""
    if not flag(block):
        return
    if "*" in scope.name:
        raise ConfigError("acme: wildcards not supported due to lack of dns-01")
    scope.acme = True
    scope.tls[block.keyword] = block


def accesslog(scope: DomainScope, block: Block) -> None:
    """Read `accesslog PATH [FORMAT]`."""
    if scope.accesslog:
        raise ConfigError(f"already has the accesslog {scope.accesslog.path}")
    path, form = (*block.arguments, COMBINED)[:2]
    scope.accesslog = domain_rules.log(path, form, block.where)


def filemap(scope: DomainScope, block: Block) -> None:
    """Read `filemap URI PATH [AUTHENTICATION]`."""
    uri, path, *auth = block.arguments
    value: object = scope.reading.host.located(check.text(path, block.keyword))
    for name in auth:
        known = scope.reading.defined("authentication", name, scope.reading.authentications)
        if known is None:
            return
        value = (value, known)
    made = FilemapScope(scope.reading, block.where, uri=filemaps.prefix(uri), value=value)
    scope.parts.append(made)


def add_filemap(handle: DomainHandle, scope: FilemapScope) -> None:
    """Hand a map to the builder."""
    with scope.reading.at(scope.where):
        handle.filemaps({scope.uri: scope.value})


def redirect(scope: DomainScope, block: Block) -> None:
    """Read `redirect REGEX STATUS TARGET`."""
    path, _, target = block.arguments
    status = number(block, 1, *domain_rules.REDIRECTS)
    scope.answers.append(domain_rules.redirect(path, status, target))


def return_(scope: DomainScope, block: Block) -> None:
    """Read `return REGEX STATUS`."""
    status = number(block, 1, *domain_rules.REFUSALS)
    scope.answers.append(domain_rules.refusal(block.arguments[0], status))


# Routes


def route(scope: DomainScope, block: Block) -> RouteScope:
    """Read `route PATH {`."""
    path = check.text(block.arguments[0], "path")
    if not path.startswith("/"):
        compiled(path)
    return RouteScope(scope.reading, label=f"route '{path}'", path=path)


def finish_route(domain: DomainScope, scope: RouteScope, block: Block) -> None:
    """See that a route is complete, and keep it for the end of the domain."""
    domain.parts.append(scope)
    if not block.has("handler"):
        raise ConfigError("no handler: write `handler FUNCTION`")


def run_route(domain: DomainScope, block: Block) -> None:
    """Read a route block."""

    def finish(scope: RouteScope, block: Block) -> None:
        finish_route(domain, scope, block)

    opened(route, "route", finish)(domain, block)


DOMAIN: Final[Table] = MappingProxyType(
    {
        "attach": Directive(attach, "SERVER", "Which server it is on."),
        "route": Directive(
            run_route,
            "PATH",
            "Answer requests for a path, a regular expression unless it begins with `/`.",
            block=True,
        ),
        "filemap": Directive(
            filemap, "URI PATH [AUTHENTICATION]", "Serve the files of a directory."
        ),
        "redirect": Directive(
            redirect,
            "REGEX STATUS TARGET",
            "Send clients elsewhere, with 300 to 399; `$1` is a capture, `$qs` the query.",
        ),
        "return": Directive(return_, "REGEX STATUS", "Refuse paths, with 400 to 599."),
        "accesslog": Directive(
            accesslog,
            "PATH [FORMAT]",
            "Log requests to a file: `combined`, `json`, or a text with variables.",
        ),
        "certfile": Directive(tls_option, "PATH", "The certificate and its chain.", later=True),
        "certkey": Directive(tls_option, "PATH", "The private key.", later=True),
        "client_verify": Directive(
            tls_option, "CA [CRL]", "Ask clients for certificates of this authority.", later=True
        ),
        "client_verify_depth": Directive(
            client_verify_depth, "NUMBER", "Certificates between the two; default 1.", later=True
        ),
        "acme": Directive(acme, "yes|no", "Get the certificate by ACME; default no.", later=True),
    }
)
