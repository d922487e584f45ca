"""The finished configuration, as frozen values. Workers and the parent read it."""

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypedDict

from kore._conf.server_schema import AccessLogConfig, DomainTls, Privsep, Server
from kore._conf.settings import Settings
from kore._values import paths
from kore.errors import ConfigError

# Called with the request and the captures. Returns None, or a coroutine to be run as a task.
Handler = Callable[..., Any]
# Called with type, value and traceback of an exception that a handler or a task did not catch.
Tracer = Callable[..., Any]
# Called with the request before a handler. If it returns False, the handler is not run.
Prerequest = Callable[..., Any]
# Called with the request, and a hook for pieces of the body with the piece.
Hook = Callable[..., Any]
# Returns the function of a name; its second argument says in errors what the function is for.
FunctionFinder = Callable[[str, str], Callable[..., Any]]
# Returns True, or an awaitable of True, for what it accepts.
Verify = Callable[..., Any]
# By the name of a parameter: a regular expression, or a function that decides.
Validators = Mapping[str, str | re.Pattern[str] | Verify]

# ASCII, as in the C locale: the path of a request has no other characters.
POSIX_CLASSES: Final[Mapping[str, str]] = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t\n\r\f\v",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}

# An escaped character, a whole bracket expression (a `]` first in it is literal), a dollar sign.
REGEX_PART: Final = re.compile(r"\\.|\[\^?\]?(?:\[:\w*:\]|\\.|[^\]\\])*\]|\$", re.DOTALL)
BRACKET_PART: Final = re.compile(r"\\.|\[:(?P<name>\w*):\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """The check of a parameter's value: either *search* or *verify*."""

    search: Callable[[str], object] | None = None
    verify: Verify | None = None
    # The regular expression as it was written; None without one, or if it came compiled.
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ParameterRules:
    """The parameters of a route for one method, by name."""

    query: Mapping[str, ParameterRule] = field(default_factory=dict)
    body: Mapping[str, ParameterRule] = field(default_factory=dict)
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Auth:
    """Authentication by a cookie or a header named *value*, or by the request as a whole."""

    kind: str
    verify: Verify
    value: str = ""
    redirect: str = ""


@dataclass(frozen=True, slots=True)
class BodyOptions:
    """How a route reads bodies: hooks, streaming, size limit."""

    # Called with the request: before its body is read, with each piece of it, at its end.
    on_headers: Hook | None = None
    on_body_chunk: Hook | None = None
    on_free: Hook | None = None
    # The handler reads the body as it arrives.
    stream: bool = False
    # In bytes, instead of http_body_max.
    body_max: int | None = None


@dataclass(frozen=True, slots=True)
class RouteRequirements:
    """What a route checks before its handler runs, and the options of its bodies and WebSockets."""

    # By the number of the method; 0 for all methods that have none.
    parameters: Mapping[int, ParameterRules] = field(default_factory=dict)
    auth: Auth | None = None
    # Respond 400 and name the invalid parameters, instead of leaving these out.
    strict: bool = False
    # None if the route has none of these options.
    body_options: BodyOptions | None = None
    # Defaults for the keywords of websocket_handshake() on this route.
    websocket: Mapping[str, Any] = field(default_factory=dict)


class RouteKeywords(TypedDict, total=False):
    """The keywords of a route beside its methods."""

    get: Validators
    post: Validators
    put: Validators
    delete: Validators
    head: Validators
    options: Validators
    patch: Validators
    qs: Validators
    required: Sequence[str]
    strict: bool
    auth: Mapping[str, object]
    hooks: Mapping[str, Hook]
    stream: bool
    body_max: int | str
    websocket: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule or a route before a filemap: which paths it matches, and how it restricts them.

    Without *auth*, and with 0 as the *status* of a refusal, it restricts nothing.
    """

    matches: Callable[[str], object]
    # Numbers, as requests have them.
    methods: frozenset[int]
    auth: Auth | None = None
    status: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """A path with a handler and methods. Without *pattern* the path is literal.

    With *files*, a directory, it is a filemap, and *path* is the prefix of the files' paths.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...]
    requirements: RouteRequirements = field(default_factory=RouteRequirements)
    files: str = ""
    # The paths of filemaps below this one's, without the slash at their ends.
    nested_maps: frozenset[str] = field(default=frozenset(), compare=False)
    # Rules and routes before a filemap, in order; empty if none restricts access.
    guards: tuple[Guard, ...] = field(default=(), compare=False)
    where: str = field(default="", compare=False)
    pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = None if self.path.startswith("/") else compile_path(self.path)
        if self.files:
            pattern = re.compile("^" + re.escape(self.path))
        object.__setattr__(self, "pattern", pattern)


@dataclass(frozen=True, slots=True)
class RedirectRule:
    """A redirect to *target*, or a refusal without one, which comes before all routes."""

    path: str
    status: int
    target: str = ""
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", compile_path(self.path))


@dataclass(frozen=True, slots=True)
class Domain:
    """A host name, perhaps with wildcards, on one server, and its routes in order."""

    name: str
    server: str
    routes: tuple[Route, ...]
    # In order, before the routes.
    rules: tuple[RedirectRule, ...] = ()
    accesslog: AccessLogConfig | None = None


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """A PostgreSQL database by the name queries call it, and libpq's string for it."""

    name: str
    connstring: str = field(repr=False)
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. Only its plain part is sent to the parent."""

    settings: Settings
    servers: tuple[Server, ...]
    domains: tuple[Domain, ...]
    databases: tuple[DatabaseConfig, ...] = ()
    tasks: tuple[Coroutine[Any, Any, Any], ...] = ()
    tracer: Tracer | None = None
    prerequests: tuple[Prerequest, ...] = ()
    name: str = "kore"
    # Functions of the application: "workerstart" and so on.
    hooks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    # Functions of modules, called when a worker starts, and before it ends for a reload.
    onloads: tuple[Callable[..., Any], ...] = ()
    privsep: tuple[Privsep, ...] = ()
    # One for each domain of a server with TLS, in their order.
    tls: tuple[DomainTls, ...] = ()
    # Signals that the application handles, beside those that the server handles.
    traps: tuple[int, ...] = ()
    # For the log.
    notices: tuple[str, ...] = ()
    # By the name of a setting that was changed: where.
    setting_places: Mapping[str, str] = field(default_factory=dict, compare=False)
    find_function: FunctionFinder | None = None

    def plain(self) -> dict[str, Any]:
        """Return the part that the parent needs, as values of JSON."""
        return {
            "name": self.name,
            "settings": asdict(self.settings),
            "servers": [asdict(server) for server in self.servers],
            "privsep": [asdict(process) for process in self.privsep],
            "accesslogs": [{"path": log.path, "where": log.where} for log in self.accesslogs],
            "tls": [asdict(domain) for domain in self.tls],
        }

    @property
    def accesslogs(self) -> tuple[AccessLogConfig, ...]:
        """One for each file. Parent and workers number them in this order."""
        found: dict[str, AccessLogConfig] = {}
        for log in (domain.accesslog for domain in self.domains):
            if log is not None:
                found.setdefault(log.path, log)
        return tuple(found.values())


def order_routes(routes: Sequence[Route]) -> Iterator[Route]:
    """Yield routes in order, but filemaps for paths below another one's before that one.

    As in Kore: of several filemaps that match, the one with the longest path serves the file.
    """
    waiting = sorted((route for route in routes if route.files), key=lambda route: -len(route.path))
    for route in routes:
        if not route.files:
            yield route
            continue
        below = [other for other in waiting if other.path.startswith(route.path)]
        yield from below
        waiting = [other for other in waiting if other not in below]


def compile_path(path: str) -> re.Pattern[str]:
    """Compile a route's regular expression, which may have POSIX character classes."""
    try:
        return _compile_regex(paths.normalize_regex(path))
    except ValueError as error:
        raise ConfigError(f"failed to compile regex for '{path}': {error}") from None


def compile_value_regex(text: str) -> re.Pattern[str]:
    r"""Compile a validator's regular expression, to be searched for in a parameter's value.

    As in POSIX, a dollar sign matches only at the very end, not before a last line break, and a
    dot matches any character. Python's own classes, such as `\d`, match ASCII only.
    """
    return _compile_regex(text, r"\Z", re.DOTALL | re.ASCII)


def _compile_regex(text: str, end: str = "$", flags: int = 0) -> re.Pattern[str]:
    """Compile a regular expression. Raises ValueError with the reason if that fails."""
    try:
        return re.compile(_translate_regex(text, lambda name: POSIX_CLASSES[name], end), flags)
    except KeyError as unknown:
        known = ", ".join(POSIX_CLASSES)
        raise ValueError(f"class [:{unknown.args[0]}:] is none of {known}") from None
    except re.error as error:
        raise ValueError(str(_relocate_error(text, error))) from None


def _translate_regex(text: str, content: Callable[[str], str], end: str = "$") -> str:
    """Replace each POSIX class of a bracket expression by its *content*, and a dollar by *end*."""

    def replace_class(found: re.Match[str]) -> str:
        return content(found["name"]) if found["name"] is not None else found[0]

    def replace_part(found: re.Match[str]) -> str:
        return end if found[0] == "$" else BRACKET_PART.sub(replace_class, found[0])

    return REGEX_PART.sub(replace_part, text)


def _relocate_error(text: str, error: re.error) -> re.error:
    """Return *error* with its position in *text*, not in the translation."""
    try:
        # The same length as the class; DEL is the last character, so that no range is reversed.
        re.compile(_translate_regex(text, lambda name: "\x7f" * len(f"[:{name}:]")))
    except re.error as original:
        return original
    return error
