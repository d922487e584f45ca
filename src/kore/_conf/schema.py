"""The configuration when it is done: values only, frozen."""

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypedDict

from kore._conf.server_schema import AccessLogConfig, Privsep, Server
from kore._conf.settings import Settings
from kore._values import paths
from kore.errors import ConfigError

# Called with the request and the captures; returns None, or a coroutine that is run as a task.
Handler = Callable[..., Any]
# Called with type, value and traceback of what a handler or a task did not catch.
Tracer = Callable[..., Any]
# Called with the request before a handler; False: the handler is not run.
Prerequest = Callable[..., Any]
# Called with the request on its way in or out, with a piece of its body, too, if it is for these.
Hook = Callable[..., Any]
# Finds a function by its name, and says in an error what was looked for.
Named = Callable[[str, str], Callable[..., Any]]
# Says True to what it accepts, at once or when awaited.
Verify = Callable[..., Any]
# What an application declares: by name a regular expression, or what decides.
Validators = Mapping[str, str | re.Pattern[str] | Verify]

# ASCII, as in the C locale: a request's path holds nothing else.
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

# An escaped character, or a whole bracket expression: a `]` first in it stands for itself.
# Or a dollar sign.
PIECES: Final = re.compile(r"\\.|\[\^?\]?(?:\[:\w*:\]|\\.|[^\]\\])*\]|\$", re.DOTALL)
CLASS: Final = re.compile(r"\\.|\[:(?P<name>\w*):\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """What the value of a parameter must fulfil: one of the two is there."""

    search: Callable[[str], object] | None = None
    verify: Verify | None = None
    # The regular expression as it was written; None: there is none, or it came compiled.
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ParameterRules:
    """The parameters of a route under one method, by name."""

    query: Mapping[str, ParameterRule] = field(default_factory=dict)
    body: Mapping[str, ParameterRule] = field(default_factory=dict)
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Auth:
    """What shows who asks: a cookie or a header named *value*, or the request as a whole."""

    kind: str
    verify: Verify
    value: str = ""
    redirect: str = ""


@dataclass(frozen=True, slots=True)
class BodyOptions:
    """What a route asks of the way its requests come and go."""

    # Called with the request: before its body is read, with each piece of it, when it is over.
    on_headers: Hook | None = None
    on_body_chunk: Hook | None = None
    on_free: Hook | None = None
    # The handler reads the body as it comes.
    stream: bool = False
    # In place of http_body_max.
    body_max: int | None = None


@dataclass(frozen=True, slots=True)
class RouteRequirements:
    """What must hold before a route's handler runs, and how its requests come."""

    # by the method's number
    declared: Mapping[int, ParameterRules] = field(default_factory=dict)
    auth: Auth | None = None
    # Say which parameters were wrong, instead of leaving them out.
    strict: bool = False
    # None: nothing out of the ordinary.
    extras: BodyOptions | None = None
    # What a handshake on it need not say: keywords of websocket_handshake().
    websocket: Mapping[str, Any] = field(default_factory=dict)


class RouteKeywords(TypedDict, total=False):
    """What may be asked of a route beside its methods."""

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
    """A rule before a map: which paths it takes, and what it asks of requests for them.

    Without *auth*, and with 0 as *status* of a refusal, it asks nothing.
    """

    fits: Callable[[str], object]
    # By number, as requests have them.
    methods: frozenset[int]
    auth: Auth | None = None
    status: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """A path, what it runs, and the methods it takes. No *pattern*: the path is literal.

    With *files*, a directory, it serves these, and the path is what theirs begin with.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...]
    demands: RouteRequirements = field(default_factory=RouteRequirements)
    files: str = ""
    # The paths of other maps within this one's, without the slash at their ends.
    below: frozenset[str] = field(default=frozenset(), compare=False)
    # What comes before a map, in order; empty when nothing of it protects a path.
    guards: tuple[Guard, ...] = field(default=(), compare=False)
    pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = None if self.path.startswith("/") else compiled(self.path)
        if self.files:
            pattern = re.compile("^" + re.escape(self.path))
        object.__setattr__(self, "pattern", pattern)


@dataclass(frozen=True, slots=True)
class RedirectRule:
    """What a domain answers to paths before any route: a redirect, or without *target* a no."""

    path: str
    status: int
    target: str = ""
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", compiled(self.path))


@dataclass(frozen=True, slots=True)
class Domain:
    """A host name, perhaps with wildcards, on one server, and its routes in order."""

    name: str
    server: str
    routes: tuple[Route, ...]
    # In order, and before the routes.
    answers: tuple[RedirectRule, ...] = ()
    accesslog: AccessLogConfig | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database by the name queries call it, and libpq's string for it."""

    name: str
    connstring: str = field(repr=False)
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Config:
    """All an application asked for. Only its plain part leaves the process that loaded it."""

    settings: Settings
    servers: tuple[Server, ...]
    domains: tuple[Domain, ...]
    databases: tuple[Database, ...] = ()
    tasks: tuple[Coroutine[Any, Any, Any], ...] = ()
    tracer: Tracer | None = None
    prerequests: tuple[Prerequest, ...] = ()
    name: str = "kore"
    # What the application wants called: "workerstart" and so on.
    hooks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    # What modules want called when a worker has loaded them, and before new code replaces it.
    onloads: tuple[Callable[..., Any], ...] = ()
    privsep: tuple[Privsep, ...] = ()
    # Signals that the application wants to hear of, beside those that mean something to us.
    traps: tuple[int, ...] = ()
    # What the log should say about it.
    notices: tuple[str, ...] = ()
    # Finds a function of the application by its name.
    named: Named | None = None

    def plain(self) -> dict[str, Any]:
        """Return what the parent needs, fit for JSON."""
        return {
            "name": self.name,
            "settings": asdict(self.settings),
            "servers": [asdict(server) for server in self.servers],
            "privsep": [asdict(process) for process in self.privsep],
            "accesslogs": [{"path": log.path, "where": log.where} for log in self.accesslogs],
        }

    @property
    def accesslogs(self) -> tuple[AccessLogConfig, ...]:
        """One for each file, in the order that parent and workers count them in."""
        found: dict[str, AccessLogConfig] = {}
        for log in (domain.accesslog for domain in self.domains):
            if log is not None:
                found.setdefault(log.path, log)
        return tuple(found.values())


def longest_first(routes: Sequence[Route]) -> Iterator[Route]:
    """Yield routes in order; where a filemap stands, those for paths below its own come before it.

    As in Kore: of several maps that fit, the one with the longest path serves the file.
    """
    waiting = sorted((route for route in routes if route.files), key=lambda route: -len(route.path))
    for route in routes:
        if not route.files:
            yield route
            continue
        below = [other for other in waiting if other.path.startswith(route.path)]
        yield from below
        waiting = [other for other in waiting if other not in below]


def compiled(path: str) -> re.Pattern[str]:
    """Compile a route's regular expression, POSIX character classes included."""
    try:
        return regex(paths.normalize_regex(path))
    except ValueError as error:
        raise ConfigError(f"failed to compile regex for '{path}': {error}") from None


def value_regex(text: str) -> re.Pattern[str]:
    """Compile a validator's regular expression, to be searched for in a parameter's value.

    As in POSIX, a dollar sign is the end and nothing before it, not even a line break, and a dot
    is any character. What Python adds, such as a class for digits, means ASCII.
    """
    return regex(text, r"\Z", re.DOTALL | re.ASCII)


def regex(text: str, end: str = "$", flags: int = 0) -> re.Pattern[str]:
    """Compile a regular expression, or raise ValueError with the reason against it."""
    try:
        return re.compile(translated(text, lambda name: POSIX_CLASSES[name], end), flags)
    except KeyError as unknown:
        known = ", ".join(POSIX_CLASSES)
        raise ValueError(f"class [:{unknown.args[0]}:] is none of {known}") from None
    except re.error as error:
        raise ValueError(str(located(text, error))) from None


def translated(text: str, content: Callable[[str], str], end: str = "$") -> str:
    """Replace each POSIX class in a bracket expression by its *content*, and a dollar by *end*."""

    def replace(found: re.Match[str]) -> str:
        return content(found["name"]) if found["name"] is not None else found[0]

    def piece(found: re.Match[str]) -> str:
        return end if found[0] == "$" else CLASS.sub(replace, found[0])

    return PIECES.sub(piece, text)


def located(text: str, error: re.error) -> re.error:
    """Return *error* with its position in *text* instead of in the translation."""
    try:
        # As long as the class it stands for; DEL is above all, so that no range ends badly in it.
        re.compile(translated(text, lambda name: "\x7f" * len(f"[:{name}:]")))
    except re.error as original:
        return original
    return error
