"""Checks that functions of an application accept the arguments that they will be called with."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kore._conf.diagnostics import shorten_path
from kore._conf.suggestions import find_foreign_capture
from kore.errors import ConfigError

# The arguments of hooks. A hook is called in the first of these ways that it accepts.
HOOK_CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    # The first releases called it without arguments.
    "configure": ("(args)", "()"),
    "daemonized": ("()",),
    "cleanup": ("()",),
    "workerstart": ("()",),
    "workerstop": ("()",),
    "signal": ("(number)",),
    "onmsg": ("(obj)",),
}
# Hooks that are called without a running event loop.
SYNC_HOOKS: Final = frozenset({"configure", "daemonized"})
# Signs of a group that a match may leave out.
OPTIONAL_GROUP: Final = re.compile(r"\||\)[?*{]")
STREAM_HINT: Final = (
    "to stream a body, write a handler that calls req.response(200, items()), items being the "
    "generator"
)
CAPTURES_MAX: Final = 15  # as in Kore


def check_callable(function: Any, arguments: str, what: str) -> None:
    """Raise ConfigError if a function does not accept *arguments*, given as `(req, value)`.

    A function without a signature is accepted. For a decorated one the signature of the decorator's
    function counts, not that of the wrapped one.
    """
    _check_no_generator(function, what)
    if not _can_call(function, arguments):
        described = f"{what} {_describe_function(function)}"
        raise ConfigError(f"{described} must accept {arguments}{_describe_place(function)}")


def _can_call(function: Any, arguments: str) -> bool:
    """Return whether a function can be called with *arguments*, given as `(req, value)`."""
    signature = _get_signature(function)
    if signature is None:
        return True
    inner = arguments.strip("()")
    try:
        signature.bind(*(inner.split(",") if inner else ()))
    except TypeError:
        return False
    return True


def _check_no_generator(function: Any, what: str) -> None:
    """Raise ConfigError for a generator function: a call would run nothing of it."""
    function = getattr(function, "func", function)  # of a partial
    called = function if hasattr(function, "__code__") else getattr(function, "__call__", None)  # noqa: B004
    flags = getattr(getattr(called, "__code__", None), "co_flags", 0)
    if inspect.isasyncgenfunction(called):
        kind = "an async generator"
    elif flags & inspect.CO_GENERATOR and not flags & inspect.CO_ITERABLE_COROUTINE:
        kind = "a generator"
    else:
        return
    advice = STREAM_HINT if what.endswith("the handler") else "write it without yield"
    problem = f"{what} {_describe_function(function)} is {kind}: nothing would run it"
    raise ConfigError(f"{problem}; {advice}{_describe_place(function)}")


def check_handler(function: Any, path: str, pattern: re.Pattern[str] | None) -> None:
    """Raise ConfigError if a handler does not accept the captures of its route."""
    _check_no_generator(function, f"route '{path}': the handler")
    groups = 0 if pattern is None else min(pattern.groups, CAPTURES_MAX)
    minimum = 0 if pattern is not None and OPTIONAL_GROUP.search(pattern.pattern) else groups
    ways = [f"({', '.join(['req', *_name_captures(n)])})" for n in range(groups, minimum - 1, -1)]
    if not any(_can_call(function, way) for way in ways):
        if find_foreign_capture(path):  # a notice says how to write it
            return
        why = "one argument for each group of the path" if groups else "the path has no groups"
        described = f"route '{path}': the handler {_describe_function(function)}"
        raise ConfigError(f"{described} must accept {ways[0]}, {why}{_describe_place(function)}")


def check_verify(kind: str, function: Any) -> None:
    """Raise ConfigError if a function does not accept the arguments of an `auth` of that kind."""
    arguments = "(req)" if kind == "request" else "(req, value)"
    check_callable(function, arguments, "the authentication validator")


def check_hook(name: str, hook: Callable[..., Any]) -> None:
    """Raise ConfigError if a hook does not accept the arguments it will be called with."""
    _check_no_generator(hook, "the hook")
    ways = HOOK_CALLS[name]
    if not any(_can_call(hook, way) for way in ways):
        wanted = f"must accept {ways[0]}" if ways[0] != "()" else "is called without arguments"
        raise ConfigError(f"the hook {_describe_function(hook)} {wanted}")
    if name in SYNC_HOOKS and inspect.iscoroutinefunction(hook):
        raise ConfigError(f"{name}() must not be async: no event loop runs it")


def is_websocket_callback(function: Any) -> bool:
    """Return whether `koreapp.onmsg` takes messages of WebSockets, as in Kore's examples."""
    calls = HOOK_CALLS["onmsg"]
    return (
        function is not None
        and _can_call(function, "(conn, op, data)")
        and not any(_can_call(function, call) for call in calls)
    )


def select_hook_arguments(
    name: str, hook: Callable[..., Any], given: Sequence[object]
) -> Sequence[object]:
    """Return the arguments of a hook: none if it accepts none, as in early releases."""
    return () if "()" in HOOK_CALLS[name] and not _can_call(hook, HOOK_CALLS[name][0]) else given


def _describe_function(function: Any) -> str:
    """Return the name and the signature of a function."""
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{name}{_get_signature(function) or ''}"


def _describe_place(function: Any) -> str:
    """Return the place of a function as the end of a sentence."""
    place = locate_function(function)
    return f"; it is at {place}" if place else ""


def locate_function(function: Any) -> str:
    """Return file and line of a function's definition; "" if unknown."""
    function = getattr(function, "func", function)
    for candidate in (function, getattr(function, "__call__", None), _get_init(function)):  # noqa: B004
        code = getattr(candidate, "__code__", None)
        if code is not None:
            return f"{shorten_path(code.co_filename)}:{code.co_firstlineno}"
    return ""


def _get_init(function: Any) -> Any:
    return vars(function).get("__init__") if isinstance(function, type) else None


def _get_signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # in C, mostly
        return None


def _name_captures(count: int) -> list[str]:
    return ["capture"] if count == 1 else [f"capture{number + 1}" for number in range(count)]
