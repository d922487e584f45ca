"""Directives of earlier releases, run as the current ones with a notice, or refused with a hint."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from kore._conf import arguments
from kore._conf.file import domains, routes
from kore._conf.file.directives import Directive, Scope, Table, make_block_runner
from kore._conf.file.domains import DomainScope, run_route
from kore._conf.file.routes import RouteScope, parse_method
from kore._conf.file.syntax import Block, quote_word
from kore._conf.file.tls import read_client_verify
from kore._conf.suggestions import suggest_name
from kore.errors import ConfigError

RENAMED: Final = MappingProxyType(
    {
        "ssl_cipher": "tls_cipher",
        "ssl_dhparam": "tls_dhparam",
        "http_postbody_max": "http_body_max",
    }
)
NATIVE_MODULE_HINT: Final = "modules in C are for C Kore, write Python and `python_import PATH`"
CALLBACK_HINT: Final = "gone since Kore 1.2, write a function kore_parent_configure or workerstart"

# Directives that no longer exist, with hints.
REMOVED: Final = MappingProxyType(
    {
        "load": NATIVE_MODULE_HINT,
        "kore_cb": CALLBACK_HINT,
        "kore_cb_worker": CALLBACK_HINT,
        "spdy_idle_time": "SPDY is gone since Kore 2.0, leave it out",
        "ssl_no_compression": "TLS is never compressed, leave it out",
    }
)


@dataclass(slots=True)
class ParamsScope(Scope):
    """A params block."""

    target: str = ""
    route: RouteScope | None = None


def _run_inline_route(scope: DomainScope, block: Block) -> None:
    """Read `static PATH FUNCTION [AUTH]`, `dynamic …`, and `route …` in one line."""
    path, function, *auth = block.arguments
    if (path.startswith("/")) != (block.keyword != "dynamic") and block.keyword != "route":
        kinds = "a path that begins with /" if block.keyword == "static" else "a regular expression"
        hint = f"write `route ^{path} {{`" if block.keyword == "dynamic" else "write `dynamic`"
        raise ConfigError(f"{block.keyword} takes {kinds}, and '{path}' is none: {hint}")
    inner = [("handler", function), *(("authenticate", name) for name in auth)]
    lines = [f"{keyword} {quote_word(word)}" for keyword, word in inner]
    scope.context.warn_old_spelling(block, f"route {quote_word(path)} {{", *lines, "}")
    body = tuple(Block(words, block.where) for words in inner)
    run_route(scope, Block(("route", path), block.where, body))


def _read_restrict(scope: DomainScope, block: Block) -> None:
    """Read `restrict PATH METHOD…`."""
    path, *names = block.arguments
    route = _find_route(scope, path)
    methods = arguments.normalize_methods(names)
    line = " ".join(["methods", *names])
    scope.context.warn_old_spelling(block, f"route {quote_word(path)} {{", line, "}")
    if route is not None:
        route.methods = methods


def _open_params(scope: DomainScope, block: Block) -> ParamsScope:
    """Read `params [qs:]METHOD PATH {`."""
    target, path = block.arguments
    route = _find_route(scope, path)
    parse_method(target)
    return ParamsScope(scope.context, label=f"params '{path}'", target=target, route=route)


def _read_validate(scope: ParamsScope, block: Block) -> None:
    """Read `validate PARAMETER VALIDATOR`."""
    today = ("validate", scope.target, *block.arguments)
    line = " ".join(map(quote_word, today))
    path = scope.route.path if scope.route else ""
    scope.context.warn_old_spelling(block, f"route {quote_word(path)} {{", line, "}")
    if scope.route is not None:
        routes.read_validate(scope.route, Block(today, block.where))


def _finish_params(_: ParamsScope, __: Block) -> None:
    """End a params block. Its statements have added to the route."""


def _find_route(scope: DomainScope, path: str) -> RouteScope | None:
    """Return the route above that has this path; None if its block had errors."""
    for route in scope.routes:
        if route.path == path:
            return route
    if ("route", path) in scope.context.broken:
        return None
    paths = [route.path for route in scope.routes]
    raise ConfigError(f"no route above has the path '{path}'{suggest_name(path, paths)}")


def _read_renamed_option(scope: DomainScope, block: Block) -> None:
    """Read `client_certificates` and `require_client_cert`."""
    today = ("client_verify", *block.arguments)
    scope.context.warn_old_spelling(block, " ".join(map(quote_word, today)))
    read_client_verify(scope, replace(block, words=today))


def _read_renamed_setting(scope: Scope, block: Block) -> None:
    """Change a setting under its old name."""
    today = (RENAMED[block.keyword], *block.arguments)
    scope.context.warn_old_spelling(block, " ".join(map(quote_word, today)))
    scope.context.change_setting(scope, replace(block, words=today))


GLOBAL: Final[Table] = MappingProxyType(
    {
        old: Directive(_read_renamed_setting, "VALUE…", f"`{new}`", deprecated=True)
        for old, new in RENAMED.items()
    }
)
ROUTE_BLOCK: Final = "a `route` block"
INLINE_ROUTE: Final = Directive(
    _run_inline_route, "PATH FUNCTION [AUTHENTICATION]", ROUTE_BLOCK, deprecated=True
)
DOMAIN: Final[Table] = MappingProxyType(
    {
        "route": replace(domains.DOMAIN["route"], inline_form=INLINE_ROUTE),
        "static": INLINE_ROUTE,
        "dynamic": replace(INLINE_ROUTE, usage="REGEX FUNCTION [AUTHENTICATION]"),
        "restrict": Directive(
            _read_restrict, "PATH METHOD…", "`methods` in a `route` block", deprecated=True
        ),
        "params": Directive(
            make_block_runner(_open_params, "params", _finish_params),
            "[qs:]METHOD PATH",
            "`validate` in a `route` block",
            block=True,
            deprecated=True,
        ),
        "client_certificates": Directive(
            _read_renamed_option, "CA [CRL]", "`client_verify`", deprecated=True
        ),
        "require_client_cert": Directive(
            _read_renamed_option, "CA [CRL]", "`client_verify`", deprecated=True
        ),
    }
)
PARAMS: Final[Table] = MappingProxyType(
    {
        "validate": Directive(
            _read_validate, "PARAMETER VALIDATOR", "`validate` in a `route` block", deprecated=True
        )
    }
)
