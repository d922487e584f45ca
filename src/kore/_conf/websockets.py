"""Keywords of WebSockets, as a route and `websocket_handshake()` take them, to plain values."""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from kore._conf import arguments
from kore._conf.schema import FunctionFinder
from kore._conf.settings import SETTINGS
from kore._conf.signatures import check_callable
from kore._conf.suggestions import suggest_name
from kore._values import hosts
from kore._values.grammar import DEFAULT_PORTS, TOKEN
from kore.errors import ConfigError

F = TypeVar("F")

# The arguments of each callback.
CALLBACKS: Final = MappingProxyType(
    {"onconnect": "(conn)", "onmsg": "(conn, op, data)", "ondisconnect": "(conn)"}
)
# Kore's API page uses both names for the message callback. Each stands for the other, too.
SPELLINGS: Final = MappingProxyType({"onmsg": "onmessage", "onmessage": "onmsg"})
# Keywords that replace a setting on one route.
SETTING_NAMES: Final = MappingProxyType(
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
KEYWORDS: Final = (*CALLBACKS, *LISTS, "compress", *SETTING_NAMES)
# `same` for the own host, `null`, `*`, or a scheme and a host that may have wildcards, as browsers
# send origins: without a path.
ORIGIN: Final = re.compile(r"same|null|\*|[a-z][a-z0-9+.-]*://[^/\s]+", re.IGNORECASE)


def normalize_options(given: Mapping[str, object]) -> dict[str, Any]:
    """Return the keywords with plain values. Raises ConfigError if one is not allowed."""
    if "onmsg" in given and "onmessage" in given:
        raise ConfigError("onmsg and onmessage are two spellings of one keyword: give one of them")
    return {
        normalize_keyword(name): parse_value(normalize_keyword(name), entry)
        for name, entry in given.items()
    }


def normalize_keyword(name: str) -> str:
    """Return the spelling of a keyword in KEYWORDS."""
    return "onmsg" if name == "onmessage" else name


def parse_value(name: str, given: object) -> Any:
    """Return the plain value of one keyword."""
    if name in SETTING_NAMES:
        kind = SETTINGS[SETTING_NAMES[name]].value_type
        try:
            return kind.parse(given)
        except ValueError:
            raise ConfigError(f"bad value '{given}' for {name}: {kind}") from None
    if name in CALLBACKS:
        if given is not None and not callable(given) and not isinstance(given, str):
            raise ConfigError(f"{name} must be a function, its name or None, not {given!r}")
        return given
    if name in LISTS:
        return _parse_words(name, given)
    if name == "compress":
        return arguments.check_type(given, bool, name)
    raise ConfigError(
        f"unknown keyword '{name}' of a websocket{suggest_name(str(name), KEYWORDS)}, "
        f"there are {', '.join(KEYWORDS)}"
    )


def _parse_words(name: str, given: object) -> tuple[str, ...] | None:
    """Return a list of subprotocols or origins; None stands for all origins."""
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence | set | frozenset):
        raise ConfigError(f"{name} must be a list, not {given!r}")
    pattern, what = (
        (ORIGIN, "an origin") if name == "origins" else (re.compile(TOKEN), "a protocol")
    )
    for word in given:
        if not isinstance(word, str) or not pattern.fullmatch(word):
            origin = "same, or https://example.com"
            example = origin if name == "origins" else "a token such as chat.v1"
            raise ConfigError(f"{word!r} is not {what}: {example}")
    return tuple(map(_normalize_origin, given)) if name == "origins" else tuple(given)


def _normalize_origin(origin: str) -> str:
    """Return an origin as browsers send it: the host in ASCII, the default port left out."""
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


def resolve_callbacks(given: Mapping[str, Any], find_function: FunctionFinder) -> dict[str, Any]:
    """Return *given* with functions in place of their names. Raises NameError if one is unknown."""
    return {
        name: find_callback(name, entry, find_function)
        if name in CALLBACKS and isinstance(entry, str)
        else entry
        for name, entry in given.items()
    }


def find_callback(name: str, wanted: str, find_function: Callable[[str, str], F]) -> F:
    """Return the function called *wanted*, or else that of the other spelling.

    Raises the error of *find_function* if there is neither.
    """
    try:
        return find_function(wanted, f"{name} callback")
    except (NameError, ConfigError):
        other = _respell_callback(wanted)
        if other is None:
            raise
        with contextlib.suppress(NameError, ConfigError):
            return find_function(other, f"{name} callback")
        raise


def _respell_callback(name: str) -> str | None:
    """Return a name such as `module.onmsg` with the other spelling of its last word, or None."""
    front, dot, last = name.rpartition(".")
    return f"{front}{dot}{SPELLINGS[last]}" if last in SPELLINGS else None


def check_callbacks(given: Mapping[str, Any]) -> None:
    """Raise ConfigError if a callback does not accept its arguments."""
    for name, function in given.items():
        if normalize_keyword(name) in CALLBACKS and callable(function):
            check_callable(function, CALLBACKS[normalize_keyword(name)], name)
