"""Whether functions of an application can be called as they will be."""

import inspect
from typing import Any

from kore.errors import ConfigError


def takes(function: Any, arguments: str, what: str) -> None:
    """Refuse a function that does not take so many *arguments*, given as `(req, value)`.

    One that does not say what it takes is let through. A decorated one is judged by what is called,
    not by what it wraps.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # in C, mostly
        return
    try:
        signature.bind(*arguments.split(","))
    except TypeError:
        name = getattr(function, "__qualname__", None) or repr(function)
        raise ConfigError(f"{what} {name}{signature} must accept {arguments}") from None


def verifies(kind: str, function: Any) -> None:
    """Refuse a function that cannot say who is let in; *kind* is what it looks at."""
    arguments = "(req)" if kind == "request" else "(req, value)"
    takes(function, arguments, "the authentication validator")
