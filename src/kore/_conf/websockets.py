"""What a route, or a handshake, says of its WebSockets: keywords become values."""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from kore._conf import check
from kore._conf.schema import Named
from kore._conf.settings import SETTINGS
from kore._conf.signatures import takes
from kore._conf.suggestions import meant
from kore._values import hosts
from kore._values.grammar import DEFAULT_PORTS, TOKEN
from kore.errors import ConfigError

F = TypeVar("F")

# How each is called.
CALLBACKS: Final = MappingProxyType(
    {"onconnect": "(conn)", "onmsg": "(conn, op, data)", "ondisconnect": "(conn)"}
)
# Kore's API page calls the function for messages onmsg and onmessage: each finds the other.
SPELLINGS: Final = MappingProxyType({"onmsg": "onmessage", "onmessage": "onmsg"})
# Those that stand in for a setting on one route.
INSTEAD: Final = MappingProxyType(
    {
        "maxframe": "websocket_maxframe",
        "maxmessage": "websocket_maxmessage",
        "timeout": "websocket_timeout",
        "ping": "websocket_ping",
        "buffer_max": "websocket_buffer_max",
        "buffer_full": "websocket_buffer_full",
    }
)
LISTS: Final = ("protocols", "origins")
KEYWORDS: Final = (*CALLBACKS, *LISTS, "compress", *INSTEAD)
# Our own host; or a scheme and a host, which may have wildcards: what browsers send, and nothing
# behind it.
ORIGIN: Final = re.compile(r"same|null|\*|[a-z][a-z0-9+.-]*://[^/\s]+", re.IGNORECASE)


def terms(given: Mapping[str, object]) -> dict[str, Any]:
    """Return the keywords with plain values, or raise ConfigError."""
    if "onmsg" in given and "onmessage" in given:
        raise ConfigError("onmsg and onmessage are two spellings of one keyword: give one of them")
    return {keyword(name): value(keyword(name), entry) for name, entry in given.items()}


def keyword(name: str) -> str:
    """Return the name of a keyword as KEYWORDS has it."""
    return "onmsg" if name == "onmessage" else name


def value(name: str, given: object) -> Any:
    """Return the plain value of one keyword."""
    if name in INSTEAD:
        kind = SETTINGS[INSTEAD[name]].kind
        try:
            return kind.parse(given)
        except ValueError:
            raise ConfigError(f"bad value '{given}' for {name}: {kind}") from None
    if name in CALLBACKS:
        if given is not None and not callable(given) and not isinstance(given, str):
            raise ConfigError(f"{name} must be a function, its name or None, not {given!r}")
        return given
    if name in LISTS:
        return words(name, given)
    if name == "compress":
        return check.typed(given, bool, name)
    raise ConfigError(
        f"unknown keyword '{name}' of a websocket{meant(str(name), KEYWORDS)}, "
        f"there are {', '.join(KEYWORDS)}"
    )


def words(name: str, given: object) -> tuple[str, ...] | None:
    """Return a list of sub-protocols or origins; of origins None are all."""
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence | set | frozenset):
        raise ConfigError(f"{name} must be a list, not {given!r}")
    pattern, what = (ORIGIN, "origin") if name == "origins" else (re.compile(TOKEN), "protocol")
    for word in given:
        if not isinstance(word, str) or not pattern.fullmatch(word):
            origin = "same, or https://example.com"
            example = origin if name == "origins" else "a token such as chat.v1"
            raise ConfigError(f"{word!r} is no {what}: {example}")
    return tuple(map(_normalize_origin, given)) if name == "origins" else tuple(given)


def _normalize_origin(origin: str) -> str:
    """Return an origin as browsers send it: a host in ASCII, without the port of its scheme."""
    scheme, slashes, place = origin.partition("://")
    if "*" not in place:
        place = place.removesuffix(DEFAULT_PORTS.get(scheme.lower(), ""))
    if origin.isascii():
        return scheme + slashes + place
    host, colon, port = place.partition(":")
    try:
        return f"{scheme}{slashes}{hosts.normalize_host(host)}{colon}{port}"
    except ValueError as error:
        raise ConfigError(f"origin '{origin}': {error}") from None


def resolved(given: Mapping[str, Any], named: Named) -> dict[str, Any]:
    """Return the same with functions in place of their names. Raises NameError."""
    return {
        name: find_callback(name, entry, named)
        if name in CALLBACKS and isinstance(entry, str)
        else entry
        for name, entry in given.items()
    }


def find_callback(name: str, wanted: str, named: Callable[[str, str], F]) -> F:
    """Return the function called *wanted*; without one that of the other spelling.

    Raises what *named* raises if the application has neither.
    """
    try:
        return named(wanted, f"{name} callback")
    except (NameError, ConfigError):
        other = respelled(wanted)
        if other is None:
            raise
        with contextlib.suppress(NameError, ConfigError):
            return named(other, f"{name} callback")
        raise


def respelled(name: str) -> str | None:
    """Return a name, `module.onmsg` say, with the other spelling of its last word, if any."""
    front, dot, last = name.rpartition(".")
    return f"{front}{dot}{SPELLINGS[last]}" if last in SPELLINGS else None


def check_callbacks(given: Mapping[str, Any]) -> None:
    """Raise ConfigError if a callback cannot be called as it will be."""
    for name, function in given.items():
        if keyword(name) in CALLBACKS and callable(function):
            takes(function, CALLBACKS[keyword(name)], name)
