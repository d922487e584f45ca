"""The configuration when it is done: values only, frozen."""

import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from kore._conf.settings import Settings
from kore.errors import ConfigError

# Called with the request and the captures; returns None, or a coroutine that is run as a task.
Handler = Callable[..., Any]
# Called with type, value and traceback of what a handler or a task did not catch.
Tracer = Callable[..., Any]

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
BRACKETS: Final = re.compile(r"\\.|\[\^?\]?(?:\[:\w*:\]|\\.|[^\]\\])*\]", re.DOTALL)
CLASS: Final = re.compile(r"\\.|\[:(?P<name>\w*):\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: an IP address or host name with a port, or a unix socket.

    A *path* that begins with `@` is an abstract unix socket.
    """

    ip: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Server:
    """One address of a server; one that listens on several is several of these, of one name."""

    name: str
    address: Address
    tls: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A path, what it runs, and the methods it takes. No *pattern*: the path is literal."""

    path: str
    handler: Handler
    methods: tuple[str, ...]
    pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = None if self.path.startswith("/") else compiled(self.path)
        object.__setattr__(self, "pattern", pattern)


@dataclass(frozen=True, slots=True)
class Domain:
    """A host name, perhaps with wildcards, on one server, and its routes in order."""

    name: str
    server: str
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Privsep:
    """What one kind of process gives up: its view of the file system, its user."""

    process: str
    root: str = ""
    runas: str = ""
    skip: tuple[str, ...] = ()
    # Where it was asked for. A line more above it does not make it another one.
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Config:
    """All an application asked for. Only its plain part leaves the process that loaded it."""

    settings: Settings
    servers: tuple[Server, ...]
    domains: tuple[Domain, ...]
    tasks: tuple[Coroutine[Any, Any, Any], ...] = ()
    tracer: Tracer | None = None
    name: str = "kore"
    # What the application wants called: "workerstart" and so on.
    hooks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    # What modules want called when a worker has loaded them, and before new code replaces it.
    onloads: tuple[Callable[..., Any], ...] = ()
    privsep: tuple[Privsep, ...] = ()
    # What the log should say about it.
    notices: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return what the parent needs, fit for JSON."""
        return {
            "name": self.name,
            "settings": asdict(self.settings),
            "servers": [asdict(server) for server in self.servers],
            "privsep": [asdict(process) for process in self.privsep],
        }


def compiled(path: str) -> re.Pattern[str]:
    """Compile a route's regular expression, POSIX character classes included."""
    try:
        return re.compile(translated(path, lambda name: POSIX_CLASSES[name]))
    except KeyError as unknown:
        known = ", ".join(POSIX_CLASSES)
        raise ConfigError(
            f"failed to compile regex for '{path}': class [:{unknown.args[0]}:] is none of {known}"
        ) from None
    except re.error as error:
        raise ConfigError(f"failed to compile regex for '{path}': {located(path, error)}") from None


def translated(path: str, content: Callable[[str], str]) -> str:
    """Replace each POSIX class that stands in a bracket expression by its *content*."""

    def replace(found: re.Match[str]) -> str:
        return content(found["name"]) if found["name"] is not None else found[0]

    return BRACKETS.sub(lambda found: CLASS.sub(replace, found[0]), path)


def located(path: str, error: re.error) -> re.error:
    """Return *error* with its position in *path* instead of in the translation."""
    try:
        # As long as the class it stands for; DEL is above all, so that no range ends badly in it.
        re.compile(translated(path, lambda name: "\x7f" * len(f"[:{name}:]")))
    except re.error as original:
        return original
    return error
