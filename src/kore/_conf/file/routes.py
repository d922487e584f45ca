"""The route blocks of kore.conf."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kore._conf import arguments, route_options, websockets
from kore._conf.domain_handle import DomainHandle
from kore._conf.file.directives import Directive, Scope, Table, parse_yes_no, read_flag
from kore._conf.file.syntax import Block
from kore._conf.schema import Handler
from kore._conf.suggestions import suggest_name
from kore._values.methods import METHODS
from kore.errors import ConfigError


@dataclass(slots=True)
class RouteScope(Scope):
    """A route block; *options* are those of `route()` in Python."""

    path: str = ""
    handler: Handler | None = None
    methods: tuple[str, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    # Option, method and statement of each validator.
    validated: list[tuple[str, str, Block]] = field(default_factory=list)


def add_route(handle: DomainHandle, scope: RouteScope) -> None:
    """Pass a route to the builder."""
    problems = scope.context.builder.problems
    for option, method, block in scope.validated:
        if scope.methods is not None and method not in _add_head(scope.methods):
            scope.options.pop(option, None)
            problems.add(
                block.where, f"{scope.label}: method '{method.lower()}' not enabled for the route"
            )
    if scope.handler is None:
        return
    with scope.context.locate_errors(scope.where):
        handle.route(scope.path, scope.handler, methods=scope.methods, **scope.options)


def _add_head(methods: tuple[str, ...]) -> tuple[str, ...]:
    """Return *methods* with HEAD, if GET is among them."""
    return (*methods, "HEAD") if "GET" in methods else methods


def _read_handler(scope: RouteScope, block: Block) -> None:
    """Read `handler FUNCTION`."""
    scope.handler = scope.context.find_callback(block.arguments[0], "handler")


def _read_methods(scope: RouteScope, block: Block) -> None:
    """Read `methods METHOD…`."""
    scope.methods = arguments.normalize_methods(list(block.arguments))


def read_validate(scope: RouteScope, block: Block) -> None:
    """Read `validate [qs:]METHOD PARAMETER VALIDATOR`."""
    where, parameter, name, *required = block.arguments
    source, method = parse_method(where)
    found = scope.context.find_definition("validator", name, scope.context.validators)
    # As in Python: `post` has the parameters of the body, `qs:post` those of the query.
    option = f"qs:{method.lower()}" if source == "qs" and method != "GET" else method.lower()
    known = scope.options.get(option, {})
    if parameter in known:
        raise ConfigError(f"'{parameter}' is validated twice")
    if found is not None:
        scope.options[option] = {**known, parameter: found}
    if required:
        if required != ["required"]:
            raise ConfigError(f"unknown word '{required[0]}', there is required")
        scope.options["required"] = {*scope.options.get("required", ()), parameter}
    scope.validated.append((option, method, block))


def parse_method(word: str) -> tuple[str, str]:
    """Return the source, `qs` or empty, and the method of `[qs:]METHOD`."""
    source, colon, method = word.rpartition(":")
    if colon and source != "qs":
        raise ConfigError(f"unknown validate method prefix '{source}', there is qs")
    if method.upper() not in METHODS:
        raise ConfigError(f"unknown HTTP method: {method.upper()}, there are {', '.join(METHODS)}")
    return source, method.upper()


def _read_strict(scope: RouteScope, block: Block) -> None:
    """Read `strict yes|no`."""
    scope.options["strict"] = read_flag(block)


def _read_authenticate(scope: RouteScope, block: Block) -> None:
    """Read `authenticate NAME`."""
    context = scope.context
    auth = context.find_definition("authentication", block.arguments[0], context.authentications)
    scope.options["auth"] = auth


def _read_hook(scope: RouteScope, block: Block) -> None:
    """Read `on_headers`, `on_body_chunk` and `on_free`."""
    function = scope.context.find_callback(block.arguments[0], f"{block.keyword} callback")
    if function is not None:
        scope.options["hooks"] = {**scope.options.get("hooks", {}), block.keyword: function}


def _read_stream(scope: RouteScope, block: Block) -> None:
    """Read `stream yes|no`."""
    scope.options["stream"] = read_flag(block)


def _read_body_max(scope: RouteScope, block: Block) -> None:
    """Read `body_max BYTES`."""
    scope.options["body_max"] = route_options.parse_body_max(block.arguments[0])


def _read_websocket(scope: RouteScope, block: Block) -> None:
    """Read `websocket KEYWORD [VALUE]...`; a list without values is an empty one."""
    name, *given = block.arguments
    name = websockets.normalize_keyword(name)
    earlier = scope.options.get("websocket", {})
    if name in earlier:
        raise ConfigError(f"websocket {name} is given twice")
    if name not in websockets.KEYWORDS:
        raise ConfigError(
            f"unknown keyword '{name}'{suggest_name(name, websockets.KEYWORDS)}, "
            f"there are {', '.join(websockets.KEYWORDS)}"
        )
    scope.options["websocket"] = {**earlier, name: _parse_websocket_value(scope, name, given)}


def _parse_websocket_value(scope: RouteScope, name: str, given: list[str]) -> object:
    """Return the plain value of a WebSocket keyword."""
    if name in websockets.LISTS:
        return websockets.parse_value(name, given)
    if len(given) != 1:
        raise ConfigError(f"websocket {name} takes one value")
    if name in websockets.CALLBACKS:
        return websockets.find_callback(name, given[0], scope.context.find_callback)
    if name == "compress":
        return parse_yes_no(given[0], "compress")
    return websockets.parse_value(name, given[0])


ROUTE: Final[Table] = MappingProxyType(
    {
        "handler": Directive(
            _read_handler,
            "FUNCTION",
            "The function that handles requests: `name`, `object.method` or `module.name`.",
            once=True,
        ),
        "methods": Directive(
            _read_methods,
            "METHOD…",
            "Which methods it takes; `get` brings `head`. Default: get, head, post, put, patch, "
            "delete and options. Others, such as propfind, must be named; `*` stands for all.",
            once=True,
        ),
        "validate": Directive(
            read_validate,
            "[qs:]METHOD PARAMETER VALIDATOR [required]",
            "A parameter of the body, with `qs:` or `get` of the query, and what it must be. "
            "`required`: without it the response is 400.",
        ),
        "strict": Directive(
            _read_strict,
            "yes|no",
            "Whether a 400 says which parameters were wrong, as JSON; default no.",
            once=True,
        ),
        "authenticate": Directive(
            _read_authenticate, "AUTHENTICATION", "How requests are authenticated.", once=True
        ),
        "on_headers": Directive(
            _read_hook,
            "FUNCTION",
            "Called when the header fields are there, before the body is read.",
            once=True,
        ),
        "on_body_chunk": Directive(
            _read_hook,
            "FUNCTION",
            "Called with each piece of the body, which is not kept then.",
            once=True,
        ),
        "on_free": Directive(
            _read_hook, "FUNCTION", "Called once, when the request is over.", once=True
        ),
        "stream": Directive(
            _read_stream,
            "yes|no",
            "Run the handler before the body is there; default no.",
            once=True,
        ),
        "websocket": Directive(
            _read_websocket,
            "KEYWORD [VALUE]…",
            "Defaults for handshakes: `onconnect`, `onmsg`, `ondisconnect`, `protocols`, "
            "`origins`, `compress`, `maxframe`, `maxmessage`, `timeout`, `ping`, `buffer_max`, "
            "`buffer_full`.",
        ),
        "body_max": Directive(
            _read_body_max, "BYTES", "Bytes of a body, instead of http_body_max.", once=True
        ),
    }
)
