"""The route blocks of kore.conf."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kore._conf import check, route_options, websockets
from kore._conf.builder import DomainHandle
from kore._conf.file.directives import Directive, Scope, Table, flag, yes_or_no
from kore._conf.file.syntax import Block
from kore._conf.schema import Handler
from kore._conf.suggestions import meant
from kore.errors import ConfigError


@dataclass(slots=True)
class RouteScope(Scope):
    """A route block; *options* are those of `route()` in Python."""

    path: str = ""
    handler: Handler | None = None
    methods: tuple[str, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    # Of each validator, its option and method.
    validated: list[tuple[str, str, Block]] = field(default_factory=list)


def add_route(handle: DomainHandle, scope: RouteScope) -> None:
    """Hand a route to the builder, with all options that routes have."""
    problems = scope.reading.builder.problems
    for option, method, block in scope.validated:
        if scope.methods is not None and method not in with_head(scope.methods):
            scope.options.pop(option, None)
            problems.add(
                block.where, f"{scope.label}: method '{method.lower()}' not enabled for the route"
            )
    if scope.handler is None:
        return
    with scope.reading.at(scope.where):
        handle.route(scope.path, scope.handler, methods=scope.methods, **scope.options)


def with_head(methods: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a route with these methods takes: GET brings HEAD."""
    return (*methods, "HEAD") if "GET" in methods else methods


def handler(scope: RouteScope, block: Block) -> None:
    """Read `handler FUNCTION`."""
    scope.handler = scope.reading.callback(block.arguments[0], "handler")


def methods(scope: RouteScope, block: Block) -> None:
    """Read `methods METHOD…`."""
    scope.methods = check.methods(list(block.arguments))


def validate(scope: RouteScope, block: Block) -> None:
    """Read `validate [qs:]METHOD PARAMETER VALIDATOR`."""
    where, parameter, name, *required = block.arguments
    source, method = method_of(where)
    found = scope.reading.defined("validator", name, scope.reading.validators)
    # As in Python: `get` and `post` are the parameters of these, `qs:post` is the query of a POST.
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


def method_of(word: str) -> tuple[str, str]:
    """Return where parameters come from and the method, of `[qs:]METHOD`."""
    source, colon, method = word.rpartition(":")
    if colon and source != "qs":
        raise ConfigError(f"unknown validate method prefix '{source}', there is qs")
    return source, check.methods([method])[0]


def strict(scope: RouteScope, block: Block) -> None:
    """Read `strict yes|no`."""
    scope.options["strict"] = flag(block)


def authenticate(scope: RouteScope, block: Block) -> None:
    """Read `authenticate NAME`."""
    reading = scope.reading
    auth = reading.defined("authentication", block.arguments[0], reading.authentications)
    scope.options["auth"] = auth


def hook(scope: RouteScope, block: Block) -> None:
    """Read `on_headers`, `on_body_chunk` and `on_free`."""
    function = scope.reading.callback(block.arguments[0], f"{block.keyword} callback")
    if function is not None:
        scope.options["hooks"] = {**scope.options.get("hooks", {}), block.keyword: function}


def stream(scope: RouteScope, block: Block) -> None:
    """Read `stream yes|no`."""
    scope.options["stream"] = flag(block)


def body_max(scope: RouteScope, block: Block) -> None:
    """Read `body_max BYTES`."""
    scope.options["body_max"] = route_options.body_max(block.arguments[0])


def websocket(scope: RouteScope, block: Block) -> None:
    """Read `websocket KEYWORD [VALUE]...`; a list without values is an empty one."""
    name, *given = block.arguments
    name = websockets.keyword(name)
    said = scope.options.get("websocket", {})
    if name in said:
        raise ConfigError(f"websocket {name} is given twice")
    if name not in websockets.KEYWORDS:
        raise ConfigError(
            f"unknown keyword '{name}'{meant(name, websockets.KEYWORDS)}, "
            f"there are {', '.join(websockets.KEYWORDS)}"
        )
    scope.options["websocket"] = {**said, name: websocket_value(scope, name, given)}


def websocket_value(scope: RouteScope, name: str, given: list[str]) -> object:
    """Return the plain value of one keyword."""
    if name in websockets.LISTS:
        return websockets.value(name, given)
    if len(given) != 1:
        raise ConfigError(f"websocket {name} takes one value")
    if name in websockets.CALLBACKS:
        return websockets.find_callback(name, given[0], scope.reading.callback)
    if name == "compress":
        return yes_or_no(given[0], "compress")
    return websockets.value(name, given[0])


ROUTE: Final[Table] = MappingProxyType(
    {
        "handler": Directive(
            handler,
            "FUNCTION",
            "Who answers: `name`, `object.method` or `module.name`.",
            once=True,
        ),
        "methods": Directive(
            methods,
            "METHOD…",
            "Which methods it takes; `get` brings `head`. Default: all.",
            once=True,
        ),
        "validate": Directive(
            validate,
            "[qs:]METHOD PARAMETER VALIDATOR [required]",
            "A parameter of the body, with `qs:` or `get` of the query, and what it must be. "
            "`required`: without it the answer is 400.",
        ),
        "strict": Directive(
            strict,
            "yes|no",
            "Whether a 400 says which parameters were wrong, as JSON; default no.",
            once=True,
        ),
        "authenticate": Directive(authenticate, "AUTHENTICATION", "Who may.", once=True),
        "on_headers": Directive(
            hook,
            "FUNCTION",
            "Called when the header fields are there, before the body is read.",
            once=True,
        ),
        "on_body_chunk": Directive(
            hook,
            "FUNCTION",
            "Called with each piece of the body, which is not kept then.",
            once=True,
        ),
        "on_free": Directive(hook, "FUNCTION", "Called once, when the request is over.", once=True),
        "stream": Directive(
            stream,
            "yes|no",
            "Run the handler before the body is there; default no.",
            once=True,
        ),
        "websocket": Directive(
            websocket,
            "KEYWORD [VALUE]…",
            "What a handshake need not say: `onconnect`, `onmsg`, `ondisconnect`, `protocols`, "
            "`origins`, `compress`, `maxframe`, `maxmessage`, `timeout`, `ping`, `buffer_max`, "
            "`buffer_full`.",
        ),
        "body_max": Directive(
            body_max, "BYTES", "Most bytes of a body, for http_body_max.", once=True
        ),
    }
)
