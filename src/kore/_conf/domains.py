"""The domain and route blocks of kore.conf."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kore._conf import answers, check, demands, filemaps, websockets
from kore._conf.builder import COMBINED, DomainHandle
from kore._conf.directives import Directive, Scope, Table, flag, number, opened, yes_or_no
from kore._conf.guesses import meant
from kore._conf.schema import AccessLog, Answer, Handler, compiled
from kore._conf.syntax import Block
from kore.errors import ConfigError

DEPTH_MAX: Final = 2**31 - 1
# On a server without TLS these have nothing to do; the others protect something.
IDLE_WITHOUT_TLS: Final = frozenset({"certfile", "certkey", "client_verify_depth"})


@dataclass(slots=True)
class RouteScope(Scope):
    """A route block; *options* are those of `route()` in Python."""

    path: str = ""
    handler: Handler | None = None
    methods: tuple[str, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    # Of each validator, its option and method.
    validated: list[tuple[str, str, Block]] = field(default_factory=list)


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
    answers: list[Answer] = field(default_factory=list)
    accesslog: AccessLog | None = None

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
        scope.attach = scope.reading.implicit
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
    scope.accesslog = answers.log(path, form, block.where)


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
    status = number(block, 1, *answers.REDIRECTS)
    scope.answers.append(answers.redirect(path, status, target))


def return_(scope: DomainScope, block: Block) -> None:
    """Read `return REGEX STATUS`."""
    status = number(block, 1, *answers.REFUSALS)
    scope.answers.append(answers.refusal(block.arguments[0], status))


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
    scope.options["body_max"] = demands.body_max(block.arguments[0])


def websocket(scope: RouteScope, block: Block) -> None:
    """Read `websocket KEYWORD VALUE`."""
    name, *given = block.arguments
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
    if len(given) > 1:
        raise ConfigError(f"websocket {name} takes one value")
    if name in websockets.CALLBACKS:
        return scope.reading.callback(given[0], f"{name} callback")
    if name == "compress":
        return yes_or_no(given[0], "compress")
    return websockets.value(name, given[0])


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
            "KEYWORD VALUE…",
            "What a handshake need not say: `onconnect`, `onmsg`, `ondisconnect`, `protocols`, "
            "`origins`, `compress`, `maxframe`, `maxmessage`, `timeout`, `ping`, `buffer_max`, "
            "`buffer_full`.",
        ),
        "body_max": Directive(
            body_max, "BYTES", "Most bytes of a body, for http_body_max.", once=True
        ),
    }
)
