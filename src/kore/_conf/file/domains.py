"""The domain blocks of kore.conf."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from kore._conf import arguments, domain_rules, filemaps
from kore._conf.domain_handle import COMBINED, DomainHandle
from kore._conf.file.directives import (
    Directive,
    Scope,
    Table,
    make_block_runner,
    read_number,
)
from kore._conf.file.routes import RouteScope, add_route
from kore._conf.file.syntax import Block
from kore._conf.file.tls import TLS, TlsScope, build_options, check_server
from kore._conf.schema import RedirectRule, compile_path
from kore._conf.server_schema import AccessLogConfig
from kore.errors import ConfigError


@dataclass(slots=True)
class FilemapScope(Scope):
    """A `filemap` statement; *value* is that of `filemaps()` in Python."""

    uri: str = ""
    value: object = None


@dataclass(slots=True)
class DomainScope(TlsScope):
    """A domain block."""

    # Routes and filemaps in order: the first match wins.
    parts: list[RouteScope | FilemapScope] = field(default_factory=list)
    rules: list[RedirectRule] = field(default_factory=list)
    accesslog: AccessLogConfig | None = None

    @property
    def routes(self) -> list[RouteScope]:
        """The route blocks."""
        return [part for part in self.parts if isinstance(part, RouteScope)]


# Domains


def open_domain(top: Scope, block: Block) -> DomainScope:
    """Read `domain NAME {`."""
    name = arguments.normalize_domain_name(block.arguments[0])
    return DomainScope(top.context, label=f"domain '{name}'", name=name)


def finish_domain(scope: DomainScope, block: Block) -> None:
    """Add the domain of a block to the builder, with its routes."""
    if not scope.attach and not block.has("attach"):
        scope.attach = scope.context.implicit_server or _use_only_server(scope, block)
        if not scope.attach:
            raise ConfigError(f"domain '{scope.name}' not attached to server: write `attach NAME`")
    if not scope.attach or ("server", scope.attach) in scope.context.broken:
        return
    check_server(scope)
    # Without the label: the builder's messages have the name.
    with scope.context.locate_errors(block.where):
        handle = scope.context.builder.domain(scope.name, scope.attach)
        handle.tls = build_options(scope)
        handle.rules += scope.rules
        handle.log_config = scope.accesslog
        for part in scope.parts:
            if isinstance(part, FilemapScope):
                _add_filemap(handle, part)
            else:
                add_route(handle, part)


def _use_only_server(scope: DomainScope, block: Block) -> str:
    """Return the only server, for a domain in the spelling of 3.x, which names none; else ""."""
    context = scope.context
    rows = context.tables["domain"]
    is_old = any(
        b.keyword in rows and rows[b.keyword].select_form(b).deprecated for b in block.body or ()
    )
    if not is_old or len(context.builder.servers) != 1:
        return ""
    (name,) = context.builder.servers
    context.add_notice(
        block, f"{scope.label} is attached to the only server: write `attach {name}`"
    )
    return name


def _read_attach(scope: DomainScope, block: Block) -> None:
    """Read `attach SERVER`."""
    if scope.attach:
        raise ConfigError(f"already attached to server '{scope.attach}'")
    scope.attach = arguments.check_text(block.arguments[0], block.keyword)


def _read_accesslog(scope: DomainScope, block: Block) -> None:
    """Read `accesslog PATH [FORMAT]`."""
    if scope.accesslog:
        raise ConfigError(f"already has the accesslog {scope.accesslog.path}")
    path, form = (*block.arguments, COMBINED)[:2]
    scope.accesslog = domain_rules.build_accesslog(path, form, block.where)


def _read_filemap(scope: DomainScope, block: Block) -> None:
    """Read `filemap URI PATH [AUTHENTICATION]`."""
    uri, path, *auth = block.arguments
    value: object = scope.context.loader.resolve_path(arguments.check_text(path, block.keyword))
    for name in auth:
        known = scope.context.find_definition("authentication", name, scope.context.authentications)
        if known is None:
            return
        value = (value, known)
    made = FilemapScope(scope.context, block.where, uri=filemaps.check_prefix(uri), value=value)
    scope.parts.append(made)


def _add_filemap(handle: DomainHandle, scope: FilemapScope) -> None:
    """Pass a filemap to the builder."""
    with scope.context.locate_errors(scope.where):
        handle.filemaps({scope.uri: scope.value})


def _read_redirect(scope: DomainScope, block: Block) -> None:
    """Read `redirect REGEX STATUS TARGET`."""
    path, _, target = block.arguments
    status = read_number(block, 1, *domain_rules.REDIRECT_STATUSES)
    scope.rules.append(domain_rules.build_redirect(path, status, target))


def _read_return(scope: DomainScope, block: Block) -> None:
    """Read `return REGEX STATUS`."""
    status = read_number(block, 1, *domain_rules.REFUSAL_STATUSES)
    scope.rules.append(domain_rules.build_refusal(block.arguments[0], status))


# Routes


def _open_route(scope: DomainScope, block: Block) -> RouteScope:
    """Read `route PATH {`."""
    path = arguments.check_text(block.arguments[0], "path")
    if not path.startswith("/"):
        compile_path(path)
    return RouteScope(scope.context, label=f"route '{path}'", path=path)


def _finish_route(domain: DomainScope, scope: RouteScope, block: Block) -> None:
    """Check that a route block is complete, and keep it for the end of the domain."""
    domain.parts.append(scope)
    if not block.has("handler"):
        raise ConfigError("no handler: write `handler FUNCTION`")


def run_route(domain: DomainScope, block: Block) -> None:
    """Run a route block."""

    def finish(scope: RouteScope, block: Block) -> None:
        _finish_route(domain, scope, block)

    make_block_runner(_open_route, "route", finish)(domain, block)


DOMAIN: Final[Table] = MappingProxyType(
    {
        "attach": Directive(_read_attach, "SERVER", "Which server it is on."),
        "route": Directive(
            run_route,
            "PATH",
            "Answer requests for a path, a regular expression unless it begins with `/`.",
            block=True,
        ),
        "filemap": Directive(
            _read_filemap, "URI PATH [AUTHENTICATION]", "Serve the files of a directory."
        ),
        "redirect": Directive(
            _read_redirect,
            "REGEX STATUS TARGET",
            "Send clients elsewhere, with 300 to 399; `$1` is a capture, `$qs` the query.",
        ),
        "return": Directive(_read_return, "REGEX STATUS", "Refuse paths, with 400 to 599."),
        "accesslog": Directive(
            _read_accesslog,
            "PATH [FORMAT]",
            "Log requests to a file: `combined`, `json`, or a text with variables.",
        ),
        **TLS,
    }
)
