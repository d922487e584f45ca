"""Whether functions of an application can be called as they will be."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kore._conf.source_location import shown
from kore._conf.suggestions import foreign_captures
from kore.errors import ConfigError

# How the hooks of an application are called. The first way a hook accepts is taken.
HOOK_CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    # Without arguments in the first releases.
    "configure": ("(args)", "()"),
    "daemonized": ("()",),
    "cleanup": ("()",),
    "workerstart": ("()",),
    "workerstop": ("()",),
    "signal": ("(number)",),
    "onmsg": ("(obj)",),
}
# Hooks that run where no event loop is.
SYNC_HOOKS: Final = frozenset({"configure", "daemonized"})
# A group of a regular expression that need not take part in a match.
OPTIONAL_GROUP: Final = re.compile(r"\||\)[?*{]")
STREAM: Final = (
    "to stream a body, write a handler that calls req.response(200, items()), items being the "
    "generator"
)
CAPTURES_MAX: Final = 15  # as in Kore


def takes(function: Any, arguments: str, what: str) -> None:
    """Refuse a function that does not take so many *arguments*, given as `(req, value)`.

    One that does not say what it takes is let through. A decorated one is judged by what is called,
    not by what it wraps.
    """
    refuse_generator(function, what)
    if not accepts(function, arguments):
        raise ConfigError(f"{what} {described(function)} must accept {arguments}{at(function)}")


def accepts(function: Any, arguments: str) -> bool:
    """Return whether a function can be called with *arguments*, given as `(req, value)`."""
    signature = _signature(function)
    if signature is None:
        return True
    inner = arguments.strip("()")
    try:
        signature.bind(*(inner.split(",") if inner else ()))
    except TypeError:
        return False
    return True


def refuse_generator(function: Any, what: str) -> None:
    """Refuse a function with a `yield` in it: a call would run nothing of it."""
    function = getattr(function, "func", function)  # of a partial
    called = function if hasattr(function, "__code__") else getattr(function, "__call__", None)  # noqa: B004
    flags = getattr(getattr(called, "__code__", None), "co_flags", 0)
    if inspect.isasyncgenfunction(called):
        kind = "an async generator"
    elif flags & inspect.CO_GENERATOR and not flags & inspect.CO_ITERABLE_COROUTINE:
        kind = "a generator"
    else:
        return
    advice = STREAM if what.endswith("the handler") else "write it without yield"
    raise ConfigError(
        f"{what} {described(function)} is {kind}: nothing would run it; {advice}{at(function)}"
    )


def takes_captures(function: Any, path: str, pattern: re.Pattern[str] | None) -> None:
    """Refuse a handler that does not take the captures of its route; None: it has none."""
    refuse_generator(function, f"route '{path}': the handler")
    groups = 0 if pattern is None else min(pattern.groups, CAPTURES_MAX)
    least = 0 if pattern is not None and OPTIONAL_GROUP.search(pattern.pattern) else groups
    ways = [f"({', '.join(['req', *_captures(n)])})" for n in range(groups, least - 1, -1)]
    if not any(accepts(function, way) for way in ways):
        if foreign_captures(path):  # there is a notice of what it should be
            return
        why = "one argument for each group of the path" if groups else "the path has no groups"
        raise ConfigError(
            f"route '{path}': the handler {described(function)} must accept {ways[0]}, {why}"
            f"{at(function)}"
        )


def verifies(kind: str, function: Any) -> None:
    """Refuse a function that cannot say who is let in; *kind* is what it looks at."""
    arguments = "(req)" if kind == "request" else "(req, value)"
    takes(function, arguments, "the authentication validator")


def check_hook(name: str, hook: Callable[..., Any]) -> None:
    """Refuse a hook that cannot be called as it will be."""
    refuse_generator(hook, "the hook")
    ways = HOOK_CALLS[name]
    if not any(accepts(hook, way) for way in ways):
        wanted = f"must accept {ways[0]}" if ways[0] != "()" else "is called without arguments"
        raise ConfigError(f"the hook {described(hook)} {wanted}")
    if name in SYNC_HOOKS and inspect.iscoroutinefunction(hook):
        raise ConfigError(f"{name}() must not be async: no event loop runs it")


def is_websocket_callback(function: Any) -> bool:
    """Return whether `koreapp.onmsg` is for the messages of a WebSocket, as in Kore's examples."""
    calls = HOOK_CALLS["onmsg"]
    return (
        function is not None
        and accepts(function, "(conn, op, data)")
        and not any(accepts(function, call) for call in calls)
    )


def arguments_for(name: str, hook: Callable[..., Any], given: Sequence[object]) -> Sequence[object]:
    """Return what to call a hook with: nothing for one of an early release."""
    return () if "()" in HOOK_CALLS[name] and not accepts(hook, HOOK_CALLS[name][0]) else given


def described(function: Any) -> str:
    """Return the name of a function, and what it takes."""
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{name}{_signature(function) or ''}"


def at(function: Any) -> str:
    """Return where a function is, as the end of a sentence."""
    place = place_of(function)
    return f"; it is at {place}" if place else ""


def place_of(function: Any) -> str:
    """Return where a function is defined, or nothing."""
    function = getattr(function, "func", function)
    for candidate in (function, getattr(function, "__call__", None), _maker(function)):  # noqa: B004
        code = getattr(candidate, "__code__", None)
        if code is not None:
            return f"{shown(code.co_filename)}:{code.co_firstlineno}"
    return ""


def _maker(function: Any) -> Any:
    return vars(function).get("__init__") if isinstance(function, type) else None


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # in C, mostly
        return None


def _captures(count: int) -> list[str]:
    return ["capture"] if count == 1 else [f"capture{number + 1}" for number in range(count)]
