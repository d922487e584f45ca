"""Spellings of earlier releases: read as what they are called today where that is the same."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from kore._conf import check
from kore._conf.file import domains, routes
from kore._conf.file.directives import Directive, Scope, Table, opened
from kore._conf.file.domains import DomainScope, run_route
from kore._conf.file.routes import RouteScope, method_of
from kore._conf.file.syntax import Block, quoted
from kore._conf.suggestions import meant
from kore.errors import ConfigError

RENAMED: Final = MappingProxyType(
    {
        "ssl_cipher": "tls_cipher",
        "ssl_dhparam": "tls_dhparam",
        "http_postbody_max": "http_body_max",
    }
)
NATIVE: Final = "modules in C are for C Kore, write Python and `python_import PATH`"
CALLBACKS: Final = "gone since Kore 1.2, write a function kore_parent_configure or workerstart"

# Understood no more.
GONE: Final = MappingProxyType(
    {
        "load": NATIVE,
        "kore_cb": CALLBACKS,
        "kore_cb_worker": CALLBACKS,
        "spdy_idle_time": "SPDY is gone since Kore 2.0, leave it out",
        "ssl_no_compression": "TLS is never compressed, leave it out",
    }
)


@dataclass(slots=True)
class ParamsScope(Scope):
    """A params block."""

    target: str = ""
    route: RouteScope | None = None


def old_route(scope: DomainScope, block: Block) -> None:
    """Read `static PATH FUNCTION [AUTH]`, `dynamic …`, and `route …` in one line."""
    path, function, *auth = block.arguments
    if (path.startswith("/")) != (block.keyword != "dynamic") and block.keyword != "route":
        kinds = "a path that begins with /" if block.keyword == "static" else "a regular expression"
        hint = f"write `route ^{path} {{`" if block.keyword == "dynamic" else "write `dynamic`"
        raise ConfigError(f"{block.keyword} takes {kinds}, and '{path}' is none: {hint}")
    inner = [("handler", function), *(("authenticate", name) for name in auth)]
    lines = [f"{keyword} {quoted(word)}" for keyword, word in inner]
    scope.reading.spelled(block, f"route {quoted(path)} {{", *lines, "}")
    body = tuple(Block(words, block.where) for words in inner)
    run_route(scope, Block(("route", path), block.where, body))


def restrict(scope: DomainScope, block: Block) -> None:
    """Read `restrict PATH METHOD…`."""
    path, *names = block.arguments
    route = route_of(scope, path)
    methods = check.methods(names)
    line = " ".join(["methods", *names])
    scope.reading.spelled(block, f"route {quoted(path)} {{", line, "}")
    if route is not None:
        route.methods = methods


def params(scope: DomainScope, block: Block) -> ParamsScope:
    """Read `params [qs:]METHOD PATH {`."""
    target, path = block.arguments
    route = route_of(scope, path)
    method_of(target)
    return ParamsScope(scope.reading, label=f"params '{path}'", target=target, route=route)


def validate(scope: ParamsScope, block: Block) -> None:
    """Read `validate PARAMETER VALIDATOR`."""
    today = ("validate", scope.target, *block.arguments)
    line = " ".join(map(quoted, today))
    path = scope.route.path if scope.route else ""
    scope.reading.spelled(block, f"route {quoted(path)} {{", line, "}")
    if scope.route is not None:
        routes.validate(scope.route, Block(today, block.where))


def done(_: ParamsScope, __: Block) -> None:
    """End a params block: its statements have done all there is to do."""


def route_of(scope: DomainScope, path: str) -> RouteScope | None:
    """Return the route above that has this path; None: it is broken, and that has been said."""
    for route in scope.routes:
        if route.path == path:
            return route
    if ("route", path) in scope.reading.broken:
        return None
    paths = [route.path for route in scope.routes]
    raise ConfigError(f"no route above has the path '{path}'{meant(path, paths)}")


def renamed_option(scope: DomainScope, block: Block) -> None:
    """Read `client_certificates` and `require_client_cert`."""
    today = ("client_verify", *block.arguments)
    scope.reading.spelled(block, " ".join(map(quoted, today)))
    domains.tls_option(scope, replace(block, words=today))


def renamed_setting(scope: Scope, block: Block) -> None:
    """Change a setting that had another name."""
    today = (RENAMED[block.keyword], *block.arguments)
    scope.reading.spelled(block, " ".join(map(quoted, today)))
    scope.reading.setting(scope, replace(block, words=today))


GLOBAL: Final[Table] = MappingProxyType(
    {
        old: Directive(renamed_setting, "VALUE…", f"`{new}`", old=True)
        for old, new in RENAMED.items()
    }
)
IN_A_ROUTE: Final = "a `route` block"
ONE_LINE: Final = Directive(old_route, "PATH FUNCTION [AUTHENTICATION]", IN_A_ROUTE, old=True)
DOMAIN: Final[Table] = MappingProxyType(
    {
        "route": replace(domains.DOMAIN["route"], bare=ONE_LINE),
        "static": ONE_LINE,
        "dynamic": replace(ONE_LINE, takes="REGEX FUNCTION [AUTHENTICATION]"),
        "restrict": Directive(restrict, "PATH METHOD…", "`methods` in a `route` block", old=True),
        "params": Directive(
            opened(params, "params", done),
            "[qs:]METHOD PATH",
            "`validate` in a `route` block",
            block=True,
            old=True,
        ),
        "client_certificates": Directive(renamed_option, "CA [CRL]", "`client_verify`", old=True),
        "require_client_cert": Directive(renamed_option, "CA [CRL]", "`client_verify`", old=True),
    }
)
PARAMS: Final[Table] = MappingProxyType(
    {
        "validate": Directive(
            validate, "PARAMETER VALIDATOR", "`validate` in a `route` block", old=True
        )
    }
)
